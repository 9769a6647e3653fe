"""Pretended devices."""

import contextlib

import keras
import pytest


@contextlib.contextmanager
def pretended_gpu(emulated=False):
    """Inside, the backend lists a GPU, so that graphs are traced as beside one.

    Args:
        emulated: Whether cuDNN's kernel is emulated on the CPU, so that layers that call it also run.
    """
    with pytest.MonkeyPatch.context() as patch:
        if keras.backend.backend() == "jax":
            import jax

            patch.setattr(jax, "default_backend", lambda: "gpu")
        else:
            import tensorflow as tf

            listed = tf.config.list_logical_devices
            gpu = tf.config.LogicalDevice("/device:GPU:0", "GPU")
            patch.setattr(
                tf.config,
                "list_logical_devices",
                lambda kind=None: [*listed(kind), *([gpu] if kind in (None, "GPU") else [])],
            )
        if emulated:
            from references.cudnn import cudnn_rnn

            patch.setattr(tf.raw_ops, "CudnnRNNV3", cudnn_rnn)
        yield


def graph_nodes(graph_def):
    """All nodes of a graph and of the functions in it."""
    return [*graph_def.node, *(node for inner in graph_def.library.function for node in inner.node_def)]

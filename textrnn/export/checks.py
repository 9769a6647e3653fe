"""Checks of an exported model: its ops, and a run in a fresh process."""

import os
import subprocess
import sys
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from textrnn import private

TEXT_OPS = frozenset({"SentencepieceOp", "SentencepieceTokenizeOp", "SentencepieceDetokenizeOp"})
"""Custom ops of TensorFlow Text that the stock server links."""


# === Checks ===


def graph_ops(path):
    """The names of all ops in a SavedModel's graph and in its functions, a set of str."""
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((Path(path) / "saved_model.pb").read_bytes())
    graph = saved_model.meta_graphs[0].graph_def
    ops = {node.op for node in graph.node}
    ops |= {node.op for function in graph.library.function for node in function.node_def}
    return ops


def refuse_unservable_ops(path):
    """Raises if a SavedModel holds an op that a stock `tensorflow_model_server` cannot run.

    Args:
        path: the SavedModel's folder.

    Raises:
        ValueError: naming each op and the reason.
    """
    reasons = {}
    for op in graph_ops(path):
        if op in {"PyFunc", "PyFuncStateless", "EagerPyFunc"}:
            reasons[op] = "it calls back into Python"
        elif op.startswith("Cudnn"):
            reasons[op] = "it runs on NVIDIA GPUs only"
        elif op.startswith("Xla"):
            reasons[op] = "it runs under XLA compilation only"
        elif op not in TEXT_OPS and not hasattr(tf.raw_ops, op):
            reasons[op] = (
                "it is neither a core TensorFlow op nor one of the TensorFlow Text ops that are served"
            )
    if reasons:
        listed = "; ".join(f"{op}: {reason}" for op, reason in sorted(reasons.items()))
        raise ValueError(
            f"The exported graph holds ops that a stock TF Serving lacks ({listed}). Replace the layer or "
            "tokenizer that brings them."
        )


FRESH_PROCESS = """
import sys
sys.modules.update(keras=None, keras_hub=None, textrnn=None)  # importing any of them fails
import tensorflow as tf
# As a server does: the ops of TensorFlow Text without its Python package, which would import Keras.
for library in sys.argv[2:]:
    tf.load_op_library(library)
answer = tf.saved_model.load(sys.argv[1]).signatures["serving_default"](text=tf.constant(["a", ""]))
assert all(len(values) == 2 for values in answer.values()), answer
"""


def check_in_fresh_process(path):
    """Loads and runs a SavedModel in a new Python process that has neither Keras nor textrnn.

    Args:
        path: the SavedModel's folder.

    Raises:
        RuntimeError: with what that process printed.
    """
    # -I: no current folder and no PYTHONPATH, so that nothing of this project is in reach by accident.
    # Without a GPU: it must load on any machine, and it must not ask for memory that training holds.
    run = subprocess.run(
        [sys.executable, "-I", "-c", FRESH_PROCESS, str(path), *private.sentencepiece_libraries()],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"The exported model does not run in a fresh process:\n{run.stderr[-2000:]}")

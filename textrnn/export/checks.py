"""Checks of a SavedModel before it is published: its ops, and a run in a fresh process."""

import os
import subprocess
import sys
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from textrnn import private

TEXT_OPS = frozenset({"SentencepieceOp", "SentencepieceTokenizeOp", "SentencepieceDetokenizeOp"})
"""Custom ops of TensorFlow Text that stock TF Serving includes."""


def graph_ops(path):
    """Return the names of all ops in a SavedModel's graph and its functions, a set of str."""
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((Path(path) / "saved_model.pb").read_bytes())
    graph = saved_model.meta_graphs[0].graph_def
    ops = {node.op for node in graph.node}
    ops |= {node.op for function in graph.library.function for node in function.node_def}
    return ops


def refuse_unservable_ops(path):
    """Raise an error if a SavedModel holds an op that a stock `tensorflow_model_server` lacks.

    Args:
        path: The SavedModel's folder.

    Raises:
        ValueError: If it does; the message names each op and the reason.
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
            reasons[op] = "it is neither a core TensorFlow op nor a TensorFlow Text op of TF Serving"
    if reasons:
        listed = "; ".join(f"{op}: {reason}" for op, reason in sorted(reasons.items()))
        raise ValueError(
            f"the exported graph holds ops that a stock TF Serving lacks ({listed}): replace the "
            "layer, tokenizer or sampler that uses them"
        )


FRESH_PROCESS = """
import sys
sys.modules.update(keras=None, keras_hub=None, textrnn=None)  # makes importing them fail
import tensorflow as tf
# Like a server, load the ops of TensorFlow Text without its Python package, which imports Keras.
for library in sys.argv[2:]:
    tf.load_op_library(library)
answer = tf.saved_model.load(sys.argv[1]).signatures["serving_default"](text=tf.constant(["a", ""]))
assert all(len(values) == 2 for values in answer.values()), answer
"""


def check_in_fresh_process(path):
    """Load and run a SavedModel in a new Python process without Keras and textrnn.

    Args:
        path: The SavedModel's folder.

    Raises:
        RuntimeError: If that fails; the message ends with the process's standard error.
    """
    # -P leaves out the current folder, where a file may have the name of a module of Python. Packages may be
    # those of the user or on PYTHONPATH.
    # No GPU: the model must load on any machine, and training may hold all of the GPU's memory.
    run = subprocess.run(
        [sys.executable, "-P", "-c", FRESH_PROCESS, str(path), *private.sentencepiece_libraries()],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"the exported model does not run in a fresh process:\n{run.stderr[-2000:]}")

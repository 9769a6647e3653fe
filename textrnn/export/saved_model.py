"""Exporting a task as a SavedModel: strings in, strings out.

The layout is TF Serving's: `<base>/<name>/<version>/`. A version is written under a temporary name, checked
in a fresh process without Keras and textrnn, and only then renamed. A server that polls the folder never
sees an incomplete model.
"""

import os
import shutil
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, saved_model_pb2

from textrnn.errors import expect
from textrnn.export.checks import check_in_fresh_process, refuse_unservable_ops
from textrnn.export.module import WeightDtype, traced_module
from textrnn.export.versions import rename_to_next_version
from textrnn.export.warmup import warmup_requests, write_warmup_requests
from textrnn.presets.precision import in_weight_precision
from textrnn.serving.origin import mark_as_exported
from textrnn.tasks.registry import kind_of, signatures_of


def export(task, folder, warmup_prompts=("One.",), dtype: WeightDtype = "float32", **options):
    """Write the next version of a model for TF Serving.

    A model that trained in mixed precision is exported in the precision of its weights, float32.

    Args:
        task: A task with a preprocessor, of a registered kind.
        folder: The model's folder, `<base>/<name>`; its numbered children are the versions.
        warmup_prompts: Texts of the requests that a server sends to each signature while it loads the model,
            since the first calls of a TensorFlow graph are slow.
        dtype: The type to store float32 weights in. `"float16"` halves the size; the model still computes in
            float32.
        **options: Options of the task's signatures, such as `max_new_tokens` of text generation and
            `split_sentences` of translation.

    Returns:
        The `pathlib.Path` of the new version, `<folder>/<version>`.

    Raises:
        InputError: If the task is of no registered kind, has no preprocessor or no such option, or if a
            weight is too large for `dtype`.
        ValueError: If the graph holds an op that a stock TF Serving lacks.
        RuntimeError: If the model does not load or run in a fresh process.
    """
    expect(
        getattr(task, "preprocessor", None) is not None,
        "the task has no preprocessor, so it reads no strings: give one that has",
    )
    kind, task = kind_of(task), in_weight_precision(task)
    tokenizers = getattr(task.preprocessor, "tokenizers", [task.preprocessor.tokenizer])
    signatures = signatures_of(task, **options)
    module, functions = traced_module(signatures, [*task.layers, *tokenizers], task.weights, dtype)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".unfinished.{os.getpid()}"
    try:
        for_inference = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(unfinished), signatures=functions, options=for_inference)
        _edit_graph(unfinished, kind.methods)
        refuse_unservable_ops(unfinished)
        requests = warmup_requests(folder.name, functions, warmup_prompts, kind.methods, kind.examples)
        write_warmup_requests(unfinished, requests)
        check_in_fresh_process(unfinished)
        return rename_to_next_version(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _edit_graph(path, methods):
    """Mark the model as exported, set the method names that some of TF Serving's APIs look for, and clean up.

    What a server has no use for is removed: references to gradients, which are not saved, so that TensorFlow
    would warn when it loads the model; and the devices and workers of this process.
    """
    anywhere = config_pb2.ConfigProto(allow_soft_placement=True).SerializeToString()
    file = path / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    [meta_graph] = saved_model.meta_graphs
    mark_as_exported(meta_graph)
    for name, signature in meta_graph.signature_def.items():
        signature.method_name = methods.get(name, signature.method_name)
    graph = meta_graph.graph_def
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        for node in nodes:
            node.attr.pop("_gradient_op_type", None)
            if "config_proto" in node.attr:
                node.attr["config_proto"].s = anywhere
    file.write_bytes(saved_model.SerializeToString())

"""An export depends on the model alone, and not on the devices of the machine that wrote it."""

import hashlib
import re
from collections import Counter

import pytest
import tensorflow as tf
from builders.devices import graph_nodes, pretended_gpu
from builders.exporting import export_unchecked
from builders.tasks import TASKS, tokens
from tensorflow.core.protobuf import saved_model_pb2

from textrnn.export.module import traced_module
from textrnn.tasks.registry import signatures_of

# Without noise that keeps a layer from the kernels of a GPU.
OPTIONS = {"recurrent_dropout": 0.0, "weight_drop": 0.0, "zoneout": 0.0}
MODELS = {
    "classifier": lambda: TASKS["classifier"](**OPTIONS),
    "translator": lambda: TASKS["translator"](**OPTIONS, cell="gru"),
    "language model": lambda: TASKS["language model"](**OPTIONS),
    "language model of a linear cell": lambda: TASKS["language model"](**OPTIONS, cell="min_lstm"),
}
OPS_OF_A_GPU = {"CudnnRNNV3", "Roll"}  # Roll: the parallel scan


def graph_of(version):
    saved_model = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    return saved_model.meta_graphs[0].graph_def


def canonical(graph):
    """A graph as text, without the numbers by which TensorFlow counts functions and tensors of a process.

    A function is called by a digest of its body instead of its numbered name.
    """
    functions = {function.signature.name: function for function in graph.library.function}
    digests = {}

    def digest(name):
        if name not in digests:
            function = type(functions[name]).FromString(functions[name].SerializeToString())
            function.signature.name = ""
            text = str(function.signature) + str(function.ret) + nodes(function.node_def)
            text = re.sub(r"(_cond|_body|_true|_false)_\d+", r"\1", text)  # also in names of arguments
            digests[name] = hashlib.sha256(text.encode()).hexdigest()
        return digests[name]

    def nodes(of_graph):
        texts = []
        for original in of_graph:
            node = type(original).FromString(original.SerializeToString())
            node.attr.pop("_user_specified_name", None)  # the number of a captured tensor
            for value in node.attr.values():
                for called in [*([value.func] if value.HasField("func") else []), *value.list.func]:
                    called.name = digest(called.name)
            if node.op in functions:
                node.op = digest(node.op)
            texts.append(str(node))
        return "".join(texts)

    return nodes(graph.node)


def traced_beside_a_gpu(model, signatures):
    """The ops of a model that is traced as for this machine, for training and for answers in Python."""
    graphs = [
        tf.function(lambda: model(tokens(model), training=True), autograph=False).get_concrete_function(),
        *(
            tf.function(function, input_signature=specs, autograph=False).get_concrete_function()
            for function, specs in signatures.values()
        ),
    ]
    return {node.op for traced in graphs for node in graph_nodes(traced.graph.as_graph_def())}


@pytest.mark.parametrize("name", ["language model", "language model of a linear cell"])
def test_a_signature_that_is_traced_for_an_export_has_no_op_of_a_gpu(name):
    model = MODELS[name]()
    signatures = {"start": signatures_of(model)["start"]}

    def ops():
        _, traced = traced_module(signatures, [], model.weights)
        return Counter(node.op for node in graph_nodes(traced["start"].graph.as_graph_def()))

    here = ops()
    with pretended_gpu():
        assert traced_beside_a_gpu(model, signatures) & OPS_OF_A_GPU  # or the test shows nothing
        assert ops() == here


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_exports_made_with_and_without_a_gpu_have_the_same_graph(name, tmp_path):
    model = MODELS[name]()
    here = canonical(graph_of(export_unchecked(model, tmp_path / "here")))
    with pretended_gpu():
        assert traced_beside_a_gpu(model, signatures_of(model)) & OPS_OF_A_GPU  # or the test shows nothing
        beside_a_gpu = graph_of(export_unchecked(model, tmp_path / "there"))
    assert not OPS_OF_A_GPU & {node.op for node in graph_nodes(beside_a_gpu)}
    assert canonical(beside_a_gpu) == here

"""The graphs of a training step have no operations that would make them slow or large."""

import collections
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
from builders.layers import tensorflow_only
from keras import ops
from references.gradients import TENSORFLOW

from textrnn.cells import GatedCell
from textrnn.layers import Recurrent, RecurrentStack

pytestmark = pytest.mark.usefixtures("optimized_graphs")

BATCH, TIME, UNITS = 3, 6, 4
MATRICES = {"lstm": 4, "gru": 3, "multiplicative_lstm": 5, "mgu": 2}


def training_graph(layer):
    """The optimized graph of a layer's outputs and gradients."""
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2

    x = tf.zeros((BATCH, TIME, UNITS))
    layer(x)

    @tf.function(input_signature=[tf.TensorSpec([None, None, UNITS])], autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = keras.tree.flatten(layer(x, training=True))[0]
        return tape.gradient(y, [x, *layer.trainable_variables])

    # TensorBoard's trace holds the graph that ran, as an event of a file.
    with tempfile.TemporaryDirectory() as folder:
        writer = tf.summary.create_file_writer(folder)
        tf.summary.trace_on(graph=True)
        run(x)
        with writer.as_default():
            tf.summary.trace_export("run", step=0)
        writer.close()
        records = tf.data.TFRecordDataset([str(path) for path in Path(folder).iterdir()]).as_numpy_iterator()
        values = [
            value for record in records for value in tf.compat.v1.Event.FromString(record).summary.value
        ]
    (trace,) = (config_pb2.RunMetadata.FromString(value.tensor.string_val[0]) for value in values)
    graphs = [graphs.post_optimization_graph for graphs in trace.function_graphs]
    return max(graphs, key=lambda graph: len(graph.node))  # that of `run`


def operations_of_loops(graph):
    """The number of operations of each kind inside the forward and the backward loop."""
    # The graph is flat: a loop is what is between the Enter and the Exit of a frame.
    consumers = collections.defaultdict(list)
    nodes = {node.name: node for node in graph.node}
    for node in graph.node:
        for source in node.input:
            consumers[source.lstrip("^").split(":")[0]].append(node.name)
    frames: dict[str, set] = collections.defaultdict(set)
    waiting = [(node.name, node.attr["frame_name"].s.decode()) for node in graph.node if node.op == "Enter"]
    while waiting:
        name, frame = waiting.pop()
        if name not in frames[frame]:
            frames[frame].add(name)
            if nodes[name].op != "Exit":
                waiting += [(consumer, frame) for consumer in consumers[name]]
    return [collections.Counter(nodes[name].op for name in names) for names in frames.values()]


@tensorflow_only
@pytest.mark.parametrize("name", MATRICES)
def test_a_loop_has_one_product_for_each_matrix_and_does_not_slice_gates(name):
    layer = Recurrent(GatedCell(UNITS, name), return_sequences=True)
    graph = training_graph(layer)
    forward, backward = sorted(operations_of_loops(graph), key=lambda counts: counts["TanhGrad"])
    for counts in (forward, backward):
        assert counts["MatMul"] == MATRICES[name]
        assert not {"Split", "SplitV", "Slice", "ConcatV2", "GatherV2", "StridedSliceGrad"} & set(counts)
    # The only slices take a step out of a sequence: out of the projections, and out of the gradient of the
    # outputs and the projections that the step reads other than in a sum with a product.
    assert forward["StridedSlice"] == len(layer.cell.project_inputs(np.ones((1, UNITS), "float32")))
    assert backward["StridedSlice"] <= 2


@tensorflow_only
@pytest.mark.parametrize(
    ("name", "sequences"),
    [
        ("lstm", 5),  # four sums, the memory
        ("gru", 4),  # three products, the state
        ("mgu", 3),  # two sums, the state
    ],
)
def test_a_backward_loop_reads_only_what_it_needs(name, sequences):
    graph = training_graph(Recurrent(GatedCell(UNITS, name), return_sequences=True))
    _, backward = sorted(operations_of_loops(graph), key=lambda counts: counts["TanhGrad"])
    assert backward["TensorListGetItem"] == sequences


@tensorflow_only
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_sequences_are_not_transposed_between_layers_of_a_stack(dropout):
    def sequences_transposed(layers):
        cells = [GatedCell(UNITS, "lstm") for _ in range(layers)]
        graph = training_graph(RecurrentStack(cells, dropout))
        kernels = 4 * layers
        return sum(node.op == "Transpose" for node in graph.node) - kernels

    # The inputs, the outputs and their gradients, at both ends of the stack.
    assert sequences_transposed(1) == sequences_transposed(3) == 4


def temporary_bytes(strategy, name="lstm"):
    """The temporary memory of a compiled training step on JAX."""
    import jax

    layer = Recurrent(GatedCell(UNITS, name), return_sequences=True, strategy=strategy)
    x = np.ones((8, 64, UNITS), "float32")
    layer(x)
    others = [v.value for v in layer.non_trainable_variables]

    def loss(trainable, x):
        return ops.sum(layer.stateless_call(trainable, others, x, training=True)[0] ** 2)

    trainable = [v.value for v in layer.trainable_variables]
    compiled = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(trainable, x).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.skipif(TENSORFLOW, reason="TensorFlow does not report the memory of a graph")
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_recompute_needs_less_memory_than_loop(name):
    assert temporary_bytes("recompute", name) < 0.8 * temporary_bytes("loop", name)

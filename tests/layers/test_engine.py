"""What the graphs of a training step consist of: what makes the engine fast, without a clock."""

import collections
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops
from references.gradients import TENSORFLOW, assert_close, interpreted

from textrnn.cells import Cell, GatedCell
from textrnn.errors import InputError
from textrnn.layers import Recurrent, RecurrentStack

BATCH, TIME, UNITS = 3, 6, 4
tensorflow_only = pytest.mark.skipif(not TENSORFLOW, reason="about TensorFlow graphs")
MATRICES = {"lstm": 4, "gru": 3, "multiplicative_lstm": 5, "mgu": 2}


def training_graph(layer):
    """The optimised graph of a layer's outputs and gradients."""
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.grappler import (
        tf_optimizer,
    )  # there is no public way to ask for the graph that runs

    layer(np.zeros((BATCH, TIME, UNITS), "float32"))

    @tf.function(autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = keras.tree.flatten(layer(x, training=True))[0]
        return tape.gradient(y, [x, *layer.trainable_variables])

    graph = run.get_concrete_function(tf.TensorSpec([None, None, UNITS])).graph
    meta_graph = tf.compat.v1.train.export_meta_graph(graph=graph, graph_def=graph.as_graph_def())
    fetched = [tensor.name for tensor in graph.structured_outputs]
    meta_graph.collection_def["train_op"].node_list.value.extend(fetched)
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1
    return tf_optimizer.OptimizeGraph(config, meta_graph)


def operations_of_loops(graph):
    """The number of operations of each kind inside loops: the forward and the backward one."""
    # Loops are flat here: what is between the entry of a frame and its exit.
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
def test_a_loop_has_one_product_for_each_matrix_and_slices_no_gates(name):
    layer = Recurrent(GatedCell(UNITS, name), return_sequences=True)
    graph = training_graph(layer)
    forward, backward = sorted(operations_of_loops(graph), key=lambda counts: counts["TanhGrad"])
    for counts in (forward, backward):
        assert counts["MatMul"] == MATRICES[name]
        assert not {"Split", "SplitV", "Slice", "ConcatV2", "GatherV2", "StridedSliceGrad"} & set(counts)
    # What is sliced is a step out of a sequence: of the projections, and of the gradient of the outputs and
    # those projections that the step needs apart from their sums with a product.
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
def test_a_backward_loop_reads_no_more_than_it_needs(name, sequences):
    graph = training_graph(Recurrent(GatedCell(UNITS, name), return_sequences=True))
    _, backward = sorted(operations_of_loops(graph), key=lambda counts: counts["TanhGrad"])
    assert backward["TensorListGetItem"] == sequences


@tensorflow_only
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_layers_of_a_stack_hand_sequences_on_without_transposing_them(dropout):
    def sequences_transposed(layers):
        cells = [GatedCell(UNITS, "lstm") for _ in range(layers)]
        graph = training_graph(RecurrentStack(cells, dropout))
        kernels = 4 * layers
        return sum(node.op == "Transpose" for node in graph.node) - kernels

    # The inputs, the outputs, and the gradient of each: at the ends of the stack, whatever is between.
    assert sequences_transposed(1) == sequences_transposed(3) == 4


def temporary_bytes(strategy, name="lstm"):
    """What a compiled training step on JAX needs besides its arguments and results."""
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


@pytest.mark.skipif(TENSORFLOW, reason="TensorFlow does not say how much memory a graph needs")
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_less_memory_is_needed_than_for_a_differentiated_loop(name):
    assert temporary_bytes("recompute", name) < 0.8 * temporary_bytes("loop", name)


@pytest.mark.parametrize(("name", "strategy"), [("lstm", "recompute"), ("min_gru", "scan")])
def test_second_derivatives_are_refused(name, strategy):
    layer = Recurrent(GatedCell(UNITS, name), strategy=strategy)
    x = ops.ones((2, 3, UNITS))
    layer(x)
    with pytest.raises(InputError, match="second derivatives"):
        twice_differentiated(lambda x: ops.sum(layer(x, training=True)), x)
    layer = Recurrent(GatedCell(UNITS, name), strategy="loop")
    layer(x)
    assert twice_differentiated(lambda x: ops.sum(layer(x, training=True)), x).shape == x.shape


def twice_differentiated(function, x):
    """The gradient of the sum of squares of a function's gradient."""
    if TENSORFLOW:
        import tensorflow as tf

        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = function(x)
            squares = ops.sum(inner.gradient(y, x) ** 2)
        return outer.gradient(squares, x)
    import jax

    return jax.grad(lambda x: ops.sum(jax.grad(function)(x) ** 2))(x)


@tensorflow_only
def test_a_persistent_tape_may_ask_twice():
    import tensorflow as tf

    layer, x = Recurrent(GatedCell(UNITS, "lstm"), return_sequences=True), tf.random.normal((2, 5, UNITS))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = layer(x, training=True)
    assert_close(tape.gradient(y, x), tape.gradient(y, x), 0.0)


@pytest.mark.parametrize("strategy", ["loop", "recompute"])
def test_states_that_begin_as_one_tensor_are_two(strategy):
    layer = Recurrent(GatedCell(UNITS, "lstm"), return_sequences=True, strategy=strategy)
    x, state = ops.ones((2, 3, UNITS)), ops.ones((2, UNITS))
    expected = layer(x, initial_state=[ops.ones((2, UNITS)), ops.ones((2, UNITS))])
    with interpreted():
        assert_close(layer(x, initial_state=[state, state], training=True), expected)


class Own(Cell):
    """A cell of one's own with two states: what its step does is handed in."""

    state_size = (UNITS, UNITS)
    output_size = UNITS

    def __init__(self, rule, initial=None, listed=True):
        super().__init__()
        self.rule, self.initial, self.listed = rule, initial, listed

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], UNITS), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(UNITS, UNITS), name="recurrent_kernel")
        self.gain = self.add_weight(shape=(UNITS,), name="gain")

    def project_inputs(self, x):
        return (ops.matmul(x, self.kernel),)

    @property
    def recurrent_kernels(self):
        return {"state": ops.convert_to_tensor(self.recurrent_kernel)}

    @property
    def elementwise_weights(self):
        return {"gain": ops.convert_to_tensor(self.gain)} if self.listed else {}

    def get_initial_state(self, batch_size=None):
        return self.initial(batch_size) if self.initial else super().get_initial_state(batch_size)

    def step(self, projected, states, dot, weights):
        return self.rule(self, projected[0], states, dot, weights)


def twice_the_same(cell, x, states, dot, weights):
    h = ops.tanh(dot("state", states[0], x) * weights["gain"])
    return h, [h, h]


def reads_the_second(cell, x, states, dot, weights):
    c, h = states
    c = c * 0.5 + ops.tanh(dot("state", h, x))
    return c * weights["gain"], [c, ops.tanh(c)]


def broadcasts(cell, x, states, dot, weights):
    h = ops.tanh(x + dot("state", states[0], weights["gain"]))
    return h, [h, h + states[1]]


def one_tensor(batch_size):
    zeros = ops.zeros((batch_size, UNITS))
    return [zeros, zeros]


MODES = ["eager", "graph", "xla"] if TENSORFLOW else ["eager", "jit"]
CELLS = {
    "lstm": lambda: GatedCell(UNITS, "lstm"),
    "gru": lambda: GatedCell(UNITS, "gru"),
    "twice the same": lambda: Own(twice_the_same),
    "reads the second": lambda: Own(reads_the_second),
    "begins as one": lambda: Own(reads_the_second, one_tensor),
    "broadcasts": lambda: Own(broadcasts),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "all"])
@pytest.mark.parametrize("name", CELLS)
def test_strategies_agree_however_they_are_run(name, return_sequences, mode):
    results = []
    for strategy in ("loop", "recompute"):
        keras.utils.set_random_seed(0)
        layer = Recurrent(CELLS[name](), return_sequences=return_sequences, strategy=strategy)
        x = np.random.normal(size=(2, 5, 3)).astype("float32")
        layer(x)
        weights = np.random.normal(size=(5, 1) if return_sequences else (1,)).astype("float32")
        results.append(gradients_in(mode, layer, x, lambda y, w=weights: ops.sum(w * y**2)))
    assert_close(results[1], results[0], 1e-4)


def gradients_in(mode, layer, x, loss):
    """The gradients of inputs and weights: eagerly, in a graph, or compiled."""
    if not TENSORFLOW:
        import jax

        others = [v.value for v in layer.non_trainable_variables]

        def run(trainable, x):
            return loss(layer.stateless_call(trainable, others, x, training=True)[0])

        run = jax.grad(run, argnums=(0, 1))
        return (jax.jit(run) if mode == "jit" else run)([v.value for v in layer.trainable_variables], x)
    import tensorflow as tf

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(layer(x, training=True))
        return tape.gradient(value, [x, *(v.value for v in layer.trainable_variables)])

    return (run if mode == "eager" else tf.function(run, jit_compile=mode == "xla"))(tf.constant(x))


@tensorflow_only
def test_a_stateful_layer_s_gradient_is_that_of_the_states_it_began_with():
    results = []
    for strategy in ("loop", "recompute"):
        keras.utils.set_random_seed(0)
        layer = Recurrent(GatedCell(UNITS, "lstm"), stateful=True, strategy=strategy)
        x = np.random.normal(size=(2, 5, 3)).astype("float32")
        layer(x)  # so that the states are no zeros
        results.append(gradients_in("eager", layer, x, lambda y: ops.sum(y**2)))
    assert_close(results[1], results[0], 1e-4)


@tensorflow_only
def test_a_sparse_gradient_of_the_outputs_is_taken():
    import tensorflow as tf

    layer, x = Recurrent(GatedCell(UNITS, "gru"), strategy="recompute"), np.ones((3, 4, UNITS), "float32")
    layer(x)
    found, expected = (
        gradients_in("graph", layer, x, loss)
        for loss in (lambda y: ops.sum(tf.gather(y, [0, 2])), lambda y: ops.sum(y[0]) + ops.sum(y[2]))
    )
    assert_close(found, expected)


@tensorflow_only
def test_weights_that_a_cell_does_not_list_are_named():
    def rule(cell, x, states, dot, weights):
        h = ops.tanh(dot("state", states[0], x) * cell.gain)
        return h, [h, h]

    layer = Recurrent(Own(rule, listed=False))
    x = np.ones((2, 3, UNITS), "float32")
    layer(x)
    with pytest.raises(InputError, match=r"not among its elementwise_weights: .*gain"):
        gradients_in("eager", layer, x, ops.sum)


REPLICAS = """
import keras, numpy as np, tensorflow as tf
from textrnn import GatedCell, Recurrent

# Has to happen before TensorFlow looks at its devices, hence a process of its own.
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
x, y = np.random.default_rng(0).normal(size=(2, 8, 5, 4))
weights = []
for strategy in tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), tf.distribute.get_strategy():
    keras.utils.set_random_seed(0)
    with strategy.scope():
        layer = Recurrent(GatedCell(4, "lstm"), return_sequences=True)
        model = keras.Sequential([keras.Input((None, 4)), layer])
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    weights.append(model.get_weights())
    print(strategy.num_replicas_in_sync)
for several, one in zip(*weights):
    np.testing.assert_allclose(several, one, atol=1e-5)
"""


@tensorflow_only
def test_replicas_of_a_distribution_strategy_train_as_one():
    done = subprocess.run([sys.executable, "-c", REPLICAS], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "1"]

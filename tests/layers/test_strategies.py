"""Strategies agree in eager execution, in graphs and compiled, and refuse what they cannot do."""

import contextlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from builders.layers import make_batch, make_layer, tensorflow_only, weighted_sum
from builders.seeds import set_seed
from keras import ops
from references.gradients import TENSORFLOW, assert_close, interpreted, value_and_gradients

from textrnn.cells import Cell, GatedCell
from textrnn.errors import InputError
from textrnn.layers import Recurrent
from textrnn.layers.backend import current_values

UNITS = 4


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
    """The gradient of the sum of squares of the gradient of a function."""
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
def test_a_persistent_tape_gives_the_same_gradient_twice():
    import tensorflow as tf

    layer, x = Recurrent(GatedCell(UNITS, "lstm"), return_sequences=True), tf.random.normal((2, 5, UNITS))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = layer(x, training=True)
    assert_close(tape.gradient(y, x), tape.gradient(y, x), 0.0)


@pytest.mark.parametrize("strategy", ["loop", "recompute"])
def test_initial_states_may_be_the_same_tensor(strategy):
    layer = Recurrent(GatedCell(UNITS, "lstm"), return_sequences=True, strategy=strategy)
    x, state = ops.ones((2, 3, UNITS)), ops.ones((2, UNITS))
    expected = layer(x, initial_state=[ops.ones((2, UNITS)), ops.ones((2, UNITS))])
    with interpreted():
        assert_close(layer(x, initial_state=[state, state], training=True), expected)


class Own(Cell):
    """A cell with two states whose step is the function `rule`."""

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


def equal_states(cell, x, states, dot, weights):
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


CELLS = {
    "lstm": lambda: GatedCell(UNITS, "lstm"),
    "gru": lambda: GatedCell(UNITS, "gru"),
    "equal states": lambda: Own(equal_states),
    "reads the second": lambda: Own(reads_the_second),
    "begins as one": lambda: Own(reads_the_second, one_tensor),
    "broadcasts": lambda: Own(broadcasts),
}


@pytest.mark.parametrize(
    "return_sequences", [pytest.param(False, marks=pytest.mark.slow), True], ids=["last", "all"]
)
@pytest.mark.parametrize("name", CELLS)
def test_strategies_have_the_same_gradients_eagerly_and_in_graphs(name, return_sequences):
    def gradients(strategy, mode):
        set_seed(0)
        layer = Recurrent(CELLS[name](), return_sequences=return_sequences, strategy=strategy)
        x = np.random.normal(size=(2, 5, 3)).astype("float32")
        layer(x)
        weights = np.random.normal(size=(5, 1) if return_sequences else (1,)).astype("float32")
        with interpreted() if mode == "eager" else contextlib.nullcontext():
            return gradients_in(mode, layer, x, lambda y: ops.sum(weights * y**2))

    expected = gradients("loop", "eager")
    assert_close(gradients("recompute", "eager"), expected, 1e-4)
    assert_close(gradients("loop", "graph"), expected, 1e-4)
    assert_close(gradients("recompute", "graph"), expected, 1e-4)
    if TENSORFLOW and return_sequences and name not in ("lstm", "gru"):
        assert_close(gradients("recompute", "xla"), expected, 1e-4)


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("lstm_ln", "loop"),
        ("lstm_ln", "recompute"),
        ("slstm", "recompute"),
        ("sru", "recompute"),
        ("qrnn", "scan"),
    ],
)
def test_compiling_with_xla_changes_nothing(name, strategy):
    layer, (x, states, mask) = make_layer(name, strategy), make_batch(name)
    inputs = {"sequences": x, "initial_state": states}
    with interpreted():
        expected, *expected_gradients = value_and_gradients(layer, inputs, weighted_sum, mask=mask)
    actual, *gradients = value_and_gradients(layer, inputs, weighted_sum, mask=mask, compiled=True)
    assert_close(actual, expected)
    assert_close(gradients, expected_gradients, 1e-4)


def gradients_in(mode, layer, x, loss):
    """The gradients of inputs and weights. `mode` is "eager", "graph" or "xla"."""
    if not TENSORFLOW:
        import jax

        others = [v.value for v in layer.non_trainable_variables]

        def run(trainable, x):
            return loss(layer.stateless_call(trainable, others, x, training=True)[0])

        run = jax.grad(run, argnums=(0, 1))
        return (jax.jit(run) if mode == "graph" else run)([v.value for v in layer.trainable_variables], x)
    import tensorflow as tf

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(layer(x, training=True))
        return tape.gradient(value, [x, *(v.value for v in layer.trainable_variables)])

    return (run if mode == "eager" else tf.function(run, jit_compile=mode == "xla"))(tf.constant(x))


@tensorflow_only
def test_the_gradient_of_a_stateful_layer_uses_its_initial_states():
    results = []
    for strategy in ("loop", "recompute"):
        set_seed(0)
        layer = Recurrent(GatedCell(UNITS, "lstm"), stateful=True, strategy=strategy)
        x = np.random.normal(size=(2, 5, 3)).astype("float32")
        layer(x)  # gives states that are not zero
        results.append(gradients_in("eager", layer, x, lambda y: ops.sum(y**2)))
    assert_close(results[1], results[0], 1e-4)


@tensorflow_only
def test_gradients_of_the_outputs_may_be_sparse():
    import tensorflow as tf

    layer, x = Recurrent(GatedCell(UNITS, "gru"), strategy="recompute"), np.ones((3, 4, UNITS), "float32")
    layer(x)
    found, expected = (
        gradients_in("graph", layer, x, loss)
        for loss in (lambda y: ops.sum(tf.gather(y, [0, 2])), lambda y: ops.sum(y[0]) + ops.sum(y[2]))
    )
    assert_close(found, expected)


@tensorflow_only
def test_an_error_names_weights_that_a_cell_does_not_list():
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

# This must come before TensorFlow sets up its devices, so it needs a process of its own.
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


@pytest.mark.slow
@tensorflow_only
def test_two_replicas_of_a_distribution_strategy_train_like_one():
    done = subprocess.run([sys.executable, "-c", REPLICAS], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "1"]


def test_other_backends_are_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(InputError, match="backend is torch: set KERAS_BACKEND to tensorflow or jax"):
        current_values([])

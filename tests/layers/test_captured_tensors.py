"""The gradient of a tensor that a cell's step reads besides its states is right, or refused."""

import numpy as np
import pytest
from builders.seeds import set_seed
from keras import ops
from references.gradients import TENSORFLOW, assert_close, finite_differences, interpreted, value_and_gradient

from textrnn.cells import GatedCell, LinearCell
from textrnn.errors import InputError
from textrnn.layers import Recurrent

UNITS, BATCH, TIME = 3, 2, 4

pytestmark = pytest.mark.usefixtures("without_compilation")


class Topic(GatedCell):
    """A minimal gated unit whose candidate attends to the valid steps of a memory `(batch, time, units)`."""

    memory = None
    valid = None
    """Booleans `(batch, time, 1)`."""
    told = False
    """Whether the memory is among the weights that step is given. Otherwise step reads the attribute."""

    def __init__(self, **kwargs):
        super().__init__(UNITS, "mgu", **kwargs)

    @property
    def elementwise_weights(self):
        more = {"memory": self.memory, "valid": self.valid} if self.told else {}
        return super().elementwise_weights | more

    def step(self, projected, states, dot, weights):
        memory, valid = (weights["memory"], weights["valid"]) if self.told else (self.memory, self.valid)
        (h,) = states
        forget, candidate = (dot(role, h, x) for role, x in zip(self.spec.learned, projected, strict=True))
        scores = ops.sum(memory * ops.expand_dims(h, 1), axis=-1, keepdims=True)
        attention = ops.softmax(ops.where(valid, scores, ops.full_like(scores, -1e9)), axis=1)
        context = ops.sum(attention * memory, axis=1)
        f = ops.sigmoid(forget)
        h = f * h + (1 - f) * ops.tanh(candidate + context)
        return h, [h]


class Leak(LinearCell):
    """A linear cell whose decay is read from outside."""

    state_size, output_size, decay = (UNITS,), UNITS, None

    def project_inputs(self, x):
        return (x,)

    def coefficients(self, projected, weights):
        return ops.ones_like(projected[0]) * self.decay, projected[0]


def make(strategy, told):
    set_seed(0)
    layer = Recurrent(Topic(), strategy=strategy)
    layer.build((None, None, UNITS))
    layer.cell.told = told
    layer.cell.valid = ops.convert_to_tensor([[[True], [False], [True]], [[True], [True], [False]]])
    return layer


X = np.random.default_rng(0).normal(size=(BATCH, TIME, UNITS)).astype("float32")
MEMORY = np.random.default_rng(1).normal(size=(BATCH, 3, UNITS)).astype("float32")


def gradient_of_the_memory(layer):
    def loss(memory):
        layer.cell.memory = memory
        return ops.sum(layer(X, training=True) ** 2)

    return value_and_gradient(loss, MEMORY)[1]


def test_a_memory_among_the_weights_has_the_same_gradient_with_every_strategy():
    layer = make("loop", told=False)

    def loss(arrays):
        layer.cell.memory = ops.convert_to_tensor(arrays[0].astype("float32"))
        return float(ops.sum(layer(X) ** 2))

    expected = finite_differences(loss, [MEMORY.astype("float64")], epsilon=1e-2)
    found = gradient_of_the_memory(layer)
    assert_close(found, expected[0], 1e-2)
    for strategy in ("loop", "recompute", "auto"):
        assert_close(gradient_of_the_memory(make(strategy, told=True)), found, 1e-4)
    assert (found[0, 1] == 0).all() and (found[1, 2] == 0).all()  # where the memory is not valid


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_the_gradient_of_a_captured_tensor_is_refused_with_what_to_do(mode):
    layer = make("recompute", told=False)
    if not TENSORFLOW:
        with pytest.raises(InputError, match=r"reads a tensor from outside.*elementwise_weights"):
            gradient_of_the_memory(layer)
        return
    import tensorflow as tf

    def run(memory):
        with tf.GradientTape() as tape:
            tape.watch(memory)
            layer.cell.memory = memory * 2
            loss = ops.sum(layer(X, training=True))
        return tape.gradient(loss, memory)

    if mode == "graph":
        run = tf.function(run, autograph=False)
    advice = r"reads a tensor \(2, 3, 3\) of float32 from outside.*elementwise_weights.*strategy='loop'"
    with pytest.raises(InputError, match=advice):
        run(tf.constant(MEMORY))


def test_a_captured_constant_is_not_refused():
    expected, found = (
        gradients_of_the_weights(make(strategy, told=False)) for strategy in ("loop", "recompute")
    )
    assert_close(found, expected, 1e-4)


def gradients_of_the_weights(layer):
    layer.cell.memory = ops.convert_to_tensor(MEMORY)
    if TENSORFLOW:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = ops.sum(layer(X, training=True))
        return tape.gradient(loss, [v.value for v in layer.trainable_variables])
    import jax

    def loss(weights):
        return ops.sum(layer.stateless_call(weights, others, X, training=True)[0])

    others = [v.value for v in layer.non_trainable_variables]
    return jax.grad(loss)([v.value for v in layer.trainable_variables])


@pytest.mark.parametrize("strategy", ["loop", "scan", "recompute"])
def test_a_scan_differentiates_what_its_coefficients_capture(strategy):
    layer = Recurrent(Leak(), strategy=strategy)
    layer.build((None, None, UNITS))

    def loss(decay):
        layer.cell.decay = decay
        return ops.sum(layer(X, training=True))

    decay = np.array(0.5, "float32")
    if strategy == "recompute":
        with pytest.raises(InputError, match="from outside"):
            value_and_gradient(loss, decay)
        return
    powers = np.arange(TIME)[::-1]
    expected = (X * (powers * 0.5 ** np.maximum(powers - 1, 0))[:, None]).sum()
    with interpreted():
        assert_close(value_and_gradient(loss, decay)[1], expected, 1e-5)

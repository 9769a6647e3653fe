"""The gradients of every cell with every strategy equal finite differences of a NumPy reference."""

import functools

import keras
import numpy as np
import pytest
from builders.layers import (
    every_cell_and_strategy,
    make_batch,
    make_layer,
    seeded,
    tensorflow_only,
    weighted_sum,
)
from keras import ops
from references.gated_cells import REFERENCES
from references.gradients import TENSORFLOW, assert_close, finite_differences, float64, value_and_gradients

pytestmark = pytest.mark.usefixtures("without_compilation")

SIZES = {"features": 2, "units": 2, "dtype": "float64"}


def tolerance():
    """On JAX, Keras computes tanh in float32 if it is given float64: rounding, not an error of the gradient.

    With an exact tanh, every cell is within 1e-6. Differences of 1e-7 in single values leave up to 5e-6.
    When Keras keeps float64, the tolerance is that of TensorFlow again.
    """
    with float64():
        exact = keras.backend.standardize_dtype(ops.tanh(ops.zeros(1, "float64")).dtype) == "float64"
    assert exact or not TENSORFLOW
    return 1e-6 if exact else 5e-6


@functools.cache  # the strategies of a cell share them
def expected_gradients(name):
    """The gradients of inputs, initial states and weights, by finite differences of the reference."""
    with seeded(0):
        weights = make_layer(name, "loop", **SIZES).get_weights()
    with seeded(1):
        x, states, mask = make_batch(name, time=3, **SIZES)

    def loss(arrays):
        x, *arrays = arrays
        outputs, last = REFERENCES[name].run(arrays[len(states) :], x, arrays[: len(states)], mask)
        random = np.random.default_rng(0)  # as `weighted_sum`
        return sum(np.sum(o * random.normal(size=o.shape)) for o in [outputs, *last])

    return finite_differences(loss, [x, *states, *weights])


@every_cell_and_strategy
def test_gradients_equal_finite_differences_of_the_numpy_reference(name, strategy):
    with float64():
        with seeded(0):
            layer = make_layer(name, strategy, **SIZES)
        with seeded(1):
            x, states, mask = make_batch(name, time=3, **SIZES)
        inputs = {"sequences": x, "initial_state": states}
        _, by_input, by_weight = value_and_gradients(layer, inputs, weighted_sum, mask=mask)
        actual = [by_input["sequences"], *by_input["initial_state"], *by_weight]
        assert {a.dtype for a in actual} == {np.dtype("float64")}
        assert_close(actual, expected_gradients(name), tolerance())


@tensorflow_only
@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize(
    ("name", "strategy"),
    [("lstm", "loop"), ("lstm", "recompute"), ("rg_lru", "recompute"), ("rg_lru", "scan")],
)
def test_jacobians_equal_those_of_keras(name, strategy, in_graph):
    import tensorflow as tf

    layer = make_layer(name, strategy)
    x = tf.constant(make_batch(name)[0])

    def jacobian(layer, **options):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            outputs = layer(x)[0]
        return tape.batch_jacobian(outputs[:, -1], x, **options)

    keras_layer = keras.layers.RNN(layer.cell, return_sequences=True, return_state=True)
    expected = jacobian(keras_layer)
    run = tf.function(jacobian) if in_graph else jacobian
    assert_close(run(layer, experimental_use_pfor=False), expected)
    if strategy == "scan":
        assert_close(run(layer), expected)

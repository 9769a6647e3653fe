"""Gradients for tests: by the backend, and by finite differences in float64."""

import contextlib

import keras
import numpy as np
from keras import ops

TENSORFLOW = keras.backend.backend() == "tensorflow"


def value_and_gradients(layer, inputs, loss, compiled=False, **options):
    """What a layer computes, and the gradients of a loss of it.

    Args:
        layer: a built layer.
        inputs: keyword arguments of the layer, tensors or nested lists of them, to differentiate by.
        loss: a function of the layer's outputs.
        compiled: whether to compile with XLA.
        **options: other keyword arguments of the layer.

    Returns:
        The outputs, the gradients of the inputs (structured as they are) and those of the trainable
        weights, all as NumPy arrays.
    """
    inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
    run = _tensorflow if TENSORFLOW else _jax
    results = run(layer, inputs, loss, compiled, options)
    return keras.tree.map_structure(ops.convert_to_numpy, results)


def _tensorflow(layer, inputs, loss, compiled, options):
    import tensorflow as tf

    @(tf.function(jit_compile=True) if compiled else lambda function: function)
    def run(inputs):
        variables = [variable.value for variable in layer.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(**inputs, **options)
            value = loss(outputs)
        gradients = tape.gradient(value, [inputs, variables], unconnected_gradients="zero")
        return [outputs, *gradients]

    return run(inputs)


def _jax(layer, inputs, loss, compiled, options):
    import jax

    def run(inputs, trainable):
        outputs, _ = layer.stateless_call(
            trainable, [v.value for v in layer.non_trainable_variables], **inputs, **options
        )
        return loss(outputs), outputs

    run = jax.value_and_grad(run, argnums=(0, 1), has_aux=True)
    trainable = [variable.value for variable in layer.trainable_variables]
    if compiled:
        with jax.disable_jit(False):  # also where others are `interpreted`
            (_, outputs), gradients = jax.jit(run)(inputs, trainable)
    else:
        (_, outputs), gradients = run(inputs, trainable)
    return [outputs, *gradients]


def value_and_gradient(function, x):
    """A scalar function of one tensor, and its gradient, as NumPy arrays."""
    x = ops.convert_to_tensor(x)
    if TENSORFLOW:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        results = value, tape.gradient(value, x)
    else:
        import jax

        results = jax.value_and_grad(function)(x)
    return tuple(ops.convert_to_numpy(result) for result in results)


def finite_differences(function, arrays, epsilon=1e-6):
    """The gradient of a scalar function of a list of float64 arrays, by central differences."""
    gradients = []
    for array in arrays:
        gradient = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + epsilon
            above = function(arrays)
            array[index] = kept - epsilon
            below = function(arrays)
            array[index] = kept
            gradient[index] = (above - below) / (2 * epsilon)
        gradients.append(gradient)
    return gradients


@contextlib.contextmanager
def float64():
    """Where JAX computes in float64; TensorFlow does whenever asked."""
    if TENSORFLOW:
        yield
    else:
        import jax

        with jax.enable_x64(True):
            yield


@contextlib.contextmanager
def interpreted():
    """Where JAX runs a scan step by step; otherwise it compiles one anew whenever it is called eagerly."""
    if TENSORFLOW:
        yield
    else:
        import jax

        with jax.disable_jit():
            yield


def assert_close(actual, expected, tolerance=2e-5):
    """Equal to `tolerance` times the largest expected value, array by array."""
    actual, expected = keras.tree.flatten(actual), keras.tree.flatten(expected)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        found, wanted = (np.asarray(ops.convert_to_numpy(x), "float64") for x in (a, e))
        assert found.shape == wanted.shape
        scale = max(np.abs(wanted).max(initial=0), 1e-3)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * scale)

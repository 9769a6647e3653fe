"""Gradients for tests, by the backend and by finite differences in float64."""

import contextlib

import keras
import numpy as np
from keras import ops

TENSORFLOW = keras.backend.backend() == "tensorflow"


def value_and_gradients(layer, inputs, loss, compiled=False, **options):
    """Compute the outputs of a layer and the gradients of a loss.

    Args:
        layer: A built layer.
        inputs: Keyword arguments of the layer to differentiate by, tensors or nested lists of tensors.
        loss: A function of the layer's outputs.
        compiled: Whether to compile with XLA.
        **options: Other keyword arguments of the layer.

    Returns:
        The outputs, the gradients of the inputs (with the same structure) and the gradients of the trainable
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
        with jax.disable_jit(False):  # also inside `interpreted`
            (_, outputs), gradients = jax.jit(run)(inputs, trainable)
    else:
        (_, outputs), gradients = run(inputs, trainable)
    return [outputs, *gradients]


def value_and_gradient(function, x):
    """The value and gradient of a scalar function of one tensor, as NumPy arrays."""
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
    """Inside, JAX computes in float64 if asked. TensorFlow always does."""
    if TENSORFLOW:
        yield
    else:
        import jax

        with jax.enable_x64(True):
            yield


@contextlib.contextmanager
def interpreted():
    """Inside, JAX runs scans step by step. Otherwise it compiles each scan that is called eagerly."""
    if TENSORFLOW:
        yield
    else:
        import jax

        with jax.disable_jit():
            yield


@contextlib.contextmanager
def compiled():
    """Inside, JAX compiles loops, also within `interpreted`. This is faster for loops of many steps."""
    if TENSORFLOW:
        yield
    else:
        import jax

        with jax.disable_jit(False):
            yield


def assert_close(actual, expected, tolerance=2e-5):
    """Check that arrays are equal within `tolerance` times the largest expected value of each."""
    actual, expected = keras.tree.flatten(actual), keras.tree.flatten(expected)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        found, wanted = (np.asarray(ops.convert_to_numpy(x), "float64") for x in (a, e))
        assert found.shape == wanted.shape
        scale = max(np.abs(wanted).max(initial=0), 1e-3)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * scale)

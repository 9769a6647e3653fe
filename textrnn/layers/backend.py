"""The one place in cells and layers that branches on Keras's backend."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from textrnn.cells.base import Tensor, at_least_float32
from textrnn.errors import InputError

Fold = Callable[..., tuple[list[Tensor], list]]


def values(tensors):
    """The tensors as they are now: Keras's variables may be assigned to before a gradient is asked for."""
    tensors = [ops.convert_to_tensor(x) for x in tensors]
    if keras.backend.backend() == "jax":
        return tensors
    import tensorflow as tf

    return [tf.identity(x) for x in tensors]


def upstream_of(given) -> list[Tensor]:
    """What a custom gradient is handed over, as one list of tensors: on TensorFlow it is one argument for
    each result, perhaps sparse, on JAX one tuple."""
    if keras.backend.backend() == "jax":
        return keras.tree.flatten(given)
    import tensorflow as tf

    return [tf.convert_to_tensor(d) for d in given]


def first_derivative(d: Tensor) -> Tensor:
    """d, which refuses to be differentiated: what a forward pass has kept is a constant to its gradient, so
    that a derivative of that would be wrong."""

    def checked(d):
        def gradient(*_, **__):
            raise InputError(
                "there are no second derivatives through the strategies recompute and scan: use "
                "strategy='loop' for them"
            )

        return d, gradient

    return ops.custom_gradient(checked)(d)


def zero_total(x):
    """Where a sum over all steps begins."""
    return ops.zeros_like(x, dtype=at_least_float32(x))


def outer_sum(x, d):
    """The gradient of a kernel `(n, m)` from all steps: x `(time, batch, n)`, d `(time, batch, m)`."""
    x, d = (ops.reshape(a, (-1, a.shape[-1])) for a in (x, d))
    return ops.matmul(ops.transpose(x), d)


def fold(
    body: Callable,
    carry: list[Tensor],
    inputs: list,
    outputs_like: list,
    reverse: bool = False,
    differentiated: bool = False,
) -> tuple[list[Tensor], list]:
    """Folds `body` over the leading axis of `inputs`, as a loop of the backend.

    Args:
        body: (carry, one step of each input) -> (new carry, one step of each output), all lists of tensors.
        carry: what the first step starts from.
        inputs: each a tensor `(time, ...)`, or what an earlier fold gave as an output.
        outputs_like: for each output a tensor with the shape and dtype of one of its steps; or one of
            `inputs` that an earlier fold gave, which it may take the memory of, step by step.
        reverse: whether to go from the last step to the first; outputs stay at the places of their steps.
        differentiated: whether the backend is going to differentiate the loop.

    Returns:
        The last carry, and the outputs as the backend keeps them: see `stacked`. In a graph, outputs that are
        one and the same tensor are kept once.

    Raises:
        InputError: for sequences that are known to have no steps.
    """
    if inputs[0].shape[0] == 0:
        raise InputError("the sequences have no steps: give at least one")
    backend = keras.backend.backend()
    if backend not in _FOLDS:
        raise InputError(f"textrnn runs on the backends {' and '.join(_FOLDS)}: {backend} is not one of them")
    kept_as: list[int] = []
    eager = (
        executes_eagerly()
    )  # two outputs may then be one tensor by chance, at one step and not at the next

    def without_repetitions(carry, inputs):
        carry, outputs = body(carry, inputs)
        same = [next(i for i, other in enumerate(outputs) if other is y) for y in outputs]
        kept_as[:] = range(len(outputs)) if eager else same
        return carry, [
            y if place == i else None for i, (place, y) in enumerate(zip(kept_as, outputs, strict=True))
        ]

    carry, outputs = _FOLDS[backend](
        without_repetitions, carry, inputs, outputs_like, reverse, differentiated
    )
    return carry, [outputs[place] for place in kept_as]


def stacked(sequences: list) -> list[Tensor]:
    """Outputs of a fold as tensors `(time, ...)`."""
    if keras.backend.backend() == "jax":
        return list(sequences)
    # One that stands for several outputs is stacked once.
    tensors = {id(x): x.stack() for x in sequences}
    return [tensors[id(x)] for x in sequences]


def _fold_tensorflow(body, carry, inputs, outputs_like, reverse, differentiated):
    import tensorflow as tf

    def array(x):
        return isinstance(x, tf.TensorArray)

    steps = next(x.shape[0] or tf.shape(x)[0] for x in inputs if not array(x))
    # A slice of the leading axis is no copy. But its gradient is a dense zero tensor a step, which makes
    # time quadratic: what is going to be differentiated is read from arrays.
    if differentiated:
        inputs = [tf.TensorArray(x.dtype, steps, element_shape=x.shape[1:]).unstack(x) for x in inputs]
    # Arrays rather than stacked tensors are handed from a forward loop to its backward loop: stacking copies.
    # In a graph, writing to an array gives another one. Eagerly it changes what a tape may need again.
    overwritten = {} if executes_eagerly() else {id(y): i for i, y in enumerate(outputs_like) if array(y)}

    def writer(like):
        if id(like) in overwritten:
            return like
        shape = like.element_shape if array(like) else like.shape
        return tf.TensorArray(like.dtype, steps, element_shape=shape, clear_after_read=False)

    def advance(count, carry, writers):
        time = steps - 1 - count if reverse else count
        begin, end = tf.reshape(time, [1]), tf.reshape(time + 1, [1])

        def read(x):
            if not array(x):
                return tf.strided_slice(x, begin, end, [1], shrink_axis_mask=1)
            # Read through the loop's own variable, so that nothing else refers to what is overwritten.
            return (writers[overwritten[id(x)]] if id(x) in overwritten else x).read(time)

        new_carry, outputs = body(carry, [read(x) for x in inputs])
        for new, old in zip(new_carry, carry, strict=True):
            new.set_shape(old.shape)  # what is known before the first step holds after each
        written = [w if y is None else w.write(time, y) for w, y in zip(writers, outputs, strict=True)]
        return count + 1, new_carry, written

    # XLA can differentiate a loop only if it knows how often it runs at most.
    _, carry, writers = tf.while_loop(
        lambda count, *_: count < steps,
        advance,
        (tf.constant(0), carry, [writer(like) for like in outputs_like]),
        maximum_iterations=steps,
    )
    return carry, writers


def _fold_jax(body, carry, inputs, outputs_like, reverse, differentiated):
    from jax import lax

    return lax.scan(body, carry, inputs, reverse=reverse)


_FOLDS: dict[str, Fold] = {"tensorflow": _fold_tensorflow, "jax": _fold_jax}


def vector_jacobian(function: Callable, arguments: tuple, cotangents: list[Tensor]) -> tuple[Any, Any]:
    """The vector-Jacobian product of a function at a point.

    Args:
        function: pure, `function(*arguments) -> (outputs, others)`, where outputs is a list of tensors.
        arguments: nested lists of tensors.
        cotangents: a tensor for each output.

    Returns:
        The gradients, structured as `arguments`, zero where nothing depends on them; and the others.
    """
    if keras.backend.backend() == "jax":
        import jax

        _, pull_back, others = jax.vjp(function, *arguments, has_aux=True)
        return pull_back(cotangents), others
    import tensorflow as tf

    if executes_eagerly():  # one tensor that stands for two arguments would get the gradients of both, twice
        arguments = keras.tree.map_structure(tf.identity, arguments)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(arguments)
        outputs, others = function(*arguments)
    gradients = tape.gradient(outputs, arguments, cotangents, unconnected_gradients="zero")
    return gradients, others


def executes_eagerly():
    """Whether a loop calls its body for each step, rather than once to see what it does."""
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.config.values["jax_disable_jit"])
    import tensorflow as tf

    return tf.executing_eagerly()


def accelerated() -> bool:
    """Whether the backend computes on something else than a CPU."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() != "cpu"
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def parallel_scan(a: Tensor, b: Tensor, reverse: bool = False) -> Tensor:
    """All c(t) = a(t) ⊙ c(t−1) + b(t) with nothing before the first step, in a logarithmic number of turns.

    Args:
        a, b: `(time, batch, n)`.
        reverse: whether c(t) depends on c(t+1) instead.
    """
    if keras.backend.backend() == "jax":
        from jax import lax

        def combine(earlier, later):
            (a1, b1), (a2, b2) = earlier, later
            return a1 * a2, a2 * b1 + b2

        return lax.associative_scan(combine, (a, b), reverse=reverse)[1]
    return _doubling_tensorflow(a, b, reverse)


def _doubling_tensorflow(a, b, reverse):
    # Each turn joins to what every step knows of the last n steps what the step n before it knows of its own:
    # more work than combining in pairs, but no shape depends on the turn, so XLA compiles it too, and the
    # number of steps may be unknown.
    import tensorflow as tf

    steps = tf.shape(a)[0]
    time = tf.reshape(tf.range(steps), [-1] + [1] * (len(a.shape) - 1))

    def turn(reach, a, b):
        joins = time < steps - reach if reverse else time >= reach
        shift = -reach if reverse else reach
        a_before = tf.where(joins, tf.roll(a, shift, 0), tf.ones_like(a))
        b_before = tf.where(joins, tf.roll(b, shift, 0), tf.zeros_like(b))
        return 2 * reach, a * a_before, a * b_before + b

    return tf.while_loop(lambda reach, *_: reach < steps, turn, (tf.constant(1), a, b))[2]

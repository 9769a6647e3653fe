"""Loops, gradients and devices: the only module of cells and layers that branches on Keras's backend.

Tensors of sequences are time-major: `(time, batch, ...)`.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from textrnn.errors import InputError
from textrnn.tensors import Tensor

Fold = Callable[..., tuple[list[Tensor], list]]


def current_values(tensors: Iterable) -> list[Tensor]:
    """Tensors with the current values of tensors or Keras variables.

    A later assignment to a variable does not change them, so a gradient sees the values of the forward pass.

    Raises:
        InputError: If the backend is not supported.
    """
    _check_backend()
    tensors = [ops.convert_to_tensor(x) for x in tensors]
    if keras.backend.backend() == "jax":
        return tensors
    import tensorflow as tf

    return [tf.identity(x) for x in tensors]


def outside_graph() -> contextlib.AbstractContextManager:
    """Context manager in which tensors that depend on no input have values, also while a graph is traced."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.ensure_compile_time_eval()
    import tensorflow as tf

    return tf.init_scope()


def upstream_gradients(arguments: tuple) -> list[Tensor]:
    """The positional arguments of a custom gradient as one list of dense tensors.

    TensorFlow passes one argument for each result, which may be sparse. JAX passes one tuple.
    """
    if keras.backend.backend() == "jax":
        return keras.tree.flatten(arguments)
    import tensorflow as tf

    return [tf.convert_to_tensor(d) for d in arguments]


def forbid_gradient(tensor: Tensor, message: str) -> Tensor:
    """The same tensor, which raises an `InputError` when something is differentiated by it."""

    def identity(x):
        def raise_error(*_, **__):
            raise InputError(message)

        return x, raise_error

    return ops.custom_gradient(identity)(tensor)


def forbid_second_derivative(gradient: Tensor) -> Tensor:
    """The same gradient, which raises an error when it is differentiated.

    A custom gradient treats what the forward pass kept as constants, so its derivative would be wrong.
    """
    return forbid_gradient(
        gradient,
        "the strategies recompute, scan and fused have no second derivatives. For them, set strategy='loop' "
        "in the layer, stack or backbone",
    )


def differentiable_once(tensor: Tensor) -> Tensor:
    """The same tensor, whose gradient raises an error when it is differentiated.

    For ops without a second derivative, whose own error would not say what to do.
    """

    def identity(x):
        def gradient(*upstream, **_):
            (d,) = upstream_gradients(upstream)
            return forbid_second_derivative(d)

        return x, gradient

    return ops.custom_gradient(identity)(tensor)


def observe(function: Callable, *arguments) -> list[Tensor]:
    """Call a function with tensors like the arguments, which have no values, so nothing is computed.

    Args:
        function: A function that returns nothing. Tensors that it keeps have a shape and a dtype only.
        *arguments: Nested structures of tensors.

    Returns:
        The tensors of floats that the function reads besides its arguments, on TensorFlow. On JAX the list is
        empty, see `captures_refused`.
    """
    if keras.backend.backend() == "jax":
        import jax

        jax.eval_shape(function, *arguments)
        return []
    import tensorflow as tf

    specs = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), arguments)
    traced = tf.function(function, autograph=False).get_concrete_function(*specs)
    return [x for x in traced.captured_inputs if x.dtype.is_floating]


@contextlib.contextmanager
def captures_refused(message: str) -> Iterator[None]:
    """Explain JAX's error about a custom gradient that reads a differentiated tensor besides its arguments.

    Raises:
        InputError: With this message, instead of that error.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    try:
        yield
    except jax.errors.UnexpectedTracerError as error:
        raise InputError(message) from error


def fold(
    body: Callable,
    carry: list[Tensor],
    inputs: list,
    outputs_like: list,
    reverse: bool = False,
    differentiated: bool = False,
) -> tuple[list[Tensor], list]:
    """Run `body` at each step of the leading axis of `inputs`, in a loop of the backend.

    Args:
        body: `(carry, inputs of one step) -> (new carry, outputs of one step)`, all lists of tensors.
        carry: The carry of the first step.
        inputs: Tensors `(time, ...)`, or outputs of an earlier fold.
        outputs_like: For each output, a tensor with the shape and dtype of one step. It may also be an item
            of `inputs` that is an output of an earlier fold, whose memory is then overwritten step by step.
        reverse: Whether to run from the last step to the first. Outputs keep the positions of their steps.
        differentiated: Whether the backend will differentiate the loop.

    Returns:
        The last carry, and the outputs in the backend's own form, see `stack_outputs`. In a graph, outputs
        that are the same tensor are stored once.

    Raises:
        InputError: If the backend is not supported.
    """
    backend = _check_backend()
    stored_at: list[int] = []
    # In eager execution two outputs may be the same tensor at one step only, so each is stored.
    eager = _runs_eagerly()

    def store_once(carry, inputs):
        carry, outputs = body(carry, inputs)
        first = [next(i for i, other in enumerate(outputs) if other is y) for y in outputs]
        stored_at[:] = range(len(outputs)) if eager else first
        return carry, [y if stored_at[i] == i else None for i, y in enumerate(outputs)]

    carry, outputs = _FOLDS[backend](store_once, carry, inputs, outputs_like, reverse, differentiated)
    return carry, [outputs[i] for i in stored_at]


def stack_outputs(outputs: list) -> list[Tensor]:
    """Outputs of `fold` as tensors `(time, ...)`."""
    if keras.backend.backend() == "jax":
        return list(outputs)
    # An array that stands for several outputs is stacked once.
    tensors = {id(x): x.stack() for x in outputs}
    return [tensors[id(x)] for x in outputs]


def split_steps(x: Tensor, count: int) -> list[Tensor]:
    """Consecutive parts of the leading axis, whose lengths differ by one at most.

    The gradient is one concatenation. That of slices would be a tensor as large as x for each.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.numpy.array_split(x, count)
    import tensorflow as tf

    steps = x.shape[0] if x.shape[0] is not None else tf.shape(x)[0]
    ends = [steps * index // count for index in range(count + 1)]
    return tf.split(x, [end - start for start, end in itertools.pairwise(ends)])


@dataclass(frozen=True, eq=False)
class _Steps:
    """A TensorArray of steps, with the shape of one step for `stack`, a list of ints and scalar tensors."""

    array: Any
    shape: Any = None

    def stack(self):
        """A tensor `(time, ...)`, even of an array without steps, whose own shape has no batch size."""
        import tensorflow as tf

        if _runs_eagerly() or self.array.element_shape.is_fully_defined():
            return self.array.stack()
        # As TensorArray.stack, which passes the static shape only.
        return tf.raw_ops.TensorListStack(
            input_handle=self.array.flow, element_shape=self.shape, element_dtype=self.array.dtype
        )


def _fold_tensorflow(body, carry, inputs, outputs_like, reverse, differentiated):
    import tensorflow as tf

    def is_array(x):
        return isinstance(x, _Steps)

    sequence = next(x for x in inputs if not is_array(x))
    steps, batch_size = (sequence.shape[i] or tf.shape(sequence)[i] for i in range(2))
    # A slice of the leading axis is no copy, but its gradient is a dense tensor of zeros for each step, which
    # takes quadratic time. So a loop that will be differentiated reads from arrays.
    if differentiated:
        arrays = [tf.TensorArray(x.dtype, steps, element_shape=x.shape[1:]).unstack(x) for x in inputs]
        inputs = [_Steps(array) for array in arrays]
    # A backward loop gets the arrays of its forward loop: stacking them would copy. In a graph, a write gives
    # a new array. In eager execution it changes the array, which a persistent tape may read again.
    overwritten = {} if _runs_eagerly() else {id(y): i for i, y in enumerate(outputs_like) if is_array(y)}

    def writer(like):
        if id(like) in overwritten:
            return like.array
        if is_array(like):
            dtype, shape = like.array.dtype, like.array.element_shape
        else:
            dtype, shape = like.dtype, like.shape
        return tf.TensorArray(dtype, steps, element_shape=shape, clear_after_read=False)

    def step_shape(like):
        if is_array(like):
            return like.shape
        # A tensor of `observe` has no values, but its only unknown size is that of the batch.
        batch, *rest = like.shape
        sizes = [n if n is not None else tf.shape(like)[i] for i, n in enumerate(rest, 1)]
        return [batch_size if batch is None else batch, *sizes]

    def advance(count, carry, writers):
        time = steps - 1 - count if reverse else count
        begin, end = tf.reshape(time, [1]), tf.reshape(time + 1, [1])

        def read(x):
            if not is_array(x):
                return tf.strided_slice(x, begin, end, [1], shrink_axis_mask=1)
            # Read through the loop variable, so that nothing else refers to an overwritten array.
            return (writers[overwritten[id(x)]] if id(x) in overwritten else x.array).read(time)

        new_carry, outputs = body(carry, [read(x) for x in inputs])
        for new, old in zip(new_carry, carry, strict=True):
            new.set_shape(old.shape)  # static shapes do not change from step to step
        written = [w if y is None else w.write(time, y) for w, y in zip(writers, outputs, strict=True)]
        return count + 1, new_carry, written

    # XLA differentiates a loop only if it knows the maximum number of iterations.
    _, carry, writers = tf.while_loop(
        lambda count, *_: count < steps,
        advance,
        (tf.constant(0), carry, [writer(like) for like in outputs_like]),
        maximum_iterations=steps,
    )
    shapes = [step_shape(like) for like in outputs_like]
    return carry, [_Steps(array, shape) for array, shape in zip(writers, shapes, strict=True)]


def _fold_jax(body, carry, inputs, outputs_like, reverse, differentiated):
    from jax import lax

    return lax.scan(body, carry, inputs, reverse=reverse)


_FOLDS: dict[str, Fold] = {"tensorflow": _fold_tensorflow, "jax": _fold_jax}


def _check_backend():
    """Return the name of the backend, or raise an `InputError` if it is not supported."""
    backend = keras.backend.backend()
    if backend not in _FOLDS:
        raise InputError(f"the Keras backend is {backend}: set KERAS_BACKEND to {' or '.join(_FOLDS)}")
    return backend


def vector_jacobian_product(
    function: Callable, arguments: tuple, cotangents: list[Tensor]
) -> tuple[Any, Any]:
    """The vector-Jacobian product of a function.

    Args:
        function: A pure function `function(*arguments) -> (outputs, auxiliary)`, where outputs is a list of
            tensors.
        arguments: Nested lists of tensors.
        cotangents: A tensor for each output.

    Returns:
        The gradients, with the structure of `arguments`, and the auxiliary outputs. Gradients are zeros where
        the outputs do not depend on an argument.
    """
    if keras.backend.backend() == "jax":
        import jax

        _, pull_back, auxiliary = jax.vjp(function, *arguments, has_aux=True)
        return pull_back(cotangents), auxiliary
    import tensorflow as tf

    if _runs_eagerly():  # a tensor passed as two arguments would get the gradient of both, twice
        arguments = keras.tree.map_structure(tf.identity, arguments)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(arguments)
        outputs, auxiliary = function(*arguments)
    gradients = tape.gradient(outputs, arguments, cotangents, unconnected_gradients="zero")
    return gradients, auxiliary


def _runs_eagerly():
    """Whether a loop calls its body at every step, and not once to trace it."""
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.config.values["jax_disable_jit"])
    import tensorflow as tf

    return tf.executing_eagerly()


_FOR_ANY_DEVICE = ContextVar("for_any_device", default=False)


@contextlib.contextmanager
def graphs_for_any_device() -> Iterator[None]:
    """Context manager in which graphs do not depend on the devices of this machine.

    An export may run elsewhere, so it is traced as on a machine without an accelerator.
    """
    token = _FOR_ANY_DEVICE.set(True)
    try:
        yield
    finally:
        _FOR_ANY_DEVICE.reset(token)


def has_accelerator() -> bool:
    """Whether the backend computes on a device other than a CPU; False in `graphs_for_any_device`."""
    if _FOR_ANY_DEVICE.get():
        return False
    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() != "cpu"
    import tensorflow as tf

    # As Keras does. A physical device may be hidden.
    return bool(tf.config.list_logical_devices("GPU"))


def parallel_scan(a: Tensor, b: Tensor, reverse: bool = False) -> Tensor:
    """All c(t) = a(t) ⊙ c(t−1) + b(t), with zeros before the first step, in O(log T) steps.

    Args:
        a, b: `(time, batch, n)`.
        reverse: Whether c(t) depends on c(t+1) instead.
    """
    if keras.backend.backend() == "jax":
        from jax import lax

        def combine(earlier, later):
            (a1, b1), (a2, b2) = earlier, later
            return a1 * a2, a2 * b1 + b2

        return lax.associative_scan(combine, (a, b), reverse=reverse)[1]
    return _parallel_scan_tensorflow(a, b, reverse)


def _parallel_scan_tensorflow(a, b, reverse):
    """A scan by doubling (Hillis & Steele 1986): after k iterations each step covers the last 2^k steps.

    It does more arithmetic than combining in pairs, but its shapes are the same in every iteration. So XLA
    compiles it, and the number of steps may be unknown.
    """
    import tensorflow as tf

    steps = tf.shape(a)[0]
    time = tf.reshape(tf.range(steps), [-1] + [1] * (len(a.shape) - 1))

    def double(reach, a, b):
        has_earlier = time < steps - reach if reverse else time >= reach
        shift = -reach if reverse else reach
        a_earlier = tf.where(has_earlier, tf.roll(a, shift, 0), tf.ones_like(a))
        b_earlier = tf.where(has_earlier, tf.roll(b, shift, 0), tf.zeros_like(b))
        return 2 * reach, a * a_earlier, a * b_earlier + b

    return tf.while_loop(lambda reach, *_: reach < steps, double, (tf.constant(1), a, b))[2]

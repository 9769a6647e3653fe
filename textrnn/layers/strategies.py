"""How a recurrence runs over time: pure functions on tensors. The one place that branches on the backend.

Every tensor here is time-major: `(time, batch, ...)`.
"""

from collections.abc import Callable, Mapping, Sequence

import keras
from keras import ops

from textrnn.cells.base import Tensor
from textrnn.errors import InputError

Scan = Callable[..., tuple[list[Tensor], list[Tensor]]]


def loop(
    step: Callable,
    projected: Sequence[Tensor],
    states: Sequence[Tensor],
    kernels: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    mask: Tensor | None,
    first_output: Tensor,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
    unroll: bool = False,
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """One step after another, differentiated by the backend. The reference for every other strategy.

    Args:
        step: a cell's `step`.
        projected: what the cell's `project_inputs` gave for the whole sequence, each `(time, batch, n)`.
        states: the initial states, each `(batch, n)`.
        kernels: the cell's `recurrent_kernels`.
        weights: the cell's `elementwise_weights`, and whatever else `step` looks for there.
        mask: `(time, batch, 1)`, True where a step is valid, or None. A masked step leaves the states as
            they are and repeats the output before it.
        first_output: `(batch, n)`: what is repeated where there is no output before.
        zero_output_for_mask: whether a masked step's output is zero instead.
        return_all_outputs: whether outputs other than the last are kept.
        unroll: whether to unroll the loop; the number of steps must be static.

    Returns:
        The last output `(batch, n)`, all outputs `(time, batch, n)` or None, and the last states.
    """
    count = len(states)

    def dot(name, x):
        return ops.matmul(x, kernels[name])

    # What is carried from step to step is flat: the states and, only where a later step or the caller
    # needs it, the output.
    carries_output = mask is not None or not return_all_outputs

    def advance(carry, inputs):
        states, previous = carry[:count], carry[count:]
        inputs, valid = inputs[: len(projected)], inputs[len(projected) :]
        output, new_states = step(inputs, states, dot, weights)
        if valid:
            otherwise = ops.zeros_like(output) if zero_output_for_mask else previous[0]
            output = ops.where(valid[0], output, otherwise)
            new_states = [ops.where(valid[0], new, old) for new, old in zip(new_states, states, strict=True)]
        carry = [*new_states, *([output] if carries_output else [])]
        return carry, [output] if return_all_outputs else []

    carry, outputs = (unrolled if unroll else scan)(
        advance,
        [*states, *([first_output] if carries_output else [])],
        [*projected, *([] if mask is None else [mask])],
        [first_output] if return_all_outputs else [],
    )
    last_output = carry[count] if carries_output else outputs[0][-1]
    return last_output, outputs[0] if return_all_outputs else None, carry[:count]


STRATEGIES = {"loop": loop}
"""Name -> function. Each has the signature of `loop` and gives its results."""


def resolve(strategy: str) -> str:
    """The name of the strategy that runs for `strategy`, which may be "auto".

    Raises:
        InputError: for an unknown strategy.

    Example:
    >>> from textrnn.layers.strategies import resolve
    >>> resolve("auto")
    'loop'
    """
    if strategy == "auto":
        return "loop"
    if strategy not in STRATEGIES:
        raise InputError(f"there is no strategy {strategy!r}: use auto or {' or '.join(STRATEGIES)}")
    return strategy


def scan(
    body: Callable, carry: list[Tensor], inputs: list[Tensor], outputs_like: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Folds `body` over the leading axis of `inputs`, as a loop of the backend.

    Args:
        body: (carry, one step of each input) -> (new carry, one step of each output), all lists of tensors.
        carry: what the first step starts from.
        inputs: each `(time, ...)`.
        outputs_like: tensors with the shape and dtype of one step of each output.

    Returns:
        The last carry, and the outputs stacked, each `(time, ...)`.

    Raises:
        InputError: for sequences that are known to have no steps.
    """
    if inputs[0].shape[0] == 0:
        raise InputError("the sequences have no steps: give at least one")
    backend = keras.backend.backend()
    if backend not in _SCANS:
        raise InputError(f"textrnn runs on the backends {' and '.join(_SCANS)}: {backend} is not one of them")
    return _SCANS[backend](body, carry, inputs, outputs_like)


def unrolled(
    body: Callable, carry: list[Tensor], inputs: list[Tensor], outputs_like: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """As `scan`, but a copy of `body` for every step; `RNN` has checked that their number is known."""
    steps = []
    for step in zip(*(ops.unstack(x) for x in inputs), strict=True):
        carry, outputs = body(carry, list(step))
        steps.append(outputs)
    return carry, [ops.stack(outputs) for outputs in zip(*steps, strict=True)]


def _scan_tensorflow(body, carry, inputs, outputs_like):
    import tensorflow as tf

    steps = inputs[0].shape[0] or tf.shape(inputs[0])[0]
    # Read from arrays: the gradient of x[t] would be a dense zero tensor a step, quadratic in time.
    readers = [tf.TensorArray(x.dtype, steps, element_shape=x.shape[1:]).unstack(x) for x in inputs]
    writers = [tf.TensorArray(y.dtype, steps, element_shape=y.shape) for y in outputs_like]

    def advance(time, carry, writers):
        new_carry, outputs = body(carry, [reader.read(time) for reader in readers])
        for new, old in zip(new_carry, carry, strict=True):
            new.set_shape(old.shape)  # what is known before the first step holds after each
        return time + 1, new_carry, [w.write(time, y) for w, y in zip(writers, outputs, strict=True)]

    # XLA can differentiate a loop only if it knows how often it runs at most.
    _, carry, writers = tf.while_loop(
        lambda time, *_: time < steps, advance, (tf.constant(0), carry, writers), maximum_iterations=steps
    )
    return carry, [writer.stack() for writer in writers]


def _scan_jax(body, carry, inputs, outputs_like):
    from jax import lax

    return lax.scan(body, carry, inputs)


_SCANS: dict[str, Scan] = {"tensorflow": _scan_tensorflow, "jax": _scan_jax}

"""The strategy `scan`: linear recurrences c(t) = a(t) ⊙ c(t−1) + b(t), whose coefficients need no state.

Tensors of sequences are time-major: `(time, batch, n)`.
"""

from collections.abc import Mapping, Sequence

from keras import ops

from textrnn.cells.base import Cell, coefficients_in
from textrnn.layers.backend import (
    fold,
    forbid_second_derivative,
    has_accelerator,
    parallel_scan,
    stack_outputs,
    upstream_gradients,
)
from textrnn.tensors import Tensor, at_least_float32


def linear_recurrence(a: Tensor, b: Tensor, initial: Tensor, parallel: bool = False) -> Tensor:
    """All c(t) = a(t) ⊙ c(t−1) + b(t), from a given c before the first step.

    The gradient is a linear recurrence from the last step to the first, and runs in the same way. It needs
    only a and c, and the backend differentiates no loop.

    Args:
        a, b: `(time, batch, n)`.
        initial: `(batch, n)`.
        parallel: Whether to run a parallel scan, in O(log T) steps. It does more arithmetic than the default,
            one step after another, and suits accelerators.

    Returns:
        `(time, batch, n)`.

    Example:

    >>> from keras import ops
    >>> from textrnn.layers.linear import linear_recurrence
    >>> c = linear_recurrence(ops.full((3, 1, 1), 0.5), ops.ones((3, 1, 1)), ops.zeros((1, 1)))
    >>> [float(value) for value in c[:, 0, 0]]
    [1.0, 1.5, 1.75]
    """
    run = _in_parallel if parallel else _in_sequence

    def forward(a, b, initial):
        c = run(a, b, initial)

        def gradient(*upstream, **_):
            # d(t) = d_c(t) + a(t+1) ⊙ d(t+1) is the gradient of c(t), later steps included.
            (d_c,) = upstream_gradients(upstream)
            a_next = ops.concatenate([a[1:], ops.zeros_like(a[:1])], axis=0)
            d = run(a_next, d_c, ops.zeros_like(initial), reverse=True)
            # Of the first step, which is none in a sequence without steps.
            d_initial = ops.sum(a[:1] * d[:1], axis=0)
            gradients = d * _previous(c, initial), d, d_initial
            return tuple(forbid_second_derivative(gradient) for gradient in gradients)

        return c, gradient

    return ops.custom_gradient(forward)(a, b, initial)


def recur_linearly(
    cell: Cell,
    projected: Sequence[Tensor],
    states: Sequence[Tensor],
    weights: Mapping[str, Tensor],
    zoned: Tensor | float | None,
    mask: Tensor | None,
    first_output: Tensor,
    zero_output_for_mask: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """Run a linear cell (kind P) over time, with all steps at once except for the recurrence itself.

    The recurrence accumulates in float32 or higher, because in half precision coefficients close to 1 would
    round to 1.

    Args:
        cell: A cell of kind P, with the methods of `LinearCell`.
        projected: The result of the cell's `project_inputs` for the whole sequence, each `(time, batch, n)`.
        states: The initial states, each `(batch, n)`.
        weights: The cell's `elementwise_weights`.
        zoned: Zoneout of the memory. In training, `(time, batch, n)`, True where a unit keeps its old value;
            in inference, the probability of that; None without zoneout.
        mask: `(time, batch, 1)`, True where a step is valid, or None.
        first_output: `(batch, n)`, the output that masked steps before the first valid one repeat.
        zero_output_for_mask: Whether the output of a masked step is zero instead.

    Returns:
        All outputs `(time, batch, n)`, and the last states.
    """
    initial_memory, *initial_delayed = states
    dtype = initial_memory.dtype
    exact = at_least_float32(initial_memory)
    seen, last_delayed = list(projected), []
    for index, first in zip(cell.delayed, initial_delayed, strict=True):
        valid_inputs = projected[index] if mask is None else _repeat_at_masked(projected[index], mask, first)
        seen[index] = _previous(valid_inputs, first)
        last_delayed.append(last_step(valid_inputs, first))

    a, b = coefficients_in(exact, cell, seen, weights)
    initial = ops.cast(initial_memory, exact)
    kept, written = _zoned_out(a, b, zoned)
    if mask is not None:
        kept = ops.where(mask, kept, ops.ones_like(kept))
        written = ops.where(mask, written, ops.zeros_like(written))
    exact_memory = linear_recurrence(kept, written, initial, has_accelerator())
    memory = ops.cast(exact_memory, dtype)

    # Zoneout changes the state, and the output only where the output is the state.
    outputs = cell.read_out(seen, memory, weights)
    if outputs is not memory and zoned is not None:
        without_zoneout = a * _previous(exact_memory, initial) + b
        outputs = cell.read_out(seen, ops.cast(without_zoneout, dtype), weights)
    if mask is not None:
        if zero_output_for_mask:
            outputs = ops.where(mask, outputs, ops.zeros_like(outputs))
        else:
            outputs = _repeat_at_masked(outputs, mask, first_output)
    return outputs, [last_step(memory, initial_memory), *last_delayed]


def _in_sequence(a, b, initial, reverse=False):
    def step(carry, inputs):
        (c,), (a, b) = carry, inputs
        c = a * c + b
        return [c], [c]

    _, outputs = fold(step, [initial], [a, b], [initial], reverse=reverse)
    return stack_outputs(outputs)[0]


def _in_parallel(a, b, initial, reverse=False):
    # The initial value becomes part of b at the step that runs first.
    if reverse:
        b = ops.concatenate([b[:-1], b[-1:] + a[-1:] * initial], axis=0)
    else:
        b = ops.concatenate([b[:1] + a[:1] * initial, b[1:]], axis=0)
    return parallel_scan(a, b, reverse=reverse)


def _previous(x, first):
    """The value of x one step earlier, with `first` at the first step."""
    return ops.concatenate([first[None][: ops.shape(x)[0]], x[:-1]], axis=0)


def last_step(x, otherwise):
    """The last step of x, or another tensor if there are no steps."""
    return ops.concatenate([otherwise[None], x[-1:]], axis=0)[-1]


def _repeat_at_masked(x, valid, first):
    """Repeat the last valid step of x at masked ones: a linear recurrence whose a is 0 or 1."""
    keep = ops.broadcast_to(ops.cast(ops.logical_not(valid), x.dtype), ops.shape(x))
    return linear_recurrence(keep, ops.where(valid, x, ops.zeros_like(x)), first, has_accelerator())


def _zoned_out(a, b, zoned):
    """The coefficients of a recurrence with zoneout."""
    if zoned is None:
        return a, b
    if isinstance(zoned, float):
        return zoned + (1 - zoned) * a, (1 - zoned) * b
    return ops.where(zoned, ops.ones_like(a), a), ops.where(zoned, ops.zeros_like(b), b)

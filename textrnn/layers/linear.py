"""Linear recurrences c(t) = a(t) ⊙ c(t−1) + b(t), for cells whose coefficients depend on the input alone.

Every tensor of a sequence is time-major: `(time, batch, n)`.
"""

from collections.abc import Mapping, Sequence

from keras import ops

from textrnn.cells.base import Cell, Tensor, at_least_float32
from textrnn.layers.backend import accelerated, first_derivative, fold, parallel_scan, stacked, upstream_of


def linear_recurrence(a: Tensor, b: Tensor, initial: Tensor, parallel: bool = False) -> Tensor:
    """All c(t) = a(t) ⊙ c(t−1) + b(t), with c before the first step given.

    Its gradient is a linear recurrence too, from the last step to the first, and runs in the same way:
    nothing is kept but a and c, and the backend differentiates no loop.

    Args:
        a, b: `(time, batch, n)`.
        initial: `(batch, n)`.
        parallel: whether to combine steps in pairs, pairs of pairs and so on: more arithmetic, in a number of
            turns that grows with the logarithm of time, which suits accelerators. Otherwise one step after
            another.

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
            # d(t) = d_c(t) + a(t+1) ⊙ d(t+1), what c(t) is worth to all that comes after it.
            (d_c,) = upstream_of(upstream)
            following = ops.concatenate([a[1:], ops.zeros_like(a[:1])], axis=0)
            d = run(following, d_c, ops.zeros_like(initial), reverse=True)
            gradients = d * _delayed(c, initial), d, a[0] * d[0]
            return tuple(first_derivative(gradient) for gradient in gradients)

        return c, gradient

    return ops.custom_gradient(forward)(a, b, initial)


def _in_sequence(a, b, initial, reverse=False):
    def step(carry, inputs):
        (c,), (a, b) = carry, inputs
        c = a * c + b
        return [c], [c]

    _, kept = fold(step, [initial], [a, b], [initial], reverse=reverse)
    return stacked(kept)[0]


def _in_parallel(a, b, initial, reverse=False):
    # What was there before the first step becomes part of its b.
    if reverse:
        b = ops.concatenate([b[:-1], (b[-1] + a[-1] * initial)[None]], axis=0)
    else:
        b = ops.concatenate([(b[0] + a[0] * initial)[None], b[1:]], axis=0)
    return parallel_scan(a, b, reverse=reverse)


def _delayed(x, first):
    """The sequence one step later: what was first, and then all of x but the last."""
    return ops.concatenate([first[None], x[:-1]], axis=0)


def _held(x, valid, first):
    """x, where invalid steps repeat the valid one before them: a linear recurrence with zeros and ones."""
    keep = ops.broadcast_to(ops.cast(ops.logical_not(valid), x.dtype), ops.shape(x))
    return linear_recurrence(keep, ops.where(valid, x, ops.zeros_like(x)), first, accelerated())


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
    """Runs a cell of kind P over time, all steps at once but for the recurrence itself.

    The recurrence accumulates in float32 at the least, also in half precision: coefficients close to 1 would
    be 1 there.

    Args:
        cell: keeps the linear contract, see `LinearCell`.
        projected: what the cell's `project_inputs` gave for the whole sequence, each `(time, batch, n)`.
        states: the initial states, each `(batch, n)`.
        weights: the cell's `elementwise_weights`.
        zoned: zoneout of the memory: in training `(time, batch, n)`, True where a unit keeps its old value;
            in inference the probability of that; None without zoneout.
        mask: `(time, batch, 1)`, True where a step is valid, or None.
        first_output: `(batch, n)`: what a masked step repeats where there is no output before.
        zero_output_for_mask: whether a masked step's output is zero instead.

    Returns:
        All outputs `(time, batch, n)`, and the last states.
    """
    memory_before, *delayed_before = states
    dtype = memory_before.dtype
    exact = at_least_float32(memory_before)
    seen, last_states = list(projected), []
    for index, first in zip(cell.delayed, delayed_before, strict=True):
        handed_on = projected[index] if mask is None else _held(projected[index], mask, first)
        seen[index] = _delayed(handed_on, first)
        last_states.append(handed_on[-1])

    # Cast before the coefficients are computed: what is projected may be the logarithm of one.
    exact_weights = {name: ops.cast(weight, exact) for name, weight in weights.items()}
    a, b = cell.coefficients([ops.cast(x, exact) for x in seen], exact_weights)
    initial = ops.cast(memory_before, exact)
    kept, written = _zoned_out(a, b, zoned)
    if mask is not None:
        kept, written = (
            ops.where(mask, kept, ops.ones_like(kept)),
            ops.where(mask, written, ops.zeros_like(written)),
        )
    exact_memory = linear_recurrence(kept, written, initial, accelerated())
    memory = ops.cast(exact_memory, dtype)

    # Zoneout changes the state, and an output only where that *is* the state.
    outputs = cell.read_out(seen, memory, weights)
    if outputs is not memory and zoned is not None:
        fresh = a * _delayed(exact_memory, initial) + b
        outputs = cell.read_out(seen, ops.cast(fresh, dtype), weights)
    if mask is not None:
        if zero_output_for_mask:
            outputs = ops.where(mask, outputs, ops.zeros_like(outputs))
        else:
            outputs = _held(outputs, mask, first_output)
    return outputs, [memory[-1], *last_states]


def _zoned_out(a, b, zoned):
    """The coefficients of a recurrence with zoneout."""
    if zoned is None:
        return a, b
    if isinstance(zoned, float):
        return zoned + (1 - zoned) * a, (1 - zoned) * b
    return ops.where(zoned, ops.ones_like(a), a), ops.where(zoned, ops.zeros_like(b), b)

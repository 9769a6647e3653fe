"""How a recurrence runs over time: pure functions on tensors. The one place that branches on the backend.

Every tensor here is time-major: `(time, batch, ...)`.
"""

from collections.abc import Callable, Mapping, Sequence

from keras import ops

from textrnn.cells.base import Tensor, dot_with
from textrnn.errors import InputError
from textrnn.layers.backend import fold, stacked, values
from textrnn.layers.recompute import recompute, split


def recur(
    strategy: str,
    step: Callable,
    projected: Sequence[Tensor],
    states: Sequence[Tensor],
    kernels: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    noise: Mapping[str, Tensor],
    mask: Tensor | None,
    first_output: Tensor,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
    unroll: bool = False,
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """Runs a cell's step over time.

    Args:
        strategy: the name of one of `STRATEGIES`.
        step: a cell's `step`.
        projected: what the cell's `project_inputs` gave for the whole sequence, each `(time, batch, n)`.
        states: the initial states, each `(batch, n)`.
        kernels: the cell's `recurrent_kernels`.
        weights: the cell's `elementwise_weights`, and whatever else `step` looks for there.
        noise: name -> `(time, batch, n)`: what the step looks for among its weights and is another at every
            step. No gradient is taken of it.
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
    # What is carried from step to step is the states and, only where a later step or the caller needs it,
    # the output.
    carries_output = mask is not None or not return_all_outputs
    outputs, carry = (unrolled if unroll else STRATEGIES[strategy])(
        _advance(step, len(projected), list(noise), count, zero_output_for_mask, return_all_outputs),
        values([*states, *([first_output] if carries_output else [])]),
        list(projected),
        [*noise.values(), *([] if mask is None else [mask])],
        dict(zip(kernels, values(kernels.values()), strict=True)),
        dict(zip(weights, values(weights.values()), strict=True)),
        [first_output] if return_all_outputs else [],
    )
    last_output = carry[count] if carries_output else outputs[0][-1]
    return last_output, outputs[0] if return_all_outputs else None, carry[:count]


def loop(advance, carry, projected, constants, kernels, weights, outputs_like):
    """One step after another, differentiated by the backend. The reference for every other strategy.

    Args:
        advance: one step, see `_advance`.
        carry: what the first step starts from, tensors `(batch, n)`.
        projected: tensors `(time, batch, n)`.
        constants: tensors `(time, batch, n)` that have no gradient: the noise and, if there is one, the mask.
        kernels: name -> `(n, m)`.
        weights: name -> tensor.
        outputs_like: a tensor with the shape and dtype of one step's output, or none.

    Returns:
        All outputs, `[(time, batch, n)]` or nothing, and the last carry.
    """
    dot = dot_with(kernels)

    def body(carry, inputs):
        return advance(carry, inputs, dot, weights)

    carry, outputs = fold(body, carry, [*projected, *constants], outputs_like, differentiated=True)
    return stacked(outputs), carry


def unrolled(advance, carry, projected, constants, kernels, weights, outputs_like):
    """As `loop`, but with a copy of the step for every step; `RNN` has checked that their number is known.

    Arguments and results are those of `loop`.
    """
    dot, steps = dot_with(kernels), []
    for inputs in zip(*(ops.unstack(x) for x in [*projected, *constants]), strict=True):
        carry, outputs = advance(carry, list(inputs), dot, weights)
        steps.append(outputs)
    return [ops.stack(outputs) for outputs in zip(*steps, strict=True)], carry


def _advance(step, projections, noise_names, count, zero_output_for_mask, return_all_outputs):
    """One step of time with its mask: (carry, inputs, dot, weights) -> (carry, outputs), flat lists all.

    The carry is the states and perhaps the output; the inputs are the projections, the noise and perhaps the
    mask.
    """

    def advance(carry, inputs, dot, weights):
        states, previous = carry[:count], carry[count:]
        projected, noise = split(inputs, (projections, len(noise_names)))
        valid = inputs[projections + len(noise_names) :]
        weights = {**weights, **dict(zip(noise_names, noise, strict=True))}
        output, new_states = step(projected, states, _adding_products(dot), weights)
        if valid:
            otherwise = ops.zeros_like(output) if zero_output_for_mask else previous[0]
            output = ops.where(valid[0], output, otherwise)
            new_states = [ops.where(valid[0], new, old) for new, old in zip(new_states, states, strict=True)]
        return [*new_states, *([output] if previous else [])], [output] if return_all_outputs else []

    return advance


def _adding_products(dot):
    """`dot`, which adds by itself only what has the shape of a product; what is broadcast comes after."""

    def adding(name, x, plus=None):
        if plus is None or len(plus.shape) == len(x.shape):
            return dot(name, x, plus)
        return dot(name, x) + plus

    return adding


STRATEGIES = {"loop": loop, "recompute": recompute}
"""Name -> function, of the strategies for any cell. Each has the arguments and results of `loop`."""


NAMES = (*STRATEGIES, "scan")
"""All strategies. A scan is for linear cells: `textrnn.layers.linear.recur_linearly`."""


def strategies_of(kind: str) -> tuple[str, ...]:
    """The strategies that can run a cell of that kind.

    Example:
    >>> from textrnn.layers.strategies import strategies_of
    >>> strategies_of("S"), strategies_of("P")
    (('loop', 'recompute'), ('loop', 'recompute', 'scan'))
    """
    return NAMES if kind == "P" else tuple(STRATEGIES)


def resolve(strategy: str, kind: str = "S", training: bool = True) -> str:
    """The name of the strategy that runs for `strategy`, which may be "auto".

    "auto" is `scan` for a linear cell. For others it is `recompute` in training, and `loop` where no gradient
    is expected: that keeps nothing for one. (Its gradient is right all the same.)

    Args:
        strategy: one of `NAMES`, or "auto".
        kind: the cell's.
        training: whether a gradient is expected.

    Raises:
        InputError: for an unknown strategy, and for a scan of a cell that is not linear.

    Example:
    >>> from textrnn.layers.strategies import resolve
    >>> resolve("auto"), resolve("auto", training=False), resolve("auto", kind="P")
    ('recompute', 'loop', 'scan')
    """
    if strategy == "auto":
        return "scan" if kind == "P" else "recompute" if training else "loop"
    if strategy not in NAMES:
        raise InputError(
            f"there is no strategy {strategy!r}: use auto, {', '.join(NAMES[:-1])} or {NAMES[-1]}"
        )
    if strategy not in strategies_of(kind):
        raise InputError(
            f"a scan needs a cell that is linear in its state (kind P), and this one is of kind {kind}: use "
            "the strategy auto, loop or recompute"
        )
    return strategy

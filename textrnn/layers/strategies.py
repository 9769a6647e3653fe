"""The strategies that run a cell's step over time, by name, and how "auto" chooses one.

`loop` is the reference. The modules `recompute` and `fused` have the strategies of these names, and `linear`
has `scan`. All functions are pure, and tensors of sequences are time-major: `(time, batch, ...)`.
"""

from collections.abc import Callable, Mapping, Sequence

from keras import ops

from textrnn.cells.products import dot_with
from textrnn.errors import InputError
from textrnn.layers.backend import current_values, fold, stack_outputs
from textrnn.layers.linear import last_step
from textrnn.layers.recompute import recompute
from textrnn.tensors import Tensor


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
    """Run a cell's step over time.

    Args:
        strategy: A key of `STRATEGIES`.
        step: A cell's `step`.
        projected: The result of the cell's `project_inputs` for the whole sequence, each `(time, batch, n)`.
        states: The initial states, each `(batch, n)`.
        kernels: The cell's `recurrent_kernels`.
        weights: The cell's `elementwise_weights`, and any other weights that `step` reads.
        noise: Name -> `(time, batch, n)`, weights of `step` that differ from step to step. They have no
            gradient.
        mask: `(time, batch, 1)`, True where a step is valid, or None. A masked step keeps the states and
            repeats the previous output.
        first_output: `(batch, n)`, the previous output at the first step.
        zero_output_for_mask: Whether the output of a masked step is zero instead.
        return_all_outputs: Whether to return the outputs of all steps.
        unroll: Whether to unroll the loop. The number of steps must be static.

    Returns:
        The last output `(batch, n)`, all outputs `(time, batch, n)` or None, and the last states.
    """
    count = len(states)
    # The output is carried only where a later step or the caller needs it.
    carries_output = mask is not None or not return_all_outputs
    outputs, carry = (unrolled if unroll else STRATEGIES[strategy])(
        _masked_step(step, len(projected), list(noise), count, zero_output_for_mask, return_all_outputs),
        current_values([*states, *([first_output] if carries_output else [])]),
        list(projected),
        [*noise.values(), *([] if mask is None else [mask])],
        dict(zip(kernels, current_values(kernels.values()), strict=True)),
        dict(zip(weights, current_values(weights.values()), strict=True)),
        [first_output] if return_all_outputs else [],
    )
    last_output = carry[count] if carries_output else last_step(outputs[0], first_output)
    return last_output, outputs[0] if return_all_outputs else None, carry[:count]


def loop(advance, carry, projected, constants, kernels, weights, outputs_like):
    """Run the steps in a loop that the backend differentiates.

    Args:
        advance: The step, `(carry, inputs, dot, weights) -> (carry, outputs)`. The inputs are those of
            `projected` and then those of `constants`.
        carry: The carry of the first step, tensors `(batch, n)`.
        projected: Tensors `(time, batch, n)`.
        constants: Tensors `(time, batch, n)` without a gradient: the noise and, if there is one, the mask.
        kernels: Name -> `(n, m)`.
        weights: Name -> tensor.
        outputs_like: A list of one tensor with the shape and dtype of a step's output, or an empty list.

    Returns:
        The outputs, `[(time, batch, n)]` or an empty list, and the last carry.
    """
    dot = dot_with(kernels)

    def body(carry, inputs):
        return advance(carry, inputs, dot, weights)

    carry, outputs = fold(body, carry, [*projected, *constants], outputs_like, differentiated=True)
    return stack_outputs(outputs), carry


def unrolled(advance, carry, projected, constants, kernels, weights, outputs_like):
    """Run the steps without a loop, as one copy of the step for each. `RNN` checks that time is static.

    Arguments and results are those of `loop`.
    """
    dot, steps = dot_with(kernels), []
    for inputs in zip(*(ops.unstack(x) for x in [*projected, *constants]), strict=True):
        carry, outputs = advance(carry, list(inputs), dot, weights)
        steps.append(outputs)
    return [ops.stack(outputs) for outputs in zip(*steps, strict=True)], carry


STRATEGIES = {"loop": loop, "recompute": recompute}
"""Name -> function, of the strategies for any cell. All have the arguments and results of `loop`."""

NAMES = (*STRATEGIES, "scan", "fused")
"""All strategies.

`scan` is for linear cells: `textrnn.layers.linear.recur_linearly`. `fused` is for cells with a kernel of
their own on some devices: `textrnn.layers.fused.recur_fused`.
"""


def strategies_of(kind: str) -> tuple[str, ...]:
    """The strategies that can run a cell of this kind on every device.

    Example:

    >>> from textrnn.layers.strategies import strategies_of
    >>> strategies_of("S"), strategies_of("P")
    (('loop', 'recompute'), ('loop', 'recompute', 'scan'))
    """
    return (*STRATEGIES, "scan") if kind == "P" else tuple(STRATEGIES)


def resolve(strategy: str, kind: str = "S", training: bool = True, has_kernel: bool = False) -> str:
    """The name of the strategy to run, with "auto" resolved.

    "auto" is `fused` where there is a kernel, and `scan` for a linear cell. For others it is `recompute` in
    training, and `loop` in inference, which keeps nothing for a gradient. (The gradient of `loop` is right
    all the same.) Where there is no kernel, "fused" is what "auto" is.

    Args:
        strategy: One of `NAMES`, or "auto".
        kind: The cell's kind, "S", "D" or "P".
        training: Whether a gradient is expected.
        has_kernel: Whether the device has a fused kernel for what is to run.

    Raises:
        InputError: If the strategy is unknown, or is `scan` and the cell is not linear.

    Example:

    >>> from textrnn.layers.strategies import resolve
    >>> resolve("auto"), resolve("auto", training=False), resolve("auto", kind="P")
    ('recompute', 'loop', 'scan')
    >>> resolve("auto", has_kernel=True), resolve("fused", has_kernel=False)
    ('fused', 'recompute')
    """
    if strategy in ("auto", "fused"):
        if has_kernel:
            return "fused"
        return "scan" if kind == "P" else "recompute" if training else "loop"
    if strategy not in NAMES:
        raise InputError(f"strategy is {strategy!r}: use auto, {', '.join(NAMES[:-1])} or {NAMES[-1]}")
    if strategy not in strategies_of(kind):
        raise InputError(
            f"strategy is scan, but the cell is of kind {kind} and a scan needs one that is linear in its "
            "state (kind P): use auto, loop or recompute"
        )
    return strategy


def _masked_step(step, projections, noise_names, count, zero_output_for_mask, return_all_outputs):
    """A cell's step with its mask, as `(carry, inputs, dot, weights) -> (carry, outputs)` on flat lists.

    The carry is the states and, if it is needed, the output. The inputs are the projections, the noise and,
    if there is one, the mask.
    """

    def advance(carry, inputs, dot, weights):
        states, previous = carry[:count], carry[count:]
        projected, rest = inputs[:projections], inputs[projections:]
        noise, valid = rest[: len(noise_names)], rest[len(noise_names) :]
        weights = {**weights, **dict(zip(noise_names, noise, strict=True))}
        output, new_states = step(projected, states, _broadcasting(dot), weights)
        if valid:
            otherwise = ops.zeros_like(output) if zero_output_for_mask else previous[0]
            output = ops.where(valid[0], output, otherwise)
            new_states = [ops.where(valid[0], new, old) for new, old in zip(new_states, states, strict=True)]
        return [*new_states, *([output] if previous else [])], [output] if return_all_outputs else []

    return advance


def _broadcasting(dot):
    """`dot` for a `plus` of any shape: only one of the product's rank is added inside the product."""

    def broadcasting(name, x, plus=None):
        if plus is None or len(plus.shape) == len(x.shape):
            return dot(name, x, plus)
        return dot(name, x) + plus

    return broadcasting

"""Biases at the start of training: open forget gates, and chrono initialization."""

import keras
from keras import ops

from textrnn.cells.gate import parse_tie
from textrnn.cells.spec import GateSpec
from textrnn.errors import InputError, is_integer
from textrnn.tensors import Tensor


def opened(spec: GateSpec, bias: Tensor, unit_forget_bias: bool, chrono: int | None) -> Tensor:
    """Return the initial bias of a cell with the values of its input and forget gates set.

    Args:
        spec: The cell's declaration.
        bias: The values of the bias initializer, `(blocks,)`, or `(2, blocks)` if the recurrent product has
            biases of its own, which do not change.
        unit_forget_bias: See `GatedCell`.
        chrono: See `GatedCell`.

    Example:

    >>> from keras import ops
    >>> from textrnn.cells import gate_spec
    >>> from textrnn.cells.initial_bias import opened
    >>> [float(value) for value in opened(gate_spec("lstm"), ops.zeros(4), True, None)]
    [0.0, 1.0, 0.0, 0.0]
    """
    row = bias[0] if spec.reset_after else bias
    blocks = dict(zip(spec.learned, ops.split(row, len(spec.learned)), strict=True))
    shape, dtype = blocks["candidate"].shape, bias.dtype
    if chrono is not None:
        span = keras.initializers.RandomUniform(1.0, chrono - 1.0)(shape, dtype=dtype)
        values = {"forget": ops.log(span), "input": -ops.log(span)}
    elif unit_forget_bias and spec.separate_memory:
        values = {"forget": ops.ones(shape, dtype=dtype)}
    else:
        return bias
    row = ops.concatenate([values.get(role, block) for role, block in blocks.items()])
    return ops.stack([row, bias[1]]) if spec.reset_after else row


def check_chrono(chrono: int | None, spec: GateSpec, use_bias: bool) -> int | None:
    """Return `chrono` as an int or None, if chrono initialization fits the cell.

    Raises:
        InputError: If it does not.

    Example:

    >>> from textrnn.cells import gate_spec
    >>> from textrnn.cells.initial_bias import check_chrono
    >>> check_chrono(100, gate_spec("lstm"), use_bias=True)
    100
    """
    if chrono is None:
        return None
    if not is_integer(chrono) or chrono < 3:
        raise InputError(
            f"chrono is {chrono!r}: give the number of steps that the longest dependencies span, at least 3"
        )
    if not use_bias:
        raise InputError("chrono initializes biases, but use_bias is False: remove one of the two")
    learned = [role for role in ("forget", "input") if role in spec.learned]
    if not learned:
        raise InputError(
            f"chrono initializes the forget and the input gate, but {spec.name} learns neither: remove "
            "chrono, or make forget or input a Gate"
        )
    for role in learned:
        activation = getattr(spec, role).activation
        if activation != "sigmoid":
            raise InputError(
                f"chrono needs sigmoid gates, but the activation of {role} in {spec.name} is {activation!r}: "
                "remove chrono, or use a sigmoid"
            )
    if _end_of_ties(spec, "forget") == ("input", False):
        raise InputError(
            f"chrono closes the input gate, but in {spec.name} the forget gate is tied to it and would close "
            "too: remove chrono, or tie forget to '1 - input'"
        )
    return int(chrono)


def _end_of_ties(spec, role):
    """Return the part at the end of a chain of ties, and whether the chain gives one minus it."""
    complement = False
    while isinstance(part := getattr(spec, role), str):
        tie = parse_tie(part)
        role, complement = tie.role, complement != tie.complement
    return role, complement

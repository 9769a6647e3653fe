"""The strategy `fused`: the backend's own kernel (cuDNN) for cells that are exactly Keras's LSTM or GRU.

The kernel runs a whole sequence on a GPU, and takes weights in Keras's layout. It knows no mask but padding
at the end, and no row without a step. `recur_fused` therefore moves the valid steps of each row to its
beginning and the outputs back to where the steps were, which is the same recurrence for any mask.

Dropout of the inputs and weight drop change what the kernel reads. Recurrent dropout, zoneout and unrolling
change the step itself, so layers with these run another strategy.
"""

from collections.abc import Mapping, Sequence

import keras
from keras import ops

from textrnn import private
from textrnn.cells.assignments import assignments
from textrnn.cells.base import Cell
from textrnn.cells.gated import GatedCell
from textrnn.cells.registry import gate_spec
from textrnn.layers.backend import current_values, differentiable_once, has_accelerator
from textrnn.tensors import Tensor

ARCHITECTURES = ("lstm", "gru")
"""The published cells for which backends may have a kernel."""


def fused_architecture(cell: Cell) -> str | None:
    """Return `"lstm"` or `"gru"` if a cell has exactly the equations of that layer of Keras, else None.

    The equations decide, with their activations and biases, and not the name of the declaration. A subclass
    of `GatedCell` may compute something else, so it has no kernel.

    Example:

    >>> import textrnn
    >>> from textrnn.layers.fused import fused_architecture
    >>> mine = textrnn.GateSpec(forget=textrnn.Gate(), input="1 - forget", reset=textrnn.Gate(),
    ...                         reset_after=True, name="mine")
    >>> fused_architecture(textrnn.GatedCell(4, mine))
    'gru'
    >>> print(fused_architecture(textrnn.GatedCell(4, "lstm_peephole")))
    None
    """
    if type(cell) is not GatedCell:
        return None
    equations = assignments(cell.spec, cell.use_bias)
    return next((name for name in ARCHITECTURES if equations == assignments(gate_spec(name))), None)


def has_kernel(architecture: str | None, masked: bool, dtype: str) -> bool:
    """Whether the backend has a kernel here: on a GPU, and not in a graph for any device or for XLA.

    On JAX, Keras has one for the LSTM without a mask in float32.

    Args:
        architecture: The result of `fused_architecture`.
        masked: Whether sequences have a mask.
        dtype: The dtype of the computation.
    """
    if architecture is None or not has_accelerator() or not private.has_fused_kernels():
        return False
    if keras.backend.backend() == "jax":
        return architecture == "lstm" and not masked and dtype == "float32"
    return not private.compiled_by_xla()


def recur_fused(
    cell: GatedCell,
    inputs: Tensor,
    states: Sequence[Tensor],
    kernels: Mapping[str, Tensor],
    mask: Tensor | None,
    first_output: Tensor,
    zero_output_for_mask: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """Run an LSTM or a GRU over time in the kernel of the backend.

    Args:
        cell: A cell with a `fused_architecture`.
        inputs: `(time, batch, features)`, with at least one step.
        states: The initial states, each `(batch, units)`.
        kernels: The cell's `recurrent_kernels`, perhaps with weight drop.
        mask: `(time, batch, 1)`, True where a step is valid, or None.
        first_output: `(batch, units)`, the output before the first step, which masked steps repeat.
        zero_output_for_mask: Whether the output of a masked step is zero, and not the previous output.

    Returns:
        All outputs `(time, batch, units)`, and the last states.
    """
    valid = None if mask is None else ops.swapaxes(mask[..., 0], 0, 1)
    sequences = ops.swapaxes(inputs, 0, 1)
    if valid is None:
        outputs, last = _run_kernel(cell, sequences, states, kernels, None)
        return ops.swapaxes(outputs, 0, 1), last

    steps = ops.arange(ops.shape(valid)[1])
    order = ops.argsort(ops.where(valid, steps, steps + ops.shape(valid)[1]), axis=1)
    lengths = ops.sum(ops.cast(valid, "int32"), axis=1, keepdims=True)
    outputs, last = _run_kernel(
        # A row without a valid step runs one that nothing reads.
        cell, _steps_of_rows(sequences, order), states, kernels, steps < ops.maximum(lengths, 1)
    )  # fmt: skip
    seen = ops.cumsum(ops.cast(valid, "int32"), axis=1)  # valid steps so far, this one included
    outputs = _steps_of_rows(outputs, ops.maximum(seen - 1, 0))
    kept = valid if zero_output_for_mask else seen > 0
    first = ops.expand_dims(ops.zeros_like(first_output) if zero_output_for_mask else first_output, 1)
    outputs = ops.where(kept[..., None], outputs, first)
    last = [ops.where(lengths > 0, new, old) for new, old in zip(last, current_values(states), strict=True)]
    return ops.swapaxes(outputs, 0, 1), last


def _run_kernel(cell, sequences, states, kernels, mask):
    """Call Keras's function over the kernel, on batch-major sequences padded at the end."""
    recurrent_kernel = ops.concatenate(list(kernels.values()), axis=1)
    tensors = current_values([sequences, *states, cell.kernel, recurrent_kernel, cell.bias])
    tensors = [differentiable_once(ops.cast(x, cell.compute_dtype)) for x in tensors]
    sequences, *states, kernel, recurrent_kernel, bias = tensors
    _, outputs, last = private.fused_kernel(fused_architecture(cell))(
        sequences,
        *states,
        mask,
        kernel=kernel,
        recurrent_kernel=recurrent_kernel,
        bias=bias,
        activation=keras.activations.tanh,
        recurrent_activation=keras.activations.sigmoid,
        return_sequences=True,
    )
    return outputs, list(last)


def _steps_of_rows(x, steps):
    """Of each row of x `(batch, time, n)`, the steps with these indices `(batch, time)`."""
    batch, time, size = ops.shape(x)
    starts = ops.expand_dims(ops.arange(batch) * time, 1)
    return ops.take(ops.reshape(x, (-1, size)), starts + steps, axis=0)

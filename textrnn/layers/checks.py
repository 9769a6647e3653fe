"""Checks of what a recurrent layer is given: its cell, its options, sequences, masks and states."""

import keras
import numpy as np

from textrnn.cells.base import Cell
from textrnn.errors import InputError, is_integer
from textrnn.layers.fused import ARCHITECTURES, fused_architecture


def expect_cell(cell):
    """Raise an `InputError` if what should be a cell is the name of one, or a layer over one."""
    if isinstance(cell, str):
        raise InputError(f"cell is the name {cell!r}: give a cell, such as textrnn.GatedCell(64, {cell!r})")
    if isinstance(cell, keras.layers.RNN):
        raise InputError(f"cell is the layer {cell.name!r}: give its cell, layer.cell")


def expect_sequences(shape):
    """Raise an `InputError` if the shape of sequences is not `(batch, time, features)`."""
    if len(shape) < 3:
        raise InputError(
            f"sequences has the shape {tuple(shape)}: give (batch, time, features), for one series of "
            "numbers series[None, :, None]"
        )


def expect_mask(mask, sequences_shape):
    """Raise an `InputError` if a mask is not `(batch, time)`. Loops would not notice steps too many."""
    if mask is None or (mask := keras.tree.flatten(mask)[0]) is None:
        return
    shape, expected = tuple(getattr(mask, "shape", ())), tuple(sequences_shape[:2])
    if len(shape) != 2 or (None not in (shape[1], expected[1]) and shape[1] != expected[1]):
        raise InputError(
            f"mask has the shape {shape}: give (batch, time), here {expected}, True where a step is valid"
        )


def expect_states(initial_state, state_size):
    """Raise an `InputError` if there are not as many states as the cell has, or of other widths.

    Args:
        initial_state: Tensors `(batch, n)`, or None.
        state_size: That of the cell.
    """
    sizes = keras.tree.flatten(state_size)
    if initial_state is None or not all(map(is_integer, sizes)):
        return  # cells of others may have states that are no vectors
    widths = [state.shape[-1] for state in keras.tree.flatten(initial_state)]
    if widths != sizes:
        raise InputError(
            f"initial_state has states of {widths} units: give {len(sizes)}, of {sizes}, as a list of "
            "tensors (batch, units)"
        )


def expect_options_of_keras_cells(layer):
    """Raise an `InputError` if a layer has options that only a `textrnn.Cell` has."""
    for name, unset in {"recurrent_dropout": 0, "weight_drop": 0, "zoneout": 0, "segments": 1}.items():
        if np.any((value := getattr(layer, name)) != unset):
            raise InputError(
                f"{name} is {value}, but {type(layer.cell).__name__} is not a textrnn.Cell: use a cell "
                f"that is, or the cell's own {name} if it has one"
            )


def expect_kernels(layer):
    """Raise an `InputError` if options of a layer drop entries of matrices that its cell does not have."""
    for name in ("recurrent_dropout", "weight_drop"):
        if (value := getattr(layer, name)) and not layer.cell.recurrent_kernels:
            raise InputError(
                f"{name} is {value}, but {name_of(layer.cell)} has no recurrent matrices: "
                "use dropout or zoneout"
            )


def expect_fusible(layer):
    """Raise an `InputError` if no fused kernel has the cell and the options of a layer."""
    if not isinstance(layer.cell, Cell) or fused_architecture(layer.cell) is None:
        raise InputError(
            f"strategy is fused, but {name_of(layer.cell)} has no fused kernel: use auto, or a cell with "
            f"exactly the equations and biases of {' or '.join(ARCHITECTURES)}"
        )
    for name in ("unroll", "recurrent_dropout", "zoneout"):
        value = getattr(layer, name)
        if np.any(value):
            raise InputError(
                f"strategy is fused, but {name} is {value}, which no fused kernel has: use auto, or "
                f"remove {name}"
            )


def name_of(cell):
    """What messages call a cell."""
    return f"the cell {getattr(getattr(cell, 'spec', None), 'name', type(cell).__name__)}"

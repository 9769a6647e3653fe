"""One step of time: what the state of a recurrence is and how it changes."""

from textrnn.cells.base import Cell, LinearCell
from textrnn.cells.gated import GatedCell
from textrnn.cells.published import PUBLISHED
from textrnn.cells.registry import cell_names, find_cell, gate_spec, register_cell
from textrnn.cells.spec import Gate, GateSpec

__all__ = [
    "PUBLISHED",
    "Cell",
    "Gate",
    "GateSpec",
    "GatedCell",
    "LinearCell",
    "cell_names",
    "find_cell",
    "gate_spec",
    "register_cell",
]

"""One step of time: what the state of a recurrence is and how it changes."""

from textrnn.cells.base import Cell
from textrnn.cells.gated import GatedCell
from textrnn.cells.spec import GATE_SPECS, Gate, GateSpec, gate_spec

__all__ = ["GATE_SPECS", "Cell", "Gate", "GateSpec", "GatedCell", "gate_spec"]

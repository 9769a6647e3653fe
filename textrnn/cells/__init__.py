"""Recurrent cells: one step of time, declared or written.

Declaring and describing a cell does not import Keras. What needs it loads on first use.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from textrnn.cells.gate import Gate
from textrnn.cells.published import PUBLISHED
from textrnn.cells.registry import cell_names, find_cell, gate_spec, register_cell
from textrnn.cells.spec import GateSpec

if TYPE_CHECKING:
    from textrnn.cells.base import Cell, LinearCell
    from textrnn.cells.gated import GatedCell

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

_NEED_KERAS = {"Cell": "base", "LinearCell": "base", "GatedCell": "gated"}


def __getattr__(name):
    if name in _NEED_KERAS:
        return getattr(_import_module(f"{__name__}.{_NEED_KERAS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The cells that have a name: the published ones, and those that a user adds."""

import difflib
import importlib
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

import keras

from textrnn.cells.base import Cell
from textrnn.cells.spec import GateSpec
from textrnn.errors import InputError

CellType = GateSpec | type[Cell]
"""What a name stands for: a declaration, or a class that is called with `units`."""

_CELLS: dict[str, CellType] = {}


def register_cell(name: str, cell: CellType) -> CellType:
    """Gives a cell a name, by which `GatedCell`, `RecurrentBackbone` and the recipes' `--cell` know it.

    Args:
        name: letters, digits and underscores.
        cell: a `GateSpec`, or a subclass of `Cell` whose first argument is `units`. A class that is not yet
            registered with Keras for saving is registered under the name of its module.

    Returns:
        The cell.

    Raises:
        InputError: for a name that is taken by another cell or that is no name, or for something else than a
            cell.

    Example:
    >>> import textrnn
    >>> spec = textrnn.GateSpec(forget=0.9, input=0.1)
    >>> textrnn.register_cell("leaky_integrator", spec) is spec
    True
    >>> textrnn.GatedCell(8, "leaky_integrator").spec == spec
    True
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
        raise InputError(f"a cell cannot be called {name!r}: use letters, digits and underscores")
    _check_cell(cell, f"register_cell({name!r}, ...)")
    if _CELLS.get(name, cell) != cell:
        raise InputError(f"there is a cell called {name!r} already: choose another name")
    if isinstance(cell, type) and keras.saving.get_registered_name(cell) == cell.__name__:
        keras.saving.register_keras_serializable(cell.__module__)(cell)
    _CELLS[name] = cell
    return cell


def cell_names() -> list[str]:
    """The names of all cells, the published ones in the order of their history.

    Example:
    >>> from textrnn.cells import cell_names
    >>> cell_names()[:3]
    ['simple', 'lstm', 'lstm_peephole']
    """
    return list(_CELLS)


def find_cell(cell: str | CellType | Mapping[str, Any]) -> CellType:
    """What `GatedCell` and `--cell` take, as a `GateSpec` or a class.

    Args:
        cell: a registered name; `"module:attribute"`, where a Python module (also one in the current folder)
            holds a `GateSpec` or a subclass of `Cell`; one of these two; or what `GateSpec.get_config` gave.

    Raises:
        InputError: for anything else, with the names there are.

    Example:
    >>> from textrnn.cells import find_cell
    >>> find_cell("gru").kind
    'S'
    >>> find_cell("lstn")
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: there is no cell called 'lstn'; did you mean lstm or ...
    """
    if isinstance(cell, str):
        return _imported(cell) if ":" in cell else _named(cell)
    if isinstance(cell, Mapping):
        return GateSpec.from_config(cell)
    return _check_cell(cell, "spec")


def gate_spec(name: str) -> GateSpec:
    """The declaration of a named cell, to read or to vary with `dataclasses.replace`.

    Raises:
        InputError: for an unknown name, and for a cell that is a class because no declaration expresses it.

    Example:
    >>> import textrnn
    >>> textrnn.gate_spec("ugrnn")  # doctest: +ELLIPSIS
    GateSpec(candidate=Gate(activation='tanh', ...), forget=Gate(...), input='1 - forget', ...)
    """
    cell = _named(name)
    if isinstance(cell, GateSpec):
        return cell
    raise InputError(f"{name} has no declaration: it is the class {cell.__module__}.{cell.__name__}")


def _named(name):
    if name in _CELLS:
        return _CELLS[name]
    close = difflib.get_close_matches(name, _CELLS, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else f"there are {', '.join(_CELLS)}; "
    raise InputError(f"there is no cell called {name!r}; {hint}see `textrnn cells`")


def _imported(reference):
    """The cell that `module:attribute` names."""
    module_name, _, attribute = reference.partition(":")
    folder = os.getcwd()
    # A script finds modules beside itself, and a person expects those in the folder where they stand.
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"--cell {reference}: cannot import {module_name!r} ({error}); write module:name, for a file "
            "module.py in this folder or an installed module"
        ) from error
    if not hasattr(module, attribute):
        raise InputError(f"--cell {reference}: {module.__file__} defines no {attribute!r}")
    return _check_cell(getattr(module, attribute), reference)


def _check_cell(cell, what):
    is_class = isinstance(cell, type) and issubclass(cell, Cell)
    if isinstance(cell, GateSpec) or is_class:
        return cell
    raise InputError(f"{what} is {cell!r}: give a GateSpec, a subclass of textrnn.Cell, or the name of one")

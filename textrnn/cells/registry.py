"""The cells that have a name: the published ones, and those that a user adds."""

import dataclasses
import difflib
import importlib
import inspect
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
_PUBLISHED: set[str] = set()


def register_cell(name: str, cell: CellType) -> CellType:
    """Gives a cell a name, by which `GatedCell` and `RecurrentBackbone` know it in this program.

    A recipe is a program of its own: there the name is `--cell my_module:name`, and importing the module
    registers it. A name given again stands for the new cell, as in a notebook that is run twice.

    Args:
        name: letters, digits and underscores.
        cell: a `GateSpec`, which takes the name if it has none, or a subclass of `Cell` that is called with
            `units` and with keywords of `keras.layers.Layer`. A class that is not yet registered with Keras
            for saving is registered under the name of its module.

    Returns:
        The cell.

    Raises:
        InputError: for the name of a published cell, for what is no name, and for what is no cell.

    Example:
    >>> import textrnn
    >>> spec = textrnn.register_cell("leaky_integrator", textrnn.GateSpec(forget=0.9, input=0.1))
    >>> textrnn.GatedCell(8, "leaky_integrator").spec is spec
    True
    >>> spec.name
    'leaky_integrator'
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
        raise InputError(f"a cell cannot be called {name!r}: use letters, digits and underscores")
    _check_cell(cell, f"register_cell({name!r}, ...)")
    if name in _PUBLISHED and _CELLS[name] is not cell:
        raise InputError(f"{name!r} is the name of a published cell: choose another one")
    if isinstance(cell, GateSpec) and cell.name == GateSpec.name:
        cell = dataclasses.replace(cell, name=name)
    _CELLS[name] = _saveable(cell)
    return cell


def publish_cell(name: str, cell: CellType) -> CellType:
    """As `register_cell`, for a name that nobody else can take."""
    cell = register_cell(name, cell)
    _PUBLISHED.add(name)
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
            holds a `GateSpec` or a subclass of `Cell`, which is then registered with Keras for saving and
            loading, or registers a cell of that name; a spec or a class; or what `GateSpec.get_config` gave.

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
    close = difflib.get_close_matches(str(name).lower(), _CELLS, n=3)
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
    except (ImportError, SyntaxError, TypeError, ValueError) as error:
        missing = getattr(error, "name", None) == module_name or not module_name
        hint = ": write module:name, for a file module.py in this folder or an installed module"
        raise InputError(
            f"{reference!r}: cannot import {module_name!r} ({error}){hint if missing else ''}"
        ) from error
    cell = getattr(module, attribute, _CELLS.get(attribute))
    if cell is None:
        raise InputError(f"{reference!r}: {module_name} neither defines nor registers {attribute!r}")
    return _saveable(_check_cell(cell, repr(reference)))


def _saveable(cell):
    """The cell; a class can now be loaded, too: Keras imports no module because a file names it."""
    if isinstance(cell, type) and keras.saving.get_registered_name(cell) == cell.__name__:
        keras.saving.register_keras_serializable(cell.__module__)(cell)
    return cell


def _check_cell(cell, what):
    if isinstance(cell, GateSpec):
        return cell
    if not (isinstance(cell, type) and issubclass(cell, Cell)):
        raise InputError(
            f"{what} is {cell!r}: give a GateSpec, a subclass of textrnn.Cell, or the name of one"
        )
    if missing := sorted(cell.__abstractmethods__):
        raise InputError(f"{what} is the class {cell.__name__}, which does not define {', '.join(missing)}")
    try:
        inspect.signature(cell.__init__).bind(None, 8, dtype="float32")
    except TypeError as error:
        raise InputError(
            f"{what} is the class {cell.__name__}, which cannot be called with units and dtype ({error}): "
            "write `def __init__(self, units, **kwargs)`, and in it `super().__init__(**kwargs)`"
        ) from error
    return cell

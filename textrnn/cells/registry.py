"""Cells by name: the published ones, and those that a user registers."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from textrnn.cells.class_cell import ClassCell
from textrnn.cells.spec import GateSpec
from textrnn.errors import InputError

if TYPE_CHECKING:
    from textrnn.cells.base import Cell

CellType: TypeAlias = "GateSpec | type[Cell]"
"""What a name stands for: a declaration, or a class that is called with `units`."""

Registered: TypeAlias = "GateSpec | ClassCell | type[Cell]"
"""The same, with the published classes not imported yet."""

_Registered = TypeVar("_Registered", bound=Registered)

_CELLS: dict[str, Registered] = {}
_PUBLISHED: set[str] = set()


def register_cell(name: str, cell: _Registered) -> _Registered:
    """Give a cell a name, under which `GatedCell` and the backbones find it in this process.

    For a recipe, use `--cell my_module:name`, which imports the module and so registers the cell. Registering
    a name again replaces the cell.

    Args:
        name: Letters, digits and underscores.
        cell: A `GateSpec`, which takes the name if it has none; or a subclass of `Cell` that can be called
            with `units` and the keyword arguments of `keras.layers.Layer`. The class is also registered with
            Keras for saving, under the name of its module, unless it is already.

    Returns:
        The cell.

    Raises:
        InputError: If the name is that of a published cell or is not valid, or if `cell` is not a cell.

    Example:

    >>> import textrnn
    >>> spec = textrnn.register_cell("leaky_integrator", textrnn.GateSpec(forget=0.9, input=0.1))
    >>> textrnn.GatedCell(8, "leaky_integrator").spec is spec
    True
    >>> spec.name
    'leaky_integrator'
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
        raise InputError(f"{name!r} is not a valid name of a cell: use letters, digits and underscores")
    if not isinstance(cell, ClassCell):
        _check_cell(cell, f"register_cell({name!r}, ...)")
    if name in _PUBLISHED and find_cell(name) is not cell:
        raise InputError(f"{name!r} is the name of a published cell: choose another name")
    if isinstance(cell, GateSpec) and cell.name == GateSpec.name:
        cell = dataclasses.replace(cell, name=name)
    _CELLS[name] = _saveable(cell)
    return cell


def publish_cell(name: str, cell: _Registered) -> _Registered:
    """Register a cell under a name that users cannot replace."""
    cell = register_cell(name, cell)
    _PUBLISHED.add(name)
    return cell


def cell_names() -> list[str]:
    """Return the names of all cells, the published ones first.

    Example:

    >>> from textrnn.cells import cell_names
    >>> cell_names()[:3]
    ['simple', 'lstm', 'lstm_peephole']
    """
    return list(_CELLS)


def look_up(cell: str | Registered | Mapping[str, Any]) -> Registered:
    """Return what `find_cell` returns, but a published class as its `ClassCell`, which needs no Keras.

    Example:

    >>> from textrnn.cells.registry import look_up
    >>> look_up("sru").states
    ('memory',)
    """
    if isinstance(cell, str):
        return _imported(cell) if ":" in cell else _named(cell)
    if isinstance(cell, Mapping):
        return GateSpec.from_config(cell)
    return cell if isinstance(cell, ClassCell) else _check_cell(cell, "spec")


def find_cell(cell: str | Registered | Mapping[str, Any]) -> CellType:
    """Return a cell as a `GateSpec` or a class, from anything that `GatedCell` and `--cell` accept.

    Args:
        cell: One of:

            - a registered name;
            - `"module:attribute"`: a `GateSpec` or a subclass of `Cell` in a Python module, which can be in
              the current folder, or a name under which the module registers one. A class is also registered
              with Keras for saving and loading;
            - a `GateSpec`, a class, or a row of `PUBLISHED`;
            - a config of `GateSpec.get_config`.

    Raises:
        InputError: For anything else. The message suggests names.

    Example:

    >>> from textrnn.cells import find_cell
    >>> find_cell("gru").kind
    'S'
    >>> find_cell("lstn")
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: there is no cell called 'lstn'; did you mean lstm or ...
    """
    found = look_up(cell)
    return found.load() if isinstance(found, ClassCell) else found


def gate_spec(name: str) -> GateSpec:
    """Return the declaration of a named cell, for example to change it with `dataclasses.replace`.

    Raises:
        InputError: For an unknown name, and for a cell that is a class.

    Example:

    >>> import textrnn
    >>> textrnn.gate_spec("ugrnn")  # doctest: +ELLIPSIS
    GateSpec(candidate=Gate(activation='tanh', ...), forget=Gate(...), input='1 - forget', ...)
    """
    cell = _named(name)
    if isinstance(cell, GateSpec):
        return cell
    class_name = cell.class_name if isinstance(cell, ClassCell) else f"{cell.__module__}.{cell.__name__}"
    raise InputError(f"{name} is not declared by a GateSpec: it is the class {class_name}")


def _named(name):
    if name in _CELLS:
        return _CELLS[name]
    close = difflib.get_close_matches(str(name).lower(), _CELLS, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else f"the cells are {', '.join(_CELLS)}; "
    raise InputError(f"there is no cell called {name!r}; {hint}see `textrnn cells`")


def _imported(reference):
    """Return the cell that `module:attribute` names."""
    module_name, _, attribute = reference.partition(":")
    folder = os.getcwd()
    # As for a script, modules in the current folder can be imported.
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # anything that a user's file raises
        raise InputError(_import_failure(error, reference, module_name)) from error
    cell = getattr(module, attribute, _CELLS.get(attribute))
    if cell is None:
        raise InputError(f"{reference!r}: {module_name} neither defines nor registers {attribute!r}")
    return cell if isinstance(cell, ClassCell) else _saveable(_check_cell(cell, repr(reference)))


def _import_failure(error, reference, module_name):
    """Say why a module cannot be imported, and in which line if the reason is in a file."""
    if place := _place(error, module_name):
        return f"{place}: {_reason(error)}"
    missing = getattr(error, "name", None) == module_name or not module_name
    hint = ": write module:name, where module is a file module.py in this folder or is installed"
    return f"{reference!r}: cannot import {module_name!r} ({error}){hint if missing else ''}"


def _place(error, module_name):
    """Return the file and line of a module, or of a file beside it, that raised an error; None for others."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file() and error.lineno:
        return f"{_shown(Path(error.filename))}, line {error.lineno}"
    frames = [
        (frame.f_globals.get("__name__"), Path(frame.f_code.co_filename), line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    # A package runs before its modules.
    folders = {file.parent for name, file, _ in frames if f"{module_name}.".startswith(f"{name}.")}
    places = [f"{_shown(file)}, line {line}" for _, file, line in frames if file.parent in folders]
    return places[-1] if places else None


def _shown(path):
    """Return a path relative to the current folder if it is in there."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _reason(error):
    """Return the message of an error, with its type unless that is said already."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, SyntaxError):
        return error.msg
    return next(traceback.TracebackException.from_exception(error).format_exception_only()).strip()


def _saveable(cell):
    """Register a class with Keras, so that saved models with it load, and return the cell."""
    if isinstance(cell, type):
        import keras

        if keras.saving.get_registered_name(cell) == cell.__name__:
            keras.saving.register_keras_serializable(cell.__module__)(cell)
    return cell


def _check_cell(cell, what):
    if isinstance(cell, GateSpec):
        return cell
    from textrnn.cells.base import Cell

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
            "define `__init__(self, units, **kwargs)` and call `super().__init__(**kwargs)` in it"
        ) from error
    return cell

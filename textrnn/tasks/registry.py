"""The registry of tasks. A new task is a folder, a recipe and a line here."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from textrnn.errors import InputError, expect
from textrnn.tasks.kind import TaskKind

TASKS = (
    "textrnn.text_generation",
    "textrnn.classification",
    "textrnn.translation",
)
"""Packages that define a task, each with a `TASK`: `TaskKind`."""


def task_kinds() -> list[TaskKind]:
    """All registered kinds of tasks.

    Example:

    >>> from textrnn.tasks.registry import task_kinds
    >>> [kind.name for kind in task_kinds()]
    ['text_generation', 'sentiment', 'translation']
    """
    return [import_module(package).TASK for package in TASKS]


def kind_of(task) -> TaskKind:
    """The kind of a task.

    Raises:
        InputError: For an object that is no registered task.
    """
    for kind in task_kinds():
        if kind.describes(task):
            return kind
    expected = ", ".join(kind.task.partition(":")[2] for kind in task_kinds())
    raise InputError(f"{type(task).__name__} is not a task of textrnn: expected one of {expected}")


def registered_name(folder) -> str:
    """The name by which Keras knows the class of the task that a preset is of.

    Example:

    >>> from textrnn.starters import starter_path
    >>> from textrnn.tasks.registry import registered_name
    >>> registered_name(starter_path("sentiment"))
    'textrnn>TextClassifier'
    """
    return json.loads((Path(folder) / "task.json").read_text("utf-8"))["registered_name"]


def task_of_preset(folder, name=None) -> Any:
    """The class of the task that a preset is of.

    Args:
        folder: The folder of a preset.
        name: What was given, for the error; None for the folder.

    Raises:
        InputError: If it is no registered task.

    Example:

    >>> from textrnn.starters import starter_path
    >>> from textrnn.tasks.registry import task_of_preset
    >>> task_of_preset(starter_path("sentiment")).__name__
    'TextClassifier'
    """
    registered = registered_name(folder)
    kinds = {kind.registered_name: kind for kind in task_kinds()}
    if registered not in kinds:
        raise InputError(
            f"{name or folder} is a preset of a {registered}: expected one of {', '.join(kinds)}"
        )
    return kinds[registered].load_task()


def signatures_of(task, **options) -> dict[str, tuple[Callable, list]]:
    """The serving functions of a task: name -> `(function, input specs)`.

    Args:
        task: A task with a preprocessor.
        **options: Passed to the function that makes the signatures.

    Raises:
        InputError: For an object that is no registered task, and for an option that it does not have.
    """
    kind = kind_of(task)
    make = kind.load_signatures()
    known = list(inspect.signature(make).parameters)[1:]
    for name in options:
        expect(name in known, f"{kind.name} has no option {name}: it has {', '.join(known) or 'none'}")
    return make(task, **options)


def python_functions(task, **options) -> dict[str, Callable[..., dict[str, Any]]]:
    """The signatures of a task as functions of keyword arguments, like those of a SavedModel.

    A function is traced at its first call. Later calls of `python_functions` return the same functions,
    unless the options, the configuration of the task, its preprocessor or its variables are others.

    Args:
        task: A task with a preprocessor.
        **options: Passed to the function that makes the signatures.
    """
    made_of = (options, task.get_config(), task.preprocessor, [id(weight) for weight in task.weights])
    known = getattr(task, "_python_functions", None)
    if known is None or known.made_of != made_of:
        functions: dict[str, Callable] = {
            name: _ByKeyword(*signature) for name, signature in signatures_of(task, **options).items()
        }
        task._python_functions = known = _PythonFunctions(made_of, functions)
    return known.functions


class _ByKeyword:
    """A signature as a function of keyword arguments, traced when it is first used."""

    def __init__(self, function, specs):
        import tensorflow as tf

        self._compiled = tf.function(function, input_signature=specs, autograph=False)
        self._names = [spec.name for spec in specs]

    def __call__(self, **inputs):
        return self._compiled(*(inputs[name] for name in self._names))

    @property
    def structured_outputs(self):
        """The outputs by name, as of a signature of a SavedModel."""
        return self._compiled.get_concrete_function().structured_outputs


@dataclass(frozen=True)
class _PythonFunctions:
    """Kept with a task. Keras would track a tuple or a dict."""

    made_of: tuple
    functions: dict[str, Callable[..., dict[str, Any]]]

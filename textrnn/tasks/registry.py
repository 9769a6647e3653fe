"""Which tasks there are. To add one is to add its folder, a recipe and a line here."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from textrnn.errors import InputError
from textrnn.tasks.kind import TaskKind

TASKS = (
    "textrnn.text_generation",
    "textrnn.classification",
    "textrnn.translation",
)
"""Packages with a `TASK`, the description of their kind of task."""


def task_kinds() -> list[TaskKind]:
    """The kinds of tasks there are.

    Example:

    >>> from textrnn.tasks.registry import task_kinds
    >>> [kind.name for kind in task_kinds()]
    ['text_generation', 'sentiment', 'translation']
    """
    return [import_module(package).TASK for package in TASKS]


def kind_of(task) -> TaskKind:
    """The kind of a task.

    Raises:
        InputError: for anything else.
    """
    for kind in task_kinds():
        if kind.describes(task):
            return kind
    expected = ", ".join(kind.task.partition(":")[2] for kind in task_kinds())
    raise InputError(f"a {type(task).__name__} has no signatures: expected one of {expected}")


def signatures_of(task, **options) -> dict[str, tuple[Callable, list]]:
    """The serving functions of a task: name -> `(function, input specs)`.

    Args:
        task: a task with a preprocessor.
        **options: of the function that makes its signatures.

    Raises:
        InputError: for a task of no known kind.
    """
    return kind_of(task).load_signatures()(task, **options)


def python_functions(task, **options) -> dict[str, Callable[..., dict[str, Any]]]:
    """A task's signatures as functions that are called by keyword, like those of a SavedModel.

    Args:
        task, **options: as for `signatures_of`.
    """
    import tensorflow as tf

    def by_keyword(function, specs):
        compiled = tf.function(function, input_signature=specs, autograph=False)
        return lambda **inputs: compiled(*(inputs[spec.name] for spec in specs))

    return {name: by_keyword(*signature) for name, signature in signatures_of(task, **options).items()}

"""What the rest of the package must know of a task, without importing it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class TaskKind:
    """A kind of task: where its parts are, each as `"module:attribute"`.

    Attributes:
        name: The name of the task's recipe and folder.
        task: The KerasHub task.
        signatures: The function that makes a task's serving functions: name -> `(function, input specs)`.
        commands: The subcommands of `textrnn` that the task brings.
        methods: TF Serving's method names of signatures that belong to one of its APIs.

    Example:

    >>> from textrnn.text_generation import TASK
    >>> TASK.load_task().__name__, TASK.registered_name
    ('CausalLM', 'textrnn>CausalLM')
    """

    name: str
    task: str
    signatures: str
    commands: tuple[str, ...] = ()
    methods: Mapping[str, str] = field(default_factory=dict)

    @property
    def registered_name(self) -> str:
        """The name under which Keras saves the task."""
        return f"textrnn>{self.task.partition(':')[2]}"

    def describes(self, task) -> bool:
        """Whether an object is a task of this kind; imports nothing."""
        names = (f"{base.__module__}:{base.__qualname__}" for base in type(task).__mro__)
        return self.task in names

    def load_task(self) -> Any:
        """The class of the task."""
        return load(self.task)

    def load_signatures(self) -> Callable:
        """The function that makes the serving functions."""
        return load(self.signatures)

    def load_commands(self) -> list[Callable[..., None]]:
        """The functions of the subcommands."""
        return [load(command) for command in self.commands]


def load(reference: str) -> Any:
    """Imports what `"module:attribute"` names.

    Example:

    >>> from textrnn.tasks.kind import load
    >>> load("math:sqrt")(9.0)
    3.0
    """
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)

"""The description of a task, by which other packages use it without importing it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class TaskKind:
    """A kind of task, with references to its parts, each `"module:attribute"`.

    Attributes:
        name: The name of its recipe.
        task: The KerasHub task.
        signatures: The function that makes the serving functions: name -> `(function, input specs)`.
        commands: Subcommands of `textrnn`.
        methods: TF Serving method names, by signature, of signatures for its classify API and the like.
        examples: Numbers for warm-up requests, by the names of inputs. Others are -1, which stands for the
            model's own.

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
    examples: Mapping[str, int] = field(default_factory=dict)

    @property
    def registered_name(self) -> str:
        """The name under which Keras saves the task."""
        return f"textrnn>{self.task.partition(':')[2]}"

    def describes(self, task) -> bool:
        """Whether an object is a task of this kind, without importing it."""
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
    """Import the object that `"module:attribute"` refers to.

    Example:

    >>> from textrnn.tasks.kind import load
    >>> load("math:sqrt")(9.0)
    3.0
    """
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)

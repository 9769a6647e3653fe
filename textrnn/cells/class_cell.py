"""The published cells that are classes, described without importing them."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class ClassCell:
    """A cell that no `GateSpec` expresses: the class that implements it, and its description.

    Args:
        class_name: The class, `"module.Class"`.
        equations: The lines of one step.
        states: The names of the states, in their order.
        kind: See `GateSpec.kind`.
        weights: Name -> (number of blocks, shape of a block: "mn", "nn" or "n" for m features and n units).
        source: Where it was published.
    """

    class_name: str
    equations: tuple[str, ...]
    states: tuple[str, ...]
    kind: str
    weights: Mapping[str, tuple[int, str]]
    source: str

    def load(self) -> type:
        """Import and return the class.

        Example:

        >>> from textrnn.cells import PUBLISHED
        >>> PUBLISHED["sru"].load().__name__
        'SRUCell'
        """
        module, _, name = self.class_name.rpartition(".")
        return getattr(import_module(module), name)

"""Starter models: trained presets that are part of the package, found by name.

Each is a folder here: a preset with its weights in half precision, and `README.md`, its model card.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
"""The folder of all starter models."""

CARD = "README.md"
"""The file name of a model card."""


def starter_names() -> list[str]:
    """Return the names of the starter models, sorted."""
    return sorted(path.parent.name for path in FOLDER.glob("*/task.json"))


def starter_path(name) -> Path | None:
    """Return the preset of a starter model, or None if there is none of that name.

    Args:
        name: A str or path. What exists as a file or folder is not a name.

    Example:

    >>> from textrnn.starters import starter_path
    >>> starter_path("klingon") is None
    True
    """
    return FOLDER / str(name) if str(name) in starter_names() and not Path(name).exists() else None


def card(name: str) -> str:
    """Return the model card of a starter model, Markdown."""
    return (FOLDER / name / CARD).read_text(encoding="utf-8")

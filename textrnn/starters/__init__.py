"""Starter models: trained presets that are part of the package, found by name.

Each is a folder here: a preset with its weights in half precision, and `README.md`, its model card.
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parent
"""The folder of all starter models."""

CARD = "README.md"
"""The file name of a model card."""


def starter_names(task: str | None = None) -> list[str]:
    """Return the names of the starter models, sorted.

    Args:
        task: Name of the class of their task; None for all of them.

    Example:

    >>> from textrnn.starters import starter_names
    >>> starter_names("CausalLM")
    ['english', 'french', 'german', 'spanish']
    """
    names = sorted(path.parent.name for path in FOLDER.glob("*/task.json"))
    return [name for name in names if task in (None, starter_task(name))]


def starter_task(name: str) -> str:
    """Return the name of the class of a starter model's task.

    Example:

    >>> from textrnn.starters import starter_task
    >>> starter_task("sentiment")
    'TextClassifier'
    """
    task = json.loads((FOLDER / name / "task.json").read_text("utf-8"))
    return task["registered_name"].partition(">")[2]


def starter_path(name) -> Path | None:
    """Return the preset of a starter model, or None if there is none of that name.

    Args:
        name: A str or path. That of a folder with models of one's own is not a starter model's.

    Example:

    >>> from textrnn.starters import starter_path
    >>> starter_path("klingon") is None
    True
    """
    return FOLDER / str(name) if str(name) in starter_names() and not _has_model(Path(name)) else None


def _has_model(folder):
    """Whether a folder is or has a preset, a SavedModel or models. A folder of data, say, has none."""
    files = ("task.json", "preset/task.json", "saved_model.pb", "*/saved_model.pb", "*/*/saved_model.pb")
    return any(next(folder.glob(pattern), None) for pattern in files)


def card(name: str) -> str:
    """Return the model card of a starter model, Markdown."""
    return (FOLDER / name / CARD).read_text(encoding="utf-8")

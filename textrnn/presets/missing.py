"""The error about a model that does not exist, with the one that may be meant."""

import difflib
import os
from pathlib import Path

from textrnn.errors import InputError
from textrnn.starters import starter_names

SAVED_MODELS = Path("saved_models")
"""The folder of models that is searched, as the default of `--output`."""


def missing_model(
    path, find, task=None, what="model", expected="the folder of a model, such as saved_models/NAME"
):
    """Return the error about a path that has no model.

    Args:
        path: What was given.
        find: A function of a path that tells whether it would do, such as `textrnn.presets.preset_at`.
        task: Name of the class of a task, such as `"CausalLM"`, if starter models of others would not do.
        what: What there is none of at the path.
        expected: What to give, beside a starter model.

    Returns:
        An `InputError`.

    Example:

    >>> from textrnn.presets.loading import preset_at
    >>> from textrnn.presets.missing import missing_model
    >>> print(missing_model("englis", preset_at))
    englis does not exist: did you mean english?
    >>> print(missing_model("klingon", preset_at, "TextClassifier"))
    klingon does not exist: give the folder of a model, such as saved_models/NAME, or a starter model:
    sentiment
    """
    path = Path(path)
    problem = f"no {what} at {path}" if path.exists() else f"{path} does not exist"
    if not path.exists() and (near := _nearest(path, find, task)):
        return InputError(f"{problem}: did you mean {near}?")
    starters = ", ".join(starter_names(task))
    return InputError(
        f"{problem}: give {expected}" + (f", or a starter model: {starters}" if starters else "")
    )


def _nearest(path, find, task):
    """Return the starter model, saved model or neighbour of a path with the name most like its own."""
    starters = {name: name for name in starter_names(task)}
    folders = {folder.name: folder for folder in [*_folders(SAVED_MODELS), *_folders(path.parent)]}
    known = folders | starters
    near = difflib.get_close_matches(path.name, known, n=len(known) or 1)
    return next((known[name] for name in near if name in starters or find(known[name])), None)


def _folders(parent):
    try:
        folders = [child for child in parent.iterdir() if child.is_dir()]
    except OSError:
        return []
    return [folder for folder in folders if os.access(folder, os.R_OK | os.X_OK)]

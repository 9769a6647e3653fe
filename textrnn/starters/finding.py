"""Finding a preset by its path or name, and the error about one that does not exist."""

import difflib
import os
from pathlib import Path

from textrnn.errors import InputError
from textrnn.starters import starter_names, starter_path

SAVED_MODELS = Path("saved_models")
"""The folder of models that is searched, as the default of `--output`."""


def preset_at(path):
    """Return the preset at `path`, in the model's folder `path`, or of the starter model `path`.

    Returns:
        A `pathlib.Path`, or None if there is none.

    Example:

    >>> from textrnn.starters.finding import preset_at
    >>> preset_at("english").name, preset_at("klingon")
    ('english', None)
    """
    if starter := starter_path(path):
        return starter
    folders = (Path(path), Path(path) / "preset")
    return next((folder for folder in folders if (folder / "task.json").is_file()), None)


def missing_model(
    path, find, task=None, what="model", expected="the folder of a model, such as saved_models/NAME"
):
    """Return the error about a path that has no model.

    Args:
        path: What was given.
        find: A function of a path that tells whether it would do, such as `preset_at`.
        task: Name of the class of a task, such as `"CausalLM"`, if starter models of others would not do.
        what: What there is none of at the path.
        expected: What to give, beside a starter model.

    Returns:
        An `InputError`.

    Example:

    >>> from textrnn.starters.finding import missing_model, preset_at
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

"""Saving presets."""

import os
import shutil
from pathlib import Path

from textrnn.files import set_aside
from textrnn.presets.loading import find_preset


def save_preset(task, folder, replace=False):
    """Save a task to `<folder>/preset`; an earlier preset there is renamed to `preset-1`, `preset-2`, ...

    Args:
        task: A KerasHub task.
        folder: The model's folder, `<base>/<name>`.
        replace: Whether to remove the earlier preset instead of renaming it.

    Returns:
        The `pathlib.Path` of the preset, for `from_preset`.
    """
    preset = Path(folder) / "preset"
    unfinished = preset.with_name(f".preset.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        task.save_to_preset(str(unfinished))
        earlier = set_aside(preset)
        unfinished.rename(preset)
        if replace and earlier is not None:
            shutil.rmtree(earlier)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return preset


def replaces_start(folder, start):
    """Return whether `save_preset` would replace the preset that a model started from.

    A run that may yet be resumed needs the earlier one, so it saves its own last.

    Args:
        folder: The model's folder.
        start: What it started from, as for `load_preset`, or None.

    Example:

    >>> from textrnn.presets import replaces_start
    >>> replaces_start("saved_models/novel", "english")
    False
    """
    return start is not None and find_preset(start).resolve() == (Path(folder) / "preset").resolve()

"""Saving presets."""

import os
import shutil
from pathlib import Path

from textrnn.files import set_aside


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

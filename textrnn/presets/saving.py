"""Saving presets."""

import os
import shutil
from pathlib import Path

from textrnn.files import set_aside
from textrnn.presets.loading import find_preset

NEXT = "preset.next"
"""Name of a preset that is to replace the one its model started from."""


def save_preset(task, folder, start=None, replace=False):
    """Save a task to `<folder>/preset`; an earlier preset there is renamed to `preset-1`, `preset-2`, ...

    If the model started from that preset, a run that may yet be resumed needs it. Then the new one waits in
    `<folder>/preset.next` for `replace_start`.

    Args:
        task: A KerasHub task.
        folder: The model's folder, `<base>/<name>`.
        start: What the model started from, as for `load_preset`, or None.
        replace: Whether to remove an earlier preset of that name instead of renaming it.

    Returns:
        The `pathlib.Path` of the preset, for `from_preset`.
    """
    preset = Path(folder) / "preset"
    if start is not None and find_preset(start).resolve() == preset.resolve():
        preset, replace = preset.with_name(NEXT), True
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


def replace_start(preset):
    """Put a preset that waits in the place of the one its model started from, which is renamed.

    Args:
        preset: What `save_preset` has returned. Nothing happens if it does not wait.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.presets import replace_start
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("preset", "preset.next"):
    ...     (folder / name).mkdir()
    >>> replace_start(folder / "preset.next")
    >>> sorted(path.name for path in folder.iterdir())
    ['preset', 'preset-1']
    """
    preset = Path(preset)
    if preset.name == NEXT:
        place = preset.with_name("preset")
        set_aside(place)
        preset.rename(place)

"""Version numbers: TF Serving loads `<model>/<version>/` and ignores other names."""

import re
from pathlib import Path


def versions(folder):
    """Return the version numbers in a model's folder, ascending.

    Example:

    >>> from textrnn.export.versions import versions
    >>> versions("/nowhere")
    []
    """
    folder = Path(folder)
    children = folder.iterdir() if folder.is_dir() else ()
    return sorted(
        int(child.name) for child in children if re.fullmatch(r"\d+", child.name) and child.is_dir()
    )


def next_version(folder):
    """Return the number after the highest version in a model's folder, 1 for the first.

    Example:

    >>> from textrnn.export.versions import next_version
    >>> next_version("/nowhere")
    1
    """
    folder = Path(folder)
    names = (
        [child.name for child in folder.iterdir()] if folder.is_dir() else []
    )  # a file takes a number, too
    return max((int(name) for name in names if re.fullmatch(r"\d+", name)), default=0) + 1


def rename_to_next_version(unfinished, folder):
    """Rename a finished SavedModel to the next version of a model.

    Args:
        unfinished: The SavedModel's folder, on the same file system.
        folder: The model's folder, `<base>/<name>`.

    Returns:
        The `pathlib.Path` of the version, `<folder>/<version>`.
    """
    while True:
        version = folder / str(next_version(folder))
        try:
            return unfinished.rename(version)
        except OSError:  # another process may have taken the number meanwhile
            if not version.exists():
                raise

"""Writing files atomically, and without losing earlier results."""

import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path):
    """Context manager that yields a temporary path and renames it to `path` if no exception is raised.

    Args:
        path: The file to write. Its folder is created if it does not exist.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.files import replacing
    >>> path = Path(tempfile.mkdtemp()) / "report" / "note.txt"
    >>> with replacing(path) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> path.read_text(), [file.name for file in path.parent.iterdir()]
    ('whole', ['note.txt'])
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def set_aside(path):
    """Rename an existing file or folder to `path-1`, `path-2`, ..., whichever is free.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.files import set_aside
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "report").mkdir()
    >>> set_aside(folder / "report")
    >>> [child.name for child in folder.iterdir()]
    ['report-1']
    """
    path = Path(path)
    if path.exists():
        number = 1
        while (aside := path.with_name(f"{path.name}-{number}")).exists():
            number += 1
        path.rename(aside)

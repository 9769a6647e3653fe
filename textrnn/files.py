"""Writing files so that nothing a person made is lost."""

import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path):
    """Gives another name beside `path` to write to, and renames it to `path` if all went well.

    Args:
        path: The file to be written; its folder is made if need be.

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
    """Renames what an earlier run left at `path`, to `path-1`, `path-2`, ..., so that nothing is lost.

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

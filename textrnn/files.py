"""Writing files atomically, without losing earlier results, and by one process at a time."""

import errno
import os
import platform
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path

from textrnn.errors import InputError, expect


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
    """Rename an existing file or folder to `path-1`, `path-2`, ..., whichever is free, and return that path.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.files import set_aside
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "report").mkdir()
    >>> earlier = set_aside(folder / "report")
    >>> [child.name for child in folder.iterdir()]
    ['report-1']
    """
    path = Path(path)
    if not path.exists():
        return None
    number = 1
    while (aside := path.with_name(f"{path.name}-{number}")).exists():
        number += 1
    return path.rename(aside)


@contextmanager
def reserved(folder):
    """Context manager that reserves a folder for this process. It is created, and removed if it stays empty.

    The reservation is a lock of the operating system, so that of a process that has died is gone.

    Args:
        folder: The folder of a model.

    Raises:
        InputError: If another process has reserved the folder.
        OSError: If nothing can be written there.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.files import reserved
    >>> folder = Path(tempfile.mkdtemp()) / "novel"
    >>> with reserved(folder):
    ...     _ = (folder / "report.txt").write_text("done")
    >>> [file.name for file in folder.iterdir()]
    ['report.txt']
    """
    folder = Path(folder)
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / ".lock"
        descriptor = _locked(path)
        try:
            os.truncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
            yield
        finally:
            with suppress(OSError):
                path.unlink()
            os.close(descriptor)
    finally:
        for each in new:
            with suppress(OSError):  # it is not empty
                each.rmdir()


def remove_leftovers(folder):
    """Remove what killed processes have left unfinished in a folder: children named `.<name>.<process id>`.

    Also those with the number of this process, which must not write there yet: in a container each process
    that is started again has the same number.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.files import remove_leftovers
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / ".preset.99999999").mkdir()
    >>> remove_leftovers(folder)
    >>> list(folder.iterdir())
    []
    """
    for path in Path(folder).glob(".*"):
        process = path.suffix[1:]
        if path.stem.count(".") and process.isdigit() and not _is_other(int(process)):
            target = path.with_name(path.stem[1:])
            if not target.exists() and target.with_name(f"{target.name}-1").exists():
                path.rename(target)  # it was finished: the earlier one had been set aside
            elif path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _is_other(process):
    """Whether there is another process with this number."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to another user
        return True
    return True


def _locked(path):
    """Open and lock a file; return its descriptor."""
    from filelock import lock_descriptor

    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not lock_descriptor(descriptor, blocking=False):
                holder = os.read(descriptor, 1000).decode("utf-8", "replace") or "another process"
                raise InputError(
                    f"{path.parent} is being written by {holder}: wait until it ends, or give another --name"
                )
            # Its last holder may have removed it after this process opened it.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


_DISK = tuple(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "ENOTDIR", "EISDIR", "EEXIST",
    "EIO", "ENAMETOOLONG") if hasattr(errno, name)
)  # fmt: skip


def disk_problem(error, place=None):
    """Describe an error of the disk: a file that cannot be written or read. None for any other error.

    Args:
        error: An exception.
        place: What was written, for errors without the name of a file.

    Example:

    >>> import errno
    >>> from textrnn.files import disk_problem
    >>> disk_problem(OSError(errno.ENOSPC, "", "saved_models/novel"))
    'saved_models/novel: No space left on device. Free some space, and try again'
    """
    if isinstance(error, OSError) and error.errno is not None:
        found, where = [error.errno], error.filename
    else:  # TensorFlow and HDF5 put the text of the system's error into a message
        found, where = [number for number in _DISK[:5] if os.strerror(number) in str(error)], None
    if not found or found[0] not in _DISK:
        return None
    full = found[0] in _DISK[:2]
    advice = "Free some space, and try again" if full else "Give a place that can be written"
    return f"{where or place or 'writing failed'}: {os.strerror(found[0])}. {advice}"


def expect_space(folder, size):
    """Raise an `InputError` if the disk of a folder, which need not exist yet, lacks space for so many bytes.

    The checkpoints of the run that is resumed there are part of these.

    Example:

    >>> from textrnn.files import expect_space
    >>> expect_space(".", 1)
    """
    existing = next(
        each for each in (Path(folder).absolute(), *Path(folder).absolute().parents) if each.exists()
    )
    free = shutil.disk_usage(existing).free
    size -= sum(file.stat().st_size for file in Path(folder).glob("checkpoint*/*") if file.is_file())
    expect(
        free >= size,
        f"{folder}: the disk has {_megabytes(free)} left, and the model takes {_megabytes(size)}. Free some "
        "space, or give another --output",
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.{2 if size < 1e7 else 0}f} MB"


def expect_output(path, flag):
    """Raise an `InputError` if a file cannot be written, before a long computation.

    Args:
        path: The file, or None.
        flag: The option that names it, for the message.

    Example:

    >>> from textrnn.files import expect_output
    >>> expect_output("answers.txt", "--output")
    """
    if path is None:
        return
    path = Path(path)
    expect(
        path.parent.is_dir() and not path.is_dir() and os.access(path.parent, os.W_OK),
        f"{flag} {path}: give a file in a folder that exists and can be written",
    )

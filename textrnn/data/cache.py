"""Folders that are made once and shared by later runs and other processes, in the user's cache."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import filelock

from textrnn.errors import InputError, warn

CACHE_BYTES = 20_000_000_000
"""When folders of one kind are larger together, those that were not used for the longest time are removed."""

IN_USE = 3600
"""Seconds after its last use for which a folder is not removed."""

MANIFEST = "manifest.json"
LEFTOVER = ".writing-"

_temporary: list[tempfile.TemporaryDirectory] = []
"""Folders in place of a cache that cannot be written. They are removed when Python ends."""


class Entry(NamedTuple):
    """A folder in the cache.

    Attributes:
        folder: Its path.
        about: What its writer returned.
        hashes: The sha256 of each file, by its path in the folder.
    """

    folder: Path
    about: dict
    hashes: dict[str, str]


def cache_folder() -> Path:
    """Return the folder of downloads and of tokenized texts: `$TEXTRNN_CACHE`, or `~/.cache/textrnn`.

    Raises:
        InputError: If there is no home folder.
    """
    try:
        return Path(os.environ.get("TEXTRNN_CACHE") or "~/.cache/textrnn").expanduser()
    except RuntimeError:
        raise InputError("there is no home folder for the cache: set TEXTRNN_CACHE to a folder") from None


def cached(kind: str, key: str, write: Callable[[Path], dict], size: int) -> Entry:
    """Return a folder of the cache, and make it if it does not exist or is damaged.

    One process writes at a time, and others wait for it. A folder is written beside and renamed, so that it
    is whole, and what a killed process left is removed by the next one that writes. Its files are compared
    with their hashes before it is used. If the cache cannot be written, a temporary folder takes its place.

    Args:
        kind: Name of a folder in the cache.
        key: Name of the folder in there: a hash of all that its content depends on.
        write: A function that is called with an empty folder, writes into it and returns what else is
            to be known about it, as a dict of JSON values.
        size: The number of bytes that it is expected to write.

    Returns:
        An `Entry`.

    Raises:
        InputError: If the disk is too full.

    Example:

    >>> import os, tempfile
    >>> from unittest import mock
    >>> from textrnn.data.cache import cached
    >>> def write(folder):
    ...     print("writing")
    ...     _ = (folder / "note.txt").write_text("whole")
    ...     return {"words": 1}
    >>> with mock.patch.dict(os.environ, TEXTRNN_CACHE=tempfile.mkdtemp()):
    ...     for _ in range(2):
    ...         folder, about, _ = cached("notes", "1", write, size=5)
    writing
    >>> (folder / "note.txt").read_text(), about
    ('whole', {'words': 1})
    """
    folder = cache_folder() / kind
    if found := _read(folder / key):
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _locked(folder)
    except (OSError, NotImplementedError) as error:
        return _in_temporary_folder(folder, key, write, size, error)
    with lock:
        for leftover in folder.glob(f"{LEFTOVER}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if found := _read(folder / key):  # another process wrote it
            return found
        if (folder / key).exists():
            warn(f"{folder / key} is damaged: it is written again")
            shutil.rmtree(folder / key)
        _drop_old(folder, CACHE_BYTES - size)
        return _written(folder, key, write, size)


def _locked(folder):
    """Lock a folder of the cache, and say so when another process has the lock."""
    path = folder / ".lock"
    try:
        return filelock.FileLock(path).acquire(timeout=0)
    except filelock.Timeout:
        warn(f"waiting for another process, which writes to {folder}")
        return filelock.FileLock(path).acquire()


def _in_temporary_folder(folder, key, write, size, error):
    if not _temporary:
        why = getattr(error, "strerror", None) or error
        warn(
            f"{folder} cannot be written ({why}): a temporary folder is used, and the next run repeats the "
            "work. Set TEXTRNN_CACHE to a folder that can be written"
        )
        try:
            _temporary.append(tempfile.TemporaryDirectory(prefix="textrnn-"))
        except OSError as problem:
            raise InputError(
                f"neither {folder} nor a temporary folder can be written ({problem}): set TEXTRNN_CACHE"
            ) from problem
    parent = Path(_temporary[0].name) / folder.name
    parent.mkdir(exist_ok=True)
    return _read(parent / key) or _written(parent, key, write, size)


def _written(parent, key, write, size):
    """Write a folder beside and rename it."""
    free = shutil.disk_usage(parent).free
    if free < size:
        raise _full(parent, f"has {free / 1e6:,.0f} MB left, and {size / 1e6:,.0f} MB are needed")
    beside = parent / f"{LEFTOVER}{key}"
    try:
        beside.mkdir()
        about = write(beside)
        files = {str(path.relative_to(beside)): path for path in _files(beside)}
        hashes = {name: file_hash(path) for name, path in files.items()}
        sizes = {name: path.stat().st_size for name, path in files.items()}
        manifest = {"about": about, "hashes": hashes, "sizes": sizes}
        (beside / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        beside.rename(parent / key)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(parent, "is full") from error
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Entry(parent / key, about, hashes)


def _read(folder):
    """Return an intact folder of the cache, or None. The date of its manifest is that of its last use."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        about, hashes, sizes = manifest["about"], manifest["hashes"], manifest["sizes"]
        if any((folder / name).stat().st_size != size for name, size in sizes.items()):
            return None
        if any(file_hash(folder / name) != found for name, found in hashes.items()):
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    with suppress(OSError):  # a cache that can only be read
        os.utime(folder / MANIFEST)
    return Entry(folder, about, hashes)


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def _drop_old(folder, size):
    """Remove the folders that were not used for the longest time, until the others have this size."""
    dates, sizes = {}, {}
    for entry in folder.iterdir():
        with suppress(OSError):
            dates[entry] = (entry / MANIFEST).stat().st_mtime
            sizes[entry] = sum(path.stat().st_size for path in _files(entry))
    for entry in sorted(sizes, key=dates.__getitem__):
        if sum(sizes.values()) <= size or time.time() - dates[entry] < IN_USE:
            return
        shutil.rmtree(entry, ignore_errors=True)
        del sizes[entry]


def file_hash(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _full(folder, how):
    return InputError(
        f"{folder}: the disk {how}. Free some space, or set TEXTRNN_CACHE to a folder on another disk"
    )

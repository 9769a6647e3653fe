"""Text files: compressed or not, in any encoding, whole or line by line."""

import bz2
import codecs
import gzip
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

try:  # of the extra `tables`
    from backports import zstd
except ImportError:
    zstd = None  # type: ignore[assignment]

from textrnn.errors import InputError
from textrnn.unicode import decode, decode_blocks, encoding_of

BLOCK_BYTES = 2**20
"""Size of the parts in which long files are read."""

DAMAGED: Any = (
    *(OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError),
    *((zstd.ZstdError,) if zstd else ()),
)
"""Exceptions of files that cannot be read, of damaged archives and of encrypted ones."""


def read_bytes(path: str | os.PathLike) -> bytes:
    """Read a file, decompressed if its name ends in `.gz`, `.bz2`, `.xz`, `.zst` or `.zip`.

    A zip archive must hold one file, except for hidden ones.

    Raises:
        InputError: If the file does not exist, is a folder, cannot be read or is damaged.
    """
    with _opened(Path(path)) as stream:
        return stream.read()


def read_text(path: str | os.PathLike, encoding: str | None = None) -> str:
    r"""Read a text file, decompressed as by `read_bytes`.

    Args:
        path: The file.
        encoding: Name of the encoding. Default: that of the byte order mark, or UTF-8.

    Returns:
        The text without byte order marks, with `\n` for `\r\n`; see `textrnn.unicode.decode`.

    Raises:
        InputError: If the file cannot be read, or is not text in this encoding.

    Example:

    >>> import gzip, pathlib, tempfile
    >>> from textrnn.data.text_files import read_text
    >>> path = pathlib.Path(tempfile.mkdtemp(), "note.txt.gz")
    >>> _ = path.write_bytes(gzip.compress("première\r\nseconde".encode("utf-16")))
    >>> read_text(path)
    'première\nseconde'
    """
    return decode(read_bytes(path), str(path), encoding)


def read_blocks(path: str | os.PathLike) -> Iterator[bytes]:
    """Yield the content of a file in parts, decompressed as by `read_bytes`.

    Raises:
        InputError: As `read_bytes`, while iterating.
    """
    with _opened(Path(path)) as stream:
        while block := stream.read(BLOCK_BYTES):
            yield block


def text_blocks(path: str | os.PathLike, encoding: str | None = None) -> Iterator[str]:
    """Yield the text of a file in parts, which are together what `read_text` returns.

    Raises:
        InputError: As `read_text`, while iterating.
    """
    return decode_blocks(lambda: read_blocks(path), str(path), encoding)


def exceeds(paths: Iterable[Path], size: int) -> bool:
    """Tell whether files have more than so many bytes together, decompressed. Unreadable files have none."""
    for path in paths:
        compressed = path.suffix.lower() in _OPENERS
        with suppress(*DAMAGED, InputError):
            for length in map(len, read_blocks(path)) if compressed else [path.stat().st_size]:
                size -= length
                if size < 0:
                    return True
    return False


def read_lines(path: str | os.PathLike, encoding: str | None = None) -> Iterator[str]:
    """Yield the lines of a text file without their ends, read as by `read_text` but not all at once.

    Raises:
        InputError: As `read_text`, while iterating.
    """
    try:
        with _opened(Path(path)) as stream:
            for line in lines_of(stream, encoding, errors="strict"):
                if "\0" in line:
                    read_text(path, encoding)  # raises
                yield line
    except UnicodeDecodeError:
        read_text(path, encoding)  # raises an error that names the line
        raise


def lines_of(stream: IO[bytes], encoding: str | None = None, errors: str = "replace") -> Iterator[str]:
    r"""Yield the lines of a binary stream without their ends, as soon as they are read.

    Byte order marks and line ends are those of `textrnn.unicode.decode`.

    Args:
        stream: A binary stream, such as `sys.stdin.buffer`.
        encoding: Name of the encoding. Default: that of the byte order mark, or UTF-8.
        errors: What to do with invalid bytes: `"replace"` them by U+FFFD, or `"strict"`.

    Example:

    >>> import io
    >>> from textrnn.data.text_files import lines_of
    >>> list(lines_of(io.BytesIO(b"one\r\ntwo\xff\n\nlast")))
    ['one', 'two\ufffd', '', 'last']
    """
    decoder, rest, end = None, "", "\r"
    while True:
        chunk = stream.read1(2**20)  # type: ignore[attr-defined]
        if decoder is None:
            decoder = codecs.getincrementaldecoder(encoding_of(chunk, encoding))(errors)
        text = rest + decoder.decode(chunk, final=not chunk)
        *lines, rest = text.split("\n")
        if lines:
            end = "\n"
        yield from (line.removesuffix("\r").removeprefix("\ufeff") for line in lines)
        if not chunk:
            break
    if rest := rest.removesuffix("\r"):
        yield from (line.removeprefix("\ufeff") for line in rest.split(end))


def typed_lines() -> Iterator[str]:
    """Yield the lines that are typed or piped into the standard input, until it ends, after a prompt `> `."""
    forgive_invalid_bytes()
    while True:
        try:
            yield input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return


def forgive_invalid_bytes() -> None:
    """Make `sys.stdin` replace invalid bytes by U+FFFD, where `input` would raise an error."""
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")


def plain_name(path: str | os.PathLike) -> str:
    """Return the name of a file without the suffix of its compression.

    Of a zip archive it is the name of the file inside, unless the archive is called `NAME.csv.zip`.

    Example:

    >>> from textrnn.data.text_files import plain_name
    >>> plain_name("data/reviews.csv.gz"), plain_name("reviews.csv")
    ('reviews.csv', 'reviews.csv')
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _OPENERS:
        return path.name
    if suffix == ".zip" and not Path(path.stem).suffix:
        with _errors(path), zipfile.ZipFile(path) as archive:
            return Path(_member(archive)).name
    return path.stem


def files_in(folder: str | os.PathLike, include: str | None = None) -> list[Path]:
    """List the files of a folder and its subfolders in sorted order, files first.

    Hidden files and folders are left out. Links to folders are followed, but not to one that they are in.

    Args:
        folder: The folder.
        include: Pattern of file names, such as `"*.txt"`. Default: all.

    Raises:
        InputError: If there are no files, or if a folder cannot be read.
    """

    def refuse(error):
        raise InputError(f"the folder {error.filename} cannot be read: {error.strerror}") from error

    found = []
    for parent, folders, names in os.walk(str(folder), onerror=refuse, followlinks=True):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not _leads_back(os.path.join(parent, name))
        )
        found += [Path(parent, name) for name in sorted(names) if not name.startswith(".")]
    if not found:
        raise InputError(f"the folder {folder} has no files except hidden ones: put text files in it")
    chosen = [path for path in found if include is None or fnmatch(path.name, include)]
    if not chosen:
        raise InputError(
            f"none of the {len(found):,} files in {folder} has a name that matches --include {include!r}"
        )
    return chosen


def _leads_back(path: str) -> bool:
    """Whether a path is a link to a folder that it is in."""
    target = os.path.realpath(path)
    return os.path.islink(path) and any(os.path.realpath(part) == target for part in Path(path).parents)


@contextmanager
def _errors(path: Path):
    """Turn the errors of reading a file into an InputError."""
    try:
        yield
    except DAMAGED as error:
        raise InputError(f"{path} cannot be read: {error or 'it is damaged'}") from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, decompressed."""
    if not path.exists() and not path.is_symlink():
        raise InputError(f"{path} does not exist: give a file that exists")
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a file")
    with _errors(path), _OPENERS.get(path.suffix.lower(), open)(path, "rb") as stream:
        yield stream


def _member(archive: zipfile.ZipFile) -> str:
    """Return the name of the only file of an archive."""
    names = [
        name
        for name in archive.namelist()
        if not name.endswith("/") and not name.startswith("__MACOSX") and Path(name).name[0] != "."
    ]
    if len(names) != 1:
        raise InputError(f"{archive.filename} holds {len(names)} files, expected one: unpack it")
    return names[0]


@contextmanager
def _zip(path: Path, mode: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(path) as archive, archive.open(_member(archive)) as stream:
        yield stream


def _zst(path: Path, mode: str) -> IO[bytes]:
    if zstd is None:
        raise InputError(f"{path}: install backports.zstd to read it: pip install 'textrnn[tables]'")
    return zstd.open(path, "rb")


_OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _zst,
    ".zip": _zip,
}

"""Plain text: files and folders to documents."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from textrnn.data.records import count, listed
from textrnn.data.text_files import files_in, read_text
from textrnn.errors import InputError, warn
from textrnn.unicode import DecodingError


class Document(NamedTuple):
    """A text and its origin, such as a file."""

    origin: str
    text: str


class PlainTexts(NamedTuple):
    """Documents, and warnings about them for the user."""

    documents: list[Document]
    warnings: list[str]


def read_documents(
    path: str | os.PathLike, encoding: str | None = None, include: str | None = None
) -> list[Document]:
    r"""Read documents as `find_documents` does, and print its warnings on stderr.

    Example:

    >>> import pathlib, tempfile
    >>> from textrnn.data.documents import read_documents
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "poem.txt").write_bytes(b"one line\r\nanother\r\n")
    ...     [document] = read_documents(folder)
    >>> document.text
    'one line\nanother\n'
    """
    documents, warnings = find_documents(path, encoding, include)
    for warning in warnings:
        warn(warning)
    return documents


def find_documents(
    path: str | os.PathLike, encoding: str | None = None, include: str | None = None
) -> PlainTexts:
    r"""Read a text file, or all text files of a folder.

    Folders are read recursively in sorted order, files before subfolders. Hidden files and folders are
    skipped. Files of a folder that are empty, blank, binary or unreadable are left out with a warning. Files
    that end in `.gz`, `.bz2`, `.xz`, `.zst` or `.zip` are decompressed. Byte order marks are removed, and
    line ends become `\n`; see `textrnn.unicode.decode`.

    Args:
        path: A text file, or a folder of text files.
        encoding: Name of the encoding. Default: that of a file's byte order mark, or UTF-8.
        include: Pattern of the names of files to read in a folder, such as `"*.txt"`. Default: all.

    Returns:
        A `PlainTexts`, with one `Document` per file. `origin` is the path.

    Raises:
        InputError: If the path does not exist, if a folder has no texts, if a file is text in another
            encoding, if a file that is not in a folder has no text or is unreadable, or if `include` is given
            with such a file.

    Example:

    >>> import pathlib, tempfile
    >>> from textrnn.data.documents import find_documents
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "poem.txt").write_text("one line")
    >>> _ = (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\0\0")
    >>> documents, warnings = find_documents(folder)
    >>> len(documents), warnings
    (1, ['left out 1 file without text: ...Thumbs.db (binary)'])
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: give a text file or a folder of text files")
    if not path.is_dir():
        refuse_folder_options(path, include)
        text = read_text(path, encoding)
        if why := _without_text(text):
            raise InputError(f"{path} is {why}: give a file that contains text")
        return PlainTexts([Document(str(path), text)], [])
    return read_files(files_in(path, include), encoding, path)


def read_files(files: Sequence[Path], encoding: str | None, folder: Path) -> PlainTexts:
    """Read the text files among those of a folder, as `find_documents` does.

    Args:
        files: Paths of files.
        encoding: Name of the encoding, or None.
        folder: Their folder, in messages.

    Raises:
        InputError: If none has text, or if one is text in another encoding.
    """
    documents, left_out = [], []
    for file in files:
        try:
            text = read_text(file, encoding)
            why = _without_text(text)
        except InputError as error:
            why = reason_to_leave_out(error, file)
        if why:
            left_out.append(f"{file} ({why})")
        else:
            documents.append(Document(str(file), text))
    return PlainTexts(documents, left_out_warnings(left_out, folder, found=bool(documents)))


def reason_to_leave_out(error: InputError, file: Path) -> str:
    """Return why a file of a folder is left out, or raise the error if it is text in another encoding.

    All the files may be written in that encoding.
    """
    if not isinstance(error, DecodingError):
        return str(error).removeprefix(f"{file} ")
    if error.guess:
        raise error
    return "binary"


def left_out_warnings(left_out: Sequence[str], folder: Path, found: bool) -> list[str]:
    """Return the warning about files that were left out, if there are any.

    Args:
        left_out: The files, each with the reason.
        folder: Their folder.
        found: Whether there are other files.

    Raises:
        InputError: If there are none.
    """
    if not found:
        raise InputError(f"the folder {folder} has no text: {listed(left_out)}. Put text files in it")
    return [f"left out {count(len(left_out), 'file')} without text: {listed(left_out)}"] if left_out else []


def split_documents(documents: list[Document], held_out: float) -> tuple[list[Document], list[Document]]:
    """Hold out the end of the text.

    The documents are treated as one text and cut after `int((1 - held_out) * characters)`, which may be
    inside a document. For one file this is the usual split for character-level models.

    Args:
        documents: The documents, in order.
        held_out: Fraction of the characters to hold out, between 0 and 1.

    Returns:
        The training documents and the held-out documents.

    Raises:
        InputError: If the fraction is out of range, or if one side would be empty.

    Example:

    >>> from textrnn.data.documents import Document, split_documents
    >>> train, held_out = split_documents([Document("a", "abcdef"), Document("b", "ghij")], 0.5)
    >>> [document.text for document in train], [document.text for document in held_out]
    (['abcde'], ['f', 'ghij'])
    """
    origin = documents[0].origin if documents else "the text"
    cut = end_of_training(sum(len(document.text) for document in documents), held_out, origin)
    train, rest = [], []
    for origin, text in documents:
        head, tail = text[:cut], text[cut:]
        cut -= len(head)
        if head:
            train.append(Document(origin, head))
        if tail:
            rest.append(Document(origin, tail))
    return train, rest


def end_of_training(characters: int, held_out: float, origin: str) -> int:
    """Return where `split_documents` cuts a text: the number of characters to train on.

    Args:
        characters: The length of the text.
        held_out: Fraction of the characters to hold out, between 0 and 1.
        origin: Name of the text in error messages.

    Raises:
        InputError: As for `split_documents`.

    Example:

    >>> from textrnn.data.documents import end_of_training
    >>> end_of_training(200, 0.1, "novel.txt")
    180
    """
    if not 0 < held_out < 1:
        raise InputError(f"held_out is {held_out}: give a fraction between 0 and 1, such as 0.1")
    cut = int((1 - held_out) * characters)
    if not 0 < cut < characters:
        raise InputError(
            f"{origin}: {characters} characters cannot be split with held_out={held_out}, because one side "
            "would be empty. Give more text or another fraction"
        )
    return cut


def refuse_folder_options(
    path: str | os.PathLike, include: str | None = None, document: str = "file"
) -> None:
    """Refuse options of folders with a file, which would ignore them.

    Raises:
        InputError: If an option is not the default.

    Example:

    >>> from textrnn.data.documents import refuse_folder_options
    >>> refuse_folder_options("a.csv", "*.txt")
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: --include '*.txt' chooses files of a folder, but a.csv is a file: leave it out
    """
    if include is not None:
        raise InputError(
            f"--include {include!r} chooses files of a folder, but {path} is a file: leave it out"
        )
    if document != "file":
        raise InputError(
            f"--document {document} splits the files of a folder, but {path} is a table, whose rows are "
            "texts: leave it out"
        )


def _without_text(text: str) -> str:
    """Return why a text is unusable, `"empty"` or `"blank"`, or an empty str."""
    return "" if text.strip() else "blank" if text else "empty"

"""Plain text: files and folders to documents."""

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from textrnn.errors import InputError


class Document(NamedTuple):
    """A text and its origin, such as a file."""

    origin: str
    text: str


def read_documents(path: str | os.PathLike) -> list[Document]:
    r"""Read a UTF-8 text file, or all files of a folder.

    Folders are read recursively in sorted order, files before subfolders. Hidden files and folders are
    skipped. Files that end in `.gz` are decompressed. A byte order mark is removed, and `\r\n` becomes `\n`.

    Args:
        path: A text file, or a folder of text files.

    Returns:
        One `Document` per file. `origin` is the path.

    Raises:
        InputError: If the path does not exist, if a folder has no files, or if a file is empty, blank,
            unreadable or not UTF-8 text.

    Example:

    >>> import pathlib, tempfile
    >>> from textrnn.data.documents import read_documents
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "poem.txt").write_bytes(b"one line\r\nanother\r\n")
    ...     [document] = read_documents(folder)
    >>> document.text
    'one line\nanother\n'
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: give a text file or a folder of text files")
    if not path.is_dir():
        return [_read(path)]
    documents = [_read(file) for file in _files_in(path)]
    if not documents:
        raise InputError(f"the folder {path} has no files except hidden ones: put UTF-8 text files in it")
    return documents


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
    if not 0 < held_out < 1:
        raise InputError(f"held_out is {held_out}: give a fraction between 0 and 1, such as 0.1")
    characters = sum(len(document.text) for document in documents)
    cut = int((1 - held_out) * characters)
    if not 0 < cut < characters:
        origin = documents[0].origin if documents else "the text"
        raise InputError(
            f"{origin}: {characters} characters cannot be split with held_out={held_out}, because one side "
            "would be empty. Give more text or another fraction"
        )
    train, rest = [], []
    for origin, text in documents:
        head, tail = text[:cut], text[cut:]
        cut -= len(head)
        if head:
            train.append(Document(origin, head))
        if tail:
            rest.append(Document(origin, tail))
    return train, rest


def _files_in(folder: Path) -> Iterator[Path]:
    def refuse(error):
        raise InputError(f"the folder {error.filename} cannot be read: {error.strerror}") from error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _read(path: Path) -> Document:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    text = _decode(content, path)
    if not text:
        raise InputError(f"{path} is empty: give a file that contains text")
    if text.isspace():
        raise InputError(f"{path} contains only whitespace: give a file that contains text")
    return Document(str(path), text)


def _decode(content: bytes, path: Path) -> str:
    nul = content.find(b"\0")
    try:
        text = content.decode("utf-8")
        offset = nul
    except UnicodeDecodeError as error:
        offset = error.start if nul < 0 else min(error.start, nul)
    if offset >= 0:
        line = content.count(b"\n", 0, offset) + 1
        encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "latin1"
        raise InputError(
            f"{path} is not UTF-8 text: byte 0x{content[offset]:02x} at offset {offset} in line {line}. If "
            "it is text in another encoding, convert it, for example with "
            f"iconv -f {encoding} -t utf-8 FILE > NEW_FILE"
        )
    return text.removeprefix("\ufeff").replace("\r\n", "\n")

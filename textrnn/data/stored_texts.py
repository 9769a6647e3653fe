"""Texts larger than memory: read once into two files of the cache, and from there in parts."""

import codecs
import hashlib
import json
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textrnn.data.cache import cached, file_hash
from textrnn.data.documents import (
    Document,
    end_of_training,
    left_out_warnings,
    reason_to_leave_out,
    refuse_folder_options,
)
from textrnn.data.progress import progress
from textrnn.data.splitting import FEW_DOCUMENTS, FORM_FEED, Unit, chosen_rows, unit_hint
from textrnn.data.text_files import BLOCK_BYTES, exceeds, files_in, read_blocks, text_blocks
from textrnn.errors import InputError
from textrnn.unicode import well_formed

IN_MEMORY_BYTES = 16_000_000
"""Size up to which a text is kept in memory."""

MANY_DOCUMENTS = 1_000_000
"""Of more documents, each is held out or not on its own, since a list of them takes memory."""

FORMAT = 1
"""To be increased when the files in the cache change."""

END = b"\0"
"""Ends each document in the files of the cache. No text contains this character."""


class LongDocument(NamedTuple):
    """A document in a file of the cache, read when it is asked for.

    Attributes:
        origin: The file, which is UTF-8.
        start, stop: The bytes of the document.
    """

    origin: str
    start: int
    stop: int

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.blocks())

    def blocks(self) -> Iterator[str]:
        """Yield the text in parts."""
        decoder, left = codecs.getincrementaldecoder("utf-8")(), self.stop - self.start
        with open(self.origin, "rb") as file:
            file.seek(self.start)
            while block := file.read(min(BLOCK_BYTES, left)):
                left -= len(block)
                yield decoder.decode(block)


@dataclass(frozen=True)
class StoredTexts(Sequence[Document | LongDocument]):
    """Documents in a file of the cache, which is read from its beginning for each iteration or index.

    Attributes:
        path: The file: each document in UTF-8, and a NUL character.
        characters: The number of characters of all documents.
        documents: The number of documents.
        fingerprint: The sha256 of the file.
    """

    path: Path
    characters: int
    documents: int
    fingerprint: str

    def __len__(self) -> int:
        return self.documents

    def __getitem__(self, index):
        if isinstance(index, slice):
            return list(islice(self, *index.indices(len(self))))
        return next(islice(self, range(len(self))[index], None))

    def __iter__(self) -> Iterator[Document | LongDocument]:
        start = position = 0  # of the next document, and of the block
        for block in read_blocks(self.path):
            for part in block.split(END)[:-1]:
                stop = max(start, position) + len(part)
                if start < position:
                    yield LongDocument(str(self.path), start, stop)
                else:
                    yield Document(str(self.path), part.decode())
                start = stop + 1
            position += len(block)


class StoredSplits(NamedTuple):
    """The documents for training and for validation, and warnings about them for the user."""

    train: StoredTexts
    validation: StoredTexts
    warnings: list[str]


def count_characters(documents: Iterable) -> int:
    """Return the number of characters of documents: their attribute `characters`, or by counting.

    Example:

    >>> from textrnn.data.documents import Document
    >>> from textrnn.data.stored_texts import count_characters
    >>> count_characters([Document("a", "one"), Document("b", "two")])
    6
    """
    known = getattr(documents, "characters", None)
    return sum(len(document.text) for document in documents) if known is None else known


def is_long(path: str | Path, include: str | None = None) -> bool:
    """Tell whether a file, or the files of a folder, are too large to be kept in memory."""
    path = Path(path)
    return path.exists() and exceeds(_files(path, include), IN_MEMORY_BYTES)


def store_texts(
    path: str | Path,
    held_out: float,
    unit: Unit = "file",
    seed: int = 0,
    encoding: str | None = None,
    include: str | None = None,
) -> StoredSplits:
    r"""Read and split text that is larger than memory, as `find_documents`, `split_at` and `hold_out` do.

    The two parts are files in the cache, which later runs with the same data and options find again.

    Args:
        path: A text file, or a folder of text files.
        held_out: Fraction of the characters for validation.
        unit: What a document is.
        seed: Seed of a random split.
        encoding, include: As for `textrnn.data.documents.find_documents`.

    Returns:
        A `StoredSplits`.

    Raises:
        InputError: If the data cannot be read or split, or if the disk is full.

    Example:

    >>> import os, pathlib, tempfile
    >>> from unittest import mock
    >>> from textrnn.data.stored_texts import store_texts
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "verse.txt").write_text("Roses are red\nViolets are blue\n" * 5)
    >>> with mock.patch.dict(os.environ, TEXTRNN_CACHE=str(folder / "cache")):
    ...     train, validation, _ = store_texts(folder / "verse.txt", 0.2, "line")
    >>> len(train), len(validation), train[0].text
    (8, 2, 'Roses are red')
    """
    path = Path(path)
    if not path.is_dir():
        refuse_folder_options(path, include)
    files = _files(path, include)
    size = sum(file.stat().st_size for file in files if file.exists())

    def warnings(left_out, found=True):
        return left_out_warnings([f"{path / name} ({why})" for name, why in left_out], path, found)

    def write(folder):
        train, validation = folder / "train.txt", folder / "validation.txt"
        with progress("reading", size, "bytes") as done:
            left_out, lengths, documents = _write_documents(files, path, encoding, unit, train, done)
        warnings(left_out, found=documents > 0)
        characters, _ = _counts(train)
        cut = end_of_training(characters, held_out, str(path))
        hint = unit_hint([Document("", _head(train))]) if unit == "file" and documents < FEW_DOCUMENTS else []
        if documents < FEW_DOCUMENTS:
            _cut(train, validation, cut)
        else:
            _hold_out(train, validation, _chooser(lengths, held_out, seed))
        return {"counts": [_counts(train), _counts(validation)], "left_out": left_out, "hint": hint}

    key = _key(files, path, [FORMAT, encoding, unit, held_out, seed])
    # Many documents are copied when some of them are held out. The size of compressed files is not known.
    copied = 1 if unit != "file" or len(files) >= FEW_DOCUMENTS else held_out
    folder, about, hashes = cached("texts", key, write, int((1 + copied) * size))
    train, validation = (
        StoredTexts(folder / name, counts[0], counts[1], hashes[name])
        for name, counts in zip(("train.txt", "validation.txt"), about["counts"], strict=True)
    )
    return StoredSplits(train, validation, warnings(about["left_out"]) + about["hint"])


def _files(path, include):
    return files_in(path, include) if path.is_dir() else [path]


def _key(files, path, options) -> str:
    """Hash all that the files in the cache depend on."""
    digest = hashlib.sha256(json.dumps(options).encode())
    for file in files:
        # The name of a file decides how it is decompressed, and the names in a folder their order.
        name = str(file.relative_to(path)) if path.is_dir() else file.suffix
        try:
            content = file_hash(file)
        except OSError:
            content = "unreadable"
        digest.update(json.dumps([name, content]).encode())
    return digest.hexdigest()


def _write_documents(files, path, encoding, unit, target, done: Callable[[int], object]):
    """Write the documents of all files into one.

    Returns the names of the files without text, each with the reason; the lengths of the documents, None if
    there are too many; and their number.
    """
    left_out: list[tuple[str, str]] = []
    lengths, documents = array("q"), 0
    with target.open("wb") as out:
        for file in files:
            start, before, length = out.tell(), documents, 0
            kinds: set[str] = set()
            try:
                for part, ends in _parts(_noting_kinds(text_blocks(file, encoding), kinds), unit):
                    done(out.write(well_formed(part).encode()))
                    length += len(part)
                    if ends:
                        out.write(END)
                        documents += 1
                        if documents <= MANY_DOCUMENTS:
                            lengths.append(length)
                        length = 0
                why = "" if "text" in kinds else "blank" if "blank" in kinds else "empty"
            except InputError as error:
                if not path.is_dir():
                    raise
                why = reason_to_leave_out(error, file)
            if why:
                if not path.is_dir():
                    raise InputError(f"{path} is {why}: give a file that contains text")
                left_out.append((str(file.relative_to(path)), why))
                out.seek(start)
                out.truncate()
                del lengths[before:]
                documents = before
    return left_out, lengths if documents <= MANY_DOCUMENTS else None, documents


def _noting_kinds(blocks, kinds):
    """Yield the blocks of a text, and note whether they are empty, blank or text."""
    for block in blocks:
        kinds.add("text" if block.strip() else "blank" if block else "empty")
        yield block


def _parts(blocks: Iterable[str], unit: Unit) -> Iterator[tuple[str, bool]]:
    """Yield the parts of documents, and whether a document ends with the part."""
    if unit == "file":
        yield from ((block, False) for block in blocks)
        yield "", True
        return
    inside, gap = False, ""  # whether a document has begun, and the blank lines after its last line of text
    for line in _lines(blocks):
        blank = not line.strip()
        if unit == "line" and not blank:
            yield line, True
        elif unit != "line" and not blank:
            yield f"{gap}\n{line}" if inside else line, False
            inside, gap = True, ""
        elif inside and (unit == "blank_line" or line == FORM_FEED):
            yield "", True
            inside, gap = False, ""
        elif inside:
            gap += f"\n{line}"
    if inside:
        yield "", True


def _lines(blocks):
    parts: list[str] = []  # of the line that has not ended
    for block in blocks:
        first, *others = block.split("\n")
        parts.append(first)
        for line in others:
            yield "".join(parts)
            parts = [line]
    yield "".join(parts)


def _head(path):
    """Return the beginning of the documents in a file."""
    for block in read_blocks(path):
        return block.decode("utf-8", "ignore").replace("\0", "\n")
    return ""


def _counts(path):
    """Return the numbers of characters and of documents in a file."""
    characters = documents = 0
    for block in read_blocks(path):
        ends = block.count(END)
        characters += int(np.count_nonzero(_starts(block))) - ends
        documents += ends
    return characters, documents


def _starts(block):
    """Return where a character begins in UTF-8, a bool for each byte."""
    return (np.frombuffer(block, np.uint8) & 0xC0) != 0x80


def _offset(path, characters):
    """Return the position in a file at which the documents have so many characters before it."""
    position = 0
    for block in read_blocks(path):
        starts = np.flatnonzero(_starts(block) & (np.frombuffer(block, np.uint8) != END[0]))
        if characters < len(starts):
            return position + int(starts[characters])
        characters -= len(starts)
        position += len(block)
    return position


def _cut(path, rest, characters):
    """Move the documents after so many characters into another file."""
    offset = _offset(path, characters)
    with path.open("r+b") as file, rest.open("wb") as out:
        file.seek(offset)
        shutil.copyfileobj(file, out)
        file.seek(offset - 1)
        whole = file.read(1) == END  # or the cut is inside a document
        file.truncate(offset)
        file.seek(offset)
        file.write(b"" if whole else END)


def _hold_out(path, rest, is_held_out: Callable[[int], bool]):
    """Move some documents into another file."""
    every = path.with_name("every.txt")
    path.rename(every)
    row = 0
    with path.open("wb") as train, rest.open("wb") as validation:
        out = validation if is_held_out(row) else train
        for block in read_blocks(every):
            *ended, last = block.split(END)
            for part in ended:
                out.write(part + END)
                row += 1
                out = validation if is_held_out(row) else train
            out.write(last)
    every.unlink()


def _chooser(lengths, fraction, seed) -> Callable[[int], bool]:
    """Return a function that tells whether a document is held out. It is called once for each, in order."""
    if lengths is not None:
        return chosen_rows(lengths, fraction, seed).__contains__
    random = np.random.default_rng(seed)
    return lambda row: random.random() < fraction

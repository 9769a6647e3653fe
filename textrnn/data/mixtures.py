"""Mixtures of texts from several sources, some of which an epoch reads more than once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from textrnn.data.documents import Document
from textrnn.data.records import fingerprint
from textrnn.data.stored_texts import LongDocument, StoredTexts, count_characters

Documents = Sequence[Document | LongDocument]


class Part(NamedTuple):
    """The documents of one source, and how often an epoch reads them."""

    name: str
    documents: Documents
    times: int = 1


@dataclass(frozen=True)
class Mixture(Sequence[Document | LongDocument]):
    """Documents of several sources as one sequence, source after source.

    Batches mix them nevertheless, since each row of a batch reads another part of the stream.

    Attributes:
        parts: The sources.

    Example:

    >>> from textrnn.data.documents import Document
    >>> from textrnn.data.mixtures import Mixture, Part
    >>> old, new = Document("old", "It was the best of times."), Document("new", "ok then")
    >>> texts = Mixture((Part("novels", [old]), Part("mail", [new], times=2)))
    >>> [document.origin for document in texts], texts.characters
    (['old', 'new', 'new'], 39)
    """

    parts: tuple[Part, ...]

    @property
    def characters(self) -> int:
        """The number of characters that an epoch reads."""
        return sum(part.times * count_characters(part.documents) for part in self.parts)

    @property
    def fingerprint(self) -> str:
        """A hash of the content and of how often it is read."""
        hashes = [
            part.documents.fingerprint
            if isinstance(part.documents, StoredTexts)
            else fingerprint(part.documents)
            for part in self.parts
        ]
        return fingerprint(f"{part.times} {found}" for part, found in zip(self.parts, hashes, strict=True))

    def __len__(self) -> int:
        return sum(part.times * len(part.documents) for part in self.parts)

    def __getitem__(self, index):
        return list(self)[index]

    def __iter__(self) -> Iterator[Document | LongDocument]:
        for _, documents, times in self.parts:
            for _ in range(times):
                yield from documents

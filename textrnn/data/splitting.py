"""Splits of running text: into documents, and into training and validation parts."""

import re
import statistics
from collections.abc import Sequence
from typing import Literal

import numpy as np

from textrnn.data.documents import Document, split_documents
from textrnn.data.records import partition

Unit = Literal["file", "line", "blank_line", "form_feed"]
"""What a document is: a file, a line, or a part between blank lines or between lines of a form feed."""

FORM_FEED = "\f"
"""A line of this character alone separates documents, as it separates pages."""

_TEXT_LINE = r".*\S.*(?:\n|\Z)"
_OTHER_BLANK_LINE = rf"(?!{FORM_FEED}\n)[^\S\n]*\n"

PATTERNS = {
    "line": re.compile(r".+"),
    "blank_line": re.compile(rf"(?:{_TEXT_LINE})+"),
    "form_feed": re.compile(rf"{_TEXT_LINE}(?:(?:{_OTHER_BLANK_LINE})*+{_TEXT_LINE})*+"),
}
"""A document of a text, by unit."""

FEW_DOCUMENTS = 10
"""With fewer documents, a part is cut off at the end, since whole documents would be too coarse."""

SHORT_LINE_CHARACTERS = 30
"""The lines of a list of names or messages are shorter, most lines of prose and verse are longer."""


def split_at(documents: Sequence[Document], unit: Unit) -> list[Document]:
    r"""Split documents at lines, blank lines or form feeds, without those breaks.

    Blank documents, and blank lines before and after a document, are left out.

    Args:
        documents: The documents, each a file.
        unit: What a document is.

    Returns:
        The documents; the origin of each has the number of its first line.

    Example:

    >>> from textrnn.data.documents import Document
    >>> from textrnn.data.splitting import split_at
    >>> poems = Document("poems.txt", "Roses\nare red\n\nViolets\nare blue\n")
    >>> [document.text for document in split_at([poems], "blank_line")]
    ['Roses\nare red', 'Violets\nare blue']
    >>> split_at([poems], "line")[2]
    Document(origin='poems.txt, line 4', text='Violets')
    """
    if unit == "file":
        return list(documents)
    parts = []
    for origin, text in documents:
        line, end = 1, 0
        for found in PATTERNS[unit].finditer(text):
            line, end = line + text.count("\n", end, found.start()), found.start()
            if part := found[0].removesuffix("\n"):
                parts.append(Document(f"{origin}, line {line}", part))
    return [part for part in parts if not part.text.isspace()]


def hold_out(
    documents: Sequence[Document], fraction: float, seed: int = 0
) -> tuple[list[Document], list[Document]]:
    """Hold out whole documents at random, or the end of the text if there are fewer than ten documents.

    The order of many documents is often that of a list, such as names in alphabetical order, whose end is
    unlike the rest.

    Args:
        documents: The documents.
        fraction: Fraction of the characters to hold out, between 0 and 1; approximate for whole documents.
        seed: Seed of the choice.

    Returns:
        The training documents and the held-out documents, both in their original order.

    Raises:
        InputError: If the fraction is out of range, or if one side would be empty.

    Example:

    >>> from textrnn.data.documents import Document
    >>> from textrnn.data.splitting import hold_out
    >>> names = [Document("names.txt", letter * 5) for letter in "abcdefghijklmnopqrst"]
    >>> train, rest = hold_out(names, 0.2)
    >>> len(train), len(rest), rest == names[-4:]
    (16, 4, False)
    """
    if len(documents) < FEW_DOCUMENTS or not 0 < fraction < 1:
        return split_documents(list(documents), fraction)
    return partition(documents, chosen_rows([len(document.text) for document in documents], fraction, seed))


def chosen_rows(lengths: Sequence[int], fraction: float, seed: int) -> set[int]:
    """Return the positions of documents that are held out at random, at least one and not all.

    Args:
        lengths: The number of characters of each document.
        fraction, seed: As for `hold_out`.

    Example:

    >>> from textrnn.data.splitting import chosen_rows
    >>> len(chosen_rows([5] * 20, 0.2, seed=0))
    4
    """
    order = np.random.default_rng(seed).permutation(len(lengths))
    ends = np.cumsum(np.asarray(lengths)[order])
    count = int(np.searchsorted(ends, fraction * ends[-1], side="right"))
    return set(order[: min(max(count, 1), len(lengths) - 1)].tolist())


def unit_hint(documents: Sequence[Document]) -> list[str]:
    r"""Return a warning if the lines of a text are so short that each may be a document.

    Example:

    >>> from textrnn.data.documents import Document
    >>> from textrnn.data.splitting import unit_hint
    >>> [warning] = unit_hint([Document("names.txt", "Ada\nGrace\nEdsger\n" * 20)])
    >>> warning
    'most lines are short (median 5 characters). If each is a text of its own, such as a name ...'
    >>> unit_hint([Document("essay.txt", "A line of prose is a good deal longer than a name is.\n" * 20)])
    []
    """
    lengths = [len(line) for document in documents for line in document.text.split("\n") if line.strip()]
    if len(documents) >= FEW_DOCUMENTS or len(lengths) < 20:
        return []
    median = statistics.median_low(lengths)
    if median > SHORT_LINE_CHARACTERS:
        return []
    hint = (
        f"most lines are short (median {median} characters). If each is a text of its own, such as a name or "
        "a message, add --document line; if blank lines separate texts, add --document blank_line"
    )
    return [hint]

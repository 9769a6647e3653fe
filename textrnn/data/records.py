"""Helpers of the readers of plain, labelled and parallel texts: messages, splits by row, and hashes."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    Example:

    >>> from textrnn.data.records import count
    >>> count(1, "pair"), count(1200, "pair")
    ('1 pair', '1,200 pairs')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(items: Sequence[str], separator: str = "; ", shown: int = 5) -> str:
    """Join the first items, and append the number of the others.

    Example:

    >>> from textrnn.data.records import listed
    >>> listed(["line 2", "line 3", "line 9"], shown=2)
    'line 2; line 3 and 1 more'
    """
    rest = f" and {len(items) - shown:,} more" if len(items) > shown else ""
    return separator.join(items[:shown]) + rest


def numbered(place: str, numbers: Sequence[int], notes: Sequence[str] = ()) -> str:
    """List the first numbers of lines or rows, each followed by its note if there are notes.

    Example:

    >>> from textrnn.data.records import numbered
    >>> numbered("row", [2]), numbered("line", [3, 4], ["Greek", "Latin"])
    ('row 2', 'lines 3 (Greek), 4 (Latin)')
    """
    words = [str(number) for number in numbers]
    if notes:
        words = [f"{word} ({note})" for word, note in zip(words, notes, strict=True)]
    return f"{place if len(numbers) == 1 else place + 's'} {listed(words, ', ')}"


def shortened(text: str, size: int = 80) -> str:
    """Return the beginning of a text for a message.

    Example:

    >>> from textrnn.data.records import shortened
    >>> shortened("It was a dark and stormy night.", 13)
    'It was a dark...'
    """
    return text if len(text) <= size else text[:size] + "..."


def collapsed(text: str) -> str:
    """Return a text with one space for each run of whitespace, to compare texts.

    Example:

    >>> from textrnn.data.records import collapsed
    >>> collapsed(" So   dull ")
    'So dull'
    """
    return " ".join(text.split())


def partition(items: Sequence[Item], held_out: Collection[int]) -> tuple[list[Item], list[Item]]:
    """Split items into those to train on and those held out, both in their original order.

    Args:
        items: The items.
        held_out: Positions of the items to hold out.

    Example:

    >>> from textrnn.data.records import partition
    >>> partition(["a", "b", "c"], {1})
    (['a', 'c'], ['b'])
    """
    rows = set(held_out)
    return (
        [item for row, item in enumerate(items) if row not in rows],
        [item for row, item in enumerate(items) if row in rows],
    )


def fingerprint(records: Iterable[str | tuple]) -> str:
    """Hash texts or records, without where they come from.

    Args:
        records: Texts, or named tuples of texts. A field `origin` is passed over.

    Returns:
        64 hexadecimal digits, which differ if any text or the order differs.

    Example:

    >>> from textrnn.data.records import fingerprint
    >>> fingerprint(["ab", "c"]) == fingerprint(["a", "bc"])
    False
    """
    digest = hashlib.sha256()
    for record in records:
        fields = [record] if isinstance(record, str) else _without_origin(record)
        parts = [part.encode("utf-8", "surrogatepass") for part in fields]
        digest.update(b"".join(b"%d:" % len(part) + part for part in parts))
    return digest.hexdigest()


def _without_origin(record):
    names = getattr(record, "_fields", [""] * len(record))
    return [value for name, value in zip(names, record, strict=True) if name != "origin"]

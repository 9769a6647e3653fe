"""Warnings about texts that are hardly sentences of one language."""

import collections
import functools
import statistics
import unicodedata

from textrnn.data.records import count, numbered

LONG_TEXT_CHARACTERS = 1000
"""No sentence is longer than this."""


def unusual_texts(texts: dict[int, str], noun: str, file: str, place: str = "line") -> list[str]:
    """Return warnings about very long texts, and about texts in another script than most.

    Args:
        texts: The texts by the number of their line or row, at least one.
        noun: What they are, such as `"source"`.
        file: The name of their file.
        place: What the numbers count, `"line"` or `"row"`.

    Example:

    >>> from textrnn.data.unusual_texts import unusual_texts
    >>> unusual_texts({1: "Allez !", 2: "Attends.", 3: "Ναι."}, "target", "fra.txt")
    ['1 target in another script than LATIN: fra.txt, line 3 (GREEK)']
    """
    return [*_long_texts(texts, noun, file, place), *_texts_in_other_scripts(texts, noun, file, place)]


def _long_texts(texts: dict[int, str], noun: str, file: str, place: str) -> list[str]:
    """Return a warning about texts too long to be a sentence, often a sign of missing line breaks."""
    median = statistics.median(map(len, texts.values()))
    long = [number for number, text in texts.items() if len(text) > max(LONG_TEXT_CHARACTERS, 10 * median)]
    if not long:
        return []
    limit = f"{LONG_TEXT_CHARACTERS:,} characters (median {median:,.0f})"
    return [f"{count(len(long), noun)} longer than {limit}: {file}, {numbered(place, long)}"]


def _texts_in_other_scripts(texts: dict[int, str], noun: str, file: str, place: str) -> list[str]:
    """Return a warning about texts whose main script is not the main script of all texts."""
    counts = _scripts(collections.Counter("".join(texts.values())))
    if len(counts) < 2:
        return []
    [(usual, _)] = counts.most_common(1)
    foreign = {c for c in set().union(*texts.values()) if _script(c) not in (usual, None)}
    found = {}
    for number, text in texts.items():
        if not foreign.isdisjoint(text):  # few texts have foreign letters, and only these are counted
            letters = _scripts(collections.Counter(text))
            [(script, most)] = letters.most_common(1)
            if script != usual and most > letters.total() / 2:
                found[number] = script
    if not found:
        return []
    where = numbered(place, list(found), list(found.values()))
    return [f"{count(len(found), noun)} in another script than {usual}: {file}, {where}"]


def _scripts(characters: collections.Counter) -> collections.Counter:
    """Count the letters of each script."""
    counts: collections.Counter = collections.Counter()
    for character, number in characters.items():
        if script := _script(character):
            counts[script] += number
    return counts


@functools.cache
def _script(character: str) -> str | None:
    """Return the script of a letter, or None for other characters.

    The script is the first word of the letter's Unicode name. Compatibility characters (ª, ﬁ, full width)
    count as the letter they stand for. The three scripts that Japanese mixes count as one.
    """
    if not character.isalpha():
        return None
    word = unicodedata.name(unicodedata.normalize("NFKC", character)[0], "UNNAMED").split()[0]
    return "CJK" if word in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA") else word

"""The user's parallel texts: a table, or two files line by line -> pairs, with errors that name the line."""

import collections
import functools
import statistics
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textrnn.data.files import read_documents
from textrnn.data.labelled import Example, repeated
from textrnn.errors import InputError

_LONG = 1000  # characters; no sentence is that long


class Pair(NamedTuple):
    """A text with its translation, and where they came from."""

    origin: str
    source: str
    target: str


class ParallelTexts(NamedTuple):
    """Pairs, and what a person should know about how they were read: a sentence each."""

    pairs: list[Pair]
    remarks: list[str]


def read_pairs(path) -> ParallelTexts:
    r"""Reads pairs from a table with a source, a tab and a target in every line.

    That is a `.tsv` file with no first row of names and no quotes, UTF-8, perhaps with `.gz` behind. What is
    behind a second tab is ignored, such as the attribution in Tatoeba's tables. Whitespace around a side is
    not part of it.

    Pairs of which a side is empty are left out, with a remark. There are remarks too on pairs with the same
    text on both sides, on texts much longer than the others, and on texts in another script than the others
    of their side; these are kept.

    Args:
        path: the table.

    Returns:
        A `ParallelTexts`; the `where` of a pair is its file and line.

    Raises:
        InputError: a path that does not exist or is a folder, a line with no tab, text that is not UTF-8,
            and no pairs at all.

    Example:
    >>> import pathlib, tempfile
    >>> from textrnn.data.parallel import read_pairs
    >>> table = pathlib.Path(tempfile.mkdtemp(), "phrases.tsv")
    >>> _ = table.write_text("Go.\tVa !\nRun!\t\nWait.\tAttends.\n")
    >>> pairs, [remark] = read_pairs(table)
    >>> [(pair.source, pair.target) for pair in pairs]
    [('Go.', 'Va !'), ('Wait.', 'Attends.')]
    >>> remark
    'left out, since a side is empty: ...phrases.tsv, line 2'
    """
    return parse_pairs(_read(path), str(path))


def parse_pairs(text: str, name: str) -> ParallelTexts:
    r"""What `read_pairs` does, of a text that has been read already.

    Args:
        text: lines of a source, a tab and a target.
        name: what the text is called in messages: its file.

    Raises:
        InputError: a line with no tab, and no pairs at all.

    Example:
    >>> from textrnn.data.parallel import parse_pairs
    >>> parse_pairs("Go.\tVa !\tCC BY 2.0\n", "fra.txt").pairs
    [Pair(origin='fra.txt, line 1', source='Go.', target='Va !')]
    """
    rows = []
    for number, line in enumerate(_lines_of(text), start=1):
        first, tab, rest = line.partition("\t")
        if not tab and line.strip():
            raise InputError(
                f"{name}, line {number}: there is no tab in {_shortened(line)!r}: expected a text, a tab and "
                "its translation in every line. For two files whose lines belong together give both"
            )
        rows.append((first.strip(), rest.partition("\t")[0].strip()))
    return _examined(rows, (name, name))


def read_aligned(source_path, target_path) -> ParallelTexts:
    r"""Reads pairs from two files, of which every line of one translates the same line of the other.

    Both are UTF-8, perhaps with `.gz` behind. Lines end with `\n` or `\r\n` and with nothing else, so that
    characters that other programs take for an end of line do not shift what follows. What is left out and
    what is remarked on is the same as in `read_pairs`.

    Args:
        source_path, target_path: the files.

    Returns:
        A `ParallelTexts`; the `where` of a pair is its source's file and line.

    Raises:
        InputError: a path that does not exist or is a folder, different numbers of lines, text that is not
            UTF-8, and no pairs at all.

    Example:
    >>> import pathlib, tempfile
    >>> from textrnn.data.parallel import read_aligned
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "train.en").write_text("A dog runs.\nA man sleeps.\n")
    >>> _ = (folder / "train.de").write_text("Ein Hund rennt.\nEin Mann schläft.\n", "utf-8")
    >>> [pair.target for pair in read_aligned(folder / "train.en", folder / "train.de").pairs]
    ['Ein Hund rennt.', 'Ein Mann schläft.']
    """
    paths = source_path, target_path
    sides = [[line.strip() for line in _lines_of(_read(path))] for path in paths]
    if len(sides[0]) != len(sides[1]):
        raise InputError(
            f"{source_path} has {len(sides[0]):,} lines and {target_path} has {len(sides[1]):,}: every line "
            "must be the translation of the same line in the other file. Find where they part, and leave a "
            "line empty where a translation is missing"
        )
    return _examined(list(zip(*sides, strict=True)), (str(source_path), str(target_path)))


def swapped(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs for the other direction: what was the target is the source.

    Example:
    >>> from textrnn.data.parallel import Pair, swapped
    >>> swapped([Pair("fra.txt, line 1", "Go.", "Va !")])
    [Pair(origin='fra.txt, line 1', source='Va !', target='Go.')]
    """
    return [Pair(pair.origin, pair.target, pair.source) for pair in pairs]


def split_pairs(
    pairs: Sequence[Pair], held_out: float, seed: int = 0, most: int | None = None
) -> tuple[list[Pair], list[Pair]]:
    """Parts pairs at random, all translations of a source on the same side.

    Where sources repeat, as in Tatoeba's tables, a split by pairs would measure memory. Sources that differ
    by whitespace alone count as the same.

    Args:
        pairs: with at least two different sources.
        held_out: the fraction of the pairs to hold out, between 0 and 1. It is met as nearly as sources with
            several translations allow, and at least one source is held out.
        seed: of the choice.
        most: how many pairs to hold out at most, whatever the fraction.

    Returns:
        The pairs to train on, and those held out, both in the order in which they were.

    Raises:
        InputError: a fraction outside (0, 1), `most` below 1, or fewer than two different sources.

    Example:
    >>> from textrnn.data.parallel import Pair, split_pairs
    >>> pairs = [Pair(f"a.tsv, line {i}", f"source {i // 2}", f"target {i}") for i in range(40)]
    >>> train, held_out = split_pairs(pairs, 0.2)
    >>> len(train), len(held_out), {pair.source for pair in train} & {pair.source for pair in held_out}
    (32, 8, set())
    """
    if not 0 < held_out < 1:
        raise InputError(f"held_out is {held_out}: give a fraction between 0 and 1, for example 0.1")
    if most is not None and most < 1:
        raise InputError(f"most is {most}: hold out at least one pair")
    rows: dict[str, list[int]] = collections.defaultdict(list)
    for row, pair in enumerate(pairs):
        rows[" ".join(pair.source.split())].append(row)
    if len(rows) < 2:
        raise InputError(
            f"{len(pairs)} pairs with {len(rows)} different sources cannot be split: give at least two "
            "sources, and one more for each part to split off"
        )
    wanted = max(1, min(round(held_out * len(pairs)), len(pairs) - 1, most or len(pairs)))
    groups = list(rows.values())
    chosen: set[int] = set()
    for index in np.random.default_rng(seed).permutation(len(groups)).tolist():
        if len(chosen) + len(groups[index]) <= wanted:
            chosen.update(groups[index])
    if not chosen:  # every source has more translations than are wanted
        chosen.update(sorted(groups, key=len)[0])
    return (
        [pair for row, pair in enumerate(pairs) if row not in chosen],
        [pair for row, pair in enumerate(pairs) if row in chosen],
    )


def repeated_pairs(train: Sequence[Pair], test: Sequence[Pair]) -> list[str]:
    """Remarks on sources that are in both parts: what is measured on those is memory.

    Example:
    >>> from textrnn.data.parallel import Pair, repeated_pairs
    >>> repeated_pairs([Pair("a.tsv, line 1", "Go.", "Va !")], [Pair("b.tsv, line 9", "Go.", "Allez !")])
    ['1 of the 1 texts to measure on is also trained on: b.tsv, line 9 (= a.tsv, line 1)']
    """
    return repeated(*([Example(pair.origin, pair.source, "") for pair in part] for part in (train, test)))


def _read(path) -> str:
    if Path(path).is_dir():
        raise InputError(f"{path} is a folder: give a .tsv file, or two files whose lines belong together")
    [document] = read_documents(path)
    return document.text


def _lines_of(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n")


def _shortened(line: str) -> str:
    return line if len(line) <= 40 else line[:40] + "..."


def _examined(rows: list[tuple[str, str]], files: tuple[str, str]) -> ParallelTexts:
    """The pairs of what all lines hold, and the remarks."""
    full = {number: row for number, row in enumerate(rows, start=1) if all(row)}
    both = " and ".join(dict.fromkeys(files))
    if not full:
        raise InputError(f"{both}: no line has a text and its translation: give some pairs")
    empty = [number for number in range(1, len(rows) + 1) if number not in full]
    same = [number for number, (source, target) in full.items() if source == target]
    remarks = []
    if empty:
        remarks.append(f"left out, since a side is empty: {both}, {_lines(empty)}")
    if same:
        remarks.append(f"kept, though both sides are the same ({len(same):,}): {both}, {_lines(same)}")
    for side, (name, file) in enumerate(zip(("sources", "targets"), files, strict=True)):
        texts = {number: row[side] for number, row in full.items()}
        found = *_too_long(texts, file), *_in_other_scripts(texts, file)
        remarks += [f"{name} {remark}" for remark in found]
    pairs = [Pair(f"{files[0]}, line {number}", *row) for number, row in full.items()]
    return ParallelTexts(pairs, remarks)


def _lines(numbers: Sequence[int], notes: Sequence[str] = (), most: int = 5) -> str:
    """The first of these lines in words, each perhaps with a note."""
    words = [str(number) for number in numbers[:most]]
    if notes:
        words = [f"{word} ({note})" for word, note in zip(words, notes[:most], strict=True)]
    rest = f" and {len(numbers) - most:,} more" if len(numbers) > most else ""
    return f"{'line' if len(numbers) == 1 else 'lines'} {', '.join(words)}{rest}"


def _too_long(texts: dict[int, str], file: str) -> list[str]:
    """A remark on texts that are no sentences where most are: often a sign of lost ends of lines."""
    usual = statistics.median(map(len, texts.values()))
    long = [number for number, text in texts.items() if len(text) > max(_LONG, 10 * usual)]
    if not long:
        return []
    limit = f"of more than {_LONG:,} characters, where half of all have no more than {usual:,.0f}"
    return [f"{limit}: {file}, {_lines(long)}"]


def _in_other_scripts(texts: dict[int, str], file: str) -> list[str]:
    """A remark on texts most of whose letters are of another script than most letters of all texts."""
    counts = _scripts(collections.Counter("".join(texts.values())))
    if len(counts) < 2:
        return []
    [(usual, _)] = counts.most_common(1)
    foreign = {c for c in set().union(*texts.values()) if _script(c) not in (usual, None)}
    found = {}
    for number, text in texts.items():
        if not foreign.isdisjoint(text):  # few are: only these are counted
            letters = _scripts(collections.Counter(text))
            [(script, count)] = letters.most_common(1)
            if script != usual and count > letters.total() / 2:
                found[number] = script
    if not found:
        return []
    return [f"in another script than the rest, {usual}: {file}, {_lines(list(found), list(found.values()))}"]


def _scripts(characters: collections.Counter) -> collections.Counter:
    """How many letters of each script there are."""
    counts: collections.Counter = collections.Counter()
    for character, count in characters.items():
        if script := _script(character):
            counts[script] += count
    return counts


@functools.cache
def _script(character: str) -> str | None:
    """The script of a letter, by the first word of its name; None for what is no letter.

    Letters that are written for another (ª, ﬁ, full width) count as that one, and the three scripts that
    Japanese mixes as one.
    """
    if not character.isalpha():
        return None
    word = unicodedata.name(unicodedata.normalize("NFKC", character)[0], "UNNAMED").split()[0]
    return "CJK" if word in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA") else word

"""Parallel text: tables, TMX and aligned files to pairs, with checks and splits by source."""

import collections
import operator
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textrnn.data.labelled import Example
from textrnn.data.labelled_splits import repeated_examples
from textrnn.data.records import collapsed, count, numbered, partition, shortened
from textrnn.data.table_formats import tab_separated
from textrnn.data.table_values import is_missing
from textrnn.data.tables import (
    Table,
    expected_names,
    has_names,
    header_note,
    is_table,
    missing_words,
    no_header_advice,
    read_table,
)
from textrnn.data.text_files import plain_name, read_text
from textrnn.data.translation_memory import chosen_languages, is_memory, read_memory
from textrnn.data.unusual_texts import unusual_texts
from textrnn.errors import InputError, expect


class Pair(NamedTuple):
    """A source text, its translation and their origin, such as a file and a line."""

    origin: str
    source: str
    target: str


class ParallelTexts(NamedTuple):
    """Pairs, and warnings about them for the user."""

    pairs: list[Pair]
    warnings: list[str]


def read_pairs(
    path,
    source_column: str | None = None,
    target_column: str | None = None,
    *,
    encoding: str | None = None,
    no_header: bool = False,
) -> ParallelTexts:
    r"""Read pairs from a table.

    - `.tsv`, `.txt` and other names: a source, a tab and its translation per line. Further columns are
      ignored, such as the attribution in Tatoeba's tables. The first line has names of columns only if these
      are `source` and `target`, in any case, or the ones given. Quotes as in
      `textrnn.data.table_formats.tab_separated`.
    - `.csv`, JSON lines, Excel and Parquet files, as in `textrnn.data.tables.read_table`: the columns
      `source` and `target`, the ones given, or the only two.
    - `.tmx` and `.xml`: a translation memory, in which the columns are languages; see
      `textrnn.data.translation_memory`.

    Files may be compressed. Whitespace around a text is removed. Pairs with an empty side are skipped, with a
    warning; in columns, `NaN`, `N/A` and the like are empty (`textrnn.data.table_values.is_missing`).
    Identical sides, very long texts and texts in an unusual script are kept, with a warning.

    Args:
        path: The table.
        source_column, target_column: Columns of the sources and of the targets: names, or numbers from 1.
        encoding: Encoding of the file. Default: that of the byte order mark or XML declaration, or UTF-8.
        no_header: Whether the first row is a pair, whatever it says.

    Returns:
        A `ParallelTexts`. The `origin` of a pair is its file and line.

    Raises:
        InputError: If the path does not exist or is a folder, if a line has no tab, if a column is missing or
            not text, if both sides are one column or identical in all pairs, if the file is in another
            encoding, or if there are no pairs.

    Example:

    >>> import pathlib, tempfile
    >>> from textrnn.data.parallel import read_pairs
    >>> table = pathlib.Path(tempfile.mkdtemp(), "phrases.tsv")
    >>> _ = table.write_text("Go.\tVa !\nRun!\t\nWait.\tAttends.\n")
    >>> pairs, warnings = read_pairs(table)
    >>> [(pair.source, pair.target) for pair in pairs]
    [('Go.', 'Va !'), ('Wait.', 'Attends.')]
    >>> warnings
    ['skipped 1 pair with an empty side: ...phrases.tsv, line 2']
    """
    path = Path(path)
    _refuse_folder(path)
    if is_memory(path):
        table = read_memory(path, encoding)
        languages = chosen_languages(table, source_column, target_column)
        return _checked(_columns(table, languages), (str(path), str(path)), (), table.place, is_missing)
    columns = source_column or "source", target_column or "target"
    given = [column for column in (source_column, target_column) if column]
    if not is_table(path) or plain_name(path).lower().endswith((".tsv", ".tab")):
        rows = tab_separated(read_text(path, encoding), str(path))
        names = expected_names(given, ("source", "target"))
        named = bool(rows) and not no_header and has_names(rows[0][1], names)
        if not named and not given:
            pairs = _first_two(rows, str(path))
            if rows and len(rows[0][1]) > 2:
                _refuse_numbers(pairs, str(path), len(rows[0][1]))
            return _checked(pairs, (str(path), str(path)), [] if no_header else _codes_as_pair(pairs, path))
        table = read_table(path, encoding, header=named)
    else:
        table = read_table(path, encoding, header=not no_header)
    if not given and table.width == 2 and not all(map(table.has, columns)):
        columns = "1", "2"
    warnings = table.warnings
    if not any(has_names(table.columns or (), [column]) for column in columns):
        warnings = warnings + header_note(table, "pair")
    return _checked(_columns(table, columns), (str(path), str(path)), warnings, table.place, is_missing)


def parse_pairs(text: str, name: str) -> ParallelTexts:
    r"""Read pairs from lines with a source, a tab and a target, whose quotes are literal.

    Args:
        text: The lines. Further columns are ignored.
        name: Name of the table in messages and origins, such as its file.

    Returns:
        A `ParallelTexts`.

    Raises:
        InputError: If a line has no tab, or if there are no pairs.

    Example:

    >>> from textrnn.data.parallel import parse_pairs
    >>> parse_pairs("Go.\tVa !\tCC BY 2.0\n", "fra.txt").pairs
    [Pair(origin='fra.txt, line 1', source='Go.', target='Va !')]
    """
    lines = enumerate(_lines_of(text), start=1)
    return _checked(_first_two(((number, line.split("\t")) for number, line in lines), name), (name, name))


def read_aligned(source_path, target_path, encoding: str | None = None) -> ParallelTexts:
    r"""Read pairs from two line-aligned files: each line translates the same line of the other file.

    Both files may be compressed. Only `\n` and `\r\n` end a line, so that other line separators
    of Unicode do not break the alignment. Pairs are skipped and warned about as in `read_pairs`.

    Args:
        source_path: File of the sources.
        target_path: File of the targets.
        encoding: Encoding of the files. Default: that of the byte order mark, or UTF-8.

    Returns:
        A `ParallelTexts`. The `origin` of a pair is the file and line of its source.

    Raises:
        InputError: If a path does not exist or is a folder, if both are one file, if the numbers of lines
            differ, if all pairs have identical sides, if a file is in another encoding, or if there are no
            pairs.

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
    for path in paths:
        _refuse_folder(path)
    expect(
        Path(source_path).resolve() != Path(target_path).resolve(),
        f"{source_path} and {target_path} are the same file: give one file with the sources and one with the "
        "targets",
    )
    sides = [[line.strip() for line in _lines_of(read_text(path, encoding))] for path in paths]
    if len(sides[0]) != len(sides[1]):
        raise InputError(
            f"{source_path} has {len(sides[0]):,} lines, but {target_path} has {len(sides[1]):,}: each line "
            "must translate the same line of the other file. Where a translation is missing, leave the line "
            "empty"
        )
    rows = dict(enumerate(zip(*sides, strict=True), start=1))
    return _checked(rows, (str(source_path), str(target_path)))


def swapped(pairs: Sequence[Pair]) -> list[Pair]:
    """Swap source and target, to translate in the other direction.

    Args:
        pairs: The pairs.

    Returns:
        The swapped pairs, in the same order.

    Example:

    >>> from textrnn.data.parallel import Pair, swapped
    >>> swapped([Pair("fra.txt, line 1", "Go.", "Va !")])
    [Pair(origin='fra.txt, line 1', source='Va !', target='Go.')]
    """
    return [Pair(pair.origin, pair.target, pair.source) for pair in pairs]


def split_pairs(
    pairs: Sequence[Pair], held_out: float, seed: int = 0, max_held_out: int | None = None
) -> tuple[list[Pair], list[Pair]]:
    """Split pairs at random by source: all translations of a source are on the same side.

    Sources repeat in sets such as Tatoeba, and a split by pairs would test on sources seen in training.
    Sources that differ only in whitespace are the same.

    Args:
        pairs: Pairs with at least two different sources.
        held_out: Fraction of the pairs to hold out, between 0 and 1. Approximate where sources have several
            translations; at least one source is held out.
        seed: Seed of the split.
        max_held_out: Maximum number of pairs to hold out, or None.

    Returns:
        The training pairs and the held-out pairs, both in their original order.

    Raises:
        InputError: If an argument is out of range, or if there are fewer than two different sources.

    Example:

    >>> from textrnn.data.parallel import Pair, split_pairs
    >>> pairs = [Pair(f"a.tsv, line {i}", f"source {i // 2}", f"target {i}") for i in range(40)]
    >>> train, held_out = split_pairs(pairs, 0.2)
    >>> len(train), len(held_out), {pair.source for pair in train} & {pair.source for pair in held_out}
    (32, 8, set())
    """
    if not 0 < held_out < 1:
        raise InputError(f"held_out is {held_out}: give a fraction between 0 and 1, such as 0.1")
    if max_held_out is not None and max_held_out < 1:
        raise InputError(f"max_held_out is {max_held_out}: give at least 1")
    rows_by_source: dict[str, list[int]] = collections.defaultdict(list)
    for row, pair in enumerate(pairs):
        rows_by_source[collapsed(pair.source)].append(row)
    if len(rows_by_source) < 2:
        raise InputError(
            f"{count(len(pairs), 'pair')} with {count(len(rows_by_source), 'different source')} cannot be "
            "split: give at least one source for each part"
        )
    wanted = max(1, min(round(held_out * len(pairs)), len(pairs) - 1, max_held_out or len(pairs)))
    groups = list(rows_by_source.values())
    chosen: set[int] = set()
    for index in np.random.default_rng(seed).permutation(len(groups)).tolist():
        if len(chosen) + len(groups[index]) <= wanted:
            chosen.update(groups[index])
    if not chosen:  # every source has more translations than wanted
        chosen.update(sorted(groups, key=len)[0])
    return partition(pairs, chosen)


def repeated_pairs(train: Sequence[Pair], test: Sequence[Pair]) -> list[str]:
    """Return a warning if test sources are also in the training data. Whitespace is ignored.

    Args:
        train: Training pairs.
        test: Test pairs.

    Returns:
        A list of one warning, or an empty list.

    Example:

    >>> from textrnn.data.parallel import Pair, repeated_pairs
    >>> repeated_pairs([Pair("a.tsv, line 1", "Go.", "Va !")], [Pair("b.tsv, line 9", "Go.", "Allez !")])
    ['1 of 1 test texts is also in the training data: b.tsv, line 9 (= a.tsv, line 1)']
    """
    sources = ([Example(pair.origin, pair.source, "") for pair in part] for part in (train, test))
    return repeated_examples(*sources)


def _refuse_folder(path) -> None:
    if Path(path).is_dir():
        raise InputError(f"{path} is a folder: give a .tsv file, or two line-aligned files")


def _first_two(rows, name: str) -> dict[int, tuple[str, str]]:
    """Return the first two fields of each row by its number."""
    found = {}
    for number, fields in rows:
        if len(fields) < 2 and fields[0].strip():
            raise InputError(
                f"{name}, line {number}: there is no tab in {shortened(fields[0], 40)!r}: expected a source, "
                "a tab and a target per line. If the texts are in two line-aligned files, give both"
            )
        found[number] = fields[0].strip(), fields[1].strip() if len(fields) > 1 else ""
    return found


def _refuse_numbers(pairs: dict[int, tuple[str, str]], name: str, columns: int) -> None:
    """Refuse pairs of which one side is numbers, such as those of the sentences in Tatoeba's own tables."""
    for noun, texts in zip(("source", "target"), zip(*pairs.values(), strict=True), strict=True):
        if any(texts) and all(text.isdecimal() for text in texts if text):
            raise InputError(
                f"{name}: all {noun}s are numbers, such as {next(filter(None, texts))}: choose two of its "
                f"{columns} columns with --source_column and --target_column, such as 2 and 4"
            )


def _codes_as_pair(pairs: dict[int, tuple[str, str]], path) -> list[str]:
    """Return a warning if the first pair looks like the names of two columns: codes of languages."""
    source, target = next(iter(pairs.values()), ("", ""))
    if source == target or not all(re.fullmatch(r"[a-z]{2,3}([-_]\w+)?", code) for code in (source, target)):
        return []
    warning = (
        f"{path}: the first line was read as a pair, {source!r} and {target!r}. If it has the names of "
        f"columns, give --source_column {source} --target_column {target}"
    )
    return [warning]


def _columns(table: Table, columns: tuple[str, str]) -> dict[int, tuple[str, str]]:
    """Return the sources and targets of a table by the number of the row; missing ones are empty."""
    missing = [repr(column) for column in columns if not table.has(column)]
    if missing:
        raise InputError(
            f"{table.name}: there is no {' and no '.join(missing)}{table.among()}. Choose columns with "
            f"--source_column and --target_column, by name or number{no_header_advice(table, 'pair')}"
        )
    places = [table.position(column) for column in columns]
    expect(
        places[0] != places[1],
        f"{table.name}: {columns[0]!r} and {columns[1]!r} are the same column: give one with the sources and "
        "one with the targets",
    )
    found = {}
    for number, values in table.rows:
        sides = [values[place] for place in places]
        for column, value in zip(columns, sides, strict=True):
            if not isinstance(value, str) and not is_missing(value):
                raise InputError(f"{table.origin(number)}: {column} is {value!r}, expected a string")
        source, target = (value.strip() if isinstance(value, str) else "" for value in sides)
        found[number] = source, target
    return found


def _lines_of(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n")


def _checked(
    rows: dict[int, tuple[str, str]],
    files: tuple[str, str],
    warnings: Sequence[str] = (),
    place: str = "line",
    is_empty: Callable[[str], bool] = operator.not_,
) -> ParallelTexts:
    """Return the pairs of all rows, with warnings.

    Args:
        rows: Source and target of each row, by its number.
        files: Names of the files of the sources and of the targets.
        warnings: Warnings about the files.
        place: What the numbers count, such as `"line"` or `"row"`.
        is_empty: Whether a side is missing.
    """
    complete = {number: row for number, row in rows.items() if not any(map(is_empty, row))}
    both = " and ".join(dict.fromkeys(files))
    if not complete:
        raise InputError(f"{both}: no {place} has both a source and a target: give at least one pair")
    empty = [number for number in rows if number not in complete]
    same = [number for number, (source, target) in complete.items() if source == target]
    found = list(warnings)
    if empty:
        words = missing_words(side for number in empty for side in rows[number] if is_empty(side))
        reason = "an empty side" if words == "empty" else f"a side that is {words}"
        found.append(f"skipped {count(len(empty), 'pair')} with {reason}: {both}, {numbered(place, empty)}")
    if same:
        twice = "is one language given twice?"
        everything = len(same) == len(complete) > 1
        expect(not everything, f"{both}: all {len(same):,} pairs are identical: {twice}")
        question = f"; {twice}" if len(same) > len(complete) / 2 else ""
        found.append(
            f"{count(len(same), 'pair')} with identical sides: {both}, {numbered(place, same)}{question}"
        )
    for side, (noun, file) in enumerate(zip(("source", "target"), files, strict=True)):
        texts = {number: row[side] for number, row in complete.items()}
        found += unusual_texts(texts, noun, file, place)
    pairs = [Pair(f"{files[0]}, {place} {number}", *row) for number, row in complete.items()]
    return ParallelTexts(pairs, found)

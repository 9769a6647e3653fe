"""The user's labelled texts: tables and folders -> examples, with errors that name the file and line."""

import collections
import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textrnn.data.files import read_documents
from textrnn.errors import InputError


class Example(NamedTuple):
    """A text with its label, and where they came from."""

    origin: str
    text: str
    label: str


class LabelledTexts(NamedTuple):
    """Examples, and what a person should know about how they were read: a sentence each."""

    examples: list[Example]
    remarks: list[str]


def read_labelled(path, text_column: str = "text", label_column: str = "label") -> LabelledTexts:
    r"""Reads labelled texts from a table, or from a folder that has a folder for each class.

    Tables are `.csv`, `.tsv` (both with a first row that names the columns, and quotes as in RFC 4180) or
    `.jsonl` (a JSON object a line), all UTF-8 and all perhaps with `.gz` behind. In a folder every file below
    `<class>/` is one text of that class; names that start with a dot are skipped. Spaces around a label are
    not part of it; texts are left as they are. Those that are empty or blank are left out, with a remark.

    Args:
        path: the table, or the folder.
        text_column, label_column: the columns, or the keys of the JSON objects, to read.

    Returns:
        A `LabelledTexts`; the `origin` of an example is its file and line.

    Raises:
        InputError: a path that does not exist or is of another kind, columns that are not there (with those
            that are), a row that does not have as many fields as the first, a line that is no JSON object, a
            label that is empty, text that is not UTF-8, and no examples at all.

    Example:
    >>> import pathlib, tempfile
    >>> from textrnn.data.labelled import read_labelled
    >>> table = pathlib.Path(tempfile.mkdtemp(), "reviews.csv")
    >>> _ = table.write_text('text,label\n"Good, really",positive\n ,negative\nDull,negative\n')
    >>> [tuple(example[1:]) for example in read_labelled(table).examples]
    [('Good, really', 'positive'), ('Dull', 'negative')]
    >>> len(read_labelled(table).remarks)
    1
    """
    path = Path(path)
    if path.is_dir():
        examples = list(_of_folder(path))
    else:
        rows = _rows(path)
        examples = list(_of_table(path, rows, text_column, label_column))
    blank = [example for example in examples if not example.text.strip()]
    examples = [example for example in examples if example.text.strip()]
    if not examples:
        raise InputError(f"{path} has no labelled texts: give at least two classes with two texts each")
    remarks = [f"left out, since there is no text: {_listed([e.origin for e in blank])}"] if blank else []
    return LabelledTexts(examples, remarks + _alike(examples))


def check_classes(examples: Sequence[Example], least: int = 2) -> list[str]:
    """The classes, sorted; refuses what no classifier can be trained and measured on.

    Args:
        examples: the labelled texts.
        least: how many examples each class needs: one to train on and one to measure on.

    Raises:
        InputError: for a single class, and for a class with fewer examples (with where they are).

    Example:
    >>> from textrnn.data.labelled import Example, check_classes
    >>> check_classes([Example("a.csv, line 2", "Dull", "bad")])
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: all texts (1) are of the class 'bad': give some of a second class
    """
    by_label = collections.defaultdict(list)
    for example in examples:
        by_label[example.label].append(example.origin)
    if len(by_label) == 1:
        (label,) = by_label
        raise InputError(
            f"all texts ({len(examples)}) are of the class {label!r}: give some of a second class"
        )
    for label, origins in sorted(by_label.items()):
        if len(origins) < least:
            raise InputError(
                f"the class {label!r} has {len(origins)} of the {least} examples that it needs to be learnt "
                f"and measured ({_listed(origins)}): give more, or take it out"
            )
    return sorted(by_label)


def check_known(train: Sequence[Example], test: Sequence[Example]) -> None:
    """Refuses labels in the texts to measure on that no text to train on has.

    Raises:
        InputError: naming the labels, and where the first is.

    Example:
    >>> from textrnn.data.labelled import Example, check_known
    >>> check_known([Example("a.csv, line 2", "Dull", "bad")], [Example("b.csv, line 2", "Fine", "good")])
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: b.csv, line 2: the label 'good' is in no text to train on; there are 'bad'
    """
    known = sorted({example.label for example in train})
    for example in test:
        if example.label not in known:
            raise InputError(
                f"{example.origin}: the label {example.label!r} is in no text to train on; there are "
                + ", ".join(map(repr, known))
            )


def split(examples: Sequence[Example], held_out: float, seed: int = 0) -> tuple[list[Example], list[Example]]:
    """Parts examples at random, each class in the same proportion and with at least one in each part.

    (scikit-learn's stratified splits may leave a rare class out of one.)

    Args:
        examples: at least two of each class.
        held_out: the fraction to hold out.
        seed: of the choice.

    Returns:
        The examples to train on, and those held out, both in the order in which they were.

    Example:
    >>> from textrnn.data.labelled import Example, split
    >>> examples = [Example(f"a.csv, line {i}", f"text {i}", "good" if i % 4 else "bad") for i in range(40)]
    >>> [sum(e.label == "bad" for e in part) for part in split(examples, 0.2)]
    [8, 2]
    """
    random = np.random.default_rng(seed)
    rows = collections.defaultdict(list)
    for row, example in enumerate(examples):
        rows[example.label].append(row)
    chosen: set[int] = set()
    for _, of_class in sorted(rows.items()):
        count = min(max(1, round(held_out * len(of_class))), len(of_class) - 1)
        chosen.update(random.permutation(of_class)[:count].tolist())
    return (
        [example for row, example in enumerate(examples) if row not in chosen],
        [example for row, example in enumerate(examples) if row in chosen],
    )


def repeated(train: Sequence[Example], test: Sequence[Example]) -> list[str]:
    """Remarks on texts that are in both parts: what is measured on those is memory.

    Example:
    >>> from textrnn.data.labelled import Example, repeated
    >>> repeated([Example("a.csv, line 2", "Dull", "bad")], [Example("b.csv, line 9", "Dull ", "bad")])
    ['1 of the 1 texts to measure on is also trained on: b.csv, line 9 (= a.csv, line 2)']
    """
    known = {" ".join(example.text.split()): example.origin for example in train}
    both = [(e.origin, known[text]) for e in test if (text := " ".join(e.text.split())) in known]
    if not both:
        return []
    listed = _listed([f"{origin} (= {other})" for origin, other in both])
    verb = "is" if len(both) == 1 else "are"
    return [f"{len(both)} of the {len(test)} texts to measure on {verb} also trained on: {listed}"]


def _alike(examples):
    """Remarks on labels that may be meant to be one."""
    counts = collections.Counter(example.label for example in examples)
    first: dict[str, str] = {}
    for example in examples:
        first.setdefault(example.label, example.origin)
    spellings = collections.defaultdict(list)
    for label in counts:
        spellings["".join(label.casefold().split())].append(label)
    return [
        "these labels differ only by case or spaces, and are taken for different classes: "
        + ", ".join(f"{label!r} ({counts[label]} texts, first {first[label]})" for label in sorted(labels))
        for labels in spellings.values()
        if len(labels) > 1
    ]


def _listed(items, most=5):
    """The first of them in words."""
    rest = f" and {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + rest


def _of_folder(folder):
    classes = sorted(child for child in folder.iterdir() if child.is_dir() and child.name[0] != ".")
    if not classes:
        raise InputError(
            f"the folder {folder} has no folders in it: expected one for each class, with a text in each "
            "file; or give a .csv, .tsv or .jsonl file"
        )
    for child in classes:
        for document in read_documents(child):
            yield Example(document.origin, document.text, child.name)


def _rows(path) -> Iterator[tuple[int, dict]]:
    """The lines at which rows end, and the rows by column."""
    kinds = {".csv": _separated(","), ".tsv": _separated("\t"), ".jsonl": _json_lines}
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if kind.lower() not in kinds:
        raise InputError(
            f"{path}: expected a .csv, .tsv or .jsonl file (or one of them with .gz behind), or a folder "
            "with a folder for each class"
        )
    [document] = read_documents(path)
    return kinds[kind.lower()](path, document.text)


def _of_table(path, rows, text_column, label_column):
    for line, row in rows:
        missing = [name for name in (text_column, label_column) if name not in row]
        if missing:
            raise InputError(
                f"{path}, line {line}: there is no {' and no '.join(map(repr, missing))}; there are "
                f"{', '.join(map(repr, row))}. Say which to read with --text_column and --label_column"
            )
        text, label = row[text_column], str(row[label_column]).strip()
        if not isinstance(text, str):
            raise InputError(f"{path}, line {line}: {text_column} is {text!r}, expected a text")
        if not label or row[label_column] is None:
            raise InputError(f"{path}, line {line}: {label_column} is empty: give every text a label")
        yield Example(f"{path}, line {line}", text, label)


def _separated(delimiter):
    def rows(path, text):
        csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a text may be a whole book
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            names = next(reader)
            for fields in reader:
                if not fields:
                    continue
                if len(fields) != len(names):
                    raise InputError(
                        f"{path}, line {reader.line_num}: {len(fields)} fields where the first row has "
                        f"{len(names)} ({', '.join(names)}): put quotes around texts that have "
                        f"{delimiter!r} in them"
                    )
                yield reader.line_num, dict(zip(names, fields, strict=True))
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: {error}: look at the quotes there") from error

    return rows


def _json_lines(path, text):
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}, line {number}: this is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: expected a JSON object, found {line[:40]}")
        yield number, row

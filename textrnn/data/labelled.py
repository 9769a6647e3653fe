"""Labelled text: tables and folders to examples, with checks and stratified splits."""

import collections
import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textrnn.data.documents import find_documents
from textrnn.data.text_files import read_text
from textrnn.errors import InputError


class Example(NamedTuple):
    """A text, its label and its origin, such as a file and a line."""

    origin: str
    text: str
    label: str


class LabelledTexts(NamedTuple):
    """Examples, and warnings about them for the user."""

    examples: list[Example]
    warnings: list[str]


def read_labelled(
    path,
    text_column: str = "text",
    label_column: str = "label",
    *,
    encoding: str | None = None,
    include: str | None = None,
) -> LabelledTexts:
    r"""Read labelled texts from a table, or from a folder with one subfolder per class.

    A table is a file, optionally compressed:

    - `.csv` or `.tsv`, with column names in the first row and fields quoted as in RFC 4180;
    - `.jsonl`, with one JSON object per line.

    In a folder, every file below `<class>/` is one text of that class; hidden files are skipped. Whitespace
    around labels is removed. Texts are unchanged, and blank texts are skipped with a warning. Labels that
    differ only in case or whitespace are kept apart, with a warning.

    Args:
        path: The table or the folder.
        text_column: Column, or JSON key, of the text.
        label_column: Column, or JSON key, of the label.
        encoding: Encoding of the files. Default: that of the byte order mark, or UTF-8.
        include: Pattern of the names of files to read in a folder, such as `"*.txt"`.

    Returns:
        A `LabelledTexts`. The `origin` of an example is its file and line.

    Raises:
        InputError: If the path does not exist or is of another kind, if a column is missing, if a row has the
            wrong number of fields or is not a JSON object, if a label is empty, if a file is in another
            encoding, or if there are no examples. The message names the file and line.

    Example:

    >>> import pathlib, tempfile
    >>> from textrnn.data.labelled import read_labelled
    >>> table = pathlib.Path(tempfile.mkdtemp(), "reviews.csv")
    >>> _ = table.write_text('text,label\n"Good, really",positive\n ,negative\nDull,negative\n')
    >>> examples, warnings = read_labelled(table)
    >>> [(example.text, example.label) for example in examples]
    [('Good, really', 'positive'), ('Dull', 'negative')]
    >>> warnings
    ['skipped 1 blank text: ...reviews.csv, line 3']
    """
    path = Path(path)
    warnings: list[str] = []
    if path.is_dir():
        examples, warnings = _read_folder(path, encoding, include)
    else:
        examples = list(_read_table(path, _rows(path, encoding), text_column, label_column))
    blank = [example for example in examples if not example.text.strip()]
    examples = [example for example in examples if example.text.strip()]
    if not examples:
        raise InputError(f"{path} has no labelled texts: give at least two classes with two texts each")
    if blank:
        warnings.append(f"skipped {_count(len(blank), 'blank text')}: {_listed([e.origin for e in blank])}")
    return LabelledTexts(examples, warnings + _similar_labels(examples))


def check_classes(examples: Sequence[Example], min_examples: int = 2) -> list[str]:
    """Check that there are two classes with enough examples each.

    Args:
        examples: The labelled texts.
        min_examples: Minimum number of examples per class. Default: one to train on and one to test on.

    Returns:
        The classes, sorted.

    Raises:
        InputError: If there is only one class, or if a class has fewer examples.

    Example:

    >>> from textrnn.data.labelled import Example, check_classes
    >>> check_classes([Example("a.csv, line 2", "Dull", "bad")])
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: there is only one class, 'bad' (1 text): give texts of a second class
    """
    origins_by_label = collections.defaultdict(list)
    for example in examples:
        origins_by_label[example.label].append(example.origin)
    if len(origins_by_label) == 1:
        [(label, origins)] = origins_by_label.items()
        raise InputError(
            f"there is only one class, {label!r} ({_count(len(origins), 'text')}): give texts of a second "
            "class"
        )
    for label, origins in sorted(origins_by_label.items()):
        if len(origins) < min_examples:
            raise InputError(
                f"the class {label!r} has {_count(len(origins), 'example')} ({_listed(origins)}), but "
                f"training and testing need at least {min_examples}. Give more, or remove the class"
            )
    return sorted(origins_by_label)


def check_known(train: Sequence[Example], test: Sequence[Example]) -> None:
    """Check that every label of the test set is in the training set.

    Args:
        train: Training examples.
        test: Test examples.

    Raises:
        InputError: Naming the first label that is not, and its origin.

    Example:

    >>> from textrnn.data.labelled import Example, check_known
    >>> check_known([Example("a.csv, line 2", "Dull", "bad")], [Example("b.csv, line 2", "Fine", "good")])
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: b.csv, line 2: the label 'good' is not in the training data, which has 'bad'
    """
    known = sorted({example.label for example in train})
    for example in test:
        if example.label not in known:
            raise InputError(
                f"{example.origin}: the label {example.label!r} is not in the training data, which has "
                + ", ".join(map(repr, known))
            )


def split_examples(
    examples: Sequence[Example], held_out: float, seed: int = 0
) -> tuple[list[Example], list[Example]]:
    """Split examples at random, stratified by class, with every class on both sides.

    (scikit-learn's stratified splits may leave a rare class out of one side.)

    Args:
        examples: At least two examples per class.
        held_out: Fraction to hold out.
        seed: Seed of the split.

    Returns:
        The training examples and the held-out examples, both in their original order.

    Example:

    >>> from textrnn.data.labelled import Example, split_examples
    >>> examples = [Example(f"a.csv, line {i}", f"text {i}", "good" if i % 4 else "bad") for i in range(40)]
    >>> [sum(e.label == "bad" for e in part) for part in split_examples(examples, 0.2)]
    [8, 2]
    """
    random = np.random.default_rng(seed)
    rows_by_label = collections.defaultdict(list)
    for row, example in enumerate(examples):
        rows_by_label[example.label].append(row)
    chosen: set[int] = set()
    for _, rows in sorted(rows_by_label.items()):
        count = min(max(1, round(held_out * len(rows))), len(rows) - 1)
        chosen.update(random.permutation(rows)[:count].tolist())
    return (
        [example for row, example in enumerate(examples) if row not in chosen],
        [example for row, example in enumerate(examples) if row in chosen],
    )


def repeated_examples(train: Sequence[Example], test: Sequence[Example]) -> list[str]:
    """Return a warning if test texts are also in the training data. Whitespace is ignored.

    Args:
        train: Training examples.
        test: Test examples.

    Returns:
        A list of one warning, or an empty list.

    Example:

    >>> from textrnn.data.labelled import Example, repeated_examples
    >>> train, test = [Example("a.csv, line 2", "Dull", "bad")], [Example("b.csv, line 9", "Dull ", "bad")]
    >>> repeated_examples(train, test)
    ['1 of 1 test texts is also in the training data: b.csv, line 9 (= a.csv, line 2)']
    """
    known = {" ".join(example.text.split()): example.origin for example in train}
    both = [(e.origin, known[text]) for e in test if (text := " ".join(e.text.split())) in known]
    if not both:
        return []
    listed = _listed([f"{origin} (= {other})" for origin, other in both])
    verb = "is" if len(both) == 1 else "are"
    return [f"{len(both):,} of {len(test):,} test texts {verb} also in the training data: {listed}"]


def _similar_labels(examples):
    """Return a warning for each group of labels that differ only in case or whitespace."""
    counts = collections.Counter(example.label for example in examples)
    first: dict[str, str] = {}
    for example in examples:
        first.setdefault(example.label, example.origin)
    spellings = collections.defaultdict(list)
    for label in counts:
        spellings["".join(label.casefold().split())].append(label)
    return [
        "labels that differ only in case or spaces are treated as different classes: "
        + ", ".join(
            f"{label!r} ({_count(counts[label], 'text')}, first {first[label]})" for label in sorted(labels)
        )
        for labels in spellings.values()
        if len(labels) > 1
    ]


def _count(number, noun):
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _listed(items, shown=5):
    """Join the first items, and append the number of the others."""
    rest = f" and {len(items) - shown:,} more" if len(items) > shown else ""
    return "; ".join(items[:shown]) + rest


def _read_folder(folder, encoding, include) -> LabelledTexts:
    classes = sorted(child for child in folder.iterdir() if child.is_dir() and child.name[0] != ".")
    if not classes:
        raise InputError(
            f"the folder {folder} has no subfolders: expected one for each class, with one text per file. "
            "Or give a .csv, .tsv or .jsonl file"
        )
    examples, warnings = [], []
    for child in classes:
        documents, more = find_documents(child, encoding, include)
        warnings += more
        examples += [Example(document.origin, document.text, child.name) for document in documents]
    return LabelledTexts(examples, warnings)


def _rows(path, encoding) -> Iterator[tuple[int, dict]]:
    """Return the rows of a table by column, each with the number of its last line."""
    formats = {".csv": _separated(","), ".tsv": _separated("\t"), ".jsonl": _json_lines}
    suffix = (Path(path.stem).suffix if path.suffix == ".gz" else path.suffix).lower()
    if suffix not in formats:
        raise InputError(
            f"{path}: expected a .csv, .tsv or .jsonl file, optionally gzipped, or a folder with one "
            "subfolder per class"
        )
    return formats[suffix](path, read_text(path, encoding))


def _read_table(path, rows, text_column, label_column) -> Iterator[Example]:
    for line, row in rows:
        missing = [name for name in (text_column, label_column) if name not in row]
        if missing:
            raise InputError(
                f"{path}, line {line}: there is no {' and no '.join(map(repr, missing))} among the columns "
                f"{', '.join(map(repr, row))}. Choose columns with --text_column and --label_column"
            )
        text, label = row[text_column], str(row[label_column]).strip()
        if not isinstance(text, str):
            raise InputError(f"{path}, line {line}: {text_column} is {text!r}, expected a string")
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
                        f"{path}, line {reader.line_num}: found {len(fields)} fields, expected "
                        f"{len(names)} ({', '.join(names)}). Put quotes around texts that contain "
                        f"{delimiter!r}"
                    )
                yield reader.line_num, dict(zip(names, fields, strict=True))
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: {error}: check the quotes there") from error

    return rows


def _json_lines(path, text):
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}, line {number}: invalid JSON: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: expected a JSON object, found {line[:40]}")
        yield number, row

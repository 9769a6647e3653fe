"""Labelled text: tables and folders to examples."""

import collections
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from textrnn.data.documents import read_files, refuse_folder_options
from textrnn.data.records import count, listed, shortened
from textrnn.data.splitting import Unit, split_at
from textrnn.data.table_values import is_missing, spelled
from textrnn.data.tables import (
    expected_names,
    has_names,
    header_note,
    is_table,
    left_out,
    no_header_advice,
    read_table,
)
from textrnn.data.text_files import files_in, plain_name
from textrnn.errors import InputError, expect
from textrnn.unicode import composed

SPLIT = re.compile(r"(^|[-_.])(train|training|test|testing|valid|validation|val|dev)$", re.I)
"""Names of folders with the splits of a data set."""


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
    no_header: bool = False,
    document: Unit = "file",
) -> LabelledTexts:
    r"""Read labelled texts from a table, or from a folder with one subfolder per class.

    Tables are read by `textrnn.data.tables.read_table`: CSV, TSV, JSON lines, Excel or Parquet, optionally
    compressed. Other files, such as `.txt`, have a label, a tab and a text per line, or a text, a tab and a
    label. The order is inferred: labels repeat.

    Rows without a text or a label are left out with a warning: empty cells, `NaN`, `N/A`, `null`. Whitespace
    around labels is removed, and numbers that are equal are the same label, as are names that differ only in
    Unicode's form; see `textrnn.unicode.composed`. Labels that differ only in case,
    in whitespace or in the spelling of a number are kept apart, with a warning.

    In a folder, every file below `<class>/` is one text of that class; hidden files are skipped. With
    `document="line"`, every line is one text, and a class may also be a single file, `<class>.txt`.

    Args:
        path: The table or the folder.
        text_column: Column, or JSON key, of the text: its name, or its number from 1.
        label_column: Column, or JSON key, of the label.
        encoding: Encoding of the files. Default: that of the byte order mark, or UTF-8.
        include: Pattern of the names of files to read in a folder, such as `"*.txt"`. Refused with a table,
            as is `document`.
        no_header: Whether the first row of a table has no names. Columns are then chosen by number; if there
            are two, the default is found by looking.
        document: What one text of a folder is; see `textrnn.data.splitting.split_at`.

    Returns:
        A `LabelledTexts`. The `origin` of an example is its file and line.

    Raises:
        InputError: If the path cannot be read, if a column is missing or ambiguous, if a row has the wrong
            number of fields, if a label is a list or a text is a number in JSON, or if there are no examples.
            The message names the file and line.

    Example:

    >>> import pathlib, tempfile
    >>> from textrnn.data.labelled import read_labelled
    >>> table = pathlib.Path(tempfile.mkdtemp(), "reviews.csv")
    >>> _ = table.write_text('text,label\n"Good, really",positive\n ,negative\nDull,negative\n')
    >>> examples, warnings = read_labelled(table)
    >>> [(example.text, example.label) for example in examples]
    [('Good, really', 'positive'), ('Dull', 'negative')]
    >>> warnings
    ['left out 1 row whose text is empty: ...reviews.csv, line 3']
    """
    path = Path(path)
    if path.is_dir():
        examples, warnings = _read_folder(path, encoding, include, document)
    else:
        if path.exists():
            refuse_folder_options(path, include, document)
        examples, warnings = _read_table(path, text_column, label_column, encoding, no_header)
    if not examples:
        raise InputError(
            "; ".join([f"{path} has no labelled texts: give texts of at least two classes", *warnings])
        )
    return LabelledTexts(examples, warnings + _similar_labels(examples))


def _similar_labels(examples):
    """Return a warning for each group of labels that differ only in case, spaces or spelling of a number."""
    counts = collections.Counter(example.label for example in examples)
    first: dict[str, str] = {}
    for example in examples:
        first.setdefault(example.label, example.origin)
    spellings = collections.defaultdict(list)
    for label in counts:
        spellings[_comparable(label)].append(label)
    return [
        "labels that differ only in case, spaces or spelling of numbers are treated as different classes: "
        + ", ".join(
            f"{label!r} ({count(counts[label], 'text')}, first {first[label]})" for label in sorted(labels)
        )
        for labels in spellings.values()
        if len(labels) > 1
    ]


def _comparable(label: str) -> str | float:
    try:
        return float(label)
    except ValueError:
        return "".join(label.casefold().split())


def _read_folder(folder, encoding, include, document) -> LabelledTexts:
    """Read a folder whose subfolders are classes; its files are too if they hold several texts each."""
    children = sorted(child for child in folder.iterdir() if child.name[0] != ".")
    folders = [composed(child.name) for child in children if child.is_dir()]
    if not folders and document == "file":
        raise InputError(
            f"the folder {folder} has no subfolders: expected one for each class, with one text per file. If "
            "its files are the classes, with one text per line, give --document line. Or give a table, such "
            "as a .csv file"
        )
    if len(folders) > 1 and all(map(SPLIT.search, folders)):
        one = shlex.quote(str(folder / folders[-1]))
        raise InputError(
            f"the subfolders of {folder} are splits, and no classes: {listed(folders, ', ')}. Give one of "
            f"them, such as --data {one}, and the test set with --test_data"
        )
    files = files_in(folder, include)
    if document == "file":
        files = [file for file in files if file.parent != folder]
    documents, warnings = read_files(files, encoding, folder)
    names = {plain_name(file.origin) for file in documents if Path(file.origin).parent == folder}
    stems = collections.Counter(Path(name).stem for name in names)
    examples = []
    for file in documents:
        first, *below = Path(file.origin).relative_to(folder).parts
        name = Path(plain_name(file.origin))
        # Of `polarity.neg` and `polarity.pos`, the whole names are the classes.
        label = composed(first if below else name.stem if stems[name.stem] == 1 else name.name)
        examples += [Example(origin, text, label) for origin, text in split_at([file], document)]
    warnings = warnings + _odd_classes(folder, [Path(file.origin) for file in documents], document)
    labels = {example.label for example in examples}
    if empty := [name for name in folders if name not in labels]:
        warnings = [
            *warnings,
            f"left out {count(len(empty), 'subfolder')} without text: {listed(empty, ', ')}",
        ]
    return LabelledTexts(examples, warnings)


def _odd_classes(folder, files, document) -> list[str]:
    """Return a warning if files such as README.md became classes beside folders or files of text."""
    suffixes = {file: Path(plain_name(file)).suffix for file in files if file.parent == folder}
    odd = [file.name for file, suffix in suffixes.items() if suffix not in ("", ".txt")]
    if document == "file" or not odd or (len(suffixes) == len(files) and len(set(suffixes.values())) == 1):
        return []
    warning = (
        f"each of these files was read as a class: {listed(odd, ', ')}. If one is not a "
        "class, select the others with --include, such as '*.txt'"
    )
    return [warning]


def _read_table(path, text_column, label_column, encoding, no_header) -> LabelledTexts:
    columns = text_column, label_column
    expect(
        text_column != label_column,
        f"{text_column!r} is both the text column and the label column: give two columns",
    )
    plain = not is_table(path)  # a .txt file has names only if they are the expected ones
    expected = expected_names(columns, ("text", "label"))
    table = read_table(
        path,
        encoding,
        (lambda names: not no_header and has_names(names, expected)) if plain else not no_header,
    )
    expect(table.rows or table.columns, f"{path} is empty: give texts with their labels")
    warnings = list(table.warnings)
    if table.columns is None and columns == ("text", "label") and table.width == 2:
        places = _labels_last(table)
        named = [
            f"column {place + 1} as the {noun}" for noun, place in zip(("text", "label"), places, strict=True)
        ]
        warnings.append(f"{path} has no header: {' and '.join(sorted(named))}")
    elif plain and table.width < 2 and table.rows:
        number, [line] = table.rows[0]
        raise InputError(
            f"{table.origin(number)}: there is no tab in {shortened(line, 40)!r}: expected a label, a tab "
            "and a text per line, or a text, a tab and a label. Or give a table, such as a .csv file, or a "
            "folder with one subfolder per class"
        )
    else:
        places = _positions(table, columns)
        if not any(has_names(table.columns or (), [column]) for column in columns):
            warnings += header_note(table, "text")
    return _examples(table, places, columns, warnings)


def _positions(table, columns) -> list[int]:
    missing = [repr(column) for column in columns if not table.has(column)]
    if missing and table.rows:
        raise InputError(
            f"{table.name}: there is no {' and no '.join(missing)}{table.among()}. Choose columns with "
            f"--text_column and --label_column, by name or number{no_header_advice(table, 'text')}"
        )
    if not table.rows:
        return [0, 0]
    places = [table.position(column) for column in columns]
    expect(
        places[0] != places[1],
        f"{table.name}: {columns[0]!r} and {columns[1]!r} are the same column: give one with the texts and "
        "one with the labels",
    )
    return places


def _labels_last(table) -> list[int]:
    """Return the columns of the texts and of the labels: labels repeat, or are shorter."""
    sizes = []
    for place in range(2):
        values = [values[place] or "" for _, values in table.rows]
        sizes.append((len(set(values)), sum(map(len, values))))
    return [0, 1] if sizes[1] <= sizes[0] else [1, 0]


def _examples(table, places, columns, warnings) -> LabelledTexts:
    """Return the examples of a table's rows that have a text and a label."""
    examples: list[Example] = []
    without: dict[str, list[tuple[str, Any]]] = {"text": [], "label": []}
    for number, values in table.rows:
        origin = table.origin(number)
        text, label = (values[place] for place in places)
        if is_missing(text):
            without["text"].append((origin, text))
            continue
        if is_missing(label):
            without["label"].append((origin, label))
            continue
        if not isinstance(text, str):
            raise InputError(f"{origin}: {columns[0]} is {text!r}, expected a string")
        try:
            examples.append(Example(origin, text, composed(spelled(label).strip())))
        except TypeError:
            raise InputError(f"{origin}: {columns[1]} is {label!r}, expected a string or a number") from None
    return LabelledTexts(
        examples,
        [*warnings, *(warning for what, rows in without.items() for warning in left_out(rows, what))],
    )

"""The input texts of a command: options, a file with one text per line, a table, or standard input."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from textrnn.data.records import count, listed
from textrnn.data.table_values import is_missing, spelled
from textrnn.data.table_writing import WRITERS, expect_writable
from textrnn.data.tables import Table, expected_names, has_names, is_table, no_header_advice, read_table
from textrnn.data.text_files import lines_of, plain_name, read_lines
from textrnn.errors import InputError, expect, warn
from textrnn.files import expect_output
from textrnn.unicode import cleaned


class Texts(NamedTuple):
    """Texts to answer.

    Attributes:
        texts: The texts, read as they are iterated.
        number: How many there are, or None if that is not known.
        table: The table that they stand in, or None.
    """

    texts: Iterable[str]
    number: int | None = None
    table: Table | None = None


def given_texts(
    text: Sequence[str] | None = None,
    file: Path | None = None,
    *,
    text_column: str | None = None,
    no_header: bool = False,
    encoding: str | None = None,
    pairs: bool = False,
) -> Texts:
    r"""Return the texts that the options of a command name. Warnings go to stderr.

    Args:
        text: The texts themselves.
        file: Instead, a file with one text per line, or a table as in `textrnn.data.tables.read_table`. With
            neither, the lines of the standard input.
        text_column: Column of the texts in a table, by name or number. Default: `text`, or the only column of
            a table without a header. With it, a file of lines is a table too, separated by tabs, whose first
            line has the names of the columns only if this is one of them, or `text` if this is a number.
        no_header: Whether the first row of a table has no names of columns.
        encoding: Encoding of the file or of the standard input. Default: that of the byte order mark, or
            UTF-8.
        pairs: Whether tables are those of `textrnn.data.parallel.read_pairs`: the column is `source` or
            `text`, or the first one of a table without a header, and a `.tsv` file has a header only if it
            has such a name, or `text_column`.

    Raises:
        InputError: If the file cannot be read, if a table has no such column, or if a value is not a text.

    Example:

    >>> import pathlib, tempfile
    >>> from textrnn.serving.texts import given_texts
    >>> path = pathlib.Path(tempfile.mkdtemp(), "reviews.csv")
    >>> _ = path.write_text("id,text\n1,Dull\n2,Fine\n")
    >>> list(given_texts(file=path).texts), list(given_texts(["one", "two"]).texts)
    (['Dull', 'Fine'], ['one', 'two'])
    """
    if text is not None:
        return Texts([cleaned(one, f"text {number}") for number, one in enumerate(text, start=1)], len(text))
    if file is None:
        return Texts(checked(lines_of(sys.stdin.buffer, encoding)))
    if not _is_tabular(file, text_column):
        lines = read_lines(file, encoding)  # finds invalid lines before the first answer
        tabs = Counter("\t" in line if line.strip() else None for line in lines)
        if tabs[True] and not tabs[False]:
            warn(f"{file}: each line, tabs included, is one text. To use one column, give --text_column N")
        return Texts(read_lines(file, encoding), tabs.total())
    names = ("source", "text") if pairs else ("text",)
    expected = expected_names([text_column] if text_column else [], names)
    guessed = not is_table(file) or (pairs and plain_name(file).lower().endswith((".tsv", ".tab")))
    table = read_table(
        file,
        encoding,
        (lambda row: not no_header and any(has_names(row, [name]) for name in expected))
        if guessed
        else not no_header,
    )
    for warning in table.warnings:
        warn(warning)
    if table.columns is None and text_column is None and table.rows and (pairs or table.width == 1):
        text_column = "1"
        if not no_header:
            warn(f"{file} has no column {' or '.join(names)}: column 1 is used, and the first row is a text")
    texts = list(_column(table, text_column, names))
    return Texts(texts, len(texts), table)


def checked(texts: Iterable[str]) -> Iterator[str]:
    r"""Yield texts, and warn on stderr about the first one in which invalid bytes were replaced by U+FFFD.

    Example:

    >>> from textrnn.serving.texts import checked
    >>> list(checked(["one", "caf\ufffd"]))  # warning: text 2 is not valid ...
    ['one', 'caf\ufffd']
    """
    warned = False
    for number, text in enumerate(texts, start=1):
        if "\ufffd" in text and not warned:
            warn(f"text {number} is not valid in its encoding: invalid bytes were replaced by \ufffd")
            warned = True
        yield text


def check_output(
    output: Path | None, file: Path | None, text_column: str | None = None, no_header: bool = False
) -> None:
    """Check that a file can be read with these options, and answers be written to another.

    Args:
        output: The file, or None for the standard output.
        file: The input file, or None. If it is a table, so is the output.
        text_column, no_header: As for `given_texts`.

    Raises:
        InputError: If they cannot.

    Example:

    >>> from pathlib import Path
    >>> from textrnn.serving.texts import check_output
    >>> check_output(Path("nowhere/labels.csv"), None)
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: --output nowhere/labels.csv: give a file in a folder that exists and can be
    written
    """
    expect(file is None or file.is_file(), f"--file {file}: there is no such file")
    option = "--text_column" if text_column is not None else "--no_header"
    expect(
        file is not None or not (text_column is not None or no_header),
        f"{option} applies to tables: give one with --file",
    )
    tabular = file is not None and _is_tabular(file, text_column)
    expect(
        tabular or not no_header,
        f"--no_header applies to tables, and each line of {file} is a text: omit it, or give --text_column",
    )
    if output is None:
        return
    expect_output(output, "--output")
    expect(
        file is None or not output.exists() or not output.samefile(file),
        f"--output {output} is also the input file: give another one",
    )
    if tabular:
        expect(
            output.suffix.lower() in WRITERS,
            f"--output {output}: the input is a table, so the output must be one: "
            f"give a {', '.join(WRITERS)} file",
        )
        expect_writable(output, flag="--output")


def check_answers(output: Path, table: Table, names: Sequence[str]) -> None:
    """Check that a table can be written with answers, before there are any.

    Args:
        output: The file.
        table: The table.
        names: Names of the columns of the answers.

    Raises:
        InputError: If the table has a column of such a name, or as
            `textrnn.data.table_writing.expect_writable`.

    Example:

    >>> from pathlib import Path
    >>> from textrnn.data.tables import Table
    >>> from textrnn.serving.texts import check_answers
    >>> check_answers(Path("b.csv"), Table("a.csv", ["text"], [(2, ["Dull"])]), ["text"])
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: a.csv already has a column 'text', which the answers need: rename or remove it
    """
    columns, rows = answered(table, names, [[""] * len(names)] * len(table.rows))
    expect_writable(output, columns, rows, flag="--output")


def answered(table: Table, names: Sequence[str], answers: Sequence[Sequence]) -> tuple[list[str], list[list]]:
    """Return the columns and the rows of a table with the answers about it.

    Args:
        table: The table.
        names: Names of the columns of the answers.
        answers: The values of these columns for each row.

    Raises:
        InputError: If the table has a column of such a name.

    Example:

    >>> from textrnn.data.tables import Table
    >>> from textrnn.serving.texts import answered
    >>> answered(Table("a.csv", ["text"], [(2, ["Dull"])]), ["predicted_label"], [["bad"]])
    (['text', 'predicted_label'], [['Dull', 'bad']])
    """
    columns = table.columns or [str(number) for number in range(1, table.width + 1)]
    if both := sorted(set(columns) & set(names)):
        raise InputError(
            f"{table.name} already has a column {both[0]!r}, which the answers need: rename or remove it"
        )
    rows = [[*values, *answer] for (_, values), answer in zip(table.rows, answers, strict=True)]
    return [*columns, *names], rows


def _is_tabular(file: Path, text_column: str | None) -> bool:
    """Return whether a file is read as a table: by its name, or since one of its columns is chosen."""
    return is_table(file) or text_column is not None


def _column(table: Table, text_column: str | None, names: Sequence[str]) -> Iterator[str]:
    """Yield the texts of a table, "" for missing ones."""
    if not table.rows:
        return
    column = text_column or next((name for name in names if table.has(name)), None)
    if column is None or not table.has(column):
        raise InputError(
            f"{table.name}: there is no {column or names[0]!r}{table.among()}. Choose the column of the "
            f"texts with --text_column, by name or number{no_header_advice(table, 'text')}"
        )
    place = table.position(column)
    if missing := [table.origin(number) for number, values in table.rows if is_missing(values[place])]:
        warn(f"{count(len(missing), 'row')} without a text, answered as an empty one: {listed(missing)}")
    for number, values in table.rows:
        try:
            yield "" if is_missing(values[place]) else spelled(values[place])
        except TypeError:
            raise InputError(
                f"{table.origin(number)}: {column} is {values[place]!r}, expected a string"
            ) from None

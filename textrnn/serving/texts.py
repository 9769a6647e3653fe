"""The texts that a command answers: from its options, a file of lines, a table, or the standard input."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from textrnn.data.records import count, listed
from textrnn.data.table_formats import WRITERS
from textrnn.data.tables import Table, is_table, read_table
from textrnn.data.text_files import lines_of, read_lines
from textrnn.data.values import is_missing, spelled
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
    columns: Sequence[str] = ("text",),
) -> Texts:
    r"""Return the texts that the options of a command name. Warnings go to stderr.

    Args:
        text: The texts themselves.
        file: Instead, a file with a text per line, or a table as in `textrnn.data.tables.read_table`. With
            neither, the lines of the standard input.
        text_column: Column of the texts in a table, by name or number. Default: the first of `columns` that
            there is, or the only column of a table without a header.
        no_header: Whether the first row of a table has no names of columns.
        encoding: Encoding of the file or of the standard input. Default: that of the byte order mark, or
            UTF-8.
        columns: Usual names of the column.

    Raises:
        InputError: If the file cannot be read, if a table has no such column, or if a value there is no text.

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
    if not is_table(file):
        number = sum(1 for _ in read_lines(file, encoding))  # finds invalid lines before the first answer
        return Texts(read_lines(file, encoding), number)
    table = read_table(file, encoding, header=not no_header)
    for warning in table.warnings:
        warn(warning)
    texts = list(_column(table, text_column, columns))
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


def check_output(output: Path | None, file: Path | None) -> None:
    """Check that answers can be written to a file.

    Args:
        output: The file, or None for the standard output.
        file: The file that is read, or None. Answers about a table are written as a table.

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
    if output is None:
        return
    expect_output(output, "--output")
    expect(
        file is None or not output.exists() or not output.samefile(file),
        f"--output {output}: this is the file that is read. Give another one",
    )
    expect(
        file is None or not is_table(file) or output.suffix.lower() in WRITERS,
        f"--output {output}: the answers about a table are a table. Give a {', '.join(WRITERS)} file",
    )


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
        raise InputError(f"{table.name} already has a column {both[0]!r}: rename it")
    rows = [[*values, *answer] for (_, values), answer in zip(table.rows, answers, strict=True)]
    return [*columns, *names], rows


def _column(table: Table, text_column: str | None, names: Sequence[str]) -> Iterator[str]:
    """Yield the texts of a table, "" for missing ones."""
    if not table.rows:
        return
    column = text_column or next((name for name in names if table.has(name)), None)
    if column is None and table.columns is None and table.width == 1:
        column = "1"
    if column is None or not table.has(column):
        raise InputError(
            f"{table.name}: there is no {column or names[0]!r}{table.among()}. Choose the column of the "
            "texts with --text_column, by name or number" + (", or give --no_header" if table.columns else "")
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

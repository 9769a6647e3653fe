"""Writing tables as CSV, TSV, JSON lines, Excel or Parquet files that are read back the same."""

import collections
import importlib.util
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from textrnn.data.table_formats import PLAIN, Dialect, tab_separated
from textrnn.errors import InputError
from textrnn.files import replacing


def write_table(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], dialect: Dialect = PLAIN
) -> None:
    r"""Write a table in the format of the path's suffix, so that `textrnn.data.tables.read_table` reads it.

    Characters that a format lacks are replaced by U+FFFD, such as control characters in Excel. Numbers that
    JSON lacks, such as NaN, become null.

    Args:
        path: A file of one of the formats in `WRITERS`.
        columns: The names of the columns.
        rows: The values of each row.
        dialect: The separator of a `.csv` file, and whether a `.csv` or `.tsv` file starts with a byte order
            mark: `Table.dialect` writes a table as it was read.

    Raises:
        InputError: As `expect_writable`.

    Example:

    >>> import pathlib, tempfile
    >>> from textrnn.data.table_writing import write_table
    >>> path = pathlib.Path(tempfile.mkdtemp(), "labels.csv")
    >>> write_table(path, ["text", "label"], [["Good, really", "a"]])
    >>> print(path.read_text())
    text,label
    "Good, really",a
    <BLANKLINE>
    """
    rows = list(rows)
    expect_writable(path, columns, rows)
    with replacing(path) as temporary:
        WRITERS[path.suffix.lower()](temporary, columns, rows, dialect)


def expect_writable(
    path: Path, columns: Sequence[str] = (), rows: Sequence[Sequence[Any]] = (), flag: str = ""
) -> None:
    r"""Raise an `InputError` if a table cannot be written and read again, before a long computation.

    Args:
        path: A file of one of the formats in `WRITERS`.
        columns: The names of the columns.
        rows: The values of each row.
        flag: The option that names the file, for the message.

    Raises:
        InputError: If a package that writes the format is not installed, if columns of a `.jsonl` or
            `.parquet` file have the same name, if tabs and line ends in a `.tsv` file would look like those
            between texts, if a text is too long for a cell of an `.xlsx` file, or if a `.parquet` file
            cannot hold the values of a column, such as numbers and texts in one.

    Example:

    >>> from pathlib import Path
    >>> from textrnn.data.table_writing import expect_writable
    >>> expect_writable(Path("a.jsonl"), ["text", "text"])
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: a.jsonl: 2 columns are called 'text': rename one, or give a .csv, .tsv or .xlsx
    file
    """
    suffix, name = path.suffix.lower(), f"{flag} {path}".strip()
    for package in _PACKAGES.get(suffix, ()):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"{name}: this format needs {package}: pip install 'textrnn[tables]'")
    for column, number in collections.Counter(columns).items():
        if number > 1 and suffix in (".jsonl", ".parquet"):
            raise InputError(
                f"{name}: {number} columns are called {column!r}: rename one, or give a .csv, .tsv or .xlsx "
                "file"
            )
    if suffix == ".tsv" and columns:
        wanted = [[_in_text(_spelled(value)) for value in row] for row in (columns, *rows)]
        if [fields for _, fields in tab_separated(_in_text(_separated("\t", columns, rows)), name)] != wanted:
            raise InputError(f"{name}: texts contain tabs and line ends: give a .csv file")
    if suffix == ".xlsx":
        for number, row in enumerate((columns, *rows), start=1):
            if any(isinstance(value, str) and len(value) > _EXCEL_CELL for value in row):
                raise InputError(
                    f"{name}: a text of row {number} has more than {_EXCEL_CELL:,} characters, the most in "
                    "a cell of Excel: give a .csv file"
                )
    if suffix == ".parquet" and columns:
        try:
            _parquet(columns, rows)
        except Exception as error:  # of several classes, and of pyarrow, which is not loaded
            raise InputError(f"{name}: {error}: give a .jsonl or .csv file") from error


def _spelled(value: Any) -> str:
    """Return a value as the text of a cell: lists and objects as JSON."""
    value = _plain(value)
    if isinstance(value, (list, dict)):
        value = json.dumps(_in_json(value), ensure_ascii=False, default=str)
    return "" if value is None else str(value).replace("\0", "\ufffd")


def _plain(value: Any) -> Any:
    """Return an array or a number of NumPy, as Parquet files have them, as a value of Python."""
    return value.tolist() if hasattr(value, "tolist") else value


def _in_text(text: str) -> str:
    """Return a text with the line ends that `textrnn.unicode.decode` returns."""
    return text.replace("\r\n", "\n").replace("\n\ufeff", "\n")


def _separated(separator: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as text, with quotes around fields that a reader might split or take for no field.

    Unlike Python's `csv`, they are also around other separators than that of the table, since `read_table`
    guesses it, and around carriage returns alone.
    """

    def line(values):
        fields = [_spelled(value) for value in values]
        quoted = [
            '"' + field.replace('"', '""') + '"'
            if separator in field or _SPECIAL.search(field) or (len(fields) == 1 and not field.strip())
            else field
            for field in fields
        ]
        return separator.join(quoted) + "\n"

    return "".join(map(line, (columns, *rows)))


def _csv_writer(path, columns, rows, dialect):
    first_line = f"sep={dialect.separator}\n" if dialect.is_named else ""
    _write(path, first_line + _separated(dialect.separator, columns, rows), dialect)


def _tsv_writer(path, columns, rows, dialect):
    _write(path, _separated("\t", columns, rows), dialect)


def _write(path, text, dialect):
    path.write_text(text, encoding="utf-8-sig" if dialect.is_marked else "utf-8", newline="")


def _jsonl_writer(path, columns, rows, _dialect):
    with open(path, "w", encoding="utf-8", newline="") as file:
        for row in rows:
            values = {column: _in_json(value) for column, value in zip(columns, row, strict=True)}
            file.write(json.dumps(values, ensure_ascii=False, default=str, allow_nan=False) + "\n")


def _in_json(value: Any) -> Any:
    """Return a value with None for the numbers that JSON lacks."""
    value = _plain(value)
    if isinstance(value, dict):
        return {key: _in_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _excel_writer(path, columns, rows, _dialect):
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheet = book.create_sheet()

    def cell(value):
        if value is None or (isinstance(value, (bool, int, float)) and abs(value) < _EXCEL_NUMBER):
            return value
        found = WriteOnlyCell(sheet, _NOT_IN_XML.sub("\ufffd", _spelled(value)))
        found.data_type = "s"  # "=1+1" is a text, not a formula
        return found

    for row in (columns, *rows):
        sheet.append([cell(value) for value in row])
    file = io.BytesIO()
    book.save(file)
    path.write_bytes(file.getvalue())


def _parquet_writer(path, columns, rows, _dialect):
    path.write_bytes(_parquet(columns, rows))


def _parquet(columns, rows) -> bytes:
    import pandas

    file = io.BytesIO()
    pandas.DataFrame(list(rows), columns=list(columns)).to_parquet(file, index=False)
    return file.getvalue()


WRITERS: dict[str, Callable[..., None]] = {
    ".csv": _csv_writer,
    ".tsv": _tsv_writer,
    ".jsonl": _jsonl_writer,
    ".xlsx": _excel_writer,
    ".parquet": _parquet_writer,
}
"""Functions that write the formats, by suffix."""

_PACKAGES = {".xlsx": ("openpyxl",), ".parquet": ("pandas", "pyarrow")}
_SPECIAL = re.compile('[",;\t|\r\n\ufeff]|^sep=')
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_EXCEL_CELL = 32_767  # characters
_EXCEL_NUMBER = 10**15  # it keeps 15 digits

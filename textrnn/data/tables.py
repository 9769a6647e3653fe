"""Tables: files of any format to rows with origins, and columns by name or number."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from textrnn.data import table_formats
from textrnn.data.records import count, listed, shortened
from textrnn.data.table_formats import PLAIN, Dialect, Numbered
from textrnn.data.text_files import plain_name, read_bytes
from textrnn.errors import InputError
from textrnn.unicode import MARKS, composed, decode

JSON = (".jsonl", ".ndjson", ".json")
EXCEL = (".xlsx", ".xlsm", ".xls", ".ods")
PARQUET = (".parquet", ".pq")
SEPARATED = (".csv", ".tsv", ".tab")
SUFFIXES = (*SEPARATED, *JSON, *EXCEL, *PARQUET)
"""Suffixes of tables, before that of a compression."""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Its name in messages, such as its file.
        columns: The names of the columns, or None if the table has no header.
        rows: The rows, all of the same length, each with the number of its last line or of its row.
        warnings: Warnings about the table for the user.
        place: What the numbers count: `"line"`, `"row"`, or `"unit"` of a translation memory.
        dialect: How its file is written, if that is CSV or TSV.
    """

    name: str
    columns: list[str] | None
    rows: Numbered
    warnings: list[str] = field(default_factory=list)
    place: str = "line"
    dialect: Dialect = PLAIN

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.columns if self.columns is not None else self.rows[0][1] if self.rows else ())

    def origin(self, number: int) -> str:
        """Return the origin of a row: the file, and its line or row."""
        return f"{self.name}, {self.place} {number}"

    def has(self, column: str) -> bool:
        """Return whether there is a column of that name or number."""
        return bool(self._named(column)) or (column.isdecimal() and 1 <= int(column) <= self.width)

    def position(self, column: str) -> int:
        """Return the position of a column.

        Args:
            column: Its name, or its number, from 1. A name wins. The case of a name matters only where names
                differ in nothing else.

        Raises:
            InputError: If there is no such column, or if several have that name.

        Example:

        >>> from textrnn.data.tables import Table
        >>> table = Table("a.csv", ["text", "label"], [])
        >>> table.position("label"), table.position("2")
        (1, 1)
        """
        positions = self._named(column)
        if len(positions) > 1:
            numbers = " and ".join(str(place + 1) for place in positions)
            raise InputError(
                f"{self.name}: the columns {numbers} are both called {column!r}: rename one, or choose "
                "by number"
            )
        if positions:
            return positions[0]
        if not self.has(column):
            raise InputError(f"{self.name}: there is no column {column!r}{self.among()}")
        return int(column) - 1

    def _named(self, column: str) -> list[int]:
        """Return the positions of the columns of that name, or of those that differ from it in case."""
        names = self.columns or []
        same = [place for place, name in enumerate(names) if name == column]
        return same or [
            place for place, name in enumerate(_comparable(names)) if [name] == _comparable([column])
        ]

    def among(self) -> str:
        """Return the end of a message: the columns that there are."""
        if self.columns is None:
            return f" among its {count(self.width, 'column')}, which have no names: choose by number, from 1"
        return f" among the columns {', '.join(map(repr, self.columns))}"


def is_table(path: Path) -> bool:
    """Return whether a file's name is that of a table.

    Example:

    >>> from pathlib import Path
    >>> from textrnn.data.tables import is_table
    >>> is_table(Path("a.csv.gz")), is_table(Path("a.txt"))
    (True, False)
    """
    return plain_name(path).lower().endswith(SUFFIXES)


def read_table(
    path: Path, encoding: str | None = None, header: bool | Callable[[list[str]], bool] = True
) -> Table:
    r"""Read a table, optionally compressed; see `textrnn.data.text_files.read_bytes`.

    - `.csv`: separated by commas, semicolons, tabs or bars; quotes as in RFC 4180.
    - `.jsonl`, `.ndjson`: a JSON object per line. `.json`: the same, or an array of objects.
    - `.xlsx`, `.xls`, `.ods`: the first sheet. `.parquet`. Both need `pip install 'textrnn[tables]'`.
    - `.tsv` and other names: separated by tabs, with quotes as described at
      `textrnn.data.table_formats.tab_separated`.

    Rows that repeat the header, as in files put together, are left out with a warning. Short rows are filled
    with missing values.

    Args:
        path: The file.
        encoding: Encoding of a text format. Default: that of the byte order mark, or UTF-8.
        header: Whether the first row has the names of the columns, or a function that decides it from that
            row. JSON and Parquet files always have names.

    Returns:
        A `Table`. Values of CSV, TSV and Excel files are str or None; those of the others are of any type.

    Raises:
        InputError: If the file cannot be read, if it is not of the format of its name, or if a row has
            more fields than the first. The message names the line.

    Example:

    >>> import pathlib, tempfile
    >>> from textrnn.data.tables import read_table
    >>> path = pathlib.Path(tempfile.mkdtemp(), "reviews.csv")
    >>> _ = path.write_text('text;stars\n"Good; really";5\n')
    >>> table = read_table(path)
    >>> table.columns, table.rows
    (['text', 'stars'], [(2, ['Good; really', '5'])])
    """
    path, content = Path(path), read_bytes(path)
    name, suffix = str(path), Path(plain_name(path)).suffix.lower()
    warnings: list[str] = []
    if suffix in PARQUET:
        columns, rows = table_formats.parquet(content, name)
        return Table(name, columns, rows, place="row")
    if suffix in JSON:
        text = decode(content, name, encoding)
        columns, rows, warnings = table_formats.json_lines(text, name)
        return Table(name, columns, rows, warnings, table_formats.json_place(text, name))
    if suffix in EXCEL:
        rows, warnings = table_formats.excel(content, name)
        return _with_header(Table(name, None, rows, warnings, "row"), header)
    text, is_marked = decode(content, name, encoding), content.startswith(tuple(MARKS))
    if suffix == ".csv":
        rows, dialect = table_formats.comma_separated(text, name), table_formats.csv_dialect(text, is_marked)
    else:
        rows, dialect = table_formats.tab_separated(text, name), Dialect(is_marked=is_marked)
    return _with_header(Table(name, None, rows, dialect=dialect), header)


def _with_header(table: Table, header) -> Table:
    """Check the rows of a table, and take its header from the first one."""
    if not table.rows:
        return table
    _, names = table.rows[0]
    header_key = _comparable(names)
    columns = [str(value or "").strip() for value in names]
    for number, values in table.rows:
        values.extend([None] * (len(columns) - len(values)))  # some programs drop empty cells at the end
        if len(values) > len(columns):
            raise InputError(
                f"{table.origin(number)}: found {count(len(values), 'field')}, expected {len(columns)} "
                f"({shortened(', '.join(columns))}). Put quotes around texts that contain the separator"
            )
    if not (header(columns) if callable(header) else header):
        return table
    rows = [row for row in table.rows[1:] if _comparable(row[1]) != header_key]
    again = [table.origin(number) for number, values in table.rows[1:] if _comparable(values) == header_key]
    warnings = [f"left out {count(len(again), 'repeated header')}: {listed(again)}"] if again else []
    return replace(table, columns=columns, rows=rows, warnings=table.warnings + warnings)


def has_names(row: Sequence[Any], columns: Iterable[str]) -> bool:
    """Return whether a row has the names of columns, in any case.

    Example:

    >>> from textrnn.data.tables import has_names
    >>> has_names(["Text", "id", " Label"], ["text", "label"])
    True
    """
    return set(_comparable([*columns])) <= set(_comparable(row))


def expected_names(columns: Iterable[str], defaults: Sequence[str]) -> Sequence[str]:
    """Return the names by which a header is known: those of the chosen columns, or else the default ones.

    Args:
        columns: Names of columns, or numbers from 1, which say nothing about names.
        defaults: The names that columns have if none is chosen.

    Example:

    >>> from textrnn.data.tables import expected_names
    >>> expected_names(["body", "2"], ["text"]), expected_names(["2"], ["text"])
    (['body'], ['text'])
    """
    return [column for column in columns if not column.isdecimal()] or defaults


def no_header_advice(table: Table, noun: str) -> str:
    """Return the end of an error about a missing column, or nothing where formats have names.

    Args:
        table: The table.
        noun: What the first row may be instead, such as `"pair"`.

    Example:

    >>> from textrnn.data.tables import Table, no_header_advice
    >>> no_header_advice(Table("a.csv", ["Go.", "Va !"], []), "pair")
    ', or give --no_header if the first row is a pair'
    >>> no_header_advice(Table("a.jsonl", ["en", "fr"], []), "pair")
    ''
    """
    return f", or give --no_header if the first row is a {noun}" if _header_is_a_row(table) else ""


def header_note(table: Table, noun: str) -> list[str]:
    """Return a warning that the first row of a table was read as names, or nothing where formats have names.

    Args:
        table: The table.
        noun: What the row may be instead, such as `"pair"`.

    Example:

    >>> from textrnn.data.tables import Table, header_note
    >>> header_note(Table("a.csv", ["Go.", "Va !"], []), "pair")
    ["a.csv: the first row was read as names of columns, 'Go.', 'Va !'. If it is a pair, give --no_header"]
    """
    if not _header_is_a_row(table):
        return []
    names = shortened(", ".join(map(repr, table.columns or ())))
    warning = f"{table.name}: the first row was read as names of columns, {names}"
    return [f"{warning}. If it is a {noun}, give --no_header"]


def _header_is_a_row(table: Table) -> bool:
    """Return whether the names of columns come from the first row, unlike those of JSON and Parquet files."""
    name = plain_name(Path(table.name)).lower()
    return table.columns is not None and not name.endswith((*JSON, *PARQUET))


def _comparable(names: Sequence[Any]) -> list[str]:
    """Return names of columns without differences of case, of Unicode's forms, and of whitespace around."""
    return [composed(str(name or "").strip()).casefold() for name in names]


def left_out(rows: Sequence[tuple[str, Any]], what: str) -> list[str]:
    """Return a warning about rows that were left out, or nothing.

    Args:
        rows: The origin of each row and the value that counts as missing.
        what: What is missing, such as `"label"`.

    Example:

    >>> from textrnn.data.tables import left_out
    >>> left_out([("a.csv, line 2", ""), ("a.csv, line 7", "N/A")], "label")
    ["left out 2 rows whose label is empty or 'N/A': a.csv, line 2; a.csv, line 7"]
    """
    if not rows:
        return []
    origins = listed([origin for origin, _ in rows])
    words = missing_words(value for _, value in rows)
    return [f"left out {count(len(rows), 'row')} whose {what} is {words}: {origins}"]


def missing_words(values: Iterable[Any]) -> str:
    """Return how missing values are spelled, for a message.

    Example:

    >>> from textrnn.data.tables import missing_words
    >>> missing_words(["N/A ", None, "", "n.a."])
    "empty or 'N/A' or 'n.a.'"
    """
    spellings = {value.strip() if isinstance(value, str) else "" for value in values}
    return " or ".join(["empty"] * ("" in spellings) + sorted(repr(value) for value in spellings if value))

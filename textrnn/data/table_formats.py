"""Parsers of table formats: CSV, TSV, JSON lines, Excel and Parquet.

CSV and JSON are parsed by Python's own modules, which know the line of each row, refuse rows of another
length, and keep strings and numbers apart. Excel and Parquet files are parsed by pandas.
"""

import collections
import contextlib
import csv
import io
import itertools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from textrnn.data.records import listed
from textrnn.data.table_values import is_missing, spelled
from textrnn.errors import InputError
from textrnn.unicode import well_formed

Numbered = list[tuple[int, list[Any]]]
"""Rows of values, each with the number of its last line, or of its row."""


class Dialect(NamedTuple):
    """How a table of text is written.

    Attributes:
        separator: What separates the fields of a CSV file.
        is_named: Whether the first line of a CSV file names it, as `sep=;`.
        is_marked: Whether the file starts with a byte order mark.
    """

    separator: str = ","
    is_named: bool = False
    is_marked: bool = False


PLAIN = Dialect()
"""The dialect of tables that were not read from CSV or TSV."""


def csv_dialect(text: str, is_marked: bool = False) -> Dialect:
    r"""Find the separator of CSV: the one that Excel's first line `sep=;` names, or one that fits the rows.

    Args:
        text: The content of the file, without its mark.
        is_marked: Whether it had one.

    Example:

    >>> from textrnn.data.table_formats import csv_dialect
    >>> csv_dialect("text;label\nDull;bad\n")
    Dialect(separator=';', is_named=False, is_marked=False)
    """
    named = re.match(r"sep=(.)\n", text)
    return Dialect(named[1] if named else _separator(text), bool(named), is_marked)


def comma_separated(text: str, name: str) -> Numbered:
    r"""Parse CSV with quotes as in RFC 4180. Blank lines are skipped.

    The separator is a comma, semicolon, tab or bar: one that splits the first rows into as many fields, or
    the one that Excel's first line `sep=;` names.

    Args:
        text: The content of the file.
        name: Its name in error messages.

    Raises:
        InputError: If a quote is not closed, or is followed by other characters.

    Example:

    >>> from textrnn.data.table_formats import comma_separated
    >>> comma_separated('text;label\n"Good; really";a\n', "a.csv")
    [(1, ['text', 'label']), (2, ['Good; really', 'a'])]
    """
    dialect = csv_dialect(text)
    rows = _parse(text, name, dialect.separator)
    return [(number, fields) for number, fields in rows if number > 1] if dialect.is_named else rows


def tab_separated(text: str, name: str) -> Numbered:
    r'''Parse TSV, written with or without quotes. Blank lines are skipped.

    Some programs write TSV like CSV, with quotes around fields that contain a quote, a tab or a line end, and
    others write texts as they are. This reads a file as quoted if each of its quotes is explained so:

    - If every field with a quote starts and ends with one, and doubles those inside, the fields were quoted.
    - Otherwise, if all lines have the same number of fields, quotes are literal.
    - Otherwise, the fields were quoted if rows that span lines have the same number of fields; if not, quotes
      are literal.

    Args:
        text: The content of the file.
        name: Its name in error messages.

    Example:

    >>> from textrnn.data.table_formats import tab_separated
    >>> tab_separated('ham\t"Call me\nspam\tWin\nham\tSee you"\n', "a.tsv")
    [(1, ['ham', '"Call me']), (2, ['spam', 'Win']), (3, ['ham', 'See you"'])]
    >>> tab_separated('ham\t"Call\nme"\nspam\t"Say ""yes"""\n', "a.tsv")
    [(2, ['ham', 'Call\nme']), (3, ['spam', 'Say "yes"'])]
    '''
    lines = enumerate(text.split("\n"), start=1)
    literal: Numbered = [(number, line.split("\t")) for number, line in lines if line.strip(" ")]
    marked = [field for _, fields in literal for field in fields if '"' in field]
    if all(_QUOTED.fullmatch(field) for field in marked):
        return [(number, [_unquoted(field) for field in fields]) for number, fields in literal]
    if not any(field.startswith('"') for field in marked) or _widths(literal) == 1:
        return literal
    try:
        quoted = _parse(text, name, "\t")
    except InputError:
        return literal
    return quoted if _widths(quoted) == 1 else literal


def json_place(text: str, name: str) -> str:
    """Return what the numbers of JSON objects count: `"row"` in an array, otherwise `"line"`.

    Args:
        text: The content of the file.
        name: Its name; only `.json` files hold an array.

    Example:

    >>> from textrnn.data.table_formats import json_place
    >>> json_place("[{}, {}]", "a.json.gz"), json_place("{}", "a.json")
    ('row', 'line')
    """
    is_json = ".json" in map(str.lower, Path(name).suffixes)
    return "row" if is_json and text.lstrip().startswith("[") else "line"


def json_lines(text: str, name: str) -> tuple[list[str], Numbered, list[str]]:
    r"""Parse a JSON object per line, or a JSON array of objects.

    Args:
        text: The content of the file.
        name: Its name in error messages.

    Returns:
        The keys of all objects, the rows of their values, with None for an absent key, and warnings.

    Raises:
        InputError: If a line is no JSON object, has a key twice, or has a number or lists that Python cannot
            hold, or if the file is one object of columns.

    Example:

    >>> from textrnn.data.table_formats import json_lines
    >>> json_lines('{"text": "a"}\n{"label": 1, "text": "b"}\n', "a.jsonl")
    (['text', 'label'], [(1, ['a', None]), (2, ['b', 1])], [])
    """
    found: Iterable[tuple[int, Any]]
    place = json_place(text, name)
    if place == "row":
        found = enumerate(_json(text, name), start=1)
    else:
        lines = enumerate(text.split("\n"), start=1)
        found = ((number, _json(line, f"{name}, line {number}")) for number, line in lines if line.strip())
    objects, repaired = [], []
    escapes = re.search(r"\\ud", text, re.IGNORECASE)
    for number, value in found:
        if not isinstance(value, dict):
            raise InputError(f"{name}, {place} {number}: expected a JSON object, found {str(value)[:40]}")
        if escapes:
            whole = {key: well_formed(item) if isinstance(item, str) else item for key, item in value.items()}
            repaired += [number] if whole != value else []
            value = whole  # noqa: PLW2901
        objects.append((number, value))
    if len(objects) == 1 and objects[0][1] and all(isinstance(item, dict) for item in objects[0][1].values()):
        raise InputError(
            f"{name}: expected one JSON object per row, found an object of columns: write the rows, as "
            "to_json(..., orient='records') of pandas does"
        )
    keys = list(dict.fromkeys(key for _, value in objects for key in value))
    warnings = []
    if repaired:
        places = f"{place if len(repaired) == 1 else place + 's'} {listed([*map(str, repaired)], ', ')}"
        warnings.append(f"half of a surrogate pair was replaced by \ufffd: {name}, {places}")
    return keys, [(number, [value.get(key) for key in keys]) for number, value in objects], warnings


def excel(content: bytes, name: str) -> tuple[Numbered, list[str]]:
    """Parse the first sheet of an Excel or OpenDocument file. Numbers and dates become str; 1.0 is `"1"`.

    Args:
        content: The content of the file.
        name: Its name in error messages.

    Returns:
        The rows, with None for empty cells, and warnings.

    Raises:
        InputError: If the file is damaged, or if a package that reads it is not installed.
    """
    pandas = _pandas(name)
    try:
        # One package reads both the old format of Excel and OpenDocument, which begins with its type.
        others = content.startswith(b"\xd0\xcf\x11\xe0") or b"opendocument" in content[:100]
        book = pandas.ExcelFile(io.BytesIO(content), engine="calamine" if others else "openpyxl")
        frame = pandas.read_excel(book, sheet_name=0, header=None, dtype=object, na_filter=False)
    except ImportError as error:
        raise _not_installed(name, error) from error
    except Exception as error:  # the engines raise errors of many classes
        raise InputError(f"{name} cannot be read as an Excel file: {error}") from error
    rows = [
        (number, [None if is_missing(value) else _cell(value) for value in values])
        for number, values in enumerate(frame.itertuples(index=False, name=None), start=1)
    ]
    first, *more = book.sheet_names
    warnings = [f"{name}: only the first sheet is read, {first!r}"] if more else []
    return [row for row in rows if any(value is not None for value in row[1])], warnings


def _cell(value: Any) -> str:
    """Spell a value of a cell. What has no spelling may stand in a column that is not read."""
    try:
        return spelled(value)
    except TypeError:
        return str(value)


def parquet(content: bytes, name: str) -> tuple[list[str], Numbered]:
    """Parse a Parquet file.

    Args:
        content: The content of the file.
        name: Its name in error messages.

    Returns:
        The names of the columns, and the rows, with None for missing values.

    Raises:
        InputError: If the file is damaged, or if a package that reads it is not installed.
    """
    pandas = _pandas(name)
    try:
        frame = pandas.read_parquet(io.BytesIO(content))
    except ImportError as error:
        raise _not_installed(name, error) from error
    except Exception as error:
        raise InputError(f"{name} cannot be read as a Parquet file: {error}") from error
    values = frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None)
    return [str(column) for column in frame.columns], [
        (number, list(row)) for number, row in enumerate(values, start=1)
    ]


CARRIAGE_RETURN = "\ufdd0"
"""Stands for a carriage return within a line while it is parsed: no character of a text."""

_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def _unquoted(field: str) -> str:
    return field[1:-1].replace('""', '"') if field[:1] == '"' else field


def _widths(rows: Numbered) -> int:
    """Return how many different numbers of fields rows have."""
    return len({len(fields) for _, fields in rows})


def _parse(text: str, name: str, separator: str) -> Numbered:
    reader = _reader(text, separator)
    rows: Numbered = []
    start = 1
    try:
        for fields in reader:
            if fields:
                rows.append((reader.line_num, [field.replace(CARRIAGE_RETURN, "\r") for field in fields]))
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{name}, line {start}: {error}: check the quotes in this row") from error
    return rows


def _reader(text: str, separator: str):
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a text may be a whole book
    # Some programs write a carriage return within a field without quotes. Python's parser ends a row there.
    lines = (re.sub("\r(?!\n)", CARRIAGE_RETURN, line) for line in io.StringIO(text, newline="\n"))
    return csv.reader(lines, delimiter=separator, strict=True)


def _separator(text: str) -> str:
    """Return the separator that splits the first row, and if possible the next ones, into as many fields."""
    found = {}
    for separator in ",;\t|":
        with contextlib.suppress(csv.Error):
            first_rows = itertools.islice(_reader(text, separator), 20)
            widths = [len(fields) for fields in first_rows if fields]
            if widths and widths[0] > 1:
                found[separator] = len(set(widths)) == 1
    return max(found, key=lambda separator: found[separator], default=",")


def _json(text: str, place: str) -> Any:
    def unique(pairs):
        found = dict(pairs)
        if len(found) < len(pairs):
            [(key, number), *_] = collections.Counter(key for key, _ in pairs).most_common(1)
            raise InputError(f"{place}: {number} values are called {key!r}: rename or remove one")
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # also of numbers that are too long and of deep lists
        raise InputError(f"{place}: invalid JSON: {error}") from error


def _pandas(name: str) -> Any:
    try:
        import pandas
    except ImportError as error:
        raise _not_installed(name, error) from error
    return pandas


def _not_installed(name: str, error: ImportError) -> InputError:
    missing = re.search(r"pandas|openpyxl|pyarrow|calamine", str(error))
    package = missing[0].replace("calamine", "python-calamine") if missing else "pandas"
    return InputError(f"{name}: this format needs {package}: pip install 'textrnn[tables]'")

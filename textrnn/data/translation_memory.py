"""Translation memories: TMX files to tables with a column for each language."""

import io
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from textrnn.data.records import count
from textrnn.data.tables import Table
from textrnn.data.text_files import plain_name, read_bytes, read_text
from textrnn.errors import InputError, expect

SUFFIXES = (".tmx", ".xml")
"""Suffixes of translation memories, before that of a compression."""

_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_CODES = ("bpt", "ept", "it", "ph", "ut")
"""Elements of a segment that hold the codes of a format, such as `<b>` of HTML, and no text."""


def is_memory(path: Path) -> bool:
    """Return whether a file's name is that of a translation memory.

    Example:

    >>> from pathlib import Path
    >>> from textrnn.data.translation_memory import is_memory
    >>> is_memory(Path("memory.tmx.gz")), is_memory(Path("memory.csv"))
    (True, False)
    """
    return plain_name(path).lower().endswith(SUFFIXES)


def read_memory(path: Path, encoding: str | None = None) -> Table:
    """Read a TMX file as a table: a row for each translation unit, a column for each language.

    Of several texts of one language in a unit, the first is used. The codes of inline tags are left out, and
    the text around them and in `<hi>` is kept.

    Args:
        path: The file, optionally compressed.
        encoding: Its encoding. Default: the one that the file declares.

    Returns:
        A `Table` with the languages in the order of the file. A text that a unit lacks is None.

    Raises:
        InputError: If the file cannot be read, is no TMX, or has a text without a language.

    Example:

    >>> import pathlib, tempfile
    >>> from textrnn.data.translation_memory import read_memory
    >>> path = pathlib.Path(tempfile.mkdtemp(), "memory.tmx")
    >>> _ = path.write_text('''<tmx version="1.4"><header/><body><tu>
    ... <tuv xml:lang="en-US"><seg>A <bpt i="1">&lt;b&gt;</bpt>dog<ept i="1">&lt;/b&gt;</ept>.</seg></tuv>
    ... <tuv xml:lang="de"><seg>Ein Hund.</seg></tuv></tu></body></tmx>''')
    >>> table = read_memory(path)
    >>> table.columns, table.rows
    (['en-US', 'de'], [(1, ['A dog.', 'Ein Hund.'])])
    """
    languages: dict[str, str] = {}
    rows: list[tuple[int, dict[str, str]]] = []
    for number, unit in enumerate(_units(path, encoding), start=1):
        texts: dict[str, str] = {}
        for language, text in unit:
            languages.setdefault(_comparable(language), language)
            texts.setdefault(_comparable(language), text)
        rows.append((number, texts))
    filled = [(number, [texts.get(language) for language in languages]) for number, texts in rows]
    return Table(str(path), list(languages.values()), filled, place="unit")


def chosen_languages(table: Table, source: str | None = None, target: str | None = None) -> tuple[str, str]:
    """Return the columns of the sources and of the targets of a translation memory.

    Args:
        table: A table of `read_memory`.
        source, target: Codes of languages, or numbers of columns from 1. `en` also chooses `en-US` if there
            is no other English. Default: of two languages, the first and the second, or the one not given.

    Raises:
        InputError: If there is no such language, or if the default is unclear. The message names those that
            there are.

    Example:

    >>> from textrnn.data.tables import Table
    >>> from textrnn.data.translation_memory import chosen_languages
    >>> chosen_languages(Table("a.tmx", ["en-US", "de-DE"], []), source="de")
    ('de-DE', 'en-US')
    """
    names = table.columns or []
    if source is None or target is None:
        there = f", {', '.join(map(repr, names))}: give --source_column and --target_column" if names else ""
        expect(len(names) == 2, f"{table.name} has {count(len(names), 'language')}, expected two{there}")
    first, second = (code and _language(table, code) for code in (source, target))
    first = first or next(name for name in names if name != second)
    return first, second or next(name for name in names if name != first)


def _language(table: Table, code: str) -> str:
    """Return the name of the column of a language."""
    names = table.columns or []
    code = _comparable(code)
    found = [name for name in names if _comparable(name) == code]
    found = found or [name for name in names if _comparable(name).startswith(f"{code}-")]
    if not found and table.has(code):
        found = [names[table.position(code)]]
    expect(len(found) < 2, f"{table.name}: {code!r} may be {' or '.join(map(repr, found))}: give one of them")
    expect(
        found,
        f"{table.name}: there is no language {code!r} among {', '.join(map(repr, names)) or 'none'}. Choose "
        "with --source_column and --target_column",
    )
    return found[0]


def _units(path: Path, encoding: str | None) -> Iterator[list[tuple[str, str]]]:
    """Yield the languages and texts of each translation unit."""
    # Python's parser follows the declaration of bytes, and ignores that of a str.
    source = io.BytesIO(read_bytes(path)) if encoding is None else io.StringIO(read_text(path, encoding))
    root = None
    number = 0
    try:
        for event, element in ET.iterparse(source, ["start", "end"]):
            if root is None:
                root = _tag(element)
                expect(root == "tmx", f"{path}: expected TMX, a translation memory, found XML of <{root}>")
            if event == "end" and _tag(element) == "tu":
                number += 1
                yield [_variant(each, f"{path}, unit {number}") for each in element if _tag(each) == "tuv"]
                element.clear()
    except InputError:
        raise
    except (ET.ParseError, ValueError, LookupError) as error:  # also of encodings
        raise InputError(
            f"{path} cannot be read as TMX: {error}. Export it again, or give --encoding if "
            "it is in another encoding than it says"
        ) from error


def _variant(variant: ET.Element, origin: str) -> tuple[str, str]:
    """Return the language and the text of a `tuv` element."""
    language = variant.get(_LANGUAGE) or variant.get("lang")
    expect(language, f"{origin}: a <tuv> has no xml:lang: add the code of its language")
    return str(language), "".join(_text(each) for each in variant if _tag(each) == "seg")


def _text(element: ET.Element) -> str:
    """Return the text of a segment or of an element in it, without the codes of formats."""
    parts = [element.text or ""]
    for child in element:
        parts += ["" if _tag(child) in _CODES else _text(child), child.tail or ""]
    return "".join(parts)


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _comparable(language: str) -> str:
    """Return the code of a language without differences of spelling."""
    return language.strip().replace("_", "-").casefold()

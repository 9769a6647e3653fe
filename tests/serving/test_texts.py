"""The texts of a command: from options, files of lines, tables and the standard input."""

import gzip
import io
import sys
from types import SimpleNamespace

import pytest

from textrnn.data.table_writing import write_table
from textrnn.data.tables import Table
from textrnn.errors import InputError
from textrnn.serving.texts import answered, check_answers, check_output, given_texts

TEXTS = ["It’s fine", "", "naïve, and \t so on", "last"]


def write(path, content):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "no_suffix"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_lines_are_read_without_marks_and_ends(name, encoding, tmp_path):
    path = write(tmp_path / name, "\r\n".join(TEXTS).encode(encoding))
    given = given_texts(file=path, encoding="cp1252" if encoding == "cp1252" else None)
    assert (list(given.texts), given.number, given.table) == (TEXTS, 4, None)


def test_an_invalid_file_is_refused_before_the_first_answer(tmp_path):
    path = write(tmp_path / "a.txt", b"one\n" * 9 + b"caf\xe9\n")
    with pytest.raises(InputError, match=r"line 10\b.*--encoding cp1252"):
        given_texts(file=path)
    (tmp_path / "a.txt.gz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"a\.txt\.gz cannot be read"):
        given_texts(file=tmp_path / "a.txt.gz")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.xlsx"])
@pytest.mark.parametrize("options", [{}, {"text_column": "2"}, {"text_column": "text"}])
def test_tables_give_one_text_a_row(name, options, tmp_path):
    if name == "a.xlsx":
        pytest.importorskip("openpyxl")
    rows = [["1", text] for text in TEXTS]
    write_table(tmp_path / name, ["id", "text"], rows)
    given = given_texts(file=tmp_path / name, **options)
    assert (list(given.texts), given.number) == (TEXTS, 4)
    columns, values = answered(given.table, ["label"], [["x"]] * 4)
    assert columns == ["id", "text", "label"]
    assert [[value or "" for value in row] for row in values] == [[*row, "x"] for row in rows]


def test_missing_texts_are_answered_as_empty_ones_with_a_warning(tmp_path, capsys):
    path = write(tmp_path / "a.jsonl", b'{"text": "a"}\n{"text": null}\n{"id": 3}\n{"text": 7}\n')
    assert list(given_texts(file=path).texts) == ["a", "", "", "7"]
    expected = f"2 rows without a text, answered as an empty one: {path}, line 2; {path}, line 3"
    assert capsys.readouterr().err == f"warning: {expected}\n"


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (b"one\ntwo\n", {"no_header": True}, ["one", "two"]),
        (b"1,one\n2,two\n", {"no_header": True, "text_column": "2"}, ["one", "two"]),
        (b"source,text\none,1\n", {"pairs": True}, ["one"]),
        (b"review\none\n", {"text_column": "review"}, ["one"]),
        (b"", {}, []),
    ],
)
def test_the_column_is_found(content, options, expected, tmp_path):
    assert list(given_texts(file=write(tmp_path / "a.csv", content), **options).texts) == expected


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"Great food\nDull\n", {}, "no 'text' among the columns 'Great food'. .* or give --no_header"),
        (b"a,b\n1,2\n", {"text_column": "c"}, "no 'c' among the columns 'a', 'b'"),
        (b"1,one\n", {"no_header": True}, "no 'text' among its 2 columns, which have no names"),
        (b"text,text\na,b\n", {}, "the columns 1 and 2 are both called 'text'"),
    ],
)
def test_a_column_that_is_not_found_is_an_error(content, options, message, tmp_path):
    with pytest.raises(InputError, match=message):
        given_texts(file=write(tmp_path / "a.csv", content), **options)


def test_a_list_is_no_text(tmp_path):
    with pytest.raises(InputError, match=r"line 1: text is \['a'\], expected a string"):
        given_texts(file=write(tmp_path / "a.jsonl", b'{"text": ["a"]}'))


def test_the_standard_input_is_read_line_by_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"\xef\xbb\xbfone\r\n\xff\n")))
    given = given_texts()
    assert (list(given.texts), given.number) == (["one", "\ufffd"], None)
    assert capsys.readouterr().err.startswith("warning: text 2 is not valid in its encoding")


def test_several_texts_are_several_texts_and_invalid_bytes_are_replaced(capsys):
    given = given_texts(["one", "caf\udce9", ""])
    assert (list(given.texts), given.number) == (["one", "caf\ufffd", ""], 3)
    assert capsys.readouterr().err.startswith("warning: text 2 is not valid Unicode")


def test_outputs_that_cannot_be_written_are_refused(tmp_path):
    table, lines = write(tmp_path / "a.csv", b"text\na\n"), write(tmp_path / "a.txt", b"a\n")
    for output, file, message in [
        (tmp_path / "b.txt", table, "the input is a table, so the output must be one"),
        (tmp_path / "none" / "b.csv", table, "a folder that exists"),
        (tmp_path, lines, "give a file"),
        (lines, lines, "is also the input file"),
        (None, tmp_path / "none.txt", "there is no such file"),
    ]:
        with pytest.raises(InputError, match=message):
            check_output(output, file)
    for output, file in [
        (None, None),
        (tmp_path / "b.txt", lines),
        (tmp_path / "b.jsonl", table),
        (lines, None),
    ]:
        check_output(output, file)
    with pytest.raises(InputError, match="already has a column 'text', which the answers need"):
        answered(given_texts(file=table).table, ["text"], [["x"]])


LABELLED = b"good\ta joy\nbad\tso dull\n"


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (LABELLED, {"text_column": "2"}, ["a joy", "so dull"]),
        (LABELLED, {"text_column": "2", "no_header": True}, ["a joy", "so dull"]),
        (b"label\ttext\n" + LABELLED, {"text_column": "text"}, ["a joy", "so dull"]),
        (b"Go.\tVa !\n", {"text_column": "1", "pairs": True}, ["Go."]),
    ],
)
def test_a_column_of_a_file_of_lines_is_read_as_in_training(content, options, expected, tmp_path, capsys):
    given = given_texts(file=write(tmp_path / "a.txt", content), **options)
    assert list(given.texts) == expected and given.table is not None
    assert capsys.readouterr().err == ""


def test_options_of_tables_are_refused_where_there_is_none(tmp_path):
    path = write(tmp_path / "a.txt", LABELLED)
    with pytest.raises(InputError, match="no 'nonsense' among its 2 columns"):
        given_texts(file=path, text_column="nonsense")
    with pytest.raises(
        InputError, match=r"--no_header applies to tables, and each line of .*a\.txt is a text: omit it, or"
    ):
        check_output(None, path, no_header=True)
    for options in ({"text_column": "2"}, {"no_header": True}):
        with pytest.raises(InputError, match="applies to tables: give one with --file"):
            check_output(None, None, **options)
    with pytest.raises(InputError, match="the input is a table, so the output must be one"):
        check_output(tmp_path / "b.txt", path, text_column="2")


def test_lines_that_all_have_tabs_are_whole_texts_with_a_warning(tmp_path, capsys):
    given = given_texts(file=write(tmp_path / "a.txt", LABELLED))
    assert list(given.texts) == ["good\ta joy", "bad\tso dull"]
    assert "To use one column, give --text_column N" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "options", "warning"),
    [
        ("a.tsv", b"Go.\tVa !\nRun.\tCours !\n", {}, "column 1 is used, and the first row is a text"),
        ("a.tsv", b"Go.\tVa !\nRun.\tCours !\n", {"no_header": True}, ""),
        ("a.tsv", b"Va !\tGo.\nCours !\tRun.\n", {"text_column": "2"}, ""),
        ("a.tsv", b"target\tsource\nVa !\tGo.\nCours !\tRun.\n", {}, ""),
        ("a.csv", b"Go.,Va !\nRun.,Cours !\n", {"no_header": True}, ""),
    ],
)
def test_the_sources_of_pairs_are_found_as_in_training(name, content, options, warning, tmp_path, capsys):
    given = given_texts(file=write(tmp_path / name, content), pairs=True, **options)
    assert list(given.texts) == ["Go.", "Run."]
    error = capsys.readouterr().err
    assert warning in error and bool(warning) == bool(error)


@pytest.mark.parametrize(("suffix", "package"), [("xlsx", "openpyxl"), ("parquet", "pyarrow")])
def test_missing_packages_of_the_output_are_found_first(suffix, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    if suffix == "parquet":
        monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(__spec__=True))
    output = tmp_path / f"b.{suffix}"
    with pytest.raises(
        InputError, match=rf"--output .*/b\.{suffix}: this format needs {package}: pip install"
    ):
        check_output(output, write(tmp_path / "a.csv", b"text\na\n"))


@pytest.mark.parametrize(
    ("name", "columns", "rows", "message"),
    [
        (
            "b.csv",
            ["text", "label"],
            [],
            "already has a column 'label', which the answers need: rename or remove it",
        ),
        ("b.jsonl", ["text", "id", "id"], [], "2 columns are called 'id': rename one, or give a .csv"),
        ("b.tsv", ["text", "id"], [["a\tb\tc\nd", "e"]], "contain tabs and line ends: give a .csv file"),
    ],
)
def test_tables_that_cannot_hold_answers_are_refused_first(name, columns, rows, message, tmp_path):
    table = Table("a.csv", columns, list(enumerate(rows)))
    with pytest.raises(InputError, match=message):
        check_answers(tmp_path / name, table, ["label"])
    check_answers(tmp_path / "b.csv", table, ["other"])


@pytest.mark.parametrize("column", ["text", "2"])
def test_a_header_of_lines_is_no_text_whether_its_column_has_a_name_or_a_number(column, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("id\ttext\n1\tso dull\n")
    assert list(given_texts(file=path, text_column=column).texts) == ["so dull"]
    path.write_text("1\tso dull\n2\ta joy\n")
    assert list(given_texts(file=path, text_column="2").texts) == ["so dull", "a joy"]

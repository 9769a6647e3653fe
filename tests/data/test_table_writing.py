"""Tables that are written: they are read back the same, or refused."""

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from textrnn.data.table_formats import Dialect
from textrnn.data.table_values import is_missing
from textrnn.data.table_writing import expect_writable, write_table
from textrnn.data.tables import has_names, read_table
from textrnn.errors import InputError

VALUES = st.text(st.sampled_from('\r\n\t",;|=a \u2028\ufeffé😀') | st.characters(codec="utf-8"), max_size=6)
TABLES = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.lists(VALUES, min_size=width, max_size=width), min_size=1, max_size=4)
)


def names(rows):
    return ["text", "id", "sep="][: len(rows[0])]


def as_in_text(text):
    """Text files have one kind of line end, and no NUL or byte order mark at the start of a line."""
    return text.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\n\ufeff", "\n")


def read(path):
    return [values for _, values in read_table(path).rows]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
@given(rows=TABLES)
def test_written_texts_are_read(suffix, rows, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"law.{suffix}"
    assume(not any(has_names(row, names(rows)) for row in rows))  # a repeated header
    try:
        write_table(path, names(rows), rows)
    except InputError:
        assert suffix == "tsv" and any("\t" in text or "\n" in text for row in rows for text in row)
        return
    expected = rows
    if suffix != "jsonl":
        expected = [[as_in_text(text) for text in row] for row in rows]
    assert read_table(path).columns == names(rows)
    assert read(path) == expected


DIALECTS = st.builds(Dialect, st.sampled_from(",;\t|"), st.booleans(), st.booleans()) | st.builds(
    Dialect, st.sampled_from("^:~"), st.just(True), st.booleans()
)


@given(rows=TABLES, dialect=DIALECTS)
def test_a_table_is_written_in_the_dialect_of_another(rows, dialect, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "dialect.csv"
    assume(not any(has_names(row, names(rows)) for row in rows))  # a repeated header
    write_table(path, names(rows), rows, dialect)
    table = read_table(path)
    assert table.columns == names(rows)
    assert [values for _, values in table.rows] == [[as_in_text(text) for text in row] for row in rows]
    if len(rows[0]) > 1 or dialect.is_named:  # one column has no separator
        assert table.dialect == dialect


def test_only_csv_and_tsv_files_have_the_mark_of_another_table(tmp_path):
    dialect = Dialect(";", is_named=True, is_marked=True)
    written = {}
    for suffix in ("csv", "tsv", "jsonl"):
        write_table(tmp_path / f"a.{suffix}", ["text", "id"], [["café", 1]], dialect)
        written[suffix] = (tmp_path / f"a.{suffix}").read_bytes().decode("utf-8")
    assert written == {
        "csv": "\ufeffsep=;\ntext;id\ncafé;1\n",
        "tsv": "\ufefftext\tid\ncafé\t1\n",
        "jsonl": '{"text": "café", "id": 1}\n',
    }


@given(rows=TABLES)
def test_texts_written_to_excel_are_read(rows, tmp_path_factory):
    pytest.importorskip("openpyxl")
    path = tmp_path_factory.getbasetemp() / "law.xlsx"
    write_table(path, ["id", *names(rows)], [[1, *row] for row in rows])
    for written, found in zip(rows, read(path), strict=True):
        for before, after in zip(written, found[1:], strict=True):
            if before.isprintable():
                assert after == (None if is_missing(before) else before)
            else:
                assert len(after or "") in (len(before), 0)


def test_excel_keeps_formulas_as_texts_and_replaces_control_characters(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "a.xlsx"
    texts = ["=1+1", "a\x07b", "\uffff!", "+1", "12", "a\nb"]
    rows = [[text, 0.5, 10**17 + 1, ["list"]] for text in texts]
    write_table(path, ["text", "score", "id", "more"], rows)
    assert [row[0] for row in read(path)] == ["=1+1", "a\ufffdb", "\ufffd!", "+1", "12", "a\nb"]
    assert read(path)[0][1:] == ["0.5", "100000000000000001", '["list"]']
    with pytest.raises(InputError, match="a text of row 2 has more than 32,767 characters"):
        write_table(path, ["text"], [["x" * 32_768]])


def test_carriage_returns_and_tabs_do_not_split_rows(tmp_path):
    write_table(tmp_path / "a.csv", ["text", "id"], [["a\rb", "1"]])
    assert read(tmp_path / "a.csv") == [["a\rb", "1"]]
    with pytest.raises(InputError, match=r"texts contain tabs and line ends: give a \.csv file"):
        write_table(tmp_path / "a.tsv", ["text", "id"], [["a\tb\nc", 'q"u'], ["d", "e"]])
    assert not (tmp_path / "a.tsv").exists()


def test_json_lines_have_no_nan_and_keep_empty_columns(tmp_path):
    path = tmp_path / "a.jsonl"
    write_table(path, ["text", "score", "more"], [["a", float("nan"), [float("inf"), {"b": 1}]]])
    assert path.read_text() == '{"text": "a", "score": null, "more": [null, {"b": 1}]}\n'
    with pytest.raises(InputError, match="2 columns are called 'text': rename one"):
        write_table(path, ["text", "text"], [["a", "b"]])


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (["rating"], [[4], ["n/a"]]),
        (["meta"], [[{}]]),
        (["count"], [[2**70]]),
    ],
)
def test_values_that_parquet_cannot_hold_are_refused_before_there_are_answers(columns, rows, tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match=r"a\.parquet: .+: give a \.jsonl or \.csv file"):
        expect_writable(tmp_path / "a.parquet", columns, rows)


def test_lists_and_arrays_stay_lists(tmp_path):
    row = [["x", None], np.arange(2000), {"a": [1]}, np.float64("nan"), np.int64(3)]
    write_table(tmp_path / "a.jsonl", list("abcde"), [row])
    found = json.loads((tmp_path / "a.jsonl").read_text())
    assert found == {"a": ["x", None], "b": [*range(2000)], "c": {"a": [1]}, "d": None, "e": 3}
    write_table(tmp_path / "a.csv", list("abcde"), [row])
    [[_, cells]] = read_table(tmp_path / "a.csv").rows
    assert json.loads(cells[1]) == [*range(2000)] and json.loads(cells[0]) == ["x", None]
    assert cells[2] == '{"a": [1]}' and cells[4] == "3"

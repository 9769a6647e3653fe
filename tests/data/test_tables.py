"""Tables: what the writers of each format write is read, and what is no table is refused with its line."""

import csv
import datetime
import gzip
import io
import json
import math
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from textrnn.data.table_formats import comma_separated, json_lines, tab_separated
from textrnn.data.table_values import is_missing, spelled
from textrnn.data.table_writing import WRITERS, write_table
from textrnn.data.tables import Table, has_names, is_table, read_table
from textrnn.errors import InputError

CELLS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff"), max_size=12
) | st.sampled_from(
    ['"', '""', "a,b", "a;b", "a\tb", 'say "no"', '"quoted"', "two\nlines", "", "NA", "None", "1.0"]
)
TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=6)
)


def written(rows, delimiter, quoting=csv.QUOTE_MINIMAL):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerows(rows)
    return file.getvalue()


def fields(numbered):
    return [row for _, row in numbered]


@given(TABLES, st.sampled_from(",;|\t"), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_csv_writes_is_read(rows, delimiter, quoting):
    header = [f"column {i}" for i in range(len(rows[0]))]
    text = written([header, *rows], delimiter, quoting)
    assert fields(comma_separated(text, "a.csv")) == [header, *rows]
    assert [number for number, _ in comma_separated(text, "a.csv")][-1] == text.count("\n")


@given(TABLES, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_csv_writes_with_tabs_is_read(rows, quoting):
    assume(not any("\n" in cell and "\t" in cell for row in rows for cell in row))
    rows = [[f"column {i}" for i in range(len(rows[0]))], *rows]
    assert fields(tab_separated(written(rows, "\t", quoting), "a.tsv")) == [
        row for row in rows if any(row) or quoting == csv.QUOTE_ALL or len(row) > 1
    ]


@given(TABLES)
def test_tabs_between_unquoted_texts_are_read_where_a_quote_is_not_closed(rows):
    rows = [[cell.replace("\t", " ").replace("\n", " ") for cell in row] for row in rows]
    rows.append(['"Call me', *["x"] * (len(rows[0]) - 1)])
    text = "".join("\t".join(row) + "\n" for row in rows)
    assert tab_separated(text, "a.tsv") == list(enumerate(rows, start=1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'a\t"Call me\nb\tWin\na\tI said "ok"\nb\tSee you"\n',
            [["a", '"Call me'], ["b", "Win"], ["a", 'I said "ok"'], ["b", 'See you"']],
        ),
        ('a\t"Call me\nb\tWin\na\tSee you"\n', [["a", '"Call me'], ["b", "Win"], ["a", 'See you"']]),
        ('a\t"Call me"\nb\t5" long\n', [["a", '"Call me"'], ["b", '5" long']]),
        ('a\t"Call me"\nb\tlong\n', [["a", "Call me"], ["b", "long"]]),
        ('a\t"Say ""no"""\nb\t""\n', [["a", 'Say "no"'], ["b", ""]]),
        ('a\t"two\nlines"\nb\t"x\ty"\n', [["a", "two\nlines"], ["b", "x\ty"]]),
        ('a\tb"\tc\n"d\te\n', [["a", 'b"', "c"], ['"d', "e"]]),
    ],
)  # fmt: skip
def test_quotes_of_tsv_are_those_of_a_writer_or_literal(text, expected):
    assert fields(tab_separated(text, "a.tsv")) == expected


@pytest.mark.parametrize("separator", list(",;\t|"))
def test_the_separator_is_found(separator, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(written([["text", "label"], ["a, b; c | d\te", "x"], ["two\nlines", "y"]], separator))
    table = read_table(path)
    assert table.columns == ["text", "label"]
    assert table.rows == [(2, ["a, b; c | d\te", "x"]), (4, ["two\nlines", "y"])]


def test_the_separator_that_excel_names_and_the_line_ends_of_old_macs_are_read(tmp_path):
    for name, text in {
        "a.csv": "sep=;\r\na,b;c\r\n1;2\r\n",
        "b.csv": "a;b\r1;2\r",
        "b.tsv": "a\tb\r1\t2\r",
    }.items():
        (tmp_path / name).write_bytes(text.encode())
    assert read_table(tmp_path / "a.csv").columns == ["a,b", "c"]
    assert read_table(tmp_path / "a.csv").rows == [(3, ["1", "2"])]
    for name in ("b.csv", "b.tsv"):
        assert (read_table(tmp_path / name).columns, read_table(tmp_path / name).rows) == (
            ["a", "b"],
            [(2, ["1", "2"])],
        )


def test_a_comma_is_the_separator_of_a_table_with_a_single_column(tmp_path):
    (tmp_path / "a.csv").write_text('text\n"a;b"\nc;d\n')
    assert read_table(tmp_path / "a.csv").rows == [(2, ["a;b"]), (3, ["c;d"])]


ROWS = [['Good, "really"\nvery good', "1"], ["naïve\t😀", "2"], ["x", None]]


def test_every_format_that_is_written_is_read(tmp_path):
    for suffix in WRITERS:
        if suffix == ".xlsx":
            pytest.importorskip("openpyxl")
        if suffix == ".parquet":
            continue
        path = tmp_path / f"a{suffix}"
        write_table(path, ["text", "label"], ROWS)
        table = read_table(path)
        assert table.columns == ["text", "label"], suffix
        assert [[value or None for value in values] for _, values in table.rows] == ROWS, suffix


def test_parquet_that_is_written_is_read(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    write_table(path, ["text", "label"], [["a", 1], ["b", 1.0], [None, None]])
    table = read_table(path)
    assert table.columns == ["text", "label"] and table.place == "row"
    labels = [values[1] for _, values in table.rows]
    assert [None if is_missing(label) else spelled(label) for label in labels] == ["1", "1", None]


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["C"]), min_size=1), min_size=2, max_size=2),
        min_size=1,
    )
)
def test_what_pandas_writes_as_json_lines_and_csv_is_read(rows):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows, columns=["text", "label"])
    keys, numbered, _ = json_lines(frame.to_json(orient="records", lines=True), "a.jsonl")
    assert (keys, fields(numbered)) == (["text", "label"], rows)
    assert fields(comma_separated(frame.to_csv(index=False), "a.csv")) == [["text", "label"], *rows]


def test_excel_numbers_dates_and_gaps(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl")
    path = tmp_path / "a.xlsx"
    day = pandas.Timestamp("2020-01-02").date()
    rows = [
        ["text", "label"],
        ["a", 1.0],
        [None, None],
        ["b", 2],
        ["c", 2.5],
        ["d", "N/A"],
        ["e", True],
        ["f", day],
    ]
    with pandas.ExcelWriter(path) as writer:
        pandas.DataFrame(rows).to_excel(writer, sheet_name="Reviews", header=False, index=False)
        pandas.DataFrame([["other"]]).to_excel(writer, sheet_name="Notes", header=False, index=False)
    table = read_table(path)
    assert table.columns == ["text", "label"]
    assert [values[1] for _, values in table.rows][:5] == ["1", "2", "2.5", None, "true"]
    assert table.rows[-1][1][1].startswith("2020-01-02")
    assert [table.origin(number) for number, _ in table.rows[:2]] == [f"{path}, row 2", f"{path}, row 4"]
    assert table.warnings == [f"{path}: only the first sheet is read, 'Reviews'"]


@pytest.mark.parametrize("suffix", ["xlsx", "parquet"])
def test_formats_whose_packages_are_not_installed_name_the_command(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"PK\3\4")
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(
        InputError, match=rf"a\.{suffix}: this format needs pandas: pip install 'textrnn\[tables\]'"
    ):
        read_table(path)


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv", "a.jsonl"])
def test_what_is_no_table_is_refused(name, tmp_path):
    pytest.importorskip("pandas")
    path = tmp_path / name
    path.write_bytes(b"\xff\0\xfe no table")
    with pytest.raises(InputError, match=rf"{name} "):
        read_table(path)


def test_json_arrays_and_absent_keys(tmp_path):
    objects = [{"text": "a"}, {"label": [1], "text": None}]
    (tmp_path / "a.json").write_text(json.dumps(objects, indent=1))
    (tmp_path / "b.json").write_text("\n\n".join(map(json.dumps, objects)))
    array, lines = read_table(tmp_path / "a.json"), read_table(tmp_path / "b.json")
    assert array.columns == lines.columns == ["text", "label"]
    assert array.rows == [(1, ["a", None]), (2, [None, [1]])]
    assert [number for number, _ in lines.rows] == [1, 3]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "a,b\n1,2\n3,4,5\n", "line 3: found 3 fields, expected 2 .a, b.. Put quotes"),
        ("a.csv", 'a,b\n1,"2\n3,4\n', "line 2: unexpected end of data: check the quotes"),
        ("a.csv", 'a,b\n1,"2"3\n', "line 2: ',' expected after '\"': check the quotes"),
        ("a.tsv", "a\tb\n1\t2\t3\n", "line 2: found 3 fields, expected 2"),
        ("a.jsonl", "{}\n{1}\n", "line 2: invalid JSON"),
        ("a.jsonl", '{"a": 1}\n[2]\n', "line 2: expected a JSON object, found"),
        ("a.jsonl", '{"a": 1}\n{"a": %s}\n' % ("9" * 5000), "line 2: invalid JSON: .*digits"),
        ("a.jsonl", "[" * 100_000, "line 1: invalid JSON: maximum recursion depth"),
        ("a.json", '[\n {\n  "a": 1\n },\n 2\n]', "row 2: expected a JSON object, found 2"),
    ],
)
def test_errors_name_the_line(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name}, {message}"):
        read_table(tmp_path / name)


def test_json_by_columns_is_refused_with_what_to_write_instead(tmp_path):
    pandas, path = pytest.importorskip("pandas"), tmp_path / "a.json"
    frame = pandas.DataFrame({"text": ["so", "dull"], "label": ["a", "b"]})
    frame.to_json(path)
    with pytest.raises(InputError, match=r"a\.json: expected one JSON object per row, .*orient='records'"):
        read_table(path)
    frame.to_json(path, orient="records")
    assert read_table(path).rows == [(1, ["so", "a"]), (2, ["dull", "b"])]


@given(st.integers() | st.floats(allow_infinity=False) | st.booleans() | st.text())
def test_numbers_that_are_equal_are_spelled_alike(value):
    if isinstance(value, float) and math.isnan(value):
        assert is_missing(value)
    elif isinstance(value, (bool, str)):
        assert spelled(value) == (value if isinstance(value, str) else json.dumps(value))
    else:
        assert float(spelled(value)) == pytest.approx(value)
        assert (
            spelled(value) == spelled(int(value))
            if value == int(value)
            else "." in spelled(value) or "e" in spelled(value)
        )


@pytest.mark.parametrize("value", [["x"], {"a": 1}, math.inf, None])
def test_other_values_have_no_spelling(value):
    with pytest.raises(TypeError):
        spelled(value)


def test_a_json_array_counts_rows(tmp_path):
    objects = [{"text": "a", "label": 1}, {"text": "cut \ud83d", "label": 2}]
    for name, pack in (("a.json", bytes), ("b.json.gz", gzip.compress)):
        (tmp_path / name).write_bytes(pack(json.dumps(objects, indent=2).encode()))
        table = read_table(tmp_path / name)
        assert table.origin(table.rows[1][0]) == f"{tmp_path / name}, row 2"
        assert table.warnings[0].endswith(f"{name}, row 2")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_short_rows_are_filled_with_missing_values(name, tmp_path):
    text = "text,label,stars\na,x,1\nb,y\nc\n".replace(",", "," if name.endswith("csv") else "\t")
    (tmp_path / name).write_text(text)
    assert fields(read_table(tmp_path / name).rows) == [["a", "x", "1"], ["b", "y", None], ["c", None, None]]


def test_durations_and_values_without_spelling_are_read_from_excel(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl")
    path = tmp_path / "a.xlsx"
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["text", "label", "length"], ["a", "x", datetime.timedelta(hours=1, minutes=30)]):
        book.active.append(row)
    book.save(path)
    assert read_table(path).rows == [(2, ["a", "x", "1:30:00"])]
    assert spelled(pandas.Timedelta(hours=1)).endswith("01:00:00")


def test_open_document_tables_are_read(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("python_calamine")
    pytest.importorskip("odf")  # to write one
    path = tmp_path / "a.ods"
    pandas.DataFrame([["so dull", 1], ["a joy", 2.5]], columns=["text", "label"]).to_excel(path, index=False)
    table = read_table(path)
    assert table.columns == ["text", "label"]
    assert table.rows == [(2, ["so dull", "1"]), (3, ["a joy", "2.5"])]


@pytest.mark.parametrize(
    "start", [b"\xd0\xcf\x11\xe0", b"PK\3\4" + b"\0" * 26 + b"mimetypeapplication/vnd.oasis.opendocument"]
)
def test_other_tables_need_one_package(start, tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    monkeypatch.setitem(__import__("sys").modules, "python_calamine", None)
    (tmp_path / "a.ods").write_bytes(start)
    with pytest.raises(
        InputError, match=r"a\.ods: this format needs python-calamine: pip install 'textrnn\[ta"
    ):
        read_table(tmp_path / "a.ods")


@pytest.mark.parametrize("value", ["NAN", "Nan", "Null", "n.a.", "N.A.", "NA", " null "])
def test_missing_values_in_any_case(value):
    assert is_missing(value)
    assert not is_missing(value.strip() + "x") and not is_missing("na") and not is_missing("Na")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_headers_of_files_that_were_put_together_are_left_out(name, tmp_path):
    text = "Text,label\na,x\n text ,LABEL\nb,y\nText,label\nText,x\n"
    (tmp_path / name).write_text(text.replace(",", "," if name.endswith("csv") else "\t"))
    table, origin = read_table(tmp_path / name), tmp_path / name
    assert table.rows == [(2, ["a", "x"]), (4, ["b", "y"]), (6, ["Text", "x"])]
    assert table.warnings == [f"left out 2 repeated headers: {origin}, line 3; {origin}, line 5"]


def test_the_first_row_is_a_header_if_one_is_said_or_found(tmp_path):
    path, rows = tmp_path / "a.csv", ["a,x\n", "a,x\n", "b,y\n"]
    path.write_text("".join(rows))
    table = read_table(path, header=False)
    assert (table.columns, table.warnings, table.width) == (None, [], 2)
    assert table.rows == [(1, ["a", "x"]), (2, ["a", "x"]), (3, ["b", "y"])]
    seen = []
    assert read_table(path, header=seen.append).rows == table.rows
    assert read_table(path, header=lambda row: row == ["a", "x"]).columns == ["a", "x"]
    assert seen == [["a", "x"]]


def test_columns_are_found_by_name_then_by_name_in_any_case_then_by_number():
    table = Table("a.csv", ["Text", "text", "LABEL", "1", "Straße", "cafe\N{COMBINING ACUTE ACCENT}"], [])
    found = {name: table.position(name) for name in ("Text", "text", "label", "1", "2", "STRASSE", "CAFÉ")}
    assert list(found.values()) == [0, 1, 2, 3, 1, 4, 5]
    assert all(map(table.has, found)) and table.has("TEXT")
    with pytest.raises(
        InputError, match=r"the columns 1 and 2 are both called 'TEXT': rename one, or choose"
    ):
        table.position("TEXT")
    for absent in ("0", "7", "-1", "²", "", "stars"):
        assert not table.has(absent)
        with pytest.raises(
            InputError, match=f"a.csv: there is no column {absent!r} among the columns 'Text'"
        ):
            table.position(absent)


def test_columns_without_names_are_found_by_number():
    table = Table("a.csv", None, [(1, ["a", "b"])])
    assert (table.width, table.position("2")) == (2, 1)
    for absent in ("3", "text"):
        with pytest.raises(InputError, match=r"among its 2 columns, which have no names: choose by number"):
            table.position(absent)
    assert Table("a.csv", None, []).width == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.jsonl"])
def test_tables_are_read_in_the_encoding_of_their_mark_or_of_the_argument(name, encoding, tmp_path):
    text = "text;label\nnaïve;é\n"
    if "tsv" in name:
        text = text.replace(";", "\t")
    if "jsonl" in name:
        text = json.dumps({"text": "naïve", "label": "é"}, ensure_ascii=False)
    content = text.encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    given = encoding if encoding in ("cp1252", "latin-1") else None
    table = read_table(tmp_path / name, encoding=given)
    assert (table.columns, fields(table.rows)) == (["text", "label"], [["naïve", "é"]])
    if given:
        with pytest.raises(InputError, match=name):
            read_table(tmp_path / name)
    elif name != "a.jsonl":
        assert table.dialect.is_marked == (encoding != "utf-8")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json"])
def test_an_empty_file_is_a_table_without_rows(name, tmp_path):
    (tmp_path / name).write_bytes(b"")
    table = read_table(tmp_path / name)
    assert (fields(table.rows), table.width) == ([], 0)


def test_tables_are_known_by_their_names():
    names = ["a.CSV", "a.tsv.GZ", "a.ndjson.xz", "a.Xlsx", "a.parquet", "a.tab.bz2"]
    assert [name for name in names if not is_table(Path(name))] == []
    assert [name for name in ("csv", "a.txt", "a.csv.txt", "a.gz") if is_table(Path(name))] == []


def test_a_header_has_names_in_any_case_and_order():
    row = [" Label", None, "TEXT", 3]
    assert has_names(row, ["text", "label"]) and has_names(row, [])
    assert not has_names(row, ["text", "stars"])

"""Labelled text: tables and folders are read, and errors name the file and line."""

import gzip
import itertools
import json

import pytest

from textrnn.data.labelled import Example, read_labelled
from textrnn.data.labelled_splits import check_classes
from textrnn.data.sources import load_labelled_texts
from textrnn.errors import InputError

ROWS = [
    ("Good, really\nvery good", "positive"),
    ('She said "no"\tand left', "negative"),
    ("Dull", "negative"),
]


def write(path, text):
    data = text.encode("utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


TABLES = {
    "reviews.csv": "text,label\r\n" + "".join(f"{quoted(t)},{y}\r\n" for t, y in ROWS),
    "reviews.tsv": "label\tid\ttext\n" + "".join(f"{y}\t7\t{quoted(t)}\n" for t, y in ROWS),
    "reviews.jsonl": "\n".join(json.dumps({"text": t, "label": y, "stars": 3}) for t, y in ROWS),
}


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("name", TABLES)
def test_tables_are_read(name, packed, tmp_path):
    path = write(tmp_path / (name + packed), TABLES[name])
    examples, warnings = read_labelled(path)
    assert [(e.text, e.label) for e in examples] == ROWS
    assert warnings == []
    assert all(e.origin.startswith(f"{path}, line ") for e in examples)


def test_the_line_of_an_example_is_the_last_line_of_its_row(tmp_path):
    path = write(tmp_path / "reviews.csv", TABLES["reviews.csv"])
    assert [e.origin.rpartition(" ")[2] for e in read_labelled(path).examples] == ["3", "4", "5"]


def test_columns_are_chosen_by_name(tmp_path):
    path = write(tmp_path / "reviews.tsv", "stars\treview\n5\tGood\n1\tBad\n")
    examples = read_labelled(path, "review", "stars").examples
    assert [(e.text, e.label) for e in examples] == [("Good", "5"), ("Bad", "1")]


def test_a_folder_has_one_subfolder_per_class(tmp_path):
    for name in ("good/1.txt", "good/more/2.txt", "bad/1.txt", "bad/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}", "utf-8")
    examples = read_labelled(tmp_path).examples
    assert [(e.text.removeprefix("text of "), e.label) for e in examples] == [
        ("bad/1.txt", "bad"), ("good/1.txt", "good"), ("good/more/2.txt", "good")
    ]  # fmt: skip


def test_a_text_may_be_very_long(tmp_path):
    book = "word " * 100_000
    path = write(tmp_path / "books.csv", f"text,label\n{book},long\nshort,short\n")
    assert [len(e.text) for e in read_labelled(path).examples] == [500_000, 5]


def test_blank_texts_are_skipped_with_a_warning(tmp_path):
    path = write(tmp_path / "reviews.csv", "text,label\nGood,a\n   ,a\n,b\nBad,b\n")
    examples, warnings = read_labelled(path)
    assert [e.text for e in examples] == ["Good", "Bad"]
    assert warnings == [f"left out 2 rows whose text is empty: {path}, line 3; {path}, line 4"]


def test_similar_labels_are_kept_with_a_warning(tmp_path):
    path = write(tmp_path / "reviews.csv", "text,label\na,Very good\nb,very  good\nc, bad \nd,bad\n")
    examples, [warning] = read_labelled(path)
    assert [e.label for e in examples] == ["Very good", "very  good", "bad", "bad"]
    listed = f"'Very good' (1 text, first {path}, line 2), 'very  good' (1 text, first {path}, line 3)"
    assert listed in warning


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "review,stars\nGood,5\n",
            r"a\.csv: there is no 'text' and no 'label' among the columns 'review', 'stars'",
        ),
        ("a.csv", "text,label\nGood, really,a\n", "line 2: found 3 fields, expected 2"),
        ("a.csv", 'text,label\n"Good,a\n', "line 2: .*quotes"),
        (
            "a.csv",
            "text,label\nGood,\n",
            "no labelled texts: .*left out 1 row whose label is empty: .* line 2",
        ),
        ("a.csv", "text,label\n", "a.csv has no labelled texts: give texts of at least two classes$"),
        ("a.csv", "", "a.csv is empty: give texts with their labels"),
        ("a.txt", "\n\n", "a.txt is empty"),
        ("a.jsonl", "", "a.jsonl is empty"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text"\n', "line 2: invalid JSON"),
        ("a.jsonl", '{"text": "a", "label": null}\n', "left out 1 row whose label is empty: .* line 1"),
        ("a.jsonl", '{"text": "a", "label": ["x"]}\n', r"line 1: label is \['x'\], expected a string or a n"),
        ("a.jsonl", '{"text": "a", "label": 1, "text": "b"}\n', "line 1: 2 values are called 'text'"),
        ("a.csv", "text,label,text\na,x,b\n", "the columns 1 and 3 are both called 'text': rename one"),
        ("a.jsonl", '{"text": 7, "label": 1}\n', "line 1: text is 7, expected a string"),
        ("a.jsonl", "[1]\n", "line 1: expected a JSON object"),
        ("a.txt", "Good", "expected a label, a tab and a text per line, .* such as a .csv file"),
        (
            "a.txt",
            "\nIt was a dark and stormy night; the rain fell.\nIn torrents.\n",
            r"a\.txt, line 2: there is no tab in 'It was a dark and stormy night; the rain\.\.\.': expected",
        ),
        ("a.txt", "Good\ta\nBad\tb\tc\n", "line 2: found 3 fields, expected 2"),
        ("a.txt", "1\tGood\ta\n", "no 'text' and no 'label' among its 3 columns, which have no names"),
        ("a.csv", "a,Good\nb,Bad\n", "there is no 'text' and no 'label' .* or give --no_header"),
        ("a.jsonl", '{"body": "a", "label": "b"}', "no 'text' among .* --label_column, by name or number$"),
    ],
)
def test_errors_name_the_line(name, content, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_labelled(write(tmp_path / name, content))


def test_invalid_utf8_is_refused_with_its_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\nGood,a\ncaf\xe9,b\n")
    with pytest.raises(InputError, match="byte 0xe9 at offset 21 in line 3"):
        read_labelled(path)


def test_a_folder_without_subfolders_is_refused(tmp_path):
    (tmp_path / "1.txt").write_text("a text", "utf-8")
    with pytest.raises(InputError, match="one for each class"):
        read_labelled(tmp_path)


def test_equal_numbers_are_one_label_and_words_of_missing_values_are_none(tmp_path):
    rows = [
        ("a", 1),
        ("b", 1.0),
        ("c", "1"),
        ("d", float("nan")),
        ("e", None),
        ("f", "None"),
        ("g", "N/A"),
        ("h", 2.5),
    ]
    path = write(tmp_path / "a.jsonl", "".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in rows))
    examples, warnings = read_labelled(path)
    assert [e.label for e in examples] == ["1", "1", "1", "None", "2.5"]
    assert warnings == [
        f"left out 3 rows whose label is empty or 'N/A': {path}, line 4; {path}, line 5; {path}, line 7"
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
def test_missing_labels_and_texts_are_left_out_with_a_count(name, tmp_path):
    separator = "\t" if "tsv" in name else ","
    rows = [["text", "label", "stars"], ["a", "x", ""], ["b", "", "1"], ["c", "null", "2"], ["NaN", "x", "3"]]
    rows += [["", "", ""], ["d", "None", "N/A"]]
    path = write(tmp_path / name, "".join(separator.join(row) + "\n" for row in rows))
    examples, warnings = read_labelled(path)
    assert [(e.text, e.label) for e in examples] == [("a", "x"), ("d", "None")]
    assert warnings == [
        f"left out 2 rows whose text is empty or 'NaN': {path}, line 5; {path}, line 6",
        f"left out 2 rows whose label is empty or 'null': {path}, line 3; {path}, line 4",
    ]


def test_a_header_that_repeats_is_no_class(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\na,x\ntext,label\nb,y\ntext,label\n")
    examples, warnings = read_labelled(path)
    assert [(e.text, e.label, e.origin) for e in examples] == [
        ("a", "x", f"{path}, line 2"), ("b", "y", f"{path}, line 4")
    ]  # fmt: skip
    assert warnings == [f"left out 2 repeated headers: {path}, line 3; {path}, line 5"]


def test_ratings_are_sorted_as_numbers(tmp_path):
    path = write(
        tmp_path / "a.csv", "text,label\n" + "".join(f"t{k},{i}\n" for i in (10, 2, 1) for k in "ab")
    )
    assert check_classes(read_labelled(path).examples) == ["1", "2", "10"]
    other = [Example("", "t", label) for label in ("10", "2", "1.0", "-3", "1e1")] * 2
    assert check_classes(other) == ["-3", "1.0", "2", "10", "1e1"]
    words = [Example("", "t", label) for label in ("10", "2", "best")] * 2
    assert check_classes(words) == ["10", "2", "best"]
    for order in itertools.permutations(["10", "2", "NaN", "3"]):
        assert check_classes([Example("", "t", label) for label in order] * 2) == ["10", "2", "3", "NaN"]


@pytest.mark.parametrize("columns", [("text", "1"), ("2", "label"), ("text", "TEXT")])
def test_a_column_by_two_names_is_not_both_texts_and_labels(columns, tmp_path):
    path = write(tmp_path / "a.csv", "text,label\nso dull,bad\na joy,good\n")
    with pytest.raises(InputError, match=rf"a\.csv: '{columns[0]}' and '{columns[1]}' are the same column"):
        read_labelled(path, *columns)


def test_texts_and_labels_are_two_columns(tmp_path):
    with pytest.raises(InputError, match="'text' is both the text column and the label column"):
        read_labelled(write(tmp_path / "a.csv", "text\na\n"), "text", "text")


def test_numbers_that_are_spelled_differently_give_a_warning(tmp_path):
    [warning] = read_labelled(write(tmp_path / "a.csv", "text,label\na,1\nb,1.0\n")).warnings
    assert "'1' (1 text, first " in warning and "'1.0' (1 text" in warning


@pytest.mark.parametrize("columns", [("2", "1"), ("review", "1"), ("2", "stars")])
def test_columns_are_chosen_by_number(columns, tmp_path):
    path = write(tmp_path / "a.csv", "stars,review,9\n5,Good,a\n1,Bad,b\n")
    assert [(e.text, e.label) for e in read_labelled(path, *columns).examples] == [
        ("Good", "5"),
        ("Bad", "1"),
    ]
    assert read_labelled(path, "review", "9").examples[0].label == "a"  # a name wins
    without = write(tmp_path / "b.csv", "5,Good,a\n1,Bad,b\n")
    assert [e.label for e in read_labelled(without, "2", "1", no_header=True).examples] == ["5", "1"]


SMS = [("ham", f"Are you there, {i}?") for i in range(4)] + [("spam", f'Win "{i}"') for i in range(3)]


@pytest.mark.parametrize("name", ["sms.txt", "SMSSpamCollection", "sms.txt.gz", "sms.tsv"])
@pytest.mark.parametrize("label_first", [True, False])
def test_lines_of_a_label_and_a_text_are_found_by_looking(name, label_first, tmp_path):
    lines = ["\t".join(row if label_first else row[::-1]) for row in SMS]
    path = write(tmp_path / name, "\n".join(lines))
    examples, warnings = read_labelled(path, no_header=name.endswith("tsv"))
    assert [(e.label, e.text) for e in examples] == SMS
    columns = (1, 2) if label_first else (2, 1)
    named = sorted([f"column {columns[0]} as the label", f"column {columns[1]} as the text"])
    assert warnings == [f"{path} has no header: {' and '.join(named)}"]


def test_lines_with_the_usual_header_are_read_by_it(tmp_path):
    path = write(tmp_path / "a.txt", "label\ttext\nx\tone\ny\ttwo\n")
    examples, warnings = read_labelled(path)
    assert ([(e.text, e.label) for e in examples], warnings) == ([("one", "x"), ("two", "y")], [])


def test_the_files_of_a_folder_may_hold_a_text_per_line(tmp_path):
    for name, text in {
        "pos.txt": "a\n\nb\n",
        "neg.txt.gz": "c\n",
        "mixed/1.txt": "d\ne\n",
        "x.pyc": "\0\xff",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, text)
    examples, [warning] = read_labelled(tmp_path, document="line")
    assert [(e.text, e.label) for e in examples] == [
        ("c", "neg"), ("a", "pos"), ("b", "pos"), ("d", "mixed"), ("e", "mixed")
    ]  # fmt: skip
    assert examples[2].origin == f"{tmp_path / 'pos.txt'}, line 3"
    assert "x.pyc (binary)" in warning
    assert [e.text for e in read_labelled(tmp_path).examples] == ["d\ne\n"]
    assert {e.label for e in read_labelled(tmp_path, document="line", include="p*").examples} == {"pos"}


def test_half_a_surrogate_pair_is_replaced_with_a_warning(tmp_path):
    lines = [r'{"text":"cut \ud83d","label":1}', r'{"text":"\ud83d\ude00","label":"\udc00"}']
    path = write(tmp_path / "a.jsonl", "\n".join(lines))
    examples, warnings = read_labelled(path)
    assert [(e.text, e.label) for e in examples] == [("cut \ufffd", "1"), ("\U0001f600", "\ufffd")]
    assert warnings == [f"half of a surrogate pair was replaced by \ufffd: {path}, lines 1, 2"]


def test_tables_in_other_encodings_are_read(tmp_path):
    text = "text,label\nIt’s fine,a\nnaïve,b\n"
    for name, encoding in (("a.csv", "utf-16"), ("b.csv", "cp1252")):
        (tmp_path / name).write_bytes(text.encode(encoding))
        examples = read_labelled(tmp_path / name, encoding=None if name == "a.csv" else encoding).examples
        assert [e.text for e in examples] == ["It’s fine", "naïve"]
    with pytest.raises(InputError, match="give --encoding cp1252"):
        read_labelled(tmp_path / "b.csv")


def test_headers_of_joined_files_are_no_class(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"".join(f"{text}\r\n".encode("utf-8-sig") for text in ("Text,Label\r\na,x", "Text,Label\r\nb,y"))
    )
    examples, [warning] = read_labelled(path)
    assert [(e.text, e.label) for e in examples] == [("a", "x"), ("b", "y")]
    assert warning == f"left out 1 repeated header: {path}, line 3"
    path = write(tmp_path / "b.csv", "text,label\na,x\n Text , LABEL\nb,y\n")
    assert [e.label for e in read_labelled(path).examples] == ["x", "y"]


def test_a_column_is_named_in_any_case_unless_two_differ_in_it(tmp_path):
    path = write(tmp_path / "a.csv", "Label,label,Text\na,b,c\n")
    assert read_labelled(path).examples[0][1:] == ("c", "b")
    with pytest.raises(InputError, match="columns 1 and 2 are both called 'LABEL'"):
        read_labelled(path, label_column="LABEL")


def test_folders_and_files_without_text_are_left_out(tmp_path):
    contents = {
        "good/1.txt": b"Good",
        "bad/1.txt": b"Bad",
        "bad/x.gz": b"no",
        "__pycache__/x.pyc": b"\xcb\r\r\n\0\0\0\0\xe3",
    }
    for name, content in {
        **contents,
        "unsup/.DS_Store": b"\0",
        "images/1.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "README.md").write_bytes("naïve".encode("cp1252"))  # is not read
    examples, warnings = read_labelled(tmp_path)
    assert [e.label for e in examples] == ["bad", "good"]
    assert warnings[0].startswith("left out 3 files without text: ")
    assert warnings[1] == "left out 3 subfolders without text: __pycache__, images, unsup"
    assert read_labelled(tmp_path, include="*.txt").examples == examples


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"document": "line"}, "--document line splits the files of a folder, but .* is a table"),
        ({"include": "*"}, "--include"),
    ],
)
def test_options_of_folders_are_refused_with_a_table(options, message, tmp_path):
    path = write(tmp_path / "a.csv", TABLES["reviews.csv"])
    with pytest.raises(InputError, match=message):
        read_labelled(path, **options)


def test_a_folder_and_a_table_share_the_options_of_the_folder(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    write(folder / "pos.txt", "a\nb\n")
    write(folder / "neg.txt", "c\nd\n")
    table = write(tmp_path / "test.csv", "text,label\na,pos\n")
    splits = load_labelled_texts(folder, test_data=table, document="line")
    assert [e.label for e in splits.test] == ["pos"]


def test_true_is_one_class_in_json_and_in_csv(tmp_path):
    table = write(tmp_path / "a.csv", "text,label\na,true\nb,false\n")
    lines = write(tmp_path / "a.jsonl", '{"text": "a", "label": true}\n{"text": "b", "label": false}\n')
    assert [e.label for e in read_labelled(table).examples] == [
        e.label for e in read_labelled(lines).examples
    ]


def test_a_first_row_that_may_be_a_text_is_named(tmp_path):
    path = write(tmp_path / "a.tsv", "ham\tSee you\nspam\tWin\n")
    examples, [warning] = read_labelled(path, "2", "1")
    assert [e.text for e in examples] == ["Win"]
    assert warning.endswith("names of columns, 'ham', 'See you'. If it is a text, give --no_header")
    assert read_labelled(path, "2", "1", no_header=True).warnings == []
    assert read_labelled(path, "See you", "1").warnings == []
    lines = write(tmp_path / "a.jsonl", '{"a": "b", "c": "d"}\n')
    assert read_labelled(lines, "1", "2").warnings == []


def test_files_with_a_text_per_line_in_folders_of_classes_are_hinted_at(tmp_path):
    for name in ("pos", "neg"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "all.txt", "one\ntwo\nthree\n")
    with pytest.raises(InputError, match=r"'neg' has 1 text .*If each line is a text, give --document line"):
        load_labelled_texts(tmp_path)
    write(tmp_path / "README.md", "About\n")
    examples, [warning] = read_labelled(tmp_path, document="line")
    assert len(examples) == 7
    assert warning.startswith(
        "each of these files was read as a class: README.md. If one is not a class, select"
    )
    assert read_labelled(tmp_path, document="line", include="*.txt").warnings == []


def test_labels_and_columns_in_two_forms_of_unicode_are_the_same(tmp_path):
    table = tmp_path / "noten.csv"
    table.write_text("Größe;Präd\na;scho\u0308n\nb;sch\u00f6n\n".replace("ä", "a\u0308"), "utf-8")
    examples, warnings = read_labelled(table, "größe", "Pr\u00e4d")
    assert [example.label for example in examples] == ["sch\u00f6n"] * 2
    assert warnings == []
    for name in ("scho\u0308n", "u\u0308bel"):  # as on macOS
        (tmp_path / "folder" / name).mkdir(parents=True)
        (tmp_path / "folder" / name / "1.txt").write_text("a text", "utf-8")
    examples, warnings = read_labelled(tmp_path / "folder")
    assert [example.label for example in examples] == ["sch\u00f6n", "\u00fcbel"]
    assert warnings == []


def test_a_header_of_lines_is_found_whatever_columns_are_given(tmp_path):
    table = tmp_path / "a.txt"
    table.write_text("text\tlabel\nso dull\tbad\na joy\tgood\n")
    for columns in (("1", "2"), ("text", "2"), ("1", "label")):
        assert [example.label for example in read_labelled(table, *columns).examples] == ["bad", "good"]


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.tsv"])
def test_a_carriage_return_without_quotes_is_part_of_a_text(name, tmp_path):
    separator = "," if name.endswith("csv") else "\t"
    rows = [
        ["label", "text"],
        ["good", "I love it\rso much"],
        ["bad", '"Bad\r\nor ""not"""'],
        ["good", "Yes"],
    ]
    path = write(tmp_path / name, "".join(separator.join(row) + "\n" for row in rows))
    examples, warnings = read_labelled(path)
    assert [(e.text, e.label) for e in examples] == [
        ("I love it\rso much", "good"), ('Bad\nor "not"', "bad"), ("Yes", "good"),
    ]  # fmt: skip
    assert [e.origin.rpartition(" ")[2] for e in examples] == ["2", "4", "5"] and not warnings


@pytest.mark.parametrize("splits", [("train", "test"), ("20news-bydate-train", "20news-bydate-test")])
def test_folders_of_splits_are_no_classes(splits, tmp_path):
    for split in splits:
        for label in ("neg", "pos"):
            (tmp_path / split / label).mkdir(parents=True)
            (tmp_path / split / label / "1.txt").write_text(f"a text that is {label}")
    with pytest.raises(InputError, match=rf"are splits, and no classes: .* such as --data \S*{splits[0]}"):
        read_labelled(tmp_path)
    assert {e.label for e in read_labelled(tmp_path / splits[0]).examples} == {"neg", "pos"}
    (tmp_path / "bus").mkdir()
    (tmp_path / "bus" / "1.txt").write_text("a text about a bus")
    assert {e.label for e in read_labelled(tmp_path).examples} == {"bus", *splits}


def test_files_whose_names_differ_in_their_ends_alone_are_classes(tmp_path):
    for name in ("rt-polarity.neg", "rt-polarity.pos"):
        (tmp_path / name).write_text("one\ntwo\n")
    examples, _ = read_labelled(tmp_path, document="line")
    assert [(e.text, e.label) for e in examples] == [
        ("one", "rt-polarity.neg"), ("two", "rt-polarity.neg"),
        ("one", "rt-polarity.pos"), ("two", "rt-polarity.pos"),
    ]  # fmt: skip

"""Labelled text: tables and folders are read, and errors name the file and line."""

import gzip
import json

import pytest

from textrnn.data.labelled import Example, check_classes, read_labelled, repeated_examples
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
    assert warnings == [f"skipped 2 blank texts: {path}, line 3; {path}, line 4"]


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
            r"line 2: there is no 'text' and no 'label' .*'review', 'stars'",
        ),
        ("a.csv", "text,label\nGood, really,a\n", "line 2: found 3 fields, expected 2"),
        ("a.csv", 'text,label\n"Good,a\n', "line 2: .*quotes"),
        ("a.csv", "text,label\nGood,\n", "line 2: label is empty"),
        ("a.csv", "text,label\n", "has no labelled texts"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text"\n', "line 2: invalid JSON"),
        ("a.jsonl", '{"text": "a", "label": null}\n', "line 1: label is empty"),
        ("a.jsonl", '{"text": 7, "label": 1}\n', "line 1: text is 7, expected a string"),
        ("a.jsonl", "[1]\n", "line 1: expected a JSON object"),
        ("a.txt", "Good", "expected a .csv, .tsv or .jsonl file"),
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


def test_two_classes_with_two_examples_each_are_required():
    good, bad = Example("a.csv, line 2", "Good", "good"), Example("a.csv, line 3", "Bad", "bad")
    assert check_classes([good, bad, good, bad]) == ["bad", "good"]
    with pytest.raises(InputError, match=r"only one class, 'good' \(2 texts\)"):
        check_classes([good, good])
    with pytest.raises(InputError, match=r"'bad' has 1 example \(a\.csv, line 3\), .* at least 2"):
        check_classes([good, good, bad])


def test_test_texts_in_the_training_data_give_a_warning():
    train = [Example(f"train.csv, line {i}", f"text {i}", "a") for i in range(9)]
    test = [Example(f"test.csv, line {i}", f" text  {i}\n", "b") for i in range(3, 11)]
    [warning] = repeated_examples(train, test)
    assert warning.startswith(
        "6 of 8 test texts are also in the training data: test.csv, line 3 (= train.csv"
    )
    assert warning.endswith("and 1 more")
    assert repeated_examples(train, [Example("", "text 99", "a")]) == []

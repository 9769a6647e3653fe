"""Labelled texts are read from tables and folders, and what is wrong is named with its file and line."""

import gzip
import json

import pytest

from textrnn.data.labelled import Example, check_classes, read_labelled, repeated
from textrnn.data.starter import starter_reviews
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
    examples, remarks = read_labelled(path)
    assert [(e.text, e.label) for e in examples] == ROWS
    assert remarks == []
    assert all(e.origin.startswith(f"{path}, line ") for e in examples)


def test_the_line_is_the_one_at_which_a_row_ends(tmp_path):
    path = write(tmp_path / "reviews.csv", TABLES["reviews.csv"])
    assert [e.origin.rpartition(" ")[2] for e in read_labelled(path).examples] == ["3", "4", "5"]


def test_columns_are_chosen_by_name(tmp_path):
    path = write(tmp_path / "reviews.tsv", "stars\treview\n5\tGood\n1\tBad\n")
    examples = read_labelled(path, "review", "stars").examples
    assert [(e.text, e.label) for e in examples] == [("Good", "5"), ("Bad", "1")]


def test_a_folder_has_a_folder_for_each_class(tmp_path):
    for name in ("good/1.txt", "good/more/2.txt", "bad/1.txt", "bad/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}", "utf-8")
    examples = read_labelled(tmp_path).examples
    assert [(e.text.removeprefix("text of "), e.label) for e in examples] == [
        ("bad/1.txt", "bad"), ("good/1.txt", "good"), ("good/more/2.txt", "good")
    ]  # fmt: skip


def test_a_text_may_be_a_book(tmp_path):
    book = "word " * 100_000
    path = write(tmp_path / "books.csv", f"text,label\n{book},long\nshort,short\n")
    assert [len(e.text) for e in read_labelled(path).examples] == [500_000, 5]


def test_blank_texts_are_left_out_and_named(tmp_path):
    path = write(tmp_path / "reviews.csv", "text,label\nGood,a\n   ,a\n,b\nBad,b\n")
    examples, remarks = read_labelled(path)
    assert [e.text for e in examples] == ["Good", "Bad"]
    assert remarks == [f"left out, since there is no text: {path}, line 3; {path}, line 4"]


def test_labels_that_look_alike_are_named(tmp_path):
    path = write(tmp_path / "reviews.csv", "text,label\na,Very good\nb,very  good\nc, bad \nd,bad\n")
    examples, [remark] = read_labelled(path)
    assert [e.label for e in examples] == ["Very good", "very  good", "bad", "bad"]
    said = f"'Very good' (1 texts, first {path}, line 2), 'very  good' (1 texts, first {path}, line 3)"
    assert said in remark


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "review,stars\nGood,5\n",
            r"line 2: there is no 'text' and no 'label'; .*'review', 'stars'",
        ),
        ("a.csv", "text,label\nGood, really,a\n", "line 2: 3 fields where the first row has 2"),
        ("a.csv", 'text,label\n"Good,a\n', "line 2: .*quotes"),
        ("a.csv", "text,label\nGood,\n", "line 2: label is empty"),
        ("a.csv", "text,label\n", "has no labelled texts"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text"\n', "line 2: this is no JSON"),
        ("a.jsonl", '{"text": "a", "label": null}\n', "line 1: label is empty"),
        ("a.jsonl", '{"text": 7, "label": 1}\n', "line 1: text is 7, expected a text"),
        ("a.jsonl", "[1]\n", "line 1: expected a JSON object"),
        ("a.txt", "Good", "expected a .csv, .tsv or .jsonl file"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(name, content, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_labelled(write(tmp_path / name, content))


def test_a_broken_encoding_is_named_with_its_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\nGood,a\ncaf\xe9,b\n")
    with pytest.raises(InputError, match="byte 0xe9 at offset 21, in line 3"):
        read_labelled(path)


def test_a_folder_without_classes(tmp_path):
    (tmp_path / "1.txt").write_text("a text", "utf-8")
    with pytest.raises(InputError, match="one for each class"):
        read_labelled(tmp_path)


def test_classes_must_be_two_with_two_examples_each():
    good, bad = Example("a.csv, line 2", "Good", "good"), Example("a.csv, line 3", "Bad", "bad")
    assert check_classes([good, bad, good, bad]) == ["bad", "good"]
    with pytest.raises(InputError, match=r"all texts \(2\) are of the class 'good'"):
        check_classes([good, good])
    with pytest.raises(InputError, match=r"'bad' has 1 of the 2 .*a\.csv, line 3"):
        check_classes([good, good, bad])


def test_texts_in_both_parts_are_named():
    train = [Example(f"train.csv, line {i}", f"text {i}", "a") for i in range(9)]
    test = [Example(f"test.csv, line {i}", f" text  {i}\n", "b") for i in range(3, 11)]
    [remark] = repeated(train, test)
    assert remark.startswith(
        "6 of the 8 texts to measure on are also trained on: test.csv, line 3 (= train.csv"
    )
    assert remark.endswith("and 1 more")
    assert repeated(train, [Example("", "text 99", "a")]) == []


def test_starter_reviews_are_many_balanced_varied_and_never_in_both_parts():
    train, test = starter_reviews()
    assert repeated(train, test) == []
    for part in (train, test):
        assert len({e.text for e in part}) == len(part)
        assert sum(e.label == "positive" for e in part) * 2 == len(part)
    lengths = [len(e.text.split()) for e in (*train, *test)]
    assert len(lengths) >= 600
    assert all(sum(low <= n < high for n in lengths) > 200 for low, high in ((5, 15), (15, 30), (30, 71)))

"""Lines and paragraphs as documents, and which of them are held out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textrnn import InputError
from textrnn.data.documents import Document
from textrnn.data.sources import load_labelled_texts, load_texts
from textrnn.data.splitting import hold_out, split_at, unit_hint

texts = st.text("ab \n\t", max_size=30)


@settings(deadline=None)
@given(texts)
def test_lines_are_those_of_the_text(text):
    lines = split_at([Document("a", text)], "line")
    expected = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    assert [(document.origin, document.text) for document in lines] == [
        (f"a, line {n}", line) for n, line in expected
    ]


@settings(deadline=None)
@given(texts)
def test_paragraphs_have_no_blank_line_and_lose_no_text(text):
    parts = split_at([Document("a", text)], "blank_line")
    lines = text.split("\n")
    assert [line for part in parts for line in part.text.split("\n")] == [
        line for line in lines if line.strip()
    ]
    for part in parts:
        first = int(part.origin.rpartition(" ")[2])
        assert part.text.split("\n") == lines[first - 1 :][: part.text.count("\n") + 1]
        assert first == 1 or not lines[first - 2].strip()


@pytest.mark.parametrize("load", [load_texts, load_labelled_texts])
@pytest.mark.parametrize("dataset", [None, "any"])
def test_lines_and_paragraphs_are_those_of_your_own_files(load, dataset):
    with pytest.raises(InputError, match="--document line is for files of your own: give them with --data"):
        load(dataset=dataset, document="line")


def test_files_stay_documents():
    files = [Document("a", "one\n\ntwo"), Document("b", "three")]
    assert split_at(files, "file") == files


def test_a_sorted_list_is_held_out_at_random():
    names = [Document(f"n, line {i}", chr(97 + i // 40) * 5) for i in range(26 * 40)]
    train, rest = hold_out(names, 0.1, seed=3)
    assert sorted([*train, *rest]) == sorted(names)
    assert 100 <= len(rest) <= 104
    assert len({name.text for name in rest}) > 20, "letters from the whole alphabet"
    assert (train, rest) == hold_out(names, 0.1, seed=3)
    assert rest != hold_out(names, 0.1, seed=4)[1]


def test_the_end_of_few_documents_is_held_out():
    train, rest = hold_out([Document("a", "abcdefgh"), Document("b", "ij")], 0.3)
    assert [d.text for d in train] == ["abcdefg"] and [d.text for d in rest] == ["h", "ij"]


@settings(deadline=None)
@given(st.lists(st.text("ab", min_size=1, max_size=50), min_size=10, max_size=30), st.floats(0.01, 0.99))
def test_both_sides_have_documents(texts, fraction):
    documents = [Document(str(i), text) for i, text in enumerate(texts)]
    train, rest = hold_out(documents, fraction)
    assert train and rest and sorted([*train, *rest]) == sorted(documents)


@pytest.mark.parametrize("fraction", [0, 1, -1, 2, float("nan")])
@pytest.mark.parametrize("count", [2, 20])
def test_the_fraction_is_checked(fraction, count):
    with pytest.raises(InputError, match="give a fraction between 0 and 1"):
        hold_out([Document("a", "abc")] * count, fraction)


def test_short_lines_give_a_hint_to_say_what_a_document_is():
    names = Document("names.txt", "Ada\nGrace\n" * 30)
    [hint] = unit_hint([names])
    assert "--document line" in hint and "median 3 characters" in hint
    assert not unit_hint([Document("a.txt", "Ada\n" * 5)]), "too few to say"
    assert not unit_hint([Document(f"{i}.txt", "Ada\n" * 30) for i in range(10)]), (
        "files are documents already"
    )
    assert not unit_hint([Document("p.txt", ("word " * 12 + "\n") * 30)])

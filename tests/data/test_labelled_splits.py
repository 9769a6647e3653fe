"""Splits of labelled texts: every class on each side, and no text on both."""

import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textrnn.data.labelled import Example
from textrnn.data.labelled_splits import check_classes, held_out_rows, repeated_examples, split_examples
from textrnn.data.sources import load_labelled_texts
from textrnn.errors import InputError


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_two_classes_with_two_examples_each_are_required():
    good, bad = Example("a.csv, line 2", "Good", "good"), Example("a.csv, line 3", "Bad", "bad")
    assert check_classes([good, bad, good, bad]) == ["bad", "good"]
    with pytest.raises(InputError, match=r"only one class, 'good' \(2 texts\)"):
        check_classes([good, good])
    with pytest.raises(InputError, match=r"'bad' has 1 text \(a\.csv, line 3\), .* at least 2 texts"):
        check_classes([good, good, bad])


def test_every_class_needs_a_text_for_each_split(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\n" + "".join(f"t{i},{i % 2}\n" for i in range(5)))
    with pytest.raises(
        InputError, match=r"'1' has 2 texts .* the splits need at least 3 texts of each class"
    ):
        load_labelled_texts(path)
    splits = load_labelled_texts(path, test_data=path)
    assert {e.label for e in splits.train} == {e.label for e in splits.validation} == {"0", "1"}
    three = write(tmp_path / "b.csv", "text,label\n" + "".join(f"t{i},{i % 2}\n" for i in range(6)))
    splits = load_labelled_texts(three, held_out=0.4)
    parts = (splits.train, splits.validation, splits.test)
    assert [sorted(e.label for e in part) for part in parts] == [["0", "1"]] * 3


def test_test_texts_in_the_training_data_give_a_warning():
    train = [Example(f"train.csv, line {i}", f"text {i}", "a") for i in range(9)]
    test = [Example(f"test.csv, line {i}", f" text  {i}\n", "b") for i in range(3, 11)]
    [warning] = repeated_examples(train, test)
    assert warning.startswith(
        "6 of 8 test texts are also in the training data: test.csv, line 3 (= train.csv"
    )
    assert warning.endswith("and 1 more")
    assert repeated_examples(train, [Example("", "text 99", "a")]) == []


rows = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["one", "two", "two ", "six", "ten"])))


@given(rows, st.floats(0.01, 0.99), st.integers(0, 3))
def test_texts_stay_on_one_side_and_classes_are_on_both(rows, held_out, seed):
    labels, texts = [label for label, _ in rows], [text for _, text in rows]
    chosen = held_out_rows(labels, texts, held_out, seed)
    counts = collections.Counter(labels)
    for label, total in counts.items():
        held = sum(labels[row] == label for row in chosen)
        assert (total == 1 and not held) or 0 < held < total
    sides = collections.defaultdict(set)
    for row, text in enumerate(texts):
        sides[text.strip()].add(row in chosen)
    for text, where in sides.items():
        if len(where) == 2:  # only where a class has too few other texts
            within = {label for label, other in rows if other.strip() == text}
            assert any(
                sum(len(where) == 1 for other, where in sides.items() if (label, other) in _stripped(rows))
                < 2
                for label in within
            )


def _stripped(rows):
    return {(label, text.strip()) for label, text in rows}


def test_different_texts_are_split_as_by_a_permutation_of_each_class():
    labels = ["good"] * 30 + ["bad"] * 50
    random = np.random.default_rng(7)
    expected = {*random.permutation(np.arange(30, 80))[:10].tolist(), *random.permutation(30)[:6].tolist()}
    assert held_out_rows(labels, [str(row) for row in range(80)], 0.2, seed=7) == expected


def test_copies_of_a_text_are_not_in_two_splits(tmp_path):
    texts = [f"{label} text {i // 3}" for i in range(90) for label in ("good", "bad")]
    path = write(tmp_path / "a.csv", "text,label\n" + "".join(f"{t},{t.split()[0]}\n" for t in texts))
    splits = load_labelled_texts(path)
    parts = [{e.text for e in part} for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 60
    assert not any("also in the training data" in warning for warning in splits.warnings)
    sizes = [len(part) for part in (splits.train, splits.validation, splits.test)]
    assert sizes == [132, 30, 18]


@pytest.mark.parametrize(("texts", "validation"), [(60, 16), (200, 30), (1000, 90)])
def test_few_texts_have_enough_for_validation(texts, validation, tmp_path):
    path = write(tmp_path / "a.csv", "text,label\n" + "".join(f"text {i},{i % 2}\n" for i in range(texts)))
    assert len(load_labelled_texts(path).validation) == validation
    assert len(load_labelled_texts(path, held_out=0.2).test) == texts // 5


def test_the_copies_of_the_only_text_of_a_class_are_split():
    examples = [Example("", text, text) for text in ("a", "b") for _ in range(4)]
    train, held_out = split_examples(examples, 0.25)
    assert [e.label for e in train] == list("aaabbb") and [e.label for e in held_out] == ["a", "b"]


def test_a_text_that_is_repeated_often_takes_no_longer():
    counted = collections.Counter()

    class Label(str):
        """A label that counts how often it is looked at."""

        def __hash__(self):
            counted["hash"] += 1
            return super().__hash__()

    texts = [f"text {row}" if row % 10 < 2 else "ok" for row in range(2000)]
    rows = held_out_rows([Label("ab"[row % 2]) for row in range(2000)], texts, 0.1)
    assert rows and not any(texts[row] == "ok" for row in rows)
    assert counted["hash"] < 20 * len(texts)

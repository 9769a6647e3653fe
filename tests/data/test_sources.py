"""Splits of all kinds of data."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textrnn.data.documents import Document
from textrnn.data.labelled import Example
from textrnn.data.parallel import Pair
from textrnn.data.records import fingerprint
from textrnn.data.sources import Splits, describe, load_labelled_texts, load_pairs, load_texts
from textrnn.errors import InputError

texts = st.text(st.characters(), max_size=3)


@given(st.lists(st.tuples(texts, texts), max_size=3), st.lists(st.tuples(texts, texts), max_size=3))
def test_a_fingerprint_tells_data_apart(one, other):
    """Of records whose texts are divided or ordered differently, too."""
    pairs = [Pair("a", *record) for record in one], [Pair("b", *record) for record in other]
    assert (fingerprint(pairs[0]) == fingerprint(pairs[1])) == (one == other)


def test_a_fingerprint_depends_on_every_text_and_label_of_every_split_and_on_no_file():
    record = Example("a.csv, line 2", "good soup", "good")
    base = Splits([record], [record], [record]).fingerprint
    changed = [record._replace(text="good soups"), record._replace(label="bad")]
    others = [[record, record], [], *([each] for each in changed)]
    splits = [
        Splits(*([other if i == part else [record] for i in range(3)]))
        for part in range(3)
        for other in others
    ]
    assert len({base, *(each.fingerprint for each in splits)}) == 1 + 3 * len(others)
    moved = [record._replace(origin="b.csv, line 9")]
    assert Splits(moved, moved, moved, name="b").fingerprint == base
    assert Splits([Document("a", "x")], []).fingerprint != Splits([], [Document("a", "x")]).fingerprint


@pytest.mark.parametrize(
    ("load", "options"),
    [(load_texts, {"held_out": 0.2}), (load_labelled_texts, {"seed": 1}), (load_pairs, {"reverse": True})],
)
def test_the_same_command_has_the_same_fingerprint_and_another_split_has_another(load, options):
    assert load().fingerprint == load().fingerprint != load(**options).fingerprint


@pytest.mark.parametrize(
    ("texts", "warned"), [(30, "6 test texts say little: .* up to 20 perc"), (500, None)]
)
def test_a_small_test_set_gives_a_warning_after_the_sizes(texts, warned, tmp_path, capsys):
    rows = [f"text {number},{number % 2}\n" for number in range(2 * texts)]
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(rows))
    describe(load_labelled_texts(tmp_path / "a.csv"))
    printed = capsys.readouterr()
    assert printed.out.startswith("splits: ")
    assert re.match(f"warning: {warned}", printed.err) if warned else not printed.err


def test_a_small_test_set_of_its_own_gives_a_warning(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,0\nb,1\nc,0\nd,1\n")
    (tmp_path / "b.csv").write_text("text,label\ne,0\n")
    [warning] = load_labelled_texts(tmp_path / "a.csv", test_data=tmp_path / "b.csv").warnings
    assert warning.startswith("1 test text says little: the standard error of its")


def test_texts_in_another_form_of_unicode_are_counted(tmp_path):
    composed, other = "sch\u00f6n", "scho\u0308n"
    rows = [(f"{word} {i}", "ab"[i % 2]) for i, word in enumerate([composed] * 20 + [other] * 2)]
    table, pairs, text = (tmp_path / name for name in ("a.csv", "a.tsv", "a.txt"))
    table.write_text("text,label\n" + "".join(f"{a},{b}\n" for a, b in rows), "utf-8")
    pairs.write_text("".join(f"{a}\t{i}\n" for i, (a, _) in enumerate(rows)), "utf-8")
    text.write_text("\n".join(a for a, _ in rows), "utf-8")
    ending = "are not in Unicode's composed form (NFC), first 'ö'"
    for splits, expected in (
        (load_labelled_texts(table), "2 of 22 texts"),
        (load_pairs(pairs), "2 of 44 texts"),
        (load_texts(text), "2 of 22 lines"),
    ):
        assert [w for w in splits.warnings if w.startswith(f"{expected} {ending}")]
    table.write_text(table.read_text("utf-8").replace(other, composed), "utf-8")
    assert not [w for w in load_labelled_texts(table).warnings if "NFC" in w]


def test_a_test_set_needs_texts_of_ones_own(tmp_path):
    for options in ({}, {"dataset": "sst2"}):
        with pytest.raises(
            InputError, match=r"--test_data mine\.csv is for texts of your own: give those to train"
        ):
            load_labelled_texts(test_data="mine.csv", **options)


def test_sources_may_have_numbers_for_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("2023", "2024"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(f"texts of {name}\n" * 20)
    assert load_texts({2023: 1, 2024: 2}).name == "2023, 2024"


def test_each_part_needs_a_source_of_its_own(tmp_path):
    table = tmp_path / "few.tsv"
    table.write_text("one\tun\ntwo\tdeux\n", "utf-8")
    with pytest.raises(InputError, match=r"2 pairs with 2 different sources: .* so give 3 or more"):
        load_pairs(table)
    table.write_text("one\tun\ntwo\tdeux\nthree\ttrois\n", "utf-8")
    splits = load_pairs(table)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [1, 1, 1]

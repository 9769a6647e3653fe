"""A preset remembers the texts that a classifier has learned from."""

import numpy as np

from textrnn.classification.learned_texts import FILE, are_learned, save_learned, warn_if_learned


def test_texts_of_all_runs_are_remembered_and_others_are_not(tmp_path):
    save_learned(tmp_path, ["a joy", "a joy", "Ärger \ud83d"])
    first = np.load(tmp_path / FILE)
    save_learned(tmp_path, ["dull"], first)
    both = np.load(tmp_path / FILE)
    texts = ["dull", " a\njoy ", "Ärger \ud83d", "A joy", ""]
    assert are_learned(texts, first).tolist() == [False, True, True, False, False]
    assert are_learned(texts, both).tolist() == [True, True, True, False, False]
    assert are_learned([], both).tolist() == []


def test_only_learned_texts_are_warned_about(tmp_path, capsys):
    save_learned(tmp_path, ["a joy", "dull"])
    learned = np.load(tmp_path / FILE)
    warn_if_learned(learned, ["new"], ["newer"], "reviews")
    assert capsys.readouterr().err == ""
    warn_if_learned(learned, ["new"], ["dull", "newer"], "reviews")
    assert "reviews has learned from 1 of 2 test texts, whose scores are too" in capsys.readouterr().err
    warn_if_learned(learned, ["dull"], ["dull", "a joy"], "reviews")
    assert "from 1 of 1 validation text and 2 of 2 test texts, whose" in capsys.readouterr().err

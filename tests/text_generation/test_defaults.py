"""Defaults by the size of the text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textrnn.data.documents import Document
from textrnn.text_generation.defaults import (
    BY_SIZE,
    LITTLE_TEXT,
    SMALL_TEXT,
    defaults_for,
    small_text_warning,
)


@settings(deadline=None)
@given(st.integers(0, 10_000_000))
def test_a_larger_text_has_no_fewer_rows_and_no_more_epochs(characters):
    smaller, larger = defaults_for(characters // 2), defaults_for(characters)
    assert smaller.batch_size <= larger.batch_size and smaller.epochs >= larger.epochs
    smaller, larger = (defaults_for(size, continued=True) for size in (characters // 2, characters))
    assert smaller.batch_size <= larger.batch_size and smaller.epochs >= larger.epochs
    assert larger.tokenizer is None and smaller.learning_rate <= larger.learning_rate <= 0.001


def test_the_defaults_change_at_the_minimum():
    for minimum, defaults in BY_SIZE:
        assert defaults_for(minimum) == defaults
        if minimum:
            assert defaults_for(minimum - 1) != defaults


def test_only_a_small_text_is_warned_about():
    assert not small_text_warning(SMALL_TEXT)
    [warning] = small_text_warning(SMALL_TEXT - 1)
    assert "99,999 characters" in warning
    assert "continue from a trained model with --from_preset, your own or a starter model (`tex" in warning


def test_the_starter_model_of_the_language_of_a_small_text_is_named():
    german = Document(
        "a.txt", "Die Kinder standen am Fenster, und niemand hatte die alte Frau gesehen.\n" * 20
    )
    [warning] = small_text_warning(1400, documents=[german])
    assert warning.endswith("continue from the starter model of its language: --from_preset german")
    assert "expect words, but few sentences" in warning


def test_symbols_are_not_promised_words():
    moves = Document("games.txt", "e4 e5 Nf3 Nc6 Bb5 a6 Ba4 Nf6 O-O Be7 Re1 b5 Bb3 d6 c3 O-O\n" * 20)
    [warning] = small_text_warning(1200, documents=[moves])
    assert "expect little more than what is frequent in it" in warning and "words" not in warning


def test_no_starter_model_is_loaded_for_a_text_that_is_large_enough(monkeypatch):
    monkeypatch.setattr("textrnn.presets.closest.starter_names", lambda: pytest.fail("loaded"))
    assert not small_text_warning(SMALL_TEXT, documents=[Document("a.txt", "any text at all " * 9)])


def test_a_trained_model_needs_less_text():
    assert not small_text_warning(LITTLE_TEXT, continued=True)
    [warning] = small_text_warning(LITTLE_TEXT - 1, continued=True)
    assert "19,999 characters, which can hardly teach a language model" in warning
    assert "Give 20,000 or more" in warning

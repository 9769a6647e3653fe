"""Explanations say what the signatures answered, in the terminal and on a page."""

import numpy as np
import pytest
import tensorflow as tf

from textrnn.classification.explanation import Explanation, explainer, to_html, to_terminal, worth_a_look

PLAIN = Explanation(["So", "<dull>"], [-0.5, 2.0], "negative", 0.93)
ATTENDED = PLAIN._replace(attention=[0.25, 0.75])


def signatures(**more):
    """Of a classifier that gives one answer to two texts."""
    explain = {
        "label": tf.constant(["negative", "überaus"]),
        "words": tf.constant([["So", "", "dull"], ["\xc3\xa9", b"\xff", ""]]),
        "weights": tf.constant([[-0.5, 9.0, 2.0], [1.0, 3.0, 0.0]]),
        **more,
    }
    return {
        "explain": lambda text: explain,
        "serving_default": lambda text: {"scores": tf.constant([[0.75, 0.25], [0.5, 0.5]])},
    }


def test_an_explanation_has_the_words_that_are_not_empty():
    first, second = explainer(signatures())(["So\ndull", "?"])
    assert first == Explanation(["So", "dull"], [-0.5, 2.0], "negative", 0.75)
    assert (second.words[1], second.weights, second.label, second.attention) == (
        "\ufffd", [1.0, 3.0], "überaus", None,
    )  # fmt: skip


def test_attention_goes_along_with_its_words():
    attention = tf.constant([[0.25, 0.5, 0.25], [0.5, 0.5, 0.0]])
    first, second = explainer(signatures(attention=attention))(["So\ndull", "?"])
    assert (first.attention, second.attention) == ([0.25, 0.25], [0.5, 0.5])


def test_depths_are_beside_the_strongest_word():
    assert PLAIN.depths == [-0.25, 1.0]
    assert Explanation(["a"], [0.0], "x", 0.5).depths == [0.0]
    assert Explanation([], [], "x", 0.5).depths == []


def test_the_page_colours_words_and_underlines_what_was_attended_to():
    page = to_html([("First", [PLAIN])])
    assert "<h2>First</h2>" in page and "&lt;dull&gt;" in page and "<dull>" not in page
    assert "rgba(0, 114, 178, 0.7)" in page and "rgba(213, 94, 0, 0.17)" in page
    assert "box-shadow" not in page and "attention" not in page
    page = to_html([ATTENDED])
    assert "box-shadow:0 5.0px" in page and "box-shadow:0 1.7px" in page and "attention 75 %" in page


@pytest.mark.parametrize("colours", [False, True])
def test_the_terminal_has_a_column_for_attention_where_there_is_some(colours):
    assert "attention" not in to_terminal(PLAIN, colours)
    lines = to_terminal(ATTENDED, colours).splitlines()
    assert lines[0] == "negative, 93 %"
    assert [line.split() for line in lines[-3:]] == [
        ["weight", "attention"], ["+2.00", "75", "%", "<dull>"], ["-0.50", "25", "%", "So"],
    ]  # fmt: skip
    assert ("\033[1;38;2;0;114;178m<dull>\033[0m" in lines[1]) is colours


def test_a_text_without_words_is_explained_too():
    nothing = Explanation([], [], "negative", 0.5, [])
    assert to_terminal(nothing) == "negative, 50 %\n"
    assert "negative, 50 %" in to_html([nothing])


def test_worth_a_look_are_sure_errors_doubts_and_sure_hits():
    of_second = np.array([0.9, 0.6, 0.1, 0.45, 0.8])
    probabilities = np.stack([1 - of_second, of_second], axis=1)
    found = worth_a_look(np.array([0, 1, 0, 1, 1]), probabilities, most=2)
    assert {heading: rows.tolist() for heading, rows in found.items()} == {
        "Wrong, and sure of it": [0, 3], "Least sure": [3, 1], "Right, and surest": [2, 4],
    }  # fmt: skip
    assert "Wrong, and sure of it" not in worth_a_look([1], probabilities[:1])

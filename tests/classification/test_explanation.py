"""Explanations of the signatures' answers, in the terminal and as an HTML page."""

import re

import numpy as np
import pytest
import tensorflow as tf

from textrnn.classification.explanation import Explanation, explainer, select_examples, to_html, to_terminal

PLAIN = Explanation(["So", "<dull>"], [-0.5, 2.0], "negative", 0.93)
ATTENDED = PLAIN._replace(attention=[0.25, 0.75])


def signatures(**more):
    """Signatures that return the same answer for two texts."""
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


def test_explanations_have_the_words_that_are_not_padding():
    first, second = explainer(signatures())(["So\ndull", "?"])
    assert first == Explanation(["So", "dull"], [-0.5, 2.0], "negative", 0.75, text="So\ndull")
    assert (second.words[1], second.weights, second.label, second.attention) == (
        "\ufffd", [1.0, 3.0], "überaus", None,
    )  # fmt: skip


def test_attention_is_aligned_with_words():
    attention = tf.constant([[0.25, 0.5, 0.25], [0.5, 0.5, 0.0]])
    first, second = explainer(signatures(attention=attention))(["So\ndull", "?"])
    assert (first.attention, second.attention) == ([0.25, 0.25], [0.5, 0.5])


def test_depths_are_relative_to_the_largest_weight():
    assert PLAIN.depths == [-0.25, 1.0]
    assert Explanation(["a"], [0.0], "x", 0.5).depths == [0.0]
    assert Explanation([], [], "x", 0.5).depths == []


def test_the_page_colours_words_and_shows_attention():
    page = to_html([("First", [PLAIN])])
    assert "<h2>First</h2>" in page and "&lt;dull&gt;" in page and "<dull>" not in page
    assert "rgba(0, 114, 178, 0.7)" in page and "rgba(213, 94, 0, 0.17)" in page
    assert "box-shadow" not in page and "attention" not in page
    page = to_html([ATTENDED])
    assert "box-shadow:0 5.0px" in page and "box-shadow:0 1.7px" in page and "attention 75 %" in page


def test_a_text_has_its_own_direction_on_the_page():
    page = to_html([Explanation(["כל", "כך"], [1.0, 2.0], "negative", 0.93)])
    assert re.search(r'<p dir="auto"><span [^>]*>כל</span> <span [^>]*>כך</span></p>', page)
    assert '<p class="verdict" dir="auto"><b>negative, 93 %</b></p>' in page


@pytest.mark.parametrize("colours", [False, True])
def test_the_terminal_shows_attention_if_there_is_any(colours):
    assert "attention" not in to_terminal(PLAIN, colours)
    lines = to_terminal(ATTENDED, colours).splitlines()
    assert lines[0] == "negative, 93 %"
    assert [line.split() for line in lines[-3:]] == [
        ["weight", "attention"], ["+2.00", "75", "%", "<dull>"], ["-0.50", "25", "%", "So"],
    ]  # fmt: skip
    assert ("\033[1;38;2;0;114;178m<dull>\033[0m" in lines[1]) is colours


def test_an_empty_text_has_an_explanation():
    nothing = Explanation([], [], "negative", 0.5, [])
    assert to_terminal(nothing) == "negative, 50 %\n"
    assert "negative, 50 %" in to_html([nothing])


def test_the_true_label_is_shown_where_it_differs():
    assert PLAIN._replace(true_label="negative").verdict == "negative, 93 %"
    wrong = PLAIN._replace(true_label="<positive>")
    assert to_terminal(wrong, colours=False).startswith("negative, 93 % (true: <positive>)\n")
    assert "negative, 93 % (true: &lt;positive&gt;)" in to_html([wrong])


def test_selected_examples_are_errors_doubts_and_confident_correct_predictions():
    of_second = np.array([0.9, 0.6, 0.1, 0.45, 0.8])
    probabilities = np.stack([1 - of_second, of_second], axis=1)
    found = select_examples(np.array([0, 1, 0, 1, 1]), probabilities, count=2)
    assert {heading: rows.tolist() for heading, rows in found.items()} == {
        "Most confident errors": [0, 3], "Least confident": [1, 4], "Most confident and correct": [2],
    }  # fmt: skip
    assert "Most confident errors" not in select_examples([1], probabilities[:1])


@pytest.mark.parametrize("texts", [1, 2, 6, 23, 200])
def test_a_text_is_explained_once_and_few_texts_are_shared_by_all_headings(texts):
    random = np.random.default_rng(texts)
    targets, probabilities = random.integers(0, 2, texts), random.dirichlet(np.ones(2), texts)
    found = select_examples(targets, probabilities)
    rows = np.concatenate([*found.values()]).tolist()
    assert len(rows) == len(set(rows)) <= texts
    assert max(map(len, found.values())) == min(8, -(-texts // 3))
    if texts > 2:
        assert len(found) == 3


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["我", "喜欢", "this", "北京"], "我喜欢 this 北京"),
        (["我", "喜欢", "this", "北京"], "我喜欢this北京"),
        (["so", "?", "dull"], "so ? dull"),
    ],
)
def test_spaces_stand_where_the_text_has_them(words, text):
    explanation = Explanation(words, [1.0] * len(words), "good", 0.9, text=text)
    assert to_terminal(explanation, colours=False).splitlines()[1] == text
    assert re.sub("<[^>]+>", "", to_html([explanation])).count(text) == 1


def test_words_that_are_not_in_the_text_have_spaces_around_them():
    explanation = Explanation(["so", "\ufffd", "dull"], [1.0] * 3, "good", 0.9, text="so dull")
    assert to_terminal(explanation, colours=False).splitlines()[1] == "so \ufffd dull"


def test_words_of_scripts_without_spaces_stand_side_by_side():
    chinese = Explanation(["so", "good", "太", "好", "OK", "!"], [1.0, 1.0, 1.0, 2.0, 0.0, 0.0], "good", 0.9)
    assert to_terminal(chinese, colours=False).splitlines()[1] == "so good太好OK !"
    assert "太</span><span" in to_html([chinese]) and "so</span> <span" in to_html([chinese])

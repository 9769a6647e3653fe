import math
import struct
import subprocess
import sys

import numpy as np
import pytest

from textrnn.errors import InputError
from textrnn.explanation import Explanation
from textrnn.plots import attention_maps, explanations, learning_curve


def size(path):
    """Width and height, from the PNG's header."""
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", header[16:24])


HISTORIES = {
    "both losses": {"loss": [2.0, 1.5], "val_loss": [1.9, 1.6]},
    "one epoch": {"epoch": [1], "loss": [2.0], "val_loss": [1.9]},
    "training only": {"loss": [2.0, 1.5]},
    "held-out only": {"val_loss": [2.0, 1.5]},
    "within epochs": {"epoch": [0.5, 1, 1.5], "loss": [2.0, 1.5, 1.4], "val_loss": [1.9, 1.6, 1.7]},
    "not finite": {"loss": [2.0, math.nan, 1.0], "val_loss": [1.9, math.inf, None]},
    "long": {
        "loss": [5 / (i + 1) for i in range(500)],
        "val_loss": [None, *(4 / (i + 1) for i in range(499))],
    },
}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_becomes_a_picture(name, tmp_path):
    path = tmp_path / "curve.png"
    learning_curve(HISTORIES[name], path, title=name)
    width, height = size(path)
    assert width > height > 300


def test_bits_per_character_have_a_panel_of_their_own(tmp_path):
    history = {"loss": [2.0, 1.5], "val_loss": [1.9, 1.6]}
    learning_curve(history, tmp_path / "one.png")
    learning_curve({**history, "val_bits_per_character": [2.2, 2.0]}, tmp_path / "two.png")
    assert size(tmp_path / "two.png")[0] == 2 * size(tmp_path / "one.png")[0]


def test_steps_are_drawn_as_steps(tmp_path):
    history = {"step": [100, 200], "loss": [2.0, 1.5]}
    learning_curve(history, tmp_path / "steps.png", x="step")
    learning_curve(history, tmp_path / "epochs.png")
    assert (tmp_path / "steps.png").read_bytes() != (tmp_path / "epochs.png").read_bytes()


def test_the_same_history_gives_the_same_picture(tmp_path):
    for name in ("first.png", "second.png"):
        learning_curve(HISTORIES["both losses"], tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


@pytest.mark.parametrize("history", [{}, {"loss": []}, {"loss": [math.nan]}, {"accuracy": [0.5]}])
def test_nothing_to_draw_is_said(history, tmp_path):
    with pytest.raises(InputError, match="no learning curve"):
        learning_curve(history, tmp_path / "curve.png")


def test_columns_of_different_lengths_are_refused(tmp_path):
    with pytest.raises(InputError, match="one length"):
        learning_curve({"loss": [2.0, 1.5], "val_loss": [1.9]}, tmp_path / "curve.png")


@pytest.mark.parametrize("unwanted", ["tensorflow", "keras", "matplotlib.pyplot"])
def test_plots_and_reports_do_without(unwanted):
    code = f"import sys, textrnn.plots, textrnn.report; sys.exit({unwanted!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def explained(words, attention=None):
    weights = [(-1) ** i * (i % 5) for i in range(len(words))]
    return Explanation(words, weights, "négatif", 0.93, attention)


def test_explanations_are_as_high_as_their_texts_need(tmp_path):
    path, heights = tmp_path / "why.png", []
    for count in (0, 5, 60, 150, 1000):
        explanations([explained(["word"] * count)], path)
        width, height = size(path)
        assert width == 960
        heights.append(height)
    assert heights == sorted(heights)
    assert heights[0] == heights[1] < heights[2] < heights[3]
    assert heights[4] - heights[3] < 50  # the first 150 words, and how many more there are


def test_words_of_any_kind_are_drawn(tmp_path):
    words = ["$5", "and", "$6", "漢字", "🙂", "http://" + "x" * 500, "\x01", "<b>", r"\frac{"]
    explanations([("A heading that is long " * 9, [explained(words), explained([])])], tmp_path / "why.png")
    assert size(tmp_path / "why.png")[1] > 300


def test_colours_and_attention_are_drawn_as_they_are_given(tmp_path):
    pictures = []
    for one in (
        Explanation(["a", "b"], [1.0, -2.0], "good", 0.9),
        Explanation(["a", "b"], [-1.0, 2.0], "good", 0.9),
        Explanation(["a", "b"], [0.5, -1.0], "good", 0.9),
        Explanation(["a", "b"], [1.0, -2.0], "good", 0.9, [0.1, 0.9]),
    ):
        explanations([one], tmp_path / "why.png")
        pictures.append((tmp_path / "why.png").read_bytes())
    first, turned, scaled, attended = pictures
    assert first not in (turned, attended)
    assert first == scaled  # depths are beside the text's strongest word


@pytest.mark.parametrize(
    "maps",
    [
        [(["一", "只", "狗"], ["a", "do$g"], np.full((2, 3), 1 / 3))],  # what the font lacks is no warning
        [(["a", "dog"], [], np.zeros((0, 2)))],
        [],
    ],
)
def test_attention_is_drawn_whatever_the_texts(maps, tmp_path):
    attention_maps(maps, tmp_path / "attention.png")
    width, height = size(tmp_path / "attention.png")
    assert width > 300 and height > 300

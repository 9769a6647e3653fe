import math
import subprocess
import sys

import pytest
from references.png import size

from textrnn.errors import InputError
from textrnn.reporting.learning_curve import learning_curve

HISTORIES = {
    "both losses": {"loss": [2.0, 1.5], "val_loss": [1.9, 1.6]},
    "one epoch": {"epoch": [1], "loss": [2.0], "val_loss": [1.9]},
    "training only": {"loss": [2.0, 1.5]},
    "validation only": {"val_loss": [2.0, 1.5]},
    "within epochs": {"epoch": [0.5, 1, 1.5], "loss": [2.0, 1.5, 1.4], "val_loss": [1.9, 1.6, 1.7]},
    "not finite": {"loss": [2.0, math.nan, 1.0], "val_loss": [1.9, math.inf, None]},
    "long": {
        "loss": [5 / (i + 1) for i in range(500)],
        "val_loss": [None, *(4 / (i + 1) for i in range(499))],
    },
}


@pytest.mark.parametrize("name", HISTORIES)
def test_every_kind_of_history_is_drawn(name, tmp_path):
    path = tmp_path / "curve.png"
    learning_curve(HISTORIES[name], path, title=name)
    width, height = size(path)
    assert width > height > 300


def test_bits_per_character_have_their_own_panel(tmp_path):
    history = {"loss": [2.0, 1.5], "val_loss": [1.9, 1.6]}
    learning_curve(history, tmp_path / "one.png")
    learning_curve({**history, "val_bits_per_character": [2.2, 2.0]}, tmp_path / "two.png")
    assert size(tmp_path / "two.png")[0] == 2 * size(tmp_path / "one.png")[0]


def test_the_x_axis_may_be_steps(tmp_path):
    history = {"step": [100, 200], "loss": [2.0, 1.5]}
    learning_curve(history, tmp_path / "steps.png", x="step")
    learning_curve(history, tmp_path / "epochs.png")
    assert (tmp_path / "steps.png").read_bytes() != (tmp_path / "epochs.png").read_bytes()


def test_figures_are_deterministic(tmp_path):
    for name in ("first.png", "second.png"):
        learning_curve(HISTORIES["both losses"], tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


@pytest.mark.parametrize("history", [{}, {"loss": []}, {"loss": [math.nan]}, {"accuracy": [0.5]}])
def test_an_empty_history_is_refused(history, tmp_path):
    with pytest.raises(InputError, match="no learning curve"):
        learning_curve(history, tmp_path / "curve.png")


def test_columns_of_different_lengths_are_refused(tmp_path):
    with pytest.raises(InputError, match="differ in length"):
        learning_curve({"loss": [2.0, 1.5], "val_loss": [1.9]}, tmp_path / "curve.png")


@pytest.mark.parametrize("unwanted", ["tensorflow", "keras", "matplotlib.pyplot"])
def test_reporting_does_not_import(unwanted):
    modules = "textrnn.reporting.learning_curve, textrnn.reporting.report"
    code = f"import sys, {modules}; sys.exit({unwanted!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_title_is_no_formula(tmp_path):
    history = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]}
    learning_curve(history, tmp_path / "curve.png", title="costs $5_$ a")
    assert (tmp_path / "curve.png").stat().st_size > 1000

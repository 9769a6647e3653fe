"""The measurement of regularization: its scores, its figures, and its command."""

import argparse
import json

import keras
import numpy as np
import pytest

from concepts import regularization

GIVEN = argparse.Namespace(units=4, rate=0.01, epochs=2)


def test_figures_are_those_at_the_lowest_validation_loss():
    runs = [
        {"train": [3.0, 2.0, 1.0], "validation": [3.5, 3.0, 4.0]},
        {"train": [2.9, 1.9, 0.9], "validation": [3.4, 3.6, 3.9]},
    ]
    assert regularization.summary(runs) == {
        "lowest": [3.0, 3.4], "epoch": [2, 1], "train": [2.0, 2.9], "last": [4.0, 3.9]
    }  # fmt: skip
    assert regularization.spread([3.0, 3.4]) == "3.20 (3.00–3.40)"


@pytest.mark.slow
def test_losses_are_those_of_the_text_without_noise_and_penalties(monkeypatch):
    monkeypatch.setattr(regularization, "SCORED", (2, 128))
    stream = np.random.default_rng(0).integers(2, 9, 16 * 32 + 1).astype("int32")
    learner = regularization.Learner("five of these together", 9, GIVEN)
    losses = learner.train([stream, stream[:200]], seed=0)
    assert len(losses["train"]) == len(losses["validation"]) == 2
    rows = stream[:100], stream[100:199]  # half of the targets each, and no context before
    total = 0.0
    for tokens, targets in zip(rows, (stream[1:101], stream[101:200]), strict=True):
        inputs = {"token_ids": tokens[None], "padding_mask": np.ones((1, len(tokens)), bool)}
        logits = learner.lm(inputs)
        total += float(
            np.sum(keras.ops.sparse_categorical_crossentropy(targets[None], logits, from_logits=True))
        )
    assert losses["validation"][-1] == pytest.approx(total / 199, abs=2e-3)


@pytest.mark.slow
def test_the_command_writes_numbers_and_a_picture(tmp_path, capsys, monkeypatch):
    kinds = {name: regularization.KINDS[name] for name in ("none", "weight decay 0.1", "averaged weights")}
    monkeypatch.setattr(regularization, "KINDS", kinds)
    regularization.main(["--quick", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "regularization.json").read_text("utf-8"))["results"]
    assert [*results["curves"]] == [*regularization.KINDS]
    assert (tmp_path / "regularization.png").stat().st_size > 10_000
    regularization.main(["--draw", "--output", str(tmp_path)])
    assert capsys.readouterr().out == printed

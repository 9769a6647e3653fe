"""Gradients against distance: norms against products of Jacobians, and the report."""

import json

import keras
import numpy as np
import pytest

from concepts import gradients


def test_norms_are_those_of_the_product_of_jacobians():
    """Of the simple cell, whose step has the Jacobian diag(1 - h²) U."""
    cell = gradients.Start("simple").make(4, 10, "float64")
    norms = gradients.gradient_norms(cell, steps=6, seed=3, batch=2)
    kernel, recurrent, bias = cell.get_weights()
    inputs = keras.random.normal((2, 6, gradients.FEATURES), seed=3, dtype="float64")
    direction = np.asarray(keras.random.normal((2, 4), seed=4, dtype="float64"))
    of_rows = []
    for row in range(2):
        states = [np.zeros(4)]
        for x in np.asarray(inputs)[row]:
            states.append(np.tanh(x @ kernel + states[-1] @ recurrent + bias))
        gradient, found = direction[row], []
        for state in states[:0:-1]:
            gradient = recurrent @ ((1 - state**2) * gradient)
            found.append(np.linalg.norm(gradient))
        of_rows.append(found)
    np.testing.assert_allclose(norms, np.exp(np.log(of_rows).mean(axis=0)), rtol=1e-9)


@pytest.mark.parametrize("bias", [0.0, 1.0, 3.0])
def test_an_lstm_that_reads_nothing_forgets_at_the_rate_of_its_gate(bias):
    cell = gradients.Start("lstm").make(3, 10, "float64")
    cell.build((None, gradients.FEATURES))
    biases = np.zeros((4, 3))
    biases[1] = bias  # the forget gate
    cell.set_weights([np.zeros(weight.shape) for weight in cell.get_weights()[:2]] + [biases.ravel()])
    norms = gradients.gradient_norms(cell, steps=5, seed=0)
    np.testing.assert_allclose(norms / norms[0], (1 / (1 + np.exp(-bias))) ** np.arange(5), rtol=1e-9)


def test_chrono_starts_remember_for_the_distance_at_hand():
    cell = gradients.STARTS["lstm, chrono"].make(50, 100)
    cell.build((None, 2))
    forget = keras.ops.sigmoid(cell.bias[50:100])
    assert float(np.min(forget)) >= 1 / 2 and 0.97 < float(np.max(forget)) <= 99 / 100


def test_training_is_that_of_keras():
    start = gradients.Start("simple")
    task = gradients.CopyTask(start, units=4, delay=3, optimizer="SGD", rate=0.1, clipnorm=1e-3)
    losses, norms = task.train(seed=1, steps=2)
    keras.utils.set_random_seed(1)
    model = task._new_model()
    model.compile(
        keras.optimizers.SGD(0.1, global_clipnorm=1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    random = np.random.default_rng(1)
    for loss in losses:
        inputs, targets = gradients.synthetic.copy_problem(gradients.BATCH, 3, random, length=1)
        assert model.train_on_batch(inputs[:, :4], targets[:, -1]) == pytest.approx(loss, rel=1e-4)
    assert min(norms) > 1e-2  # before clipping
    assert task.train(seed=1, steps=2)[0] == losses


def test_problems_that_no_seed_learns_are_never_learned():
    runs = [{"steps": None}, {"steps": 40}, {"steps": 90}]
    assert gradients.steps_of(runs) == "40–90 (2 of 3 seeds)"
    assert gradients.steps_of(runs[:1]) == "never"
    assert gradients.steps_of(runs[1:2]) == "40"


@pytest.mark.slow
def test_the_study_runs_and_draws_again(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gradients, "STARTS", {name: gradients.STARTS[name] for name in
                                              (gradients.EXPLODING, "lstm, chrono")})  # fmt: skip
    options = ["--output", str(tmp_path)]
    gradients.main([*options, "--quick"])
    printed = capsys.readouterr().out
    report = json.loads((tmp_path / "gradients.json").read_text("utf-8"))
    assert report["environment"]["commit"] and f"learned, delay {report['results']['delay']}" in printed
    (tmp_path / "gradients.png").unlink()
    gradients.main([*options, "--draw"])
    assert capsys.readouterr().out == printed
    assert (tmp_path / "gradients.png").stat().st_size > 10_000

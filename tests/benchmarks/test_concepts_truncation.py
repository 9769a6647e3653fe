"""Truncated backpropagation: gradients against finite differences, episodes, and the report."""

import json

import numpy as np
import pytest

import textrnn
from concepts import small_text, truncation
from textrnn.data.windows import windows
from textrnn.text_generation.evaluation import score_language_model


@pytest.fixture
def lm():
    return textrnn.CausalLM(textrnn.RecurrentBackbone(9, "simple", units=3, dtype="float64"))


TOKENS = np.random.default_rng(0).integers(9, size=(2, 7)).astype(np.int32)


def mean_loss(lm, token_ids, window, states_of):
    """The loss of windows that start from given states."""
    losses = []
    for i, begin in enumerate(range(0, token_ids.shape[1] - 1, window)):
        part = token_ids[:, begin : begin + window + 1]
        hidden, _ = lm.backbone.run(part[:, :-1], states_of(i))
        logits = np.asarray(lm.project(hidden), np.float64)
        logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        losses.append(-np.take_along_axis(logits, part[:, 1:, None], axis=-1).sum())
    return sum(losses) / (len(token_ids) * (token_ids.shape[1] - 1))


@pytest.mark.parametrize(("window", "carried"), [(6, True), (2, True), (2, False), (4, True)])
def test_gradients_are_differences_of_the_loss_of_windows_with_their_states_fixed(lm, window, carried):
    found = truncation.window_gradient(lm, TOKENS, window, carried)
    kept, states = [], lm.backbone.get_initial_states(2)
    for begin in range(0, 6, window):
        kept.append(states)
        _, states = lm.backbone.run(TOKENS[:, begin : begin + window], states)
        if not carried:
            states = lm.backbone.get_initial_states(2)
    kernel = lm.backbone.stack.cells[0].recurrent_kernel
    before, expected = np.array(kernel), np.zeros((3, 3))
    for place in np.ndindex(3, 3):
        change = np.zeros((3, 3))
        change[place] = 1e-4
        losses = []
        for sign in (1, -1):
            kernel.assign(before + sign * change)
            losses.append(mean_loss(lm, TOKENS, window, kept.__getitem__))
        expected[place] = (losses[0] - losses[1]) / 2e-4
    # Logits are float32.
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=2e-4)


def test_windows_that_restart_have_no_context(lm):
    stream = np.random.default_rng(1).integers(9, size=33).astype(np.int32)
    batches = small_text.restarting(windows(stream, 2, 4))
    assert len(batches) == 4 and all(np.all(inputs["restart"]) for inputs, _ in batches)
    trainer = small_text.Trainer(lambda: lm, rate=0.01)
    rows = {
        "token_ids": stream[:-1].reshape(8, 4),
        "padding_mask": np.ones((8, 4), bool),
    }
    expected = score_language_model(lm, [(rows, stream[1:].reshape(8, 4))], characters=32)
    assert trainer.bits(stream, window=4) == pytest.approx(expected.bits_per_character, rel=1e-6)


def test_training_anew_gives_the_same_model_for_a_seed():
    trainer = small_text.Trainer(lambda: textrnn.CausalLM(textrnn.RecurrentBackbone(9, "gru", units=3)), 0.01)
    stream = np.random.default_rng(1).integers(9, size=65).astype(np.int32)
    scores = []
    for seed in (0, 1, 0):
        trainer.train(windows(stream, 2, 4), seed)
        scores.append(trainer.bits(stream))
    assert scores[0] == scores[2] != scores[1]


def test_every_letter_of_an_episode_comes_back_after_the_delay():
    texts = truncation.episodes(np.random.default_rng(0), 50, delay=4)
    assert texts.shape == (50, 6)
    assert texts[:, 1:5].tolist() == [[8, 8, 8, 9]] * 50
    assert np.all(texts[:, 0] == texts[:, 5]) and set(texts[:, 0]) == set(range(8))


def test_recall_counts_last_letters_that_a_model_predicts():
    """The model predicts letter 3 after a mark."""

    class Backbone:
        def get_initial_states(self, rows):
            return []

        def run(self, token_ids, states):
            return np.where(token_ids == 9, 3, 5), states

    class Model:
        backbone = Backbone()

        def project(self, hidden):
            return np.eye(10)[hidden]

    texts = truncation.episodes(np.random.default_rng(0), 40, delay=4)
    assert truncation.recall(Model(), texts) == np.mean(texts[:, 0] == 3) > 0


@pytest.mark.slow
def test_the_study_runs_and_draws_again(tmp_path, capsys):
    options = ["--output", str(tmp_path)]
    truncation.main([*options, "--quick"])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "truncation.json").read_text("utf-8"))["results"]
    assert results["updates"] == 12 and set(results["cosines"]) == {"new", "trained"}
    assert [*results["recall"]["zero"]] == ["2", "8"]
    (tmp_path / "truncation.png").unlink()
    truncation.main([*options, "--draw"])
    assert capsys.readouterr().out == printed
    assert (tmp_path / "truncation.png").stat().st_size > 10_000

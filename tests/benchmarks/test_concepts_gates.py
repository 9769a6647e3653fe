"""The gates of an LSTM: against the layer's own outputs, and the measures of their units."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import textrnn
from concepts import gates
from textrnn.text_generation import evaluation


@pytest.fixture(scope="module")
def lm():
    return textrnn.CausalLM(textrnn.RecurrentBackbone(30, "lstm", units=6, embedding_dim=4))


TEXTS = [np.array(ids, np.int32) for ids in ([1, 5, 9, 2, 1], [1, 7, 1], [1, 8, 8, 4, 20, 11, 1])]


def test_states_and_losses_are_those_of_the_model(lm):
    found = gates.read(lm, TEXTS)
    begin = 0
    for i, ids in enumerate(TEXTS):
        _, [states] = lm.backbone.run(ids[None, :-1], lm.backbone.get_initial_states(1))
        for kept, state in zip(found.states, states, strict=True):
            np.testing.assert_allclose(kept[i], state[0], atol=1e-6)
        x = {"token_ids": ids[None, :-1], "padding_mask": np.ones((1, len(ids) - 1), bool)}
        score = evaluation.score_language_model(lm, [(x, ids[None, 1:])], characters=1)
        assert found.nats[begin : begin + len(ids) - 1].mean() == pytest.approx(score.loss, rel=1e-5)
        begin += len(ids) - 1
    assert begin == len(found.nats)


def test_gates_are_those_of_the_first_step(lm):
    found = gates.read(lm, TEXTS)
    cell = lm.backbone.stack.cells[0]
    kernel, _, bias = (np.asarray(weight) for weight in cell.get_weights())
    x = np.asarray(lm.backbone.token_embedding(np.array([1]))) * 2  # the root of its width
    sums = (x @ kernel + bias)[0].reshape(4, 6)
    for gate, row in (("input", 0), ("forget", 1), ("output", 3)):
        np.testing.assert_allclose(found.gates[gate][0], 1 / (1 + np.exp(-sums[row])), rtol=1e-5)


def test_fixed_gates_replace_the_model_s_where_they_are_asked_for(lm):
    plain = gates.read(lm, TEXTS)
    tokens = len(plain.nats)
    nowhere = gates.read(lm, TEXTS, {"forget": np.ones(6, "float32")}, np.zeros(tokens, bool))
    np.testing.assert_array_equal(nowhere.nats, plain.nats)
    closed = gates.read(lm, TEXTS, {"input": np.zeros(6, "float32")})
    assert not np.any(closed.states) and (closed.nats == pytest.approx(np.log(30), abs=1e-6))
    last = np.arange(tokens) == tokens - 1
    cleared = gates.read(lm, TEXTS, dict.fromkeys(("forget", "input"), np.zeros(6, "float32")), last)
    np.testing.assert_array_equal(cleared.nats[:-1], plain.nats[:-1])
    assert not np.any(cleared.states[1][2]) and np.all(cleared.states[1][0] == plain.states[1][0])


def test_auc_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    values, labels = random.normal(size=(50, 3)), random.random(50) < 0.2
    expected = [roc_auc_score(labels, column) for column in values.T]
    np.testing.assert_allclose(gates.auc(values, labels), expected)
    np.testing.assert_allclose(gates.separation(values, labels), np.maximum(expected, 1 - np.array(expected)))


def test_a_gate_that_is_one_minus_the_other_is_fully_coupled():
    forget = np.random.default_rng(0).random((20, 2))
    tied = gates.Reading({"forget": forget, "input": np.stack([1 - forget[:, 0], forget[:, 1]], 1)}, [], None)
    np.testing.assert_allclose(gates.coupling(tied), [1, -1])


@pytest.mark.slow
def test_the_study_runs_and_draws_again(tmp_path, capsys):
    options = ["--output", str(tmp_path)]
    gates.main([*options, "--quick"])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "gates.json").read_text("utf-8"))["results"]
    assert results["bits"]["as trained"] < results["bits"]["all three fixed"]
    assert np.shape(results["example"]["forget"]) == (24, len(results["example"]["tokens"]))
    (tmp_path / "gates.png").unlink()
    gates.main([*options, "--draw"])
    assert capsys.readouterr().out == printed
    assert (tmp_path / "gates.png").stat().st_size > 10_000

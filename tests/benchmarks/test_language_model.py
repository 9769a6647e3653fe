"""The language models of all contestants do the same work; nothing here is about speed."""

from dataclasses import replace

import keras
import numpy as np
import pytest

import language_model


@pytest.mark.parametrize("tied", [False, True])
def test_the_models_of_all_contestants_are_the_same_function_of_the_same_weights(tied):
    work = replace(language_model.WORKS[0], vocabulary_size=11, units=5, tied=tied)
    lm = language_model.textrnn_model(work)
    embed, lstm, project = language_model.keras_layers(work, return_sequences=True)
    token_ids = keras.Input((None,), dtype="int32")
    peer = keras.Model(token_ids, project(lstm(embed(token_ids))))

    assert peer.count_params() == lm.count_params()
    embedding, *rest = lm.get_weights()  # the untied projection comes second, in Keras's model last
    peer.set_weights([embedding, *rest] if tied else [embedding, *rest[1:], rest[0]])
    x = np.arange(12).reshape(2, 6) % 11
    ours = lm({"token_ids": x, "padding_mask": np.ones_like(x, "bool")})
    np.testing.assert_allclose(ours, peer(x), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["training", "generation"])
def test_contestants_return_the_number_of_their_tokens(task):
    work = next(work for work in language_model.WORKS if work.task == task)
    work = replace(
        work,
        vocabulary_size=11,
        units=4,
        batch_size=2,
        windows=3,
        sequence_length=5,
        prompt_tokens=6,
        new_tokens=7,
    )
    inputs = language_model.make_inputs(work, seed=0)
    for contestant in language_model.CONTESTANTS.of(task):
        done = 2 * {"training": 3 * 5, "generation": 7}[task]
        if contestant.peer == "Keras, re-reading":
            done = 2 * 4
        if contestant.peer == "re-reading overlapping windows":
            done //= 2  # half of each window is new text
        assert contestant.prepare(work, inputs)() == done


def test_the_faster_form_of_a_peer_is_in_bold(monkeypatch):
    labels = [contestant.label for contestant in language_model.CONTESTANTS.of("training")]
    rates = {label: [float(i)] for i, label in enumerate(labels, 1)}
    monkeypatch.setattr(language_model, "measure", lambda work, rounds, seed: rates)
    rows = language_model.measured(language_model.WORKS[0], rounds=1, seed=0)["rows"]
    assert [row["contestant"] for row in rows if row.get("bold")] == ["Keras fit, XLA"]


@pytest.mark.slow
def test_the_command_measures_every_contestant(run_command):
    report = run_command(language_model, "--units", "4", "--vocabulary_size", "11")
    for work, result in zip(language_model.WORKS, report["results"], strict=True):
        contestants = language_model.CONTESTANTS.of(work.task)
        assert [row["contestant"] for row in result["rows"]] == [each.label for each in contestants]
        for row in result["rows"]:
            rates = row["tokens/s"]
            assert len(rates) == 2 == report["environment"]["rounds"]
            assert min(rates) <= row["median"] <= max(rates)

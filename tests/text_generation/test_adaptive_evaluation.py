"""Evaluation with a neural cache and dynamic evaluation, against NumPy references."""

import numpy as np
import pytest
import tensorflow as tf
from builders.seeds import set_seed
from references.adaptive import cached_distribution, dynamic_update

import textrnn
from textrnn.data.windows import evaluation_windows
from textrnn.decoding.neural_cache import NeuralCache
from textrnn.errors import InputError
from textrnn.text_generation.cached_evaluation import choose_neural_cache
from textrnn.text_generation.dynamic_evaluation import (
    DynamicEvaluation,
    choose_dynamic_evaluation,
    gradient_rms,
)
from textrnn.text_generation.evaluation import score_language_model

VOCABULARY = 9
SPEC = textrnn.GateSpec(forget=textrnn.Gate(), input="1 - forget")
CELLS = pytest.mark.parametrize("cell", ["lstm", "gru", SPEC], ids=["lstm", "gru", "spec"])


def make_lm(cell="lstm"):
    set_seed(3)
    options = {"dropout": 0.5, "weight_drop": 0.5}  # which must be off
    lm = textrnn.CausalLM(
        textrnn.RecurrentBackbone(VOCABULARY, cell=cell, units=6, embedding_dim=5, **options)
    )
    for weight in lm.trainable_variables:
        weight.assign(weight * 2)
    return lm


def text(tokens=31, seed=0):
    return np.random.default_rng(seed).integers(0, 4, tokens).astype("int32")


def hidden_and_logits(lm, tokens):
    x = {"token_ids": tokens[None], "padding_mask": np.ones((1, len(tokens)), bool)}
    hidden = np.array(lm.backbone(x)[0], "float64")
    return hidden, hidden @ np.array(lm.backbone.token_embedding.embeddings, "float64").T


def cached_nats(lm, tokens, window, theta, share):
    """The negative log-likelihood of a row, token by token."""
    hidden, logits = hidden_and_logits(lm, tokens[:-1])
    return -sum(
        np.log(
            cached_distribution(hidden[: t + 1], tokens[: t + 1], logits[t], window, theta, share)[
                tokens[t + 1]
            ]
        )
        for t in range(len(tokens) - 1)
    )


@CELLS
@pytest.mark.parametrize("window", [4, 100])
def test_the_loss_with_a_cache_is_that_of_the_paper(cell, window):
    """Across windows, in two rows with caches of their own, the last of which is padded."""
    lm, tokens = make_lm(cell), text()
    data = evaluation_windows(tokens, batch_size=2, sequence_length=6)
    for theta, share in ((0.0, 0.3), (0.7, 0.05)):
        cache, score = choose_neural_cache(lm, data, 50, window, [theta], [share])
        nats = sum(cached_nats(lm, row, window, theta, share) for row in (tokens[:16], tokens[15:]))
        assert score.loss == pytest.approx(nats / 30, rel=1e-5)
        assert score.bits_per_character == pytest.approx(nats / np.log(2) / 50, rel=1e-5)
        assert (cache.window, cache.theta, cache.share, score.tokens) == (window, theta, share, 30)


def test_the_best_cache_of_the_grid_is_chosen():
    lm, tokens = make_lm(), text()
    data = evaluation_windows(tokens, batch_size=1, sequence_length=10)
    thetas, shares = (0.0, 0.5, 2.0), (0.01, 0.2, 0.6)
    losses = {(t, s): cached_nats(lm, tokens, 8, t, s) for t in thetas for s in shares}
    cache, _ = choose_neural_cache(lm, data, 50, 8, thetas, shares)
    assert (cache.theta, cache.share) == min(losses, key=losses.get)


def test_a_repeated_text_is_easier_with_a_cache():
    lm = make_lm()
    data = evaluation_windows(np.tile(text(20), 6), batch_size=1, sequence_length=16)
    _, score = choose_neural_cache(lm, data, 50, window=40)
    assert score.loss < score_language_model(lm, data, 50).loss - 0.05


def gradients(lm, tokens, targets, states):
    """The mean loss of a segment and its gradients, by a tape over the steps of the cells."""
    with tf.GradientTape() as tape:
        losses = []
        for token, target in zip(tokens, targets, strict=True):
            hidden, states = lm.backbone.stepper()(tf.constant([token]), states)
            logits = lm.backbone.token_embedding(hidden, reverse=True)
            losses.append(tf.nn.sparse_softmax_cross_entropy_with_logits([target], logits)[0])
        loss = tf.add_n(losses) / len(losses)
    found = tape.gradient(loss, [weight.value for weight in lm.trainable_variables])
    return float(loss), [tf.convert_to_tensor(each).numpy().astype("float64") for each in found], states


@CELLS
def test_dynamic_evaluation_follows_the_rule_of_the_paper_and_restores_the_weights(cell):
    lm, tokens = make_lm(cell), text(14)
    dynamic = DynamicEvaluation(learning_rate=0.01, decay=0.3, segment=5, epsilon=0.01)
    rms = gradient_rms(lm, text(200, seed=1), rows=3, batches=4)
    before = lm.get_weights()
    score = dynamic.score(lm, tokens, 40, rms)
    for weight, same in zip(lm.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, same)

    trained = [weight.numpy().astype("float64") for weight in lm.trainable_variables]
    weights, states, nats = trained, lm.backbone.get_initial_states(1), 0.0
    roots = [r.numpy().astype("float64") for r in rms]
    for first in (0, 5, 10):
        segment = tokens[first : first + 6]
        loss, found, states = gradients(lm, segment[:-1], segment[1:], states)
        nats += loss * (len(segment) - 1)
        weights = dynamic_update(weights, trained, found, roots, 0.01, 0.3, 0.01)
        for variable, value in zip(lm.trainable_variables, weights, strict=True):
            variable.assign(value)
    assert score.loss == pytest.approx(nats / 13, rel=1e-4)
    assert score.tokens == 13


def test_the_root_mean_square_is_of_gradients_of_the_training_text():
    lm, tokens = make_lm(), text(41)
    rms = gradient_rms(lm, tokens, segment=5, rows=2, batches=3)
    squares, states = 0.0, [lm.backbone.get_initial_states(1)] * 2
    for step in range(3):
        both = []
        for row in range(2):
            first = 20 * row + 5 * step
            segment = tokens[first : first + 6]
            _, found, states[row] = gradients(lm, segment[:-1], segment[1:], states[row])
            both.append(found)
        squares = squares + np.array([((a + b) / 2) ** 2 for a, b in zip(*both, strict=True)], object)
    for root, square in zip(rms, squares, strict=True):
        np.testing.assert_allclose(root, np.sqrt(square.astype("float64") / 3), rtol=1e-3, atol=1e-6)


def test_a_repeated_text_is_easier_with_dynamic_evaluation_and_an_error_restores_the_weights(monkeypatch):
    lm, tokens = make_lm(), np.tile(text(20), 10)
    before = [weight.numpy() for weight in lm.trainable_variables]
    rms = gradient_rms(lm, tokens)
    plain = score_language_model(lm, evaluation_windows(tokens, 1, 16), 50)
    dynamic = choose_dynamic_evaluation(lm, tokens, rms, rates=(1e-9, 1e-3), decays=(0.001,), tokens=100)
    assert dynamic.learning_rate == 1e-3
    assert dynamic.score(lm, tokens, 50, rms).loss < plain.loss - 0.05
    broken = [*evaluation_windows(tokens, 1, 5).take(3), 0]
    monkeypatch.setattr("textrnn.text_generation.dynamic_evaluation.evaluation_windows", lambda *_: broken)
    with pytest.raises(TypeError):
        dynamic.score(lm, tokens, 50, rms)
    for weight, same in zip(lm.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(weight, same)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, r"learning_rate is 0\.0"),
        ({"decay": -1}, "decay is -1"),
        ({"segment": 0}, "segment is 0"),
        ({"epsilon": 0}, "epsilon is 0"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        DynamicEvaluation(**{"learning_rate": 0.1, "decay": 0.1, **options})


def test_too_short_a_text_is_refused():
    with pytest.raises(InputError, match="the training text has 1 tokens"):
        gradient_rms(make_lm(), text(1))
    with pytest.raises(InputError, match="needs at least 2"):
        DynamicEvaluation(0.1, 0.1).score(make_lm(), text(1), 5, gradient_rms(make_lm(), text(9)))


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "mixed_bfloat16"])
def test_dynamic_evaluation_computes_in_every_dtype(dtype):
    lm = textrnn.CausalLM(textrnn.RecurrentBackbone(10, units=4, dtype=dtype))
    stream = np.arange(60) % 7
    rms = gradient_rms(lm, stream)
    assert all(np.isfinite(each.numpy().astype("float32")).all() for each in rms)
    score = DynamicEvaluation(0.01, 0.01).score(lm, stream, 60, rms)
    assert np.isfinite(score.loss)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NeuralCache(window=2.5), r"window is 2\.5: give the number of vectors"),
        (lambda: NeuralCache(window="5"), "window is '5': give the number of vectors"),
        (lambda: NeuralCache(5, theta="1"), "theta is '1': give a number"),
        (lambda: DynamicEvaluation(0.1, 0.1, segment=2.5), r"segment is 2\.5: give the tokens per update"),
        (lambda: DynamicEvaluation("a", 0.1), "learning_rate is 'a': give a number above 0"),
        (lambda: DynamicEvaluation(0.1, 0.1, epsilon=0), "epsilon is 0: give a number above 0"),
    ],
)
def test_settings_of_a_wrong_type_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()

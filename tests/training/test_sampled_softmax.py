"""The sampled cross-entropy is exact with all tokens, and estimates the exact one with few."""

import warnings

import keras
import numpy as np
import pytest
from builders.seeds import set_seed
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from references.gradients import assert_close, value_and_gradient

import textrnn
from textrnn.training.losses import crossentropy
from textrnn.training.sampled_softmax import drawn_tokens, sampled_crossentropy

SIZE, FEATURES = 60, 4


def make(rows=(3, 2), seed=0):
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(*rows, FEATURES)).astype("float32")
    return hidden, random.integers(0, SIZE, rows), random.normal(size=(SIZE, FEATURES)).astype("float32")


@pytest.mark.parametrize("count", [SIZE, SIZE + 5])
def test_with_all_tokens_it_is_the_exact_loss_and_its_gradient(count):
    hidden, targets, vectors = make()

    def exact(x):
        return ops.sum(crossentropy(targets, ops.matmul(hidden, ops.transpose(x))))

    def sampled(x):
        return ops.sum(sampled_crossentropy(hidden, targets, x, count, seed=0))

    assert_close(value_and_gradient(sampled, vectors), value_and_gradient(exact, vectors), 1e-5)
    assert sampled_crossentropy(hidden, targets, vectors, count, 0).shape == targets.shape


@given(count=st.integers(2, SIZE - 1), step=st.integers(0, 10**6))
def test_half_of_the_tokens_are_the_first_and_the_others_are_among_the_rest(count, step):
    tokens, expected = (ops.convert_to_numpy(x) for x in drawn_tokens(SIZE, count, step))
    first = count // 2
    assert tokens[:first].tolist() == [*range(first)] and (expected[:first] == 1).all()
    assert len(tokens) == count and (tokens[first:] >= first).all() and (tokens < SIZE).all()


def test_tokens_are_drawn_as_often_as_expected():
    count, draws = 12, 1500
    counts, expectation = np.zeros(SIZE), {}
    for step in range(draws):
        tokens, expected = (ops.convert_to_numpy(x) for x in drawn_tokens(SIZE, count, step))
        np.add.at(counts, tokens, 1)
        expectation |= dict(zip(tokens.tolist(), expected.tolist(), strict=True))
    assert len(expectation) == SIZE  # every token is drawn
    assert sum(expectation.values()) == pytest.approx(count, rel=1e-4)
    wanted = np.array([expectation[token] for token in range(SIZE)])
    error = np.sqrt(wanted / draws)
    assert (abs(counts / draws - wanted)[count // 2 :] < 5 * error[count // 2 :]).all()
    steps = [drawn_tokens(SIZE, count, step)[0] for step in (7, 7, 8)]
    np.testing.assert_array_equal(steps[0], steps[1])
    assert np.any(steps[0] != steps[2])


def test_the_sum_of_exponentials_has_no_bias():
    hidden, targets, vectors = make(rows=(5,))
    logits = hidden @ vectors.T
    exact = np.exp(logits).sum(axis=1)
    at_target = logits[np.arange(5), targets]
    estimates = np.array(
        [
            np.exp(ops.convert_to_numpy(sampled_crossentropy(hidden, targets, vectors, 30, step)) + at_target)
            for step in range(800)
        ]
    )
    error = estimates.std(axis=0) / np.sqrt(len(estimates))
    assert (abs(estimates.mean(axis=0) - exact) < 4 * error).all()
    assert (error < 0.05 * exact).all()


# === The language model ===


def make_lm(**options):
    set_seed(0)
    lm = textrnn.CausalLM(textrnn.RecurrentBackbone(SIZE, units=8, embedding_dim=FEATURES, **options))
    lm.compile(keras.optimizers.Adam(0.01), sampled_softmax=20)
    return lm


def batch(restart=False):
    tokens = np.arange(64).reshape(4, 16) % 7
    x = {"token_ids": tokens.astype("int32"), "padding_mask": np.ones(tokens.shape, bool)}
    return x, np.roll(tokens, -1, axis=1), np.ones(tokens.shape, "float32")


@pytest.mark.parametrize("options", [{}, {"tie_embeddings": False, "activation_regularization": 1.0}])
def test_a_language_model_learns_and_is_evaluated_exactly(options):
    lm = make_lm(**options)
    x, y, weights = batch()
    first = lm.evaluate(x, y, sample_weight=weights, verbose=0)
    logits = lm(x)
    assert logits.shape[-1] == SIZE
    assert first == pytest.approx(float(ops.mean(crossentropy(y, logits))), rel=1e-4)
    lm.fit(x, y, sample_weight=weights, batch_size=4, epochs=100, verbose=0)
    assert lm.evaluate(x, y, sample_weight=weights, verbose=0) < 0.3 * first


def test_weights_and_penalties_count():
    lm = make_lm(activation_regularization=1.0)
    x, y, weights = batch()
    weights[:, 8:] = 0
    hidden = lm(x, training=True)
    assert hidden.shape[-1] == FEATURES
    penalty = float(sum(lm.losses))
    assert penalty > 0
    vectors = lm.backbone.token_embedding.embeddings
    seed = ops.sum(lm.backbone.word_dropout.seed_generator.state.value)
    losses = ops.convert_to_numpy(sampled_crossentropy(hidden, y, vectors, 20, seed))
    loss = float(lm.compute_loss(x, y, hidden, weights, training=True))
    assert loss == pytest.approx(losses[:, :8].mean() + penalty, rel=1e-4)


def test_windows_train_and_a_saved_model_keeps_the_setting(tmp_path):
    lm = make_lm()
    from textrnn.data.windows import windows

    tokens = (np.arange(400) % 7).astype("int32")
    history = lm.fit(windows(tokens, 2, 10), epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]
    lm.save(tmp_path / "lm.keras")
    assert keras.saving.load_model(tmp_path / "lm.keras").sampled_softmax == 20


@pytest.mark.parametrize("count", [-1, 2.5, True, None])
def test_what_is_no_number_of_tokens_is_refused(count):
    lm = textrnn.CausalLM(textrnn.RecurrentBackbone(SIZE, units=4))
    with pytest.raises(textrnn.InputError, match=f"sampled_softmax is {count}: give a number of tokens"):
        lm.compile(sampled_softmax=count)
    lm.compile("adam", "auto", sampled_softmax=20, metrics=[], weighted_metrics=None)
    assert lm.sampled_softmax == 20


def test_quantized_vectors_are_refused():
    lm = make_lm()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about layers that Keras cannot quantize
        lm.quantize("int8")
    x, y, _ = batch()
    with pytest.raises(textrnn.InputError, match="the output vectors are quantized"):
        lm.fit(x, y, verbose=0)


@pytest.mark.parametrize("options", [{"loss": "mse"}, {"metrics": ["accuracy"]}])
def test_losses_and_metrics_of_logits_are_refused(options):
    lm = textrnn.CausalLM(textrnn.RecurrentBackbone(SIZE, units=4))
    with pytest.raises(textrnn.InputError, match=f"leave out {next(iter(options))}"):
        lm.compile(sampled_softmax=20, **options)

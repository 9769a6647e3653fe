import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from builders.seeds import set_seed

from textrnn.errors import InputError
from textrnn.text_generation.evaluation import LanguageModelEvaluator, score_language_model

VOCABULARY = 7


@pytest.fixture
def model():
    """A bigram model with the inputs and outputs of a language model."""
    set_seed(1)
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    restart = keras.Input((), dtype="bool", name="restart")
    table = keras.layers.Embedding(VOCABULARY, VOCABULARY, embeddings_initializer="normal", name="table")
    dropped = keras.layers.Dropout(0.5)(table(token_ids))  # must be off
    return keras.Model({"token_ids": token_ids, "restart": restart}, dropped)


def windows(rows, steps, padded=0, padding_id=0, seed=0):
    """One batch `(x, targets, weights)`, whose last `padded` columns are padding."""
    random = np.random.default_rng(seed)
    stream = random.integers(0, VOCABULARY, (rows, steps + 1)).astype("int32")
    weights = np.ones((rows, steps), "float32")
    targets = stream[:, 1:].copy()
    if padded:
        weights[:, -padded:] = 0
        targets[:, -padded:] = padding_id
    return {"token_ids": stream[:, :-1], "restart": np.zeros(rows, bool)}, targets, weights


def numpy_nats_and_tokens(model, batches):
    table = model.get_layer("table").get_weights()[0].astype("float64")
    log_probs = table - np.log(np.exp(table).sum(axis=1, keepdims=True))
    nats = tokens = 0.0
    for x, targets, weights in batches:
        picked = log_probs[x["token_ids"], np.clip(targets, 0, VOCABULARY - 1)]
        nats -= (picked * weights).sum()
        tokens += weights.sum()
    return nats, tokens


def test_a_score_is_the_exact_weighted_mean_over_the_whole_text(model):
    batches = [windows(3, 8, seed=1), windows(3, 8, padded=6, seed=2), windows(1, 5, seed=3)]
    nats, tokens = numpy_nats_and_tokens(model, batches)
    score = score_language_model(model, batches, characters=100)
    assert score.tokens == tokens
    assert score.loss == pytest.approx(nats / tokens, rel=1e-6)
    assert score.perplexity == pytest.approx(math.exp(nats / tokens), rel=1e-6)
    assert score.bits_per_character == pytest.approx(nats / math.log(2) / 100, rel=1e-6)


@pytest.mark.parametrize("padding_id", [-1, 0, VOCABULARY + 3])
def test_padding_does_not_count_whatever_its_ids(model, padding_id):
    batch = windows(2, 6, padded=2, padding_id=padding_id)
    nats, tokens = numpy_nats_and_tokens(model, [batch])
    assert score_language_model(model, [batch], characters=10).loss == pytest.approx(nats / tokens, rel=1e-6)


def test_weights_are_optional(model):
    x, targets, weights = windows(2, 6)
    without = score_language_model(model, [(x, targets)], characters=10)
    assert without == score_language_model(model, [(x, targets, weights)], characters=10)


def test_a_tf_dataset_has_the_score_of_its_batches(model):
    batch = windows(4, 6, padded=1)
    dataset = tf.data.Dataset.from_tensor_slices(batch).batch(2)
    whole, split = score_language_model(model, [batch], 10), score_language_model(model, dataset, 10)
    assert split.tokens == whole.tokens
    assert split.loss == pytest.approx(whole.loss, rel=1e-6)


def test_new_weights_need_no_new_trace(model):
    evaluate = LanguageModelEvaluator(model)
    batches = [windows(2, 6)]
    first = evaluate(batches, 10)
    model.get_layer("table").set_weights([np.zeros((VOCABULARY, VOCABULARY))])
    second = evaluate(batches, 10)
    assert first.loss != pytest.approx(second.loss)
    assert second.perplexity == pytest.approx(VOCABULARY)
    assert evaluate._batch_sums.experimental_get_tracing_count() == 1


def test_half_precision_logits_are_scored_in_single_precision():
    logits = keras.layers.Embedding(2, 2, embeddings_initializer="zeros", dtype="float16")
    model = keras.Sequential([keras.Input((None,), dtype="int32"), logits])
    token_ids = np.zeros((1, 4), "int32")
    assert score_language_model(model, [(token_ids, token_ids)], 4).bits_per_character == pytest.approx(
        1, abs=1e-6
    )


class Counter(keras.Model):
    """A model that carries a state per row from window to window, as a language model does."""

    def __init__(self):
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        restart = keras.Input((), dtype="bool", name="restart")
        super().__init__({"token_ids": token_ids, "restart": restart}, token_ids)
        self.training_state = keras.Variable(np.zeros(3), trainable=False, dtype="float32")
        self.evaluation_states = None

    def carry_states(self, batch_size, name):
        assert name == "evaluation_states"
        if self.evaluation_states is None or self.evaluation_states.shape[0] != batch_size:
            self.evaluation_states = keras.Variable(np.zeros(batch_size), trainable=False, dtype="float32")

    def call(self, inputs, training=None):
        states = self.evaluation_states
        states.assign(tf.where(inputs["restart"], 0.0, states.value) + 1.0)
        self.training_state.assign_add(tf.ones(3))  # a side effect that scoring must undo
        steps = tf.shape(inputs["token_ids"])[1]
        logits = tf.stack([states.value, tf.zeros_like(states.value)], axis=-1)
        return tf.repeat(logits[:, None], steps, axis=1)


@pytest.mark.parametrize("rows", [2, 4])
def test_states_are_carried_within_an_evaluation_only(rows):
    model = Counter()
    evaluate = LanguageModelEvaluator(model)

    def dataset(rows):
        x = {"token_ids": np.zeros((2 * rows, 1), "int32"), "restart": np.arange(2 * rows) < rows}
        return tf.data.Dataset.from_tensor_slices((x, np.zeros((2 * rows, 1), "int32"))).batch(
            rows, drop_remainder=True
        )

    expected = np.mean([np.log1p(np.exp(-1.0)), np.log1p(np.exp(-2.0))])  # the logit is 1, then 2
    evaluate(dataset(3), 10)
    for _ in range(2):
        assert evaluate(dataset(rows), 10).loss == pytest.approx(expected, rel=1e-6)
    np.testing.assert_array_equal(model.training_state.numpy(), 0.0)


def test_perplexity_overflows_to_infinity():
    table = keras.initializers.Constant(np.array([[-2000.0, 0.0]] * 2))
    model = keras.Sequential(
        [keras.Input((None,), dtype="int32"), keras.layers.Embedding(2, 2, embeddings_initializer=table)]
    )
    token_ids = np.zeros((1, 4), "int32")
    score = score_language_model(model, [(token_ids, token_ids)], 4)
    assert (score.loss, score.perplexity) == (2000.0, math.inf)


def test_a_text_without_tokens_or_characters_is_refused(model):
    x, targets, weights = windows(2, 6)
    with pytest.raises(InputError, match="no token"):
        score_language_model(model, [(x, targets, 0 * weights)], characters=10)
    with pytest.raises(InputError, match="no token"):
        score_language_model(model, [], characters=10)
    with pytest.raises(InputError, match="characters is 0"):
        score_language_model(model, [(x, targets, weights)], characters=0)

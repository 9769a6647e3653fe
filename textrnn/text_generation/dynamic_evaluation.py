"""Dynamic evaluation: the model learns from the text while it is evaluated (Krause et al. 2018)."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from textrnn.data.windows import evaluation_windows, windows
from textrnn.errors import InputError, expect, is_integer, is_number
from textrnn.tensors import exact_dtype
from textrnn.text_generation.score import LanguageModelScore, score_of

RATES = (3e-5, 1e-4, 3e-4)
DECAYS = (0.001, 0.01)


@dataclass(frozen=True)
class DynamicEvaluation:
    """Dynamic evaluation with the RMS rule and decay to the trained weights (Krause et al. 2018).

    The text is read in short segments. After the loss of a segment has been counted, the weights w follow its
    gradient g, and decay to the trained weights w₀:

        w ← w − learning_rate · g / (r + epsilon) + min(decay · r / mean(r), 1) ⊙ (w₀ − w),

    where r is the root of the mean squared gradients on the training text, of `gradient_rms`. Weights whose
    gradients vary more decay faster. The trained weights are restored at the end.

    Args:
        learning_rate: The learning rate of the updates, above 0.
        decay: λ, at least 0.
        segment: Tokens per update.
        epsilon: See above.

    Raises:
        InputError: If a number is out of range.

    Example:

    >>> from textrnn.text_generation.dynamic_evaluation import DynamicEvaluation
    >>> DynamicEvaluation(learning_rate=1e-4, decay=0.01).segment
    5
    """

    learning_rate: float
    decay: float
    segment: int = 5
    epsilon: float = 1e-3

    def __post_init__(self):
        for name, rate in (("learning_rate", self.learning_rate), ("epsilon", self.epsilon)):
            expect(is_number(rate) and rate > 0, f"{name} is {rate!r}: give a number above 0")
        decay, segment = self.decay, self.segment
        expect(is_number(decay) and decay >= 0, f"decay is {decay!r}: give a number of at least 0")
        expect(
            is_integer(segment) and segment >= 1,
            f"segment is {segment!r}: give the tokens per update, an integer of at least 1",
        )

    def score(self, lm, stream: np.ndarray, characters: int, rms: Sequence[tf.Tensor]) -> LanguageModelScore:
        """Evaluate a language model on a text, in one row.

        Args:
            lm: A `textrnn.CausalLM`. It has its weights again when this returns, or raises.
            stream: Token ids, `(tokens,)`.
            characters: The number of characters of the text.
            rms: What `gradient_rms` returns.

        Raises:
            InputError: If the stream has fewer than two tokens.
        """
        return _score(self, _learner(lm, rms), lm, stream, characters, rms)


def _learner(lm, rms):
    """Return a function that learns from a segment and returns its loss, traced once for all rates."""
    gradients_of = _gradients(lm)

    @tf.function(reduce_retracing=True, autograph=False)
    def learn(token_ids, targets, counts, states, trained, decays, learning_rate, epsilon):
        nats, gradients, states = gradients_of(token_ids, targets, counts, states)
        for weight, first, gradient, r, decay in zip(
            lm.trainable_variables, trained, gradients, rms, decays, strict=True
        ):
            moved, *factors = (tf.cast(x, r.dtype) for x in (first - weight, decay, learning_rate, epsilon))
            change = factors[0] * moved - factors[1] * gradient / (r + factors[2])
            weight.assign_add(tf.cast(change, weight.dtype))
        return nats, tf.reduce_sum(counts), states

    return learn


def _score(dynamic, learn, lm, stream, characters, rms):
    """Evaluate as `DynamicEvaluation.score` does, with a `_learner`."""
    weights = lm.trainable_variables
    trained = [tf.identity(weight.value) for weight in weights]
    mean = tf.reduce_mean([tf.cast(tf.reduce_mean(each), tf.float32) for each in rms])
    decays = [tf.minimum(dynamic.decay * each / tf.cast(mean, each.dtype), 1.0) for each in rms]
    rates = tf.constant(dynamic.learning_rate), tf.constant(dynamic.epsilon)
    states, nats, tokens = lm.backbone.get_initial_states(1), 0.0, 0.0
    try:
        for x, targets, counts in evaluation_windows(stream, 1, dynamic.segment):
            more, count, states = learn(x["token_ids"], targets, counts, states, trained, decays, *rates)
            nats, tokens = nats + float(more), tokens + float(count)
    finally:
        for weight, first in zip(weights, trained, strict=True):
            weight.assign(first)
    return score_of(nats, tokens, characters)


def gradient_rms(lm, stream: np.ndarray, segment: int = 5, rows: int = 100, batches: int = 200) -> list[Any]:
    """Return the root of the mean squared gradients of a training text, a tensor for each weight.

    Args:
        lm: A `textrnn.CausalLM`.
        stream: Token ids of the training text, `(tokens,)`.
        segment: Tokens through which gradients flow back.
        rows: Rows of a batch; a short text has fewer.
        batches: Batches at most, from the beginning of each row.

    Raises:
        InputError: If the stream has fewer than two tokens.
    """
    if len(stream) < 2:
        raise InputError(f"the training text has {len(stream)} tokens: give at least 2")
    segment = min(segment, len(stream) - 1)
    rows = max(1, min(rows, (len(stream) - 1) // segment))
    gradients_of = _gradients(lm)
    squares = [
        tf.Variable(tf.zeros(weight.shape, exact_dtype(weight.dtype))) for weight in lm.trainable_variables
    ]

    @tf.function(reduce_retracing=True, autograph=False)
    def add(token_ids, targets, states):
        _, gradients, states = gradients_of(token_ids, targets, tf.ones(tf.shape(targets)), states)
        for square, gradient in zip(squares, gradients, strict=True):
            square.assign_add(gradient**2)
        return states

    states, count = lm.backbone.get_initial_states(rows), 0
    for x, targets in itertools.islice(windows(stream, rows, segment), batches):
        states = add(x["token_ids"], targets, states)
        count += 1
    return [tf.sqrt(square / count) for square in squares]


def choose_dynamic_evaluation(
    lm, stream: np.ndarray, rms: Sequence[tf.Tensor], rates: Sequence[float] = RATES,
    decays: Sequence[float] = DECAYS, tokens: int = 5000,
) -> DynamicEvaluation:  # fmt: skip
    """Choose the learning rate and decay with the lowest loss on the beginning of a validation text.

    Args:
        lm, stream, rms: As for `DynamicEvaluation.score`.
        rates, decays: The values to choose from.
        tokens: How much of the text to read for each.

    Example:

    >>> from textrnn.text_generation.dynamic_evaluation import choose_dynamic_evaluation, gradient_rms
    >>> lm = textrnn.CausalLM(textrnn.RecurrentBackbone(vocabulary_size=10, units=4))
    >>> stream = np.arange(40) % 7
    >>> rms = gradient_rms(lm, stream)
    >>> dynamic = choose_dynamic_evaluation(lm, stream, rms, rates=(1e-3, 1e-2), decays=(0.0,))
    >>> dynamic.score(lm, stream, 40, rms).tokens
    39.0
    """
    candidates = [DynamicEvaluation(rate, decay) for rate in rates for decay in decays]
    learn = _learner(lm, rms)
    losses = [_score(each, learn, lm, stream[:tokens], 1, rms).loss for each in candidates]
    return candidates[int(np.nanargmin(losses))]


def _gradients(lm):
    """Return `f(token_ids, targets, counts, states) -> nats, gradients of the mean, states`."""

    def gradients(token_ids, targets, counts, states):
        with tf.GradientTape() as tape:
            hidden, states = lm.backbone.run(token_ids, states)
            logits = tf.cast(lm.backbone.token_embedding(hidden, reverse=True), tf.float32)
            nats = counts * tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
            loss = tf.reduce_sum(nats) / tf.maximum(tf.reduce_sum(counts), 1.0)
        found = tape.gradient(loss, [weight.value for weight in lm.trainable_variables])
        found = [
            tf.zeros(weight.shape, exact_dtype(weight.dtype))
            if gradient is None
            else tf.cast(tf.convert_to_tensor(gradient), exact_dtype(weight.dtype))
            for gradient, weight in zip(found, lm.trainable_variables, strict=True)
        ]
        return tf.reduce_sum(nats), found, keras.tree.map_structure(tf.stop_gradient, states)

    return gradients

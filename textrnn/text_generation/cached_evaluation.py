"""Evaluation of language models with a neural cache."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from textrnn.decoding.neural_cache import NONE, NeuralCache, cache_log_probs, mixed_log_probs
from textrnn.errors import InputError
from textrnn.text_generation.score import LanguageModelScore, score_of

THETAS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)


def choose_neural_cache(
    lm,
    dataset,
    characters: int,
    window: int,
    thetas: Sequence[float] = THETAS,
    shares: Sequence[float] = SHARES,
) -> tuple[NeuralCache, LanguageModelScore]:
    """Choose the neural cache with the lowest loss on a validation text, in one pass over the text.

    Args:
        lm: A `textrnn.CausalLM`.
        dataset: Windows of `textrnn.data.windows.evaluation_windows`. Each row has a cache of its own, which
            is empty at its beginning.
        characters: The number of characters of the text.
        window: Number of hidden vectors in the cache.
        thetas, shares: The values to choose from; see `textrnn.decoding.NeuralCache`.

    Returns:
        The cache, and the score with it.

    Raises:
        InputError: If a number is out of range, or the text has no tokens.

    Example:

    >>> from textrnn.data.windows import evaluation_windows
    >>> from textrnn.text_generation.cached_evaluation import choose_neural_cache
    >>> lm = textrnn.CausalLM(textrnn.RecurrentBackbone(vocabulary_size=10, units=4))
    >>> windows = evaluation_windows(np.arange(200) % 7, batch_size=1, sequence_length=20)
    >>> cache, score = choose_neural_cache(lm, windows, characters=200, window=50)
    >>> cache.window, score.perplexity < 10
    (50, True)
    """
    grid = [[NeuralCache(window, theta, share) for share in shares] for theta in thetas]
    rows = dataset.element_spec[1].shape[0]
    # States and memory, from window to window
    states = lm.backbone.get_initial_states(rows)
    memory = (
        tf.zeros([rows, window, lm.backbone.output.shape[-1]], lm.backbone.compute_dtype),
        tf.fill([rows, window], NONE),
    )
    initial = keras.tree.map_structure(tf.convert_to_tensor, states)

    @tf.function(reduce_retracing=True, autograph=False)
    def nats_of(x, targets, weights, states, keys, nexts):
        restart = tf.reshape(x["restart"], [-1, 1])
        states = keras.tree.map_structure(lambda new, old: tf.where(restart, new, old), initial, states)
        nexts = tf.where(restart, NONE, nexts)
        hidden, states = lm.backbone.run(x["token_ids"], states)
        logits = tf.cast(lm.backbone.token_embedding(hidden, reverse=True), tf.float32)
        model = -tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)  # (rows, time)
        counts = weights > 0
        keys = tf.concat([keys, hidden], axis=1)
        nexts = tf.concat([nexts, tf.where(counts, targets, NONE)], axis=1)
        time = tf.shape(targets)[1]
        step, place = tf.range(time)[:, None], tf.range(time + window)[None]
        allowed = (place >= step) & (place < step + window)  # the last pairs before this step
        nats = []
        for theta in thetas:
            cached, filled = cache_log_probs(
                tf.cast(hidden, tf.float32), tf.cast(keys, tf.float32), nexts, allowed, targets, theta
            )
            mixed = mixed_log_probs(model, cached, filled, tf.reshape(shares, [-1, 1, 1]))
            mixed = tf.where(counts, tf.cast(mixed, tf.float64), 0.0)  # (shares, rows, time)
            nats.append(-tf.reduce_sum(mixed, axis=[1, 2]))
        return (
            tf.concat(nats, axis=0),
            tf.reduce_sum(tf.cast(counts, tf.float64)),
            states,
            keys[:, time:],
            nexts[:, time:],
        )

    nats, tokens = np.zeros(len(thetas) * len(shares)), 0.0
    for x, targets, weights in dataset:
        more, count, states, *memory = nats_of(x, targets, weights, states, *memory)
        nats, tokens = nats + more.numpy(), tokens + float(count)
    if not tokens:
        raise InputError("the validation text has no tokens: give more text")
    best = int(np.argmin(nats))
    caches = [cache for row in grid for cache in row]
    return caches[best], score_of(float(nats[best]), tokens, characters)

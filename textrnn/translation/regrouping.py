"""Translations of sentences as translations of the texts that they belong to."""

import tensorflow as tf

from textrnn.decoding.beam_search import Hypotheses

MAX_STEPS = 8192
"""Maximum number of tokens of a text that are returned, with their attention weights."""


def following(lengths, rows, count):
    """Where each sentence begins if those of a text follow one another, and how long each text is.

    Args:
        lengths: Integers `(sentences, ...)`.
        rows: Integers `(sentences,)`, the text of each, ascending.
        count: Number of texts.

    Returns:
        Integers `(sentences, ...)` and `(texts, ...)`.

    Example:

    >>> from textrnn.translation.regrouping import following
    >>> [x.numpy().tolist() for x in following(tf.constant([3, 2, 5]), tf.constant([0, 0, 1]), 2)]
    [[0, 3, 0], [5, 5]]
    """
    totals = tf.math.unsorted_segment_sum(lengths, rows, count)
    first = tf.cumsum(totals, axis=0, exclusive=True)
    return tf.cumsum(lengths, axis=0, exclusive=True) - tf.gather(first, rows), totals


def any_of(values, rows, count):
    """Whether a boolean of `(sentences, ...)` is True for any sentence of a text, `(texts, ...)`."""
    return tf.math.unsorted_segment_max(tf.cast(values, tf.int32), rows, count) > 0


def hypotheses_of_texts(found, memory_mask, rows, count):
    """Join the hypotheses of sentences: the i-th of a text is the i-th of each of its sentences.

    Args:
        found: `Hypotheses` of sentences.
        memory_mask: Booleans `(sentences, time)`, padded on the right.
        rows: Integers `(sentences,)`, the text of each, ascending; a text has at least one.
        count: int32, number of texts.

    Returns:
        `Hypotheses` of texts: scores add up, tokens follow one another, attention is block-diagonal.
    """
    rows = tf.cast(rows, tf.int32)
    scores = tf.math.unsorted_segment_sum(found.scores, rows, count)

    def joined():
        beams, steps = tf.unstack(tf.shape(found.token_ids)[1:])
        places, lengths = following(found.lengths, rows, count)
        columns, times = following(tf.reduce_sum(tf.cast(memory_mask, tf.int32), axis=1), rows, count)
        longest, time = tf.minimum(tf.maximum(tf.reduce_max(lengths), steps), MAX_STEPS), tf.reduce_max(times)
        inside = tf.sequence_mask(found.lengths, steps) & (places[..., None] + tf.range(steps) < longest)

        def moved(values, mask, *sizes):
            """Values `(sentences, beams, steps, ...)` at the places that they have in texts."""
            at = tf.cast(tf.where(mask), tf.int32)
            sentence, beam, step, *column = tf.unstack(at, axis=1)
            place = [tf.gather(rows, sentence), beam, step + tf.gather_nd(places, at[:, :2])]
            place += [x + tf.gather(columns, sentence) for x in column]
            values = tf.boolean_mask(values, mask)
            return tf.scatter_nd(tf.stack(place, axis=1), values, [count, beams, longest, *sizes])

        attended = inside[..., None] & memory_mask[:, None, None]
        return (
            moved(found.token_ids, inside),
            tf.minimum(lengths, longest),
            moved(found.attention, attended, time),
        )

    same = (found.token_ids, found.lengths, found.attention)
    token_ids, lengths, attention = tf.cond(tf.equal(tf.size(rows), count), lambda: same, joined)
    return Hypotheses(token_ids, lengths, scores, attention)

"""Attribution of predictions to tokens and words, by integrated gradients.

Integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365) average the gradient with respect to the
token vectors along the straight line from zero vectors to those of the text, and multiply it by the vectors.
The attributions of a text sum to the difference between its log-odds and those of the zero vectors. The code
is TensorFlow alone, so that exports include it.
"""

from typing import NamedTuple

import tensorflow as tf

from textrnn.tokenizers import lowercased, valid_utf8
from textrnn.unspaced import UNSPACED

STEPS = 64
"""Number of points on the line."""

ROWS = 32
"""Number of rows that are computed at a time, several points of each text: a loop over time takes about as
long for a few rows as for one."""

TOKENS = 2**14
"""Maximum number of tokens that are computed at a time, padding included: the states of all are kept for the
gradient, about 100 KB for each."""


def log_odds(logits, target):
    """Return the log-odds of a class against all others.

    Args:
        logits: `(batch, classes)`.
        target: The class of each row, int32 `(batch,)`.

    Returns:
        `(batch,)`, in nats.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.classification.attribution import log_odds
    >>> log_odds(tf.constant([[3.0, 1.0]]), tf.constant([0])).numpy().tolist()
    [2.0]
    """
    chosen = tf.one_hot(target, tf.shape(logits)[1], on_value=True, off_value=False, dtype=tf.bool)
    others = tf.where(chosen, tf.constant(-1e9, logits.dtype), logits)
    return tf.gather(logits, target, batch_dims=1) - tf.reduce_logsumexp(others, axis=1)


class Attributions(NamedTuple):
    """The attributions of texts.

    Attributes:
        of_tokens: Those of the network's tokens `(batch, time)`, 0 for padding.
        directions: What a unit of each logit of the linear part adds `(batch, classes)`; zeros without one.
        difference: What all attributions sum to, up to the error of the integration `(batch,)`: the log-odds
            of the text minus those of zero vectors without n-grams.
    """

    of_tokens: tf.Tensor
    directions: tf.Tensor
    difference: tf.Tensor


def attributions_of(classifier, token_ids, padding_mask, target, linear_logits=None, steps=STEPS):
    """Attribute the log-odds of a class to the tokens of a text, and to the logits of the linear part.

    Args:
        classifier: A `textrnn.TextClassifier`.
        token_ids: int32 `(batch, time)`.
        padding_mask: bool `(batch, time)`.
        target: The class of each row, int32 `(batch,)`.
        linear_logits: The logits of the linear part `(batch, classes)`, if the classifier has one.
        steps: int. Number of points on the line from zero vectors to those of the text.

    Returns:
        `Attributions`. The linear part is attributed exactly by `classifier.linear.attributions` of the
        `directions`.

    Example:

    >>> import tensorflow as tf, textrnn
    >>> from textrnn.classification.attribution import attributions_of
    >>> from textrnn.classification.backbone import RecurrentEncoder
    >>> from textrnn.classification.text_classifier import TextClassifier
    >>> classifier = TextClassifier(RecurrentEncoder(9, units=4), ["bad", "good"])
    >>> found = attributions_of(
    ...     classifier, tf.constant([[3, 4, 5]]), tf.ones([1, 3], tf.bool), tf.constant([1]), steps=8
    ... )
    >>> difference = found.difference[0]
    >>> bool(abs(tf.reduce_sum(found.of_tokens) - difference) < 0.05 * abs(difference))
    True
    """
    rows = tf.maximum(TOKENS // tf.maximum(tf.shape(token_ids)[1], 1), 1)
    given = [token_ids, padding_mask, target] + ([] if linear_logits is None else [linear_logits])

    def group(start, *found):
        part = (whole[start : start + rows] for whole in given)
        new = _attributions_of_group(classifier, steps, tf.minimum(rows, ROWS), *part)
        return start + rows, *(tf.concat(parts, axis=0) for parts in zip(found, new, strict=True))

    classes = len(classifier.labels)
    none = tf.zeros([0, tf.shape(token_ids)[1]]), tf.zeros([0, classes]), tf.zeros([0])
    shapes = tf.TensorShape([None, None]), tf.TensorShape([None, classes]), tf.TensorShape([None])
    _, *found = tf.while_loop(
        lambda start, *_: start < tf.shape(token_ids)[0],
        group,
        (tf.constant(0), *none),
        (tf.TensorShape([]), *shapes),
        parallel_iterations=1,  # keeps one group at a time in memory
    )
    return Attributions(*found)


def _attributions_of_group(classifier, steps, rows, token_ids, padding_mask, target, linear_logits=None):
    """The `Attributions` of a few texts, with so many rows at a time, or one for each text."""
    # The integration variables: the token vectors, the logits that n-grams of tokens add, and those that the
    # n-grams of the text add.
    variables = {}
    if linear_logits is None or classifier.network_weight:  # a network of weight 0 does not run
        vectors = classifier.backbone.token_embedding(token_ids)
        variables["vectors"] = tf.where(padding_mask[..., tf.newaxis], vectors, tf.zeros_like(vectors))
        if classifier.ngram_logits is not None:
            variables["of_tokens"] = classifier.ngram_logits.of_tokens(token_ids, padding_mask)
    if linear_logits is not None:
        variables["linear"] = linear_logits - classifier.linear.bias
    texts = tf.shape(token_ids)[0]

    def target_log_odds(count, vectors=None, of_tokens=None, linear=None):
        """The log-odds at `count` points, `(points * texts,)`."""
        logits = 0.0
        if vectors is not None:
            mask = tf.tile(padding_mask, [count, 1])
            hidden = classifier.backbone.read(vectors, mask, training=False)
            logits = tf.cast(classifier.score(hidden, mask, training=False), tf.float32)
        if of_tokens is not None:
            logits = logits + tf.reduce_sum(of_tokens, axis=1) + classifier.ngram_logits.bias
        if linear is not None:
            logits = classifier.combine(logits, linear + classifier.linear.bias)
        return log_odds(logits / classifier.temperature, tf.tile(target, [count]))

    together = tf.clip_by_value(rows // tf.maximum(texts, 1), 1, steps)

    def step(index, *totals):
        # The midpoint rule over the cube root of the position: the log-odds change most near the start, where
        # gates are not saturated. Evenly spaced points have ten times the error.
        count = tf.minimum(together, steps - index)
        places = (tf.cast(index + tf.range(count), tf.float32) + 0.5) / steps
        points = {name: _multiples(whole, places**3) for name, whole in variables.items()}
        with tf.GradientTape() as tape:
            tape.watch(points)
            total_log_odds = tf.reduce_sum(target_log_odds(count, **points))
        gradients = tape.gradient(total_log_odds, list(points.values()))
        slopes = [_weighted_sum(gradient, 3 * places**2 / steps, texts) for gradient in gradients]
        return index + count, *(total + slope for total, slope in zip(totals, slopes, strict=True))

    start = (tf.constant(0), *(tf.zeros_like(whole, tf.float32) for whole in variables.values()))
    shapes = tuple(tf.TensorShape([None] * (len(zero.shape) - 1) + zero.shape[-1:]) for zero in start[1:])
    shapes = (tf.TensorShape([]), *shapes)
    _, *totals = tf.while_loop(lambda index, *_: index < steps, step, start, shapes, parallel_iterations=1)
    slopes = dict(zip(variables, totals, strict=True))
    directions = slopes.pop("linear", tf.zeros([texts, len(classifier.labels)]))
    whole_and_zeros = {name: _multiples(whole, tf.constant([1.0, 0.0])) for name, whole in variables.items()}
    of_texts, of_zeros = tf.split(target_log_odds(2, **whole_and_zeros), 2)
    return Attributions(
        sum(
            (
                tf.reduce_sum(tf.cast(variables[name], tf.float32) * slope, axis=-1)
                for name, slope in slopes.items()
            ),
            start=tf.zeros(tf.shape(token_ids)),
        ),
        directions,
        of_texts - of_zeros,
    )


def _multiples(x, factors):
    """A tensor `(texts, ...)` times each of the factors `(points,)`, as `(points * texts, ...)`."""
    factors = tf.reshape(tf.cast(factors, x.dtype), [-1, *[1] * len(x.shape)])
    rows = tf.reshape(factors * x, tf.concat([[tf.size(factors) * tf.shape(x)[0]], tf.shape(x)[1:]], axis=0))
    return tf.ensure_shape(rows, [None, *x.shape[1:]])


def _weighted_sum(x, weights, texts):
    """A tensor `(points * texts, ...)`, weighted by `(points,)` and summed over the points, in float32."""
    x = tf.reshape(tf.cast(x, tf.float32), tf.concat([[tf.size(weights), texts], tf.shape(x)[1:]], axis=0))
    return tf.reduce_sum(tf.reshape(weights, [-1, *[1] * (len(x.shape) - 1)]) * x, axis=0)


def words_of(tokenizer, token_ids):
    """Group tokens into words.

    Words start at whitespace, or at every token if tokens are words. In scripts without spaces between words,
    they start at every token that is a whole character or more.

    Args:
        tokenizer: One of `textrnn.tokenizers`.
        token_ids: A `tf.RaggedTensor` of int32 `(batch, (tokens))`.

    Returns:
        The words, strings `(batch, (words))`, and the position of each token's word, int32
        `(batch, (tokens))`.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.classification.attribution import words_of
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> words, positions = words_of(ByteTokenizer(), ByteTokenizer()(["so dull"]))
    >>> words.to_list(), positions.to_list()
    ([[b'so', b'dull']], [[0, 0, 1, 1, 1, 1, 1]])
    >>> words, _ = words_of(ByteTokenizer(), ByteTokenizer()(["太 bad"]))
    >>> [word.decode() for word in words.to_list()[0]]
    ['太', 'bad']
    """
    token_ids = token_ids.with_row_splits_dtype(tf.int64)
    rows = token_ids.value_rowids()
    changes = rows[1:] != rows[:-1]
    first = tf.concat([[True], changes], axis=0)[: tf.size(rows)]
    last = tf.concat([changes, [True]], axis=0)[: tf.size(rows)]

    def detokenized(starts):
        """The strings of groups of tokens, and the group of each token, numbered across the batch."""
        group = tf.cumsum(tf.cast(starts, tf.int64)) - 1
        count = tf.reduce_sum(tf.cast(starts, tf.int64))
        tokens = tf.RaggedTensor.from_value_rowids(token_ids.values, group, count, validate=False)
        return tokenizer.detokenize(tokens), group

    # Whole characters, since a tokenizer may split one into bytes: those after its first byte are 10xxxxxx.
    tokens, _ = detokenized(tf.ones_like(first))
    first_byte = tf.io.decode_raw(tokens, tf.uint8, fixed_length=1)[:, 0]
    starts_character = first | (tf.bitwise.bitwise_and(first_byte, 0xC0) != 0x80)
    characters, character = detokenized(starts_character)
    pieces = tf.gather(characters, character)
    before = tf.concat([[""], pieces], axis=0)[:-1]

    # \C matches any byte, since a piece need not be valid UTF-8. Marks, as vowels of Thai are, start no word.
    at_boundary = tf.strings.regex_full_match(pieces, rf"[\s{UNSPACED}]\C*")
    at_boundary |= tf.strings.regex_full_match(before, rf"\C*[\s{UNSPACED}]")
    at_boundary &= starts_character & ~tf.strings.regex_full_match(pieces, r"\p{M}\C*")
    # Whitespace belongs to the word after it; at the end of a text, to the word before it.
    is_blank = lambda strings: tf.strings.length(tf.strings.strip(strings)) == 0  # noqa: E731
    starts = first | (at_boundary & ~is_blank(before) & ~(is_blank(pieces) & last))
    words, word = detokenized(starts | tokenizer.tokens_are_words)
    row_of_word = tf.boolean_mask(rows, starts | tokenizer.tokens_are_words)
    ragged = tf.RaggedTensor.from_value_rowids(tf.strings.strip(words), row_of_word, token_ids.nrows())
    positions = word - tf.gather(ragged.row_starts(), rows)
    return ragged, token_ids.with_values(tf.cast(positions, tf.int32))


def as_written(texts, words, tokenizer, lowercase=False):
    """Restore the case of words, and words that the tokenizer does not know, from the original texts.

    A word is replaced by the word of the text at its position if both are equal but for case, or if it is
    unknown and all other words of the text match.

    Args:
        texts: The strings `(batch,)` that were tokenized.
        words: The words of each text from `words_of`, strings `(batch, (words))`. They may be the first
            words only, and the last of them may be cut.
        tokenizer: The tokenizer that gave them.
        lowercase: Whether the texts were lowercased before.

    Returns:
        Strings `(batch, (words))`.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.classification.attribution import as_written
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> words = tf.ragged.constant([["so", "du"]])
    >>> as_written(["So  DULL it is"], words, ByteTokenizer(), lowercase=True).to_list()
    [[b'So', b'DU']]
    """
    texts = valid_utf8(texts)
    # A word tokenizer makes newlines empty words, which `split` does not return.
    is_counted = words.values != ""
    if not tokenizer.tokens_are_words:  # words of scripts without spaces have no case to restore
        texts = tf.strings.regex_replace(texts, f"[{UNSPACED}]", " ")
        is_counted &= ~tf.strings.regex_full_match(words.values, rf"\C*[{UNSPACED}]\C*")
    written = tf.strings.split(texts)
    counts = tf.cast(is_counted, tf.int64)
    rows, before = words.value_rowids(), tf.cumsum(counts, exclusive=True)
    place = before - tf.gather(before, tf.gather(words.row_starts(), rows))
    found = (counts > 0) & (place < tf.gather(written.row_lengths(), rows))
    place = tf.where(found, place + tf.gather(written.row_starts(), rows), 0)
    whole = tf.where(found, tf.gather(tf.concat([written.values, [""]], axis=0), place), "")

    lengths = tf.strings.length(words.values, "UTF8_CHAR")
    read = tf.strings.substr(whole, tf.zeros_like(lengths), lengths, "UTF8_CHAR")
    same = words.values == (lowercased(read) if lowercase else read)
    # All unknown words are `<unk>`, so the other words must show that the positions match.
    unknown = found & tokenizer.tokens_are_words & (words.values == "<unk>")
    strange = tf.cast(~(same | unknown), tf.int32)
    in_place = tf.gather(tf.math.unsorted_segment_sum(strange, rows, words.nrows()), rows) == 0
    named = tf.where(unknown & in_place, whole, words.values)
    return words.with_values(tf.where(same, read, named))

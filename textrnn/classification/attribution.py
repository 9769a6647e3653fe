"""Why a classifier said what it said: how much each word of a text moved its decision.

Integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365): the gradient by the token vectors, averaged
on the straight way from no text (vectors of zeros) to the text, times the vectors. What the words of a text
get adds up to how far the decision is from that about no text. All of it is TensorFlow, so that an export can
answer it without Keras.
"""

import tensorflow as tf

from textrnn.tokenizers import valid_utf8

STEPS = 64
"""How many points of the way are looked at."""


def log_odds(logits, target):
    """How sure a classifier is of a class: the logarithm of its odds against all others.

    Args:
        logits: `(batch, classes)`.
        target: the class of each row, int32 `(batch,)`.

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


def token_attributions(classifier, token_ids, padding_mask, target, steps=STEPS):
    """How much each token moved the log-odds of a class.

    Args:
        classifier: a `textrnn.TextClassifier`.
        token_ids: int32 `(batch, time)`.
        padding_mask: bool `(batch, time)`.
        target: the class of each row, int32 `(batch,)`.
        steps: int, how many points of the way are looked at.

    Returns:
        The attributions `(batch, time)`, zero at padding, and the difference `(batch,)` that they add up to:
        the log-odds of the text minus those of no text.

    Example:
    >>> import tensorflow as tf, textrnn
    >>> from textrnn.classification.attribution import token_attributions
    >>> from textrnn.classification.backbone import RecurrentEncoder
    >>> from textrnn.classification.text_classifier import TextClassifier
    >>> classifier = TextClassifier(RecurrentEncoder(9, units=4), ["bad", "good"])
    >>> attributions, difference = token_attributions(
    ...     classifier, tf.constant([[3, 4, 5]]), tf.ones([1, 3], tf.bool), tf.constant([1])
    ... )
    >>> bool(abs(tf.reduce_sum(attributions) - difference[0]) < 0.05 * abs(difference[0]))
    True
    """
    vectors = classifier.backbone.token_embedding(token_ids)
    vectors = tf.where(padding_mask[..., tf.newaxis], vectors, tf.zeros_like(vectors))
    # What moves a decision: the token vectors, and what the n-grams of a token say beside the network.
    moving = [vectors]
    if classifier.ngram_logits is not None:
        moving.append(classifier.ngram_logits.of_tokens(token_ids, padding_mask))

    def decided(vectors, of_ngrams=None):
        hidden = classifier.backbone.read(vectors, padding_mask, training=False)
        logits = classifier.score(hidden, padding_mask, training=False)
        if of_ngrams is not None:
            logits = logits + tf.reduce_sum(of_ngrams, axis=1) + classifier.ngram_logits.bias
        return log_odds(tf.cast(logits, tf.float32) / classifier.temperature, target)

    def step(index, *totals):
        # The midpoint rule, over the cube root of the way: most of a decision is made near the beginning of
        # it, where gates are not saturated yet; evenly spaced points miss the sum by ten times as much.
        place = (tf.cast(index, tf.float32) + 0.5) / steps
        points, width = [whole * tf.cast(place**3, whole.dtype) for whole in moving], 3 * place**2 / steps
        with tf.GradientTape() as tape:
            tape.watch(points)
            decision = tf.reduce_sum(decided(*points))
        gradients = tape.gradient(decision, points)
        slopes = [width * tf.cast(gradient, tf.float32) for gradient in gradients]
        return index + 1, *(total + slope for total, slope in zip(totals, slopes, strict=True))

    start = (tf.constant(0), *(tf.zeros_like(whole, tf.float32) for whole in moving))
    shapes = (tf.TensorShape([]), *(tf.TensorShape([None, None, whole.shape[-1]]) for whole in moving))
    _, *totals = tf.while_loop(lambda index, *_: index < steps, step, start, shapes, parallel_iterations=1)
    attributions = sum(
        tf.reduce_sum(tf.cast(whole, tf.float32) * total, axis=-1)
        for whole, total in zip(moving, totals, strict=True)
    )
    return attributions, decided(*moving) - decided(*map(tf.zeros_like, moving))


def words_of(tokenizer, token_ids):
    """Which words tokens belong to: a word begins at a space, or with every token where tokens are words.

    Args:
        tokenizer: one of `textrnn.tokenizers`.
        token_ids: a `tf.RaggedTensor` int32 `(batch, (tokens))`.

    Returns:
        The words, strings `(batch, (words))`, and for each token the position of its word, int32
        `(batch, (tokens))`.

    Example:
    >>> import tensorflow as tf
    >>> from textrnn.classification.attribution import words_of
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> words, positions = words_of(ByteTokenizer(), ByteTokenizer()(["so dull"]))
    >>> words.to_list(), positions.to_list()
    ([[b'so', b'dull']], [[0, 0, 1, 1, 1, 1, 1]])
    """
    token_ids = token_ids.with_row_splits_dtype(tf.int64)
    pieces = tokenizer.detokenize(tf.RaggedTensor.from_uniform_row_length(token_ids.values, 1))
    before = tf.concat([[""], pieces], axis=0)[:-1]
    # \C is any byte: a piece need not be valid UTF-8.
    at_space = tf.strings.regex_full_match(pieces, r"\s\C*") | tf.strings.regex_full_match(before, r"\C*\s")
    # Spaces belong to the word behind them, however many pieces they are, and at the end to the one before.
    is_blank = lambda strings: tf.strings.length(tf.strings.strip(strings)) == 0  # noqa: E731
    rows = token_ids.value_rowids()
    changes = rows[1:] != rows[:-1]
    first = tf.concat([[True], changes], axis=0)[: tf.size(rows)]
    last = tf.concat([changes, [True]], axis=0)[: tf.size(rows)]
    starts = first | (at_space & ~is_blank(before) & ~(is_blank(pieces) & last)) | tokenizer.tokens_are_words
    word = tf.cumsum(tf.cast(starts, tf.int64)) - 1  # counted through the whole batch
    count = tf.reduce_sum(tf.cast(starts, tf.int64))
    # Together, not piece by piece: a character may be spelt in bytes.
    tokens = tf.RaggedTensor.from_value_rowids(token_ids.values, word, count, validate=False)
    words = tf.strings.strip(tokenizer.detokenize(tokens))
    row_of_word = tf.boolean_mask(rows, starts)
    ragged = tf.RaggedTensor.from_value_rowids(words, row_of_word, token_ids.nrows())
    positions = word - tf.gather(ragged.row_starts(), rows)
    return ragged, token_ids.with_values(tf.cast(positions, tf.int32))


def as_written(texts, words, tokenizer, lowercase=False):
    """The words of `words_of` as their texts spell them: in their own case, and those that are not known too.

    A word is taken from the text if it is the same but for its case. So nothing is claimed where lower-casing
    moves the boundaries of words: such words stay as they are.

    Args:
        texts: the strings `(batch,)` that were tokenized.
        words: strings `(batch, (words))`: all words of each text, or the first of them. The last may be cut.
        tokenizer: the tokenizer that gave them.
        lowercase: whether the texts were lower-cased before.

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
    written = tf.strings.split(valid_utf8(texts))
    # The newlines of a tokenizer of words are words without a letter, which splitting leaves out.
    counts = tf.cast(words.values != "", tf.int64)
    rows, before = words.value_rowids(), tf.cumsum(counts, exclusive=True)
    place = before - tf.gather(before, tf.gather(words.row_starts(), rows))
    found = (counts > 0) & (place < tf.gather(written.row_lengths(), rows))
    place = tf.where(found, place + tf.gather(written.row_starts(), rows), 0)
    whole = tf.where(found, tf.gather(tf.concat([written.values, [""]], axis=0), place), "")

    lengths = tf.strings.length(words.values, "UTF8_CHAR")
    read = tf.strings.substr(whole, tf.zeros_like(lengths), lengths, "UTF8_CHAR")
    same = words.values == (tf.strings.lower(read, "utf-8") if lowercase else read)
    # An unknown word looks like every other, so it is its neighbours that say which one it is.
    unknown = found & tokenizer.tokens_are_words & (words.values == "<unk>")
    strange = tf.cast(~(same | unknown), tf.int32)
    in_place = tf.gather(tf.math.unsorted_segment_sum(strange, rows, words.nrows()), rows) == 0
    named = tf.where(unknown & in_place, whole, words.values)
    return words.with_values(tf.where(same, read, named))

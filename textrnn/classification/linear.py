"""A linear classifier of the n-grams of a text, computed from the string inside the graph."""

import keras
import tensorflow as tf

from textrnn.classification.text_ngrams import HASHES, characters_of, text_ngrams
from textrnn.errors import InputError

GROUP = 256
"""Texts whose n-grams are in memory at a time."""


@keras.saving.register_keras_serializable("textrnn")
class LinearTextLogits(keras.layers.Layer):
    """Logits of a linear classifier of TF-IDF features, to be combined with the logits of a network.

    The features are those of a union of scikit-learn's `TfidfVectorizer`s of words and of characters within
    words, with sublinear term frequencies and a norm of 1 for each of the two, hashed; see `text_ngrams`.
    `textrnn.classification.fitting.fit_linear` makes it, and fits its weights by logistic regression. Only
    n-grams that have a weight are stored, sorted by their hashes.

    Args:
        classes: int. Number of logits.
        features: int. Number of n-grams with a weight.
        words, characters: Pairs of the least and the greatest size of n-grams; see `text_ngrams`.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        texts: Strings `(batch,)`.

    Returns:
        float32 `(batch, classes)`.

    Raises:
        InputError: If `classes` is less than 2 or `features` less than 1.

    Example:

    >>> import numpy as np, tensorflow as tf
    >>> from textrnn.classification.fitting import fit_linear
    >>> linear = fit_linear(["dull", "a joy", "so dull", "joy"], np.array([0, 1, 0, 1]), classes=2).linear
    >>> linear(tf.constant(["what a joy", "Dull!"])).numpy().argmax(axis=1).tolist()
    [1, 0]
    """

    def __init__(self, classes, features, words=(1, 2), characters=(2, 5), **kwargs):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if classes < 2 or features < 1:
            raise InputError(
                f"classes={classes}, features={features}: expected 2 classes or more, and 1 feature or more"
            )
        self.classes, self.features = classes, features
        self.words, self.characters = tuple(words), tuple(characters)
        self.build()

    def build(self, texts_shape=None):
        """Create the weights: hashes, inverse document frequencies, a kernel and a bias."""
        zeros = {"initializer": "zeros", "trainable": False}
        self.hashes = self.add_weight(shape=(self.features,), dtype="int32", name="hashes", **zeros)
        self.frequency = self.add_weight(shape=(self.features,), name="inverse_document_frequency", **zeros)
        self.kernel = self.add_weight(shape=(self.features, self.classes), name="kernel", **zeros)
        self.bias = self.add_weight(shape=(self.classes,), name="bias", **zeros)
        self.built = True

    def call(self, texts):
        """Return the logits; see the class."""
        texts = tf.convert_to_tensor(texts, tf.string)

        def group(start, logits):
            found = self._logits(texts[start : start + GROUP])
            return start + GROUP, tf.concat([logits, found], axis=0)

        _, logits = tf.while_loop(
            lambda start, _: start < tf.size(texts),
            group,
            (tf.constant(0), tf.zeros([0, self.classes])),
            (tf.TensorShape([]), tf.TensorShape([None, self.classes])),
            parallel_iterations=1,  # keeps one group at a time in memory
        )
        return logits

    def _logits(self, texts):
        found = text_ngrams(texts, self.words, self.characters)
        rows, hashes, counts = counted(found)
        rows, columns, values = self._features(rows, hashes, counts, tf.size(texts))
        features = tf.SparseTensor(
            tf.stack([rows, columns], axis=1), values, [tf.size(texts, tf.int64), self.features]
        )
        return tf.sparse.sparse_dense_matmul(features, _value(self.kernel)) + self.bias

    def _features(self, rows, hashes, counts, texts):
        """Return rows, columns and values of the n-grams that have a weight."""
        columns, known = find(_value(self.hashes), hashes)
        rows, columns, counts = (tf.boolean_mask(each, known) for each in (rows, columns, counts))
        values = tfidf(rows, columns, counts, _value(self.hashes), _value(self.frequency), texts)
        return rows, columns, values

    def attributions(self, texts, directions, words):
        """Return what each word adds to a weighted sum of the logits, without the bias.

        The term of an n-gram is split evenly among its characters.

        Args:
            texts: Strings `(batch,)`.
            directions: The weight of each logit, float32 `(batch, classes)`.
            words: All words of the texts, strings `(batch, (words))`.

        Returns:
            float32 `(batch, (words))`. A row sums to the logits times the directions, without the bias.
        """
        found = text_ngrams(texts, self.words, self.characters)
        columns, known = find(_value(self.hashes), found.hashes)
        found = found._replace(
            **{
                name: tf.boolean_mask(getattr(found, name), known)
                for name in ("rows", "hashes", "starts", "ends")
            }
        )
        columns = tf.boolean_mask(columns, known)
        # The value of an n-gram is shared by its occurrences.
        key = found.rows * self.features + columns
        distinct, which, counts = tf.unique_with_counts(key)
        rows, of_row = distinct // self.features, distinct % self.features
        values = tfidf(rows, of_row, counts, _value(self.hashes), _value(self.frequency), tf.size(texts))
        slopes = tf.reduce_sum(tf.gather(_value(self.kernel), of_row) * tf.gather(directions, rows), axis=1)
        terms = tf.gather(values * slopes / tf.cast(counts, tf.float32), which)
        return _spread(terms, found, words)

    def rescale(self, factor):
        """Multiply the logits by `factor` from now on."""
        self.kernel.assign(self.kernel * factor)
        self.bias.assign(self.bias * factor)

    def compute_output_shape(self, texts_shape):
        """Return `(batch, classes)`."""
        return (texts_shape[0], self.classes)

    def get_config(self):
        """Return the arguments of the constructor."""
        return super().get_config() | {
            "classes": self.classes,
            "features": self.features,
            "words": self.words,
            "characters": self.characters,
        }


def counted(ngrams):
    """Count the n-grams of each text.

    Args:
        ngrams: `NGrams`.

    Returns:
        Texts, int64, hashes, int32, and counts, int32, of each different n-gram of each text,
        `(n-grams,)`.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.classification.linear import counted
    >>> from textrnn.classification.text_ngrams import text_ngrams
    >>> rows, _, counts = counted(text_ngrams(tf.constant(["so so", "so"]), words=(1, 1), characters=(1, 0)))
    >>> rows.numpy().tolist(), counts.numpy().tolist()
    ([0, 1], [2, 1])
    """
    hashes = 2 * HASHES
    keys, _, counts = tf.unique_with_counts(ngrams.rows * hashes + tf.cast(ngrams.hashes, tf.int64))
    return keys // hashes, tf.cast(keys % hashes, tf.int32), counts


def find(known, hashes):
    """Return the column of each hash, int64, and whether it has one; `known` are the sorted hashes."""
    columns = tf.minimum(tf.searchsorted(known, hashes, out_type=tf.int64), tf.size(known, tf.int64) - 1)
    return columns, tf.gather(known, columns) == hashes


def tfidf(rows, columns, counts, hashes, frequency, texts):
    """Return TF-IDF values with sublinear term frequencies, of norm 1 for each kind of n-grams of a text.

    Args:
        rows, columns, counts: The text, column and count of each n-gram, `(n-grams,)`.
        hashes, frequency: The hash and the inverse document frequency of each column.
        texts: The number of texts.

    Returns:
        float32 `(n-grams,)`.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.classification.linear import tfidf
    >>> tfidf(tf.constant([0, 0]), [0, 1], [1, 1], [5, 7], [3.0, 4.0], 1).numpy().tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    values = (1 + tf.math.log(tf.cast(counts, tf.float32))) * tf.gather(frequency, columns)
    kinds = tf.cast(tf.gather(hashes, columns) // HASHES, rows.dtype)
    blocks = rows * 2 + kinds
    squares = tf.math.unsorted_segment_sum(values**2, blocks, 2 * tf.cast(texts, rows.dtype))
    return values / tf.gather(tf.sqrt(squares), blocks)


def _value(variable):
    return tf.convert_to_tensor(variable)


def _spread(terms, ngrams, words):
    """Split the term of each n-gram among its characters, and add those of each word.

    Args:
        terms: float32 `(n-grams,)`.
        ngrams: Their `NGrams`.
        words: Strings `(batch, (words))`.
    """
    offsets = tf.concat([[0], tf.cumsum(ngrams.lengths)], axis=0)
    offset, size = tf.gather(offsets, ngrams.rows), offsets[-1]
    # In double precision, since the density of a character is a difference of sums.
    density = tf.cast(terms, tf.float64) / tf.cast(ngrams.ends - ngrams.starts, tf.float64)
    steps = tf.math.unsorted_segment_sum(
        tf.concat([density, -density], axis=0),
        tf.concat([offset + ngrams.starts, offset + ngrams.ends], axis=0),
        size + 1,
    )
    of_characters = tf.cumsum(steps)[:-1]

    # Words may be spelled in another way, such as unknown ones: the last of a text gets what remains.
    words = words.with_row_splits_dtype(tf.int64)
    lengths = tf.cast(characters_of(words.values), tf.int64)
    before = tf.concat([[0], tf.cumsum(lengths)], axis=0)
    rows = words.value_rowids()
    ends = before[1:] - tf.gather(tf.gather(before, words.row_splits), rows)
    last = tf.range(tf.size(rows, tf.int64)) == tf.gather(words.row_limits(), rows) - 1
    own = tf.gather(ngrams.lengths, rows)
    ends = tf.gather(offsets, rows) + tf.where(last, own, tf.minimum(ends, own))
    word = tf.searchsorted(ends, tf.range(size), side="right", out_type=tf.int64)
    summed = tf.math.unsorted_segment_sum(of_characters, word, tf.size(rows, tf.int64))
    return words.with_values(tf.cast(summed, tf.float32))

"""A linear classifier of the n-grams of a text, computed from the string inside the graph."""

import itertools

import keras
import numpy as np
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
        features: int. Number of n-grams with a weight. Or a list, for a sum of classifiers of different
            texts: the number of n-grams of each. Each has its own frequencies and norms.
        words, characters: Pairs of the least and the greatest size of n-grams; see `text_ngrams`.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        texts: Strings `(batch,)`.

    Returns:
        float32 `(batch, classes)`.

    Raises:
        InputError: If `classes` is less than 2 or a number of features less than 1.

    Example:

    >>> import numpy as np, tensorflow as tf
    >>> from textrnn.classification.fitting import fit_linear
    >>> linear = fit_linear(["dull", "a joy", "so dull", "joy"], np.array([0, 1, 0, 1]), classes=2).linear
    >>> linear(tf.constant(["what a joy", "Dull!"])).numpy().argmax(axis=1).tolist()
    [1, 0]
    """

    def __init__(self, classes, features, words=(1, 2), characters=(2, 5), **kwargs):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.sizes = [features] if isinstance(features, int) else [*features]
        if classes < 2 or min(self.sizes, default=0) < 1:
            raise InputError(
                f"classes={classes}, features={features}: expected 2 classes or more, and 1 feature or more"
            )
        self.classes, self.features = classes, features
        self.words, self.characters = tuple(words), tuple(characters)
        self.build()

    def build(self, texts_shape=None):
        """Create the weights: hashes, inverse document frequencies, a kernel and a bias."""
        zeros, total = {"initializer": "zeros", "trainable": False}, sum(self.sizes)
        self.hashes = self.add_weight(shape=(total,), dtype="int32", name="hashes", **zeros)
        self.frequency = self.add_weight(shape=(total,), name="inverse_document_frequency", **zeros)
        self.kernel = self.add_weight(shape=(total, self.classes), name="kernel", **zeros)
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
            tf.stack([rows, columns], axis=1), values, [tf.size(texts, tf.int64), sum(self.sizes)]
        )
        return tf.sparse.sparse_dense_matmul(features, _value(self.kernel)) + self.bias

    def _features(self, rows, hashes, counts, texts):
        """Return rows, columns and values of the n-grams that have a weight."""
        found = []
        for start, known_hashes, frequency, _ in self._parts():
            columns, known = find(known_hashes, hashes)
            of_rows, columns, of_counts = (tf.boolean_mask(each, known) for each in (rows, columns, counts))
            values = tfidf(of_rows, columns, of_counts, known_hashes, frequency, texts)
            found.append((of_rows, start + columns, values))
        return tuple(tf.concat(each, axis=0) for each in zip(*found, strict=True))

    def _parts(self):
        """Return the first column of each classifier of the sum, its hashes, frequencies and kernel."""
        weights = [
            tf.split(_value(each), self.sizes, axis=0) for each in (self.hashes, self.frequency, self.kernel)
        ]
        starts = itertools.accumulate(self.sizes[:-1], initial=0)
        return list(zip(starts, *weights, strict=True))

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
        ngrams = text_ngrams(texts, self.words, self.characters)
        return sum(
            _attributions(ngrams, hashes, frequency, kernel, directions, words)
            for _, hashes, frequency, kernel in self._parts()
        )

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


def weighted_sum(parts):
    """Return a classifier whose logits are a sum of those of others.

    Args:
        parts: Pairs of a `LinearTextLogits` and its factor. All have the same classes and sizes of n-grams.

    Example:

    >>> import numpy as np, tensorflow as tf
    >>> from textrnn.classification.fitting import fit_linear
    >>> from textrnn.classification.linear import weighted_sum
    >>> one = fit_linear(["dull", "a joy"] * 3, np.array([0, 1] * 3), classes=2).linear
    >>> other = fit_linear(["so bad", "good"] * 3, np.array([0, 1] * 3), classes=2).linear
    >>> both = weighted_sum([(one, 1.0), (other, 0.5)])
    >>> text = tf.constant(["a good joy"])
    >>> bool(np.allclose(both(text), one(text) + 0.5 * other(text), atol=1e-5))
    True
    """
    first = parts[0][0]
    sizes = [size for linear, _ in parts for size in linear.sizes]
    made = LinearTextLogits(first.classes, sizes, first.words, first.characters, name=first.name)
    hashes, frequencies, kernels, biases = zip(*(linear.get_weights() for linear, _ in parts), strict=True)
    factors = [factor for _, factor in parts]
    made.set_weights(
        [
            np.concatenate(hashes),
            np.concatenate(frequencies),
            np.concatenate([factor * kernel for factor, kernel in zip(factors, kernels, strict=True)]),
            sum(factor * bias for factor, bias in zip(factors, biases, strict=True)),
        ]
    )
    return made


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


def _attributions(ngrams, hashes, frequency, kernel, directions, words):
    """Return what each word adds to a weighted sum of the logits of one classifier, without the bias."""
    columns, known = find(hashes, ngrams.hashes)
    kept = {
        name: tf.boolean_mask(getattr(ngrams, name), known) for name in ("rows", "hashes", "starts", "ends")
    }
    ngrams, columns, size = ngrams._replace(**kept), tf.boolean_mask(columns, known), hashes.shape[0]
    # The value of an n-gram is shared by its occurrences.
    distinct, which, counts = tf.unique_with_counts(ngrams.rows * size + columns)
    rows, of_row = distinct // size, distinct % size
    values = tfidf(rows, of_row, counts, hashes, frequency, tf.shape(directions)[0])
    slopes = tf.reduce_sum(tf.gather(kernel, of_row) * tf.gather(directions, rows), axis=1)
    terms = tf.gather(values * slopes / tf.cast(counts, tf.float32), which)
    return _spread(terms, ngrams, words)


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

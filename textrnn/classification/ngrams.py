"""The linear classifier of token n-grams that models of earlier versions have."""

import keras
from keras import ops

from textrnn.errors import InputError

_MULTIPLIER, _MIX = 0x01000193, 0x2C1B3C6D
"""Odd multipliers, the first from FNV-1; int32 products wrap around alike on every backend."""


@keras.saving.register_keras_serializable("textrnn")
class NGramLogits(keras.layers.Layer):
    """Logits of a linear classifier of token n-grams, which are added to the logits of a network.

    Models that were written before `LinearTextLogits` have such a part. The n-grams of all lengths up to
    `length` are hashed into `buckets`. With the inverse document frequency `i` and the weights `w` of each
    n-gram of a text,

        logits = Σ i w / sqrt(Σ i²) + bias.

    The weights are loaded, not trained; before that, the logits are 0.

    Args:
        classes: int. Number of logits.
        length: int. Length of the longest n-grams.
        buckets: int. Number of hash buckets.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        token_ids: Integers `(batch, time)`.
        mask: Booleans `(batch, time)`, True for tokens and False for padding at the end of a row.

    Returns:
        float32 `(batch, classes)`.

    Raises:
        InputError: If `classes` is less than 2, or `length` or `buckets` less than 1.

    Example:

    >>> import numpy as np
    >>> from textrnn.classification.ngrams import NGramLogits
    >>> layer = NGramLogits(classes=2, length=2, buckets=64)
    >>> layer(np.array([[3, 4]]), np.ones((1, 2), "bool")).numpy().tolist()
    [[0.0, 0.0]]
    """

    def __init__(self, classes, length=3, buckets=2**18, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if classes < 2 or length < 1 or not 1 <= buckets < 2**31:
            raise InputError(
                f"classes={classes}, length={length}, buckets={buckets}: expected 2 classes or more, and a "
                "length and a number of buckets of 1 or more"
            )
        self.classes = classes
        self.length = length
        self.buckets = buckets
        self.trainable = False

    def build(self, token_ids_shape=None, mask_shape=None):
        """Create the weights of each bucket and class, the inverse document frequencies and the bias."""
        zeros = {"initializer": "zeros", "trainable": False}
        self.kernel = self.add_weight(shape=(self.buckets, self.classes), name="kernel", **zeros)
        self.frequency = self.add_weight(shape=(self.buckets,), name="inverse_document_frequency", **zeros)
        self.bias = self.add_weight(shape=(self.classes,), name="bias", **zeros)

    def call(self, token_ids, mask):
        """Return the logits; see the class."""
        terms, norm = self._terms(token_ids, mask)
        return sum(ops.sum(of_length, axis=1) for of_length in terms) / norm + self.bias

    def of_tokens(self, token_ids, mask):
        """Return what each token adds to the logits; the term of an n-gram is split among its tokens.

        Args:
            token_ids, mask: See the class.

        Returns:
            `(batch, time, classes)`.
        """
        terms, norm = self._terms(token_ids, mask)
        time = ops.shape(token_ids)[1]
        return sum(
            # The n-gram that starts at t covers the tokens t, ..., t + n - 1.
            ops.pad(of_length / n, [[0, 0], [later, 0], [0, 0]])[:, :time]
            for n, of_length in enumerate(terms, start=1)
            for later in range(n)
        ) / ops.expand_dims(norm, 1)

    def _terms(self, token_ids, mask):
        """Return the terms `(batch, time, classes)` of the n-grams of each length, and their norm."""
        terms, squares = [], 0.0
        for buckets, inside in self.ngrams(token_ids, mask):
            frequency = ops.where(inside, ops.take(self.frequency, buckets), 0.0)
            squares = squares + ops.sum(frequency**2, axis=1, keepdims=True)
            terms.append(frequency[..., None] * ops.take(self.kernel, buckets, axis=0))
        return terms, ops.maximum(ops.sqrt(squares), 1e-9)

    def ngrams(self, token_ids, mask):
        """Return the buckets of the n-grams that start at each token.

        Args:
            token_ids, mask: See the class.

        Returns:
            A list with a pair for each n from 1 to `length`: buckets, int32 `(batch, time)`, and booleans
            of the same shape, False where fewer than n tokens are left.
        """
        ids, inside = ops.cast(token_ids, "int32"), ops.cast(mask, "bool")
        time = ops.shape(ids)[1]
        hashed, found = ops.zeros_like(ids), []
        for n in range(self.length):
            last = ops.pad(ids, [[0, 0], [0, n]])[:, n : n + time]
            there = ops.pad(inside, [[0, 0], [0, n]])[:, n : n + time]
            hashed = hashed * _MULTIPLIER + last + 1
            mixed = ops.bitwise_xor(hashed, ops.right_shift(hashed, 15)) * _MIX
            mixed = ops.bitwise_xor(mixed, ops.right_shift(mixed, 13))
            found.append((ops.mod(mixed, self.buckets), there))
        return found

    def compute_output_shape(self, token_ids_shape, mask_shape=None):
        """Return `(batch, classes)`."""
        return (token_ids_shape[0], self.classes)

    def get_config(self):
        """Return the arguments of the constructor."""
        return super().get_config() | {
            "classes": self.classes,
            "length": self.length,
            "buckets": self.buckets,
        }

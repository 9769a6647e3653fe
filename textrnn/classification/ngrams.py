"""A linear n-gram classifier, to be ensembled with a recurrent network."""

import keras
import numpy as np
from keras import ops

from textrnn.errors import InputError

_MULTIPLIER, _MIX = 0x01000193, 0x2C1B3C6D
"""Odd multipliers, the first from FNV-1; int32 products wrap around alike on every backend."""


@keras.saving.register_keras_serializable("textrnn")
class NGramLogits(keras.layers.Layer):
    """Logits of a linear classifier of token n-grams, to add to the logits of a network.

    A linear classifier learns the meaning of words and phrases from fewer texts than a network, which learns
    more from their order; the ensemble beats both (Cheng et al. 2016, Wide & deep learning, arXiv
    1606.07792). The n-grams of all lengths up to `length` are hashed into `buckets` (Weinberger et al. 2009,
    arXiv 0902.2206). With the inverse document frequency `i` and the weights `w` of each n-gram of a text,

        logits = Σ i w / sqrt(Σ i²) + bias.

    No weight is trained by gradients. `adapt` fits them with scikit-learn; before that, the logits are 0.

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
    >>> layer = NGramLogits(classes=2, length=2)
    >>> texts = {"token_ids": np.array([[3, 4], [4, 3]]), "padding_mask": np.ones((2, 2), "bool")}
    >>> layer.adapt([(texts, np.array([0, 1]))])  # only their order tells these apart
    >>> np.array(layer(texts["token_ids"], texts["padding_mask"])).argmax(axis=1).tolist()
    [0, 1]
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

    @property
    def adapted(self):
        """Whether `adapt` has fitted the weights."""
        return bool(ops.any(self.frequency > 0))

    def adapt(self, batches, penalty=0.25):
        """Fit the weights with scikit-learn's logistic regression.

        Classes without a text get weights of 0.

        Args:
            batches: An iterable of `({"token_ids", "padding_mask"}, targets)`, optionally with sample
                weights, such as those of `textrnn.data.batching.text_batches`.
            penalty: float. Strength of the L2 penalty: `penalty / 2` times the sum of the squared weights is
                added to the log loss, summed over the texts.

        Raises:
            InputError: If the targets hold fewer than two classes, or if the texts hold no tokens.
        """
        from scipy.sparse import vstack
        from sklearn.feature_extraction.text import TfidfTransformer
        from sklearn.linear_model import LogisticRegression

        if not self.built:
            self.build()
        parts, targets, weights = [], [], []
        for inputs, classes, *counts in batches:
            parts.append(self._counted(inputs["token_ids"], inputs["padding_mask"]))
            targets.append(ops.convert_to_numpy(classes))
            weights += [ops.convert_to_numpy(count) for count in counts]
        if len(np.unique(np.concatenate(targets or [[]]))) < 2:
            raise InputError(
                "cannot fit n-grams to texts of fewer than two classes: give texts of two classes or more"
            )
        counted = vstack(parts, format="csr")
        if not counted.nnz:
            raise InputError("cannot fit n-grams to texts without tokens: give texts with words, or ngrams=0")
        frequency = TfidfTransformer().fit(counted).idf_
        used = np.unique(counted.indices)
        squares = counted @ frequency**2
        features = (
            counted[:, used]
            .multiply(frequency[used])
            .multiply(1 / np.maximum(np.sqrt(squares), 1e-9)[:, None])
        )
        found = LogisticRegression(C=1 / penalty, max_iter=1000).fit(
            features.tocsr(), np.concatenate(targets), np.concatenate(weights) if weights else None
        )
        slopes, bias = found.coef_, found.intercept_
        if len(found.classes_) == 2:  # scikit-learn then fits only the log-odds of the second
            slopes, bias = np.concatenate([-slopes, slopes]) / 2, np.concatenate([-bias, bias]) / 2
        kernel, all_bias = np.zeros((self.buckets, self.classes)), np.zeros(self.classes)
        kernel[np.ix_(used, found.classes_)] = slopes.T
        all_bias[found.classes_] = bias
        self.set_weights([kernel, frequency, all_bias])

    def _counted(self, token_ids, padding_mask):
        """Count the n-grams of each text: a SciPy matrix `(batch, buckets)`."""
        from scipy.sparse import csr_matrix

        rows, columns = [], []
        for buckets, inside in self.ngrams(token_ids, padding_mask):
            row, place = np.nonzero(ops.convert_to_numpy(inside))
            rows.append(row)
            columns.append(ops.convert_to_numpy(buckets)[row, place])
        where = np.concatenate(rows), np.concatenate(columns)
        return csr_matrix((np.ones(len(where[0])), where), (len(token_ids), self.buckets))

    def rescale(self, factor):
        """Multiply the logits by `factor` from now on."""
        self.kernel.assign(self.kernel * factor)
        self.bias.assign(self.bias * factor)

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

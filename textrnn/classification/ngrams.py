"""A linear classifier of n-grams, to stand beside a recurrent one."""

import keras
import numpy as np
from keras import ops

from textrnn.errors import InputError

_MULTIPLIER, _MIX = 0x01000193, 0x2C1B3C6D
"""Odd numbers, the first that of FNV-1: products wrap around at 32 bits, on every backend alike."""


@keras.saving.register_keras_serializable("textrnn")
class NGramLogits(keras.layers.Layer):
    """What a linear classifier makes of the n-grams of a text: logits, to add to those of a network.

    What single words and phrases mean, a linear classifier learns from fewer texts than a network; what comes
    of their order, a network knows better. Both together are better than either (Cheng et al. 2016, Wide &
    deep learning, arXiv 1606.07792). N-grams are of tokens, so those of pieces of words are words, too, and
    runs of them; they are hashed into `buckets` (Weinberger et al. 2009; Joulin et al. 2016, Bag of tricks).
    With the inverse document frequency i of each, which also scales the features,

        logits = Σ i w / sqrt(Σ i²) + bias, over the n-grams of a text.

    Nothing in it is learnt by gradients: `adapt` has scikit-learn find the optimum. Until then it says 0.

    Args:
        classes: int, how many logits.
        length: int, the n of the longest n-grams.
        buckets: int, how many different n-grams are told apart.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        token_ids: integers `(batch, time)`.
        mask: booleans `(batch, time)`, True for the first tokens of a row, which count.

    Returns:
        float32 `(batch, classes)`.

    Raises:
        InputError: for fewer than two classes, or lengths or buckets below 1.

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
                f"classes={classes}, length={length}, buckets={buckets}: give 2 classes or more, and n-grams "
                "of a length of 1 or more in 1 bucket or more"
            )
        self.classes = classes
        self.length = length
        self.buckets = buckets
        self.trainable = False

    def build(self, token_ids_shape=None, mask_shape=None):
        """Makes a weight for every class and bucket, and the frequencies."""
        zeros = {"initializer": "zeros", "trainable": False}
        self.kernel = self.add_weight(shape=(self.buckets, self.classes), name="kernel", **zeros)
        self.frequency = self.add_weight(shape=(self.buckets,), name="inverse_document_frequency", **zeros)
        self.bias = self.add_weight(shape=(self.classes,), name="bias", **zeros)

    def call(self, token_ids, mask):
        """The logits; see the class."""
        said, norm = self._said(token_ids, mask)
        return sum(ops.sum(of_length, axis=1) for of_length in said) / norm + self.bias

    def of_tokens(self, token_ids, mask):
        """What each token adds to the logits: an n-gram's part is shared by its tokens.

        Args:
            token_ids, mask: as for a call.

        Returns:
            `(batch, time, classes)`.
        """
        said, norm = self._said(token_ids, mask)
        time = ops.shape(token_ids)[1]
        return sum(
            # The n-gram that begins at t is of the tokens t, t + 1, ...
            ops.pad(of_length / n, [[0, 0], [later, 0], [0, 0]])[:, :time]
            for n, of_length in enumerate(said, start=1)
            for later in range(n)
        ) / ops.expand_dims(norm, 1)

    def _said(self, token_ids, mask):
        """What the n-grams that begin at each token say, `(batch, time, classes)` each n; and the norm."""
        said, squares = [], 0.0
        for buckets, inside in self.ngrams(token_ids, mask):
            frequency = ops.where(inside, ops.take(self.frequency, buckets), 0.0)
            squares = squares + ops.sum(frequency**2, axis=1, keepdims=True)
            said.append(frequency[..., None] * ops.take(self.kernel, buckets, axis=0))
        return said, ops.maximum(ops.sqrt(squares), 1e-9)

    def ngrams(self, token_ids, mask):
        """The buckets of the n-grams that begin at each token.

        Args:
            token_ids, mask: as for a call.

        Returns:
            For each n from 1 to `length`, int32 `(batch, time)`, and booleans of that shape: whether there
            are so many tokens.
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
        """Whether it has learnt anything."""
        return bool(ops.any(self.frequency > 0))

    def adapt(self, batches, penalty=0.25):
        """Learns from texts: scikit-learn's logistic regression.

        Args:
            batches: an iterable of `({"token_ids", "padding_mask"}, targets)`, and perhaps weights, as
                `textrnn.data.batching.batches_of_like_length` gives them. A class that no text has gets no
                weights.
            penalty: float, how much half the squared weights count beside the log loss of all texts.

        Raises:
            InputError: if the texts are not of two classes at least.
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
                "the n-grams are to learn from texts of fewer than two classes: give some of two"
            )
        counted = vstack(parts, format="csr")
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
        if len(found.classes_) == 2:  # scikit-learn has then the log-odds of the second
            slopes, bias = np.concatenate([-slopes, slopes]) / 2, np.concatenate([-bias, bias]) / 2
        kernel, all_bias = np.zeros((self.buckets, self.classes)), np.zeros(self.classes)
        kernel[np.ix_(used, found.classes_)] = slopes.T
        all_bias[found.classes_] = bias
        self.set_weights([kernel, frequency, all_bias])

    def _counted(self, token_ids, padding_mask):
        """How often each text has each n-gram: a SciPy matrix `(batch, buckets)`."""
        from scipy.sparse import csr_matrix

        rows, columns = [], []
        for buckets, inside in self.ngrams(token_ids, padding_mask):
            row, place = np.nonzero(ops.convert_to_numpy(inside))
            rows.append(row)
            columns.append(ops.convert_to_numpy(buckets)[row, place])
        where = np.concatenate(rows), np.concatenate(columns)
        return csr_matrix((np.ones(len(where[0])), where), (len(token_ids), self.buckets))

    def rescale(self, factor):
        """Multiplies all that it says by a number."""
        self.kernel.assign(self.kernel * factor)
        self.bias.assign(self.bias * factor)

    def compute_output_shape(self, token_ids_shape, mask_shape=None):
        """`(batch, classes)`."""
        return (token_ids_shape[0], self.classes)

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "classes": self.classes,
            "length": self.length,
            "buckets": self.buckets,
        }

"""`TokenCrossentropy`, a cross-entropy over large vocabularies that is faster than Keras's."""

import keras
from keras import ops

from textrnn.errors import InputError
from textrnn.tensors import Tensor, at_least_float32


@keras.saving.register_keras_serializable("textrnn")
class TokenCrossentropy(keras.losses.Loss):
    """The cross-entropy between token ids and logits, in nats.

    The values are those of `keras.losses.SparseCategoricalCrossentropy(from_logits=True)`, or with label
    smoothing those of `CategoricalCrossentropy`, without its one-hot targets. With a large vocabulary a pass
    over the logits takes as long as a recurrent layer, and this loss makes fewer of them.

    Args:
        label_smoothing: Fraction of the target probability that is spread evenly over the vocabulary, in
            [0, 1) (Szegedy et al. 2016, arXiv 1512.00567).
        **kwargs: Arguments of `keras.losses.Loss`.

    Call arguments:
        y_true: Integers `(...)` or `(..., 1)`. All are in the vocabulary, also at padding, whose weight is 0.
        y_pred: Logits `(..., vocabulary_size)`.

    Raises:
        InputError: If `label_smoothing` is not in [0, 1).

    Example:

    >>> import numpy as np
    >>> from textrnn.training.losses import TokenCrossentropy
    >>> loss = TokenCrossentropy()(np.array([[1, 2]]), np.zeros((1, 2, 8)))
    >>> round(float(loss), 4) == round(float(np.log(8)), 4)
    True
    """

    def __init__(self, label_smoothing=0.0, name="token_crossentropy", **kwargs):
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing is {label_smoothing}: give a number, at least 0 and below 1")
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """The loss of each token `(...)`."""
        if len(y_true.shape) == len(y_pred.shape):
            y_true = ops.squeeze(y_true, axis=-1)
        return crossentropy(ops.cast(y_true, "int32"), y_pred, self.label_smoothing)

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"label_smoothing": self.label_smoothing}


def crossentropy(targets: Tensor, logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """The cross-entropy of each token, with a custom gradient.

    The gradient reuses the exponentials of the forward pass, in one pass over the logits.

    Args:
        targets: int32 `(...)`.
        logits: `(..., vocabulary_size)`.
        label_smoothing: As in `TokenCrossentropy`.

    Returns:
        `(...)`, in nats, in float32 or higher.
    """
    shape, vocabulary_size = ops.shape(targets), logits.shape[-1]
    exact = ops.cast(ops.reshape(logits, (-1, vocabulary_size)), at_least_float32(logits))
    losses = ops.custom_gradient(_forward(label_smoothing))(exact, ops.reshape(targets, (-1,)))
    return ops.reshape(losses, shape)


def _forward(label_smoothing):
    def forward(logits, targets):
        vocabulary_size = logits.shape[-1]
        uniform = label_smoothing / vocabulary_size  # the smoothed target probability of every token
        largest = ops.max(logits, axis=-1, keepdims=True)
        exponentials = ops.exp(logits - largest)
        total = ops.sum(exponentials, axis=-1, keepdims=True)
        of_target = ops.take_along_axis(logits, targets[:, None], axis=-1)
        expected = (1 - label_smoothing) * of_target
        if label_smoothing:
            expected = expected + label_smoothing * ops.mean(logits, axis=-1, keepdims=True)

        def gradient(*upstream, **_):
            d = ops.expand_dims(ops.reshape(upstream[0], (-1,)), -1)
            d_logits = exponentials * (d / total)
            if label_smoothing:
                d_logits = d_logits - uniform * d
            probability = ops.exp(of_target - largest) / total
            d_target = d * (probability - uniform - (1 - label_smoothing))
            places = ops.stack([ops.arange(ops.shape(targets)[0], dtype="int32"), targets], axis=-1)
            return ops.scatter_update(d_logits, places, ops.squeeze(d_target, axis=-1)), None

        return ops.squeeze(ops.log(total) + largest - expected, axis=-1), gradient

    return forward

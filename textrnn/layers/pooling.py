"""`SequencePooling`, one vector for each sequence of a recurrent layer's outputs."""

import keras
from keras import ops

from textrnn.errors import InputError
from textrnn.layers.attention import masked_softmax
from textrnn.tensors import at_least_float32

POOLINGS = ("last", "mean", "max", "attention", "concat")
"""The modes of `SequencePooling`."""


@keras.saving.register_keras_serializable("textrnn")
class SequencePooling(keras.layers.Layer):
    """Pooling over the valid steps of a sequence: last, mean, max, attention or several.

    Args:
        mode: `"last"` is the output of the last valid step. `"mean"` and `"max"` are over the valid steps.
            `"attention"` is their mean with the learned weights softmax(v·tanh(W x + b)) (Yang et al. 2016,
            Hierarchical Attention Networks). `"concat"` is the last, the maximum and the mean (Howard & Ruder
            2018, section 3.3).
        bidirectional: Whether the second half of the features is the output of a backward layer. Its last
            output, for `"last"`, is at the first valid step.
        attention_units: The width of W. The default is the number of features.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, time, features)`.
        mask: `(batch, time)`, True where a step is valid, or None.

    Returns:
        `(batch, features)`, or three times the features for `"concat"`; zeros for a sequence without a valid
        step.

    Raises:
        InputError: If the mode is unknown, or with `bidirectional` the number of features is odd (raised by
            `build`).

    Example:

    >>> import numpy as np
    >>> from textrnn.layers import SequencePooling
    >>> x = np.array([[[1.0], [3.0], [9.0]]])
    >>> mask = np.array([[True, True, False]])
    >>> [float(SequencePooling(mode)(x, mask=mask)[0, 0]) for mode in ("last", "mean", "max")]
    [3.0, 2.0, 3.0]
    """

    def __init__(self, mode="mean", bidirectional=False, attention_units=None, **kwargs):
        super().__init__(**kwargs)
        if mode not in POOLINGS:
            raise InputError(
                f"there is no pooling {mode!r}: use {', '.join(POOLINGS[:-1])} or {POOLINGS[-1]}"
            )
        self.mode = mode
        self.bidirectional = bidirectional
        self.attention_units = attention_units
        self.supports_masking = True

    def build(self, sequences_shape):
        """Create the weights of attention for sequences `(batch, time, features)`."""
        features = sequences_shape[-1]
        if self.bidirectional and features is not None and features % 2:
            raise InputError(
                f"bidirectional is True, but the sequences have {features} features, which have no halves: "
                "give the concatenated outputs of both directions, or bidirectional=False"
            )
        if self.mode == "attention":
            units = self.attention_units or features
            self.kernel = self.add_weight(shape=(features, units), name="kernel")
            self.bias = self.add_weight(shape=(units,), initializer="zeros", name="bias")
            self.query = self.add_weight(shape=(units, 1), name="query")

    def call(self, sequences, mask=None):
        """Pool the sequences. The class docstring has the shapes."""
        if sequences.shape[1] == 0:
            zeros = ops.sum(sequences, axis=1)
            return ops.concatenate([zeros] * 3, axis=-1) if self.mode == "concat" else zeros
        valid = ops.ones(ops.shape(sequences)[:2], "bool") if mask is None else ops.cast(mask, "bool")
        pool = {"last": self._last, "max": _maximum, "mean": _mean, "attention": self._attended}
        modes = ("last", "max", "mean") if self.mode == "concat" else (self.mode,)
        pooled = [pool[mode](sequences, valid) for mode in modes]
        return pooled[0] if len(pooled) == 1 else ops.concatenate(pooled, axis=-1)

    def attention(self, sequences, mask=None):
        """The weights of attention, `(batch, time)`, which sum to 1 over the valid steps.

        Args:
            sequences, mask: As for `call`.
        """
        hidden = ops.tanh(ops.matmul(sequences, self.kernel) + self.bias)
        return masked_softmax(ops.matmul(hidden, self.query)[..., 0], mask)

    def _attended(self, sequences, valid):
        return _weighted_sum(sequences, self.attention(sequences, valid))

    def _last(self, sequences, valid):
        if not self.bidirectional:
            return _at_last(sequences, valid)
        forwards, backwards = ops.split(sequences, 2, axis=-1)
        first = ops.flip(backwards, axis=1), ops.flip(valid, axis=1)
        return ops.concatenate([_at_last(forwards, valid), _at_last(*first)], axis=-1)

    def compute_mask(self, sequences, previous_mask=None):
        """None, since the result has no time axis."""
        return None

    def compute_output_shape(self, sequences_shape):
        """`(batch, features)`."""
        return (sequences_shape[0], sequences_shape[-1] * (3 if self.mode == "concat" else 1))

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "mode": self.mode,
            "bidirectional": self.bidirectional,
            "attention_units": self.attention_units,
        }


def _maximum(sequences, valid):
    lowest = ops.cast(-float("inf"), sequences.dtype)
    largest = ops.max(ops.where(valid[..., None], sequences, lowest), axis=1)
    return ops.where(ops.any(valid, axis=1)[:, None], largest, ops.zeros_like(largest))


def _mean(sequences, valid):
    weights = ops.cast(valid, at_least_float32(sequences))
    return _weighted_sum(sequences, weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1))


def _weighted_sum(sequences, weights):
    weighted = ops.cast(sequences, weights.dtype) * weights[..., None]
    return ops.cast(ops.sum(weighted, axis=1), sequences.dtype)


def _at_last(sequences, valid):
    """The last valid step of each sequence, zeros if there is none."""
    # Zeros before the first step: a sequence without any step has something to take.
    sequences = ops.pad(sequences, [[0, 0], [1, 0], [0, 0]])
    steps = ops.arange(ops.shape(valid)[1], dtype="int32") + 1
    last = ops.max(ops.where(valid, steps, 0), axis=1, initial=0)
    return ops.take_along_axis(sequences, last[:, None, None], axis=1)[:, 0]

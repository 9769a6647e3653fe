"""Activation regularization, AR and TAR (Merity, McCann & Socher 2017, arXiv 1708.01009)."""

import numbers

import keras
from keras import ops

from textrnn.errors import InputError
from textrnn.tensors import at_least_float32


class _Penalty(keras.layers.Layer):
    """Returns its inputs, and in training adds `rate` times a mean square to the loss."""

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(rate, numbers.Real) or not float(rate) >= 0:
            raise InputError(f"rate is {rate!r}: give the weight of the penalty, at least 0")
        self.rate = float(rate)
        self.supports_masking = True

    def build(self, inputs_shape):
        """Do nothing, since the layer has no weights."""

    def call(self, inputs, mask=None, training=False):
        """Return the inputs, and add the penalty in training."""
        if training and self.rate:
            # In half precision small squares underflow.
            penalty = self.rate * self._penalty(ops.cast(inputs, at_least_float32(inputs)), mask)
            # Keras adds it to the other losses, which have this dtype.
            self.add_loss(ops.cast(penalty, keras.config.floatx()))
        return inputs

    def compute_output_shape(self, inputs_shape):
        """The shape of the inputs."""
        return inputs_shape

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"rate": self.rate}


@keras.saving.register_keras_serializable("textrnn")
class ActivationRegularization(_Penalty):
    """Activation regularization (AR): adds rate · mean(h²) to the training loss.

    The mean is over the features of all valid steps, in float32 or higher. The paper writes the L2 norm, and
    the authors' AWD-LSTM code uses the mean of squares, as here. There it is applied to the outputs of the
    last layer after dropout, with a rate (`alpha`) of 2. The loss of an evaluation has no penalty.

    Args:
        rate: α, the weight of the penalty.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, time, features)`.
        mask: `(batch, time)`, True where a step is valid. By default all steps are.
        training: Whether to add the penalty.

    Returns:
        The inputs.

    Raises:
        InputError: If the rate is no number, or is below 0.

    Example:

    >>> import numpy as np
    >>> from textrnn.layers import ActivationRegularization
    >>> layer = ActivationRegularization(2.0)
    >>> h = layer(np.array([[[1.0], [3.0]]]), training=True)
    >>> float(layer.losses[0])
    10.0
    """

    def _penalty(self, inputs, mask):
        return _mean_square(inputs, mask)


@keras.saving.register_keras_serializable("textrnn")
class TemporalActivationRegularization(_Penalty):
    """Temporal activation regularization (TAR): adds rate · mean((h(t) − h(t−1))²) to the training loss.

    The mean is over the features of all pairs of consecutive valid steps, in float32 or higher. It is 0 if
    there is no pair. The authors' AWD-LSTM code applies it to the outputs of the last layer before dropout,
    with a rate (`beta`) of 1. As there, the first step of a window has no predecessor, even if its initial
    states come from another window. The loss of an evaluation has no penalty.

    Args:
        rate: β, the weight of the penalty.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments, result and errors are those of `ActivationRegularization`.

    Example:

    >>> import numpy as np
    >>> from textrnn.layers import TemporalActivationRegularization
    >>> layer = TemporalActivationRegularization(1.0)
    >>> h = layer(np.array([[[1.0], [3.0]]]), training=True)
    >>> float(layer.losses[0])
    4.0
    """

    def _penalty(self, inputs, mask):
        pairs = None if mask is None else ops.logical_and(mask[:, 1:], mask[:, :-1])
        return _mean_square(inputs[:, 1:] - inputs[:, :-1], pairs)


def _mean_square(x, mask):
    """The mean square of x `(batch, time, features)` where mask `(batch, time)` is True, or 0."""
    squares = ops.mean(ops.square(x), axis=-1)
    valid = ops.ones_like(squares) if mask is None else ops.cast(mask, squares.dtype)
    return ops.sum(squares * valid) / ops.maximum(ops.sum(valid), 1)

"""Penalties on a recurrent layer's outputs and on their change (Merity, McCann & Socher 2017; AWD-LSTM)."""

import numbers

import keras
from keras import ops

from textrnn.errors import InputError


class _Penalty(keras.layers.Layer):
    """Passes its inputs on, and in training adds `rate` times the mean square of something to the loss."""

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(rate, numbers.Real) or not float(rate) >= 0:
            raise InputError(f"rate is {rate!r}: give the weight of the penalty, 0 or more")
        self.rate = float(rate)
        self.supports_masking = True

    def build(self, inputs_shape):
        """Nothing to make: it has no weights."""

    def call(self, inputs, mask=None, training=False):
        """Adds the penalty; see the class."""
        if training and self.rate:
            # Half precision loses small squares.
            dtype = keras.backend.result_type(inputs.dtype, "float32")
            self.add_loss(self.rate * self._penalty(ops.cast(inputs, dtype), mask))
        return inputs

    def compute_output_shape(self, inputs_shape):
        """The shape of the inputs."""
        return inputs_shape

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"rate": self.rate}


@keras.saving.register_keras_serializable("textrnn")
class ActivationRegularization(_Penalty):
    """AR: keeps outputs small. Adds rate · mean(h²) to the training loss, and passes its inputs on.

    The mean is over all features of all valid steps of all rows, in float32 at the least. Without padding
    it is that of the authors' AWD-LSTM code (`alpha`, 2 there), which takes it over everything, and of the
    last layer's outputs after dropout. The paper writes the L2 norm; the code, which settles it, the mean
    of squares. Inference is unaffected, and so is the loss of an evaluation.

    Args:
        rate: α, the weight of the penalty.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, time, features)`.
        mask: `(batch, time)`, True where a step is valid, or None: then all are.
        training: whether to add the penalty.

    Returns:
        The inputs.

    Raises:
        InputError: for a rate that is no number, or below 0.

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
    """TAR: keeps outputs slow. Adds rate · mean((h(t) − h(t−1))²) to the training loss, and passes h on.

    The mean is over all features of all pairs of consecutive steps that are both valid, in float32 at the
    least, and 0 where there is no pair. Without padding it is that of the authors' AWD-LSTM code (`beta`, 1
    there), which takes it over everything, and of the last layer's outputs before dropout. As there, the
    first step of a window has no step before it, though its states may come from another window. Inference
    is unaffected, and so is the loss of an evaluation.

    Args:
        rate: β, the weight of the penalty.
        **kwargs: of `keras.layers.Layer`.

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
    """The mean square of x `(batch, time, features)` where mask `(batch, time)` is True; 0 if nowhere."""
    squares = ops.mean(ops.square(x), axis=-1)
    valid = ops.ones_like(squares) if mask is None else ops.cast(mask, squares.dtype)
    return ops.sum(squares * valid) / ops.maximum(ops.sum(valid), 1)

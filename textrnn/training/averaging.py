"""Weight averaging over epochs."""

import math

import keras

from textrnn.errors import InputError


class AverageWeights(keras.callbacks.Callback):
    """Keeps the weights of several epochs, so that `apply` can give the model their mean.

    Late in training, weights move around an optimum, and their mean is closer to it (Polyak & Juditsky 1992;
    Izmailov et al. 2018, Averaging weights leads to wider optima). The weights are kept in memory.

    Args:
        count: Number of epochs to average. 1 or less disables averaging.
        of: `"last"` for the last epochs, `"best"` for those with the lowest `monitor`.
        monitor: Name of a metric in the logs.

    Raises:
        InputError: If `of` is neither `"last"` nor `"best"`.

    Example:

    >>> import keras, numpy as np
    >>> from textrnn.training import AverageWeights
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> data, average = (np.ones((4, 1)), np.zeros((4, 1))), AverageWeights(2)
    >>> _ = model.fit(*data, epochs=3, verbose=0, validation_data=data, callbacks=[average])
    >>> average.apply(lambda: model.evaluate(*data, verbose=0))  # here the last weights are better
    False
    """

    async_safe = True

    def __init__(self, count=5, of="last", monitor="val_loss"):
        super().__init__()
        if of not in ("last", "best"):
            raise InputError(f"of is {of!r}: use last or best")
        self.count = count
        self.of = of
        self.monitor = monitor
        self._kept: list[tuple] = []

    def on_train_begin(self, logs=None):
        """Drop the weights of an earlier run."""
        self._kept = []

    def on_epoch_end(self, epoch, logs=None):
        """Keep the weights if they are among those to average."""
        value = (logs or {}).get(self.monitor, math.inf)
        rank = value if self.of == "best" else -epoch
        if self.count < 2 or not math.isfinite((logs or {}).get("loss", 0.0)):
            return
        if len(self._kept) == self.count and rank >= self._kept[-1][0]:
            return
        self._kept.append((rank, [variable.numpy() for variable in self.model.trainable_variables]))
        self._kept.sort(key=lambda kept: kept[0])
        del self._kept[self.count :]

    def apply(self, loss):
        """Give the model the mean of the weights if that lowers the loss.

        Args:
            loss: A function without arguments that returns the loss of the model with its current weights.

        Returns:
            Whether the model has the mean now.
        """
        if len(self._kept) < 2:
            return False
        before, now = loss(), [variable.numpy() for variable in self.model.trainable_variables]
        for variable, *values in zip(
            self.model.trainable_variables, *(weights for _, weights in self._kept), strict=True
        ):
            variable.assign(sum(values) / len(values))
        if loss() < before:
            return True
        for variable, value in zip(self.model.trainable_variables, now, strict=True):
            variable.assign(value)
        return False

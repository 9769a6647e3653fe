"""The mean of the weights of several epochs, which is often better than any of them."""

import math

import keras

from textrnn.errors import InputError


class AverageWeights(keras.callbacks.Callback):
    """Keeps the weights of some epochs, to give the model their mean after training.

    Along the last part of training, weights go around a good point rather than into it; their mean is nearer
    (Polyak & Juditsky 1992; Izmailov et al. 2018, Averaging weights leads to wider optima). What is kept is
    kept in memory.

    Args:
        count: How many epochs; 1 or less keeps nothing.
        of: `"last"`: the last ones; `"best"`: those of the lowest `monitor`.
        monitor: A metric in the logs.

    Example:

    >>> import keras, numpy as np
    >>> from textrnn.training import AverageWeights
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> data, average = (np.ones((4, 1)), np.zeros((4, 1))), AverageWeights(2)
    >>> _ = model.fit(*data, epochs=3, verbose=0, validation_data=data, callbacks=[average])
    >>> average.apply(lambda: model.evaluate(*data, verbose=0))  # the last weights are better here
    False
    """

    async_safe = True

    def __init__(self, count=5, of="last", monitor="val_loss"):
        super().__init__()
        if of not in ("last", "best"):
            raise InputError(f"of is {of!r}: give last or best")
        self.count = count
        self.of = of
        self.monitor = monitor
        self._kept: list[tuple] = []

    def on_train_begin(self, logs=None):
        """Forgets an earlier run."""
        self._kept = []

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the weights, if they are among those to average."""
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
        """Gives the model the mean, and takes it back if it is no better.

        Args:
            loss: A function without arguments that measures the model as it is; lower is better.

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

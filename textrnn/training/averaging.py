"""Weight averaging, over epochs and over steps."""

import math
from contextlib import contextmanager

import keras
from keras import ops

from textrnn.errors import InputError, expect


class AverageWeights(keras.callbacks.Callback):
    """Keeps the weights of several epochs, so that `apply` can give the model their mean.

    Late in training, weights move around an optimum, and their mean is closer to it (Polyak & Juditsky 1992;
    Izmailov et al. 2018, Averaging weights leads to wider optima). The weights are kept in memory.

    Args:
        count: Number of epochs to average. 1 or less disables averaging.
        of: `"last"` for the last epochs, `"best"` for those with the lowest finite `monitor`.
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
        logs = logs or {}
        rank = logs.get(self.monitor, math.nan) if self.of == "best" else -epoch
        if self.count < 2 or not math.isfinite(rank) or not math.isfinite(logs.get("loss", 0.0)):
            return
        if len(self._kept) == self.count and rank >= self._kept[-1][0]:
            return
        self._kept.append((rank, [weight.numpy() for weight in _averaged(self.model)]))
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
        weights = _averaged(self.model)
        before, now = loss(), [weight.numpy() for weight in weights]
        for weight, *values in zip(weights, *(kept for _, kept in self._kept), strict=True):
            weight.assign(sum(values) / len(values))
        if loss() < before:
            return True
        for weight, value in zip(weights, now, strict=True):
            weight.assign(value)
        return False


class AverageSteps(keras.callbacks.Callback):
    """Averages the weights after each step, and evaluates and keeps the mean while training goes on.

    With `patience`, this is NT-ASGD (Merity et al. 2018): the mean starts when the validation loss is above
    its lowest value of more than `patience` evaluations ago, and is over all steps since then. With `decay`
    it is an exponential moving average. Neither depends on the optimizer.

    Pass it to `textrnn.training.fit(average=...)`. Evaluations, samples and the best weights are then those
    of the mean, and the optimizer goes on from the weights without averaging. A checkpoint has both.

    Args:
        patience: Number of evaluations; 5 in the paper. None starts with the first step.
        decay: The weight that the mean keeps at each step, in (0, 1), such as 0.999. None for a mean in which
            all steps weigh the same. The first 1 / (1 − decay) steps weigh the same in any case, so that the
            mean does not depend on the initial weights.
        monitor: Name of a metric in the logs.

    Attributes:
        steps: The number of steps in the mean so far, 0 before it starts.

    Raises:
        InputError: If `patience` is below 0, or `decay` is not in (0, 1).

    Example:

    >>> import io, keras, numpy as np
    >>> from textrnn import training
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> average = training.AverageSteps(decay=0.9)
    >>> _ = training.fit(model, np.ones((4, 1)), y=np.zeros((4, 1)), epochs=3, average=average,
    ...                  progress=training.ProgressBar(file=io.StringIO()))
    >>> average.steps
    3
    """

    async_safe = True

    def __init__(self, patience=None, decay=None, monitor="val_loss"):
        super().__init__()
        expect(patience is None or patience >= 0, f"patience is {patience}: give at least 0, or None")
        expect(
            decay is None or 0 < decay < 1, f"decay is {decay}: give a number above 0 and below 1, or None"
        )
        self.patience = patience
        self.decay = decay
        self.monitor = monitor
        self._reset()

    def _reset(self):
        self.steps = 0
        self._losses: list[float] = []
        self._started = self.patience is None
        self._means: list[keras.Variable] = []
        self._counted = 0  # batches of this epoch
        self._own: list | None = None  # the weights without averaging, while the model has the mean

    def on_train_begin(self, logs=None):
        """Forget an earlier run."""
        self._reset()

    def on_epoch_begin(self, epoch, logs=None):
        """Count the batches of an epoch."""
        self._counted = 0

    def on_train_batch_begin(self, batch, logs=None):
        """Add the weights after the previous batch to the mean."""
        if batch > self._counted:  # a resumed run begins with a batch before which the mean was saved
            self._counted = batch
            self._add()

    def on_test_begin(self, logs=None):
        """Give the model the mean for `validation_data`, which Keras evaluates before it ends the epoch."""
        self._end_epoch()

    def on_epoch_end(self, epoch, logs=None):
        """Add the weights after the last batch to the mean, and give it to the model until `restore`."""
        self._end_epoch()

    def on_evaluation(self, epoch, logs, seconds=0.0):
        """Start the mean if the validation loss has not improved for long enough."""
        loss = logs.get(self.monitor)
        if loss is None or self._started:
            return
        earlier = self._losses[: max(0, len(self._losses) - self.patience)]
        self._started = bool(earlier) and loss > min(earlier)
        self._losses.append(float(loss))

    def on_train_end(self, logs=None):
        """Give the model the mean; `BestWeights` may replace it."""
        if self.steps:
            self._assign(self._means)

    def on_interrupt(self):
        """Give the model the mean, as `on_train_end` does."""
        self.on_train_end()

    @contextmanager
    def applied(self):
        """Context manager in which the model has the mean, if there is one."""
        self.apply()
        yield
        self.restore()  # not after an exception: an interrupted run keeps the mean

    def apply(self):
        """Give the model the mean, if there is one."""
        if self.steps:
            self._own = [ops.copy(weight.value) for weight in self._weights()]
            self._assign(self._means)

    def restore(self):
        """Give the model the weights that it had before `apply`."""
        if self._own is not None:
            self._assign(self._own)
        self._own = None

    def get_state(self):
        """Return what a checkpoint saves."""
        return {
            "steps": self.steps,
            "losses": self._losses,
            "started": self._started,
            "counted": self._counted,
            "means": [mean.numpy() for mean in self._means],
        }

    def set_state(self, state):
        """Go on with what a checkpoint has saved."""
        self.steps, self._losses = state["steps"], list(state["losses"])
        self._started, self._counted = state["started"], state["counted"]
        self._means = [_variable(mean) for mean in state["means"]]

    def _end_epoch(self):
        if self._own is None:  # else the model has the mean since the validation of this epoch
            self._add()
            self.apply()

    def _add(self):
        if not self._started:
            return
        weights = self._weights()
        self._means = self._means or [_variable(weight) for weight in weights]
        self.steps += 1
        share = max(1 / self.steps, 0.0 if self.decay is None else 1 - self.decay)
        for mean, weight in zip(self._means, weights, strict=True):
            mean.assign_add((ops.cast(weight, "float32") - mean) * share)

    def _assign(self, values):
        for weight, value in zip(self._weights(), values, strict=True):
            weight.assign(ops.cast(value, weight.dtype))

    def _weights(self):
        return _averaged(self.model)


def _averaged(model):
    """The weights to average, including those of layers that are frozen for some time."""
    return [weight for weight in model.weights if "float" in weight.dtype]


def _variable(value):
    return keras.Variable(value, dtype="float32", trainable=False)


def step_average(name):
    """Return an `AverageSteps` for `"ema"` or `"nt_asgd"` (with the paper's patience), None for `"none"`.

    Example:

    >>> from textrnn.training import step_average
    >>> step_average("nt_asgd").patience
    5
    """
    return {"none": None, "ema": AverageSteps(decay=0.999), "nt_asgd": AverageSteps(patience=5)}[name]

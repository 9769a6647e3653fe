"""Evaluation during training."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import keras

from textrnn.errors import InputError


class Evaluate(keras.callbacks.Callback):
    """Evaluates a model after each epoch, and optionally within epochs.

    The metrics are added to the logs, so callbacks that read them must come later in the list. An epoch
    whose training loss is not finite is not evaluated.

    Args:
        evaluate: A function without arguments that returns a mapping of metrics, such as
            `{"val_loss": 2.3}`.
        every: Also evaluate after every so many batches of an epoch. This is for data sets so large that an
            epoch takes hours, and needs training data of known length.

    Attributes:
        scores: The metrics so far, with the number of epochs trained:
            `[(0.5, {"val_loss": 2.9}), (1, {"val_loss": 2.3}), ...]`.
        listeners: Callbacks whose `on_evaluation(epoch, logs, seconds)`, if they have one, is called after
            an evaluation within an epoch. `textrnn.training.fit` sets it to all callbacks of the run.
        weights: A context manager in which the model has the weights to evaluate within an epoch.
            `textrnn.training.fit` sets it for averaged weights.

    Raises:
        InputError: If `every` is below 1, or if it is set and the training data has no known length.

    Example:

    >>> import keras, numpy as np
    >>> from textrnn.training import Evaluate
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((2, 1))
    >>> model.fit(x, x, verbose=0, callbacks=[Evaluate(lambda: {"val_loss": 2.0})]).history["val_loss"]
    [2.0]
    """

    async_safe = True

    def __init__(self, evaluate, every=None):
        super().__init__()
        if every is not None and every < 1:
            raise InputError(f"every is {every}: give the number of batches between evaluations, or None")
        self.evaluate = evaluate
        self.every = every
        self.scores = []
        self.listeners: Sequence[keras.callbacks.Callback] = ()
        self.weights: Callable[[], AbstractContextManager] = nullcontext

    def on_train_begin(self, logs=None):
        """Clear the scores of an earlier run."""
        self.scores = []
        if self.every and not self.params.get("steps"):
            raise InputError(
                f"every is {self.every}, but the length of the training data is not known: "
                "use tf.data.experimental.assert_cardinality, or every=None"
            )

    def on_epoch_begin(self, epoch, logs=None):
        """Store the number of the epoch."""
        self._epoch = epoch
        self._evaluated_at = 0

    def on_train_batch_begin(self, batch, logs=None):
        """Evaluate every `every` batches."""
        if not self.every or batch - self._evaluated_at < self.every:
            return
        self._evaluated_at = batch
        train_loss = float(self.model.get_metrics_result().get("loss", math.nan))
        if not math.isfinite(train_loss):
            return
        start = time.perf_counter()
        position = round(self._epoch + batch / self.params["steps"], 4)
        with self.weights():
            logs = {"loss": train_loss, **self._score(position)}
            seconds = time.perf_counter() - start
            for listener in self.listeners:
                if hasattr(listener, "on_evaluation"):
                    listener.on_evaluation(position, logs, seconds)

    def on_epoch_end(self, epoch, logs=None):
        """Evaluate and add the metrics to `logs`."""
        if logs is not None and math.isfinite(logs.get("loss", 0.0)):
            logs.update(self._score(epoch + 1))

    def _score(self, position):
        metrics = dict(self.evaluate())
        self.scores.append((position, metrics))
        return metrics

"""Keeping the best weights."""

import math

import keras

from textrnn.training.messages import all_finite, clipping, highest_learning_rate, say


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights worth keeping, and stops a training whose loss is no longer finite.

    When training ends, however it ends, the model has the weights of the lowest `monitor`. If nothing was
    evaluated yet, it has its current weights, or the last finite ones if those are spoilt. What is kept is
    kept in memory, without the optimizer's state: compile anew to train on after a loss that is not finite.

    Args:
        monitor: The metric in the logs whose lowest finite value is best.
        every: Until the first evaluation, note the weights every so many batches.

    Attributes:
        best: The lowest `monitor`, or None.
        best_epoch: The number of epochs after which it was reached: 3, or 2.5 within the third. None before.
        not_finite: The first `(epoch, step)`, both from 1, whose loss was not finite, or None. The step is
            None if it was the weights that were not finite, after the last loss.

    Example:

    >>> import keras, numpy as np
    >>> from textrnn.training import BestWeights
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> best = BestWeights(monitor="loss")
    >>> _ = model.fit(np.ones((4, 1)), np.zeros((4, 1)), epochs=3, verbose=0, callbacks=[best])
    >>> best.best_epoch
    3
    """

    async_safe = True

    def __init__(self, monitor="val_loss", every=100):
        super().__init__()
        self.monitor = monitor
        self.every = every
        self._reset()

    def _reset(self):
        self.best = self.best_epoch = None
        self.not_finite: tuple[int, int | None] | None = None
        self._kept: tuple | None = None  # where the weights are from, in words, and the weights
        self._epoch = self._noted_at = 0
        self._bad_steps = []

    def on_train_begin(self, logs=None):
        """Forgets an earlier run and notes the weights."""
        self._reset()
        self._keep("before training")

    def on_epoch_begin(self, epoch, logs=None):
        """Notes where the epoch begins."""
        self._epoch = epoch
        self._noted_at = 0

    def on_train_batch_begin(self, batch, logs=None):
        """Notes the weights now and then, until there is a best."""
        if self.best is None and batch - self._noted_at >= self.every and not self._bad_steps:
            self._noted_at = batch
            self._keep(f"of epoch {self._epoch + 1}, step {batch}")

    def on_train_batch_end(self, batch, logs=None):
        """Stops training if the loss is not finite."""
        # Keras's loss is a running mean, so one such step spoils every later one: the first counts.
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self._bad_steps.append(batch + 1)
            self.model.stop_training = True

    def on_evaluation(self, epoch, logs, seconds=0.0):
        """Keeps the weights if they are the best so far.

        Args:
            epoch: The number of epochs trained, 2.5 in the middle of the third.
            logs: The metrics.
            seconds: How long the evaluation took.
        """
        value = logs.get(self.monitor)
        if value is None or not math.isfinite(value) or (self.best is not None and value >= self.best):
            return
        if self._keep(f"of epoch {epoch} ({self.monitor} {value:.4f})"):
            self.best, self.best_epoch = value, epoch

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the weights if they are the best so far."""
        if self._bad_steps:
            self.not_finite = (epoch + 1, min(self._bad_steps))
            self.model.stop_training = True
        else:
            self.on_evaluation(epoch + 1, logs or {})

    def on_train_end(self, logs=None):
        """Puts the best weights back and says so if training failed."""
        if self.not_finite is None and self.best is None and not all_finite(self.model.get_weights()):
            self.not_finite = (self._epoch + 1, None)
        origin = self.restore()
        if self.not_finite is not None:
            say(self._advice(*self.not_finite, origin))

    def restore(self):
        """Puts the best weights into the model; the class says which those are when there is no best.

        Returns:
            Which weights the model has now, in words: `"of epoch 3 (val_loss 1.2345)"`.
        """
        spoilt = self._bad_steps or not all_finite(self.model.get_weights())
        if self._kept is None or (self.best is None and not spoilt):
            return "of the last step"
        origin, values = self._kept
        for variable, value in values:
            variable.assign(value)
        return origin

    def _keep(self, origin):
        """Keeps the weights, unless they are not finite; returns whether it did."""
        # Pairs, since a model may gain variables while it trains.
        kept = [(variable, variable.numpy()) for variable in self.model.weights]
        if not all_finite(value for _, value in kept):
            return False
        self._kept = (origin, kept)
        return True

    def _advice(self, epoch, step, origin):
        what = f"the loss was not finite at step {step}" if step else "the weights were not finite at the end"
        optimizer = self.model.optimizer
        learning_rate, clips = highest_learning_rate(optimizer), clipping(optimizer)
        clip = "clip the gradients (they are not; try global_clipnorm=1.0)"
        if clips is not None:
            clip = f"clip the gradients harder (now {clips[0]}={clips[1]:g}; try {clips[1] / 2:g})"
        return (
            f"Training stopped in epoch {epoch}: {what}. The model has the weights {origin}. "
            f"Lower the learning rate (now {learning_rate:.3g}; try {learning_rate / 3:.1g}) or {clip}."
        )

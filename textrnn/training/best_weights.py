"""The best weights of a training run."""

import math

import keras
import numpy as np

from textrnn.training.messages import print_message


class BestWeights(keras.callbacks.Callback):
    """Restores the best weights when training ends, and stops training if the loss is not finite.

    The best weights are those of the lowest `monitor`. Without an evaluation, the model keeps its last
    weights or, if those are not finite, gets the last finite ones. Weights are kept in memory, without the
    optimizer's state, so compile the model again before you continue after a loss that is not finite.

    Args:
        monitor: Name of a metric in the logs. Its lowest finite value is best.
        every: Until the first evaluation, keep the weights every so many batches.

    Attributes:
        best: The lowest `monitor`, or None.
        best_epoch: The number of epochs trained when it was reached, such as 3, or 2.5 within the third
            epoch. None if there was no evaluation.
        not_finite: The first `(epoch, step)`, both counted from 1, with a loss that was not finite, or None.
            The step is None if the losses were finite but the last weights were not.

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
    _STATE = ("best", "best_epoch", "_kept", "_epoch", "_noted_at")

    def __init__(self, monitor="val_loss", every=100):
        super().__init__()
        self.monitor = monitor
        self.every = every
        self._reset()

    def _reset(self):
        self.best = self.best_epoch = None
        self.not_finite: tuple[int, int | None] | None = None
        self._kept: tuple | None = None  # the origin of the weights, as text, and the weights
        self._epoch = self._noted_at = 0
        self._bad_steps = []

    def on_train_begin(self, logs=None):
        """Forget an earlier run and keep the initial weights."""
        self._reset()
        self._keep("before training")

    def on_epoch_begin(self, epoch, logs=None):
        """Store the number of the epoch."""
        self._epoch = epoch
        self._noted_at = 0

    def on_train_batch_begin(self, batch, logs=None):
        """Keep the weights every `every` batches until the first evaluation."""
        if self.best is None and batch - self._noted_at >= self.every and not self._bad_steps:
            self._noted_at = batch
            self._keep(f"of epoch {self._epoch + 1}, step {batch}")

    def on_train_batch_end(self, batch, logs=None):
        """Stop training if the loss is not finite."""
        # Keras's loss is a running mean, so after the first such step it is never finite again.
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self._bad_steps.append(batch + 1)
            self.model.stop_training = True

    def on_evaluation(self, epoch, logs, seconds=0.0):
        """Keep the weights if they are the best so far.

        Args:
            epoch: Number of epochs trained, 2.5 in the middle of the third.
            logs: The metrics.
            seconds: Duration of the evaluation.
        """
        value = logs.get(self.monitor)
        if value is None or not math.isfinite(value) or (self.best is not None and value >= self.best):
            return
        if self._keep(f"of epoch {epoch} ({self.monitor} {value:.4f})"):
            self.best, self.best_epoch = value, epoch

    def on_epoch_end(self, epoch, logs=None):
        """Keep the weights if they are the best so far."""
        if self._bad_steps:
            self.not_finite = (epoch + 1, min(self._bad_steps))
            self.model.stop_training = True
        else:
            self.on_evaluation(epoch + 1, logs or {})

    def on_train_end(self, logs=None):
        """Restore the best weights, and print a message if training failed."""
        if self.not_finite is None and self.best is None and not _all_finite(self.model.get_weights()):
            self.not_finite = (self._epoch + 1, None)
        origin = self.restore()
        if self.not_finite is not None:
            print_message(self._advice(*self.not_finite, origin))

    def get_state(self):
        """Return what a checkpoint saves."""
        state = {name: vars(self)[name] for name in self._STATE}
        if self._kept is None:
            return state
        origin, values = self._kept
        places = {id(variable): place for place, variable in enumerate(self.model.weights)}
        return state | {"_kept": (origin, [(places[id(variable)], value) for variable, value in values])}

    def set_state(self, state):
        """Go on with what a checkpoint has saved."""
        for name in self._STATE:
            setattr(self, name, state[name])
        if self._kept is not None:
            origin, values = self._kept
            weights = self.model.weights
            self._kept = (origin, [(weights[place], value) for place, value in values])

    def restore(self):
        """Give the model the best weights.

        Returns:
            The origin of the weights, as text: `"of epoch 3 (val_loss 1.2345)"`.
        """
        not_finite = self._bad_steps or not _all_finite(self.model.get_weights())
        if self._kept is None or (self.best is None and not not_finite):
            return "of the last step"
        origin, values = self._kept
        for variable, value in values:
            variable.assign(value)
        return origin

    def _keep(self, origin):
        """Keep the weights if they are finite. Returns whether they are."""
        # Pairs, because a model may get new variables during training.
        kept = [(variable, variable.numpy()) for variable in self.model.weights]
        if not _all_finite(value for _, value in kept):
            return False
        self._kept = (origin, kept)
        return True

    def _advice(self, epoch, step, origin):
        what = f"the loss was not finite at step {step}" if step else "the weights were not finite at the end"
        optimizer = self.model.optimizer
        learning_rate, clips = _highest_learning_rate(optimizer), _clipping(optimizer)
        clip = "clip the gradients (they are not; try global_clipnorm=1.0)"
        if clips is not None:
            clip = f"clip the gradients harder (now {clips[0]}={clips[1]:g}; try {clips[1] / 2:g})"
        return (
            f"Training stopped in epoch {epoch}: {what}. The model has the weights {origin}. "
            f"Lower the learning rate (now {learning_rate:.3g}; try {learning_rate / 3:.1g}) or {clip}."
        )


def _all_finite(arrays):
    # NumPy has no `isfinite` for all of Keras's dtypes, but it has one for float32.
    return all(np.isfinite(array.astype("float32")).all() for array in arrays)


def _highest_learning_rate(optimizer):
    """The learning rate of an optimizer. For a schedule, its highest value and not the current one."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    rate = optimizer.get_config().get("learning_rate")
    while isinstance(rate, dict):
        config = rate["config"]
        names = ("warmup_target", "initial_learning_rate", "learning_rate")
        rate = next((config[name] for name in names if config.get(name)), None)
    return float(optimizer.learning_rate if rate is None else rate)


def _clipping(optimizer):
    """The name and value of the optimizer's gradient clipping, or None."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    for name in ("global_clipnorm", "clipnorm", "clipvalue"):
        if getattr(optimizer, name, None):
            return name, getattr(optimizer, name)
    return None

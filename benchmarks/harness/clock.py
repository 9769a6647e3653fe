"""Training until a budget of steps or of time is spent, with scores on the way."""

import math
import time

import keras

UNTIMED_STEPS = 3
"""The first steps compile, and are not timed."""
WARMUP = 0.02


def rate_at(done):
    """The factor of the learning rate after a part of the budget: a warm-up, then a cosine decay to zero."""
    if done < WARMUP:
        return max(done / WARMUP, 0.05)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - WARMUP) / (1 - WARMUP))))


class Clock(keras.callbacks.Callback):
    """Sets the learning rate by the part of a budget that is spent, scores at equal intervals, ends training.

    The budget is a number of steps, or a time. The time of scoring does not count.

    Args:
        learning_rate: The highest rate.
        steps: The budget in steps.
        seconds: The budget in seconds instead.
        score: A function without arguments that returns a score.
        scores: Number of scores, the last one at the end.
        now: The clock, in seconds. `time.process_time` counts the processor time of all threads, which other
            work on the machine does not change.

    Attributes:
        points: A list of `[minutes, score]`.
        steps: Steps so far.
        timed_steps: Those that `spent` is the time of.
        spent: Seconds so far.
        diverged: Whether training ended since the loss was not finite.
    """

    def __init__(
        self, learning_rate, *, steps=None, seconds=None, score=None, scores=0, now=time.perf_counter
    ):
        super().__init__()
        if (steps is None) == (seconds is None):
            raise ValueError(f"steps is {steps} and seconds is {seconds}: expected one of them")
        self.learning_rate, self.budget = learning_rate, (steps, seconds)
        self.score, self.scores, self.now = score, scores, now
        self.points, self.steps, self.spent, self.diverged = [], 0, 0.0, False

    @property
    def timed_steps(self):
        return max(0, self.steps - UNTIMED_STEPS)

    @property
    def done(self):
        """The part of the budget that is spent."""
        steps, seconds = self.budget
        return self.steps / steps if seconds is None else self.spent / seconds

    def on_train_begin(self, logs=None):
        self._set_rate()
        self._last = self.now()

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.timed_steps:
            self.spent += self.now() - self._last
        if not math.isfinite(logs["loss"]):
            self.diverged = self.model.stop_training = True
            return
        self._set_rate()
        if self.scores and self.done >= (len(self.points) + 1) / self.scores:
            self.points.append([round(self.spent / 60, 4), self.score()])
        if self.done >= 1:
            self.model.stop_training = True
        self._last = self.now()

    def _set_rate(self):
        self.model.optimizer.learning_rate = self.learning_rate * rate_at(self.done)


def train_for(model, batches, loss, clock, xla=False):
    """Train a model with Adam until the clock ends it.

    Args:
        model: A Keras model.
        batches: A `tf.data.Dataset`, read again and again.
        loss: A Keras loss.
        clock: A `Clock`.
        xla: Whether XLA compiles the step.
    """
    compile_for(model, loss, clock.learning_rate, xla)
    fit_until(model, batches, clock)


def compile_for(model, loss, learning_rate, xla=False):
    """Compile a model as `train_for` does."""
    optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=1.0)
    model.compile(optimizer, loss, jit_compile=xla)


def fit_until(model, batches, clock):
    """Train a compiled model until the clock ends it."""
    model.fit(batches, epochs=1_000_000, shuffle=False, verbose=0, callbacks=[clock])

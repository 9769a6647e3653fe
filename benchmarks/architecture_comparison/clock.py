"""Training for a time, with scores on the way."""

import math
import time

import keras

UNTIMED_STEPS = 3
"""The first steps compile, and are not timed."""
WARMUP = 0.02


def rate_at(done):
    """The factor of the learning rate after a part of the time: a warm-up, then a cosine decay to zero."""
    if done < WARMUP:
        return max(done / WARMUP, 0.05)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - WARMUP) / (1 - WARMUP))))


class Clock(keras.callbacks.Callback):
    """Sets the learning rate by the time spent on training, scores at equal intervals, and ends training.

    The time of scoring does not count.

    Args:
        minutes: Duration of training.
        learning_rate: The highest rate.
        score: A function without arguments that returns a float.
        scores: Number of scores, the last one at the end.
        now: The clock, in seconds.

    Attributes:
        points: A list of `[minutes, score]`.
        steps: Timed steps.
        diverged: Whether training ended since the loss was not finite.
    """

    def __init__(self, minutes, learning_rate, score, scores, now=time.perf_counter):
        super().__init__()
        self.seconds, self.learning_rate, self.score, self.scores = 60 * minutes, learning_rate, score, scores
        self.now = now
        self.points, self.steps, self.spent, self.diverged = [], -UNTIMED_STEPS, 0.0, False

    def on_train_begin(self, logs=None):
        self._set_rate()
        self._last = self.now()

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps > 0:
            self.spent += self.now() - self._last
        done = self.spent / self.seconds
        if not math.isfinite(logs["loss"]):
            self.diverged = self.model.stop_training = True
            return
        self._set_rate()
        if done >= (len(self.points) + 1) / self.scores:
            self.points.append([round(self.spent / 60, 4), self.score()])
        if done >= 1:
            self.model.stop_training = True
        self._last = self.now()

    def _set_rate(self):
        self.model.optimizer.learning_rate = self.learning_rate * rate_at(self.spent / self.seconds)


def train_for(model, batches, loss, clock, xla):
    """Train a model with Adam until the clock ends it.

    Args:
        model: A Keras model.
        batches: A `tf.data.Dataset`, read again and again.
        loss: A Keras loss.
        clock: A `Clock`.
        xla: Whether XLA compiles the step.
    """
    optimizer = keras.optimizers.Adam(clock.learning_rate, global_clipnorm=1.0)
    model.compile(optimizer, loss, jit_compile=xla)
    model.fit(batches, epochs=1_000_000, shuffle=False, verbose=0, callbacks=[clock])

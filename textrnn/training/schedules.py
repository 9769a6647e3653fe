"""Learning rate schedules."""

import math

import keras
import numpy as np
from keras import ops

from textrnn.errors import InputError


def schedule(name, learning_rate, steps):
    """Make a learning rate schedule by name.

    Args:
        name: `"cosine"` for `warmup_cosine`, `"slanted_triangular"` for `SlantedTriangular`, or `"constant"`.
        learning_rate: The maximum, a positive float.
        steps: Number of updates of the whole training, batches per epoch times epochs.

    Returns:
        A `keras.optimizers.schedules.LearningRateSchedule`, or the float for a constant rate.

    Raises:
        InputError: As for the schedule.

    Example:

    >>> from textrnn.training import schedules
    >>> [round(float(schedules.schedule(name, 0.1, steps=10)(5)), 3) for name in schedules.SCHEDULES]
    [0.05, 0.057]
    """
    return SCHEDULES[name](learning_rate, steps) if name != "constant" else learning_rate


def warmup_cosine(learning_rate, steps, warmup=0.02):
    """A linear warm-up to `learning_rate`, followed by a cosine decay to zero (Loshchilov & Hutter 2017).

    The warm-up has w = `round(warmup * steps)` steps and begins above zero, so that no update is wasted.
    Update t, counted from 0, uses `learning_rate * (t + 1) / (w + 1)`, and update w uses `learning_rate`. The
    decay is that of arXiv 1608.03983 without restarts.

    Args:
        learning_rate: The maximum, a positive float.
        steps: Number of updates of the whole training, batches per epoch times epochs.
        warmup: Fraction of `steps` for the warm-up, in [0, 1).

    Returns:
        A `keras.optimizers.schedules.CosineDecay`.

    Raises:
        InputError: If `learning_rate` is not positive, `steps` is below 1, or `warmup` is not in [0, 1).

    Example:

    >>> from textrnn.training import schedules
    >>> schedule = schedules.warmup_cosine(0.1, steps=1000, warmup=0.1)
    >>> [round(float(schedule(step)), 4) for step in (0, 49, 100, 550, 1000)]
    [0.001, 0.0495, 0.1, 0.05, 0.0]
    """
    learning_rate = _checked(learning_rate)
    if steps < 1:
        raise InputError(f"steps is {steps}: give the number of updates, batches per epoch times epochs")
    if not 0 <= warmup < 1:
        raise InputError(f"warmup is {warmup}: give a fraction of the steps, at least 0 and below 1")
    rising = min(round(warmup * steps), steps - 1)
    if rising == 0:
        return keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps=steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / (rising + 1),
        warmup_target=learning_rate,
        warmup_steps=rising,
        decay_steps=steps - rising,
    )


@keras.saving.register_keras_serializable("textrnn")
class ScaledByStep(keras.optimizers.schedules.LearningRateSchedule):
    """Multiplies a learning rate by a factor of each step.

    Windows of variable length have a rate proportional to their length (Merity et al. 2018): otherwise the
    tokens of short windows would count more. The factor of an update depends on its number alone, so a
    resumed run uses the same.

    Args:
        learning_rate: A float or a `keras.optimizers.schedules.LearningRateSchedule`.
        factors: Floats, `(steps,)`. Later updates use the last one.

    Raises:
        InputError: If there are no factors, or one is not above 0.

    Example:

    >>> from textrnn.training import ScaledByStep
    >>> schedule = ScaledByStep(0.1, [1.0, 0.5])
    >>> [round(float(schedule(step)), 3) for step in (0, 1, 2)]
    [0.1, 0.05, 0.05]
    """

    def __init__(self, learning_rate, factors):
        self.learning_rate = learning_rate
        self.factors = np.asarray(factors, "float32")
        if not (self.factors.ndim == 1 and len(self.factors) and (self.factors > 0).all()):
            raise InputError("factors must be positive numbers, one for each step")

    def __call__(self, step):
        """Return the learning rate of an update, counted from 0."""
        schedule = isinstance(self.learning_rate, keras.optimizers.schedules.LearningRateSchedule)
        rate = self.learning_rate(step) if schedule else self.learning_rate
        place = ops.minimum(ops.cast(step, "int32"), len(self.factors) - 1)
        return rate * ops.take(ops.convert_to_tensor(self.factors), place)

    def get_config(self):
        """Return the arguments of the constructor."""
        return {
            "learning_rate": keras.saving.serialize_keras_object(self.learning_rate),
            "factors": self.factors.tolist(),
        }

    @classmethod
    def from_config(cls, config):
        """Make a schedule from the result of `get_config`."""
        return cls(keras.saving.deserialize_keras_object(config["learning_rate"]), config["factors"])


@keras.saving.register_keras_serializable(package="textrnn")
class SlantedTriangular(keras.optimizers.schedules.LearningRateSchedule):
    """A short linear increase and a long linear decrease (Howard & Ruder 2018, arXiv 1801.06146, 3.2).

    With c = `floor(cut * steps)`, update t, counted from 0, uses `learning_rate * (1 + p * (ratio - 1)) /
    ratio`, where p is `t / c` before update c and `1 - (t - c) / (steps - c)` from there on. The paper
    divides by `c * (1 / cut - 1)`, which is the same where `cut * steps` is an integer.

    Args:
        learning_rate: The maximum, a positive float.
        steps: Number of updates of the whole training, batches per epoch times epochs.
        cut: Fraction of the steps for the increase, in [0, 1).
        ratio: By how much the lowest rate is below the highest, above 1.

    Raises:
        InputError: If an argument is out of range.

    Example:

    >>> from textrnn.training import schedules
    >>> schedule = schedules.SlantedTriangular(0.01, steps=100)
    >>> [round(float(schedule(step)), 5) for step in (0, 5, 10, 55, 100)]
    [0.00031, 0.00516, 0.01, 0.00516, 0.00031]
    """

    def __init__(self, learning_rate, steps, cut=0.1, ratio=32):
        super().__init__()
        self.learning_rate = _checked(learning_rate)
        if steps < 1:
            raise InputError(f"steps is {steps}: give the number of updates, batches per epoch times epochs")
        if not 0 <= cut < 1:
            raise InputError(f"cut is {cut}: give a fraction of the steps, at least 0 and below 1")
        if not ratio > 1:
            raise InputError(f"ratio is {ratio}: give a number above 1")
        self.steps, self.cut, self.ratio = int(steps), cut, ratio

    def __call__(self, step):
        """Return the learning rate of an update."""
        step = keras.ops.cast(step, "float32")
        peak = math.floor(self.cut * self.steps)
        falling = 1 - (step - peak) / (self.steps - peak)
        part = keras.ops.where(step < peak, step / max(peak, 1), keras.ops.maximum(falling, 0))
        return self.learning_rate * (1 + part * (self.ratio - 1)) / self.ratio

    def get_config(self):
        """Return the arguments of the constructor."""
        names = ("learning_rate", "steps", "cut", "ratio")
        return {name: getattr(self, name) for name in names}


SCHEDULES = {"cosine": warmup_cosine, "slanted_triangular": SlantedTriangular}
"""Schedules by name, functions of the highest rate and the number of updates."""


def _checked(learning_rate):
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise InputError(f"learning_rate is {learning_rate}: give a positive number, such as 0.001")
    return float(learning_rate)

"""Learning rate schedules."""

import math

import keras

from textrnn.errors import InputError


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


def _checked(learning_rate):
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise InputError(f"learning_rate is {learning_rate}: give a positive number, such as 0.001")
    return float(learning_rate)

"""Learning rates over time, as Keras's own serialisable schedules."""

import math

import keras

from textrnn.errors import InputError


def warmup_cosine(learning_rate, steps, warmup=0.02):
    """A linear rise to `learning_rate`, then half a cosine down to zero ([Loshchilov & Hutter, 2017](
    https://arxiv.org/abs/1608.03983)).

    The rise has `round(warmup * steps)` steps and begins above zero, so that no update is wasted: with w
    steps of warm-up, update t (from 0) uses `learning_rate * (t + 1) / (w + 1)`, and update w the whole.

    Args:
        learning_rate: The highest value, a positive float.
        steps: The updates of the whole training: batches per epoch times epochs.
        warmup: The part of `steps` that rises, in [0, 1).

    Returns:
        A `keras.optimizers.schedules.CosineDecay`.

    Raises:
        InputError: `learning_rate` is not positive, `steps` is below one, or `warmup` is not in [0, 1).

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
        raise InputError(f"warmup is {warmup}: give the part of training that warms up, from 0 to below 1")
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
        raise InputError(f"the learning rate is {learning_rate}: give a positive number, such as 0.001")
    return float(learning_rate)

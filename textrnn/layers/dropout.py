"""Dropout with one mask for all steps of a sequence, drawn before the loop (Gal & Ghahramani 2016)."""

from collections.abc import Callable, Mapping

import keras
from keras import ops

from textrnn.cells.base import Tensor
from textrnn.errors import InputError

_PREFIX = "dropout/"


def check_rate(name: str, rate: float) -> float:
    """The rate, if it is one.

    Raises:
        InputError: if it is not in [0, 1).

    Example:
    >>> from textrnn.layers.dropout import check_rate
    >>> check_rate("dropout", 0.5)
    0.5
    """
    if not 0 <= rate < 1:
        raise InputError(f"{name} is {rate!r}: give a rate of at least 0 and below 1")
    return rate


def locked_mask(batch_size: int | Tensor, size: int, rate: float, dtype: str, seed) -> Tensor:
    """What to multiply each step by, `(batch_size, size)`: 0 with probability `rate`, else 1 / (1 − rate)."""
    return keras.random.dropout(ops.ones((batch_size, size), dtype=dtype), rate, seed=seed)


def drop_recurrent(
    step: Callable,
    kernels: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    batch_size: int | Tensor,
    rate: float,
    seed,
) -> tuple[Callable, dict[str, Tensor]]:
    """Recurrent dropout: a mask of its own, the same at every step, on what each recurrent kernel multiplies.

    Args:
        step: a cell's `step`.
        kernels: the cell's `recurrent_kernels`, each `(n, m)`; the masks are `(batch_size, n)`.
        weights: the cell's `elementwise_weights`.
        batch_size: how many rows the masks have.
        rate: the fraction to drop.
        seed: a `keras.random.SeedGenerator`.

    Returns:
        The step and the weights to use in place of those given. The masks are among the weights, so that
        a strategy sees all that the step uses.
    """
    masks = {
        _PREFIX + name: locked_mask(batch_size, kernel.shape[0], rate, kernel.dtype, seed)
        for name, kernel in kernels.items()
    }

    def dropped(projected, states, dot, weights):
        return step(projected, states, lambda name, x: dot(name, x * weights[_PREFIX + name]), weights)

    return dropped, {**weights, **masks}

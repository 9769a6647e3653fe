"""Zoneout: after a step some units of the state keep the value they had (Krueger et al. 2017)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from textrnn.cells.base import Tensor
from textrnn.errors import InputError
from textrnn.layers.dropout import check_rate


def noise_name(group: int) -> str:
    """What the noise of a group is called among a step's weights."""
    return f"zoneout/{group}"


def check_zoneout(zoneout: float | Sequence[float] | np.ndarray) -> float | list[float]:
    """One rate as a float, or several as a list of floats, if that is what they are.

    Raises:
        InputError: for a rate that is no number, or not in [0, 1).

    Example:
    >>> from textrnn.layers.zoneout import check_zoneout
    >>> check_zoneout(0), check_zoneout((0.05, 0.5)), check_zoneout(np.array([0.25, 0.5]))
    (0.0, [0.05, 0.5], [0.25, 0.5])
    """
    given: Any = zoneout.tolist() if isinstance(zoneout, np.ndarray) else zoneout
    if isinstance(given, Sequence) and not isinstance(given, str):
        return [check_rate("zoneout", rate) for rate in given]
    return check_rate("zoneout", given)


def zoneout_rates(zoneout: float | Sequence[float], groups: Sequence[int | None]) -> dict[int, float]:
    """The rate of each group of states that is zoned out.

    Args:
        zoneout: one rate for all groups, or a rate for each, in the order in which they first appear: what
            `check_zoneout` gave.
        groups: a cell's `zoneout_groups`.

    Returns:
        Group -> rate, of those whose rate is not zero.

    Raises:
        InputError: for another number of rates than groups.

    Example: of an LSTM's states h and c, c is the second.
    >>> from textrnn.layers.zoneout import zoneout_rates
    >>> zoneout_rates(0.1, [0, 1]), zoneout_rates([0.05, 0.5], [0, 1]), zoneout_rates([0.0, 0.5], [0, 1])
    ({0: 0.1, 1: 0.1}, {0: 0.05, 1: 0.5}, {1: 0.5})
    """
    names = list(dict.fromkeys(group for group in groups if group is not None))
    rates = list(zoneout) if isinstance(zoneout, Sequence) else [zoneout] * len(names)
    if len(rates) != len(names):
        raise InputError(
            f"zoneout is {zoneout!r}, but the cell has {len(names)} groups of states (its states are of the "
            f"groups {list(groups)}): give one rate for all, or one for each"
        )
    return {name: rate for name, rate in zip(names, rates, strict=True) if rate}


def zone_out(
    step: Callable,
    rates: Mapping[int, float],
    groups: Sequence[int | None],
    sizes: Sequence[int],
    steps: int | Tensor,
    batch_size: int | Tensor,
    seed,
) -> tuple[Callable, dict[str, Tensor]]:
    """Zoneout in training: at every step each unit of a state keeps its old value with the given probability.

    Args:
        step: a cell's `step`.
        rates: what `zoneout_rates` gave.
        groups: for each state the group whose mask it shares.
        sizes: the size of each state.
        steps: how many steps the masks have.
        batch_size: how many rows they have.
        seed: a `keras.random.SeedGenerator`.

    Returns:
        The step to use in place of the one given, and the noise that it finds among its `weights`: name ->
        `(steps, batch_size, n)`, True where the old value stays.
    """
    size = dict(zip(groups, sizes, strict=True))
    noise = {
        noise_name(group): keras.random.uniform((steps, batch_size, size[group]), dtype="float32", seed=seed)
        < rate
        for group, rate in rates.items()
    }

    def zoned(projected, states, dot, weights):
        def mix(group, old, new):
            return keras.ops.where(weights[noise_name(group)], old, new)

        output, new_states = step(projected, states, dot, weights)
        mixed = [
            mix(group, old, new) if group in rates else new
            for group, old, new in zip(groups, states, new_states, strict=True)
        ]
        return _output_of(output, new_states, mixed), mixed

    return zoned, noise


def expect_zoneout(
    step: Callable, average_states: Callable, rates: Mapping[int, float], groups: Sequence[int | None]
) -> Callable:
    """Zoneout in inference: each state becomes what is expected of it in training, z·old + (1 − z)·new.

    Args:
        step: a cell's `step`, or what its `stepper` gave: any function of two arguments or more, of which
            the second is the states, that returns an output and the new states.
        average_states: the cell's.
        rates: what `zoneout_rates` gave.
        groups: for each state its group.

    Returns:
        A function to use in place of `step`.
    """
    state_rates = [0.0 if group is None else rates.get(group, 0.0) for group in groups]

    def expected(inputs, states, *others):
        output, new_states = step(inputs, states, *others)
        averaged = average_states(states, new_states, state_rates)
        return _output_of(output, new_states, averaged), averaged

    return expected


def _output_of(output, new_states, zoned_states):
    """The output after zoneout: where it *is* a state, that state as it was left."""
    for before, after in zip(new_states, zoned_states, strict=True):
        if output is before:
            return after
    return output

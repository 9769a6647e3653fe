"""Zoneout: at each step, random units of a state keep their old value (Krueger et al. 2017)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from textrnn.errors import InputError
from textrnn.layers.dropout import check_rate
from textrnn.tensors import Tensor


def noise_name(group: int) -> str:
    """The name of a group's mask among the weights of a step."""
    return f"zoneout/{group}"


def check_zoneout(zoneout: float | Sequence[float] | np.ndarray) -> float | list[float]:
    """Check one or several rates and return them as a float or a list of floats.

    Raises:
        InputError: If a rate is not a number in [0, 1).

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
    """The zoneout rate of each group of states.

    Args:
        zoneout: One rate for all groups, or one for each in the order in which the groups first appear, as
            `check_zoneout` returns them.
        groups: A cell's `zoneout_groups`.

    Returns:
        Group -> rate, without rates of zero.

    Raises:
        InputError: If the number of rates is not the number of groups.

    Example: the states of an LSTM are h and c, in this order.

    >>> from textrnn.layers.zoneout import zoneout_rates
    >>> zoneout_rates(0.1, [0, 1]), zoneout_rates([0.05, 0.5], [0, 1]), zoneout_rates([0.0, 0.5], [0, 1])
    ({0: 0.1, 1: 0.1}, {0: 0.05, 1: 0.5}, {1: 0.5})
    """
    names = list(dict.fromkeys(group for group in groups if group is not None))
    rates = list(zoneout) if isinstance(zoneout, Sequence) else [zoneout] * len(names)
    if len(rates) != len(names):
        raise InputError(
            f"zoneout is {zoneout!r}, but the cell has {len(names)} groups of states (zoneout_groups is "
            f"{list(groups)}): give one rate for all, or one for each group"
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
    """Apply zoneout in training: each unit of a state keeps its old value with the given probability.

    Args:
        step: A cell's `step`.
        rates: The result of `zoneout_rates`.
        groups: For each state, its group. The states of a group share a mask.
        sizes: The size of each state.
        steps: The number of steps.
        batch_size: The number of rows.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        The new step, and the masks that it reads from its `weights`: name -> `(steps, batch_size, n)`, True
        where a unit keeps its old value.
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
    """Apply zoneout in inference: each state is its expectation in training, z·old + (1 − z)·new.

    Args:
        step: A cell's `step`, or the function that its `stepper` returns. The second argument is the states,
            and the result is an output and the new states.
        average_states: The cell's method.
        rates: The result of `zoneout_rates`.
        groups: For each state, its group.

    Returns:
        The new step.
    """
    state_rates = [0.0 if group is None else rates.get(group, 0.0) for group in groups]

    def expected(inputs, states, *others):
        output, new_states = step(inputs, states, *others)
        averaged = average_states(states, new_states, state_rates)
        return _output_of(output, new_states, averaged), averaged

    return expected


def _output_of(output, new_states, zoned_states):
    """The output after zoneout. An output that is a new state becomes that state after zoneout."""
    for before, after in zip(new_states, zoned_states, strict=True):
        if output is before:
            return after
    return output

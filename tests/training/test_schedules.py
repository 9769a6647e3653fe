"""`warmup_cosine` rises linearly and decays as a cosine."""

import keras
import numpy as np
import pytest

from textrnn.errors import InputError
from textrnn.training.schedules import ScaledByStep, warmup_cosine


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


def expected(learning_rate, steps, rising):
    """The schedule from its definition, for each step."""
    step = np.arange(steps)
    rise = learning_rate * (step + 1) / (rising + 1)
    fall = learning_rate * 0.5 * (1 + np.cos(np.pi * (step - rising) / (steps - rising)))
    return np.where(step < rising, rise, fall)


@pytest.mark.parametrize(
    "steps, warmup, rising", [(100, 0.1, 10), (100, 0.0, 0), (3, 0.02, 0), (50, 0.98, 49)]
)
def test_warmup_cosine_rises_linearly_and_falls_as_a_cosine(steps, warmup, rising):
    schedule = warmup_cosine(0.3, steps, warmup)
    np.testing.assert_allclose(rates(schedule, range(steps)), expected(0.3, steps, rising), atol=1e-7)


def test_warmup_cosine_begins_above_zero_and_ends_at_zero():
    schedule = warmup_cosine(0.3, steps=1000)
    assert rates(schedule, range(1000)).min() > 0
    np.testing.assert_allclose(rates(schedule, [1000, 2000]), 0.0, atol=1e-7)


def test_one_step_of_training_uses_the_whole_learning_rate():
    assert rates(warmup_cosine(0.3, steps=1, warmup=0.9), [0]) == pytest.approx(0.3)


def test_schedules_are_serialised_with_their_optimizer():
    optimizer = keras.optimizers.Adam(warmup_cosine(0.01, steps=40))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    np.testing.assert_allclose(
        rates(again._learning_rate, range(40)), rates(optimizer._learning_rate, range(40)), atol=1e-9
    )


@pytest.mark.parametrize(
    "learning_rate, steps, warmup",
    [
        (0.0, 10, 0.1),
        (-1.0, 10, 0.1),
        (float("nan"), 10, 0.1),
        (0.1, 0, 0.1),
        (0.1, 10, 1.0),
        (0.1, 10, -0.1),
    ],
)
def test_invalid_numbers_are_refused(learning_rate, steps, warmup):
    with pytest.raises(InputError):
        warmup_cosine(learning_rate, steps, warmup)


def test_a_rate_is_scaled_by_the_factor_of_the_step():
    factors = [0.5, 2.0, 1.0, 0.25]
    scaled = ScaledByStep(warmup_cosine(0.3, steps=4), factors)
    np.testing.assert_allclose(rates(scaled, range(4)), rates(warmup_cosine(0.3, 4), range(4)) * factors)
    assert rates(ScaledByStep(0.1, factors), [9]) == pytest.approx(0.025), "the last factor stays"


def test_updates_of_an_optimizer_are_scaled():
    weight = keras.Variable([1.0])
    optimizer = keras.optimizers.SGD(ScaledByStep(0.1, [1.0, 0.5]))
    for _ in range(2):
        optimizer.apply([keras.ops.ones(1)], [weight])
    np.testing.assert_allclose(weight.numpy(), [1 - 0.1 - 0.05], rtol=1e-6)


def test_a_scaled_schedule_is_serialised_with_its_optimizer():
    optimizer = keras.optimizers.SGD(ScaledByStep(warmup_cosine(0.01, steps=4), [1.0, 0.5, 2.0]))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    np.testing.assert_allclose(
        rates(again._learning_rate, range(4)), rates(optimizer._learning_rate, range(4)), atol=1e-9
    )


@pytest.mark.parametrize("factors", [[], [1.0, 0.0], [-1.0], [float("nan")], [[1.0]]])
def test_factors_must_be_positive(factors):
    with pytest.raises(InputError, match="factors"):
        ScaledByStep(0.1, factors)

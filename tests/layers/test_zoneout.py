"""Zoneout: random units keep their old value in training, and inference uses the expectation."""

import numpy as np
import pytest
from keras import ops
from references.gradients import assert_close

from textrnn.cells import Cell, GatedCell
from textrnn.errors import InputError
from textrnn.layers import Recurrent

BATCH, TIME, UNITS = 100, 5, 40
# BATCH·TIME·UNITS = 20,000 draws: five standard deviations are at most 0.018
FIVE_DEVIATIONS = 0.018


pytestmark = pytest.mark.usefixtures("without_compilation")


class Counter(Cell):
    """Counts steps in four states. The first two share a mask, and the last has none."""

    state_size, output_size, zoneout_groups = [UNITS] * 4, UNITS, [0, 0, 1, None]

    def project_inputs(self, x):
        return (x,)

    def step(self, projected, states, dot, weights):
        counts = [state + 1 for state in states]
        return self.output(states, counts), counts

    def output(self, states, counts):
        return counts[0]

    @property
    def recurrent_kernels(self):
        return {}


class OutputIsNoState(Counter):
    """The output equals a state but is another tensor."""

    def output(self, states, counts):
        return states[0] + 1


def count(zoneout, cell=None, mask=None, training=True, **options):
    """The outputs and last states of a counter."""
    layer = Recurrent(cell or Counter(), return_sequences=True, return_state=True, zoneout=zoneout, **options)
    x = np.zeros((BATCH, TIME, 1), "float32")
    return [ops.convert_to_numpy(t) for t in layer(x, mask=mask, training=training)]


def held(outputs):
    """Where the first state kept its old value, `(batch, time, units)`."""
    return np.diff(outputs, axis=1, prepend=0) == 0


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_a_unit_keeps_its_old_value_with_the_given_probability(rate):
    outputs, first, *_ = count(rate)
    np.testing.assert_array_equal(np.unique(np.diff(outputs, axis=1, prepend=0)), [0, 1])
    assert abs(held(outputs).mean() - rate) < FIVE_DEVIATIONS
    np.testing.assert_array_equal(outputs[:, -1], first)


def test_masks_are_independent_between_steps_rows_and_units():
    held_at = held(count(0.5)[0])
    for one, other in [
        (held_at[:, 1:], held_at[:, :-1]),
        (held_at[1:], held_at[:-1]),
        (held_at[..., 1:], held_at[..., :-1]),
    ]:
        assert abs((one == other).mean() - 0.5) < 5 * 0.5 / np.sqrt(one.size)


def test_states_of_a_group_share_a_mask_and_a_state_without_group_has_none():
    _, first, second, other, exempt = count(0.5)
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    assert (exempt == TIME).all()


def test_each_group_can_have_a_rate_of_its_own():
    _, first, _, other, _ = count([0.1, 0.6])
    assert abs(first.mean() / TIME - 0.9) < FIVE_DEVIATIONS
    assert abs(other.mean() / TIME - 0.4) < FIVE_DEVIATIONS
    _, first, _, other, _ = count([0.0, 0.6])
    assert (first == TIME).all() and (other < TIME).any()


def test_an_output_that_is_no_state_is_not_zoned_out():
    outputs, first, *_ = count(0.5, OutputIsNoState())
    assert (outputs[:, 0] == 1).all()
    assert (outputs[:, -1] != first).any()


@pytest.mark.parametrize("training", [False, True])
def test_masked_steps_keep_the_states(training):
    mask = np.arange(TIME) < np.arange(BATCH)[:, None] % (TIME + 1)
    outputs, first, *_, exempt = count(0.5, mask=mask, training=training)
    assert not np.diff(outputs, axis=1, prepend=0)[~mask].any()
    np.testing.assert_array_equal(first, outputs[:, -1])
    np.testing.assert_array_equal(exempt, np.repeat(mask.sum(1)[:, None], UNITS, axis=1))


def test_inference_is_the_expectation_of_training():
    outputs, first, _, other, exempt = count([0.25, 0.5], training=False)
    np.testing.assert_allclose(outputs[0, :, 0], 0.75 * np.arange(1, TIME + 1), rtol=1e-6)
    assert_close([first, other, exempt], [np.full_like(first, n) for n in (0.75 * TIME, 0.5 * TIME, TIME)])
    drawn, *_ = count([0.25, 0.5])
    assert abs(drawn[:, -1].mean() - 0.75 * TIME) < TIME * FIVE_DEVIATIONS


def test_inference_and_single_steps_equal_numpy():
    layer = Recurrent(GatedCell(3, "lstm"), return_sequences=True, return_state=True, zoneout=[0.1, 0.5])
    layer.build((None, None, 2))
    x, h, c = np.random.normal(size=(4, 6, 2)), *np.random.normal(size=(2, 4, 3))
    x, initial = x.astype("float32"), [h.astype("float32"), c.astype("float32")]
    kernel, recurrent_kernel, bias = layer.get_weights()
    step, states, steps, expected = layer.stepper(), initial, [], []
    for t in range(6):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        new_c = f * c + i * np.tanh(g)
        # The output reads the new memory before zoneout.
        h, c = 0.1 * h + 0.9 * o * np.tanh(new_c), 0.5 * c + 0.5 * new_c
        expected.append(h)
        output, states = step(x[:, t], states)
        steps.append(output)
    outputs, *last = layer(x, initial_state=initial)
    assert_close([outputs, *last], [np.stack(expected, axis=1), h, c])
    assert_close([ops.stack(steps, axis=1), *states], [outputs, *last])


def test_every_call_draws_new_masks_and_a_seed_reproduces_them():
    layers = [Recurrent(Counter(), zoneout=0.5, seed=2) for _ in range(2)]
    x = np.zeros((BATCH, TIME, 1), "float32")
    (first, second), again = (
        [ops.convert_to_numpy(layer(x, training=True)) for _ in "ab"] for layer in layers
    )
    np.testing.assert_array_equal([first, second], again)
    assert (first != second).any()


@pytest.mark.parametrize(
    ("zoneout", "message"),
    [
        (1.0, "zoneout is 1.0: give a rate"),
        (None, "zoneout is None: give a rate"),
        ("0.5", "zoneout is '0.5': give a rate"),
        ([None, 0.1], "zoneout is None: give a rate"),
        ([0.1, -0.2], "zoneout is -0.2: give a rate"),
        (
            [0.1, 0.2, 0.3],
            r"the cell has 2 groups of states \(zoneout_groups is \[0, 0, 1, None\]\): give one",
        ),
    ],
)
def test_wrong_rates_are_refused(zoneout, message):
    with pytest.raises(InputError, match=message):
        Recurrent(Counter(), zoneout=zoneout)


@pytest.mark.parametrize("zoneout", [(0.25, 0.5), np.array([0.25, 0.5]), [np.float32(0.25), 0.5]], ids=type)
def test_rates_are_sequences_or_arrays_of_any_numbers(zoneout):
    layer = Recurrent(Counter(), zoneout=zoneout)
    assert layer.get_config()["zoneout"] == [0.25, 0.5]
    assert {type(rate) for rate in layer.zoneout} == {float}


def test_inference_of_an_slstm_is_close_to_the_expectation_of_training():
    """Its c and n are averaged as c·exp(m) and n·exp(m), since m starts at −30,000."""
    layer = Recurrent(GatedCell(4, "slstm"), return_sequences=True, zoneout=0.2)
    x = np.repeat(np.random.normal(size=(1, 3, 3)).astype("float32"), 2500, axis=0)
    drawn = ops.convert_to_numpy(layer(x, training=True))
    expected = ops.convert_to_numpy(layer(x[:1], training=False))[0]
    # An approximation for cells that are not linear. Averaging each state on its own would be far off.
    off = np.sqrt(np.mean((drawn.mean(axis=0) - expected) ** 2)) / np.sqrt(np.mean(expected**2))
    assert off < 0.1
    once = np.abs(drawn[:, 0]).max(axis=0)
    # 2,500 draws: five standard deviations are 0.05 of the mean
    np.testing.assert_allclose(drawn[:, 0].mean(axis=0) / np.sign(expected[0]), 0.8 * once, rtol=0.05)

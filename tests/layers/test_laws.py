"""The laws of a recurrence, for every architecture and every strategy: one table.

A new architecture joins by its reference in `references/gated_cells.py`, a new strategy by its name.
"""

from functools import partial

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from keras import ops
from references.gated_cells import REFERENCES
from references.gradients import (
    TENSORFLOW,
    assert_close,
    finite_differences,
    float64,
    interpreted,
    value_and_gradients,
)

from textrnn.cells import GatedCell, describe, find_cell
from textrnn.layers import Recurrent
from textrnn.layers.strategies import strategies_of

FEATURES, UNITS = 3, 4
KERAS_LAYERS = {
    "simple": keras.layers.SimpleRNN,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "gru_reset_before": partial(keras.layers.GRU, reset_after=False),
}


def runs(*names):
    """Each of these architectures with each strategy that can run it."""
    kinds = {name: describe.kind(find_cell(REFERENCES[name].cell)) for name in names}
    pairs = [(name, strategy) for name in names for strategy in strategies_of(kinds[name])]
    return pytest.mark.parametrize(("name", "strategy"), pairs)


every_run = runs(*REFERENCES)
few_examples = settings(max_examples=3 if TENSORFLOW else 1)  # of each architecture and strategy
sizes = st.integers(1, 5)
# One of each structure: a memory of its own and normalisation, a state reset before its matrix, heads of
# exponential gates; and without recurrent matrices, with feedback and linear.
main_runs = runs(*["lstm_ln", "mut3", "slstm", "sru", "qrnn"])


@pytest.fixture(scope="module", autouse=True)
def _interpreted():
    with interpreted():
        yield


def make_layer(name, strategy, features=FEATURES, units=UNITS, **options):
    """A built layer that returns everything, all of whose weights, biases too, are random."""
    layer = Recurrent(
        GatedCell(units, REFERENCES[name].cell, dtype=options.pop("dtype", "float32")),
        return_sequences=True,
        return_state=True,
        strategy=strategy,
        **options,
    )
    layer.build((None, None, features))
    layer.set_weights([np.random.normal(size=w.shape, scale=0.5) for w in layer.get_weights()])
    return layer


def make_batch(name, batch=4, time=5, features=FEATURES, units=UNITS, dtype="float32"):
    """Inputs, initial states, and a mask with holes whose last row is padding alone."""
    x = np.random.normal(size=(batch, time, features)).astype(dtype)
    states = REFERENCES[name].random_states(np.random.default_rng(0), batch, units)
    states = [state.astype(dtype) for state in states]
    mask = np.random.uniform(size=(batch, time)) < 0.6
    mask[-1] = False
    return x, states, mask


def run(layer, x, states=None, mask=None, **options):
    outputs, *states = layer(x, initial_state=states, mask=mask, **options)
    return outputs, states


def weighted_sum(seed=0):
    """A loss that depends on every entry of every output, on each in its own way."""

    def loss(outputs):
        random = np.random.default_rng(seed)
        weights = [random.normal(size=o.shape) for o in keras.tree.flatten(outputs)]
        pairs = zip(keras.tree.flatten(outputs), weights, strict=True)
        return sum(ops.sum(o * ops.convert_to_tensor(w, o.dtype)) for o, w in pairs)

    return loss


@every_run
@few_examples
@given(batch=sizes, time=sizes, features=sizes, units=sizes)
@example(batch=4, time=5, features=3, units=4)
def test_layer_equals_reference_keras_loop_and_steps(name, strategy, batch, time, features, units):
    layer = make_layer(name, strategy, features, units)
    x, states, mask = make_batch(name, batch, time, features, units)
    outputs, last = run(layer, x, states)
    assert_close([outputs, last], REFERENCES[name].run(layer.get_weights(), x, states))
    assert_close(run(layer, x, states, mask), REFERENCES[name].run(layer.get_weights(), x, states, mask))

    by_keras = keras.layers.RNN(layer.cell, return_sequences=True, return_state=True)
    assert_close([outputs, last], run(by_keras, x, states))

    steps, state = [], states
    for t in range(x.shape[1]):
        output, state = layer.cell(x[:, t], state)
        steps.append(output)
    assert_close([outputs, last], [ops.stack(steps, axis=1), state])


@every_run
def test_gradients_equal_finite_differences_of_the_reference(name, strategy):
    reference = REFERENCES[name]
    with float64():
        layer = make_layer(name, strategy, features=2, units=2, dtype="float64")
        x, states, mask = make_batch(name, time=4, features=2, units=2, dtype="float64")
        inputs = {"sequences": x, "initial_state": states}
        _, by_input, by_weight = value_and_gradients(layer, inputs, weighted_sum(), mask=mask)
        weights = layer.get_weights()

        def value(arrays):
            x, *arrays = arrays
            states, weights = arrays[: len(layer.state_size)], arrays[len(layer.state_size) :]
            outputs, last = reference.run(weights, x, states, mask)
            random = np.random.default_rng(0)
            return sum(np.sum(o * random.normal(size=o.shape)) for o in [outputs, *last])

        expected = finite_differences(value, [x, *states, *weights])
        actual = [by_input["sequences"], *by_input["initial_state"], *by_weight]
        assert {a.dtype for a in actual} == {np.dtype("float64")}
        assert_close(actual, expected, 1e-6)


@every_run
@few_examples
@given(data=st.data())
def test_running_in_two_parts_is_running_in_one(name, strategy, data):
    time = data.draw(st.integers(2, 7))
    split = data.draw(st.integers(1, time - 1))
    layer = make_layer(name, strategy)
    x, states, mask = make_batch(name, time=time)
    whole, last = run(layer, x, states, mask)
    prefix, between = run(layer, x[:, :split], states, mask[:, :split])
    suffix, last_of_parts = run(layer, x[:, split:], between, mask[:, split:])
    assert_close(last_of_parts, last)
    valid = mask[..., None]  # a masked first step of the second part has no output before it to repeat
    assert_close(ops.concatenate([prefix, suffix], axis=1) * valid, whole * valid)


@every_run
@few_examples
@given(data=st.data())
def test_padding_never_changes_a_valid_step(name, strategy, data):
    lengths = data.draw(st.lists(st.integers(0, 5), min_size=4, max_size=4))
    padding = data.draw(st.integers(0, 3))
    left = data.draw(st.booleans())
    layer = make_layer(name, strategy)
    time = max(*lengths, 1) + padding
    x, states, _ = make_batch(name, len(lengths), time)
    mask = np.arange(time) < np.array(lengths)[:, None]
    mask = mask[:, ::-1] if left else mask
    outputs, last = run(layer, x, states, mask)
    assert np.isfinite(ops.convert_to_numpy(outputs)).all()
    for row, length in enumerate(lengths):
        own_states = [state[row : row + 1] for state in states]
        own_last = [state[row : row + 1] for state in last]
        if length == 0:
            assert_close(own_last, own_states, 0)
            continue
        alone, alone_last = REFERENCES[name].run(layer.get_weights(), x[row][None, mask[row]], own_states)
        assert_close(ops.convert_to_numpy(outputs)[row][None, mask[row]], alone)
        assert_close(own_last, alone_last)


@every_run
def test_a_fully_padded_batch_has_no_gradient_but_that_of_its_states(name, strategy):
    layer, (x, states, mask) = make_layer(name, strategy), make_batch(name)
    inputs = {"sequences": x, "initial_state": states}
    (outputs, *last), by_input, by_weight = value_and_gradients(
        layer, inputs, weighted_sum(), mask=np.zeros_like(mask)
    )
    assert not outputs.any()
    assert_close(last, states, 0)
    assert not any(g.any() for g in [by_input["sequences"], *by_weight])
    assert all(g.all() for g in by_input["initial_state"])


@runs(*KERAS_LAYERS)
def test_values_and_gradients_equal_keras_s_own_layer(name, strategy):
    theirs = KERAS_LAYERS[name](UNITS, return_sequences=True, return_state=True)
    theirs.build((None, None, FEATURES))
    ours, (x, states, mask) = make_layer(name, strategy), make_batch(name)
    theirs.set_weights(ours.get_weights())
    mask[:, 0] = True  # Keras's backends disagree on what comes before the first valid step
    inputs = {"sequences": x, "initial_state": states}
    expected, *expected_gradients = value_and_gradients(theirs, inputs, weighted_sum(), mask=mask)
    actual, *gradients = value_and_gradients(ours, inputs, weighted_sum(), mask=mask)
    assert_close(actual, expected)
    assert_close(gradients, expected_gradients, 1e-4)


@main_runs
def test_compiling_with_xla_changes_nothing(name, strategy):
    layer, (x, states, mask) = make_layer(name, strategy), make_batch(name)
    inputs = {"sequences": x, "initial_state": states}
    expected, *expected_gradients = value_and_gradients(layer, inputs, weighted_sum(), mask=mask)
    actual, *gradients = value_and_gradients(layer, inputs, weighted_sum(), mask=mask, compiled=True)
    assert_close(actual, expected)
    assert_close(gradients, expected_gradients, 1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@every_run
def test_mixed_precision_runs_in_the_compute_dtype(name, policy, strategy):
    exact, mixed = make_layer(name, strategy), make_layer(name, strategy, dtype=policy)
    mixed.set_weights(exact.get_weights())
    x, states, mask = make_batch(name)
    inputs = {"sequences": x, "initial_state": states}
    outputs, *gradients = value_and_gradients(mixed, inputs, weighted_sum(), mask=mask)
    dtypes = {keras.backend.standardize_dtype(o.dtype) for o in mixed(x, initial_state=states)}
    assert dtypes == {keras.DTypePolicy(policy).compute_dtype}
    assert {keras.backend.standardize_dtype(w.dtype) for w in mixed.weights} == {"float32"}
    assert_close(outputs, list(exact(x, initial_state=states, mask=mask)), 0.05)
    assert all(np.isfinite(np.asarray(g, "float32")).all() for g in keras.tree.flatten(gradients))


@every_run
def test_a_saved_model_computes_the_same(name, strategy, tmp_path):
    x, _, mask = make_batch(name)
    inputs = keras.Input((None, FEATURES))
    masked = keras.layers.Masking()(inputs)
    outputs = Recurrent(GatedCell(UNITS, REFERENCES[name].cell), strategy=strategy)(masked)
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].cell.get_config() == model.layers[-1].cell.get_config()
    assert loaded.layers[-1].strategy == strategy
    x = x * mask[..., None]
    assert_close(loaded(x), model(x), 0)

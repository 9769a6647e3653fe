"""Laws of a recurrence, for representative cells with every strategy."""

import keras
import numpy as np
import pytest
from builders.layers import (
    FEATURES,
    UNITS,
    make_batch,
    make_layer,
    representative_cells_and_strategies,
    run,
    tensorflow_only,
    weighted_sum,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from references.gated_cells import REFERENCES
from references.gradients import TENSORFLOW, assert_close, value_and_gradients

from textrnn.cells import GatedCell
from textrnn.layers import Recurrent

pytestmark = pytest.mark.usefixtures("without_compilation")

few_examples = settings(max_examples=3 if TENSORFLOW else 1)  # of each cell and strategy


@tensorflow_only
@representative_cells_and_strategies
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
    valid = mask[..., None]  # a masked first step of the second part has no previous output to repeat
    assert_close(ops.concatenate([prefix, suffix], axis=1) * valid, whole * valid)


@representative_cells_and_strategies
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


@tensorflow_only
@representative_cells_and_strategies
def test_a_fully_padded_batch_has_gradients_for_its_states_only(name, strategy):
    layer, (x, states, mask) = make_layer(name, strategy), make_batch(name)
    inputs = {"sequences": x, "initial_state": states}
    (outputs, *last), by_input, by_weight = value_and_gradients(
        layer, inputs, weighted_sum, mask=np.zeros_like(mask)
    )
    assert not outputs.any()
    assert_close(last, states, 0)
    assert not any(g.any() for g in [by_input["sequences"], *by_weight])
    assert all(g.all() for g in by_input["initial_state"])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", *(["mixed_float16"] if TENSORFLOW else [])])
@representative_cells_and_strategies
def test_mixed_precision_runs_in_the_compute_dtype(name, policy, strategy):
    exact, mixed = make_layer(name, strategy), make_layer(name, strategy, dtype=policy)
    mixed.set_weights(exact.get_weights())
    x, states, mask = make_batch(name)
    inputs = {"sequences": x, "initial_state": states}
    outputs, *gradients = value_and_gradients(mixed, inputs, weighted_sum, mask=mask)
    dtypes = {keras.backend.standardize_dtype(o.dtype) for o in mixed(x, initial_state=states)}
    assert dtypes == {keras.DTypePolicy(policy).compute_dtype}
    assert {keras.backend.standardize_dtype(w.dtype) for w in mixed.weights} == {"float32"}
    assert_close(outputs, list(exact(x, initial_state=states, mask=mask)), 0.05)
    assert all(np.isfinite(np.asarray(g, "float32")).all() for g in keras.tree.flatten(gradients))


@tensorflow_only
@representative_cells_and_strategies
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

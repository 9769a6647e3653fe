"""A stack runs its layers in order, and its states continue a text in the next window or step."""

import keras
import numpy as np
import pytest
from builders.layers import tensorflow_only
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from references.gradients import TENSORFLOW, assert_close
from references.masks import mask_of

from textrnn.cells import GatedCell
from textrnn.errors import InputError
from textrnn.layers import BidirectionalStack, Recurrent, RecurrentStack

BATCH, TIME, FEATURES, UNITS = 4, 5, 3, 4


pytestmark = pytest.mark.usefixtures("without_compilation")


def make_stack(sizes=(UNITS, UNITS, UNITS), **options):
    lstm, gru, keras_lstm = sizes
    stack = RecurrentStack(
        [GatedCell(lstm, "lstm"), GatedCell(gru, "gru"), keras.layers.LSTMCell(keras_lstm)], **options
    )
    stack.build((None, None, FEATURES))
    return stack


def make_batch(stack):
    x = np.random.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    states = [
        [np.random.normal(size=(BATCH, size)).astype("float32") for size in sizes]
        for sizes in stack.state_size
    ]
    return x, states


def test_a_stack_runs_its_layers_one_after_another():
    stack = make_stack()
    x, states = make_batch(stack)
    mask = np.random.uniform(size=(BATCH, TIME)) < 0.6
    outputs, last = stack(x, initial_states=states, mask=mask)
    expected, expected_last = x, []
    for cell, state in zip(stack.cells, states, strict=True):
        rnn = keras.layers.RNN(cell, return_sequences=True, return_state=True)
        expected, *own = rnn(expected, initial_state=state, mask=mask)
        expected_last.append(own)
    valid = mask[..., None]
    assert_close(outputs * valid, expected * valid)
    assert_close(last, expected_last)


@settings(max_examples=4 if TENSORFLOW else 2)
@given(splits=st.sets(st.integers(1, TIME - 1)))
def test_windows_with_carried_states_equal_the_whole_text(splits):
    stack = make_stack()
    x, states = make_batch(stack)
    expected, expected_last = stack(x, initial_states=states)
    windows = []
    for window in np.split(x, sorted(splits), axis=1):
        outputs, states = stack(window, initial_states=states)
        windows.append(outputs)
    assert_close(ops.concatenate(windows, axis=1), expected)
    assert_close(states, expected_last)


def test_cells_of_keras_can_step():
    stack = make_stack()
    x, states = make_batch(stack)
    expected, expected_last = stack(x[:, :1], initial_states=states)
    assert_close(list(stack.step(x[:, 0], states)), [expected[:, 0], expected_last])


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_step_equals_call_on_one_step(policy):
    stack = RecurrentStack([GatedCell(UNITS, name, dtype=policy) for name in ("lstm", "gru")], dtype=policy)
    stack.build((None, None, FEATURES))
    x, states = np.random.normal(size=(BATCH, TIME, FEATURES)), stack.get_initial_states(BATCH)
    expected, expected_last = stack(x)
    outputs = []
    for t in range(TIME):
        output, states = stack.step(ops.convert_to_tensor(x[:, t], stack.compute_dtype), states)
        outputs.append(output)
    tolerance = 2e-5 if policy == "float32" else 0.02
    dtypes = {keras.backend.standardize_dtype(t.dtype) for t in keras.tree.flatten([outputs, states])}
    assert dtypes == {stack.compute_dtype}
    both = keras.tree.map_structure(
        lambda t: ops.cast(t, "float32"), [ops.stack(outputs, axis=1), states, expected, expected_last]
    )
    assert_close(both[:2], both[2:], tolerance)


def test_initial_states_are_those_of_the_cells():
    stack = make_stack()
    x, _ = make_batch(stack)
    states = stack.get_initial_states(BATCH)
    assert [[s.shape for s in layer] for layer in states] == [[(BATCH, UNITS)] * n for n in (2, 1, 2)]
    assert_close(stack(x), stack(x, initial_states=states), 0)


@tensorflow_only
@pytest.mark.parametrize("attached", [False, True])
def test_a_functional_model_with_states_saves_and_loads(tmp_path, attached):
    stack = make_stack(sizes=(5, 3, 2))
    assert stack.state_size == [[5, 5], [3], [2, 2]]
    x, states = make_batch(stack)
    x[:, 4:] = 0
    inputs = keras.Input((None, FEATURES))
    initial = [[keras.Input((size,)) for size in sizes] for sizes in stack.state_size]
    if attached:
        outputs, last = stack(keras.layers.Masking()(inputs), initial_states=initial)
    else:
        outputs, last = stack(
            inputs, initial_states=initial, mask=keras.layers.Masking().compute_mask(inputs)
        )
    assert outputs.shape == (None, None, 2)
    assert [[s.shape for s in layer] for layer in last] == [[(None, 5)] * 2, [(None, 3)], [(None, 2)] * 2]
    model = keras.Model([inputs, *keras.tree.flatten(initial)], [outputs, *keras.tree.flatten(last)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    arguments = [x, *keras.tree.flatten(states)]
    assert_close(loaded(arguments), model(arguments), 0)
    mask = np.arange(TIME) < np.full((BATCH, 1), 4)
    expected = stack(x, initial_states=states, mask=mask)
    assert_close(model(arguments), keras.tree.flatten(expected), 1e-6)


def test_a_mask_that_keras_attached_reaches_every_layer_and_what_follows():
    stack = make_stack()
    x, _ = make_batch(stack)
    x[:, 4:] = 0
    mask = np.arange(TIME) < np.full((BATCH, 1), 4)
    outputs, states = stack(keras.layers.Masking()(x))
    assert_close([outputs, states], list(stack(x, mask=mask)), 0)
    np.testing.assert_array_equal(ops.convert_to_numpy(mask_of(outputs)), mask)
    assert all(mask_of(state) is None for state in keras.tree.flatten(states))


def test_a_mask_that_keras_attached_is_used_with_initial_states_too():
    stack = make_stack()
    x, states = make_batch(stack)
    x[:, 4:] = 0
    masked, mask = keras.layers.Masking()(x), np.arange(TIME) < np.full((BATCH, 1), 4)
    found = stack(masked, initial_states=states)
    assert_close(list(found), list(stack(x, initial_states=states, mask=mask)), 0)
    np.testing.assert_array_equal(ops.convert_to_numpy(mask_of(found[0])), mask)
    given = mask[:, ::-1]  # comes first
    found = stack(masked, initial_states=states, mask=given)
    assert_close(list(found), list(stack(x, initial_states=states, mask=given)), 0)


def test_config_restores_every_option():
    stack = make_stack(dropout=0.1, strategy="loop", seed=3, name="mine")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(stack))
    assert isinstance(copy, RecurrentStack)
    assert copy.get_config() == stack.get_config()
    assert copy.state_size == stack.state_size


@pytest.mark.parametrize("stack", [RecurrentStack, BidirectionalStack])
def test_a_residual_stack_adds_the_inputs_of_each_layer_but_the_lowest(stack):
    layers = stack([GatedCell(4, "gru") for _ in range(3)], residual=True)
    x = np.random.default_rng(5).normal(size=(2, 5, 3)).astype("float32")
    mask = np.array([[True, True, True, False, False], [True] * 5])
    outputs, states = layers(x, mask=mask)
    lowest, *above = layers.recurrent_layers
    expected, *_ = lowest(x, mask=mask)
    for layer, found in zip(above, states[1:], strict=True):
        added, *last = layer(expected, mask=mask)
        expected = expected + added
        assert_close(found, last)
    assert_close(outputs, expected)
    assert stack.from_config(layers.get_config()).residual


def test_a_residual_stack_steps_and_looks_up_as_it_runs():
    stack = RecurrentStack([GatedCell(4, name) for name in ("lstm", "gru", "min_gru")], residual=True)
    vectors = np.random.default_rng(6).normal(size=(7, 3)).astype("float32")
    rows = np.array([[0, 3, 6, 3], [1, 1, 5, 2]])
    outputs, last = stack(vectors[rows])
    last = [list(states) for states in last]
    assert_close(stack.look_up(rows, vectors, stack.get_initial_states(2)), (outputs, last))
    for stepper, inputs in ((stack.stepper(), vectors[rows]), (stack.stepper(vectors), rows)):
        states = stack.get_initial_states(2)
        for t in range(4):
            output, states = stepper(inputs[:, t], states)
            assert_close(output, outputs[:, t])
        assert_close(states, last)


def test_dropout_between_layers_spares_residual_connections():
    stack = RecurrentStack([GatedCell(4, "gru"), GatedCell(4, "gru")], dropout=0.5, residual=True, seed=0)
    x = np.random.default_rng(7).normal(size=(2, 5, 3)).astype("float32")
    stack(x)
    above = stack.recurrent_layers[1]
    above.cell.set_weights([np.zeros_like(weight) for weight in above.cell.get_weights()])
    assert_close(stack(x, training=True)[0], stack.recurrent_layers[0](x)[0])  # the layer above gives 0


def test_a_residual_stack_of_different_widths_is_refused():
    with pytest.raises(InputError, match=r"residual with layers of \[4, 5\] units: .*give layers"):
        RecurrentStack([GatedCell(4, "gru"), GatedCell(5, "gru")], residual=True)


def test_a_stack_without_cells_is_refused():
    with pytest.raises(InputError, match="cells is empty: give at least one cell"):
        RecurrentStack([])


@pytest.mark.parametrize("stack", [RecurrentStack, BidirectionalStack])
def test_a_stack_of_something_else_than_a_list_of_cells_is_refused(stack):
    for cells in (GatedCell(4, "gru"), "gru"):
        with pytest.raises(InputError, match=r"cells is .*: give a list with a cell for each layer"):
            stack(cells)
    with pytest.raises(
        InputError, match=r"cell is the name 'gru': give a cell, such as .*GatedCell\(64, 'gr"
    ):
        stack(["gru", "gru"])
    with pytest.raises(InputError, match=r"cell is the layer 'mine': give its cell, layer\.cell"):
        stack([Recurrent(GatedCell(4, "gru"), name="mine")])


@pytest.mark.parametrize("stack", [RecurrentStack, BidirectionalStack])
def test_a_stack_with_the_same_cell_twice_is_refused(stack):
    cells = [GatedCell(4, "gru"), GatedCell(4, "lstm")]
    assert len(stack(cells).cells) == 2
    with pytest.raises(InputError, match=r"cells has the same cell twice, .*: make a cell for each layer"):
        stack([*cells, cells[0]])


def test_a_bidirectional_stack_runs_its_layers_one_after_another():
    mask = np.array([[True, True, True, False, False], [True] * 5])
    x = np.random.default_rng(4).normal(size=(2, 5, 3)).astype("float32")
    stack = BidirectionalStack([GatedCell(4, "lstm"), GatedCell(4, "lstm")])
    outputs, states = stack(x, mask=mask)
    expected = x
    for layer, found in zip(stack.recurrent_layers, states, strict=True):
        expected, *last = layer(expected, mask=mask)
        for a, b in zip(found, last, strict=True):
            np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(b), atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(outputs), ops.convert_to_numpy(expected), atol=1e-6)
    # The forward direction ends at the last valid step, the backward direction at the first.
    forwards, backwards = np.split(ops.convert_to_numpy(outputs), 2, axis=-1)
    np.testing.assert_allclose(ops.convert_to_numpy(states[1][0])[0], forwards[0, 2], atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(states[1][2])[0], backwards[0, 0], atol=1e-6)


def test_config_restores_every_option_of_a_bidirectional_stack():
    stack = BidirectionalStack([GatedCell(4, "gru")], dropout=0.1, zoneout=0.2)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(stack))
    assert copy.get_config() == stack.get_config()


def test_a_bidirectional_stack_has_the_strategy_it_is_given_and_seeds_each_layer():
    stack = BidirectionalStack([GatedCell(4, "gru"), GatedCell(4, "gru")], strategy="loop", seed=3)
    directions = [d for layer in stack.recurrent_layers for d in (layer.forward_layer, layer.backward_layer)]
    assert [d.strategy for d in directions] == ["loop"] * 4
    assert [d.seed for d in directions] == [3, 3, 4, 4]
    config = stack.get_config()
    assert BidirectionalStack.from_config(config).get_config() == config
    earlier = {name: value for name, value in config.items() if name not in ("strategy", "seed")}
    assert BidirectionalStack.from_config(earlier).strategy == "auto"


class MinimalCell(keras.layers.Layer):
    """A cell with `state_size` alone, as in Keras's documentation of RNNs."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")

    def call(self, inputs, states):
        h = ops.tanh(ops.matmul(inputs, self.kernel) + states[0])
        return h, [h]


def test_cells_need_no_output_size():
    stack = RecurrentStack([MinimalCell(4), MinimalCell(4)], residual=True)
    outputs, _ = stack(np.ones((2, 3, 5), "float32"))
    assert outputs.shape == (2, 3, 4)

"""`Recurrent` behaves as `keras.layers.RNN` with every cell and option."""

import itertools
import re

import keras
import numpy as np
import pytest
from builders.layers import tensorflow_only
from keras import ops
from references.gradients import TENSORFLOW, assert_close, value_and_gradients

from textrnn.cells import Cell, Gate, GatedCell, GateSpec
from textrnn.errors import InputError
from textrnn.layers import Recurrent

BATCH, TIME, FEATURES, UNITS = 4, 5, 3, 4
MASKS = {
    "none": None,
    "right": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], bool),
    "left": np.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], bool),
    "middle": np.array([[1, 1, 1, 1, 1], [1, 0, 0, 1, 1], [0, 1, 0, 1, 0], [1, 0, 1, 0, 1]], bool),
}


pytestmark = pytest.mark.usefixtures("without_compilation")


def sequences(time=TIME):
    return np.random.normal(size=(BATCH, time, FEATURES)).astype("float32")


def random_states(cell):
    return [np.random.normal(size=(BATCH, size)).astype("float32") for size in cell.state_size]


@pytest.mark.parametrize("go_backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("zero_output_for_mask", [False, True], ids=["repeat", "zero"])
@pytest.mark.parametrize("mask", MASKS)
def test_options_work_as_in_keras(mask, zero_output_for_mask, go_backwards):
    cell, x = GatedCell(UNITS, "lstm"), sequences()
    options = {
        "zero_output_for_mask": zero_output_for_mask,
        "go_backwards": go_backwards,
        "return_state": True,
    }
    mask = MASKS[mask]
    for return_sequences, given in itertools.product([False, True], repeat=2):
        states = random_states(cell) if given else None
        ours = Recurrent(cell, return_sequences=return_sequences, **options)
        theirs = keras.layers.RNN(cell, return_sequences=return_sequences, **options)
        output, *last = (ops.convert_to_numpy(t) for t in ours(x, initial_state=states, mask=mask))
        expected, *expected_last = (
            ops.convert_to_numpy(t) for t in theirs(x, initial_state=states, mask=mask)
        )
        if not TENSORFLOW and given and mask is not None and not zero_output_for_mask:
            # Before the first valid step Keras repeats zeros on TensorFlow, and on JAX the first state.
            order = mask[:, ::-1] if go_backwards else mask
            seen = np.logical_or.accumulate(order, axis=1)[..., None]
            seen = seen if return_sequences else seen[:, -1]
            assert not output[~seen[..., 0]].any()
            output, expected = output * seen, expected * seen
        assert_close(output, expected)
        assert_close(last, expected_last)


def test_a_mask_attached_by_keras_is_used():
    x = sequences() * MASKS["right"][..., None]
    layer = Recurrent(GatedCell(UNITS, "gru"))
    assert_close(layer(keras.layers.Masking()(x)), layer(x, mask=MASKS["right"]), 0)
    assert_close(
        layer(x, mask=[ops.convert_to_tensor(MASKS["right"]), None]), layer(x, mask=MASKS["right"]), 0
    )


@pytest.mark.parametrize("symbolic", [False, True])
def test_a_mask_attached_by_keras_is_used_with_initial_states_too(symbolic):
    x, mask = sequences() * MASKS["right"][..., None], MASKS["right"]
    cell = GatedCell(UNITS, "gru")
    layer, states = Recurrent(cell, return_sequences=True), random_states(cell)

    def run(x, states):
        return layer(keras.layers.Masking()(x), initial_state=states)

    if symbolic:
        inputs = keras.Input((None, FEATURES)), [keras.Input((UNITS,))]
        found = keras.Model(inputs, run(*inputs))([x, states])
    else:
        found = run(x, states)
    assert_close(found, layer(x, initial_state=states, mask=mask), 0)
    given = np.ones_like(mask)  # comes first
    assert_close(
        layer(keras.layers.Masking()(x), initial_state=states, mask=given), layer(x, initial_state=states), 0
    )


@pytest.mark.parametrize("return_sequences", [False, True])
def test_bidirectional_equals_bidirectional_lstm_of_keras(return_sequences):
    ours = keras.layers.Bidirectional(Recurrent(GatedCell(UNITS, "lstm"), return_sequences=return_sequences))
    theirs = keras.layers.Bidirectional(keras.layers.LSTM(UNITS, return_sequences=return_sequences))
    x = sequences()
    for layer in (ours, theirs):
        layer.build(x.shape)
    ours.set_weights(theirs.get_weights())
    for mask in MASKS.values():
        assert_close(ours(x, mask=mask), theirs(x, mask=mask))
    assert ours.backward_layer.go_backwards


def test_stateful_layers_continue_from_the_last_batch():
    layer = Recurrent(GatedCell(UNITS, "lstm"), stateful=True, return_sequences=True)
    whole = Recurrent(layer.cell, return_sequences=True)
    x = sequences(6)
    parts = [layer(x[:, :2]), layer(x[:, 2:])]
    expected = whole(x)
    assert_close(ops.concatenate(parts, axis=1), expected)
    layer.reset_state()
    assert_close(layer(x), expected)


@pytest.mark.parametrize(("name", "input_bias"), [("lstm", 0.0), ("slstm", -200.0)])
def test_reset_state_restores_the_initial_states_of_the_cell(name, input_bias):
    layer, x = Recurrent(GatedCell(UNITS, name), stateful=True), sequences()
    layer.build(x.shape)
    # Some initial states of an sLSTM are not zero. With zeros, such a bias makes its output 0/0.
    bias = ops.convert_to_numpy(layer.cell.bias).copy()
    bias[:UNITS] = input_bias
    layer.cell.bias.assign(bias)
    expected = Recurrent(layer.cell)(x)
    assert np.isfinite(ops.convert_to_numpy(expected)).all()
    assert_close(layer(x), expected)
    layer.reset_state()
    assert_close([state.value for state in layer.states], layer.cell.get_initial_state(BATCH), 0)
    assert_close(layer(x), expected)


def test_unrolling_changes_nothing():
    cell, x = GatedCell(UNITS, "gru"), sequences()
    layers = [Recurrent(cell, return_sequences=True, return_state=True, unroll=u) for u in (False, True)]
    for layer in layers:
        layer.build(x.shape)
    states = random_states(cell)
    for mask in (None, MASKS["middle"]):
        inputs = {"sequences": x, "initial_state": states}
        loop, unrolled = (
            value_and_gradients(
                layer, inputs, lambda outputs: sum(ops.sum(o * o) for o in outputs), mask=mask
            )
            for layer in layers
        )
        assert_close(unrolled[0], loop[0])
        assert_close(unrolled[1:], loop[1:], 1e-4)


@pytest.mark.parametrize(
    "make_cell",
    [
        lambda: keras.layers.LSTMCell(UNITS),
        lambda: keras.layers.GRUCell(UNITS, dropout=0.5),
        lambda: keras.layers.StackedRNNCells([keras.layers.GRUCell(3), keras.layers.LSTMCell(UNITS)]),
        lambda: keras.layers.StackedRNNCells([GatedCell(3, "gru"), GatedCell(UNITS, "lstm")]),
    ],
    ids=["lstm", "gru", "stacked", "stacked of ours"],
)
def test_any_keras_cell_runs(make_cell):
    cell, x = make_cell(), sequences()
    for mask in (None, MASKS["middle"]):
        ours = Recurrent(cell, return_sequences=True, return_state=True)(x, mask=mask)
        theirs = keras.layers.RNN(cell, return_sequences=True, return_state=True)(x, mask=mask)
        assert_close(ours, theirs)


def test_a_cell_without_recurrent_matrices_needs_only_two_methods():
    class Counter(Cell):
        state_size, output_size = [1], 1

        def project_inputs(self, x):
            return (ops.sum(x, axis=-1, keepdims=True),)

        def step(self, projected, states, dot, weights):
            return states[0] + projected[0], [states[0] + projected[0]]

        @property
        def recurrent_kernels(self):
            return {}

    outputs = Recurrent(Counter(), return_sequences=True)(np.ones((1, 3, 2), "float32"))
    assert_close(outputs, np.array([[[2.0], [4.0], [6.0]]]))


def test_config_restores_every_option():
    options = dict(
        return_sequences=True,
        return_state=True,
        go_backwards=True,
        stateful=True,
        strategy="loop",
        dropout=0.1,
        recurrent_dropout=0.2,
        weight_drop=0.3,
        zoneout=[0.1],
        seed=3,
        unroll=True,
        zero_output_for_mask=True,
        name="mine",
    )
    spec = GateSpec(forget=Gate(), input="1 - forget")
    layer = Recurrent(GatedCell(UNITS, spec), **options)
    config = layer.get_config()
    assert {key: config[key] for key in options} == options
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert isinstance(copy, Recurrent)
    assert copy.get_config() == config
    assert copy.cell.spec == spec


def test_a_layer_computes_in_its_cell_s_dtype():
    assert Recurrent(GatedCell(UNITS, "lstm", dtype="float64")).compute_dtype == "float64"
    layer = Recurrent(GatedCell(UNITS, "lstm"), dtype="bfloat16")
    assert keras.backend.standardize_dtype(layer(sequences()).dtype) == "bfloat16"


def test_auto_resolves_to_a_strategy():
    assert Recurrent(GatedCell(UNITS, "lstm")).resolved_strategy == "recompute"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "scam"}, "strategy is 'scam': use auto, loop, recompute, scan or fused"),
        ({"dropout": 1.0}, "dropout is 1.0: give a rate, at least 0 and below 1"),
        ({"recurrent_dropout": "x"}, "recurrent_dropout is 'x': give a rate"),
        ({"recurrent_dropout": [0.1]}, r"recurrent_dropout is \[0.1\]: give a rate"),
        ({"weight_drop": None}, "weight_drop is None: give a rate"),
        ({"dropout": float("nan")}, "dropout is nan: give a rate"),
        ({"recurrent_dropout": -0.1}, "recurrent_dropout is -0.1: give a rate"),
        ({"weight_drop": 1.5}, "weight_drop is 1.5: give a rate"),
        (
            {"cell": keras.layers.LSTMCell(UNITS), "recurrent_dropout": 0.1},
            "recurrent_dropout is 0.1, but LSTMCell is not a textrnn.Cell: use a cell that is",
        ),
        (
            {"cell": keras.layers.LSTMCell(UNITS), "weight_drop": 0.1},
            "weight_drop is 0.1, but LSTMCell is not a textrnn.Cell",
        ),
        (
            {"cell": keras.layers.LSTMCell(UNITS), "zoneout": 0.1},
            "zoneout is 0.1, but LSTMCell is not a textrnn.Cell",
        ),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Recurrent(**{"cell": GatedCell(UNITS, "lstm"), **options})


def graph_operations(function):
    """The operations of a concrete function, those of its loops' bodies and gradients included."""
    graph = function.graph.as_graph_def()
    bodies = [f.node_def for f in graph.library.function]
    return {node.op for nodes in [graph.node, *bodies] for node in nodes}


@tensorflow_only
@pytest.mark.parametrize("masked", [False, True])
def test_inference_graphs_hold_only_operations_that_any_server_runs(masked):
    import tensorflow as tf

    layer = keras.layers.Bidirectional(Recurrent(GatedCell(UNITS, "lstm"), return_sequences=True))
    layer.build((None, None, FEATURES))
    signature = [tf.TensorSpec((None, None, FEATURES)), tf.TensorSpec((None, None), "bool")]
    function = tf.function(lambda x, mask: layer(x, mask=mask if masked else None), input_signature=signature)
    operations = graph_operations(function.get_concrete_function())
    assert "StatelessWhile" in operations
    assert not [
        op for op in operations if op.startswith(("Xla", "Cudnn", "CudnnRNN", "PyFunc", "EagerPyFunc"))
    ]
    selects = [op for op in operations if op.startswith("Select")]
    assert bool(selects) == masked  # no mask, no masking
    x = sequences()
    assert_close(function(x, MASKS["right"]), layer(x, mask=MASKS["right"] if masked else None))


@tensorflow_only
def test_unknown_batch_and_time_run_and_differentiate():
    import tensorflow as tf

    layer = Recurrent(GatedCell(UNITS, "lstm"), return_sequences=True)
    layer.build((None, None, FEATURES))

    @tf.function(input_signature=[tf.TensorSpec((None, None, FEATURES)), tf.TensorSpec((None, None), "bool")])
    def run(x, mask):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, mask=mask)
        return outputs, tape.gradient(outputs, x)

    for time in (1, TIME):
        x, mask = sequences(time), MASKS["right"][:, :time]
        outputs, gradients, _ = value_and_gradients(layer, {"sequences": x}, ops.sum, mask=mask)
        assert_close(run(x, mask), [outputs, gradients["sequences"]], 1e-4)


@tensorflow_only
def test_known_states_meet_sequences_of_unknown_batch():
    import tensorflow as tf

    layer = Recurrent(GatedCell(UNITS, "lstm"), return_state=True)
    states = random_states(layer.cell)
    run = tf.function(
        lambda x: layer(x, initial_state=states), input_signature=[tf.TensorSpec((None, None, FEATURES))]
    )
    x = sequences()
    assert_close(run(x), layer(x, initial_state=states))


def test_a_name_is_no_cell():
    with pytest.raises(InputError, match=r"cell is the name 'gru': give .*GatedCell\(64, 'gru'\)"):
        Recurrent("gru")


@pytest.mark.parametrize("layer", [Recurrent, keras.layers.RNN])
def test_a_layer_is_no_cell(layer):
    with pytest.raises(InputError, match=r"cell is the layer 'mine': give its cell, layer\.cell"):
        Recurrent(layer(GatedCell(4, "gru"), name="mine"))


@pytest.mark.parametrize("shape", [(BATCH, TIME - 1), (BATCH, TIME + 1), (BATCH, TIME, 1), (TIME,)], ids=str)
@pytest.mark.parametrize("cell", ["gru", "min_gru"])
def test_masks_of_other_shapes_are_refused(cell, shape):
    layer = Recurrent(GatedCell(UNITS, cell))
    with pytest.raises(
        InputError, match=rf"mask has the shape {re.escape(str(shape))}: give \(batch, time\)"
    ):
        layer(sequences(), mask=np.ones(shape, bool))


@pytest.mark.parametrize("widths", [[UNITS], [UNITS, UNITS, UNITS], [UNITS, UNITS + 1]], ids=str)
def test_states_that_do_not_fit_the_cell_are_refused(widths):
    layer = Recurrent(GatedCell(UNITS, "lstm"))
    states = [np.zeros((BATCH, width), "float32") for width in widths]
    message = rf"initial_state has states of {re.escape(str(widths))} units: give 2, of \[4, 4\]"
    with pytest.raises(InputError, match=message):
        layer(sequences(), initial_state=states)


@pytest.mark.parametrize("built", [False, True])
def test_sequences_without_features_are_refused(built):
    layer = Recurrent(GatedCell(UNITS, "gru"))
    if built:
        layer(sequences())
    with pytest.raises(InputError, match=r"sequences has the shape \(4, 5\): give \(batch, time, features\)"):
        layer(sequences()[..., 0])
    assert layer(sequences()).shape == (BATCH, UNITS)


def test_states_of_one_row_are_those_of_every_sequence():
    layer, x = Recurrent(GatedCell(4, "gru")), np.ones((3, 2, 5), "float32")
    one = np.random.default_rng(0).normal(size=(1, 4)).astype("float32")
    np.testing.assert_array_equal(
        layer(x, initial_state=[ops.convert_to_tensor(one)]),
        layer(x, initial_state=[ops.convert_to_tensor(np.repeat(one, 3, axis=0))]),
    )
    with pytest.raises(InputError, match="initial_state has 2 rows for 3 sequences: give as many, or one"):
        layer(x, initial_state=[ops.zeros((2, 4))])

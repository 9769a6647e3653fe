"""Dropout, weight drop and zoneout work together, with every strategy and with every option."""

import keras
import numpy as np
import pytest
from builders.layers import tensorflow_only, weighted_sum
from keras import ops
from references.gated_cells import REFERENCES
from references.gradients import assert_close, value_and_gradients

from textrnn.cells import GatedCell
from textrnn.errors import InputError
from textrnn.layers import Recurrent, RecurrentStack
from textrnn.layers.strategies import STRATEGIES, strategies_of

BATCH, TIME, FEATURES, UNITS = 4, 5, 3, 4
KINDS = {
    "dropout": {"dropout": 0.4},
    "recurrent_dropout": {"recurrent_dropout": 0.4},
    "weight_drop": {"weight_drop": 0.4},
    "zoneout": {"zoneout": 0.4},
}
ALL = {name: rate for kind in KINDS.values() for name, rate in kind.items()}
# For an LSTM, each kind on its own. For cells of other structures, all kinds that they support at once.
COMPOSED = [
    *(("lstm", kind, masked) for kind in [*KINDS, "all"] for masked in ("whole", "masked")),
    *(
        (name, "all", "masked")
        for name in ["gru", "slstm", "lstm_ln", "multiplicative_lstm", "qrnn", "indrnn", "sru"]
    ),
    ("lstm_fgr", "zoneout", "masked"),  # has states without zoneout; all kinds at once would be slow
]
WITHOUT_MATRICES = ["indrnn", "min_gru", "sru", "qrnn", "rg_lru", "min_lstm"]


pytestmark = pytest.mark.usefixtures("without_compilation")


def make_batch(cell):
    """Inputs, initial states, and a mask with holes whose last row has no valid step."""
    x = np.random.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    states = [np.random.normal(size=(BATCH, size)).astype("float32") for size in cell.state_size]
    mask = np.random.uniform(size=(BATCH, TIME)) < 0.6
    mask[-1] = False
    return x, states, mask


def all_of(name):
    """All options that the cell supports. Some need recurrent matrices."""
    without = {} if name not in WITHOUT_MATRICES else {"recurrent_dropout": 0.0, "weight_drop": 0.0}
    return ALL | without


def difference(one, other):
    return np.abs(ops.convert_to_numpy(one) - ops.convert_to_numpy(other)).max()


@pytest.mark.some_cells
@pytest.mark.parametrize(("name", "kind", "masked"), COMPOSED)
def test_strategies_agree_on_values_and_gradients(name, kind, masked):
    cell = GatedCell(UNITS, name)
    cell.build((None, FEATURES))
    options = all_of(name) if kind == "all" else KINDS[kind]
    x, _, mask = make_batch(cell)
    states = REFERENCES[name].random_states(np.random.default_rng(0), BATCH, UNITS)
    states, runs = [state.astype("float32") for state in states], []
    others = [{"strategy": strategy} for strategy in strategies_of(cell.kind) if strategy != "loop"]
    for run in ({"strategy": "loop"}, *others, {"unroll": True}):
        layer = Recurrent(cell, return_sequences=True, return_state=True, seed=5, **options, **run)
        layer.build(x.shape)
        inputs = {"sequences": x, "initial_state": states}
        runs.append(
            value_and_gradients(
                layer, inputs, weighted_sum, mask=mask if masked == "masked" else None, training=True
            )
        )
    (expected, *expected_gradients), *others = runs
    for values, *gradients in others:
        assert_close(values, expected)
        assert_close(gradients, expected_gradients, 1e-4)


@pytest.mark.parametrize("option", ["recurrent_dropout", "weight_drop"])
@pytest.mark.parametrize("name", WITHOUT_MATRICES)
def test_cells_without_recurrent_matrices_refuse_options_that_need_them(name, option):
    cell = GatedCell(UNITS, name)
    known_as = name if type(cell) is GatedCell else type(cell).__name__
    message = f"{option} is 0.3, but the cell {known_as} has no recurrent matrices: use dropout or zoneout"
    wrapped = [
        Recurrent(cell, **{option: 0.3}),
        keras.layers.Bidirectional(Recurrent(cell, **{option: 0.3})),
        RecurrentStack([GatedCell(UNITS, "gru"), cell], **{option: 0.3}),
    ]
    for layer in wrapped:
        with pytest.raises(InputError, match=message):
            layer.build((None, None, FEATURES))
    x = np.zeros((BATCH, TIME, FEATURES), "float32")
    with pytest.raises(InputError, match=message):
        Recurrent(cell, **{option: 0.3})(x)
    Recurrent(cell, dropout=0.3, zoneout=0.3).build(x.shape)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_training_is_noisy_and_inference_is_not(options, strategy):
    layer = Recurrent(GatedCell(UNITS, "lstm"), strategy=strategy, **options)
    x = np.random.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    assert difference(layer(x), layer(x, training=False)) == 0
    assert difference(layer(x, training=True), layer(x, training=True)) > 1e-3
    if "zoneout" not in options:
        assert_close(layer(x), Recurrent(layer.cell)(x), 0)


@pytest.mark.parametrize("zero_output_for_mask", [False, True], ids=["repeat", "zero"])
@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "all"])
def test_going_backwards_equals_forwards_over_the_reversed_sequence(return_sequences, zero_output_for_mask):
    cell = GatedCell(UNITS, "lstm")
    x, states, mask = make_batch(cell)
    forwards, backwards = (
        Recurrent(
            cell,
            return_sequences=return_sequences,
            return_state=True,
            zero_output_for_mask=zero_output_for_mask,
            go_backwards=go_backwards,
            seed=1,
            **ALL,
        )
        for go_backwards in (False, True)
    )
    # The two directions draw different masks from the same seed.
    backwards.seed_generator.state.assign(forwards.seed_generator.state)
    assert_close(
        backwards(x, initial_state=states, mask=mask, training=True),
        forwards(x[:, ::-1], initial_state=states, mask=mask[:, ::-1], training=True),
    )


def test_stateful_layers_continue_from_the_last_batch():
    layer = Recurrent(GatedCell(UNITS, "lstm"), stateful=True, return_sequences=True, zoneout=0.3)
    x = np.random.normal(size=(BATCH, 6, FEATURES)).astype("float32")
    parts = [layer(x[:, :2]), layer(x[:, 2:])]
    assert_close(ops.concatenate(parts, axis=1), Recurrent(layer.cell, return_sequences=True, zoneout=0.3)(x))


@pytest.mark.parametrize("policy", ["float32", pytest.param("mixed_float16", marks=pytest.mark.slow)])
def test_a_bidirectional_model_trains_saves_and_loads(policy, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((None, FEATURES)),
            keras.layers.Masking(),
            keras.layers.Bidirectional(Recurrent(GatedCell(UNITS, "lstm", dtype=policy), **ALL)),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    x = np.random.normal(size=(8, TIME, FEATURES)).astype("float32")
    x[:4, 3:] = 0
    history = model.fit(x, np.ones((8, 1)), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded(x), model(x), 0)
    assert {name: getattr(loaded.layers[1].forward_layer, name) for name in ALL} == ALL


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_mixed_precision_computes_in_the_compute_dtype(strategy, policy):
    layer = Recurrent(GatedCell(UNITS, "gru", dtype=policy), return_state=True, strategy=strategy, **ALL)
    layer.build((None, None, FEATURES))
    x, states, mask = make_batch(layer.cell)
    for training in (True, False):
        results = layer(x, initial_state=states, mask=mask, training=training)
        dtypes = {keras.backend.standardize_dtype(t.dtype) for t in results}
        assert dtypes == {layer.compute_dtype}


@tensorflow_only
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_unknown_batch_and_time_draw_the_same_noise(strategy):
    import tensorflow as tf

    cell = GatedCell(UNITS, "lstm")
    x, _, mask = make_batch(cell)
    eager, traced = (
        Recurrent(cell, return_sequences=True, strategy=strategy, seed=3, **ALL) for _ in range(2)
    )
    for layer in (eager, traced):
        layer.build(x.shape)

    @tf.function(input_signature=[tf.TensorSpec((None, None, FEATURES)), tf.TensorSpec((None, None), "bool")])
    def run(x, mask):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = traced(x, mask=mask, training=True)
        return outputs, tape.gradient(outputs, x)

    outputs, gradients, _ = value_and_gradients(eager, {"sequences": x}, ops.sum, mask=mask, training=True)
    assert_close(run(x, mask), [outputs, gradients["sequences"]], 1e-4)


def test_compiling_with_xla_works():
    layer = Recurrent(GatedCell(UNITS, "lstm"), return_sequences=True, strategy="recompute", **ALL)
    x, _, mask = make_batch(layer.cell)
    layer.build(x.shape)
    results = value_and_gradients(
        layer, {"sequences": x}, weighted_sum, mask=mask, training=True, compiled=True
    )
    assert all(np.isfinite(result).all() for result in keras.tree.flatten(results))


def test_a_stack_regularizes_every_layer_with_masks_of_its_own():
    options = {"recurrent_dropout": 0.3, "weight_drop": 0.2, "zoneout": [0.1, 0.4]}
    stack = RecurrentStack([GatedCell(UNITS, "lstm") for _ in range(3)], seed=1, **options)
    for layer in stack.recurrent_layers:
        assert {name: getattr(layer, name) for name in options} == options
    assert len({layer.seed for layer in stack.recurrent_layers}) == 3
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(stack))
    assert copy.get_config() == stack.get_config()


def test_steps_of_a_stack_use_the_expectation_of_zoneout():
    stack = RecurrentStack([GatedCell(UNITS, name) for name in ("lstm", "gru")], zoneout=0.4, weight_drop=0.2)
    x = np.random.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    expected, expected_last = stack(x)
    states, steps = stack.get_initial_states(BATCH), []
    for t in range(TIME):
        output, states = stack.step(x[:, t], states)
        steps.append(output)
    assert_close([ops.stack(steps, axis=1), states], [expected, expected_last])

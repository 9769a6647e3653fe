"""A recurrence in segments has the outputs, states and gradients of a whole one, and computes steps twice."""

import keras
import numpy as np
import pytest
from builders.layers import (
    UNITS,
    make_batch,
    make_layer,
    representative_cells_and_strategies,
    tensorflow_only,
    weighted_sum,
)
from builders.seeds import set_seed
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from references.gradients import assert_close, value_and_gradients

import textrnn
from textrnn.cells import GatedCell
from textrnn.errors import InputError
from textrnn.layers import BidirectionalStack, Recurrent, RecurrentStack
from textrnn.layers.backend import split_steps


@representative_cells_and_strategies
def test_segments_change_no_output_state_or_gradient(name, strategy):
    results = []
    for segments in (1, 3):
        set_seed(0)
        layer = make_layer(name, strategy, segments=segments)
        x, states, mask = make_batch(name, time=7)
        inputs = {"sequences": x, "initial_state": states}
        results.append(
            [
                value_and_gradients(layer, inputs, weighted_sum, training=True),
                value_and_gradients(layer, inputs, weighted_sum, mask=mask, training=True),
            ]
        )
    assert_close(results[1], results[0], 1e-4)


OPTIONS = {
    "noise": {"recurrent_dropout": 0.3, "weight_drop": 0.3, "zoneout": 0.3, "dropout": 0.3, "seed": 1},
    "the last output alone": {"return_sequences": False},
    "backwards": {"go_backwards": True},
    "zeros for masked steps": {"zero_output_for_mask": True},
    "unrolled": {"unroll": True},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_of_the_layer_work_in_segments(options):
    results = []
    for segments in (1, 2, 9):
        set_seed(0)
        layer = Recurrent(
            GatedCell(UNITS, "lstm"), segments=segments, **{"return_sequences": True, **options}
        )
        x, _, mask = make_batch("lstm")
        layer.build(x.shape)
        results.append(value_and_gradients(layer, {"sequences": x}, weighted_sum, mask=mask, training=True))
    assert_close(results[1], results[0], 1e-4)
    assert_close(results[2], results[0], 1e-4)


@pytest.mark.parametrize("stack", [RecurrentStack, BidirectionalStack])
def test_stacks_pass_the_number_to_their_layers(stack):
    results = []
    for segments in (1, 2):
        set_seed(0)
        layers = stack([GatedCell(UNITS, "gru"), GatedCell(UNITS, "gru")], segments=segments)
        x = np.random.normal(size=(2, 5, 3)).astype("float32")
        layers.build(x.shape)
        results.append(value_and_gradients(layers, {"sequences": x}, weighted_sum, training=True))
    assert_close(results[1], results[0], 1e-4)
    assert stack.from_config(layers.get_config()).segments == 2


def test_a_model_trains_the_same_in_segments():
    weights = []
    for segments in (1, 4):
        set_seed(0)
        model = keras.Sequential(
            [Recurrent(GatedCell(UNITS, "lstm"), segments=segments), keras.layers.Dense(1)]
        )
        model.compile("adam", "mse")
        x, y = np.random.normal(size=(8, 6, 3)), np.random.normal(size=(8, 1))
        model.fit(x, y, epochs=2, verbose=0)
        weights.append(model.get_weights())
    assert_close(weights[1], weights[0], 1e-4)


@tensorflow_only
@pytest.mark.parametrize(("time", "compiled"), [(8, False), (2, False), (8, True)])
def test_segments_run_in_graphs_of_unknown_length(time, compiled):
    import tensorflow as tf

    set_seed(0)
    layer = Recurrent(GatedCell(UNITS, "lstm"), return_sequences=True, segments=3)
    x, _, _ = make_batch("lstm", time=time)
    layer.build((None, None, 3))

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3])], jit_compile=compiled)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = ops.sum(ops.sin(layer(x, training=True)))
        return tape.gradient(loss, x)

    _, expected, _ = value_and_gradients(
        layer, {"sequences": x}, lambda y: ops.sum(ops.sin(y)), training=True
    )
    assert_close(gradient(x), expected["sequences"], 1e-4)


@tensorflow_only
def test_the_backward_pass_computes_each_step_again(monkeypatch):
    counts = {}
    for segments in (1, 2):
        seen = []
        layer = Recurrent(GatedCell(UNITS, "lstm"), segments=segments, strategy="loop")
        step = layer.cell.step
        monkeypatch.setattr(
            layer.cell, "step", lambda *args, step=step, seen=seen: seen.append(1) or step(*args)
        )
        x = np.ones((2, 6, 3), "float32")
        layer(x)
        seen.clear()
        value_and_gradients(layer, {"sequences": x}, weighted_sum, training=True)
        counts[segments] = len(seen)
    assert counts[2] == 2 * counts[1]


def test_inference_has_no_segments(monkeypatch):
    layer = Recurrent(GatedCell(UNITS, "lstm"), segments=2)
    monkeypatch.setattr("textrnn.layers.recurrent.run_in_segments", None)
    assert layer(np.ones((2, 6, 3))).shape == (2, UNITS)


@given(st.integers(0, 20), st.integers(1, 9))
@settings(deadline=None, max_examples=40)
def test_split_steps_cuts_into_parts_of_nearly_one_length(steps, count):
    x = np.arange(2 * steps).reshape(steps, 2)
    parts = [ops.convert_to_numpy(part) for part in split_steps(ops.convert_to_tensor(x), count)]
    assert len(parts) == count
    np.testing.assert_array_equal(np.concatenate(parts), x)
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("segments", [0, -1, 2.5, "two"])
def test_a_wrong_number_is_refused(segments):
    with pytest.raises(
        InputError, match=r"segments is .*: give the number of parts of a sequence, 1 or more"
    ):
        Recurrent(GatedCell(UNITS, "lstm"), segments=segments)


def test_a_keras_cell_cannot_run_in_segments():
    with pytest.raises(InputError, match=r"segments is 2, but LSTMCell is not a textrnn\.Cell"):
        Recurrent(keras.layers.LSTMCell(UNITS), segments=2)


def test_backbones_take_the_number():
    for backbone in (
        textrnn.RecurrentBackbone(20, units=4, segments=3),
        textrnn.RecurrentEncoder(20, units=4, segments=3),
    ):
        assert type(backbone).from_config(backbone.get_config()).stack.segments == 3

"""Projecting vectors and looking the results up is like looking vectors up and projecting them."""

import keras
import numpy as np
import pytest
from builders.layers import UNITS, make_batch, make_layer, representative_cells_and_strategies, weighted_sum
from builders.seeds import set_seed
from keras import ops
from references.gradients import assert_close, value_and_gradients

from textrnn.cells import GatedCell
from textrnn.layers import Recurrent, RecurrentStack

VECTORS, FEATURES = 3, 3


class Reader(keras.layers.Layer):
    """Reads rows of vectors in either way, as a layer whose inputs are the vectors and the states."""

    def __init__(self, layer, rows, looks_up):
        super().__init__()
        self.layer, self.rows, self.looks_up = layer, rows, looks_up
        self.built = self.supports_masking = True

    def call(self, vectors, states, mask=None, training=False):
        options = {"mask": mask, "training": training}
        if self.looks_up:
            return self.layer.look_up(self.rows, vectors, states, **options)
        return self.layer(ops.take(vectors, self.rows, axis=0), states, **options)


def results(layer, states, time=5, compiled=False, **options):
    """Outputs and gradients of both ways."""
    random = np.random.default_rng(0)
    rows = random.integers(0, VECTORS, (len(keras.tree.flatten(states)[0]), time)).astype("int32")
    inputs = {"vectors": random.normal(size=(VECTORS, FEATURES)).astype("float32"), "states": states}
    found = []
    for looks_up in (True, False):
        set_seed(0)
        reader = Reader(layer, rows, looks_up)
        found.append(value_and_gradients(reader, inputs, weighted_sum, compiled=compiled, **options))
    return found


@representative_cells_and_strategies
def test_outputs_states_and_gradients_agree(name, strategy):
    layer = make_layer(name, strategy)
    _, states, mask = make_batch(name)
    assert_close(*results(layer, states), tolerance=1e-4)
    assert_close(*results(layer, states, mask=mask, training=True), tolerance=1e-4)


OPTIONS = {
    "the last output": {"return_sequences": False, "return_state": False},
    "backwards": {"go_backwards": True, "return_state": True},
    "zeros for masked steps": {"zero_output_for_mask": True},
    "unrolled": {"unroll": True},
    "segments": {"segments": 2},
    "half precision": {"dtype": "mixed_float16"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_of_the_layer_work(options):
    cell = GatedCell(UNITS, "lstm", dtype=options.get("dtype"))
    layer = Recurrent(cell, **{"return_sequences": True, **options})
    layer.build((None, None, FEATURES))
    _, states, mask = make_batch("lstm")
    assert_close(
        *results(layer, states, mask=mask, training=True), tolerance=1e-2 if "dtype" in options else 1e-4
    )


def test_noise_is_that_of_the_layer():
    for noise in ({"dropout": 0.5}, {"weight_drop": 0.5, "recurrent_dropout": 0.5, "zoneout": 0.5}):
        found = []
        for looks_up in (True, False):
            layer = Recurrent(GatedCell(UNITS, "gru"), return_sequences=True, seed=1, **noise)
            layer.build((None, None, FEATURES))
            layer.set_weights([np.full_like(weight, 0.1) for weight in layer.get_weights()])
            rows, vectors = np.array([[0, 1, 2, 0]]), np.eye(VECTORS, FEATURES, dtype="float32")
            states = layer.get_initial_state(1)
            found.append(
                layer.look_up(rows, vectors, states, training=True)
                if looks_up
                else layer(vectors[rows], states, training=True)
            )
        assert_close(*found)


def test_a_keras_cell_and_a_sequence_without_steps_work():
    layer = Recurrent(keras.layers.GRUCell(UNITS), return_sequences=True)
    layer.build((None, None, FEATURES))
    states = [np.ones((2, UNITS), "float32")]
    assert_close(*results(layer, states), tolerance=1e-5)
    outputs = make_layer("gru", "auto").look_up(
        np.ones((2, 0), "int32"), np.ones((VECTORS, FEATURES), "float32"), states
    )
    assert outputs[0].shape == (2, 0, UNITS)
    np.testing.assert_array_equal(outputs[1], states[0])


def test_a_stack_and_its_steps_agree():
    stack = RecurrentStack([GatedCell(UNITS, "lstm"), GatedCell(2, "gru")], zoneout=0.1)
    stack.build((None, None, FEATURES))
    states = keras.tree.map_structure(np.ones_like, stack.get_initial_states(2))
    found, expected = results(stack, states)
    assert_close(found, expected)

    random = np.random.default_rng(0)
    rows = random.integers(0, VECTORS, (2, 5)).astype("int32")
    vectors = random.normal(size=(VECTORS, FEATURES)).astype("float32")
    step = stack.stepper(vectors)
    for t in range(5):
        output, states = step(rows[:, t], states)
        np.testing.assert_allclose(output, expected[0][0][:, t], rtol=1e-4, atol=1e-6)

"""The values of every cell with every strategy equal those of a NumPy reference."""

from functools import partial

import keras
import pytest
from builders.layers import (
    FEATURES,
    UNITS,
    every_cell_and_strategy,
    make_batch,
    make_layer,
    pairs,
    run,
    weighted_sum,
)
from keras import ops
from references.gated_cells import REFERENCES
from references.gradients import assert_close, value_and_gradients

pytestmark = pytest.mark.usefixtures("without_compilation")

KERAS_LAYERS = {
    "simple": keras.layers.SimpleRNN,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "gru_reset_before": partial(keras.layers.GRU, reset_after=False),
}
SIZES = [
    {"batch": 4, "time": 5, "features": 3, "units": 4},
    {"batch": 1, "time": 1, "features": 1, "units": 1},  # some cells have no projection of such inputs
]


@every_cell_and_strategy
def test_values_equal_the_numpy_reference(name, strategy):
    for sizes in SIZES:
        layer = make_layer(name, strategy, sizes["features"], sizes["units"])
        x, states, mask = make_batch(name, **sizes)
        weights = layer.get_weights()
        assert_close(run(layer, x, states), REFERENCES[name].run(weights, x, states))
        assert_close(run(layer, x, states, mask), REFERENCES[name].run(weights, x, states, mask))


@pytest.mark.parametrize("name", REFERENCES)
def test_values_equal_those_of_keras_rnn_and_of_single_steps(name):
    layer, (x, states, _) = make_layer(name, "loop"), make_batch(name)
    expected = run(layer, x, states)
    by_keras = keras.layers.RNN(layer.cell, return_sequences=True, return_state=True)
    assert_close(run(by_keras, x, states), expected)
    outputs = []
    for t in range(x.shape[1]):
        output, states = layer.cell(x[:, t], states)
        outputs.append(output)
    assert_close([ops.stack(outputs, axis=1), states], expected)


@pytest.mark.parametrize(("name", "strategy"), pairs(KERAS_LAYERS))
def test_values_and_gradients_equal_those_of_keras_layers(name, strategy):
    theirs = KERAS_LAYERS[name](UNITS, return_sequences=True, return_state=True)
    theirs.build((None, None, FEATURES))
    ours, (x, states, mask) = make_layer(name, strategy), make_batch(name)
    theirs.set_weights(ours.get_weights())
    mask[:, 0] = True  # Keras's backends disagree on the output before the first valid step
    inputs = {"sequences": x, "initial_state": states}
    expected, *expected_gradients = value_and_gradients(theirs, inputs, weighted_sum, mask=mask)
    actual, *gradients = value_and_gradients(ours, inputs, weighted_sum, mask=mask)
    assert_close(actual, expected)
    assert_close(gradients, expected_gradients, 1e-4)

"""Sequences without steps give empty outputs and the initial states, eagerly and in graphs."""

import keras
import numpy as np
import pytest
from builders.layers import (
    FEATURES,
    UNITS,
    make_batch,
    make_layer,
    representative_cells_and_strategies,
    tensorflow_only,
    weighted_sum,
)
from keras import ops
from references.gradients import TENSORFLOW, assert_close

from textrnn.cells import GatedCell
from textrnn.layers import BidirectionalStack, GlobalAttention, Recurrent, RecurrentStack, SequencePooling
from textrnn.layers.pooling import POOLINGS

pytestmark = pytest.mark.usefixtures("without_compilation")


@representative_cells_and_strategies
@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_without_steps_outputs_are_empty_and_states_stay(name, strategy, mode):
    layer, (x, states, _) = make_layer(name, strategy), make_batch(name)

    def call(x):
        return layer(x, initial_state=states, training=True)

    if mode == "graph" and TENSORFLOW:
        import tensorflow as tf

        call = tf.function(call, input_signature=[tf.TensorSpec([None, None, FEATURES])], autograph=False)
    outputs, *last = call(x[:, :0])
    assert tuple(outputs.shape) == (len(x), 0, UNITS)
    assert_close(last, states, 1e-6)


def test_without_steps_the_last_output_is_zero():
    layer = Recurrent(GatedCell(UNITS, "lstm"))
    assert_close(layer(np.zeros((2, 0, 3), "float32")), np.zeros((2, UNITS)), 0)
    assert_close(layer(np.zeros((2, 0, 3), "float32"), training=True), np.zeros((2, UNITS)), 0)


@tensorflow_only
@pytest.mark.parametrize("name", ["lstm", "qrnn"])
def test_without_steps_gradients_are_zero_and_those_of_the_states_pass(name):
    import tensorflow as tf

    layer, (x, states, _) = make_layer(name, "auto"), make_batch(name)
    states = [tf.constant(state) for state in states]

    @tf.function(input_signature=[tf.TensorSpec([None, None, FEATURES])], autograph=False)
    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(states)
            loss = weighted_sum(layer(x, initial_state=states, training=True)[1:])
        return tape.gradient(loss, [states, [v.value for v in layer.trainable_variables]],
                             unconnected_gradients="zero")  # fmt: skip

    of_states, of_weights = gradients(x[:, :0])
    assert all(np.abs(d).min() > 0 for d in of_states)
    assert all((np.asarray(d) == 0).all() for d in of_weights)


def any_shape(function):
    """A function of a graph in which neither the batch size nor the number of steps is known."""
    if not TENSORFLOW:
        return function
    import tensorflow as tf

    return tf.function(function, input_signature=[tf.TensorSpec([None, None, FEATURES])], autograph=False)


NO_STEPS = np.zeros((2, 0, FEATURES), "float32")


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["lstm", "simple", "min_gru"])
def test_without_steps_the_batch_size_may_be_unknown(name, training, return_sequences):
    layer = Recurrent(GatedCell(UNITS, name), return_sequences=return_sequences, return_state=True)
    layer.build((None, None, FEATURES))
    outputs, *states = any_shape(lambda x: layer(x, training=training))(NO_STEPS)
    assert_close(outputs, np.zeros((2, 0, UNITS) if return_sequences else (2, UNITS)), 0)
    assert_close(states, [np.zeros((2, UNITS))] * len(states), 0)


@tensorflow_only
@pytest.mark.parametrize(
    ("name", "strategy"),
    [("lstm", "recompute"), ("lstm_ln", "recompute"), ("simple", "loop"), ("min_gru", "scan")],
)
def test_without_steps_in_a_batch_of_unknown_size_gradients_are_zero(name, strategy):
    import tensorflow as tf

    layer = Recurrent(GatedCell(UNITS, name), return_sequences=True, strategy=strategy)
    layer.build((None, None, FEATURES))

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=True))
        return tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])

    of_inputs, *of_weights = any_shape(gradients)(NO_STEPS)
    assert of_inputs.shape == NO_STEPS.shape
    assert all((np.asarray(d) == 0).all() for d in of_weights)


@pytest.mark.parametrize("stack", [RecurrentStack, BidirectionalStack])
def test_stacks_run_without_steps_in_a_batch_of_unknown_size(stack):
    layer = stack([GatedCell(UNITS, "lstm"), GatedCell(UNITS, "min_gru")])
    layer.build((None, None, FEATURES))
    outputs, states = any_shape(layer)(NO_STEPS)
    assert outputs.shape[:2] == (2, 0)
    assert_close(states, keras.tree.map_structure(np.zeros_like, states), 0)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("mode", POOLINGS)
def test_pooling_of_unknown_shape_without_steps_gives_zeros(mode, bidirectional):
    features = 2 * FEATURES
    pooling = SequencePooling(mode, bidirectional=bidirectional)
    pooling.build((None, None, features))
    pooled = any_shape(lambda x: pooling(ops.concatenate([x, x], axis=-1)))(NO_STEPS)
    assert_close(pooled, np.zeros((2, 3 * features if mode == "concat" else features)), 0)


@pytest.mark.parametrize("mode", POOLINGS)
def test_pooling_without_steps_gives_zeros(mode):
    pooling = SequencePooling(mode, bidirectional=True)
    features = 3 * UNITS if mode == "concat" else UNITS
    assert_close(pooling(np.zeros((2, 0, UNITS), "float32")), np.zeros((2, features)), 0)


def test_attention_over_no_memory_gives_zeros():
    context, weights = GlobalAttention()(np.ones((2, 3, UNITS)), np.ones((2, 0, 5)))
    assert_close(context, np.zeros((2, 3, 5)), 0)
    assert tuple(weights.shape) == (2, 3, 0)


@pytest.mark.parametrize("stack", [RecurrentStack, BidirectionalStack])
def test_stacks_and_cells_of_keras_run_without_steps(stack):
    layer = stack([GatedCell(UNITS, "lstm"), keras.layers.GRUCell(UNITS)])
    outputs, states = layer(np.zeros((2, 0, FEATURES), "float32"))
    assert outputs.shape[:2] == (2, 0)
    assert_close(states, keras.tree.map_structure(np.zeros_like, states), 0)

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


@pytest.mark.parametrize("mode", POOLINGS)
def test_pooling_without_steps_gives_zeros(mode):
    pooling = SequencePooling(mode, bidirectional=True)
    assert_close(pooling(np.zeros((2, 0, UNITS), "float32")), np.zeros((2, UNITS)), 0)


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

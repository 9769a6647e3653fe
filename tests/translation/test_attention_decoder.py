"""`AttentionDecoder`: stepping equals running the whole sequence, with every cell and score."""

import keras
import numpy as np
import pytest
from builders.layers import tensorflow_only
from keras import ops
from references.gradients import TENSORFLOW

import textrnn
from textrnn.layers import BidirectionalStack
from textrnn.layers.attention import SCORES
from textrnn.translation.attention_decoder import AttentionDecoder

pytestmark = pytest.mark.usefixtures("without_compilation")

MASK = np.array([[True, True, True, False, False], [True] * 5])


def encoded(cell, layers=1):
    x = np.random.default_rng(2).normal(size=(2, 5, 3)).astype("float32")
    encoder = BidirectionalStack([textrnn.GatedCell(4, cell) for _ in range(layers)])
    return encoder(x, mask=MASK)


TARGET = np.random.default_rng(3).normal(size=(2, 4, 3)).astype("float32")


def assert_steps_are_the_sequence(decoder, memory, encoder_states):
    outputs, weights, last = decoder(TARGET, memory, encoder_states=encoder_states, memory_mask=MASK)
    states = decoder.get_initial_states(2, encoder_states)
    step = decoder.stepper(memory, MASK)
    for t in range(4):
        output, attended, states = step(TARGET[:, t], states)
        np.testing.assert_allclose(
            ops.convert_to_numpy(output), ops.convert_to_numpy(outputs)[:, t], atol=1e-5
        )
        np.testing.assert_allclose(
            ops.convert_to_numpy(attended), ops.convert_to_numpy(weights)[:, t], atol=1e-5
        )
    for a, b in zip(keras.tree.flatten(states), keras.tree.flatten(last), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(b), atol=1e-5)
    return outputs


@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize(
    ("cell", "score"),
    [
        *(("lstm", score) for score in SCORES if TENSORFLOW or score in ("additive", "scaled_general")),
        *((cell, "scaled_general") for cell in ("gru", "slstm", "qrnn")),
    ],
)
def test_step_by_step_is_the_whole_sequence(cell, score, input_feeding):
    memory, encoder_states = encoded(cell)
    cells = [textrnn.GatedCell(6, cell), textrnn.GatedCell(4, "gru")]
    assert_steps_are_the_sequence(AttentionDecoder(cells, 5, score, input_feeding), memory, encoder_states)


@pytest.mark.parametrize("input_feeding", [False, True])
def test_a_residual_decoder_steps_as_it_runs(input_feeding):
    memory, encoder_states = encoded("gru")
    cells = [textrnn.GatedCell(6, "gru") for _ in range(2)]
    decoder = AttentionDecoder(cells, 5, input_feeding=input_feeding, residual=True)
    outputs = assert_steps_are_the_sequence(decoder, memory, encoder_states)
    decoder.stack.residual = False
    plain, *_ = decoder(TARGET, memory, encoder_states=encoder_states, memory_mask=MASK)
    assert np.abs(ops.convert_to_numpy(plain - outputs)).max() > 0.01


@tensorflow_only
def test_xla_compiles_input_feeding_for_sequences_of_unknown_size():
    import tensorflow as tf

    decoder = AttentionDecoder([textrnn.GatedCell(4, "gru")], 5, input_feeding=True)
    memory = np.random.normal(size=(2, 5, 8)).astype("float32")
    decoder(TARGET, memory)

    def gradients(x, memory):
        with tf.GradientTape() as tape:
            loss = ops.sum(decoder(x, memory, training=True)[0] ** 2)
        return tape.gradient(loss, [v.value for v in decoder.trainable_variables])

    sizes = [tf.TensorSpec([None, None, n]) for n in (3, 8)]
    compiled = tf.function(gradients, input_signature=sizes, jit_compile=True, autograph=False)
    for found, expected in zip(compiled(TARGET, memory), gradients(TARGET, memory), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("input_feeding", [False, True])
def test_the_output_is_the_attentional_vector(input_feeding):
    memory, _ = encoded("gru")
    decoder = AttentionDecoder([textrnn.GatedCell(6, "gru")], 5, "general", input_feeding)
    output, weights, states = decoder(TARGET[:, :1], memory, memory_mask=MASK)
    hidden = ops.convert_to_numpy(states[0][0])  # the state after one step
    context = np.einsum("bij,bjf->bif", ops.convert_to_numpy(weights), ops.convert_to_numpy(memory))[:, 0]
    kernel = ops.convert_to_numpy(decoder.combine.kernel)
    expected = np.tanh(np.concatenate([hidden, context], axis=-1) @ kernel)
    np.testing.assert_allclose(ops.convert_to_numpy(output)[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize("input_feeding", [False, True])
def test_padding_of_the_target_keeps_the_states(input_feeding):
    memory, encoder_states = encoded("lstm")
    decoder = AttentionDecoder([textrnn.GatedCell(6, "lstm")], 5, input_feeding=input_feeding)
    common = {"encoder_states": encoder_states, "memory_mask": MASK}
    mask = np.array([[True, True, False, False]] * 2)
    *_, padded = decoder(TARGET, memory, mask=mask, **common)
    *_, cut = decoder(TARGET[:, :2], memory, **common)
    for a, b in zip(keras.tree.flatten(padded), keras.tree.flatten(cut), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(b), atol=1e-5)


def test_rows_of_a_beam_share_their_memory():
    memory, encoder_states = encoded("gru")
    decoder = AttentionDecoder([textrnn.GatedCell(6, "gru")], 5)
    decoder(TARGET, memory, encoder_states=encoder_states)
    states = decoder.get_initial_states(2, encoder_states)
    output, _, _ = decoder.stepper(memory, MASK)(TARGET[:, 0], states)
    tripled = keras.tree.map_structure(lambda x: ops.repeat(x, 3, axis=0), states)
    several, _, _ = decoder.stepper(memory, MASK)(np.repeat(TARGET[:, 0], 3, axis=0), tripled)
    np.testing.assert_allclose(
        ops.convert_to_numpy(several), np.repeat(ops.convert_to_numpy(output), 3, axis=0), atol=1e-6
    )


def test_the_bridge_keeps_initial_states_that_are_not_zero():
    memory, encoder_states = encoded("slstm")
    cell = textrnn.GatedCell(6, "slstm")
    decoder = AttentionDecoder([cell], 5)
    decoder(TARGET, memory, encoder_states=encoder_states)
    [own] = decoder.stack.get_initial_states(2)
    [bridged] = decoder.get_initial_states(2, encoder_states)
    kept = [not np.any(ops.convert_to_numpy(state)) for state in own]
    assert 0 < sum(kept) < len(kept)
    for zero, before, after in zip(kept, own, bridged, strict=True):
        assert zero != np.allclose(ops.convert_to_numpy(before), ops.convert_to_numpy(after))


def test_input_feeding_with_zoneout_is_refused():
    with pytest.raises(textrnn.InputError, match=r"input_feeding with zoneout=0.1"):
        AttentionDecoder([textrnn.GatedCell(6, "gru")], 5, input_feeding=True, zoneout=0.1)


def test_dropout_between_layers_is_random_in_training_only():
    memory, _ = encoded("gru")
    for input_feeding in (False, True):
        cells = [textrnn.GatedCell(6, "gru"), textrnn.GatedCell(6, "gru")]
        decoder = AttentionDecoder(cells, 5, input_feeding=input_feeding, dropout=0.5)
        run = lambda training: ops.convert_to_numpy(decoder(TARGET, memory, training=training)[0])  # noqa: B023, E731
        np.testing.assert_array_equal(run(False), run(False))
        assert not np.allclose(run(True), run(True))


@pytest.mark.parametrize(
    "layer",
    [
        AttentionDecoder([textrnn.GatedCell(4, "gru")], 5, "additive", dropout=0.3, zoneout=0.1),
        AttentionDecoder([textrnn.GatedCell(4, "gru")], 5, input_feeding=True),
    ],
)
def test_config_restores_every_option(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()


@tensorflow_only
def test_it_may_be_built_while_a_graph_is_traced():
    import tensorflow as tf

    decoder = AttentionDecoder([textrnn.GatedCell(4, "gru")], output_dim=3)
    x, memory = np.ones((2, 5, 6), "float32"), np.ones((2, 7, 4), "float32")
    states = [[np.ones((2, 4), "float32")]]
    run = tf.function(lambda x, memory, states: decoder(x, memory, encoder_states=states))
    outputs = run(x, memory, states)
    assert outputs[0].shape[:2] == (2, 5) and decoder.bridge[0][0] is not None

"""Attention and the decoder that uses it, against Keras's layers and against NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

import textrnn
from textrnn.layers import BidirectionalStack, GlobalAttention
from textrnn.layers.attention import SCORES
from textrnn.translation.attention_decoder import AttentionDecoder

QUERY = np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32")
MEMORY = np.random.default_rng(1).normal(size=(2, 5, 6)).astype("float32")
MASK = np.array([[True, True, True, False, False], [True] * 5])


def softmax(scores, mask):
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True)) * mask
    return weights / weights.sum(axis=-1, keepdims=True)


def reference(layer, query, memory, mask):
    """The equations of the papers, one pair of steps after another."""
    weights = {weight.name: ops.convert_to_numpy(weight) for weight in layer.weights}
    scores = np.zeros((*query.shape[:2], memory.shape[1]))
    for b, i, j in np.ndindex(*scores.shape):
        q, m = query[b, i], memory[b, j]
        if layer.score == "additive":
            hidden = np.tanh(q @ weights["query_kernel"] + m @ weights["memory_kernel"])
            scores[b, i, j] = (hidden @ weights["vector"])[0]
            continue
        scores[b, i, j] = q @ (weights["memory_kernel"].T @ m if "general" in layer.score else m)
        if "scaled" in layer.score:
            scores[b, i, j] /= np.sqrt(len(q))
    alphas = softmax(scores, mask[:, None])
    return alphas @ memory, alphas


@pytest.mark.parametrize("score", SCORES)
def test_attention_is_that_of_the_papers(score):
    layer = GlobalAttention(score, units=7 if score == "additive" else None)
    found = layer(QUERY, MEMORY, memory_mask=MASK)
    for value, expected in zip(found, reference(layer, QUERY, MEMORY, MASK), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(value), expected, atol=1e-5)


def test_dot_products_are_those_of_keras():
    context, weights = GlobalAttention("dot")(QUERY, MEMORY, memory_mask=MASK)
    expected = keras.layers.Attention()([QUERY, MEMORY], mask=[None, MASK], return_attention_scores=True)
    np.testing.assert_allclose(ops.convert_to_numpy(context), ops.convert_to_numpy(expected[0]), atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(weights), ops.convert_to_numpy(expected[1]), atol=1e-5)


@pytest.mark.parametrize("score", SCORES)
def test_padding_of_the_memory_changes_nothing_and_an_empty_memory_gives_zeros(score):
    layer = GlobalAttention(score)
    context, _ = layer(QUERY, MEMORY, memory_mask=MASK)
    other = np.where(MASK[..., None], MEMORY, 1e4).astype("float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(QUERY, other, memory_mask=MASK)[0]),
        ops.convert_to_numpy(context),
        atol=1e-5,
    )
    nothing, weights = layer(QUERY, MEMORY, memory_mask=np.zeros((2, 5), "bool"))
    assert not ops.convert_to_numpy(nothing).any()
    assert not ops.convert_to_numpy(weights).any()


def test_half_precision_weighs_in_single():
    layer = GlobalAttention("general", dtype="mixed_float16")
    context, weights = layer(QUERY, MEMORY, memory_mask=MASK)
    assert keras.backend.standardize_dtype(weights.dtype) == "float32"
    assert keras.backend.standardize_dtype(context.dtype) == "float16"


def test_an_unknown_score_and_vectors_that_do_not_fit_are_refused():
    with pytest.raises(
        textrnn.InputError, match=r"no attention 'multiplicative': use additive, .* or scaled_general"
    ):
        GlobalAttention("multiplicative")
    with pytest.raises(textrnn.InputError, match="queries have 6 features and the memory has 3"):
        GlobalAttention("dot")(QUERY, MEMORY[..., :3])


def encoded(cell, layers=1):
    x = np.random.default_rng(2).normal(size=(2, 5, 3)).astype("float32")
    encoder = BidirectionalStack([textrnn.GatedCell(4, cell) for _ in range(layers)])
    return encoder(x, mask=MASK)


TARGET = np.random.default_rng(3).normal(size=(2, 4, 3)).astype("float32")


@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm", "qrnn"])
def test_step_by_step_is_the_whole_sequence(cell, score, input_feeding):
    memory, encoder_states = encoded(cell)
    cells = [textrnn.GatedCell(6, cell), textrnn.GatedCell(4, "gru")]
    decoder = AttentionDecoder(cells, 5, score, input_feeding)
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


@pytest.mark.parametrize("input_feeding", [False, True])
def test_the_output_is_the_attentional_vector(input_feeding):
    memory, _ = encoded("gru")
    decoder = AttentionDecoder([textrnn.GatedCell(6, "gru")], 5, "general", input_feeding)
    output, weights, states = decoder(TARGET[:, :1], memory, memory_mask=MASK)
    hidden = ops.convert_to_numpy(states[0][0])  # after one step, what the layer says is its state
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


def test_the_bridge_leaves_states_that_do_not_start_at_zero_to_the_cell():
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


def test_input_feeding_refuses_noise_inside_the_recurrence():
    with pytest.raises(textrnn.InputError, match=r"input_feeding with zoneout=0.1"):
        AttentionDecoder([textrnn.GatedCell(6, "gru")], 5, input_feeding=True, zoneout=0.1)


def test_dropout_between_layers_is_random_in_training_alone():
    memory, _ = encoded("gru")
    for input_feeding in (False, True):
        cells = [textrnn.GatedCell(6, "gru"), textrnn.GatedCell(6, "gru")]
        decoder = AttentionDecoder(cells, 5, input_feeding=input_feeding, dropout=0.5)
        say = lambda training: ops.convert_to_numpy(decoder(TARGET, memory, training=training)[0])  # noqa: B023, E731
        np.testing.assert_array_equal(say(False), say(False))
        assert not np.allclose(say(True), say(True))


def test_a_bidirectional_stack_is_keras_layers_one_on_top_of_another():
    x = np.random.default_rng(4).normal(size=(2, 5, 3)).astype("float32")
    stack = BidirectionalStack([textrnn.GatedCell(4, "lstm"), textrnn.GatedCell(4, "lstm")])
    outputs, states = stack(x, mask=MASK)
    expected = x
    for layer, found in zip(stack.recurrent_layers, states, strict=True):
        expected, *last = layer(expected, mask=MASK)
        for a, b in zip(found, last, strict=True):
            np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(b), atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(outputs), ops.convert_to_numpy(expected), atol=1e-6)
    # What was read forwards ends at the last valid step; what was read backwards at the first.
    forwards, backwards = np.split(ops.convert_to_numpy(outputs), 2, axis=-1)
    np.testing.assert_allclose(ops.convert_to_numpy(states[1][0])[0], forwards[0, 2], atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(states[1][2])[0], backwards[0, 0], atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        GlobalAttention("additive", units=3),
        BidirectionalStack([textrnn.GatedCell(4, "gru")], dropout=0.1, zoneout=0.2),
        AttentionDecoder([textrnn.GatedCell(4, "gru")], 5, "additive", dropout=0.3, zoneout=0.1),
        AttentionDecoder([textrnn.GatedCell(4, "gru")], 5, input_feeding=True),
    ],
)
def test_a_layer_is_made_again_from_its_config(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()

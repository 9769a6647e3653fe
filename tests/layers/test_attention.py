"""`GlobalAttention` equals NumPy and Keras's layers."""

import keras
import numpy as np
import pytest
from keras import ops

import textrnn
from textrnn.layers import GlobalAttention
from textrnn.layers.attention import SCORES

QUERY = np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32")
MEMORY = np.random.default_rng(1).normal(size=(2, 5, 6)).astype("float32")
MASK = np.array([[True, True, True, False, False], [True] * 5])


def softmax(scores, mask):
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True)) * mask
    return weights / weights.sum(axis=-1, keepdims=True)


def reference(layer, query, memory, mask):
    """The equations of the papers, for one pair of steps at a time."""
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
def test_attention_equals_the_equations_of_the_papers(score):
    layer = GlobalAttention(score, units=7 if score == "additive" else None)
    found = layer(QUERY, MEMORY, memory_mask=MASK)
    for value, expected in zip(found, reference(layer, QUERY, MEMORY, MASK), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(value), expected, atol=1e-5)


def test_dot_products_equal_keras_attention():
    context, weights = GlobalAttention("dot")(QUERY, MEMORY, memory_mask=MASK)
    expected = keras.layers.Attention()([QUERY, MEMORY], mask=[None, MASK], return_attention_scores=True)
    np.testing.assert_allclose(ops.convert_to_numpy(context), ops.convert_to_numpy(expected[0]), atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(weights), ops.convert_to_numpy(expected[1]), atol=1e-5)


@pytest.mark.parametrize("score", SCORES)
def test_padding_of_the_memory_has_no_weight_and_an_empty_memory_gives_zeros(score):
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


def test_half_precision_has_weights_in_float32():
    layer = GlobalAttention("general", dtype="mixed_float16")
    context, weights = layer(QUERY, MEMORY, memory_mask=MASK)
    assert keras.backend.standardize_dtype(weights.dtype) == "float32"
    assert keras.backend.standardize_dtype(context.dtype) == "float16"


def test_unknown_scores_and_different_widths_are_refused():
    with pytest.raises(
        textrnn.InputError, match=r"no attention 'multiplicative': use additive, .* or scaled_general"
    ):
        GlobalAttention("multiplicative")
    with pytest.raises(textrnn.InputError, match="queries have 6 features and the memory has 3"):
        GlobalAttention("dot")(QUERY, MEMORY[..., :3])


def test_config_restores_every_option():
    layer = GlobalAttention("additive", units=3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()

"""`TokenCrossentropy` has the values and gradients of Keras's losses."""

import keras
import numpy as np
import pytest
from keras import ops
from references.gradients import assert_close, value_and_gradient

from textrnn.errors import InputError
from textrnn.training.losses import TokenCrossentropy

BATCH, TIME, VOCABULARY = 3, 4, 7


def tokens_and_logits(scale=1.0, dtype="float32"):
    logits = scale * np.random.normal(size=(BATCH, TIME, VOCABULARY))
    return np.random.randint(0, VOCABULARY, (BATCH, TIME)), logits.astype(dtype)


def keras_loss(label_smoothing):
    smoothed = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)
    return lambda y, logits, **weights: smoothed(ops.one_hot(y, VOCABULARY), logits, **weights)


@pytest.mark.parametrize("weighted", [False, True], ids=["all", "weighted"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("scale", [1.0, 300.0], ids=["usual", "large"])
def test_values_and_gradients_equal_keras(scale, label_smoothing, weighted):
    tokens, logits = tokens_and_logits(scale)
    weights = {"sample_weight": np.random.randint(0, 2, (BATCH, TIME)) * 2.5} if weighted else {}
    ours, theirs = TokenCrossentropy(label_smoothing), keras_loss(label_smoothing)
    value, gradient = value_and_gradient(lambda x: ours(tokens, x, **weights), logits)
    expected, expected_gradient = value_and_gradient(lambda x: theirs(tokens, x, **weights), logits)
    assert_close(value, expected)
    assert_close(gradient, expected_gradient, 1e-4)


def test_targets_may_have_a_dimension_of_one():
    tokens, logits = tokens_and_logits()
    loss = TokenCrossentropy(reduction=None)
    assert_close(loss(tokens[..., None], logits), loss(tokens, logits))
    assert loss(tokens[:, 0], logits[:, 0]).shape == (BATCH,)


def test_infinite_logits_give_finite_losses_and_gradients():
    logits = np.array([[0.0, -np.inf, 0.0]], "float32")
    value, gradient = value_and_gradient(lambda x: TokenCrossentropy()(np.array([0]), x), logits)
    assert_close(value, np.log(2.0))
    assert_close(gradient, np.array([[-0.5, 0.0, 0.5]]))


def test_half_precision_logits_are_summed_in_float32():
    tokens, logits = tokens_and_logits(dtype="float16")
    assert_close(
        TokenCrossentropy()(tokens, logits), TokenCrossentropy()(tokens, logits.astype("float32")), 1e-6
    )


def test_config_restores_the_loss():
    loss = TokenCrossentropy(label_smoothing=0.2, reduction="sum")
    restored = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(restored, TokenCrossentropy)
    assert restored.get_config() == loss.get_config()


@pytest.mark.parametrize("label_smoothing", [-0.1, 1.0])
def test_wrong_label_smoothing_is_refused(label_smoothing):
    with pytest.raises(InputError, match="label_smoothing"):
        TokenCrossentropy(label_smoothing)

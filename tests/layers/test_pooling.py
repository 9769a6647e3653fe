"""`SequencePooling` equals its definition in NumPy, and padding does not change it."""

import keras
import numpy as np
import pytest
from builders.seeds import set_seed
from keras import ops
from references.gradients import assert_close

from textrnn.cells import GatedCell
from textrnn.errors import InputError
from textrnn.layers import Recurrent, SequencePooling
from textrnn.layers.pooling import POOLINGS

LENGTHS = [5, 3, 1, 0]
FEATURES = 4


def padded():
    x = np.random.normal(size=(len(LENGTHS), max(LENGTHS), FEATURES)).astype("float32")
    return x, np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]


def reference(layer, rows, mode=None):
    """The pooling of one sequence `(time, features)` by its definition."""
    mode = mode or layer.mode
    if mode == "concat":
        return np.concatenate([reference(layer, rows, part) for part in ("last", "max", "mean")])
    if not len(rows):
        return np.zeros(FEATURES)
    if mode == "last":
        half = FEATURES // 2
        return np.concatenate([rows[-1, :half], rows[0, half:]]) if layer.bidirectional else rows[-1]
    if mode == "attention":
        kernel, bias, query = (np.asarray(ops.convert_to_numpy(w), "float64") for w in layer.weights)
        scores = np.exp(np.tanh(rows @ kernel + bias) @ query)
        return (scores / scores.sum() * rows).sum(axis=0)
    return getattr(rows, mode)(axis=0)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("mode", POOLINGS)
def test_pooling_equals_its_definition_over_the_valid_steps(mode, bidirectional):
    layer, (x, mask) = SequencePooling(mode, bidirectional), padded()
    pooled = layer(x, mask=mask)
    for row, length in enumerate(LENGTHS):
        assert_close(pooled[row], reference(layer, x[row, :length].astype("float64")))
    assert_close(layer(x), layer(x, mask=np.ones_like(mask)))


@pytest.mark.parametrize("mode", POOLINGS)
def test_values_at_padding_change_nothing(mode):
    layer, (x, mask) = SequencePooling(mode, True), padded()
    other = np.where(mask[..., None], x, np.float32(1e4))
    assert_close(layer(x, mask=mask), layer(other, mask=mask))


def test_attention_sums_to_one_over_valid_steps():
    layer, (x, mask) = SequencePooling("attention", attention_units=7), padded()
    layer(x, mask=mask)
    weights = ops.convert_to_numpy(layer.attention(x, mask))
    assert_close(weights.sum(axis=1), np.array([1.0, 1.0, 1.0, 0.0]))
    assert (weights[~mask] == 0).all()


def test_large_scores_at_padding_do_not_underflow_those_of_valid_steps():
    layer, (x, mask) = SequencePooling("attention"), padded()
    layer(x, mask=mask)
    kernel, bias, _ = layer.get_weights()
    layer.set_weights([kernel, bias, np.full((FEATURES, 1), 1e3, "float32")])
    towards = np.linalg.lstsq(kernel.T, np.full(FEATURES, 50.0), rcond=None)[0]  # the highest score there is
    at_padding = np.where(mask[..., None], x, towards.astype("float32"))
    assert_close(layer(at_padding, mask=mask), layer(x, mask=mask))


def test_last_of_a_bidirectional_layer_equals_its_output_without_sequences():
    set_seed(1)
    sequences = keras.layers.Bidirectional(Recurrent(GatedCell(3, "gru"), return_sequences=True))
    x, mask = np.random.normal(size=(2, 4, 3)).astype("float32"), np.array([[1, 1, 1, 1], [1, 1, 0, 0]], bool)
    outputs = sequences(x, mask=mask)
    last = keras.layers.Bidirectional(Recurrent(GatedCell(3, "gru")))
    last(x)
    last.set_weights(sequences.get_weights())
    assert_close(SequencePooling("last", bidirectional=True)(outputs, mask=mask), last(x, mask=mask))


@pytest.mark.parametrize("mode", POOLINGS)
def test_half_precision_and_a_config(mode):
    layer, (x, mask) = SequencePooling(mode, dtype="mixed_float16"), padded()
    assert layer(x.astype("float16"), mask=mask).dtype in ("float16", np.float16)
    copy = SequencePooling.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()


@pytest.mark.parametrize("mode", POOLINGS)
def test_an_odd_number_of_features_is_refused_for_both_directions(mode):
    with pytest.raises(InputError, match="bidirectional is True, but the sequences have 5 features"):
        SequencePooling(mode, bidirectional=True)(np.ones((2, 3, 5), "float32"))
    assert SequencePooling(mode)(np.ones((2, 3, 5), "float32")).shape[1] % 5 == 0


def test_an_unknown_mode_is_refused():
    with pytest.raises(InputError, match="no pooling 'sum': use last, mean, max, attention or concat"):
        SequencePooling("sum")

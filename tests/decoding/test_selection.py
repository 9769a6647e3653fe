"""The largest logits of vocabularies of any size, and the sum of probabilities."""

import numpy as np
import pytest
from keras import ops

from textrnn.decoding.selection import LARGE, at, largest, log_total


@pytest.mark.parametrize("vocabulary", [7, LARGE, LARGE + 1, 1709, 8000])
@pytest.mark.parametrize("count", [1, 5, 32])
def test_the_largest_are_those_of_a_sort(vocabulary, count):
    count = min(count, vocabulary)
    logits = np.random.default_rng(vocabulary).normal(size=(3, vocabulary)).astype("float32")
    logits[1, 5:] = -np.inf
    logits[2, :-1] = -np.inf  # the last block has padding
    values, tokens = (ops.convert_to_numpy(x) for x in largest(ops.convert_to_tensor(logits), count))
    np.testing.assert_array_equal(values, -np.sort(-logits, axis=-1)[:, :count])
    assert (tokens < vocabulary).all()
    finite = np.isfinite(values)
    np.testing.assert_array_equal(np.take_along_axis(logits, tokens, axis=1)[finite], values[finite])
    assert all(len(set(row[valid])) == valid.sum() for row, valid in zip(tokens, finite, strict=True))


def test_the_largest_of_equal_logits_is_the_first():
    logits = np.zeros((2, 2000), "float32")
    logits[1, [70, 1900]] = 3
    tokens = ops.convert_to_numpy(largest(ops.convert_to_tensor(logits), 1)[1])
    assert tokens.tolist() == [[0], [70]]


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_total_is_that_of_the_exponentials(scale):
    logits = scale * np.random.default_rng(0).normal(size=(4, 3000)).astype("float32")
    logits[2, 9:] = -np.inf
    tensor = ops.convert_to_tensor(logits)
    exact = np.log(np.exp(logits.astype("float64")).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(log_total(tensor, largest(tensor, 1)), exact, rtol=1e-6)


def test_elements_of_rows_may_have_further_axes():
    values, columns = np.arange(24).reshape(2, 3, 4), np.array([[2, 0, 1, 1], [1, 1, 0, 2]], "int32")
    found = at(ops.convert_to_tensor(values), ops.convert_to_tensor(columns))
    np.testing.assert_array_equal(found, np.take_along_axis(values, columns[..., None], axis=1))

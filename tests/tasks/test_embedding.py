"""Projections to logits in a loop over tokens."""

import keras
import numpy as np
import pytest
from keras import ops

from textrnn.tasks.embedding import MANY_ROWS, logit_projector, token_embedding


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
@pytest.mark.parametrize("rows", [1, MANY_ROWS, 3 * MANY_ROWS])
@pytest.mark.parametrize("is_tensor", [False, True])
def test_logits_are_those_of_the_layer(tied, dtype, rows, is_tensor):
    if is_tensor and keras.backend.backend() != "tensorflow":
        pytest.skip("shapes of this backend are static")
    embedding = token_embedding(50, 6, tie_weights=tied, dtype=dtype)
    hidden = np.random.default_rng(0).normal(size=(rows, 6)).astype(embedding.compute_dtype)
    expected = embedding(ops.convert_to_tensor(hidden), reverse=True)
    project = logit_projector(embedding, ops.convert_to_tensor(rows) if is_tensor else rows)
    logits = project(ops.convert_to_tensor(hidden))
    assert logits.dtype == expected.dtype
    np.testing.assert_allclose(logits, expected, atol=1e-6 if dtype == "float32" else 1e-2)

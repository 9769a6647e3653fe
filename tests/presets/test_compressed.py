"""Compressed presets: equal within their rounding, in the dtype of the model."""

import numpy as np
import pytest
from builders.language_models import make_lm

import textrnn
from textrnn.presets import load_preset, save_preset
from textrnn.presets.compressed import LARGE, STEPS, compress_weights


def test_weights_load_as_they_were_within_their_rounding(tmp_path):
    lm = make_lm("byte")
    preset = save_preset(lm, tmp_path)
    compress_weights(preset)
    again = load_preset(preset)
    assert again.backbone.variable_dtype == "float32"
    for loaded, saved in zip(again.backbone.weights, lm.backbone.weights, strict=True):
        assert loaded.dtype == "float32"
        a, b = np.asarray(loaded), np.asarray(saved)
        if b.size < LARGE:
            np.testing.assert_array_equal(a, b.astype("float16").astype("float32"))
        else:
            np.testing.assert_allclose(a, b, rtol=0, atol=b.std() / STEPS / 2)
            assert len(np.unique(a)) < 16 * STEPS  # a few levels, so that they compress well
    assert sorted(path.name for path in preset.iterdir()) == sorted(
        path.name for path in save_preset(lm, tmp_path / "whole").iterdir()
    )


@pytest.mark.parametrize(
    ("value", "message"), [(1e5, "is too large for float16"), (np.nan, "has NaN: train again with a lower")]
)
def test_a_weight_that_does_not_fit_is_refused_and_the_preset_stays(value, message, tmp_path):
    lm = make_lm("byte")
    lm.backbone.weights[0].assign(np.full(lm.backbone.weights[0].shape, value, "float32"))
    preset = save_preset(lm, tmp_path)
    before, names = (preset / "model.weights.h5").read_bytes(), sorted(preset.iterdir())
    with pytest.raises(textrnn.InputError, match=message):
        compress_weights(preset)
    assert (preset / "model.weights.h5").read_bytes() == before
    assert sorted(preset.iterdir()) == names


def test_compressing_twice_changes_nothing_and_constants_stay(tmp_path):
    lm = make_lm("byte")
    embeddings = lm.backbone.token_embedding.embeddings
    embeddings.assign(np.full(embeddings.shape, 0.3, "float32"))
    preset = save_preset(lm, tmp_path)
    compress_weights(preset)
    once = [np.asarray(weight) for weight in load_preset(preset).backbone.weights]
    compress_weights(preset)
    twice = [np.asarray(weight) for weight in load_preset(preset).backbone.weights]
    for a, b in zip(once, twice, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(once[0], np.full(embeddings.shape, np.float16(0.3), "float32"))

"""Presets in half precision: smaller, equal within its rounding, in the dtype of the model."""

import numpy as np
import pytest
from builders.language_models import make_lm

import textrnn
from textrnn.presets import load_preset, save_preset
from textrnn.presets.half import halve_weights


def test_weights_load_as_they_were_within_half_precision(tmp_path):
    lm = make_lm("byte")
    preset = save_preset(lm, tmp_path)
    halve_weights(preset)
    again = load_preset(preset)
    assert again.backbone.variable_dtype == "float32"
    for a, b in zip(again.backbone.weights, lm.backbone.weights, strict=True):
        assert a.dtype == "float32"
        np.testing.assert_array_equal(a, np.asarray(b, "float16").astype("float32"))
    assert sorted(path.name for path in preset.iterdir()) == sorted(
        path.name for path in save_preset(lm, tmp_path / "whole").iterdir()
    )


def test_a_weight_that_does_not_fit_is_refused_and_the_preset_stays(tmp_path):
    lm = make_lm("byte")
    lm.backbone.weights[0].assign(np.full(lm.backbone.weights[0].shape, 1e5, "float32"))
    preset = save_preset(lm, tmp_path)
    before = (preset / "model.weights.h5").read_bytes()
    with pytest.raises(textrnn.InputError, match="is too large for float16"):
        halve_weights(preset)
    assert (preset / "model.weights.h5").read_bytes() == before

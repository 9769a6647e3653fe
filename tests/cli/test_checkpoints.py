"""What tells whether a run is the one that a checkpoint is of."""

import re
import runpy

import keras
import numpy as np
import pytest
import tensorflow as tf
from builders.language_models import make_lm

from textrnn import training
from textrnn.cli.checkpoints import checkpoint_of
from textrnn.cli.recipe import recipe_path
from textrnn.errors import InputError
from textrnn.presets import save_preset


@pytest.mark.parametrize("name", ["encoder_from", "decoder_from"])
def test_runs_from_other_language_models_are_other_runs(name, tmp_path):
    options = runpy.run_path(str(recipe_path("translation")))["Options"]
    models = {kind: save_preset(make_lm(kind), tmp_path / kind) for kind in ("sentencepiece", "character")}
    given = [{}, *({name: path} for path in models.values())]
    runs = [checkpoint_of(options(output=tmp_path, **start), "hash").run for start in given]
    assert [run[f"--{name}"] for run in runs] == [None, *map(str, models.values())]
    hashes = [tuple(run["data"]) for run in runs]
    assert len(set(hashes)) == 3 and all(data[0] == "hash" for data in hashes)


def test_options_that_follow_from_other_data_are_no_difference_of_their_own(tmp_path):
    options = runpy.run_path(str(recipe_path("text_generation")))["Options"]
    checkpoint = checkpoint_of(options(output=tmp_path, batch_size=8), "hash")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = tf.data.Dataset.from_tensor_slices((np.ones((4, 1)), np.ones((4, 1)))).batch(2)
    training.fit(model, data, epochs=1, checkpoint=checkpoint, progress=None)
    for fingerprint, differences in (
        ("hash", "--units was 256 and is 99; --batch_size was 8 and is 32"),
        ("other", "--units was 256 and is 99; the data have changed"),
    ):
        with pytest.raises(InputError, match=f"not this one: {re.escape(differences)}. Give the same"):
            checkpoint_of(options(output=tmp_path, batch_size=32, units=99), fingerprint)

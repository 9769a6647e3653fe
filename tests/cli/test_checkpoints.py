"""What tells whether a run is the one that a checkpoint is of."""

import runpy

import pytest
from builders.language_models import make_lm

from textrnn.cli.checkpoints import checkpoint_of
from textrnn.cli.recipe import recipe_path
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

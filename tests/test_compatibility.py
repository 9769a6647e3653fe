"""What an earlier version wrote still loads: presets, SavedModels, configs of recipes.

`fixtures/written_by_e136f8a` was written by that commit, with the `make.py` beside it.
"""

import json
import runpy
import tarfile
from pathlib import Path

import pytest
import tensorflow as tf
import yaml
from builders.eagerly import functions_run_eagerly

from textrnn.cli.recipe import recipe_path
from textrnn.cli.recipes import make_recipe_parser
from textrnn.presets import load_preset
from textrnn.serving.saved_model import load_signatures
from textrnn.tasks.registry import python_functions

WRITTEN = Path(__file__).parent / "fixtures" / "written_by_e136f8a"
EXPECTED = json.loads((WRITTEN / "expected.json").read_text("utf-8"))


def one(value, dtype):
    return tf.constant([value], dtype)


def answer(task, functions):
    """What `make.py` noted of the task."""
    if task == "text_generation":
        request = {
            "text": one("to be", "string"), "max_new_tokens": one(8, "int32"), "seed": one(3, "int64"),
            "temperature": one(0.9, "float32"), "top_k": one(-1, "int32"), "top_p": one(-1.0, "float32"),
        }  # fmt: skip
        return functions["generate"](**request)["text"].numpy()[0].decode("utf-8")
    if task == "classification":
        scores = functions["serving_default"](text=one("good film", "string"))["scores"]
        return pytest.approx(scores.numpy()[0].tolist(), abs=1e-5)
    request = {
        "text": one("eins", "string"), "num_beams": one(2, "int32"),
        "length_penalty": one(-1.0, "float32"), "max_new_tokens": one(6, "int32"),
    }  # fmt: skip
    return pytest.approx(functions["translate"](**request)["scores"].numpy()[0].tolist(), abs=1e-4)


@pytest.mark.parametrize("task", EXPECTED)
def test_a_preset_of_an_earlier_version_answers_as_it_did(task):
    functions = python_functions(load_preset(WRITTEN / task))
    expected = EXPECTED[task]
    if task == "text_generation":  # since then, what a limit of tokens leaves of a character is removed
        assert expected.endswith("k\ufffd\ufffd")
        expected = expected.rstrip("\ufffd")
    with functions_run_eagerly():
        assert expected == answer(task, functions)


@pytest.mark.parametrize("task", EXPECTED)
def test_a_saved_model_of_an_earlier_version_answers_as_it_did(task, tmp_path):
    with tarfile.open(WRITTEN / "saved_models.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    assert EXPECTED[task] == answer(task, load_signatures(tmp_path / task))


@pytest.mark.parametrize(
    ("task", "name"),
    [("text_generation", "text_generation"), ("classification", "sentiment"), ("translation", "translation")],
)
def test_a_recipe_reads_the_config_of_an_earlier_version(task, name):
    config = WRITTEN / task / "config.yaml"
    recipe = runpy.run_path(str(recipe_path(name)))
    given = make_recipe_parser(recipe["Options"], recipe["__doc__"]).parse(["--config", str(config)])
    del given["config"]
    options = vars(recipe["Options"](**given))
    paths = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
    written = yaml.safe_load(config.read_text("utf-8"))
    assert {key: paths[key] for key in written} == written

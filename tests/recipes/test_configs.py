"""The committed configs of recipes name options that there are."""

import re
import runpy
from pathlib import Path

import pytest

from textrnn.cli.recipes import make_recipe_parser

RECIPES = Path(__file__).parents[2] / "recipes"
CONFIGS = sorted((RECIPES / "configs").glob("*.yaml"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_read_by_its_recipe_and_says_how_to_run_it(config):
    command = rf"#   python recipes/(\w+)\.py --config recipes/configs/{re.escape(config.name)}\n"
    [name] = re.findall(command, config.read_text("utf-8"))
    recipe = runpy.run_path(str(RECIPES / f"{name}.py"))
    given = make_recipe_parser(recipe["Options"], recipe["__doc__"]).parse(["--config", str(config)])
    del given["config"]
    assert recipe["Options"](**given).name == config.stem

"""The command `textrnn recipe`, and the options of all recipes."""

import dataclasses
import inspect
import re
import runpy
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
import yaml
from references.command import textrnn_command

from textrnn.classification.options import LabelledTextOptions
from textrnn.cli.commands import commands
from textrnn.cli.recipe import config_names, config_path, recipe_names, recipe_path
from textrnn.cli.recipes import make_recipe_parser
from textrnn.data.datasets import dataset_names
from textrnn.data.sources import load_labelled_texts, load_pairs, load_texts
from textrnn.layers.attention import SCORES
from textrnn.layers.pooling import POOLINGS
from textrnn.text_generation.options import TextOptions
from textrnn.tokenizers import TOKENIZERS
from textrnn.translation.options import PairOptions
from textrnn.types import single_type

OPTIONS = {name: runpy.run_path(str(recipe_path(name)))["Options"] for name in recipe_names()}


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_short_enough_to_be_read_and_changed(name):
    assert len(recipe_path(name).read_text("utf-8").splitlines()) <= 200


@pytest.mark.parametrize(
    ("group", "function"),
    [(TextOptions, load_texts), (LabelledTextOptions, load_labelled_texts), (PairOptions, load_pairs)],
)
def test_options_of_data_are_the_arguments_of_its_loader(group, function):
    names = {field.name for field in dataclasses.fields(group)} | {"seed"}
    assert names == set(inspect.signature(function).parameters) - {"max_held_out"}


def test_it_lists_the_recipes_in_one_line_each(capsys):
    status, printed, _ = textrnn_command(capsys, "recipe")
    assert status == 0
    recipes, configs = printed.strip().split("\n\n")
    assert [line.split()[0] for line in recipes.splitlines()] == recipe_names()
    assert configs == f"configs, for --config: {', '.join(config_names())}"
    assert "Text generation: train a recurrent language model on your text, and serve it." in printed


def test_it_runs_a_recipe_with_its_options(capsys, tmp_path):
    status, _, error = textrnn_command(
        capsys, "recipe", "text_generation", "--data", tmp_path / "missing.txt", "--output", tmp_path
    )
    assert status == 2 and "missing.txt does not exist" in error


@pytest.mark.parametrize("name", config_names())
def test_every_config_is_one_of_a_recipe(name, capsys):
    """All of its options are known to the recipe that its comment names, which can be run by its name."""
    command = rf"#   python recipes/(\w+)\.py --config recipes/configs/{name}\.yaml\n"
    [recipe] = re.findall(command, config_path(name).read_text("utf-8"))
    status, printed, error = textrnn_command(capsys, "recipe", recipe, "--config", name, "--print_config")
    assert status == 0, error
    assert yaml.safe_load(printed).items() >= yaml.safe_load(config_path(name).read_text("utf-8")).items()


def test_it_copies_a_config(capsys, tmp_path):
    status, printed, _ = textrnn_command(capsys, "recipe", "--copy", "awd_lstm_ptb", tmp_path)
    copy = tmp_path / "awd_lstm_ptb.yaml"
    assert status == 0 and f"--config {copy}" in printed
    assert copy.read_text("utf-8") == config_path("awd_lstm_ptb").read_text("utf-8")


def test_it_copies_a_recipe_and_overwrites_nothing(capsys, tmp_path):
    status, printed, _ = textrnn_command(capsys, "recipe", "--copy", "translation", tmp_path)
    copy = tmp_path / "translation.py"
    assert status == 0 and str(copy) in printed
    assert copy.read_text("utf-8") == recipe_path("translation").read_text("utf-8")
    copy.write_text("mine", "utf-8")
    status, _, error = textrnn_command(capsys, "recipe", "--copy", "translation", tmp_path)
    assert status == 2 and "translation.py exists" in error
    assert copy.read_text("utf-8") == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["poetry"], "there is no recipe 'poetry': choose one of text_generation, sentiment, translation"),
        (["--copy", "poetry", "."], "there is no recipe 'poetry'"),
        (["--copy", "translation"], "--copy: give a recipe and a folder"),
        (["--copy", "translation", "nowhere"], "nowhere is not a folder"),
        (["sentiment", "--epochs", "0"], "--epochs 0: expected an integer of at least 1"),
        (["sentiment", "--epoch", "3"], "--epoch: there is no such option; did you mean --epochs?"),
        (["sentiment", "--blue", "3"], "For the options: textrnn recipe sentiment --help"),
        (["sentiment", "--config", "nowhere.yaml"], "--config nowhere.yaml: there is no such file"),
        (["sentiment", "--config=sentimental"], "The package has awd_lstm_ptb,"),
        (["sentiment", "reviews.csv"], "reviews.csv: give it with a flag, such as --data reviews.csv"),
    ],
)
def test_invalid_arguments_are_reported_without_a_traceback(arguments, message, capsys):
    status, _, error = textrnn_command(capsys, "recipe", *arguments)
    assert status == 2
    assert message in error and error.startswith("error: ") and "Traceback" not in error


@pytest.mark.parametrize(
    "arguments", [[name] for name in commands()] + [["recipe", n] for n in OPTIONS] + [[]]
)
def test_help_is_plain_and_fits_the_terminal(arguments, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    status, printed, _ = textrnn_command(capsys, *arguments, "--help")
    assert status == 0
    assert max(map(len, printed.splitlines())) <= 90
    assert not re.search(r"type:|null|None|\bstr\b|Literal|\| ", printed)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_says_its_default_unless_it_has_none(name, capsys):
    printed = " ".join(textrnn_command(capsys, "recipe", name, "--help")[1].split())
    for field in dataclasses.fields(OPTIONS[name]):
        described = re.split(
            r" --\w| (?:Data|Model|Training|Output):", printed.split(f" --{field.name} ")[1]
        )[0]
        if field.default is not None:
            default = str(field.default)
            assert f"(default: {default.lower() if default in ('True', 'False') else default})" in described


@pytest.mark.parametrize(
    ("recipe", "option", "known"),
    [
        ("text_generation", "dataset", dataset_names("text")),
        ("sentiment", "dataset", dataset_names("labelled")),
        ("translation", "dataset", dataset_names("parallel")),
        ("sentiment", "pooling", POOLINGS),
        ("translation", "attention", SCORES),
        *[(name, "tokenizer", TOKENIZERS) for name in OPTIONS],
    ],
)
def test_the_choices_are_those_of_the_library(recipe, option, known):
    [field] = [field for field in dataclasses.fields(OPTIONS[recipe]) if field.name == option]
    choices = single_type(field.type)
    assert get_origin(choices) is Literal
    assert sorted(get_args(choices)) == sorted(known)


@pytest.mark.parametrize("name", OPTIONS)
def test_options_read_from_a_file_are_plain_values_and_flags_win(name, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("units: 12\ndropout: 0\noutput: elsewhere\n", "utf-8")
    parser = make_recipe_parser(OPTIONS[name], "A recipe")
    given = parser.parse(["--config", str(config), "--units", "24"])
    assert (given["units"], given["dropout"], given["output"]) == (24, 0.0, Path("elsewhere"))
    assert type(given["units"]) is int and type(given["dropout"]) is float and type(given["name"]) is str


def test_a_value_may_begin_with_a_number_sign(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text('# mine\nsample_prompt: "# One"\nunits: 12  # few\n', "utf-8")
    parser = make_recipe_parser(OPTIONS["text_generation"], "A recipe")
    given = parser.parse(["--sample_prompt", "# Chapter 1", "--data=#1.txt"])
    assert (given["sample_prompt"], given["data"]) == ("# Chapter 1", Path("#1.txt"))
    given = parser.parse(["--config", str(config)])
    assert (given["sample_prompt"], given["units"]) == ("# One", 12)


def test_the_folder_of_a_copy_may_stand_where_the_usage_has_it(capsys, tmp_path):
    status, _, error = textrnn_command(capsys, "recipe", "translation", tmp_path, "--copy")
    assert status == 0, error
    assert (tmp_path / "translation.py").is_file()


@pytest.mark.parametrize("config", [["--config", "awd_lstm_ptb"], ["--config=awd_lstm_ptb"]])
def test_a_config_of_the_package_has_a_name(config, capsys, tmp_path):
    data = ["--data", tmp_path / "mine.txt", "--output", tmp_path]
    status, _, error = textrnn_command(capsys, "recipe", "text_generation", *config, *data)
    assert status == 2 and "--data and --dataset: give one of them" in error  # the second is in the config

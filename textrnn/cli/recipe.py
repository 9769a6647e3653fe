"""The command `textrnn recipe`: list, run and copy the recipes of the installed package."""

import ast
import itertools
import runpy
import shutil
from pathlib import Path

import textrnn
from textrnn.cli.recipes import run_recipe
from textrnn.errors import expect
from textrnn.tasks.registry import task_kinds


def recipe(name: str | None = None, folder: Path | None = None, copy: bool = False):
    """List the recipes, run one, or copy one to change it.

    Without a name, it lists the recipes and their configs. `textrnn recipe NAME --help` lists the options.

    Args:
        name: Recipe to run with the options that follow; with --copy also a config
        folder: Where to copy it to
        copy: Copy the recipe instead of running it
    """
    if not copy:
        for known in recipe_names():
            print(f"{known:<16} {summary(known)}")
        print(f"\nconfigs, for --config: {', '.join(config_names())}")
        return
    expect(name and folder, "--copy: give a recipe and a folder, such as --copy text_generation .")
    assert name is not None and folder is not None
    source = config_path(name) if name in config_names() else recipe_path(name)
    target = folder / source.name
    expect(folder.is_dir(), f"{folder} is not a folder: give one that exists")
    expect(not target.exists(), f"{target} exists: give another folder, or remove it")
    shutil.copyfile(source, target)
    is_recipe = target.suffix == ".py"
    print(
        f"{target}: "
        + (f"run it with python {target} --help" if is_recipe else f"use it with --config {target}")
    )


def run_packaged(name: str, arguments: list[str]):
    """Run a recipe, as `python recipes/NAME.py` does.

    Args:
        name: A recipe.
        arguments: Its command line, in which `--config` may have the name of a config of the package.
    """
    arguments = [
        word if before != "--config" else found_config(word)
        for before, word in itertools.pairwise(["", *_separated(arguments)])
    ]
    defined = runpy.run_path(str(recipe_path(name)))
    run_recipe(defined["main"], defined["Options"], defined["__doc__"], f"textrnn recipe {name}", arguments)


def _separated(arguments):
    """Words of a command line, in which `--config=FILE` is two."""
    for word in arguments:
        yield from word.split("=", 1) if word.startswith("--config=") else (word,)


def found_config(config: str) -> str:
    """Return the path of a config, of which a name may be given.

    Raises:
        InputError: If it is neither a file nor the name of a config of the package.
    """
    if config in config_names():
        return str(config_path(config))
    expect(
        Path(config).is_file(),
        f"--config {config}: there is no such file. The package has {', '.join(config_names())}",
    )
    return config


def recipe_names() -> list[str]:
    """Return the names of the recipes, one per kind of task.

    Example:

    >>> from textrnn.cli.recipe import recipe_names
    >>> recipe_names()
    ['text_generation', 'sentiment', 'translation']
    """
    return [kind.name for kind in task_kinds()]


def recipe_path(name: str) -> Path:
    """Return the file of a recipe, in the installed package or in the repository.

    Raises:
        InputError: If there is no such recipe.
    """
    names = recipe_names()
    expect(name in names, f"there is no recipe {name!r}: choose one of {', '.join(names)}")
    package = Path(textrnn.__file__).parent
    return next(
        path for folder in (package, package.parent) if (path := folder / "recipes" / f"{name}.py").is_file()
    )


def config_names() -> list[str]:
    """Return the names of the configs of recipes, sorted.

    Example:

    >>> from textrnn.cli.recipe import config_names
    >>> "awd_lstm_ptb" in config_names()
    True
    """
    return sorted(path.stem for path in (recipe_path("text_generation").parent / "configs").glob("*.yaml"))


def config_path(name: str) -> Path:
    """Return the YAML file of a config."""
    return recipe_path("text_generation").parent / "configs" / f"{name}.yaml"


def summary(name: str) -> str:
    """Return the first line of a recipe's docstring.

    Example:

    >>> from textrnn.cli.recipe import summary
    >>> summary("text_generation")
    'Text generation: train a recurrent language model on your text, and serve it.'
    """
    docstring = ast.get_docstring(ast.parse(recipe_path(name).read_text("utf-8"))) or ""
    return docstring.partition("\n")[0]

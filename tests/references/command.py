"""The `textrnn` command and the recipes, run in this process, since loading TensorFlow takes longer."""

import os
import runpy
import subprocess
import sys

import pytest
from builders.exporting import unchecked_exports

from textrnn.cli import commands


def textrnn_command(capsys, *arguments):
    """Runs the command in this process; returns exit status, stdout and stderr."""
    return _run(capsys, commands.main, "textrnn", *arguments)


def recipe_command(capsys, recipe, *arguments):
    """Runs the recipe of that path in this process; returns exit status, stdout and stderr.

    What it exports is not checked in a fresh process, unlike by `start_recipe`.
    """
    with unchecked_exports():
        return _run(capsys, _main_of(recipe), recipe, *arguments)


def start_recipe(folder, recipe, *arguments):
    """Starts the recipe of that path in a process of its own and in that folder."""
    return subprocess.Popen(
        [sys.executable, recipe, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "TEXTRNN_DATA": str(folder / "data"), "TEXTRNN_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _main_of(recipe):
    return lambda: runpy.run_path(str(recipe), run_name="__main__")


def _run(capsys, main, *argv):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(argument) for argument in argv])
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = stop.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err

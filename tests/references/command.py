"""The `textrnn` command and the recipes, run in this process, since loading TensorFlow takes longer."""

import runpy
import sys

import pytest

from textrnn.cli import commands


def textrnn_command(capsys, *arguments):
    """Runs the command in this process; returns exit status, stdout and stderr."""
    return _run(capsys, commands.main, "textrnn", *arguments)


def recipe_command(capsys, recipe, *arguments):
    """Runs the recipe of that path in this process; returns exit status, stdout and stderr."""
    return _run(capsys, lambda: runpy.run_path(str(recipe), run_name="__main__"), recipe, *arguments)


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

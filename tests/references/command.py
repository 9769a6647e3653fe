"""The `textrnn` command and the recipes, run in this process, since loading TensorFlow takes longer."""

import contextlib
import io
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

    What it exports is not checked in a fresh process, unlike by `recipe_in` and `start_recipe`.
    """
    with unchecked_exports():
        return _run(capsys, _main_of(recipe), recipe, *arguments)


def recipe_in(folder, recipe, *arguments):
    """Runs the recipe in this process and in that folder, for fixtures; returns what it printed to stdout."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for name, value in _folders_in(folder).items():
            patch.setenv(name, value)
        status = _status(_main_of(recipe), recipe, *arguments)
    assert status == 0, err.getvalue()
    return out.getvalue()


def start_recipe(folder, recipe, *arguments):
    """Starts the recipe of that path in a process of its own and in that folder."""
    return subprocess.Popen(
        [sys.executable, recipe, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **_folders_in(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _folders_in(folder):
    return {"TEXTRNN_DATA": str(folder / "data"), "TEXTRNN_CACHE": str(folder / "cache")}


def _main_of(recipe):
    return lambda: runpy.run_path(str(recipe), run_name="__main__")


def _status(main, *argv):
    """The exit status of a program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(argument) for argument in argv])
        try:
            main()
        except SystemExit as stop:
            return stop.code
    return 0


def _run(capsys, main, *argv):
    status = _status(main, *argv)
    printed = capsys.readouterr()
    return status, printed.out, printed.err

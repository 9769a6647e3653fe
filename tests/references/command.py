"""The `textrnn` command and the recipes, run in this process, since loading TensorFlow takes longer."""

import contextlib
import functools
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from builders.exporting import unchecked_exports
from builders.seeds import kernels_kept

from textrnn.cli import commands
from textrnn.presets import loading
from textrnn.serving import saved_model


def textrnn_command(capsys, *arguments):
    """Runs the command in this process; returns exit status, stdout and stderr.

    A model that did not change since the last command is not loaded and traced again.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "load_preset", _load_preset_once)
        patch.setattr(saved_model, "load_signatures", _load_signatures_once)
        return _run(capsys, commands.main, "textrnn", *arguments)


def recipe_command(capsys, recipe, *arguments):
    """Runs the recipe of that path in this process; returns exit status, stdout and stderr.

    What it exports is not checked in a fresh process, unlike by `start_recipe`.
    """
    with unchecked_exports(), kernels_kept():
        return _run(capsys, _main_of(recipe), recipe, *arguments)


def recipe_in(folder, recipe, *arguments):
    """Runs the recipe of that path in this process and in that folder, for fixtures, which have no `capsys`.

    Returns exit status, stdout and stderr.
    """
    printed = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    with (
        contextlib.redirect_stdout(printed[0]),
        contextlib.redirect_stderr(printed[1]),
        pytest.MonkeyPatch.context() as patch,
        unchecked_exports(),
        kernels_kept(),
    ):
        patch.chdir(folder)
        for name, value in _folders_of_data(folder).items():
            patch.setenv(name, value)
        status = _status(_main_of(recipe), recipe, *arguments)
    return status, *(each.buffer.getvalue().decode("utf-8") for each in printed)


def start_recipe(folder, recipe, *arguments):
    """Starts the recipe of that path in a process of its own and in that folder."""
    return subprocess.Popen(
        [sys.executable, recipe, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **_folders_of_data(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _folders_of_data(folder):
    return {"TEXTRNN_DATA": str(folder / "data"), "TEXTRNN_CACHE": str(folder / "cache")}


def _once(load):
    @functools.lru_cache(maxsize=4)
    def load_version(path, changed):
        return load(path)

    return lambda path: load_version(path, _last_change(Path(path)))


def _last_change(path):
    """When something in a folder last changed, and how many files it has."""
    times = [each.stat().st_mtime_ns for each in (path, *path.rglob("*"))] if path.exists() else [0]
    return max(times), len(times)


_load_preset_once = _once(loading.load_preset)
_load_signatures_once = _once(saved_model.load_signatures)


def _main_of(recipe):
    return lambda: runpy.run_path(str(recipe), run_name="__main__")


def _run(capsys, main, *argv):
    status = _status(main, *argv)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def _status(main, *argv):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(argument) for argument in argv])
        try:
            main()
        except SystemExit as stop:
            return stop.code
    return 0

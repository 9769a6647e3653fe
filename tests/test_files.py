"""Writing without loss: one process at a time, and sentences for disks that are full or read-only."""

import contextlib
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from references.command import recipe_command, textrnn_command

from textrnn import files
from textrnn.cli import process
from textrnn.cli.recipes import run_recipe
from textrnn.errors import InputError
from textrnn.options import OutputOptions, TrainingOptions
from textrnn.types import ModelName

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.py"))
FULL = "writing failed: No space left on device. Free some space, and try again"
HOLDER = """
import sys
from textrnn.files import reserved
with reserved(sys.argv[1]):
    print("reserved", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def another_process(folder):
    """A process that has reserved a folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "reserved\n"
        yield holder
        holder.kill()


def test_a_folder_is_reserved_for_one_process_until_it_dies(tmp_path):
    folder = tmp_path / "models" / "novel"
    with another_process(folder) as holder:
        expected = (
            rf"novel is being written by process {holder.pid} on .*: wait until it ends, or give another"
        )
        for _ in range(2):
            with pytest.raises(InputError, match=expected), files.reserved(folder):
                pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (folder / ".lock").is_file()  # what the dead process left
    with files.reserved(folder):
        (folder / "report").mkdir()
        with pytest.raises(InputError, match=f"written by process {os.getpid()} "), files.reserved(folder):
            pass
    assert [child.name for child in folder.iterdir()] == ["report"]


def test_a_reserved_folder_that_stays_empty_is_removed(tmp_path):
    with pytest.raises(ZeroDivisionError), files.reserved(tmp_path / "models" / "novel"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_second_run_with_the_same_name_is_refused(recipe, tmp_path, capsys):
    with files.reserved(tmp_path / "twice"):
        status, _, error = recipe_command(capsys, recipe, "--output", tmp_path, "--name", "twice")
    assert status == 2
    assert error.startswith(f"error: {tmp_path / 'twice'} is being written by process {os.getpid()} ")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_an_output_that_is_a_file_is_reported_before_anything_is_read(recipe, tmp_path, capsys):
    (tmp_path / "output").write_text("a file")
    for folder in ("output", "."):
        (tmp_path / "model").write_text("a file")
        arguments = ["--output", tmp_path / folder, "--name", "model", "--data", "no_such_file"]
        status, _, error = recipe_command(capsys, recipe, *arguments)
        assert status == 2 and "Traceback" not in error
        assert error == f"error: {tmp_path / folder / 'model'}: " + (
            "Not a directory. Give a place that can be written\n"
            if folder == "output"
            else "File exists. Give a place that can be written\n"
        )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "", "a/b"), "a/b: No space left on device. Free some space, and try again"),
        (OSError(errno.EROFS, "", "a"), "a: Read-only file system. Give a place that can be written"),
        (PermissionError(errno.EACCES, "", "a"), "a: Permission denied. Give a place that can be written"),
        # as h5py and TensorFlow raise it
        (OSError("Can't write data (errno = 28, error message = 'No space left on device')"), FULL),
        (RuntimeError("a/variables; No space left on device"), FULL),
        (RuntimeError("another error"), None),
        (FileNotFoundError(errno.ENOENT, "", "a"), None),
    ],
)
def test_errors_of_the_disk_are_described(error, expected):
    assert files.disk_problem(error) == expected


def test_a_command_reports_errors_of_the_disk_only(capsys):
    def full():
        raise OSError(errno.ENOSPC, "", "report.txt")

    with pytest.raises(SystemExit) as stop:
        process.run(full)
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "error: report.txt: No space left on device. Free some space, and try again\n"
    )
    with pytest.raises(ZeroDivisionError):
        process.run(lambda: 1 / 0)


@dataclass(frozen=True, kw_only=True)
class SomeOptions(OutputOptions, TrainingOptions):
    """Options of a recipe without data."""

    name: ModelName = "some"


@pytest.mark.parametrize(
    ("kept", "flags", "advice"),
    [
        (True, (), ". The same command resumes from the last checkpoint"),
        (True, ("--fresh=true",), ". The same command, without --fresh, resumes from the last checkpoint"),
        (False, (), ""),
    ],
    ids=["checkpoint", "fresh", "no checkpoint"],
)
def test_a_disk_that_is_full_after_training_leads_to_the_checkpoint(kept, flags, advice, tmp_path, capsys):
    def recipe(options):
        if kept:
            (options.folder / "checkpoint").mkdir()
            (options.folder / "checkpoint" / "checkpoint-3.index").touch()
        raise OSError(errno.ENOSPC, "", "report.md")

    with pytest.raises(SystemExit) as stop:
        run_recipe(recipe, SomeOptions, "A recipe.", arguments=["--output", str(tmp_path), *flags])
    assert stop.value.code == 2
    expected = "error: report.md: No space left on device. Free some space, and try again"
    assert capsys.readouterr().err == f"{expected}{advice}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_standard_output_is_one_line_on_stderr():
    command = [sys.executable, "-m", "textrnn", "cells"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"error: {FULL}\n"


def test_a_model_without_enough_space_is_refused_before_training(tmp_path):
    with pytest.raises(InputError, match=r"the disk has [\d,]+ MB left, and the model takes [\d,]+ MB"):
        files.expect_space(tmp_path / "not" / "yet", 10**18)


def test_little_space_is_told_with_decimals(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_700_000))
    with pytest.raises(
        InputError, match=r"has 1\.70 MB left, and the model takes 2\.10 MB\. Free some space"
    ):
        files.expect_space(tmp_path, 2_100_000)


def test_an_output_that_cannot_be_written_is_refused_before_a_model_is_loaded(tmp_path, capsys):
    for command, flag in (
        ("classify", "--output"),
        ("translate", "--output"),
        ("explain", "--png"),
        ("explain", "--html"),
    ):
        text = ["a text"] if command == "explain" else ["--text", "a text"]
        for output in (tmp_path / "no" / "answers", tmp_path):
            status, _, error = textrnn_command(capsys, command, "no_model", *text, flag, output)
            assert status == 2 and f"{flag} {output}: give a file in a folder that exists" in error


def test_a_disk_that_fills_while_a_model_is_saved_is_one_sentence(tmp_path, capsys):
    """The limit of the size of a file acts as a full disk does, in HDF5 as well."""
    (tmp_path / "text.txt").write_text("the cat sat on the mat.\n" * 40)
    small = {"tokenizer": "byte", "units": 64, "batch_size": 2, "sequence_length": 16, "epochs": 1}
    flags = [word for name, value in small.items() for word in (f"--{name}", value)]
    arguments = ["--data", tmp_path / "text.txt", "--output", tmp_path, "--name", "m", *flags]
    earlier = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, earlier[1]))
    try:
        status, _, error = recipe_command(capsys, RECIPES[1], *arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, earlier)
    assert status == 2
    assert (
        error.splitlines()[-1] == f"error: {tmp_path / 'm'}: File too large. Give a place that can be written"
    )
    assert {child.name for child in (tmp_path / "m").iterdir()} == {"report", "checkpoint"}
    assert not list((tmp_path / "m" / "checkpoint").glob("checkpoint-*"))


def test_what_an_earlier_process_with_the_same_number_left_is_removed(tmp_path):
    """In a container, each process that is started again is number 1."""
    (tmp_path / f".preset.{os.getpid()}" / "assets").mkdir(parents=True)
    (tmp_path / f".other.{os.getppid()}").mkdir()
    files.remove_leftovers(tmp_path)
    assert [child.name for child in tmp_path.iterdir()] == [f".other.{os.getppid()}"]


def test_the_checkpoints_of_a_run_are_part_of_the_space_that_it_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=60))
    with pytest.raises(InputError, match=r"the disk has 0\.00 MB left"):
        files.expect_space(tmp_path, 100)
    for name in ("checkpoint", "checkpoint_of_adapting"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_bytes(bytes(20))
    files.expect_space(tmp_path, 100)

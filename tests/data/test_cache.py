"""The cache: written once and whole, by one process at a time, checked, and bounded."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from textrnn import InputError
from textrnn.data import cache


@pytest.fixture
def note(folders):
    """Asks the cache for a file: `note()`. `note.written` counts how often it was written."""

    def write(folder):
        note.written += 1
        (folder / "note.txt").write_text("whole")
        return {"words": 1}

    def ask(key="1", size=5, write=write):
        folder, about, hashes = cache.cached("notes", key, write, size)
        assert about == {"words": 1} and list(hashes) == ["note.txt"]
        return (folder / "note.txt").read_text()

    note = SimpleNamespace(written=0, ask=ask, folder=folders.cache / "notes")
    return note


def test_it_is_written_once(note, capsys):
    assert note.ask() == note.ask() == "whole" and note.written == 1
    assert note.ask("2") == "whole" and note.written == 2
    assert {path.name for path in note.folder.iterdir()} == {"1", "2", ".lock"}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["note.txt", "manifest.json"])
@pytest.mark.parametrize("content", [b"", b"whale", b"{}", b"\xff", None])
def test_a_damaged_file_is_made_anew(note, name, content, capsys):
    note.ask()
    path = note.folder / "1" / name
    path.unlink() if content is None else path.write_bytes(content)
    assert note.ask() == note.ask() == "whole" and note.written == 2
    assert capsys.readouterr().err == f"warning: {path.parent} is damaged: it is written again\n"


WRITE = """
import os, sys, time
from textrnn.data import cache
def write(folder):
    (folder / "note.txt").write_text("who")
    print("writing", flush=True)
    time.sleep(float(sys.argv[1]))
    (folder / "note.txt").write_text("whole")
    return {"words": 1}
print(cache.cached("notes", "1", write, 5).about)
"""


def start(seconds):
    command = [sys.executable, "-c", WRITE, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_what_a_killed_process_left_is_neither_used_nor_kept(note, capsys):
    with start(60) as process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
    assert any(path.name.startswith(cache.LEFTOVER) for path in note.folder.iterdir())
    assert note.ask() == "whole" and note.written == 1
    assert {path.name for path in note.folder.iterdir()} == {"1", ".lock"}
    assert capsys.readouterr().err == ""


def test_another_process_waits_for_the_one_that_writes(note, capsys):
    with start(0.5) as process:
        assert process.stdout.readline() == "writing\n"
        assert note.ask() == "whole" and note.written == 0
        assert process.stdout.read() == "{'words': 1}\n"
    assert "waiting for another process" in capsys.readouterr().err


def test_a_cache_that_can_only_be_read_is_used(note, capsys, monkeypatch):
    note.ask()

    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(cache, "_locked", refuse)
    assert note.ask() == "whole" and note.written == 1
    assert capsys.readouterr().err == ""


def test_without_a_cache_a_temporary_folder_is_used(note, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cache, "_temporary", [])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TEXTRNN_CACHE", str(tmp_path / "file" / "cache"))
    assert note.ask() == note.ask() == note.ask("2") == "whole" and note.written == 2
    [warning] = capsys.readouterr().err.splitlines()
    assert "cannot be written (Not a directory): a temporary folder is used" in warning
    assert "TEXTRNN_CACHE" in warning
    [temporary] = cache._temporary
    temporary.cleanup()


def test_without_any_folder_to_write_the_error_says_what_to_set(note, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_temporary", [])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TEXTRNN_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(cache.tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"neither .* nor a temporary folder can be written .*TEXTRNN_CACHE"):
        note.ask()
    monkeypatch.delenv("TEXTRNN_CACHE")
    monkeypatch.setattr(cache.Path, "expanduser", lambda path: (_ for _ in ()).throw(RuntimeError))
    with pytest.raises(InputError, match="no home folder"):
        note.ask()


def test_a_disk_without_enough_space_is_an_error_before_anything_is_written(note):
    with pytest.raises(InputError, match=r"the disk has .* left, and .* are needed. Free some space, or set"):
        note.ask(size=10**18)
    assert note.written == 0 and note.ask() == "whole"


def test_a_disk_that_runs_full_is_an_error_that_leaves_nothing(note):
    def fill(folder):
        (folder / "note.txt").write_text("who")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match=r"the disk is full\. Free some space, or set TEXTRNN_CACHE"):
        note.ask(write=fill)
    assert [path.name for path in note.folder.iterdir()] == [".lock"]
    assert note.ask() == "whole"


def test_an_interrupted_writer_leaves_nothing(note):
    def interrupt(folder):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        note.ask(write=interrupt)
    assert [path.name for path in note.folder.iterdir()] == [".lock"]


def test_what_was_not_used_for_the_longest_time_is_removed(note, monkeypatch):
    for key in "123":
        note.ask(key)
        hours = {"1": 5, "2": 2, "3": 0.5}[key]
        then = time.time() - 3600 * hours
        os.utime(note.folder / key / cache.MANIFEST, (then, then))
    note.ask("1")  # is used again
    one = len(json.dumps(json.loads((note.folder / "1" / cache.MANIFEST).read_text()))) + 5
    monkeypatch.setattr(cache, "CACHE_BYTES", 3 * one)
    note.ask("4", size=one)
    assert {path.name for path in note.folder.iterdir()} == {"1", "3", "4", ".lock"}
    monkeypatch.setattr(cache, "CACHE_BYTES", 0)
    note.ask("5")
    assert {path.name for path in note.folder.iterdir()} == {"1", "3", "4", "5", ".lock"}, "in use"

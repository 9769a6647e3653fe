"""Starter models that are served: exported once, and again when what the export depends on has changed."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from textrnn import InputError
from textrnn.cli import starter_exports
from textrnn.cli.starter_exports import exported, fingerprint
from textrnn.server.server import models_under


@pytest.fixture
def preset(tmp_path):
    """The folder of a preset, as far as the cache looks into it."""
    folder = tmp_path / "preset"
    (folder / "assets").mkdir(parents=True)
    (folder / "model.weights.h5").write_bytes(b"weights")
    (folder / "assets" / "vocabulary.txt").write_text("a b")
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("TEXTRNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def exports(cache, monkeypatch):
    """The commands that have been run; each writes a version, or fails if `exports.error` is set."""
    found = SimpleNamespace(commands=[], error="")

    def run(command, **_):
        found.commands.append(command)
        if not found.error:
            preset, name, _, output = command[4:]
            folder = Path(output, name, "1")
            folder.mkdir(parents=True)
            (folder / "saved_model.pb").write_bytes(Path(preset, "model.weights.h5").read_bytes())
        return SimpleNamespace(returncode=bool(found.error), stderr=found.error)

    monkeypatch.setattr(starter_exports.subprocess, "run", run)
    return found


def served(preset):
    """The content of the SavedModel that is served under the name `novel`."""
    [model] = models_under(exported("novel", preset))
    assert model.name == "novel"
    return (model.path / "1" / "saved_model.pb").read_bytes()


def test_a_starter_model_is_exported_once(preset, exports, capsys):
    assert served(preset) == served(preset) == b"weights"
    assert len(exports.commands) == 1
    assert exports.commands[0][:6] == [sys.executable, "-m", "textrnn", "export", str(preset), "novel"]
    assert capsys.readouterr().err == "exporting novel ...\n"


def test_other_weights_are_exported_again(preset, exports):
    served(preset)
    (preset / "model.weights.h5").write_bytes(b"WEIGHTS")  # of the same size
    assert served(preset) == b"WEIGHTS" and len(exports.commands) == 2
    (preset / "model.weights.h5").write_bytes(b"weights")
    assert served(preset) == b"weights" and len(exports.commands) == 2


def test_a_damaged_export_is_made_again(preset, exports, capsys):
    [model] = models_under(exported("novel", preset))
    (model.path / "1" / "saved_model.pb").write_bytes(b"")
    assert served(preset) == b"weights" and len(exports.commands) == 2
    assert "is damaged: it is written again" in capsys.readouterr().err


def test_an_export_that_fails_is_an_error_and_is_tried_again(preset, exports):
    exports.error = "the disk is full"
    with pytest.raises(InputError, match="novel cannot be exported: the disk is full"):
        served(preset)
    exports.error = ""
    assert served(preset) == b"weights"


def test_the_fingerprint_is_of_all_that_an_export_depends_on(preset, tmp_path, monkeypatch):
    code = tmp_path / "code"
    (code / "cells").mkdir(parents=True)
    (code / "cells" / "lstm.py").write_text("units = 1")
    found = [fingerprint(preset, code)]

    def changed():
        found.append(fingerprint(preset, code))
        assert found.count(found[-1]) == 1

    (code / "README.md").write_text("is no code")
    assert fingerprint(preset, code) == found[0]
    (code / "cells" / "lstm.py").write_text("units = 2")
    changed()
    (code / "cells" / "lstm.py").rename(code / "cells" / "gru.py")
    changed()
    (preset / "assets" / "vocabulary.txt").write_text("a c")
    changed()
    (preset / "metadata.json").write_text("{}")
    changed()
    monkeypatch.setattr(starter_exports.metadata, "version", lambda package: f"0 of {package}")
    changed()


@pytest.mark.slow
def test_the_command_exports_a_starter_model_that_is_served(cache):
    from textrnn.starters import starter_path

    [model] = models_under(exported("english", starter_path("english")))
    assert model.name == "english"
    assert (model.path / "1" / "saved_model.pb").is_file()

"""Turning trained models into starter models."""

from pathlib import Path

import pytest
from references.command import recipe_command

import starter_classifier
import starter_model

LANGUAGE_MODEL = (
    starter_model, "--language", "English", "--sources", "a", "b", "--prompts", "The",
)  # fmt: skip
CLASSIFIER = (starter_classifier, "--language_model", "english", "--sources", "a", "--texts", "dull")


@pytest.mark.parametrize("command", [LANGUAGE_MODEL, CLASSIFIER])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("models/english", "starters/english exists already: remove it, or give another --output"),
        ("models/klingon", "models/klingon has no trained model: give the folder of one, with its preset/ "),
    ],
)
def test_invalid_input_is_reported_before_any_work(command, model, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("starters", "english").mkdir(parents=True)
    module, *arguments = command
    status, printed, error = recipe_command(
        capsys, module.__file__, model, *arguments, "--output", "starters"
    )
    assert status == 2 and printed == ""
    assert error.startswith(f"error: {message}") and error.count("\n") == 1
    assert not any(Path("starters", "english").iterdir()) and not Path("models").exists()

"""Exit statuses and messages of commands."""

import io
import sys
from functools import partial

import pytest

from textrnn.cli.process import run
from textrnn.cli.recipes import _how_to_resume


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("file", "fresh", "message"),
    [
        ("report/metrics.json", False, "interrupted"),
        ("checkpoint/checkpoint-1.index", False, "interrupted. The same command resumes from the last checkpoint"),  # noqa: E501
        (
            "checkpoint_of_adapting/checkpoint-3.index",
            True,
            "interrupted. The same command, without --fresh, resumes from the last checkpoint",
        ),
    ],
)  # fmt: skip
def test_ctrl_c_says_whether_the_same_command_resumes(file, fresh, message, tmp_path, capsys):
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).touch()
    with pytest.raises(SystemExit) as ended:
        run(interrupt, tmp_path, partial(_how_to_resume, tmp_path, fresh))
    assert (ended.value.code, capsys.readouterr().err) == (130, f"\n{message}\n")


def test_characters_that_the_output_lacks_are_escaped(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "latin-1"))
    run(lambda: print("naïve 你好"))
    assert written.getvalue().decode("latin-1") == "naïve \\u4f60\\u597d\n"

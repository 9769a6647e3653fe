"""The comparison of two checkouts: each is imported in a process of its own."""

import sys
from types import SimpleNamespace

import pytest

import before_after
import harness
from textrnn import InputError


def test_a_folder_without_textrnn_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no checkout of textrnn"):
        before_after.Worker(tmp_path)


def test_the_error_of_a_process_is_shown(tmp_path):
    (tmp_path / "textrnn.py").write_text("raise ImportError('a broken checkout')", "utf-8")
    with pytest.raises(RuntimeError, match=r"exit code 1:(.|\n)*a broken checkout"):
        before_after.Worker(tmp_path)


def test_modules_of_another_checkout_are_found(monkeypatch):
    assert before_after.foreign_modules() == []
    monkeypatch.setitem(sys.modules, "textrnn.other", SimpleNamespace(__file__="/elsewhere/textrnn/other.py"))
    assert before_after.foreign_modules() == ["textrnn.other"]


@pytest.mark.slow
def test_the_command_measures_both_checkouts(run_command):
    report = run_command(before_after, "--before", str(harness.CHECKOUT))
    assert len(report["results"]) == len(before_after.WORKS) - 1  # two differ in the number of tokens alone
    for entry in report["results"]:
        assert [row["contestant"] for row in entry["rows"]] == ["after", "before"]
        assert entry["summaries"]["after"] == entry["summaries"]["before"]
    assert report["environment"]["before"] == report["environment"]["after"]

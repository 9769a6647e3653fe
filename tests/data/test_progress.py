"""The progress of long work: a bar in a terminal, a line elsewhere, nothing for quick work."""

import io
import sys

import pytest

from textrnn.data import progress as module
from textrnn.data.progress import progress


@pytest.mark.parametrize(
    ("total", "expected"), [(1000, ""), (10**7, "tokenizing the text: 10,000,000 characters\n")]
)
def test_a_log_gets_a_line_for_long_work_only(total, expected, capsys):
    with progress("tokenizing the text", total, "characters") as done:
        done(total)
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("delay", [0, 60])
def test_a_terminal_gets_a_bar_after_some_time(delay, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "DELAY", delay)
    with progress("tokenizing the text", 10**7, "characters") as done:
        done(10**6)
    shown = terminal.getvalue()
    assert ("tokenizing the text" in shown and "10.0M" in shown) if delay == 0 else not shown.strip()

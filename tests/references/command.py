"""The `textrnn` command, run in this process."""

import sys

import pytest

from textrnn import cli


def textrnn_command(capsys, *arguments):
    """Runs the command in this process; returns exit status, stdout and stderr."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["textrnn", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = stop.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err

"""Running a benchmark as a command, and PyTorch for models of it."""

import json
import subprocess
import sys

import pytest

import harness


@pytest.fixture
def run_command(tmp_path):
    """A function that runs a benchmark with `--quick` and further flags and returns its report."""

    def run(module, *flags):
        command = [sys.executable, module.__file__, "--quick", *flags, "--output", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        name = module.__name__
        assert done.stdout == (tmp_path / f"{name}.md").read_text("utf-8")
        return json.loads((tmp_path / f"{name}.json").read_text("utf-8"))

    return run


@pytest.fixture
def torch():
    """PyTorch on one thread, since its threads wait for each other on a busy machine."""
    torch = pytest.importorskip("torch")
    harness.load_backend()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)

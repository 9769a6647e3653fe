"""Two workers, each a process of its own, train like one process, and stop when one of them is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from builders.workers import TASKS, results

ROOT = Path(__file__).parents[2]
LOST = 75
"""Exit status of a worker that has lost another."""


def free_addresses(count=2):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [f"localhost:{each.getsockname()[1]}" for each in sockets]


def environment(**more):
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1", **more}


def start(*command, more=((), ())):
    """Start two workers with this Python command, and `more` arguments for each."""
    cluster = {"worker": free_addresses()}
    configs = [{"cluster": cluster, "task": {"type": "worker", "index": index}} for index in range(2)]
    return [
        subprocess.Popen(
            [sys.executable, *map(str, command), *arguments], env=environment(TF_CONFIG=json.dumps(config)),
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for config, arguments in zip(configs, more, strict=True)
    ]  # fmt: skip


def finished(processes, seconds=240):
    """The exit status, stdout and stderr of each process."""
    try:
        outputs = [process.communicate(timeout=seconds) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


def expect_same_as_one_process(tmp_path, *tasks):
    processes = start(ROOT / "tests" / "builders" / "workers.py", tmp_path, *tasks)
    alone = {f"{task}: {name}": x for task in tasks for name, x in results(task).items()}
    for status, _, err in finished(processes):
        assert status == 0, err
    first, second = (np.load(tmp_path / f"{rank}.npz") for rank in range(2))
    assert set(first) == set(second) == set(alone)
    for name, x in alone.items():
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        np.testing.assert_allclose(first[name], x, rtol=2e-5, atol=1e-5, err_msg=name)


def test_two_workers_train_a_language_model_of_windows_like_one_process(tmp_path):
    expect_same_as_one_process(tmp_path, "windows")


@pytest.mark.slow
def test_two_workers_train_every_task_like_one_process(tmp_path):
    expect_same_as_one_process(tmp_path, *(task for task in TASKS if task != "windows"))


RECIPE = ["--units", "32", "--tokenizer", "byte", "--batch_size", "8", "--output", ".", "--name", "tiny"]

TEXT = "the cat sat on the mat. " * 200


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    return tmp_path


def recipe(*arguments, **options):
    return start(
        ROOT / "recipes" / "text_generation.py", "--data", "text.txt", "--distribute", "multi_worker",
        *RECIPE, *arguments, **options,
    )  # fmt: skip


@pytest.mark.slow
def test_the_chief_of_a_recipe_alone_prints_and_writes(folder):
    (status, out, err), (other_status, other_out, other_err) = finished(recipe("--epochs", "2"))
    assert (status, other_status) == (0, 0), err + other_err
    assert "SavedModel tiny" in out
    assert "epoch 2/2" in err
    assert not other_out
    assert "epoch" not in other_err
    assert sorted(path.name for path in (folder / "tiny").iterdir()) == ["1", "preset", "report"]
    saved_model = (folder / "tiny" / "1" / "saved_model.pb").read_bytes()
    assert b"/job:worker" not in saved_model  # a server has other devices


LONG = ["--epochs", "12", "--sequence_length", "8", "--checkpoint_minutes", "0.0001"]


def trained(folder):
    """The weights and the history of a model."""
    weights = (folder / "tiny" / "preset" / "model.weights.h5").read_bytes()
    return weights, (folder / "tiny" / "report" / "history.csv").read_text()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """What two workers have trained that nobody has killed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    (folder / "text.txt").write_text(TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert [status for status, _, _ in finished(recipe(*LONG))] == [0, 0]
    return trained(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "number", "statuses"),
    [
        (0, signal.SIGKILL, [-signal.SIGKILL, LOST]),
        (1, signal.SIGKILL, [LOST, -signal.SIGKILL]),
        (1, signal.SIGTERM, [143, 143]),  # they agree to save a checkpoint and end
    ],
)
def test_if_one_worker_ends_all_stop_and_the_same_command_goes_on(
    folder, uninterrupted, victim, number, statuses
):
    processes = recipe(*LONG)
    samples = folder / "tiny" / "report" / "samples.txt"
    for _ in range(600):  # until the first epoch is over
        if samples.exists() and samples.stat().st_size:
            break
        time.sleep(0.2)
    processes[victim].send_signal(number)
    killed = time.monotonic()
    ends = finished(processes, 60)
    assert time.monotonic() - killed < 60
    assert [status for status, _, _ in ends] == statuses
    if number == signal.SIGKILL:
        [_, _, err] = ends[1 - victim]
        assert "another worker has ended or cannot be reached" in err.splitlines()[-1]

    (status, _, err), (other_status, _, other_err) = finished(recipe(*LONG))
    assert (status, other_status) == (0, 0), err + other_err
    assert "Resuming from epoch" in err
    weights, history = trained(folder)
    assert history == uninterrupted[1]
    assert weights == uninterrupted[0]


MIRRORED = """
import runpy, sys
from textrnn.training import local_workers

local_workers.gpu_count = lambda: 2  # two processes on one CPU
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_mirrored_starts_a_worker_for_each_gpu(folder):
    recipe = ROOT / "recipes" / "text_generation.py"
    options = ["--data", "text.txt", "--distribute", "mirrored", *RECIPE, "--epochs", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", MIRRORED, str(recipe), *options],
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    [(status, out, err)] = finished([process])
    assert status == 0, err
    assert out.count("SavedModel tiny") == 1
    assert err.count("epoch 1/1") == 1


@pytest.mark.slow
def test_workers_with_other_options_are_refused(folder):
    for status, _, err in finished(recipe(more=(["--epochs", "1"], ["--epochs", "2"]))):
        assert status == 2
        assert "of 2 has other options than another: give all of them the same command" in err

"""Benchmarks run, and what they compare is the same work; nothing here is about speed."""

import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "language_model.py"


@pytest.fixture(scope="module")
def benchmark():
    """The names of the script."""
    return runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize("tied", [False, True])
def test_the_models_of_all_contestants_are_the_same_function_of_the_same_weights(benchmark, tied):
    work = replace(benchmark["WORKS"][0], vocabulary_size=11, units=5, tied=tied)
    lm = benchmark["textrnn_model"](work)
    embed, lstm, project = benchmark["keras_layers"](work, return_sequences=True)
    token_ids = keras.Input((None,), dtype="int32")
    peer = keras.Model(token_ids, project(lstm(embed(token_ids))))

    assert peer.count_params() == lm.count_params()
    embedding, *rest = lm.get_weights()  # the untied projection comes second, in Keras's model last
    peer.set_weights([embedding, *rest] if tied else [embedding, *rest[1:], rest[0]])
    x = np.arange(12).reshape(2, 6) % 11
    ours = lm({"token_ids": x, "padding_mask": np.ones_like(x, "bool")})
    np.testing.assert_allclose(ours, peer(x), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["training", "generation"])
def test_contestants_say_how_many_tokens_they_did(benchmark, task):
    work = next(work for work in benchmark["WORKS"] if work.task == task)
    work = replace(
        work,
        vocabulary_size=11,
        units=4,
        batch_size=2,
        windows=3,
        sequence_length=5,
        prompt_tokens=6,
        new_tokens=7,
    )
    inputs = benchmark["make_inputs"](work, seed=0)
    for (peer, _), prepare in benchmark["CONTESTANTS"][task].items():
        done = 2 * 4 if peer == "Keras, re-reading" else 2 * {"training": 3 * 5, "generation": 7}[task]
        if peer == "re-reading overlapping windows":
            done //= 2  # half of each is new text
        run = prepare(work, inputs)
        assert run is None or run() == done  # None: its library is not installed


@pytest.mark.slow
def test_the_script_measures_every_contestant_and_writes_what_it_prints(benchmark, tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--units", "4", "--vocabulary_size", "11", "--output", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )

    report = json.loads((tmp_path / "language_model.json").read_text("utf-8"))
    assert done.stdout == (tmp_path / "language_model.md").read_text("utf-8")
    for work, result in zip(benchmark["WORKS"], report["results"], strict=True):
        measured = [(entry["peer"], entry["form"]) for entry in result["contestants"]]
        assert {*measured} | {("PyTorch", "")} == {*benchmark["CONTESTANTS"][work.task]} | {("PyTorch", "")}
        for entry in result["contestants"]:
            assert len(entry["tokens_per_second"]) == 2 == report["environment"]["rounds"]
            assert min(entry["tokens_per_second"]) <= entry["median"] <= max(entry["tokens_per_second"])


def test_help_comes_without_tensorflow():
    code = (
        "import runpy, sys\n"
        "sys.argv = ['', '--help']\n"
        f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "except SystemExit: print([name for name in ('tensorflow', 'keras') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--quick" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


RECURRENCE = SCRIPT.with_name("recurrence.py")


@pytest.fixture(scope="module")
def recurrence():
    """The names of the other script."""
    sys.path.insert(0, str(RECURRENCE.parent))
    yield runpy.run_path(str(RECURRENCE))
    sys.path.remove(str(RECURRENCE.parent))


def test_a_ratio_is_of_the_first_to_each_and_within_rounds(recurrence):
    work = recurrence["Work"]("training", "lstm", 32, 64, 256)
    report = {
        "results": [
            recurrence["result"](work, {"textrnn": [10.0, 30.0, 20.0], "PyTorch": [20.0, 15.0, 10.0]})
        ],
        "environment": {"cpus": 2},
    }
    ours, theirs = report["results"][0]["rows"]
    assert (ours["median"], theirs["median"], theirs["ratio"]) == (20.0, 15.0, 1.333)
    assert theirs["lowest_and_highest_ratio"] == [0.5, 2.0]
    table = recurrence["markdown"](report)
    assert "|  | PyTorch | 15 ms (10–20) | 1.33 (0.50–2.00) | ≤ 1.2, missed |" in table.splitlines()


def test_cells_are_compared_by_the_time_of_a_multiply_add(recurrence):
    work = recurrence["Work"]("cells", "lstm", 32, 64, 256)
    rows = recurrence["result"](work, {"lstm": [8.0], "simple": [4.0]}, per={"lstm": 8, "simple": 2})["rows"]
    assert rows[1]["ratio"] == 0.5  # half the time for a quarter of the work
    assert [recurrence["multiply_adds"](name, 4) for name in ("lstm", "simple")] == [8 * 16, 2 * 16]


@pytest.mark.slow
def test_every_contestant_of_every_task_does_its_work(tmp_path):
    done = subprocess.run(
        [sys.executable, RECURRENCE, "--quick", "--output", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads((tmp_path / "recurrence.json").read_text("utf-8"))
    assert done.stdout == (tmp_path / "recurrence.md").read_text("utf-8")
    assert {entry["work"]["task"] for entry in report["results"]} == {
        "forward", "training", "parts", "classifier", "lengths", "linear", "memory", "cells", "generation"
    }  # fmt: skip
    for entry in report["results"]:
        assert entry["rows"][0]["contestant"] in ("textrnn", "lstm")
        assert all(min(row[entry["unit"]]) > 0 for row in entry["rows"])

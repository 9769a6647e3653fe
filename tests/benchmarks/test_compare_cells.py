"""The comparison of cells: sizes within the budget, runs that fail or resume, the table and the picture."""

import dataclasses
import importlib
import itertools
import json
import math
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import textrnn
from textrnn.errors import InputError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "compare_cells.py"
TEXT = "the cat sat on the mat, and the dog ran after the cat. " * 60


@pytest.fixture(scope="module")
def compare():
    """The script as a module, found as Python finds it when it runs the script."""
    sys.path.insert(0, str(SCRIPT.parent))
    yield importlib.import_module("compare_cells")
    sys.path.remove(str(SCRIPT.parent))


@pytest.fixture
def tiny(compare, tmp_path):
    """Settings with which a run takes a moment."""
    text = tmp_path / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    return compare.Settings(
        data=str(text), budget=700, width=4, batch_size=4, sequence_length=8, text_passes=1,
        copy_blanks=2, copy_batches=3, adding_steps=5, adding_batches=3,
    )  # fmt: skip


# === The budget ===


@pytest.mark.parametrize(
    "weights_of", [lambda n: 5 * n, lambda n: n * n + 3 * n, lambda n: 13 * n * n + 1], ids="abc"
)
@pytest.mark.parametrize("budget", [900, 1001, 12_345, 200_000])
def test_the_largest_number_of_units_within_the_budget_is_found(compare, weights_of, budget):
    within = itertools.takewhile(lambda units: weights_of(units) <= budget, itertools.count(4, 4))
    assert compare.largest_units(weights_of, budget) == max(within)


def test_a_budget_may_be_met_exactly_and_too_small_a_one_is_refused(compare):
    assert compare.largest_units(lambda units: 10 * units, 40) == 4
    with pytest.raises(InputError, match="4 units have 40 weights already"):
        compare.largest_units(lambda units: 10 * units, 39)


@pytest.mark.parametrize(("name", "gates", "biases"), [("simple", 1, 1), ("lstm", 4, 1), ("gru", 3, 2)])
def test_cells_get_the_units_that_their_weights_allow(compare, name, gates, biases):
    settings = compare.Settings(budget=20_000, width=32)

    def weights(n):  # the cell's kernels and biases, and the map from its output to the width
        return gates * (32 * n + n * n + biases * n) + 32 * n

    expected = max(n for n in range(4, 1000, 4) if weights(n) <= 20_000)
    size = compare.sized(name, settings)
    assert size == {"units": expected, "weights": weights(expected), "kind": textrnn.GatedCell(8, name).kind}


def test_the_language_model_has_the_weights_of_the_table_and_its_embedding(compare, tiny):
    lm = compare.text_model("gru", tiny)
    vocabulary = len(set(TEXT))
    assert lm.count_params() == compare.sized("gru", tiny)["weights"] + vocabulary * tiny.width


# === The text ===


def test_a_tenth_of_the_text_is_held_out_and_all_of_it_predicted(compare, tiny):
    train, held_out, vocabulary_size = compare.text_streams(tiny.data)
    characters = sorted(set(TEXT))
    decoded = "".join(characters[i] for i in [*train, *held_out[1:]])
    assert decoded == TEXT
    assert vocabulary_size == len(characters)
    assert len(train) == int(0.9 * len(TEXT)) and held_out[0] == train[-1]


def test_the_baseline_of_the_text_counts_pairs_of_characters(compare, tiny):
    cut = int(0.9 * len(TEXT))
    pairs = list(itertools.pairwise(TEXT[:cut]))
    size = len(set(TEXT))
    bits = [
        -math.log2((pairs.count((a, b)) + 1) / (sum(first == a for first, _ in pairs) + size))
        for a, b in itertools.pairwise(TEXT[cut - 1 :])
    ]
    assert compare.bigram_bits(tiny) == pytest.approx(sum(bits) / len(bits))


# === Runs ===


@pytest.mark.parametrize("task", ["text", "copy", "adding"])
def test_a_run_gives_the_same_finite_score_again(compare, tiny, task):
    run = compare.Run(task, "gru", 1e-2, seed=1)
    first, again = (compare.perform(run, tiny) for _ in range(2))
    assert first["status"] == "ok" and math.isfinite(first["value"])
    assert first["value"] == pytest.approx(again["value"], rel=1e-4)
    assert json.loads(json.dumps(first)) == first


def test_what_goes_wrong_in_a_run_is_its_result(compare, tiny, monkeypatch):
    def result(train):
        score = dataclasses.replace(compare.SCORES["copy"], train=train)
        monkeypatch.setitem(compare.SCORES, "copy", score)
        return compare.perform(compare.Run("copy", "simple", 0.1, 0), tiny)

    def crash(run, settings):
        raise RuntimeError("no such kernel")

    assert result(crash)["reason"] == "RuntimeError: no such kernel" and result(crash)["status"] == "failed"
    assert result(lambda run, settings: math.nan)["status"] == "diverged"


@pytest.mark.parametrize("task", ["copy", "adding"])
def test_answers_that_are_not_finite_are_no_score(compare, tiny, task):
    record = compare.perform(compare.Run(task, "simple", 1e38, 0), tiny)
    assert record["status"] == "diverged" and "value" not in record


def die_in_the_second(runs, settings, threads, connection):
    for run in runs:
        if run.seed == 2:
            os._exit(7)
        connection.send({"run": run.seed, "threads": threads})


def test_a_process_that_dies_takes_one_run_with_it(compare, tiny):
    runs = [compare.Run("copy", "simple", 0.1, seed) for seed in (1, 2, 3)]
    kept = []
    compare.distribute(runs, tiny, jobs=2, threads=5, keep=kept.append, target=die_in_the_second)
    first, second, third = kept
    assert first == {"run": 1, "threads": 5} and third == {"run": 3, "threads": 5}
    assert second["seed"] == 2 and second["status"] == "failed"
    assert second["reason"] == "its process ended with exit code 7"


def test_records_survive_a_line_that_was_cut_off(compare, tmp_path):
    path = tmp_path / "runs.jsonl"
    assert compare.read_records(path) == []
    compare.append(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"b": ')
    compare.append(path, {"c": "ß"})
    assert compare.read_records(path) == [{"a": 1}, {"c": "ß"}]


def test_only_runs_with_the_same_settings_count_and_the_last_of_each(compare, tiny):
    run = compare.Run("copy", "gru", 0.1, 0)
    other = dataclasses.replace(tiny, copy_blanks=3)
    records = [
        compare.record(run, tiny, status="failed", reason="once"),
        compare.record(run, tiny, status="ok", value=0.5),
        compare.record(run, other, status="ok", value=0.9),
    ]
    records = json.loads(json.dumps(records))
    assert {run: entry["value"] for run, entry in compare.run_records(records, tiny).items()} == {run: 0.5}


# === The table and the picture ===


def entry(task, cell, value=None, seed=0, learning_rate=0.1, status="ok"):
    run = {"task": task, "cell": cell, "learning_rate": learning_rate, "seed": seed}
    return run | {"status": status, "value": value, "units": 8, "weights": 1234, "kind": "S"}


def rows_of(compare, records, cells, tasks, speeds=None):
    runs = {compare.Run(r["task"], r["cell"], r["learning_rate"], r["seed"]): r for r in records}
    return compare.make_rows(cells, tasks, runs, speeds or {})


def test_the_table_is_sorted_and_leaves_nothing_out(compare, tiny):
    records = [
        entry("text", "worse", 2.5),
        entry("text", "better", 2.0, seed=0),
        entry("text", "better", 2.2, seed=1),
        entry("text", "wild", status="diverged"),
    ]
    speeds = {"better": {"training": [10.0, 30.0, 20.0], "generation": [1.0]}, "worse": {"reason": "no"}}
    rows = rows_of(compare, records, ["absent", "wild", "worse", "better"], ["text"], speeds)
    lines = compare.markdown(rows, ["text"], tiny, {"seeds": "0, 1"}, ["wild diverged"], 1).splitlines()
    table = [line for line in lines if line.startswith("| `")]
    assert table == [
        "| `better` | S | 8 | 1,234 | 2.100 (2.000–2.200) | 20 (10–30) | 1 (1–1) |",
        "| `worse` | S | 8 | 1,234 | 2.500 | **failed** | **failed** |",
        "| `absent` |  |  |  | **not run** | not measured | not measured |",
        "| `wild` | S | 8 | 1,234 | **diverged** | not measured | not measured |",
    ]
    assert f"| *without memory* |  |  |  | {compare.bigram_bits(tiny):.3f} |  |  |" in lines
    assert "- seeds: 0, 1" in lines and "- wild diverged" in lines


@pytest.mark.parametrize(("task", "best"), [("copy", 0.02), ("adding", 0.01)])
def test_each_cell_gets_its_best_learning_rate_and_one_that_diverges_is_not_that(compare, task, best):
    records = [
        entry(task, "gru", 0.4, learning_rate=0.01),
        entry(task, "gru", 0.5, learning_rate=0.02),
        entry(task, "gru", 0.9 if task == "copy" else 0.1, learning_rate=0.03, seed=0),
        entry(task, "gru", learning_rate=0.03, seed=1, status="diverged"),
    ]
    result = compare.best_result(records, compare.SCORES[task])
    assert result.learning_rate == best
    assert compare.write_result(result, compare.SCORES[task], rates=3).endswith(f" @ {best}")


def size_of(path):
    """Width and height, from the PNG's header."""
    return struct.unpack(">II", path.read_bytes()[16:24])


def test_names_in_a_crowd_cover_neither_each_other_nor_a_point(compare):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    random = np.random.default_rng(0)
    points = [(f"a_long_name_{i}", *xy) for i, xy in enumerate(random.normal(0.5, 0.07, (28, 2)).clip(0, 1))]
    figure = Figure(figsize=(8, 7), dpi=100)
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.set(xlim=(0, 1), ylim=(0, 1))
    boxes = compare.label_points(axis, points)
    assert len(boxes) == 28
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    at = axis.transData.transform([xy for _, *xy in points])
    assert not any(box.contains(*point) for box in boxes for point in at)


@pytest.mark.parametrize("tasks", [["text", "copy", "adding"], ["text"], ["adding"]], ids="-".join)
@pytest.mark.parametrize("speed", [True, False])
def test_whatever_was_done_becomes_a_picture(compare, tiny, tmp_path, tasks, speed):
    records = [entry(task, cell, 0.5 + i) for task in tasks for i, cell in enumerate(["a", "b"])]
    records += [entry(task, "c", status="failed") for task in tasks] + [entry("text", "d", 90.0)]
    speeds = {cell: {"training": [100.0], "generation": [5.0]} for cell in "abc"} if speed else {}
    rows = rows_of(compare, records, ["a", "b", "c", "d"], tasks, speeds)
    compare.draw(rows, tasks, tiny, tmp_path / "picture.png")
    assert min(size_of(tmp_path / "picture.png")) > 300


def test_cells_that_are_not_in_the_scatter_are_named_with_the_reason(compare):
    records = [
        entry("text", "good", 2.0),
        entry("text", "hopeless", 5.0),
        entry("text", "wild", status="diverged"),
        entry("text", "unmeasured", 2.1),
    ]
    speeds = {cell: {"training": [30.0, 10.0, 20.0]} for cell in ("good", "hopeless", "wild")}
    rows = rows_of(compare, records, ["good", "hopeless", "wild", "unmeasured"], ["text"], speeds)
    assert compare.scatter_points(rows, baseline=3.5) == [("good", 20.0, 2.0)]
    reasons = {row.cell: compare.why_not_shown(row, baseline=3.5) for row in rows if row.cell != "good"}
    assert reasons == {
        "hopeless": "5.000, worse than without memory",
        "wild": "diverged",
        "unmeasured": "no speed",
    }


# === The command ===


def run_script(tiny, output, *flags):
    settings = [f"--{name}={value}" for name, value in dataclasses.asdict(tiny).items()]
    return subprocess.run(
        [sys.executable, SCRIPT, "--rounds=2", *settings, f"--output={output}", *flags],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_script_compares_resumes_and_shows_all(compare, tiny, tmp_path):
    output = tmp_path / "results"
    done = run_script(tiny, output, "--cells", "simple", "gru")
    assert done.returncode == 0, done.stderr
    assert "6 runs, 6 to do" in done.stderr
    assert done.stdout == (output / "compare_cells.md").read_text("utf-8")
    table = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| `")]
    assert {columns[1].strip() for columns in table} == {"`simple`", "`gru`"}
    assert not any(word in done.stdout for word in ("failed", "not run", "not measured"))
    assert min(size_of(output / "compare_cells.png")) > 300
    records = compare.read_records(output / "runs.jsonl")
    assert len(records) == 7  # six runs, and one measurement of the speeds of both
    assert {*records[-1]["speeds"]} == {"simple", "gru"}

    again = run_script(tiny, output, "--cells", "simple", "gru")
    assert "6 runs, 0 to do" in again.stderr
    assert [line for line in again.stdout.splitlines() if line.startswith("|")] == [
        line for line in done.stdout.splitlines() if line.startswith("|")
    ]
    assert compare.read_records(output / "runs.jsonl") == records


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--cells", "grew", "--tasks", "copy"], "there is no cell called 'grew'"),
        (["--data", "absent.txt", "--cells", "gru", "--tasks", "text"], "absent.txt does not exist"),
    ],
    ids=["cell", "data"],
)
def test_what_a_person_gets_wrong_is_one_line(tiny, tmp_path, flags, message):
    done = run_script(tiny, tmp_path, *flags)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr


def test_help_comes_without_tensorflow():
    code = (
        "import runpy, sys\n"
        f"sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        "sys.argv = ['', '--help']\n"
        f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "except SystemExit: print([name for name in ('tensorflow', 'keras') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--budget" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"

"""The comparison of cells: sizes within the budget, runs that fail or resume, the table and the plot."""

import dataclasses
import itertools
import json
import math
import os
import struct
import subprocess
import sys

import numpy as np
import pytest

import compare_cells
import textrnn
from cell_comparison import plot, runs, table, tasks
from cell_comparison.settings import Run, Settings, largest_units, sized
from textrnn.errors import InputError

TEXT = "the cat sat on the mat, and the dog ran after the cat. " * 60


@pytest.fixture
def tiny(tmp_path):
    """Settings with which a run takes a moment."""
    text = tmp_path / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    return Settings(
        data=str(text), budget=700, width=4, batch_size=4, sequence_length=8, text_passes=1,
        copy_blanks=2, copy_batches=3, adding_steps=5, adding_batches=3,
    )  # fmt: skip


# === The budget ===


@pytest.mark.parametrize(
    "weights_of", [lambda n: 5 * n, lambda n: n * n + 3 * n, lambda n: 13 * n * n + 1], ids="abc"
)
@pytest.mark.parametrize("budget", [900, 1001, 12_345, 200_000])
def test_the_largest_number_of_units_within_the_budget_is_found(weights_of, budget):
    within = itertools.takewhile(lambda units: weights_of(units) <= budget, itertools.count(4, 4))
    assert largest_units(weights_of, budget) == max(within)


def test_a_budget_may_be_met_exactly_and_a_smaller_one_is_refused():
    assert largest_units(lambda units: 10 * units, 40) == 4
    with pytest.raises(InputError, match="4 units already have 40 weights"):
        largest_units(lambda units: 10 * units, 39)


@pytest.mark.parametrize(("name", "gates", "biases"), [("simple", 1, 1), ("lstm", 4, 1), ("gru", 3, 2)])
def test_cells_get_the_units_that_the_budget_allows(name, gates, biases):
    settings = Settings(budget=20_000, width=32)

    def weights(n):  # the cell's kernels and biases, and the map from its output to the width
        return gates * (32 * n + n * n + biases * n) + 32 * n

    expected = max(n for n in range(4, 1000, 4) if weights(n) <= 20_000)
    size = sized(name, settings)
    assert size == {"units": expected, "weights": weights(expected), "kind": textrnn.GatedCell(8, name).kind}


def test_the_language_model_has_the_weights_of_the_table_and_its_embedding(tiny):
    lm = tasks.text_model("gru", tiny)
    vocabulary = len(set(TEXT))
    assert lm.count_params() == sized("gru", tiny)["weights"] + vocabulary * tiny.width


# === The text ===


def test_a_tenth_of_the_text_is_for_testing_and_all_of_it_is_predicted(tiny):
    train, test, vocabulary_size = tasks.text_streams(tiny.data)
    characters = sorted(set(TEXT))
    decoded = "".join(characters[i] for i in [*train, *test[1:]])
    assert decoded == TEXT
    assert vocabulary_size == len(characters)
    assert len(train) == int(0.9 * len(TEXT)) and test[0] == train[-1]


def test_the_baseline_of_the_text_counts_pairs_of_characters(tiny):
    cut = int(0.9 * len(TEXT))
    pairs = list(itertools.pairwise(TEXT[:cut]))
    size = len(set(TEXT))
    bits = [
        -math.log2((pairs.count((a, b)) + 1) / (sum(first == a for first, _ in pairs) + size))
        for a, b in itertools.pairwise(TEXT[cut - 1 :])
    ]
    assert tasks.bigram_bits(tiny) == pytest.approx(sum(bits) / len(bits))


# === Runs ===


@pytest.mark.parametrize(
    "task", ["copy", *(pytest.param(t, marks=pytest.mark.slow) for t in ("text", "adding"))]
)
def test_a_run_gives_the_same_finite_score_again(tiny, task):
    run = Run(task, "simple", 1e-2, seed=1)
    first, again = (runs.perform(run, tiny) for _ in range(2))
    assert first["status"] == "ok" and math.isfinite(first["value"])
    assert first["value"] == pytest.approx(again["value"], rel=1e-4)
    assert json.loads(json.dumps(first)) == first


def test_an_error_in_a_run_is_its_result(tiny, monkeypatch):
    def result(train):
        score = dataclasses.replace(tasks.SCORES["copy"], train=train)
        monkeypatch.setitem(tasks.SCORES, "copy", score)
        return runs.perform(Run("copy", "simple", 0.1, 0), tiny)

    def crash(run, settings):
        raise RuntimeError("no such kernel")

    assert result(crash)["reason"] == "RuntimeError: no such kernel" and result(crash)["status"] == "failed"
    assert result(lambda run, settings: math.nan)["status"] == "diverged"


@pytest.mark.parametrize("task", ["copy", "adding"])
def test_predictions_that_are_not_finite_have_no_score(tiny, task):
    record = runs.perform(Run(task, "simple", 1e38, 0), tiny)
    assert record["status"] == "diverged" and "value" not in record


def die_in_the_second(runs, settings, threads, connection):
    for run in runs:
        if run.seed == 2:
            os._exit(7)
        connection.send({"run": run.seed, "threads": threads})


def test_a_process_that_dies_loses_one_run(tiny):
    three = [Run("copy", "simple", 0.1, seed) for seed in (1, 2, 3)]
    kept = []
    runs.distribute(three, tiny, jobs=2, threads=5, keep=kept.append, target=die_in_the_second)
    first, second, third = kept
    assert first == {"run": 1, "threads": 5} and third == {"run": 3, "threads": 5}
    assert second["seed"] == 2 and second["status"] == "failed"
    assert second["reason"] == "its process ended with exit code 7"


def test_an_incomplete_line_does_not_affect_other_records(tmp_path):
    path = tmp_path / "runs.jsonl"
    assert runs.read_records(path) == []
    runs.append(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"b": ')
    runs.append(path, {"c": "ß"})
    assert runs.read_records(path) == [{"a": 1}, {"c": "ß"}]


def test_the_last_record_of_each_run_with_the_same_settings_counts(tiny):
    run = Run("copy", "gru", 0.1, 0)
    other = dataclasses.replace(tiny, copy_blanks=3)
    records = [
        runs.record(run, tiny, status="failed", reason="once"),
        runs.record(run, tiny, status="ok", value=0.5),
        runs.record(run, other, status="ok", value=0.9),
    ]
    records = json.loads(json.dumps(records))
    assert {run: entry["value"] for run, entry in runs.run_records(records, tiny).items()} == {run: 0.5}


# === The table and the plot ===


def entry(task, cell, value=None, seed=0, learning_rate=0.1, status="ok"):
    run = {"task": task, "cell": cell, "learning_rate": learning_rate, "seed": seed}
    return run | {"status": status, "value": value, "units": 8, "weights": 1234, "kind": "S"}


def rows_of(records, cells, shown, speeds=None):
    done = {runs.run_of(record): record for record in records}
    return table.make_rows(cells, shown, done, speeds or {})


def test_the_table_is_sorted_and_complete(tiny):
    records = [
        entry("text", "worse", 2.5),
        entry("text", "better", 2.0, seed=0),
        entry("text", "better", 2.2, seed=1),
        entry("text", "wild", status="diverged"),
    ]
    speeds = {"better": {"training": [10.0, 30.0, 20.0], "generation": [1.0]}, "worse": {"reason": "no"}}
    rows = rows_of(records, ["absent", "wild", "worse", "better"], ["text"], speeds)
    lines = table.markdown(rows, ["text"], tiny, {"seeds": "0, 1"}, ["wild diverged"], 1).splitlines()
    assert [line for line in lines if line.startswith("| `")] == [
        "| `better` | S | 8 | 1,234 | 2.100 (2.000–2.200) | 20 (10–30) | 1 (1–1) |",
        "| `worse` | S | 8 | 1,234 | 2.500 | **failed** | **failed** |",
        "| `absent` |  |  |  | **not run** | not measured | not measured |",
        "| `wild` | S | 8 | 1,234 | **diverged** | not measured | not measured |",
    ]
    assert f"| *without memory* |  |  |  | {tasks.bigram_bits(tiny):.3f} |  |  |" in lines
    assert "- seeds: 0, 1" in lines and "- wild diverged" in lines


@pytest.mark.parametrize(("task", "best"), [("copy", 0.02), ("adding", 0.01)])
def test_each_cell_gets_the_best_learning_rate_with_which_no_run_diverges(task, best):
    records = [
        entry(task, "gru", 0.4, learning_rate=0.01),
        entry(task, "gru", 0.5, learning_rate=0.02),
        entry(task, "gru", 0.9 if task == "copy" else 0.1, learning_rate=0.03, seed=0),
        entry(task, "gru", learning_rate=0.03, seed=1, status="diverged"),
    ]
    result = table.best_result(records, tasks.SCORES[task])
    assert result.learning_rate == best
    assert table.write_result(result, tasks.SCORES[task], rates=3).endswith(f" @ {best}")


def size_of(path):
    """Width and height, from the PNG's header."""
    return struct.unpack(">II", path.read_bytes()[16:24])


def test_crowded_names_cover_neither_each_other_nor_a_point():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    random = np.random.default_rng(0)
    points = [(f"a_long_name_{i}", *xy) for i, xy in enumerate(random.normal(0.5, 0.07, (28, 2)).clip(0, 1))]
    figure = Figure(figsize=(8, 7), dpi=100)
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.set(xlim=(0, 1), ylim=(0, 1))
    boxes = plot.label_points(axis, points)
    assert len(boxes) == 28
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    at = axis.transData.transform([xy for _, *xy in points])
    assert not any(box.contains(*point) for box in boxes for point in at)


@pytest.mark.parametrize("shown", [["text", "copy", "adding"], ["text"], ["adding"]], ids="-".join)
@pytest.mark.parametrize("speed", [True, False])
def test_any_set_of_results_can_be_plotted(tiny, tmp_path, shown, speed):
    records = [entry(task, cell, 0.5 + i) for task in shown for i, cell in enumerate(["a", "b"])]
    records += [entry(task, "c", status="failed") for task in shown] + [entry("text", "d", 90.0)]
    speeds = {cell: {"training": [100.0], "generation": [5.0]} for cell in "abc"} if speed else {}
    rows = rows_of(records, ["a", "b", "c", "d"], shown, speeds)
    plot.draw(rows, shown, tiny, tmp_path / "plot.png")
    assert min(size_of(tmp_path / "plot.png")) > 300


def test_cells_missing_from_the_scatter_plot_have_a_reason():
    records = [
        entry("text", "good", 2.0),
        entry("text", "hopeless", 5.0),
        entry("text", "wild", status="diverged"),
        entry("text", "unmeasured", 2.1),
    ]
    speeds = {cell: {"training": [30.0, 10.0, 20.0]} for cell in ("good", "hopeless", "wild")}
    rows = rows_of(records, ["good", "hopeless", "wild", "unmeasured"], ["text"], speeds)
    assert plot.scatter_points(rows, baseline=3.5) == [("good", 20.0, 2.0)]
    reasons = {row.cell: plot.why_not_shown(row, baseline=3.5) for row in rows if row.cell != "good"}
    assert reasons == {
        "hopeless": "5.000, worse than without memory",
        "wild": "diverged",
        "unmeasured": "no speed",
    }


# === The command ===


def arguments(tiny, output, *flags):
    settings = [f"--{name}={value}" for name, value in dataclasses.asdict(tiny).items()]
    return ["--rounds=2", *settings, f"--output={output}", *flags]


@pytest.mark.slow
def test_the_command_compares_resumes_and_shows_all(tiny, tmp_path):
    output = tmp_path / "results"
    command = [sys.executable, compare_cells.__file__, *arguments(tiny, output, "--cells", "simple", "gru")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "6 runs, 6 to do" in done.stderr
    assert done.stdout == (output / "compare_cells.md").read_text("utf-8")
    lines = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| `")]
    assert {columns[1].strip() for columns in lines} == {"`simple`", "`gru`"}
    assert not any(word in done.stdout for word in ("failed", "not run", "not measured"))
    assert min(size_of(output / "compare_cells.png")) > 300
    records = runs.read_records(output / "runs.jsonl")
    assert len(records) == 7  # six runs, and one measurement of the speeds of both
    assert {*records[-1]["speeds"]} == {"simple", "gru"}

    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "6 runs, 0 to do" in again.stderr
    assert [line for line in again.stdout.splitlines() if line.startswith("|")] == [
        line for line in done.stdout.splitlines() if line.startswith("|")
    ]
    assert runs.read_records(output / "runs.jsonl") == records


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--cells", "grew", "--tasks", "copy"], "there is no cell called 'grew'"),
        (["--data", "absent.txt", "--cells", "gru", "--tasks", "text"], "absent.txt does not exist"),
    ],
    ids=["cell", "data"],
)
def test_errors_of_the_user_are_one_line(tiny, tmp_path, capsys, flags, message):
    with pytest.raises(SystemExit) as end:
        compare_cells.main(arguments(tiny, tmp_path, *flags))
    assert end.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line

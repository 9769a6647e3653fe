"""The comparison of cells: sizes within the budget, the order of runs, the tables and the picture."""

import dataclasses
import functools
import itertools
import json
import math
import multiprocessing
import os
import re
import struct
import subprocess
import sys
import types

import numpy as np
import pytest
import scipy.stats

import compare_cells
import harness
import synthetic
import textrnn
from cell_comparison import plan, plot, runs, sequences, speed, table, texts
from cell_comparison.plan import BUDGETS, Plan, Run
from cell_comparison.settings import Settings, largest_units, sized
from cell_comparison.significance import compared, p_value
from cell_comparison.table import Result
from cell_comparison.tasks import TASKS
from textrnn.errors import InputError

TEXT = "the cat sat on the mat, and the dog ran after the cat. " * 60


@pytest.fixture
def tiny(tmp_path):
    """Settings with which a run takes a moment."""
    text = tmp_path / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    amounts = {f"{task}_steps": 3 for task in TASKS}
    return Settings(
        learning_rates=(0.01, 0.02), seeds=(0, 1), budget=700, width=4, batch_size=4, scored=20,
        text_data=str(text), text_length=8, copy_blanks=2, adding_length=5,
        dyck_kinds=3, dyck_depth=3, dyck_length=8, dyck_distance=2,
        sentiment_data="starter", sentiment_vocabulary=400, **amounts,
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
    lm = texts.text_model("gru", tiny)
    vocabulary = len(set(TEXT))
    assert lm.count_params() == sized("gru", tiny)["weights"] + vocabulary * tiny.width


# === The text ===


def test_a_tenth_of_the_text_is_held_out_in_two_halves_and_all_of_it_is_predicted(tiny):
    train, parts, vocabulary_size = texts.text_streams(tiny.text_data)
    characters = sorted(set(TEXT))
    decoded = "".join(characters[i] for i in [*train, *parts["validation"][1:], *parts["test"][1:]])
    assert decoded == TEXT
    assert vocabulary_size == len(characters)
    assert len(train) == int(0.9 * len(TEXT)) and parts["validation"][0] == train[-1]
    assert parts["test"][0] == parts["validation"][-1]
    assert len(parts["test"]) - len(parts["validation"]) in (0, 1)


def test_the_baseline_of_the_text_counts_pairs_of_characters(tiny):
    cut, test = int(0.9 * len(TEXT)), int(0.95 * len(TEXT))
    pairs = list(itertools.pairwise(TEXT[:cut]))
    size = len(set(TEXT))
    bits = [
        -math.log2((pairs.count((a, b)) + 1) / (sum(first == a for first, _ in pairs) + size))
        for a, b in itertools.pairwise(TEXT[test - 1 :])
    ]
    assert texts.bigram_bits(tiny) == pytest.approx(sum(bits) / len(bits))


# === Runs ===


@pytest.mark.parametrize("task", TASKS)
def test_a_run_gives_the_same_finite_scores_again(tiny, task):
    run = Run(task, "simple", 1e-2, 1, 3)
    first, again = (runs.perform(run, tiny) for _ in range(2))
    assert first["status"] == "ok", first["reason"]
    for part in ("validation", "test"):
        assert math.isfinite(first[part]) and first[part] == pytest.approx(again[part], rel=1e-4)
    assert first["steps"] == 3 and 0 <= first["trained"] <= first["total"]
    assert json.loads(json.dumps(first)) == first
    assert plan.run_of(first) == run


def test_the_time_of_an_update_is_measured_in_each_round_for_the_cells_that_run(tiny, monkeypatch):
    class Connection:
        def send(self, found):
            self.found = found

    connection = Connection()
    monkeypatch.setattr(runs, "begin_process", lambda: None)
    speed.send_times(["simple", "absent"], "copy", tiny, 2, connection)
    seconds, failed = connection.found
    assert [*seconds] == ["simple"] and [*failed] == ["absent"]
    assert len(seconds["simple"]) == 2 and all(0 < value < 1 for value in seconds["simple"])


def test_a_process_that_dies_measures_nothing(tiny, monkeypatch):
    monkeypatch.setattr(speed, "send_times", die)
    seconds, failed = speed.measure_times(["simple"], "copy", tiny, 2)
    assert seconds == {} and failed == {"simple": "its process ended with exit code 7"}


def die(*_):
    os._exit(7)


def test_validation_and_test_examples_differ_and_are_the_same_for_all_cells(tiny):
    zero = types.SimpleNamespace(predict=lambda inputs, **_: np.zeros((len(inputs), 1)))
    make = functools.partial(synthetic.adding_problem, steps=5)

    def scores(cell, seed):
        run = Run("adding", cell, 1e-2, seed, 3)
        job = sequences.job(zero, None, make, lambda predicted, sums: (predicted - sums).sum(), run, tiny)
        return job.score("validation"), job.score("test")

    validation, test = scores("gru", 0)
    assert validation != test and (validation, test) == scores("lstm", 0)
    assert not {validation, test} & {*scores("gru", 1)}


def test_padding_does_not_change_the_class_of_a_text(tiny):
    model = texts.sentiment_model(Run("sentiment", "gru", 1e-2, 0, 3), tiny)
    tokens = np.random.default_rng(0).integers(1, 400, size=(2, 10), dtype=np.int32)
    mask = np.arange(10) < np.array([[10], [6]])
    batch = np.asarray(model({"token_ids": tokens, "padding_mask": mask}))
    alone = np.asarray(model({"token_ids": tokens[1:, :6], "padding_mask": mask[1:, :6]}))
    np.testing.assert_allclose(batch[1:], alone, rtol=1e-4, atol=1e-5)


def test_the_baseline_of_sentiment_is_the_share_of_the_commonest_class_of_training(tiny, monkeypatch):
    labels = {"train": np.array([0, 2, 2, 1]), "test": np.array([2, 0, 2, 2, 0, 1, 0, 0])}
    monkeypatch.setattr(texts, "sentiment_tokens", lambda settings: ({}, labels))
    assert texts.commonest_class(tiny) == 3 / 8


def test_an_error_in_a_run_is_its_result(tiny, monkeypatch):
    def result(prepare):
        monkeypatch.setitem(TASKS, "copy", dataclasses.replace(TASKS["copy"], prepare=prepare))
        return runs.perform(Run("copy", "simple", 0.1, 0, 3), tiny)

    def crash(run, settings):
        raise RuntimeError("no such kernel")

    def diverge(run, settings):
        raise FloatingPointError("the predictions are not finite")

    assert result(crash)["reason"] == "RuntimeError: no such kernel" and result(crash)["status"] == "failed"
    assert result(diverge)["status"] == "diverged"


@pytest.mark.parametrize("task", ["copy", "adding"])
def test_a_run_that_diverges_has_no_score(tiny, task):
    record = runs.perform(Run(task, "simple", 1e38, 0, 3), tiny)
    assert record["status"] == "diverged" and "test" not in record and record["reason"]


# === The order of runs ===


def do(run, settings, validation=0.5, test=0.5, status="ok"):
    """The record of a run."""
    scores = {"validation": validation, "test": test} if status == "ok" else {"reason": "made up"}
    return runs.record(run, settings, status=status, **scores, units=8, weights=1234, kind="S", total=1.0)


def planned(settings):
    """A plan in which an update of `gru` and of made-up cells takes half the time of one of `lstm`."""
    names = ["gru", "better", "worse", "wild", "begun", "good", "hopeless", "unmeasured", *"abcd"]
    return Plan(settings, {task: {"lstm": 0.2, **dict.fromkeys(names, 0.1)} for task in TASKS})


def do_all(cell, task, settings, outcome, records=(), to_do=None):
    """Do the runs of a plan, with the outcomes that a function of the run returns."""
    records, to_do = [*records], to_do or planned(settings)
    while left := to_do.missing(cell, task, records):
        records.append(do(left[0], settings, **outcome(left[0])))
    return records


def test_the_rate_is_searched_first_then_come_the_same_steps_and_then_the_same_time(tiny):
    settings = dataclasses.replace(tiny, learning_rates=(0.1, 0.2, 0.3), seeds=(7, 8, 9))
    order = [(0.1, 7), (0.2, 7), (0.3, 7), (0.2, 8), (0.2, 9)]

    def outcome(run):  # the best rate by validation is the worst by test
        return {"validation": 0.9 if run.learning_rate == 0.2 else 0.3, "test": 0.1}

    found = [plan.run_of(entry) for entry in do_all("gru", "copy", settings, outcome)]
    steps, of_time = found[:5], found[5:]
    assert [(run.learning_rate, run.seed) for run in steps] == order
    assert {run.steps for run in steps} == {3}
    assert [(run.learning_rate, run.seed) for run in of_time] == [(0.2, 7), (0.2, 8), (0.2, 9)]
    assert {run.steps for run in of_time} == {6}


def test_the_same_time_is_that_of_lstm_whose_runs_are_those_of_the_same_steps(tiny):
    settings = dataclasses.replace(tiny, copy_steps=1000, seeds=(7, 8))
    times = {"lstm": 0.02, "gru": 0.015, "slow": 50.0, "close": 0.0181, "as close": 0.0219}
    to_do, cells = Plan(settings, {"copy": times}), (*times,)
    assert [to_do.steps(cell, "copy", "time") for cell in cells] == [1000, 1333, 1, 1000, 1000]
    assert len(do_all("lstm", "copy", settings, lambda run: {}, to_do=to_do)) == 2 + 1
    assert len(do_all("gru", "copy", settings, lambda run: {}, to_do=to_do)) == 2 + 1 + 2


@pytest.mark.parametrize("times", [{}, {"copy": {"lstm": 0.1}}], ids=["none", "of others"])
def test_without_its_time_a_cell_has_runs_of_the_same_steps_only(tiny, times):
    to_do = Plan(tiny, times)
    assert to_do.steps("gru", "copy", "time") is None
    records = do_all("gru", "copy", tiny, lambda run: {}, to_do=to_do)
    assert [run.steps for run in map(plan.run_of, records)] == [3] * 3
    assert len(do_all("gru", "copy", tiny, lambda run: {}, records)) == 3 + 2  # with the time, it goes on


def test_the_last_times_of_all_cells_with_the_same_settings_count(tiny):
    def times(mark, failed, **seconds):
        return {"task": "times", "of": "copy", "settings": mark, "seconds": seconds, "failed": failed}

    mine = tiny.mark("copy")
    first, last = times(mine, {}, lstm=[1.0, 3.0, 2.0], gru=[1.0]), times(mine, {"gru": "why"}, lstm=[4.0])
    others = [times("other", {}, lstm=[9.0], gru=[9.0]), times(mine, {}, lstm=[9.0])]
    assert speed.times_record([first, *others], tiny, ["gru"], "copy") == first
    assert speed.times_record([first, last, *others], tiny, ["gru"], "copy") == last
    assert speed.times_record([first], tiny, ["gru"], "dyck") is None
    assert speed.times_of(first) == {"lstm": 2.0, "gru": 1.0} and speed.times_of(last) == {"lstm": 4.0}
    assert speed.times_of(times(mine, {"lstm": "why"}, gru=[1.0])) == {}


@pytest.mark.parametrize(("task", "best"), [("copy", 0.3), ("adding", 0.1), ("text", 0.1)])
def test_the_rate_is_chosen_by_validation_and_not_by_test(tiny, task, best):
    settings = dataclasses.replace(tiny, learning_rates=(0.1, 0.2, 0.3))
    records = do_all(
        "gru", task, settings, lambda run: {"validation": run.learning_rate, "test": 1 - run.learning_rate}
    )
    assert planned(settings).best_rate("gru", task, records) == best
    assert len(records) == 3 + 1 + 2


def test_a_stopped_comparison_goes_on_where_it_was_in_any_order_of_records(tiny):
    to_do, whole = planned(tiny), do_all("gru", "copy", tiny, lambda run: {"validation": run.learning_rate})
    for done in range(len(whole)):
        left = to_do.missing("gru", "copy", whole[:done][::-1])
        assert left[0] == plan.run_of(whole[done]) and len(left) == len(whole) - done
    assert to_do.missing("gru", "copy", whole) == []
    assert len(to_do.missing("gru", "text", whole)) == 5 and len(to_do.missing("lstm", "copy", [])) == 3


def test_a_rate_that_diverges_is_not_chosen_and_without_any_the_search_ends(tiny):
    def outcome(run):
        return {"status": "diverged"} if run.learning_rate == 0.02 else {"validation": 0.1}

    records = do_all("gru", "copy", tiny, outcome)
    assert {entry["learning_rate"] for entry in records if entry["status"] == "ok"} == {0.01}
    assert len(do_all("gru", "copy", tiny, lambda run: {"status": "failed"})) == 2


def test_failed_runs_are_repeated_and_the_last_record_of_each_run_with_the_same_settings_counts(tiny):
    run, other = Run("copy", "gru", 0.01, 0, 3), dataclasses.replace(tiny, copy_blanks=3)
    failed, ok, elsewhere = do(run, tiny, status="failed"), do(run, tiny), do(run, other, test=0.9)
    started = {"task": "start"}

    def usable(*records):
        return plan.usable(plan.latest([started, *records], tiny, ["gru"], ["copy"]))

    assert usable(failed) == [] and usable(failed, ok, elsewhere) == [ok]
    assert plan.latest([ok], tiny, ["lstm"], ["copy"]) == plan.latest([ok], tiny, ["gru"], ["text"]) == []


def test_settings_of_other_tasks_and_budgets_do_not_affect_a_record(tiny):
    same = dataclasses.replace(tiny, copy_blanks=9, dyck_steps=8, seeds=(5,))
    assert same.mark("dyck") == tiny.mark("dyck") and same.mark("copy") != tiny.mark("copy")
    for other in ({"dyck_kinds": 4}, {"width": 8}, {"scored": 9}):
        assert dataclasses.replace(tiny, **other).mark("dyck") != tiny.mark("dyck")
    assert dataclasses.replace(tiny, text_length=9).mark("speed") != tiny.mark("speed")


def die_in_the_second(cell, tasks, records, to_do, core, deadline, connection):
    while run := runs.upcoming(cell, tasks, records, to_do):
        if run.learning_rate == 0.02:
            os._exit(7)
        records.append(do(run, to_do.settings))
        connection.send(records[-1])


def test_a_process_that_dies_loses_one_run(tiny):
    kept, records = [], []
    runs.distribute(
        ["gru", "lstm"], ["copy"], records, planned(tiny), 2, math.inf, kept.append, target=die_in_the_second
    )
    assert kept == records and len(kept) == (2 + 1 + 2) + (2 + 1)
    for cell in ("gru", "lstm"):
        [lost] = [entry for entry in kept if entry["cell"] == cell and entry["status"] != "ok"]
        assert lost["status"] == "failed" and lost["learning_rate"] == 0.02
        assert lost["reason"] == "its process ended with exit code 7"


def test_a_process_ends_when_the_command_was_killed(tiny, monkeypatch):
    receiver, sender = multiprocessing.Pipe(duplex=False)
    receiver.close()
    done = []
    monkeypatch.setattr(runs, "perform", lambda run, settings: done.append(run) or do(run, settings))
    monkeypatch.setattr(os, "environ", {})
    runs.work("gru", ["copy"], [], planned(tiny), None, math.inf, sender)
    assert len(done) == 1


def test_after_the_deadline_no_run_starts(tiny):
    kept = []
    runs.distribute(["gru"], ["copy"], [], planned(tiny), 1, 0.0, kept.append, target=die_in_the_second)
    assert kept == []


def test_processes_have_a_core_of_their_own_where_there_are_enough():
    cores = len(os.sched_getaffinity(0))
    assert len({*runs.cores_for(cores)}) == cores
    assert runs.cores_for(cores + 1) == [None] * (cores + 1)


# === Significance ===


def welch_by_hand(scores, control):
    """The statistic and the degrees of freedom of Welch's test, from the definition (Welch 1947)."""
    shares = [np.var(group, ddof=1) / len(group) for group in (scores, control)]
    freedom = sum(shares) ** 2 / sum(
        s**2 / (len(group) - 1) for s, group in zip(shares, (scores, control), strict=True)
    )
    return (np.mean(scores) - np.mean(control)) / math.sqrt(sum(shares)), freedom


def test_p_values_are_those_of_welchs_test():
    scores, control = (1.80, 1.84, 1.91), (2.00, 2.02, 2.03)
    statistic, freedom = welch_by_hand(scores, control)
    assert p_value(scores, control) == pytest.approx(2 * scipy.stats.t.sf(abs(statistic), freedom))
    assert p_value((1.0, 1.0), (2.0, 2.0)) == 0
    assert p_value((1.0, 1.0), (1.0, 1.0)) == 1


def test_marks_are_those_of_benjamini_and_hochberg():
    control = (2.00, 2.02, 2.04)
    values = {
        "far_lower": (1.80, 1.82, 1.84),
        "lower": (1.94, 1.95, 1.97),
        "hardly_lower": (1.98, 2.00, 2.02),
        "higher": (2.07, 2.09, 2.11),
        "far_higher": (2.20, 2.21, 2.25),
    }
    results = {cell: Result(scores) for cell, scores in (values | {"lstm": control}).items()}
    p = {cell: p_value(scores, control) for cell, scores in values.items()}
    ranked = sorted(p, key=p.get)
    # The largest rank k of five with p <= 0.05 k / 5, and all before it.
    last = max(k for k, cell in enumerate(ranked, 1) if p[cell] <= 0.05 * k / 5)
    assert ranked[last:] == ["hardly_lower"]
    assert max(p[cell] for cell in ranked[:last]) > 0.05 / 5  # for which Bonferroni's limit is too low
    expected = {"far_lower": "▲", "lower": "▲", "higher": "▼", "far_higher": "▼"}
    assert compared("text", results) == expected
    opposite = {"▲": "▼", "▼": "▲"}
    assert compared("copy", results) == {cell: opposite[mark] for cell, mark in expected.items()}


def test_squared_errors_are_compared_by_their_logarithms():
    results = {
        "lstm": Result((0.10, 0.13, 0.16)),
        "tiny": Result((1e-5, 2e-5, 3e-5)),
        "same": Result((0.11, 0.12, 0.14)),
        "low": Result((0.0010, 0.0100, 0.0110)),
    }
    assert compared("adding", results) == {"tiny": "▲"}
    assert compared("text", results) == {"tiny": "▲", "low": "▲"}


def test_a_cell_whose_seeds_differ_widely_does_not_hide_other_differences():
    results = {
        "lstm": Result((2.38, 2.40, 2.42)),
        "better": Result((2.10, 2.11, 2.12)),
        "wild": Result((2.8, 15.0, 21.8)),
    }
    assert compared("text", results) == {"better": "▲"}


def test_cells_without_all_scores_take_no_part():
    results = {
        "lstm": Result((2.0, 2.01, 2.02)),
        "wild": Result((1.0, 1.01), ("diverged",)),
        "single": Result((1.0,)),
        "good": Result((1.0, 1.01, 1.02)),
    }
    assert compared("text", results) == {"good": "▲"}
    assert compared("text", results | {"lstm": Result((2.0, 2.1), ("diverged",))}) == {}
    assert compared("text", {"good": results["good"]}) == {}
    assert compared("text", {"lstm": Result((1.0, 1.0)), "same": Result((1.0, 1.0))}) == {}


# === The tables and the picture ===


def fixed(values, rate=0.01):
    """Outcomes of runs: the test scores by seed, with the best validation score at a rate."""
    return lambda run: {
        "test": values[run.seed] + (0.1 if run.steps > 3 else 0),  # those of the same time
        "validation": 1.0 if run.learning_rate == rate else 2.0,
    }


def text_records(tiny):
    """Records of the text task: two cells with scores, and one that diverges."""
    return [
        *do_all("worse", "text", tiny, fixed([2.5, 2.5])),
        *do_all("better", "text", tiny, fixed([2.0, 2.2], rate=0.02)),
        *do_all("wild", "text", tiny, lambda run: {"status": "diverged"}),
        do(Run("text", "begun", 0.01, 0, 3), tiny, test=9.0),
    ]


SPEEDS = {"better": {"training": [10.0, 30.0, 20.0], "generation": [1.0]}, "worse": {"reason": "no"}}
CELLS = ["absent", "wild", "begun", "worse", "better"]


def test_the_tables_are_sorted_and_complete(tiny):
    tables = {
        budget: table.make_rows(CELLS, ["text"], text_records(tiny), SPEEDS, budget, planned(tiny))
        for budget in BUDGETS
    }
    written = table.markdown(tables, ["text"], tiny, {"seeds": "0, 1"}, ["wild diverged"])
    lines = [line for line in written.splitlines() if line.startswith("| `")]
    size = "S | 8 | 1,234"
    assert lines == [
        f"| `better` | {size} | 2.100 (2.000–2.200) |",
        f"| `worse` | {size} | 2.500 (2.500–2.500) |",
        f"| `begun` | {size} | 9.000, **not run** |",
        "| `absent` |  |  |  | **not run** |",
        f"| `wild` | {size} | **diverged** |",
        f"| `better` | {size} | 2.200 (2.100–2.300) |",
        f"| `worse` | {size} | 2.600 (2.600–2.600) |",
        "| `absent` |  |  |  | **not run** |",
        f"| `wild` | {size} | **diverged** |",
        f"| `begun` | {size} | **not run** |",
        "| `better` | 20 (10–30) | 1 (1–1) | 0.02 |",
        "| `worse` | **failed** | **failed** | 0.01 |",
        "| `begun` | not measured | not measured | 0.01 |",
        "| `absent` | not measured | not measured |  |",
        "| `wild` | not measured | not measured |  |",
    ]
    assert written.count(f"| *without memory* |  |  |  | {texts.bigram_bits(tiny):.3f} |") == 2
    assert "- seeds: 0, 1" in written and "- wild diverged" in written
    assert "Updates: text 3." in written and "As long as `lstm` takes for these updates: text 3." in written


def test_a_mark_is_shown_beside_the_score():
    marked = table.marked("text", {"lstm": Result((2.0, 2.01), (), 0.1), "gru": Result((1.0, 1.01), (), 0.2)})
    assert table.write_result(marked["gru"], "text") == "1.005 (1.000–1.010) ▲"
    assert table.write_result(marked["lstm"], "text") == "2.005 (2.000–2.010)"
    assert table.write_result(Result((0.5, 0.75), ("diverged",), 0.01), "copy") == (
        "62.5% (50.0–75.0%), **diverged**"
    )
    assert table.write_result(Result((1e-5, 1e-1), log=True), "adding") == "0.001 (1e-05–0.1)"


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


SHOWN = [[*TASKS], ["text"], ["adding", "dyck"]]


@pytest.mark.parametrize("shown", SHOWN, ids="-".join)
@pytest.mark.parametrize("speed", [True, False])
def test_any_set_of_results_can_be_drawn(tiny, tmp_path, monkeypatch, shown, speed):
    commonest = dataclasses.replace(TASKS["sentiment"], baseline=lambda settings: 0.5)
    monkeypatch.setitem(TASKS, "sentiment", commonest)
    records = []
    for task in shown:
        for i, cell in enumerate(["a", "b"]):
            records += do_all(cell, task, tiny, fixed([0.5 + i, 0.6 + i]))
        records += do_all("c", task, tiny, lambda run: {"status": "diverged"})
    records += do_all("d", "text", tiny, fixed([90.0, 90.0])) if "text" in shown else []
    speeds = {cell: {"training": [100.0], "generation": [5.0]} for cell in "abc"} if speed else {}
    rows = table.make_rows("abcd", shown, records, speeds, "time", planned(tiny))
    plot.draw(rows, shown, tiny, "the same time", tmp_path / "plot.png")
    assert min(size_of(tmp_path / "plot.png")) > 300


def test_cells_missing_from_the_scatter_plot_have_a_reason(tiny):
    records = [
        *do_all("good", "text", tiny, fixed([2.0, 2.0])),
        *do_all("hopeless", "text", tiny, fixed([4.9, 4.9])),
        *do_all("wild", "text", tiny, lambda run: {"status": "diverged"}),
        *do_all("unmeasured", "text", tiny, fixed([2.0, 2.0])),
    ]
    speeds = {cell: {"training": [30.0, 10.0, 20.0]} for cell in ("good", "hopeless", "wild")}
    names = ["good", "hopeless", "wild", "unmeasured"]
    rows = table.make_rows(names, ["text"], records, speeds, "time", planned(tiny))
    assert plot.scatter_points(rows, baseline=3.5) == [("good", 20.0, pytest.approx(2.1))]
    reasons = {row.cell: plot.why_not_shown(row, baseline=3.5) for row in rows if row.cell != "good"}
    assert reasons == {
        "hopeless": "5.000, worse than without memory",
        "wild": "diverged",
        "unmeasured": "no speed",
    }


# === The command ===


def arguments(settings, output, *flags):
    """The command line of some settings."""
    given = []
    for name, value in dataclasses.asdict(settings).items():
        given += [f"--{name}", *map(str, value if isinstance(value, tuple) else [value])]
    return ["--rounds=2", *given, f"--output={output}", *flags]


def run_command(*given):
    """Run the command in a process of its own."""
    command = [sys.executable, compare_cells.__file__, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_the_command_compares_resumes_and_shows_all(tiny, tmp_path):
    output = tmp_path / "results"
    given = arguments(tiny, output, "--cells", "simple", "lstm", "--tasks", "text", "dyck", "speed")
    begun = run_command(*given, "--minutes", "0")
    assert "0 runs done, 12 to do" in begun.stderr and "**not run**" in begun.stdout
    assert "## The same time" not in begun.stdout
    [started] = harness.read_records(output / "runs.jsonl")
    assert started["task"] == "start" and started["settings"]["copy_blanks"] == 2

    done = run_command(*given)
    to_do = int(re.search(r"0 runs done, (\d+) to do", done.stderr)[1])
    assert 12 <= to_do <= 16  # two of `simple` for each task, if it has other steps in the same time
    assert done.stdout == (output / "compare_cells.md").read_text("utf-8")
    lines = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| `")]
    assert [columns[1].strip() for columns in lines].count("`simple`") == 3
    assert not any(word in done.stdout for word in ("failed", "not run", "not measured"))
    assert min(size_of(output / "compare_cells.png")) > 300
    records = harness.read_records(output / "runs.jsonl")
    assert [entry["task"] for entry in records[:4]] == ["start", "times", "times", "speed"]
    assert len(records) == 4 + to_do
    assert {*records[3]["speeds"]} == {"simple", "lstm"} == {*records[1]["seconds"]}

    lines = [json.dumps(entry) + "\n" for entry in records]
    lost, torn = [i for i, entry in enumerate(records) if entry.get("seed") == 1][:2]
    lines[lost], lines[torn] = "", lines[torn][:50] + "\n"
    (output / "runs.jsonl").write_text("".join(lines), encoding="utf-8")
    again = run_command(*given)
    assert f"{to_do - 2} runs done, 2 to do" in again.stderr
    assert len(harness.read_records(output / "runs.jsonl")) == 4 + to_do

    reported = run_command(*given, "--report")
    assert "to do" not in reported.stderr
    assert tables(reported.stdout) == tables(again.stdout)


def tables(text):
    """The lines of tables."""
    return [line for line in text.splitlines() if line.startswith("|")]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--cells", "grew", "--tasks", "copy"], "there is no cell called 'grew'"),
        (["--text_data", "absent.txt", "--cells", "gru", "--tasks", "text"], "absent.txt does not exist"),
    ],
    ids=["cell", "data"],
)
def test_errors_of_the_user_are_one_line(tiny, tmp_path, capsys, flags, message):
    with pytest.raises(SystemExit) as end:
        compare_cells.main(arguments(tiny, tmp_path, *flags))
    assert end.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line

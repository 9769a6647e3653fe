"""The comparison of recurrent layers: goals, the comparison of cells, and the command."""

import pytest

import harness
import recurrence
from recurrent_layers.works import Work


def test_a_goal_is_met_or_missed():
    work = {"task": "training", "cell": "lstm", "units": 256}
    assert recurrence.goal(work, {"contestant": "PyTorch", "ratio": 1.33}) == "≤ 1.05, missed"
    assert recurrence.goal(work, {"contestant": "PyTorch", "ratio": 1.05}) == "≤ 1.05, met"
    assert recurrence.goal(work, {"contestant": "floor", "ratio": 9.0}) == ""
    small = work | {"units": 128}
    assert recurrence.goal(small, {"contestant": "PyTorch", "ratio": 1.33}) == "≤ 1.2, missed"
    assert recurrence.goal({"task": "cells"}, {"contestant": "gru", "ratio": 0.9}) == "≥ 1 / 1.15, met"
    model = {"task": "training", "name": "words"}
    assert recurrence.goal(model, {"contestant": "Keras fit", "ratio": 0.55}) == "≤ 0.5, missed"


def test_the_goal_of_a_work_is_a_column_of_its_table():
    work = Work("training", "lstm", 32, 64, 256)
    result = harness.result(work, {"textrnn": [10.0, 30.0, 20.0], "PyTorch": [20.0, 15.0, 10.0]})
    result["rows"][1]["goal"] = recurrence.goal(result["work"], result["rows"][1])
    table = harness.markdown({"results": [result], "environment": {}})
    assert "|  | PyTorch | 15 ms (10–20) | 1.33 (0.50–2.00) | ≤ 1.05, missed |" in table.splitlines()


def test_cells_are_compared_by_the_time_of_a_multiply_add():
    work = Work("cells", "lstm", 32, 64, 256)
    rows = harness.result(work, {"lstm": [8.0], "simple": [4.0]}, per={"lstm": 8, "simple": 2})["rows"]
    assert rows[1]["ratio"] == 0.5  # half the time for a quarter of the work
    assert [recurrence.multiply_adds(name, 4) for name in ("lstm", "simple")] == [8 * 16, 2 * 16]


@pytest.mark.slow
def test_the_command_runs_every_contestant_of_every_task(run_command):
    report = run_command(recurrence)
    assert {entry["work"]["task"] for entry in report["results"]} == {
        "forward", "training", "parts", "classifier", "lengths", "linear", "memory", "cells", "generation"
    }  # fmt: skip
    for entry in report["results"]:
        assert entry["rows"][0]["contestant"] in ("textrnn", "lstm")
        assert all(min(row[entry["unit"]]) > 0 for row in entry["rows"])

"""What benchmarks share: contestants, interleaved rounds, results, tables, and commands."""

import doctest
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import harness
import synthetic
from harness import contestants, timing
from recurrent_layers.works import Work

FOLDER = Path(synthetic.__file__).parent
COMMANDS = sorted(path for path in FOLDER.glob("*.py") if "__main__" in path.read_text("utf-8"))
WORK = Work("training", "lstm", 32, 64, 256)


@pytest.mark.parametrize("module", [contestants, timing, synthetic], ids=lambda module: module.__name__)
def test_examples_in_docstrings_run(module):
    failed, tried = doctest.testmod(module)
    assert failed == 0 < tried


def test_contestants_join_their_tasks_if_their_library_is_available():
    everyone = harness.Contestants()
    for needs, tasks in [("keras", ("a",)), ("keras", None), ("no_such_library", ("a",))]:
        everyone.add(f"{needs} {tasks}", needs=needs, tasks=tasks)(lambda work: None)
    assert [contestant.peer for contestant in everyone.of("a")] == ["keras ('a',)", "keras None"]
    assert [contestant.peer for contestant in everyone.of("b")] == ["keras None"]


def test_contestants_are_prepared_and_warmed_up(capsys):
    everyone, calls = harness.Contestants(), []
    everyone.add("one")(lambda work, text: lambda: calls.append(text))
    everyone.add("two", "fast")(lambda work, text: lambda: calls.append(2 * text))
    everyone.add("three")(lambda work, text: None)
    everyone.add("four")(lambda work, text: pytest.fail("left out"))
    runs = everyone.prepare(WORK, "x", without=["four"])
    assert [*runs] == ["one", "two, fast"]
    assert calls == ["x", "x", "xx", "xx"]
    assert "two, fast ready after 0 s" in capsys.readouterr().err


def test_in_every_round_each_contestant_runs_once_and_the_first_changes():
    order = [*harness.interleaved("abcd", 2)]
    assert order == [*"abcd", *"cdab"]


def test_times_are_milliseconds_of_one_run_and_rates_are_amounts_per_second():
    def run():
        time.sleep(0.01)
        return 5

    times = harness.measure_times({"a": run, "b": run}, rounds=2, seconds=0.03)
    rates = harness.measure_rates({"a": run}, rounds=3)
    assert [len(values) for values in (*times.values(), *rates.values())] == [2, 2, 3]
    assert all(10 <= value < 100 for values in times.values() for value in values)
    assert all(50 < value <= 500 for value in rates["a"])


def test_a_ratio_is_of_the_first_to_each_and_within_rounds():
    result = harness.result(WORK, {"textrnn": [10.0, 30.0, 20.0], "PyTorch": [20.0, 15.0, 10.0]})
    ours, theirs = result["rows"]
    assert (ours["median"], theirs["median"], theirs["ratio"]) == (20.0, 15.0, 1.333)
    assert theirs["lowest_and_highest_ratio"] == [0.5, 2.0]


def test_a_table_has_a_row_for_each_contestant_and_goals_only_if_there_are_any():
    result = harness.result(WORK, {"a": [12345.0, 20000.0], "b": [0.5, 0.25]}, unit="tokens/s")
    report = {"results": [result], "environment": {"cpu_name": "x", "cpus": 2}}
    lines = harness.markdown(report).splitlines()
    assert lines[0] == "| work | contestant | median (range) | first row ÷ this row (range) |"
    assert lines[2:] == [
        "| training: lstm, 32 × 64 × 256 | a | 16,172 tokens/s (12,345–20,000) |  |",
        "|  | b | 0.375 tokens/s (0.25–0.5) | 43126.67 (24690.00–80000.00) |",
        "",
        "cpu name x, cpus 2",
    ]
    result["rows"][1] |= {"goal": "≤ 2, missed", "bold": True}
    lines = harness.markdown(report).splitlines()
    assert lines[0].endswith("| goal |") and lines[1].endswith("|---|")
    assert lines[3].startswith("|  | **b** |") and lines[3].endswith("| ≤ 2, missed |")


def test_the_environment_names_versions_processor_threads_and_missing_peers():
    facts = harness.environment(seed=3, rounds=5, peers=("jax", "no-such-package"))
    assert {"date", "python", "keras", "tensorflow", "cpu", "intra_op_threads", "gpus"} <= {*facts}
    assert (facts["seed"], facts["rounds"], facts["no-such-package"]) == (3, 5, "not installed")
    assert harness.commit(Path("/")) == "unknown"


def test_a_commit_is_dirty_if_files_differ_except_in_a_folder_of_results(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    code, line = tmp_path / "code.py", tmp_path / "results" / "runs.jsonl"
    line.parent.mkdir()
    for file in (code, line):
        file.write_text("1", encoding="utf-8")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    commit = harness.commit.__wrapped__  # without the cache
    clean = commit(tmp_path)
    assert len(clean) == 12
    line.write_text("2", encoding="utf-8")
    (tmp_path / "results" / "new").touch()
    assert commit(tmp_path, "results") == clean and commit(tmp_path) == f"{clean}-dirty"
    code.write_text("2", encoding="utf-8")
    assert commit(tmp_path, "results") == f"{clean}-dirty"


def test_an_incomplete_line_does_not_affect_other_records(tmp_path):
    path = tmp_path / "runs.jsonl"
    assert harness.read_records(path) == []
    harness.append(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"b": ')
    harness.append(path, {"c": "ß"})
    assert harness.read_records(path) == [{"a": 1}, {"c": "ß"}]


def test_a_script_that_fails_in_a_subprocess_is_an_error_with_its_message(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys; print('first'); print(sys.argv[1]); sys.exit(sys.argv[2])", "utf-8")
    with pytest.raises(RuntimeError, match="exit code 1:\nno memory"):
        harness.run_in_subprocess(script, "x", "no memory")
    script.write_text("import sys; print('first'); print(sys.argv[1])", "utf-8")
    assert harness.run_in_subprocess(script, "last") == "last"


def test_a_report_is_printed_and_written(tmp_path, capsys):
    parser = harness.make_parser("Compare a thing.\n\nMore.", "thing.py")
    harness.add_sizes(parser, {"units": "units", "steps": "steps"})
    given = parser.parse_args(["--quick", "--units", "7", "--output", str(tmp_path / "new")])
    works = harness.changed([WORK, WORK], {"units": 1, "batch_size": 2}, given, "units", "steps")
    assert works == [Work("training", "lstm", 2, 64, 7)]

    def measure(work, rounds):
        return harness.result(work, {"a": [1.0] * rounds})

    harness.run_benchmark("thing", works, measure, given, describe=lambda results: {"results": len(results)})
    report = json.loads((tmp_path / "new/thing.json").read_text("utf-8"))
    assert capsys.readouterr().out == (tmp_path / "new/thing.md").read_text("utf-8")
    assert (report["environment"]["rounds"], report["environment"]["results"]) == (2, 1)


def test_help_of_every_command_comes_without_tensorflow():
    code = (
        "import runpy, sys\n"
        f"sys.path.insert(0, {str(FOLDER)!r})\n"
        "for script in sys.argv[1:]:\n"
        "    sys.argv = [script, '--help']\n"
        "    try: runpy.run_path(script, run_name='__main__')\n"
        "    except SystemExit as end: print('exit', end.code)\n"
        "print([name for name in ('tensorflow', 'keras', 'torch', 'jax') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", code, *map(str, COMMANDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(COMMANDS) == done.stdout.count("exit 0") == done.stdout.count("usage: ") > 15
    assert done.stdout.splitlines()[-1] == "[]"
    for flag in ("--quick", "--budget", "--torch_threads", "--compile", "--before"):
        assert flag in done.stdout

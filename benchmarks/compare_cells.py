"""Compare all cells at the same number of weights on the same tasks, in tables and a picture.

    make compare
    python benchmarks/compare_cells.py --minutes 110
    python benchmarks/compare_cells.py --report
    python benchmarks/compare_cells.py --cells lstm gru min_gru --tasks text speed --text_data my_texts/ \
        --output build/my_cells

Every model maps its input to `--width` features, applies one recurrent layer, and maps the output linearly.
A cell gets the largest number of units, a multiple of 4, for which the recurrent layer and a map from its
output to `--width` features stay within `--budget` weights. So cells with few weights per unit are wider. The
number of units is the same in all tasks.

Tasks:

- text: a character language model, `textrnn.CausalLM` with tied embeddings, trained by truncated
  backpropagation through time. Score: bits per character. The last tenth of the text is not trained on; its
  halves are for validation and testing. Baseline without memory: a bigram model.
- copy: recall ten symbols after `--copy_blanks` steps, see `synthetic.copy_problem`. Score: accuracy.
  Baseline: 1/8.
- adding: add the two marked numbers in a list of `--adding_length`, see `synthetic.adding_problem`. Score:
  mean squared error. Baseline: 1/6.
- dyck: tell the kinds of closing brackets in nested words, see `synthetic.dyck_problem`. Score: accuracy
  where the opening bracket is at least `--dyck_distance` steps away. Baseline: 1 / `--dyck_kinds`.
- sentiment: classify the sentences of SST-2 from subwords by the last output of the recurrent layer. Score:
  accuracy. Baseline: the commonest class.
- speed: tokens per second of training the text model, and of generating text token by token (one row,
  temperature 1). Measured before the runs, with nothing else running, in interleaved rounds (see
  harness/__init__.py).
  Median and range.

Copy, adding and dyck train on new examples in every batch, and are scored on others. The optimizer is Adam
with the gradients clipped to a global norm of 1. The learning rate warms up and falls to zero with the
budget.

For each cell and task, the first seed trains with each of `--learning_rates` for the same steps. The rate
with the best validation score is the cell's, and all reported scores are of the test part. The other seeds
train with it for the same steps, and then all seeds for the same time: the number of updates that the cell
does while `lstm` does its own, or as many as `lstm` where the times differ by less than a tenth, since they
are not known more exactly. The times of an update are measured first, in interleaved rounds in a process with
one thread, and count seconds of the processor. So other work on the machine hardly counts, nor do compiling
and scoring, and the runs can continue on any machine. Without `speed` among `--tasks` there are no times, and
all runs have the same steps.

A cell is marked where it differs from `lstm` by Welch's t-test over the seeds. Of the marks of a column, at
most 5 % are expected to be false. Squared errors are compared by their logarithms.

All 27 cells have at most 1,200 runs, and 1,017 with the times measured so far. They take about 10 hours of a
processor core, or 6 hours with two processes on two cores. An AMD EPYC takes half as long as an Intel Xeon.

Each run is a line of `runs.jsonl` in the `--output` folder, written as soon as it ends. Runs that have a
line with the same settings are not repeated unless they failed. So a command that was stopped goes on where
it was, and has lost only the runs that were under way. A diverged run counts as a result. The cells run in
processes of their own, each on its own core where the system allows that.
"""

import argparse
import dataclasses
import math
import shlex
import sys
import time
from pathlib import Path

import harness
from cell_comparison import plan, plot, runs, table, texts
from cell_comparison.plan import STEPS, TIME, Plan
from cell_comparison.settings import CONTROL, SPEED, TEXT, Settings
from cell_comparison.speed import (
    TIMES,
    measure_speed,
    measure_times,
    speed_record,
    times_of,
    times_record,
)
from cell_comparison.tasks import TASKS

START = "start"
"""The `task` of a record that says where the runs after it were done."""
FACTS = ("python", "textrnn", "keras", "keras-hub", "tensorflow", "numpy", "system", "cpu", "cpus")


def make_parser():
    """The command line: how to run, and the settings."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=f"Method: see the docstring of {Path(__file__).name}.",
        formatter_class=HelpFormatter,
    )
    names, output = (*TASKS, SPEED), Path(runs.RESULTS)
    add, positive = parser.add_argument, harness.positive
    add(
        "--cells",
        nargs="+",
        metavar="NAME",
        help="cells to compare (default: those of `textrnn cells`)",
    )
    add("--tasks", nargs="+", choices=names, default=names, metavar="TASK", help="tasks to run")
    add("--jobs", type=positive, default=2, metavar="N", help="training processes at a time")
    add("--minutes", type=float, metavar="N", help="start no run after so many minutes")
    add("--report", action="store_true", help="run nothing, write the tables and the picture")
    add(
        "--rounds",
        type=positive,
        default=7,
        metavar="N",
        help="rounds of the measurements of times and speed",
    )
    add("--output", type=Path, default=output, metavar="PATH", help="folder of the results")
    for field in dataclasses.fields(Settings):
        add(f"--{field.name}", default=field.default, help=field.metadata["help"], **kind_of(field.default))
    return parser


def kind_of(default):
    """How an option with a default is parsed."""
    if isinstance(default, tuple):
        return {"nargs": "+", "type": type(default[0]), "metavar": "N"}
    if isinstance(default, int):
        return {"type": harness.positive, "metavar": "N"}
    return {"type": float, "metavar": "X"} if isinstance(default, float) else {"metavar": "TEXT"}


class HelpFormatter(argparse.HelpFormatter):
    """Adds the default of an option to its help."""

    def _get_help_string(self, action):
        if action.default in (None, argparse.SUPPRESS, False):
            return action.help
        several = isinstance(action.default, (list, tuple))
        return f"{action.help} (default: {' '.join(map(str, action.default)) if several else action.default})"


def main(arguments=None):
    """Run the comparison.

    Args:
        arguments: Command-line arguments, or None for those of the process.
    """
    from textrnn.cli import process

    given = make_parser().parse_args(arguments)
    values = {field.name: getattr(given, field.name) for field in dataclasses.fields(Settings)}
    settings = Settings(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    process.run(lambda: compare(given, settings))


def compare(given, settings):
    """Do the missing runs and report all results."""
    from textrnn import startup

    startup.load_tensorflow()
    deadline = time.time() + 60 * (math.inf if given.minutes is None else given.minutes)
    names = check(given, settings)
    given.output.mkdir(parents=True, exist_ok=True)
    log = given.output / "runs.jsonl"
    tasks = [task for task in TASKS if task in given.tasks]
    if not given.report:
        start(given, settings, log)
        if SPEED in given.tasks:
            measure(names, tasks, settings, given, log, deadline)
        train(names, tasks, settings, given, log, deadline)
    report(names, tasks, settings, given, log)


def check(given, settings):
    """The names of the cells, checked before anything runs. Also reads the text if a task needs it.

    Raises:
        InputError: For an unknown cell or a text that cannot be read.
    """
    from textrnn import cells

    names = list(dict.fromkeys(given.cells or cells.cell_names()))
    for name in names:
        cells.find_cell(name)
    if {TEXT, SPEED} & {*given.tasks}:
        texts.text_streams(settings.text_data)
    return names


def start(given, settings, log):
    """Append the settings and the environment of the runs that follow, if they are new."""
    environment = harness.environment(settings.seeds[0], given.rounds)
    facts = {name: environment[name] for name in FACTS}
    entry = {"task": START, "settings": dataclasses.asdict(settings), "environment": facts}
    entry["settings"] |= {
        name: [*entry["settings"][name]] for name in ("learning_rates", "seeds")
    }  # as JSON has it
    before = [found for found in harness.read_records(log) if found["task"] == START]
    if not before or before[-1] != entry:
        harness.append(log, entry)


def measure(names, tasks, settings, given, log, deadline):
    """Measure the speeds, and the times of an update in each task, unless the file of records has them."""
    records = harness.read_records(log)

    def keep(kind, of, found):
        facts = {"settings": settings.mark(of), "commit": harness.commit(without=runs.RESULTS)}
        environment = harness.environment(settings.seeds[0], given.rounds)
        harness.append(log, {"task": kind, **found, "environment": environment, **facts})

    for task in tasks:
        if time.time() < deadline and not times_record(records, settings, names, task):
            harness.log(f"times of {task}: {len(names)} cells, {given.rounds} rounds")
            cells = list(dict.fromkeys([CONTROL, *names]))
            seconds, failed = measure_times(cells, task, settings, given.rounds)
            keep(TIMES, task, {"of": task, "seconds": seconds, "failed": failed})
    if time.time() < deadline and not speed_record(records, settings, names):
        harness.log(f"speed: {len(names)} cells, {given.rounds} rounds")
        keep(SPEED, SPEED, {"speeds": measure_speed(names, settings, given.rounds, settings.seeds[0])})


def plan_of(names, tasks, settings, given, records):
    """The `Plan`, with the times that the records have."""
    found = {}
    for task in tasks if SPEED in given.tasks else ():
        if entry := times_record(records, settings, names, task):
            found[task] = times_of(entry)
    return Plan(settings, found)


def train(names, tasks, settings, given, log, deadline):
    """Do the runs that the file of records lacks, and append their records to it."""
    records = harness.read_records(log)
    to_do = plan_of(names, tasks, settings, given, records)
    records = plan.usable(plan.latest(records, settings, names, tasks))
    missing = sum(len(to_do.missing(cell, task, records)) for cell in names for task in tasks)
    finished = 0
    harness.log(f"{len(records)} runs done, {missing} to do")

    def keep(entry):
        nonlocal finished
        finished += 1
        harness.append(log, entry)
        outcome = entry.get("test", f"{entry['status']}, {entry.get('reason')}")
        harness.log(
            f"  {finished} of {missing}: {plan.run_of(entry)}: {outcome} ({entry.get('total', 0):.0f} s)"
        )

    runs.distribute(names, tasks, records, to_do, given.jobs, deadline, keep)


def report(names, tasks, settings, given, log):
    """Write the tables and the picture of the records, and print the tables."""
    records = harness.read_records(log)
    last = plan.latest(records, settings, names, tasks)
    done = plan.usable(last)
    speed = speed_record(records, settings, names) or {}
    speeds = speed.get("speeds", {}) if SPEED in given.tasks else {}
    planned = plan_of(names, tasks, settings, given, records)
    budgets = (STEPS, TIME) if planned.times else (STEPS,)
    tables = {budget: table.make_rows(names, tasks, done, speeds, budget, planned) for budget in budgets}
    found = facts(settings, records, done, speed)
    text = table.markdown(tables, tasks, settings, found, problems(last, speeds))
    (given.output / "compare_cells.md").write_text(text, encoding="utf-8")
    if tasks:
        after = table.HEADINGS[budgets[-1]].lower()
        plot.draw(tables[budgets[-1]], tasks, settings, after, given.output / "compare_cells.png")
    print(text, end="")
    harness.log(f"{given.output}/: compare_cells.md, compare_cells.png, runs.jsonl")


def timed_on(records):
    """The processors that times of updates were measured on."""
    return list(dict.fromkeys(entry["environment"]["cpu"] for entry in records if entry["task"] == TIMES))


def problems(last, speeds):
    """The runs and speed measurements that failed or diverged, with the reasons."""
    of_runs = [
        f"{plan.run_of(entry)}: {entry['status']}, {entry['reason']}" for entry in last if "reason" in entry
    ]
    of_speed = [f"speed, {name}: failed, {s['reason']}" for name, s in speeds.items() if "reason" in s]
    return of_runs + of_speed


def facts(settings, records, done, speed):
    """What the results depend on, as a dict."""
    commits = dict.fromkeys(entry["commit"] for entry in [*done, *([speed] if speed else [])])
    starts = [entry["environment"] for entry in records if entry["task"] == START]
    hours = sum(entry.get("total", 0) for entry in done) / 3600
    values = dataclasses.asdict(settings) | {"text_data": settings.text_data or "tiny Shakespeare"}
    values |= {name: " ".join(map(str, values[name])) for name in ("learning_rates", "seeds")}
    return {
        "command": shlex.join(["python", *sys.argv]),
        "commits": ", ".join(commits) or "none",
        "settings": harness.listed(values),
        "runs": f"{len(done)}, {hours:.1f} hours of a processor core",
        "environment": harness.listed(starts[-1]) if starts else "unknown",
        "processor of the times": ", ".join(timed_on(records)) or "none",
        **({"speed environment": harness.listed(speed["environment"])} if speed else {}),
    }


if __name__ == "__main__":
    main()

"""Compare all cells at the same number of weights on the same tasks, in a table and a plot.

    make compare
    python benchmarks/compare_cells.py --cells lstm gru min_gru --seeds 0 1 2 --jobs 4
    python benchmarks/compare_cells.py --data my_texts/ --tasks text speed

Every model maps its input to `--width` features, applies one recurrent layer, and maps the output linearly.
A cell gets the largest number of units, a multiple of 4, for which the recurrent layer and a map from its
output to `--width` features stay within `--budget` weights. So cells with few weights per unit are wider. The
number of units is the same in all tasks.

Tasks:

- text: a character language model, `textrnn.CausalLM` with tied embeddings, trained by truncated
  backpropagation through time. Score: bits per character of the last tenth of the text, which is not trained
  on. Baseline without memory: a bigram model.
- copy: recall ten symbols after `--copy_blanks` steps, see `synthetic.copy_problem`. Score: accuracy on new
  examples. Baseline without memory: 1/8.
- adding: add the two marked numbers in a list of `--adding_steps`, see `synthetic.adding_problem`. Score:
  mean squared error on new examples. Baseline without memory: 1/6.
- speed: tokens per second of training the text model, and of generating text token by token (one row,
  temperature 1). Measured last, with nothing else running, in interleaved rounds (see harness/__init__.py).
  Median and range.

The optimizer is Adam with the gradients clipped to a global norm of 1, and a learning rate with warm-up and
cosine decay to zero. All cells get the same learning rate. With several `--learning_rates`, each cell gets
the best one for each task.

A run is one task, cell, learning rate and seed, and is independent of all other runs. The runs of a cell
share a process. Records are appended to `runs.jsonl` in the `--output` folder. Runs that it has with the same
settings are not repeated unless they failed. A diverged run counts as a result.
"""

import argparse
import dataclasses
import os
import shlex
import sys
from pathlib import Path

import harness
from cell_comparison import plot, runs, table, tasks
from cell_comparison.settings import Run, Settings
from cell_comparison.speed import SPEED, measure_speed, speed_record
from cell_comparison.tasks import SCORES


def make_parser():
    """The command line: how to run, and the settings."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=f"Method: see the docstring of {Path(__file__).name}.",
        formatter_class=HelpFormatter,
    )
    names, output = (*SCORES, SPEED), Path("build/compare_cells")
    add, positive = parser.add_argument, harness.positive
    add(
        "--cells",
        nargs="+",
        metavar="NAME",
        help="cells to compare (default: those of `textrnn cells`)",
    )
    add("--tasks", nargs="+", choices=names, default=names, metavar="TASK", help="tasks to run")
    add("--seeds", nargs="+", type=int, default=[0], metavar="N", help="seeds, one run for each")
    add("--learning_rates", nargs="+", type=float, default=[5e-3], metavar="X", help="learning rates to try")
    add("--jobs", type=positive, default=2, metavar="N", help="training processes at a time")
    add("--rounds", type=positive, default=5, metavar="N", help="rounds of the speed measurement")
    add("--output", type=Path, default=output, metavar="PATH", help="folder of the results")
    for field in dataclasses.fields(Settings):
        kind = {"metavar": "PATH"} if field.name == "data" else {"type": positive, "metavar": "N"}
        add(f"--{field.name}", default=field.default, help=field.metadata["help"], **kind)
    return parser


class HelpFormatter(argparse.HelpFormatter):
    """Adds the default of an option to its help."""

    def _get_help_string(self, action):
        if action.default in (None, argparse.SUPPRESS):
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
    settings = Settings(**{field.name: getattr(given, field.name) for field in dataclasses.fields(Settings)})
    process.run(lambda: compare(given, settings))


def compare(given, settings):
    """Do the missing runs and report all results."""
    from textrnn import startup

    startup.load_tensorflow()
    names = check(given, settings)
    given.output.mkdir(parents=True, exist_ok=True)
    log = given.output / "runs.jsonl"
    shown = [task for task in SCORES if task in given.tasks]
    wanted = [
        Run(task, cell, learning_rate, seed)
        for cell in names
        for task in shown
        for learning_rate in given.learning_rates
        for seed in given.seeds
    ]
    train(wanted, settings, given.jobs, log)
    if SPEED in given.tasks and speed_record(runs.read_records(log), settings, names) is None:
        harness.log(f"speed: {len(names)} cells, {given.rounds} rounds")
        environment = harness.environment(given.seeds[0], given.rounds)
        speeds = measure_speed(names, settings, given.rounds, given.seeds[0])
        settings_of = {"settings": dataclasses.asdict(settings), "commit": harness.commit()}
        runs.append(log, {"task": SPEED, "speeds": speeds, "environment": environment, **settings_of})

    records = runs.read_records(log)
    done = {run: entry for run, entry in runs.run_records(records, settings).items() if run in {*wanted}}
    speed = speed_record(records, settings, names) or {}
    rows = table.make_rows(names, shown, done, speed.get("speeds", {}))
    rates = len(given.learning_rates)
    report = table.markdown(
        rows, shown, settings, facts(given, settings, done, speed), problems(done, speed), rates
    )
    (given.output / "compare_cells.md").write_text(report, encoding="utf-8")
    if shown:
        plot.draw(rows, shown, settings, given.output / "compare_cells.png")
    print(report, end="")
    harness.log(f"{given.output}/: compare_cells.md, compare_cells.png, runs.jsonl")


def check(given, settings):
    """The names of the cells, checked before anything runs. Also reads the text if a task needs it.

    Raises:
        InputError: For an unknown cell or a text that cannot be read.
    """
    from textrnn import cells

    names = list(dict.fromkeys(given.cells or cells.cell_names()))
    for name in names:
        cells.find_cell(name)
    if {"text", SPEED} & {*given.tasks}:
        tasks.text_streams(settings.data)
    return names


def train(wanted, settings, jobs, log):
    """Do the runs that the file of records lacks, and append their records to it."""
    done = runs.run_records(runs.read_records(log), settings)
    missing = [run for run in wanted if run not in done or done[run]["status"] == "failed"]
    harness.log(f"{len(wanted)} runs, {len(missing)} to do")
    finished = 0

    def keep(entry):
        nonlocal finished
        finished += 1
        runs.append(log, entry)
        outcome = entry.get("value", f"{entry['status']}, {entry.get('reason')}")
        seconds = f" ({entry['seconds']:.0f} s)" if "seconds" in entry else ""
        harness.log(f"  {finished} of {len(missing)}: {runs.run_of(entry)}: {outcome}{seconds}")

    runs.distribute(missing, settings, jobs, max(1, (os.cpu_count() or 1) // jobs), keep)


def problems(done, speed):
    """The runs and speed measurements that failed or diverged, with the reasons."""
    of_runs = [
        f"{run}: {entry['status']}, {entry['reason']}" for run, entry in done.items() if "reason" in entry
    ]
    of_speed = [
        f"speed, {name}: failed, {speeds['reason']}"
        for name, speeds in speed.get("speeds", {}).items()
        if "reason" in speeds
    ]
    return of_runs + of_speed


def facts(given, settings, done, speed):
    """What the results depend on, as a dict."""
    environment = speed.get("environment") or harness.environment(given.seeds[0], given.rounds)
    commits = dict.fromkeys(entry["commit"] for entry in [*done.values(), *([speed] if speed else [])])
    seconds = sum(entry.get("seconds", 0) for entry in done.values())
    return {
        "command": shlex.join(["python", *sys.argv]),
        "commit": ", ".join(commits) or harness.commit(),
        "settings": harness.listed(
            {**dataclasses.asdict(settings), "data": settings.data or "tiny Shakespeare"}
        ),
        "learning rates": ", ".join(f"{rate:g}" for rate in given.learning_rates),
        "seeds": ", ".join(map(str, given.seeds)),
        "training time": f"{seconds / 60:.0f} minutes for all runs",
        "speed environment" if speed else "environment": harness.listed(environment),
    }


if __name__ == "__main__":
    main()

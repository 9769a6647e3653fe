"""The runs of a cell in a task, and which of them comes next."""

import dataclasses

from cell_comparison.settings import SPENT
from cell_comparison.tasks import TASKS

STEPS, SECONDS = SPENT


@dataclasses.dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        task: A name in `TASKS`.
        cell: The name of the cell.
        learning_rate: The highest rate.
        seed: Of weights, dropout and the order of data.
        spent: What ends training: `"steps"` or `"seconds"`.
        amount: The number of them.
    """

    task: str
    cell: str
    learning_rate: float
    seed: int
    spent: str
    amount: float

    def __str__(self):
        rate = f"learning rate {self.learning_rate:g}, seed {self.seed}"
        return f"{self.task}, {self.cell}, {rate}, {self.amount:g} {self.spent}"


def run_of(entry):
    """The run of a record."""
    return Run(*(entry[field.name] for field in dataclasses.fields(Run)))


def runs_with(cell, task, spent, learning_rates, seeds, settings):
    """Runs of a cell in a task with a budget."""
    amount = settings.amount(task, spent)
    return [Run(task, cell, rate, seed, spent, amount) for rate in learning_rates for seed in seeds]


def next_run(cell, task, records, settings):
    """The run that comes next, a function of the records alone.

    First come the runs with each learning rate and the first seed, then those with the best rate and the
    other seeds for the same steps, then those with all seeds for the same time.

    Args:
        cell: The name of a cell.
        task: The name of a task.
        records: Records of runs, in any order. A run with a record is done, whatever its status.
        settings: The `Settings`.

    Returns:
        A `Run`, or None if nothing is left to do.
    """
    done = {run_of(entry) for entry in records}
    return next((run for run in known_runs(cell, task, records, settings) if run not in done), None)


def runs_left(cell, task, records, settings):
    """The number of runs that are left if a learning rate comes to the end."""
    done = {run_of(entry) for entry in records if (entry["cell"], entry["task"]) == (cell, task)}
    missing = [run for run in known_runs(cell, task, records, settings) if run not in done]
    search = searches(cell, task, settings)
    if not {*missing} & {*search}:
        return len(missing)
    seeds = len(settings.spent) * len(settings.seeds) - (STEPS in settings.spent)
    return len(missing) + max(0, seeds - len(done.difference(search)))


def known_runs(cell, task, records, settings):
    """The runs that the records tell: without the best rate, only those that search for it."""
    search = searches(cell, task, settings)
    rate = best_rate(cell, task, records, settings)
    if rate is None or not {run_of(entry) for entry in records}.issuperset(search):
        return search
    return search + [run for spent in settings.spent for run in reported(cell, task, spent, rate, settings)]


def searches(cell, task, settings):
    """The runs that choose the learning rate."""
    return runs_with(cell, task, STEPS, settings.learning_rates, settings.seeds[:1], settings)


def best_rate(cell, task, records, settings):
    """The learning rate with the best validation score, or None if no run came to its end."""
    tried = searches(cell, task, settings)
    scores = {run_of(e): e["validation"] for e in records if e["status"] == "ok"}
    sign = 1 if TASKS[task].lower_is_better else -1
    found = [run for run in tried if run in scores]
    return min(found, key=lambda run: sign * scores[run]).learning_rate if found else None


def reported(cell, task, spent, learning_rate, settings):
    """The runs whose test scores are reported."""
    return runs_with(cell, task, spent, [learning_rate], settings.seeds, settings)


def latest(records, settings, cells, tasks):
    """The records of runs of these cells and tasks with these settings, the last one of each run."""
    found = {
        run_of(entry): entry
        for entry in records
        if entry["task"] in tasks
        and entry["cell"] in cells
        and entry["settings"] == settings.mark(entry["task"])
    }
    return [*found.values()]


def usable(records):
    """Records without those of runs that failed, which are repeated."""
    return [entry for entry in records if entry["status"] != "failed"]

"""The runs of a cell in a task, and which of them comes next."""

import dataclasses

from cell_comparison.settings import CONTROL, Settings
from cell_comparison.tasks import TASKS

STEPS, TIME = BUDGETS = ("steps", "time")
"""What cells train for: the same number of updates, or the same time."""
CLOSE = 0.1
"""Cells whose time of an update differs from that of `CONTROL` by less than this share have its updates. The
times are not known more exactly, and runs that would hardly differ are saved."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        task: A name in `TASKS`.
        cell: The name of the cell.
        learning_rate: The highest rate.
        seed: Of weights, dropout and the order of data.
        steps: The number of updates.
    """

    task: str
    cell: str
    learning_rate: float
    seed: int
    steps: int

    def __str__(self):
        rate = f"learning rate {self.learning_rate:g}, seed {self.seed}"
        return f"{self.task}, {self.cell}, {rate}, {self.steps:,} updates"


def run_of(entry):
    """The run of a record."""
    return Run(*(entry[field.name] for field in dataclasses.fields(Run)))


@dataclasses.dataclass(frozen=True)
class Plan:
    """What there is to run.

    Attributes:
        settings: The `Settings`.
        times: The seconds of an update, by task and cell. Tasks without times have no runs of the same time.
    """

    settings: Settings
    times: dict = dataclasses.field(default_factory=dict)

    def steps(self, cell, task, budget):
        """The updates of a cell in a task with a budget, or None if its time is not known."""
        steps, times = self.settings.steps(task), self.times.get(task, {})
        if budget == STEPS:
            return steps
        if cell not in times:
            return None
        ratio = times[cell] / times[CONTROL]
        return steps if abs(ratio - 1) < CLOSE else max(1, round(steps / ratio))

    def searches(self, cell, task):
        """The runs that choose the learning rate."""
        first, steps = self.settings.seeds[0], self.settings.steps(task)
        return [Run(task, cell, rate, first, steps) for rate in self.settings.learning_rates]

    def reported(self, cell, task, budget, learning_rate):
        """The runs whose test scores are reported, one for each seed."""
        steps = self.steps(cell, task, budget)
        if steps is None:
            return []
        return [Run(task, cell, learning_rate, seed, steps) for seed in self.settings.seeds]

    def best_rate(self, cell, task, records):
        """The learning rate with the best validation score, or None if no run came to its end."""
        scores = {run_of(e): e["validation"] for e in records if e["status"] == "ok"}
        sign = 1 if TASKS[task].lower_is_better else -1
        found = [run for run in self.searches(cell, task) if run in scores]
        return min(found, key=lambda run: sign * scores[run]).learning_rate if found else None

    def missing(self, cell, task, records):
        """The runs that are not done, in their order, a function of the records alone.

        First come the runs with each learning rate and the first seed, then those with the best rate and the
        other seeds for the same steps, then those with all seeds for the same time. While the search goes on,
        the best rate so far stands for the best one. If no rate comes to an end, there are no further runs.

        Args:
            cell: The name of a cell.
            task: The name of a task.
            records: Records of runs, in any order. A run with a record is done, whatever its status.
        """
        done = {run_of(entry) for entry in records}
        search = self.searches(cell, task)
        rate = self.best_rate(cell, task, records)
        if rate is None and not done.issuperset(search):
            rate = self.settings.learning_rates[0]
        further = [] if rate is None else [r for b in BUDGETS for r in self.reported(cell, task, b, rate)]
        return [run for run in dict.fromkeys(search + further) if run not in done]


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

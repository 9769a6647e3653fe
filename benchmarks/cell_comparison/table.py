"""The results of the cells as Markdown tables."""

import dataclasses
import math
import statistics

from cell_comparison.plan import STEPS, TIME, run_of
from cell_comparison.settings import CONTROL
from cell_comparison.significance import BETTER, WORSE, compared
from cell_comparison.tasks import TASKS

HEADINGS = {STEPS: "The same steps", TIME: "The same time"}
INTRODUCTIONS = {STEPS: "Updates: {}.", TIME: "As long as `lstm` takes for these updates: {}."}
NOTES = f"""\
Scores are means over seeds on the test part, geometric means of squared errors, with the lowest and the \
highest. {BETTER} and {WORSE}: better and worse than `{CONTROL}` by Welch's t-test over the seeds; of the \
marks of a column, at most 5 % are expected to be false. Squared errors are compared by their logarithms.

Kinds: S, the state goes through a matrix. D, elementwise. P, linear in the state.
"""


@dataclasses.dataclass(frozen=True)
class Result:
    """The scores of a cell in a task with a budget.

    Attributes:
        values: The test scores of the successful runs, one per seed.
        problems: The status of the other runs, such as `"diverged"` or `"not run"`, each once.
        learning_rate: The learning rate of these runs.
        log: Whether the values are compared by their logarithms.
        mark: `BETTER` or `WORSE` than `lstm`, or "".
        mean: That of the values; geometric for squared errors, of which one bad seed would hide the others.
    """

    values: tuple[float, ...] = ()
    problems: tuple[str, ...] = ()
    learning_rate: float | None = None
    mark: str = ""
    log: bool = False

    @property
    def mean(self):
        if not self.values:
            return math.nan
        return (statistics.geometric_mean if self.log else statistics.fmean)(self.values)


@dataclasses.dataclass(frozen=True)
class Row:
    """A cell with its size, its results by task, and its speeds by kind."""

    cell: str
    size: dict
    results: dict
    speeds: dict


def make_rows(cells, tasks, records, speeds, budget, plan):
    """The rows of a table, the best language model first.

    Args:
        cells: The names of the cells.
        tasks: The tasks to show, names in `TASKS`.
        records: The last record of each run that did not fail.
        speeds: A dict of cell to speeds, from `measure_speed`.
        budget: What cells train for, `"steps"` or `"time"`.
        plan: The `Plan`.
    """
    ours = {cell: [entry for entry in records if entry["cell"] == cell] for cell in cells}
    columns = {
        task: marked(task, {cell: result(cell, task, budget, ours[cell], plan) for cell in cells})
        for task in tasks
    }

    def row(cell):
        sizes = [entry for entry in [*ours[cell], speeds.get(cell, {})] if "units" in entry]
        size = {key: sizes[0][key] for key in ("units", "weights", "kind")} if sizes else {}
        return Row(cell, size, {task: columns[task][cell] for task in tasks}, speeds.get(cell, {}))

    def order(row):
        means = [
            found.mean * (1 if TASKS[task].lower_is_better else -1) for task, found in row.results.items()
        ]
        return [(math.isnan(mean), mean) for mean in means]

    return sorted((row(cell) for cell in cells), key=order)


def result(cell, task, budget, records, plan):
    """The `Result` of a cell in a task with a budget."""
    found = {run_of(entry): entry for entry in records}
    rate = plan.best_rate(cell, task, records)
    if rate and plan.steps(cell, task, budget) is None:
        return Result((), ("time not measured",), rate)
    runs = plan.reported(cell, task, budget, rate) if rate else plan.searches(cell, task)
    values = tuple(found[run]["test"] for run in runs if run in found and found[run]["status"] == "ok")
    states = [found[run]["status"] if run in found else "not run" for run in runs]
    problems = tuple(dict.fromkeys(state for state in states if state != "ok"))
    return Result(values, problems, rate, log=TASKS[task].log)


def marked(task, results):
    """The results of a task with their marks."""
    marks = compared(task, results)
    return {cell: dataclasses.replace(found, mark=marks.get(cell, "")) for cell, found in results.items()}


# === Writing ===


def write_result(found, task):
    """A table cell with a score."""
    form = TASKS[task].form.format
    parts = [f"**{problem}**" for problem in found.problems]
    if found.values:
        low, high = form(min(found.values)), form(max(found.values))
        spread = f" ({low.removesuffix('%')}–{high})" if len(found.values) > 1 else ""
        mark = f" {found.mark}" if found.mark else ""
        parts.insert(0, f"{form(found.mean)}{spread}{mark}")
    return ", ".join(parts)


def write_speed(speeds, kind):
    """A table cell with a speed."""
    if kind not in speeds:
        return "**failed**" if "reason" in speeds else "not measured"
    values = speeds[kind]
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def scores_table(rows, tasks, budget, settings):
    """The scores with a budget, as lines."""
    arrows = {task: "↓" if TASKS[task].lower_is_better else "↑" for task in tasks}
    titles = [f"{TASKS[task].title} {arrows[task]}" for task in tasks]
    amounts = ", ".join(f"{task} {settings.steps(task):,}" for task in tasks)
    lines = [
        f"## {HEADINGS[budget]}",
        "",
        INTRODUCTIONS[budget].format(amounts),
        "",
        f"| cell | kind | units | weights | {' | '.join(titles)} |",
        "|---|:-:|--:|--:|" + "--:|" * len(titles),
    ]
    for row in rows:
        units, weights = (f"{row.size[key]:,}" if row.size else "" for key in ("units", "weights"))
        scores = [write_result(row.results[task], task) for task in tasks]
        lines.append(
            f"| {' | '.join([f'`{row.cell}`', row.size.get('kind', ''), units, weights, *scores])} |"
        )
    baselines = [TASKS[task].form.format(TASKS[task].baseline(settings)) for task in tasks]
    return [*lines, f"| {' | '.join(['*without memory*', '', '', '', *baselines])} |", ""]


def details_table(rows, tasks):
    """The speeds if there are any, and the learning rates, as lines."""
    kinds = ("training", "generation") if any(row.speeds for row in rows) else ()
    titles = [f"{kind}, tokens/s (range)" for kind in kinds]
    titles += [f"rate: {task}" for task in tasks]
    lines = [
        f"## {'Speed and learning rates' if kinds else 'Learning rates'}",
        "",
        f"| cell | {' | '.join(titles)} |",
        "|---|" + "--:|" * len(titles),
    ]
    for row in rows:
        rates = [row.results[task].learning_rate for task in tasks]
        cells = [f"`{row.cell}`", *(write_speed(row.speeds, kind) for kind in kinds)]
        cells += ["" if rate is None else f"{rate:g}" for rate in rates]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def markdown(tables, tasks, settings, facts, problems):
    """All tables, with the facts above them and the problems below them.

    Args:
        tables: A dict of budgets, `"steps"` and perhaps `"time"`, to rows from `make_rows`.
        tasks: The tasks to show.
        settings: The `Settings`, for the baselines.
        facts: A dict of what the results depend on.
        problems: A list of runs that failed or diverged, with the reasons.
    """
    lines = ["# Cells compared", "", *(f"- {key}: {value}" for key, value in facts.items()), ""]
    for budget, rows in tables.items() if tasks else ():
        lines += scores_table(rows, tasks, budget, settings)
    lines += [NOTES] if tasks else []
    rows = next(iter(tables.values()))
    lines += details_table(rows, tasks)
    return "\n".join([*lines, *(f"- {problem}" for problem in problems), ""])

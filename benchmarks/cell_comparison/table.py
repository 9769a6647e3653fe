"""The results of the cells as a Markdown table."""

import dataclasses
import math
import statistics

from cell_comparison.tasks import SCORES


@dataclasses.dataclass(frozen=True)
class Result:
    """The scores of a cell in a task.

    Attributes:
        values: The scores of the successful runs, one per seed.
        problems: The status of the other runs, such as `"diverged"` or `"failed"`.
        learning_rate: The learning rate of these runs.
    """

    values: tuple[float, ...] = ()
    problems: tuple[str, ...] = ()
    learning_rate: float | None = None

    @property
    def mean(self):
        return statistics.fmean(self.values) if self.values else math.nan


@dataclasses.dataclass(frozen=True)
class Row:
    """A cell with its size, its results by task, and its speeds by kind."""

    cell: str
    size: dict
    results: dict
    speeds: dict


def make_rows(cells, tasks, runs, speeds):
    """The rows of the table, the best language model first.

    Args:
        cells: The names of the cells.
        tasks: The tasks to show, names in `SCORES`.
        runs: A dict of `Run` to record.
        speeds: A dict of cell to speeds, from `measure_speed`.
    """

    def row(cell):
        ours = [entry for run, entry in runs.items() if run.cell == cell]
        sizes = [entry for entry in [*ours, speeds.get(cell, {})] if "units" in entry]
        size = {key: sizes[0][key] for key in ("units", "weights", "kind")} if sizes else {}
        results = {task: best_result([e for e in ours if e["task"] == task], SCORES[task]) for task in tasks}
        return Row(cell, size, results, speeds.get(cell, {}))

    def order(row):
        means = [
            row.results[task].mean * (1 if SCORES[task].lower_is_better else -1)
            for task in SCORES
            if task in tasks
        ]
        return [(math.isnan(mean), mean) for mean in means]

    return sorted((row(cell) for cell in cells), key=order)


def best_result(records, score):
    """The result with the learning rate that has the fewest problems and then the best score."""
    results = []
    for learning_rate in dict.fromkeys(entry["learning_rate"] for entry in records):
        ours = [entry for entry in records if entry["learning_rate"] == learning_rate]
        values = tuple(entry["value"] for entry in ours if entry["status"] == "ok")
        problems = tuple(entry["status"] for entry in ours if entry["status"] != "ok")
        results.append(Result(values, problems, learning_rate))
    sign = 1 if score.lower_is_better else -1
    return min(results, key=lambda r: (len(r.problems), sign * r.mean), default=Result(problems=("not run",)))


def write_result(result, score, rates):
    """A table cell with a score.

    Args:
        result: The `Result`.
        score: The `Score` of the task.
        rates: The number of learning rates. The best one is shown if there are several.
    """
    text = ", ".join(f"**{problem}**" for problem in result.problems)
    if result.values:
        mean = score.form.format(result.mean)
        low, high = (score.form.format(f(result.values)) for f in (min, max))
        text = ", ".join(filter(None, [mean + (f" ({low}–{high})" if len(result.values) > 1 else ""), text]))
        if rates > 1:
            text += f" @ {result.learning_rate:g}"
    return text


def write_speed(speeds, kind):
    """A table cell with a speed."""
    if kind not in speeds:
        return "**failed**" if "reason" in speeds else "not measured"
    values = speeds[kind]
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def markdown(rows, tasks, settings, facts, problems, rates):
    """The table with the facts above it and the problems below it.

    Args:
        rows: From `make_rows`.
        tasks: The tasks to show.
        settings: The `Settings`, for the baselines.
        facts: A dict of what the results depend on.
        problems: A list of runs that failed or diverged, with the reasons.
        rates: The number of learning rates.
    """
    titles = [f"{SCORES[task].title}{' ↓' if SCORES[task].lower_is_better else ' ↑'}" for task in tasks]
    speed_titles = ["training, tokens/s (range)", "generation, tokens/s (range)"]
    lines = [
        "# Cells compared",
        "",
        *(f"- {key}: {value}" for key, value in facts.items()),
        "",
        f"| cell | kind | units | weights | {' | '.join(titles + speed_titles)} |",
        "|---|:-:|--:|--:|" + "--:|" * (len(titles) + len(speed_titles)),
    ]
    for row in rows:
        units, weights = (f"{row.size[key]:,}" if row.size else "" for key in ("units", "weights"))
        scores = [write_result(row.results[task], SCORES[task], rates) for task in tasks]
        speeds = [write_speed(row.speeds, kind) for kind in ("training", "generation")]
        cells = [f"`{row.cell}`", row.size.get("kind", ""), units, weights, *scores, *speeds]
        lines.append(f"| {' | '.join(cells)} |")
    baselines = [SCORES[task].form.format(SCORES[task].baseline(settings)) for task in tasks]
    lines.append(f"| {' | '.join(['*without memory*', '', '', '', *baselines, '', ''])} |")
    lines += ["", "Kinds: S, the state goes through a matrix. D, elementwise. P, linear in the state."]
    lines += ["", *(f"- {problem}" for problem in problems)] if problems else []
    return "\n".join([*lines, ""])

"""The records as tables and as a picture."""

import statistics

import harness
from architecture_comparison.runs import SCALING, best_record, selected
from architecture_comparison.settings import CONTESTANTS
from architecture_comparison.tasks import TASKS

COLORS = dict(
    zip(CONTESTANTS, ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"), strict=True)
)
"""Of Okabe and Ito's palette."""
MARKERS = dict(zip(CONTESTANTS, "os^<Dv", strict=True))
FIGURES = {
    "step_ms": "training step, ms",
    "memory_mb": "memory of training without XLA, MB",
    "token_ms": "generated token, ms",
}
"""Figures of a measurement, and what they are."""


def tables(records, settings):
    """All tables in Markdown."""
    parts = [make(records, settings[task], task) for task in TASKS for make in (scores_table, search_table)]
    parts += [scaling_table(records, settings["text"], figure) for figure in FIGURES]
    entries = [entry for task in settings.values() for entry in selected(records, task)]
    names = [name for name in ("cpu", "device", "commit") if name in entries[0]] if entries else []
    facts = {name: ", ".join(sorted({entry[name] for entry in entries})) for name in names}
    return "\n".join([*filter(None, parts), harness.listed(facts), ""]) if entries else "no runs\n"


def curves(records, settings, task):
    """The scores of the contestants in the runs of a task that took the longest, at the best learning rate.

    Returns:
        A dict of contestants to lists of records, one per seed.
    """
    found = selected(records, settings, task=task, purpose="test")
    minutes = max((entry["minutes"] for entry in found), default=None)
    of_all = {
        name: [e for e in found if e["contestant"] == name and e["minutes"] == minutes]
        for name in CONTESTANTS
    }
    return {name: at_best_rate(entries, task) for name, entries in of_all.items() if entries}


def at_best_rate(entries, task):
    """The runs with the learning rate whose first seed has the best validation score."""
    seed = min(entry["seed"] for entry in entries)
    firsts = [entry for entry in entries if entry["seed"] == seed]
    rate = best_record(firsts, task, lambda entry: entry["validation"])["learning_rate"]
    return [entry for entry in entries if entry["learning_rate"] == rate]


def scores_table(records, settings, task):
    """The scores of a task at the end of training, or None without runs."""
    found = curves(records, settings, task)
    if not found:
        return None
    [minutes] = {entry["minutes"] for entries in found.values() for entry in entries}
    kind = TASKS[task]
    lines = [
        f"{task}: {settings.data}, {minutes:g} minutes of training",
        "",
        f"| contestant | weights | learning rate | {kind.unit}/s | {kind.title} (range) | seeds |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    sign = 1 if kind.lower_is_better else -1
    for name, entries in sorted(found.items(), key=lambda item: sign * mean_score(item[1])):
        values = [entry["points"][-1][1] for entry in entries]
        spread = "–".join(kind.form.format(end) for end in (min(values), max(values)))
        speed = statistics.median(entry["rows_per_second"] for entry in entries)
        speed *= settings.length if kind.unit == "tokens" else 1
        rates = ", ".join(f"{rate:g}" for rate in sorted({entry["learning_rate"] for entry in entries}))
        score = f"{kind.form.format(mean_score(entries))} ({spread})"
        lines.append(
            f"| `{name}` | {entries[0]['weights']:,} | {rates} | {speed:,.0f} | {score} | {len(values)} |"
        )
    return "\n".join([*lines, ""])


def search_table(records, settings, task):
    """The scores of the learning rates on the validation part, or None without runs."""
    found = {}
    for entry in selected(records, settings, task=task, purpose="search"):
        found.setdefault(entry["contestant"], {})[entry["learning_rate"]] = entry["points"][-1][1]
    if not found:
        return None
    rates = sorted({rate for scores in found.values() for rate in scores})
    lines = [
        f"{task}, search of the learning rate: {TASKS[task].title}",
        "",
        f"| contestant | {' | '.join(f'{rate:g}' for rate in rates)} |",
        "|---|" + "---:|" * len(rates),
    ]
    for name in (name for name in CONTESTANTS if name in found):
        cells = [TASKS[task].form.format(found[name][rate]) if rate in found[name] else "" for rate in rates]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def mean_score(entries):
    """The mean over seeds of the last score."""
    return statistics.fmean(entry["points"][-1][1] for entry in entries)


def scaling_rows(records, settings, figure="step_ms"):
    """The measurements with the best figure, `{contestant: {length: record}}`.

    A time is the faster of those with and without XLA. Memory is that without: XLA takes more for each
    contestant.
    """
    found = {}
    for entry in sorted(selected(records, settings, task=SCALING), key=lambda e: e[figure], reverse=True):
        if figure != "memory_mb" or not entry["xla"]:
            found.setdefault(entry["contestant"], {})[entry["length"]] = entry
    return {name: dict(sorted(found[name].items())) for name in CONTESTANTS if name in found}


def scaling_table(records, settings, figure):
    """A figure of all contestants, a column for each length, or None without measurements."""
    found = scaling_rows(records, settings, figure)
    if not found:
        return None
    lengths = sorted({length for rows in found.values() for length in rows})
    lines = [
        FIGURES[figure],
        "",
        f"| length | {' | '.join(f'{length:,}' for length in lengths)} |",
        "|---|" + "---:|" * len(lengths),
    ]
    for name, rows in found.items():
        cells = [harness.results.number(rows[n][figure]) if n in rows else "" for n in lengths]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def draw(records, settings, path):
    """Plot the scores of each task against minutes, and the figures of measurements against length.

    Args:
        records: The records.
        settings: A dict of tasks to `Settings`.
        path: The PNG file to write.
    """
    from textrnn.reporting.figures import make_figure, save_figure

    tasks = [task for task in TASKS if curves(records, settings[task], task)]
    figures = [*FIGURES] if scaling_rows(records, settings["text"]) else []
    panels = [(draw_curves, task) for task in tasks] + [(draw_scaling, figure) for figure in figures]
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = make_figure(3.5 * columns + 0.6, 3.1 * rows + 0.5)
    axes = [*figure.subplots(rows, columns, squeeze=False).flat]
    lines = {}
    for axis, (draw_panel, what) in zip(axes, panels, strict=False):
        lines |= draw_panel(axis, records, settings["text" if what in FIGURES else what], what)
        harness.style(axis)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    shown = [name for name in CONTESTANTS if name in lines]
    figure.legend(
        [lines[name] for name in shown], shown, loc="outside lower center", ncols=len(shown), frameon=False
    )
    save_figure(figure, path)


def draw_curves(axis, records, settings, task):
    """Plot the mean of the seeds against minutes, with a band for their range. Returns the lines."""
    lines = {}
    for name, entries in curves(records, settings, task).items():
        points = [*zip(*(entry["points"] for entry in entries), strict=False)]  # per time, of all seeds
        minutes = [statistics.fmean(minutes for minutes, _ in seeds) for seeds in points]
        scores = [[score for _, score in seeds] for seeds in points]
        style = {"color": COLORS[name], "marker": MARKERS[name], "markersize": 4}
        [lines[name]] = axis.plot(minutes, [statistics.fmean(seeds) for seeds in scores], **style)
        ends = [min(seeds) for seeds in scores], [max(seeds) for seeds in scores]
        axis.fill_between(minutes, *ends, color=COLORS[name], alpha=0.2, linewidth=0)
    axis.set_title(f"{task} ({settings.data})", fontsize=10)
    axis.set_xlabel("minutes of training")
    axis.set_ylabel(f"{TASKS[task].title} {'(lower is better)' if TASKS[task].lower_is_better else ''}")
    return lines


def draw_scaling(axis, records, settings, figure):
    """Plot a figure against length, both on logarithmic axes. Returns the lines."""
    from matplotlib.ticker import LogLocator, NullFormatter

    lines = {}
    for name, rows in scaling_rows(records, settings, figure).items():
        style = {"color": COLORS[name], "marker": MARKERS[name], "markersize": 4}
        [lines[name]] = axis.plot([*rows], [entry[figure] for entry in rows.values()], **style)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_minor_formatter(NullFormatter())
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_formatter(lambda value, _: harness.results.number(value))
    axis.set_title(FIGURES[figure], fontsize=10)
    axis.set_xlabel("length, tokens")
    return lines

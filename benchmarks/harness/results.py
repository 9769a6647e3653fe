"""Results as plain data and as a Markdown table."""

import dataclasses
import statistics


def result(work, figures, unit="ms", per=None):
    """The result of a work as plain data.

    Args:
        work: A dataclass whose string describes it.
        figures: A dict of names to one value per round. Ratios are the first divided by each.
        unit: The unit of the values.
        per: A dict of names to divisors of the values for the ratios, or None.
    """
    per = per or dict.fromkeys(figures, 1.0)
    ours = next(iter(figures))
    rows = []
    for name, values in figures.items():
        scale = per[name] / per[ours]
        ratios = [scale * mine / value for mine, value in zip(figures[ours], values, strict=True)]
        ratio = scale * statistics.median(figures[ours]) / statistics.median(values)
        rows.append(
            {
                "contestant": name,
                unit: [round(value, 3) for value in values],
                "median": round(statistics.median(values), 3),
                "ratio": round(ratio, 3),
                "lowest_and_highest_ratio": [round(min(ratios), 3), round(max(ratios), 3)],
            }
        )
    return {"work": dataclasses.asdict(work), "description": str(work), "unit": unit, "rows": rows}


def markdown(report):
    """A report as a Markdown table, followed by its environment.

    A row may have a "goal", which gets a column, and "bold", which sets the contestant in bold.
    """
    goals = any(row.get("goal") for entry in report["results"] for row in entry["rows"])
    titles = ["work", "contestant", "median (range)", "first row ÷ this row (range)", "goal"]
    lines = [f"| {' | '.join(titles[: 4 + goals])} |", "|---|---|---:|---:|" + "---|" * goals]
    for entry in report["results"]:
        for i, row in enumerate(entry["rows"]):
            name = f"**{row['contestant']}**" if row.get("bold") else row["contestant"]
            median = f"{number(row['median'])} {entry['unit']}{value_range(row[entry['unit']])}"
            ratio = f"{row['ratio']:.2f}"
            if len(row[entry["unit"]]) > 1:
                ratio += " ({:.2f}–{:.2f})".format(*row["lowest_and_highest_ratio"])
            cells = ["" if i else entry["description"], name, median, ratio if i else "", row.get("goal", "")]
            lines.append(f"| {' | '.join(cells[: 4 + goals])} |")
    return "\n".join([*lines, "", listed(report["environment"]), ""])


def number(value):
    """A figure with four digits or all digits before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def value_range(values):
    """The lowest and the highest of several values in parentheses."""
    return f" ({number(min(values))}–{number(max(values))})" if len(values) > 1 else ""


def listed(facts):
    """A dict as one line of text."""
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in facts.items())

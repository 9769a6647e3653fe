"""The results of the cells as a picture."""

import math
import statistics
import textwrap

import harness
from cell_comparison.tasks import TASKS

# The palette of Okabe and Ito, which is safe for colour-blind readers.
STYLES = {"S": ("#0072B2", "o"), "D": ("#D55E00", "s"), "P": ("#009E73", "^")}
KINDS = {"S": "S: the state goes through a matrix", "D": "D: elementwise", "P": "P: linear in the state"}
GREY = "#555555"


def draw(rows, tasks, settings, after, path):
    """Plot bits per character against training speed, and below it the scores of the other tasks as dots.

    Without the text task or its speed, every task gets a column of dots.

    Args:
        rows: From `make_rows`.
        tasks: The tasks to show, names in `TASKS`.
        settings: The `Settings`, for the baselines.
        after: The budget of the scores, for the title.
        path: The PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    baselines = {task: TASKS[task].baseline(settings) for task in tasks}
    scatters = "text" in tasks and bool(scatter_points(rows, baselines["text"]))
    columns = [task for task in tasks if not (scatters and task == "text")]
    heights = [6.0] * scatters + [0.8 + 0.21 * max(len(rows), 8)] * bool(columns)
    figure = Figure(figsize=(11, 0.5 + sum(heights)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    parts = [*figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]]
    panels = [parts[0].subplots()] if scatters else []
    if scatters:
        draw_scatter(panels[0], rows, baselines["text"], f"scores after {after}")
    if columns:
        panels += [*parts[-1].subplots(1, len(columns), squeeze=False)[0]]
    for i, (axis, task) in enumerate(zip(panels[scatters:], columns, strict=True)):
        draw_dots(axis, rows, task, baselines[task], named=i == 0)
    used = [kind for kind in STYLES if any(row.size.get("kind") == kind for row in rows)]
    handles = [panels[0].plot([], [], **point_style(kind), label=KINDS[kind])[0] for kind in used]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    if scatters:
        figure.draw_without_rendering()  # settles the layout, and so the points
        figure.set_layout_engine("none")
        label_points(panels[0], scatter_points(rows, baselines["text"]))
    figure.savefig(path, format="png")


def point_style(kind):
    """The marker of a kind of cell."""
    color, marker = STYLES.get(kind, (GREY, "x"))
    return {"color": color, "marker": marker, "linestyle": "none", "markersize": 7}


def scatter_points(rows, baseline):
    """The points of the scatter plot: `(cell, speed, bits per character)`.

    Cells worse than the baseline are left out, since they would hide the differences between the others.
    """
    return [
        (row.cell, statistics.median(row.speeds["training"]), row.results["text"].mean)
        for row in rows
        if row.results["text"].mean <= baseline and row.speeds.get("training")
    ]


def why_not_shown(row, baseline):
    """The reason why a cell is not in the scatter plot."""
    result = row.results["text"]
    if result.mean > baseline:
        return f"{TASKS['text'].form.format(result.mean)}, worse than without memory"
    return ", ".join(dict.fromkeys(result.problems)) or "no speed"


def draw_scatter(axis, rows, baseline, note):
    """Plot bits per character against training speed, with a note in the title."""
    points, kinds = scatter_points(rows, baseline), {row.cell: row.size.get("kind") for row in rows}
    for cell, speed, bits in points:
        axis.plot([speed], [bits], **point_style(kinds[cell]), zorder=3)
    shown = [cell for cell, _, _ in points]
    missing = [f"{row.cell} ({why_not_shown(row, baseline)})" for row in rows if row.cell not in shown]
    # The axis spans at least a factor of two, so that differences of a percent look small.
    speeds = [speed for _, speed, _ in points]
    middle, half = math.sqrt(min(speeds) * max(speeds)), max(math.sqrt(max(speeds) / min(speeds)), 2**0.5)
    axis.set_xscale("log")
    axis.set_xlim(middle / half**1.2, middle * half**1.2)
    thousands(axis.xaxis)
    missing_note = textwrap.wrap(f"not shown: {', '.join(missing)}", 90) if missing else []
    axis.set_xlabel("\n".join(["training speed (tokens per second) →", *missing_note]))
    axis.set_ylabel("← bits per character (test)")
    axis.set_title(f"text: bits per character against training speed, {note}", fontsize=10)
    axis.margins(y=0.1)
    harness.style(axis)


def draw_dots(axis, rows, task, baseline, named):
    """Plot the scores of a task, a row per cell. Cells without a score show the reason."""
    score = TASKS[task]
    for y, row in enumerate(rows):
        result = row.results[task]
        style = point_style(row.size.get("kind"))
        notes = list(dict.fromkeys(result.problems))
        if task == "text" and result.values and result.mean > 1.2 * baseline:
            # A point would hide the differences between the others.
            notes.insert(0, f"{score.form.format(result.mean)}, worse than without memory")
        elif result.values:
            axis.plot([min(result.values), max(result.values)], [y, y], color=style["color"], linewidth=2)
            axis.plot([result.mean], [y], **style)
        if notes:
            axis.text(
                0.5, y, ", ".join(notes), transform=axis.get_yaxis_transform(),
                ha="center", va="center", color=GREY, fontsize=8, style="italic",
            )  # fmt: skip
    axis.axvline(baseline, color=GREY, linewidth=1.2, linestyle="--", zorder=0)
    side = -1 if score.lower_is_better else 1
    axis.annotate(
        "without memory", (baseline, -0.75), xytext=(4 * side, 0), textcoords="offset points",
        ha="left" if side > 0 else "right", va="center", fontsize=8, color=GREY,
    )  # fmt: skip
    if score.log:
        axis.set_xscale("log")
    elif "%" in score.form:
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axis.set_ylim(len(rows) - 0.5, -1.2)
    axis.set_yticks(range(len(rows)), [row.cell for row in rows] if named else [])
    axis.set_title(f"{score.title}{' ←' if score.lower_is_better else ' →'}", fontsize=10)
    harness.style(axis)
    axis.tick_params(axis="y", length=0)


def thousands(axis):
    """Format the ticks of a logarithmic axis as 20k, 50k, 100k."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 8)))
    axis.set_major_formatter(lambda value, _: f"{value / 1000:g}k")
    axis.set_minor_formatter(NullFormatter())


def label_points(axis, points):
    """Write a name next to each point without covering other points and names.

    A line connects a distant name to its point. Names are placed greedily in the nearest free place, starting
    with the most crowded point.

    Args:
        axis: An axis with final limits and layout.
        points: A list of `(name, x, y)`.

    Returns:
        The boxes of the names, a list of matplotlib's `Bbox` in pixels.
    """
    from matplotlib.transforms import Bbox

    at = [tuple(axis.transData.transform((x, y))) for _, x, y in points]
    size = 6 * axis.figure.dpi / 72
    taken = [Bbox.from_bounds(x - size, y - size, 2 * size, 2 * size) for x, y in at]
    frame, renderer, boxes = axis.get_window_extent(), axis.figure.canvas.get_renderer(), []

    def crowd(i):  # the distances to the nearest points
        return sorted(math.dist(at[i], other) for other in at)[: min(5, len(at))]

    for i in sorted(range(len(points)), key=crowd):
        text = axis.text(0, 0, points[i][0], fontsize=8, transform=None, ha="left", va="bottom")
        extent = text.get_window_extent(renderer)
        places = [place_beside(at[i], extent.width, extent.height, *place) for place in PLACES]
        inside = [box for box in places if frame.containsx(box.x0) and frame.containsx(box.x1)] or places
        box = next((box for box in inside if not box.count_overlaps(taken)), inside[0])
        text.set_position((box.x0, box.y0))
        nearest = (min(max(at[i][0], box.x0), box.x1), min(max(at[i][1], box.y0), box.y1))
        if math.dist(nearest, at[i]) > 1.5 * size:
            ends = axis.transData.inverted().transform([at[i], nearest])
            axis.plot(*ends.T, color=GREY, linewidth=0.6, zorder=1, scalex=False, scaley=False)
        taken.append(box)
        boxes.append(box)
    return boxes


def place_beside(point, width, height, distance, angle):
    """The box of a size at a distance from a point in a direction.

    Args:
        point: X and y in pixels.
        width, height: The size of the box in pixels.
        distance: Between the point and the edge of the box, in pixels.
        angle: The direction in radians.
    """
    from matplotlib.transforms import Bbox

    dx, dy = math.cos(angle), math.sin(angle)
    x = point[0] + dx * (distance + width / 2) - width / 2
    y = point[1] + dy * (distance + height / 2) - height / 2
    return Bbox.from_bounds(x, y, width, height)


PLACES = [
    (distance, math.radians(angle))
    for distance in (11, 16, 22, 30, 40, 52, 66, 82, 100)
    for angle in (0, 180, 90, 270, 30, 330, 150, 210, 60, 300, 120, 240)
]
"""Places of a name in the order of preference: distance in pixels, and direction."""

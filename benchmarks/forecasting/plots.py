"""Plots of forecasts and of the anomalies that they find."""

import numpy as np

import harness
from forecasting import scores

STYLES = {
    "naive": ("#555555", "--"),
    "naive, recent volatility": ("#CC79A7", "-"),
    "seasonal naive": ("#E69F00", "-"),
    "seasonal naive with drift": ("#009E73", "-"),
    "linear": ("#D55E00", "-"),
    "network": ("#0072B2", "-"),
}
"""Colours of Okabe and Ito's palette, and line styles."""


def draw_forecasts(found, path):
    """Draw the last forecast of a seasonal series, and the errors of all forecasters by steps ahead.

    Args:
        found: `{name: Found}`, see `time_series.py`.
        path: The PNG file.
    """
    from textrnn.reporting.figures import make_figure, save_figure

    seasonal = [one for one in found.values() if one.series.season]
    figure = make_figure(4.2 * (len(seasonal) + len(found)), 3.9)
    panels = figure.subplots(1, len(seasonal) + len(found), squeeze=False)[0]
    for axis, one in zip(panels, seasonal, strict=False):
        draw_example(axis, one)
    for axis, one in zip(panels[len(seasonal) :], found.values(), strict=True):
        draw_errors(axis, one)
    for axis in panels:
        harness.style(axis)
    handles = {}
    for axis in panels:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    save_figure(figure, path)


def draw_example(axis, one):
    """Draw the values of two seasons, the forecasts of the last, and the interval of the network."""
    series, origin = one.series, one.example_origin
    before = np.arange(origin - series.season, origin + 1)
    after = np.arange(origin + 1, origin + series.horizon + 1)
    scale = series.scale[0, 0]
    every = np.concatenate([before, after])
    axis.plot(every - origin, series.values[0, every] * scale, color="black", linewidth=1.6, label="true")
    low, _, high = np.moveaxis(one.example["network"][0], -1, 0) * scale
    axis.fill_between(
        after - origin,
        low,
        high,
        color=STYLES["network"][0],
        alpha=0.2,
        linewidth=0,
        label="90 % interval of the network",
    )
    for name in ("naive", "seasonal naive with drift", "linear", "network"):
        color, line = STYLES[name]
        median = one.example[name][0, :, 1] * scale
        axis.plot(after - origin, median, color=color, linestyle=line, label=one.title(name))
    axis.axvline(0, color="#AAAAAA", linewidth=0.8)
    axis.set_xlabel(f"{series.step}s from the origin")
    axis.set_ylabel("ppm" if series.name == "CO2" else "")
    axis.set_title(f"{series.name}: forecasts of the last {series.horizon} {series.step}s", fontsize=10)


def draw_errors(axis, one):
    """Draw the quantile losses relative to the naive forecast, the mean of the blocks with their range."""
    steps = np.arange(1, one.series.horizon + 1)
    for name in one.scores:
        color, line = STYLES[name]
        ratios = one.ratios(name, "quantile loss")
        axis.plot(steps, ratios.mean(axis=0), color=color, linestyle=line, label=one.title(name))
        if name in ("linear", "network"):
            axis.fill_between(
                steps, ratios.min(axis=0), ratios.max(axis=0), color=color, alpha=0.15, linewidth=0
            )
    axis.set_ylim((0, 1.6) if one.series.season else (0.9, 1.1))
    axis.set_xlabel(f"{one.series.step}s ahead")
    axis.set_ylabel("quantile loss ÷ naive")
    axis.set_title(f"{one.series.name}: band = range of the test blocks", fontsize=10)


def draw_anomalies(found, path, sizes, labelled=4):
    """Draw how many wrong values are found by size, and the surprises of the exchange rates.

    Args:
        found: `{name: Found}`, see `time_series.py`.
        path: The PNG file.
        sizes: Of the errors in the data, in the unit of the series.
        labelled: The number of surprises with a label.
    """
    from textrnn.reporting.figures import make_figure, save_figure

    figure = make_figure(4.2 * 3, 3.9)
    left, right = figure.subplots(1, 2, width_ratios=[1, 2])
    one = found["co2"]
    truth, scale = one.truth, one.series.scale[0, 0]
    for name, forecasts in one.one_step.items():
        color, line = STYLES[name]
        rates = [scores.detected(truth, forecasts, size / scale, 1 / one.series.season) for size in sizes]
        if name != "naive, recent volatility":
            left.plot(sizes, rates, color=color, linestyle=line, label=one.title(name))
    left.set_xlabel("error in one value (ppm)")
    left.set_ylabel("fraction found")
    left.set_title("CO2: found at one false alarm a year", fontsize=10)
    handles = left.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower left", ncols=5, frameon=False, fontsize=9)
    draw_surprises(right, found["exchange_rate"], labelled)
    for axis in (left, right):
        harness.style(axis)
    save_figure(figure, path)


def draw_surprises(axis, one, labelled):
    """Draw the largest surprise of the network on each day of the test part."""
    series = one.series
    found = scores.surprise(one.truth, one.one_step["network"])
    days = one.blocks[0][0] + 1 + np.arange(found.shape[1])
    axis.plot(days, found.max(axis=0), color=STYLES["network"][0], linewidth=0.8)
    axis.set_yscale("log")
    for row, column in largest(found, labelled):
        day = days[column]
        change = np.expm1((series.values[row, day] - series.values[row, day - 1]) * series.scale[row, 0])
        axis.annotate(
            f"{series.rows[row]} {change:+.0%}", (day, found[row, column]), fontsize=8, ha="right",
            xytext=(-3, 3), textcoords="offset points",
        )  # fmt: skip
        axis.plot([day], [found[row, column]], "o", color="#D55E00", markersize=4)
    axis.axhline(1, color="#555555", linewidth=0.8, linestyle="--")
    axis.set_ylim(0.3, 3 * found.max())
    axis.set_xlabel("day")
    axis.set_ylabel("largest error ÷ half interval")
    axis.set_title("exchange rates: surprises of the network (dashed: end of its 90 % interval)", fontsize=10)


def largest(values, count):
    """The positions `(row, column)` of the largest values, at most one for each column and the next."""
    order = np.dstack(np.unravel_index(np.argsort(-values, axis=None), values.shape))[0]
    taken = []
    for row, column in order:
        if all(abs(column - other) > 1 for _, other in taken):
            taken.append((int(row), int(column)))
        if len(taken) == count:
            break
    return taken

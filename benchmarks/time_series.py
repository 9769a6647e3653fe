"""Forecast numeric series by a recurrent network and by simple methods, walk-forward.

    python benchmarks/time_series.py --output benchmarks/results
    python benchmarks/time_series.py --series co2 --cell lstm --seeds 0
    python benchmarks/time_series.py --output benchmarks/results --draw

Series: eight daily exchange rates (`$TEXTRNN_DATA/exchange_rate/exchange_rate.txt.gz`) and weekly CO2 at
Mauna Loa (bundled with statsmodels: `pip install 'textrnn[bench]'`). The test part is the last fifth, in
`--blocks`. For each block every forecaster learns anew from all values before it, and then forecasts all
steps up to the horizon from each origin in the block.

- naive: the last value. Seasonal naive: the value of a season ago, or that plus the change since then.
- linear: ridge regression on the last changes and the time of year, one for each step ahead.
- network: one recurrent layer, which returns the quantiles 5 %, 50 % and 95 % of all steps ahead at every
  step, trained with the quantile loss. The figures are means over `--seeds`.

The intervals of all but the network are quantiles of their errors on the values that they learned from. With
"recent volatility" they are relative to the mean absolute change of the last steps. The series of a kind
share one model, in units of their mean absolute change before the test part.

`--output` gets the table `time_series.md`, the plots `time_series.png` and `time_series_anomalies.png`, and
`time_series.npz`, from which `--draw` makes the table and the plots again.
"""

import argparse
import dataclasses
import functools
import json
import shlex
import sys
import time
from pathlib import Path

import numpy as np

import harness
from forecasting import forecasters, plots, scores, series

SPIKES = np.arange(0, 3.01, 0.25)
"""Errors in the data to detect, in ppm of CO2."""


@dataclasses.dataclass(frozen=True)
class Found:
    """What the forecasts of a series came to.

    Attributes:
        series: The `Series`.
        cell: Name of the network's cell.
        blocks: The blocks of origins, each `(start, stop)`.
        scores: For each forecaster `(seeds, blocks, measures, rows, horizon)`.
        one_step: Its forecasts one step after each origin, of the first seed, `(rows, origins, quantiles)`.
        example: Its forecasts from the last origin, `(rows, horizon, quantiles)`.
    """

    series: series.Series
    cell: str
    blocks: list
    scores: dict
    one_step: dict
    example: dict

    @property
    def truth(self):
        """The value one step after each origin, `(rows, origins)`."""
        return self.series.values[:, self.blocks[0][0] + 1 : self.blocks[-1][1] + 1]

    @property
    def example_origin(self):
        return self.blocks[-1][1] - 1

    def title(self, name):
        """The name of a forecaster in tables and plots."""
        return f"network ({self.cell})" if name == "network" else name

    def measured(self, name, measure):
        """A measure of a forecaster, the mean over seeds, `(blocks, rows, horizon)`."""
        return self.scores[name].mean(axis=0)[:, scores.MEASURES.index(measure)]

    def ratios(self, name, measure):
        """A measure relative to that of the naive forecast, `(blocks, horizon)`.

        It is the geometric mean over rows, so that all count the same, whatever their errors are.
        """
        mine, naive = (self.measured(one, measure) for one in (name, "naive"))
        return np.exp(np.log(mine / naive).mean(axis=1))

    def rows_won(self, name, step):
        """The number of rows in which a forecaster has a lower error than the naive forecast."""
        mine, naive = (self.measured(one, "absolute error").mean(axis=0) for one in (name, "naive"))
        return int((mine[:, step - 1] < naive[:, step - 1]).sum())


def fitted(one, start, given):
    """The forecasters, which learn from the values before a step: `{name: [one for each seed]}`."""
    learned = np.arange(one.first, start - one.horizon)
    simple = functools.partial(forecasters.with_intervals, series=one, learned=learned)
    found = {
        "naive": simple(forecasters.naive),
        "naive, recent volatility": simple(forecasters.naive, volatility=forecasters.recent_volatility),
    }
    if one.season:
        found["seasonal naive"] = simple(forecasters.seasonal_naive)
        found["seasonal naive with drift"] = simple(forecasters.seasonal_naive_with_drift)
    found["linear"] = simple(forecasters.fit_linear(one, learned))
    networks = [
        forecasters.fit_network(one, learned, given.cell, given.units, given.epochs, seed)
        for seed in given.seeds
    ]
    return {name: [forecast] for name, forecast in found.items()} | {"network": networks}


def walk_forward(one, given):
    """The `Found` of a series."""
    blocks = one.blocks(given.blocks)
    all_scores, one_step, example = {}, {}, {}
    for start, stop in blocks:
        origins, begin = np.arange(start, stop), time.perf_counter()
        for name, of_seeds in fitted(one, start, given).items():
            forecasts = [forecast(origins) for forecast in of_seeds]
            block = [scores.score(one.future(origins), found) for found in forecasts]
            all_scores.setdefault(name, []).append(block)
            one_step.setdefault(name, []).append(forecasts[0][:, :, 0])
            example[name] = forecasts[0][:, -1]
        harness.log(f"  origins {start} to {stop - 1}: {time.perf_counter() - begin:.0f} s")
    return Found(
        one, given.cell, blocks,
        {name: np.swapaxes(np.array(block), 0, 1) for name, block in all_scores.items()},
        {name: np.concatenate(block, axis=1) for name, block in one_step.items()}, example,
    )  # fmt: skip


# === Report ===


def spread(values, form):
    """The mean of the blocks with their range."""
    mean, low, high = values.mean(), values.min(), values.max()
    return form.format(mean) + (f" ({form.format(low)}–{form.format(high)})" if low < high else "")


def table(found, facts):
    """The report as a Markdown table, followed by what the figures depend on."""
    titles = ["series", "steps ahead", "forecast", "absolute error ÷ naive (blocks)",
              "quantile loss ÷ naive (blocks)", "coverage of the 90 % interval (blocks)",
              "series better than naive"]  # fmt: skip
    lines = [f"| {' | '.join(titles)} |", "|---|--:|---|---:|---:|---:|---:|"]
    for one in found.values():
        for step in one.series.steps:
            for name in one.scores:
                error, loss = (
                    spread(one.ratios(name, measure)[:, step - 1], "{:.3f}")
                    for measure in scores.MEASURES[:2]
                )
                coverage = spread(one.measured(name, "coverage").mean(axis=1)[:, step - 1], "{:.0%}")
                won = f"{one.rows_won(name, step)} of {len(one.series.rows)}"
                cells = [one.series.name, str(step), one.title(name), error, loss, coverage, won]
                lines.append(f"| {' | '.join(cells)} |")
    if "co2" in found:
        lines += ["", *anomaly_table(found["co2"])]
    return "\n".join([*lines, "", harness.listed(facts), ""])


def anomaly_table(one, sizes=(0.5, 1.0, 2.0)):
    """The fractions of wrong values that are found, as lines of a Markdown table."""
    lines = [f"| forecast | {' | '.join(f'{size:g} ppm' for size in sizes)} |", "|---|---:|---:|---:|"]
    for name, forecasts in one.one_step.items():
        rates = [
            scores.detected(one.truth, forecasts, size / one.series.scale[0, 0], 1 / one.series.season)
            for size in sizes
        ]
        lines.append(f"| {one.title(name)} | {' | '.join(f'{rate:.0%}' for rate in rates)} |")
    return lines


def save(found, facts, path):
    """Write everything but the series to a file of NumPy."""
    arrays = {
        f"{key}/{part}/{name}": array
        for key, one in found.items()
        for part in ("scores", "one_step", "example")
        for name, array in getattr(one, part).items()
    }
    np.savez_compressed(path, facts=json.dumps(facts), **arrays)


def load(path, limit=None):
    """What `save` wrote: `(found, facts)`."""
    with np.load(path) as file:
        arrays, facts = (
            {name: file[name] for name in file.files if name != "facts"},
            json.loads(str(file["facts"])),
        )
    parts = {}
    for name, array in arrays.items():
        key, part, forecaster = name.split("/")
        parts.setdefault(key, {}).setdefault(part, {})[forecaster] = array
    found = {}
    for key, of_series in parts.items():
        one = series.SERIES[key](limit)
        count = of_series["scores"]["naive"].shape[1]
        found[key] = Found(one, facts["cell"], one.blocks(count), **of_series)
    return found, facts


def report(found, facts, folder):
    """Print the table, and write it and the plots to a folder."""
    text = table(found, facts)
    print(text, end="")
    if folder:
        (folder / "time_series.md").write_text(text, encoding="utf-8")
        plots.draw_forecasts(found, folder / "time_series.png")
        if len(found) == len(series.SERIES):
            plots.draw_anomalies(found, folder / "time_series_anomalies.png", SPIKES)


def make_parser():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog=f"Method: see the docstring of {Path(__file__).name}."
    )
    add = parser.add_argument
    add("--series", nargs="+", choices=[*series.SERIES], default=[*series.SERIES], help="(default: all)")
    add("--cell", default="gru", help="cell of the network (default: gru)")
    add("--units", type=harness.positive, default=32, metavar="N", help="units of its layer (default: 32)")
    add("--epochs", type=harness.positive, default=100, metavar="N", help="most epochs (default: 100)")
    add(
        "--blocks", type=harness.positive, default=4, metavar="N", help="blocks of the test part (default: 4)"
    )
    add("--seeds", nargs="+", type=int, default=[0, 1], metavar="N", help="seeds (default: 0 1)")
    add("--quick", action="store_true", help="tiny sizes, to try the command")
    add("--output", type=Path, metavar="PATH", help="folder of the table and the plots")
    add("--draw", action="store_true", help="report on the forecasts in --output, without new ones")
    return parser


def main(arguments=None):
    """Run the evaluation.

    Args:
        arguments: Command-line arguments, or None for those of the process.
    """
    from textrnn.cli import process

    parser = make_parser()
    given = parser.parse_args(arguments)
    if given.draw and not given.output:
        parser.error("--draw needs --output")
    process.run(lambda: evaluate(given))


def evaluate(given):
    """Forecast the series, or load earlier forecasts, and report."""
    commit, limit = harness.commit(), 1200 if given.quick else None  # now: a run takes minutes
    if given.draw:
        found, facts = load(given.output / "time_series.npz", limit)
        report(found, facts, given.output)
        return
    harness.load_backend()
    if given.quick:
        given = argparse.Namespace(**{**vars(given), "epochs": 1, "blocks": 2, "seeds": given.seeds[:1]})
    begin, found = time.perf_counter(), {}
    processor = time.process_time()
    for key in given.series:
        harness.log(key)
        found[key] = walk_forward(series.SERIES[key](limit), given)
    facts = {
        "command": shlex.join(["python", *sys.argv]), "commit": commit, "cell": given.cell,
        **harness.environment(given.seeds[0], len(given.seeds)),
        "seconds": round(time.perf_counter() - begin),
        "processor_seconds": round(time.process_time() - processor),
    }  # fmt: skip
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        save(found, facts, given.output / "time_series.npz")
    report(found, facts, given.output)


if __name__ == "__main__":
    main()

"""The series to forecast, in units of their mean absolute change before the test part."""

import dataclasses
import gzip
import itertools
import os
from pathlib import Path

import numpy as np

from textrnn.errors import InputError

TEST_FRACTION = 0.2
CURRENCIES = ["AUD", "GBP", "CAD", "CHF", "CNY", "JPY", "NZD", "SGD"]
LARGEST_INPUT = 10
"""Inputs are clipped to so many mean absolute changes, since some rates are wrong by 10 % and more."""


@dataclasses.dataclass(frozen=True)
class Series:
    """One or several series of the same length, which share a model.

    Attributes:
        name: Title in tables and plots.
        rows: Names of the series.
        values: `(rows, time)`, divided by `scale`.
        inputs: What a forecaster reads at each step, `(rows, time, features)`. The first is the last change.
        scale: Mean absolute change of each row before the test part, `(rows, 1)`.
        step: What one step is: "day" or "week".
        season: Length of the season in steps, or None.
        lags: Number of steps that the linear forecaster reads.
        steps: The steps ahead to report. The last is the horizon.
        window: Length of the training windows of a network.
        stride: Distance from one window to the next.
    """

    name: str
    rows: list[str]
    values: np.ndarray
    inputs: np.ndarray
    scale: np.ndarray
    step: str
    season: int | None
    lags: int
    steps: tuple[int, ...]
    window: int
    stride: int

    @property
    def horizon(self):
        return self.steps[-1]

    @property
    def first(self):
        """The first step from which every forecaster can forecast."""
        return max(self.lags, self.season or 0) + 1

    def future(self, origins):
        """The values at the steps 1 to `horizon` after each origin, `(rows, origins, horizon)`."""
        return self.values[:, origins[:, None] + np.arange(1, self.horizon + 1)]

    def blocks(self, count):
        """The test part in blocks of origins, each `(start, stop)`, in order.

        Forecasts of a block may use the values before its start to learn from.
        """
        length = self.values.shape[1]
        edges = np.linspace(test_start(length), length - self.horizon, count + 1).astype(int)
        return [(int(start), int(stop)) for start, stop in itertools.pairwise(edges)]


def test_start(length):
    """The first step of the test part."""
    return round(length * (1 - TEST_FRACTION))


def make_series(name, rows, values, features=None, **options):
    """A `Series` of raw values.

    Args:
        name, rows, **options: See `Series`.
        values: `(rows, time)`.
        features: Further inputs, known in advance, `(time, features)`, or None.
    """
    changes = np.diff(values, axis=1, prepend=values[:, :1])
    scale = np.abs(changes[:, 1 : test_start(values.shape[1])]).mean(axis=1, keepdims=True)
    inputs = np.clip(changes / scale, -LARGEST_INPUT, LARGEST_INPUT)[..., None]
    if features is not None:
        known = np.broadcast_to(features, (len(values), *features.shape))
        inputs = np.concatenate([inputs, known], axis=2)
    return Series(name, rows, values / scale, inputs.astype("float32"), scale, **options)


def exchange_rates(limit=None):
    """The logarithms of eight daily exchange rates, 1990 to 2016 (Lai et al. 2018, arXiv 1703.07015).

    They are read from `$TEXTRNN_DATA/exchange_rate/exchange_rate.txt.gz`.

    Raises:
        InputError: If the file is not there.
    """
    path = Path(os.environ.get("TEXTRNN_DATA", ""), "exchange_rate", "exchange_rate.txt.gz")
    if not path.is_file():
        raise InputError(
            f"{path} does not exist. Download exchange_rate.txt.gz from "
            "github.com/laiguokun/multivariate-time-series-data and set TEXTRNN_DATA to the folder that "
            "contains exchange_rate/exchange_rate.txt.gz"
        )
    with gzip.open(path, "rt") as file:
        values = np.log(np.loadtxt(file, delimiter=","))[:limit].T
    return make_series(
        "exchange rates", CURRENCIES, values, step="day", season=None, lags=20, steps=(1, 5, 20),
        window=120, stride=60,
    )  # fmt: skip


def co2(limit=None):
    """Weekly carbon dioxide at Mauna Loa in ppm, 1958 to 2001 (Keeling & Whorf), bundled with statsmodels.

    Missing weeks are interpolated. The time of year is an input, as two harmonics.
    """
    from statsmodels.datasets import co2 as bundled

    table = bundled.load_pandas().data["co2"].interpolate()[:limit]
    year = 2 * np.pi * table.index.day_of_year.to_numpy() / 365.25
    features = np.stack([wave(k * year) for k in (1, 2) for wave in (np.sin, np.cos)], axis=1)
    return make_series(
        "CO2", ["Mauna Loa"], table.to_numpy()[None], features,
        step="week", season=52, lags=52, steps=(1, 13, 52), window=104, stride=13,
    )  # fmt: skip


SERIES = {"exchange_rate": exchange_rates, "co2": co2}

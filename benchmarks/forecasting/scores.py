"""Scores of forecasts: errors, quantile losses, coverage of intervals, and detected anomalies."""

import numpy as np

from forecasting.forecasters import QUANTILES

MEASURES = ("absolute error", "quantile loss", "coverage")


def score(values, forecasts):
    """The `MEASURES` of forecasts, averaged over origins: `(measures, rows, horizon)`.

    Args:
        values: `(rows, origins, horizon)`.
        forecasts: The `QUANTILES` of each, `(rows, origins, horizon, quantiles)`.

    Example:

    >>> import numpy as np
    >>> from forecasting.scores import score
    >>> forecasts = np.array([-1.0, 0.0, 1.0]).reshape(1, 1, 1, 3)
    >>> score(np.array([[[0.5]]]), forecasts).ravel().round(3).tolist()  # loss: (0.075 + 0.25 + 0.025) / 3
    [0.5, 0.117, 1.0]
    """
    levels, errors = np.array(QUANTILES), values[..., None] - forecasts
    loss = np.maximum(levels * errors, (levels - 1) * errors).mean(axis=-1)
    covered = (errors[..., 0] >= 0) & (errors[..., -1] <= 0)
    median = np.abs(errors[..., QUANTILES.index(0.5)])
    return np.stack([median, loss, covered]).mean(axis=2)


def surprise(values, forecasts):
    """The absolute error of the median in units of half the interval.

    Args:
        values: `(rows, origins)`.
        forecasts: `(rows, origins, quantiles)`.
    """
    low, median, high = np.moveaxis(forecasts, -1, 0)
    return np.abs(values - median) / np.maximum((high - low) / 2, 1e-6)


def detected(values, forecasts, size, alarms):
    """The fraction of errors in the data that an alarm finds, if one value alone is wrong.

    Args:
        values: The true values, `(rows, origins)`.
        forecasts: Forecasts of each from the true values before it, `(rows, origins, quantiles)`.
        size: What an error adds to a value, or subtracts from it.
        alarms: Fraction of true values at which the alarm may go off. This sets its threshold.

    Example:

    >>> import numpy as np
    >>> from forecasting.scores import detected
    >>> forecasts = np.tile([-1.0, 0.0, 1.0], (1, 100, 1))
    >>> detected(np.linspace(-1, 1, 100)[None], forecasts, size=1.5, alarms=0.02)
    0.74
    """
    threshold = np.quantile(surprise(values, forecasts), 1 - alarms)
    wrong = [surprise(values + sign * size, forecasts) > threshold for sign in (-1, 1)]
    return float(np.mean(wrong).round(6))

"""Forecasters: functions of a series and the end of what they may learn from.

A forecaster returns a function of origins, `(origins,)`, that returns the `QUANTILES` of the values at the
steps 1 to `horizon` after each origin, `(rows, origins, horizon, quantiles)`.
"""

import numpy as np

QUANTILES = (0.05, 0.5, 0.95)


def naive(series, origins):
    """The last value."""
    return np.repeat(series.values[:, origins, None], series.horizon, axis=2)


def seasonal_naive(series, origins):
    """The value of a season ago."""
    return series.future(origins - series.season)


def seasonal_naive_with_drift(series, origins):
    """The value of a season ago, plus the change since then."""
    change = series.values[:, origins] - series.values[:, origins - series.season]
    return seasonal_naive(series, origins) + change[..., None]


def lagged(series, origins):
    """The inputs of the last `lags` steps at each origin, `(rows * origins, features)`."""
    changes = series.inputs[:, origins[:, None] - np.arange(series.lags), 0]
    known = series.inputs[:, origins, 1:]
    return np.concatenate([changes, known], axis=2).reshape(-1, series.lags + known.shape[2])


def fit_linear(series, learned):
    """A ridge regression on lags for each step ahead, its penalty by leave-one-out cross-validation."""
    from sklearn.linear_model import RidgeCV

    targets = (series.future(learned) - naive(series, learned)).reshape(-1, series.horizon)
    ridge = RidgeCV(np.logspace(-2, 6, 17), alpha_per_target=True).fit(lagged(series, learned), targets)

    def point(series, origins):
        changes = ridge.predict(lagged(series, origins))
        return naive(series, origins) + changes.reshape(len(series.rows), len(origins), -1)

    return point


def with_intervals(point, series, learned, volatility=None):
    """Add intervals to point forecasts: the quantiles of their errors at the origins learned from.

    Args:
        point: A function of a series and origins that returns `(rows, origins, horizon)`.
        series: A `Series`.
        learned: The origins whose errors are known.
        volatility: A function of a series and origins that returns the size of errors to expect, `(rows,
            origins, 1)`. Then the quantiles are those of the errors divided by it.
    """
    size = volatility or (lambda series, origins: 1.0)
    errors = (series.future(learned) - point(series, learned)) / size(series, learned)
    outer = np.quantile(errors, QUANTILES, axis=(0, 1))  # (quantiles, horizon)
    outer[QUANTILES.index(0.5)] = 0.0

    def forecast(origins):
        distances = np.asarray(size(series, origins))[..., None] * outer.T
        return point(series, origins)[..., None] + distances

    return forecast


def recent_volatility(series, origins):
    """The mean absolute change of the last `lags` steps, `(rows, origins, 1)`."""
    return np.abs(series.inputs[:, origins[:, None] - np.arange(series.lags), 0]).mean(2)[..., None] + 0.01


# === The network ===


def quantile_loss(targets, quantiles):
    """The quantile (pinball) loss, for targets `(..., horizon)` and quantiles `(..., horizon, quantiles)`."""
    from keras import ops

    errors = ops.expand_dims(targets, -1) - quantiles
    levels = ops.convert_to_tensor(QUANTILES, errors.dtype)
    return ops.mean(ops.maximum(levels * errors, (levels - 1) * errors), axis=(-2, -1))


def build_network(features, horizon, cell, units, start):
    """A recurrent network that returns quantiles at every step.

    Args:
        features: The number of inputs.
        horizon: The number of steps ahead.
        cell, units: Of the recurrent layer.
        start: The quantiles that it returns before training, `(horizon, quantiles)`.
    """
    import keras

    import textrnn

    return keras.Sequential(
        [
            keras.Input((None, features)),
            textrnn.Recurrent(textrnn.GatedCell(units, cell), return_sequences=True, recurrent_dropout=0.25),
            keras.layers.Dense(
                start.size,
                kernel_initializer="zeros",
                bias_initializer=lambda shape, dtype=None: keras.ops.convert_to_tensor(start.ravel(), dtype),
            ),
            keras.layers.Reshape((-1, *start.shape)),
        ]
    )


def windows(series, targets, first, last):
    """Overlapping windows of the inputs and the targets in a range of origins, `(windows, window, ...)`."""
    starts = np.arange(last - series.window, first - 1, -series.stride)
    chosen = starts[:, None] + np.arange(series.window)
    return [array[:, chosen].reshape(-1, series.window, array.shape[2]) for array in (series.inputs, targets)]


def fit_network(series, learned, cell, units, epochs, seed, learning_rate=5e-3, held_out=0.15, patience=8):
    """A recurrent network that forecasts quantiles at every step, trained with the quantile loss.

    Before training it forecasts the last value with the intervals of that. The last of the origins choose
    when to stop. When it forecasts, its state is carried from the first step of the series to the last.
    """
    import keras

    keras.utils.set_random_seed(seed)
    everything = np.arange(series.values.shape[1] - series.horizon)
    changes = series.future(everything) - naive(series, everything)
    size = changes[:, learned].std(axis=(0, 1))
    targets = (changes / size).astype("float32")
    start = np.quantile(targets[:, learned], QUANTILES, axis=(0, 1)).T
    network = build_network(series.inputs.shape[2], series.horizon, cell, units, start)
    network.compile(keras.optimizers.Adam(learning_rate, clipnorm=1.0), quantile_loss)
    split = learned[-max(series.window, round(held_out * len(learned)))]
    network.fit(
        *windows(series, targets, learned[0], split - series.horizon),
        validation_data=windows(series, targets, split, learned[-1] + 1),
        batch_size=32,
        epochs=epochs,
        verbose=0,
        callbacks=[keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True)],
    )

    def forecast(origins):
        found = network.predict(series.inputs[:, : origins[-1] + 1], verbose=0)[:, origins]
        distances = np.sort(found, axis=-1) * size[:, None]
        return series.values[:, origins, None, None] + distances

    forecast.epochs = len(network.history.epoch)
    return forecast

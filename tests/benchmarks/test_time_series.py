"""Forecasts of time series: what forecasters may read, scores, and the report."""

import numpy as np
import pytest

import time_series
from forecasting import forecasters, plots, scores, series
from textrnn.errors import InputError


@pytest.fixture(scope="module")
def waves():
    """Two series with a season of 12 steps and a trend."""
    time, random = np.arange(400), np.random.default_rng(0)
    values = np.sin(2 * np.pi * time / 12) + 0.01 * time + 0.1 * random.normal(size=(2, 400))
    features = np.sin(2 * np.pi * time / 12)[:, None]
    return series.make_series(
        "waves", ["a", "b"], values, features,
        step="month", season=12, lags=6, steps=(1, 12), window=24, stride=12,
    )  # fmt: skip


LEARNED, ORIGINS = np.arange(13, 308), np.arange(320, 380)


def test_blocks_are_the_test_part_and_leave_room_for_the_horizon(waves):
    assert waves.blocks(2) == [(320, 354), (354, 388)]
    assert waves.future(np.array([387])).shape == (2, 1, 12)


def test_simple_forecasts_are_those_of_their_definitions(waves):
    values, origin = waves.values, np.array([320])
    last = forecasters.naive(waves, origin)[:, 0]
    np.testing.assert_allclose(last, np.repeat(values[:, [320]], 12, axis=1))
    seasonal = forecasters.seasonal_naive(waves, origin)[:, 0]
    np.testing.assert_allclose(seasonal, values[:, 309:321])
    drift = forecasters.seasonal_naive_with_drift(waves, origin)[:, 0]
    np.testing.assert_allclose(drift, values[:, 309:321] + (values[:, 320] - values[:, 308])[:, None])


def test_linear_forecasts_equal_least_squares_where_the_penalty_is_small(waves):
    found = forecasters.fit_linear(waves, LEARNED)(waves, ORIGINS)
    inputs = [forecasters.lagged(waves, at) for at in (LEARNED, ORIGINS)]
    ones = [np.concatenate([part, np.ones((len(part), 1))], axis=1) for part in inputs]
    targets = (waves.future(LEARNED) - forecasters.naive(waves, LEARNED)).reshape(-1, 12)
    expected = ones[1] @ np.linalg.lstsq(ones[0], targets)[0]
    np.testing.assert_allclose(
        (found - forecasters.naive(waves, ORIGINS)).reshape(-1, 12), expected, atol=0.2
    )


def test_intervals_cover_nine_tenths_of_what_they_learned_from(waves):
    for volatility in (None, forecasters.recent_volatility):
        forecast = forecasters.with_intervals(forecasters.seasonal_naive, waves, LEARNED, volatility)
        coverage = scores.score(waves.future(LEARNED), forecast(LEARNED))[2].mean(axis=0)
        np.testing.assert_allclose(coverage, 0.9, atol=0.01)


def test_forecasters_read_nothing_after_the_origin_nor_learn_after_their_end(waves):
    changed = waves.values.copy()
    changed[:, 321:] += 100
    other = series.Series(**{**vars(waves), "values": changed, "inputs": waves.inputs.copy()})
    other.inputs[:, 321:, 0] = 5
    origin = np.array([320])
    for fit in (forecasters.fit_linear, lambda one, learned: forecasters.seasonal_naive_with_drift):
        both = [fit(one, LEARNED)(one, origin) for one in (waves, other)]
        np.testing.assert_allclose(*both)
    networks = [forecasters.fit_network(one, LEARNED, "gru", 4, 1, seed=0) for one in (waves, other)]
    np.testing.assert_allclose(*(forecast(origin) for forecast in networks), atol=1e-6)


def test_an_untrained_network_is_the_naive_forecast_with_its_intervals(waves):
    start = np.arange(36.0).reshape(12, 3)
    network = forecasters.build_network(2, 12, "gru", 4, start)
    np.testing.assert_allclose(network(np.ones((1, 5, 2)))[0, -1], start)


def test_the_quantile_loss_is_that_of_scikit_learn():
    from sklearn.metrics import mean_pinball_loss

    random = np.random.default_rng(0)
    targets, quantiles = random.normal(size=(5, 4)), random.normal(size=(5, 4, 3))
    expected = np.mean(
        [
            mean_pinball_loss(targets.ravel(), quantiles[..., i].ravel(), alpha=level)
            for i, level in enumerate(forecasters.QUANTILES)
        ]
    )
    np.testing.assert_allclose(np.mean(forecasters.quantile_loss(targets, quantiles)), expected, rtol=1e-6)
    np.testing.assert_allclose(scores.score(targets[None], quantiles[None])[1].mean(), expected)


def test_the_largest_surprises_are_at_different_steps():
    values = np.array([[1, 9, 8, 2, 3.0], [1, 7, 1, 1, 4.0]])
    assert plots.largest(values, 2) == [(0, 1), (1, 4)]


def test_a_run_is_reported_and_drawn_again(tmp_path, capsys):
    pytest.importorskip("statsmodels", reason="not installed: pip install 'textrnn[bench]'")
    options = ["--series", "co2", "--quick", "--units", "4", "--output", str(tmp_path)]
    time_series.main(options)
    first = capsys.readouterr().out
    assert "| CO2 | 52 | network (gru) |" in first and "| forecast | 0.5 ppm |" in first
    assert "| CO2 | 1 | naive | 1.000 | 1.000 |" in first
    plot = (tmp_path / "time_series.png").read_bytes()
    assert len(plot) > 20_000
    time_series.main([*options, "--draw"])
    assert capsys.readouterr().out == first == (tmp_path / "time_series.md").read_text("utf-8")


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTRNN_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"exchange_rate.txt.gz does not exist. .* set TEXTRNN_DATA"):
        series.exchange_rates()

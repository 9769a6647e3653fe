"""The benchmark of several workers."""

import pytest

import distribution


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_it_measures_a_recipe_up_to_its_training(processes):
    measured = distribution.run("sentiment", processes, threads=1, steps=2)
    assert measured["milliseconds"] > 0
    assert 1e5 < measured["bytes"] < 1e6


def test_the_bandwidth_is_that_at_which_the_exchange_takes_as_long_as_the_step():
    measured = {name: {"milliseconds": 100.0, "bytes": 5_000_000} for name in distribution.CONTESTANTS}
    *_, row = distribution.table({"sentiment": measured}).splitlines()
    assert row == "| sentiment | 100.0 | 100.0 | 100.0 | 5.0 | 0.40 |"  # 40 Mbit in 0.1 s

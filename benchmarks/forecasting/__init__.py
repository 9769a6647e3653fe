"""Forecasts of numeric series: the data, the forecasters, and the report of `time_series.py`."""

"""A log file gets a line a minute."""

import re

import keras
from builders.training import QUIET, line

from textrnn import training
from textrnn.training import LogFile


def test_each_line_has_its_time_and_a_second_run_appends(tmp_path, monkeypatch):
    monkeypatch.setattr(LogFile, "plain_interval", 0.0)
    path = tmp_path / "report" / "log.txt"
    model, data = line()
    for _ in range(2):
        training.fit(model, data, epochs=1, log=path, **QUIET)
    lines = path.read_text().splitlines()
    assert all(re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  ", each) for each in lines)
    assert [each[21:36] for each in lines].count("training begins") == 2
    assert sum("80%" in each for each in lines) == 2
    assert sum("elapsed" in each for each in lines) == 2


def test_an_evaluation_within_an_epoch_has_a_line(tmp_path):
    model, data = line()
    evaluate = training.Evaluate(lambda: {"val_loss": 2.5}, every=5)
    training.fit(model, data, epochs=1, callbacks=[evaluate], log=tmp_path / "log.txt", **QUIET)
    assert "epoch 0.50/1  loss 0" in (tmp_path / "log.txt").read_text()


def test_a_folder_that_is_moved_away_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(LogFile, "plain_interval", 0.0)
    path, moved = tmp_path / "report" / "log.txt", tmp_path / "moved"
    sample = training.SampleText(lambda epoch: "a text", tmp_path / "report" / "samples.txt")
    move = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: path.parent.rename(moved))
    model, data = line()
    training.fit(model, data, epochs=1, callbacks=[sample, move], log=path, **QUIET)
    assert "elapsed" in path.read_text() and "training begins" in (moved / "log.txt").read_text()
    assert "a text" in (tmp_path / "report" / "samples.txt").read_text()

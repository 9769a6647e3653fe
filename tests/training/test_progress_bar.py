"""`ProgressBar` shows a bar on a terminal and prints plain lines elsewhere."""

import io
import re

import pytest
from builders.training import ROWS, STEPS, Terminal, language_model_of_bigrams, line, windows

from textrnn import training
from textrnn.text_generation.evaluation import validation_metrics
from textrnn.training import Evaluate, ProgressBar, progress_bar


def test_a_log_file_gets_plain_lines_during_and_after_each_epoch():
    model, log = language_model_of_bigrams(), io.StringIO()
    bar = ProgressBar(unit="tok", items_per_batch=ROWS * STEPS, file=log)
    bar.plain_interval = 0.0
    evaluate = Evaluate(validation_metrics(model, windows(2, weighted=True, seed=1), 20))
    result = training.fit(model, windows(8), epochs=2, callbacks=[evaluate], progress=bar)
    text = log.getvalue()
    assert "\r" not in text
    assert re.search(
        r"^epoch 1/2  25%, \S+ tok/s, \d\d:\d\d left, \d\d:\d\d of all epochs, loss 1\.\d+$", text, re.M
    )
    assert re.search(r"^epoch 2/2  88%, \S+ tok/s, \d\d:\d\d left, loss 1\.\d+$", text, re.M)
    end = r"  loss \S+  validation loss \S+  perplexity \S+  bits/char \S+  \S+ tok/s  \d\d:\d\d elapsed$"
    assert len(re.findall(r"^epoch [12]/2" + end, text, re.M)) == 2
    assert result.items_per_second > 0


def test_a_log_file_gets_one_line_for_each_short_epoch():
    model, data = line(batches=50)
    log = io.StringIO()
    training.fit(model, data, epochs=2, progress=ProgressBar(file=log))
    assert [text.split("  ")[0] for text in log.getvalue().splitlines()] == ["epoch 1/2", "epoch 2/2"]


def test_a_terminal_gets_a_bar_that_leaves_one_line_behind():
    model, data = line()
    screen = Terminal()
    bar = ProgressBar(file=screen)
    bar.live_interval = 0.0
    training.fit(model, data, epochs=1, progress=bar)
    assert "90%" in screen.getvalue()
    lines = [text.split("\r")[-1] for text in screen.getvalue().split("\n")]
    assert [text for text in lines if text.strip()] == [lines[0]]
    assert lines[0].startswith("epoch 1/1  loss ")


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # how Keras learns the length
def test_data_of_unknown_length_has_no_percentage():
    model, data = line()
    log = io.StringIO()
    bar = ProgressBar(file=log)
    bar.plain_interval = 0.0
    training.fit(model, data.filter(lambda *_: True), epochs=1, progress=bar)
    assert "epoch 1/1  9 batches, " in log.getvalue()
    assert "%" not in log.getvalue()


def test_the_loss_in_the_bar_is_the_recent_one():
    bar = ProgressBar(file=io.StringIO())
    bar.set_params({"epochs": 1, "steps": 2000})
    bar.on_train_begin()
    bar.on_epoch_begin(0)
    total = 0.0
    for batch in range(2000):
        total += 8.0 if batch < 1000 else 2.0
        bar.on_train_batch_end(batch, {"loss": total / (batch + 1)})
        if batch % 10 == 9:
            bar._smooth_loss()
    assert bar._loss == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize("first, within", [(0, 0.0), (60, 0.0), (60, 30.0)])
def test_the_time_left_is_that_of_whole_epochs_also_in_a_resumed_run(monkeypatch, first, within):
    """An epoch has 100 batches of a second each, and evaluations of 10 s after it and of `within` in it.

    A resumed run begins with the state of a checkpoint, which is older if there was no evaluation.
    """
    now = 0.0
    monkeypatch.setattr(progress_bar.time, "perf_counter", lambda: now)
    log = io.StringIO()
    bar = ProgressBar(file=log)
    bar.plain_interval = 50.0
    bar.set_params({"epochs": 3, "steps": 100})
    bar.on_train_begin()
    for epoch in range(2):
        bar.on_epoch_begin(epoch)
        if epoch == 0 and first:
            earlier = {"overhead": 0.0, "between": within} if within else {"epoch_seconds": None}
            bar.set_state({"elapsed": 60.0, "items_per_second": 1.0} | earlier)
            assert set(bar.get_state()) == {"elapsed", "items_per_second", "overhead", "between"}
        for batch in range(first if epoch == 0 else 0, 100):
            bar.on_train_batch_begin(batch)
            now += 1.0
            bar.on_train_batch_end(batch, {"loss": 1.0})
            if batch == (20 if epoch == 0 else 80) and within:
                now += within
                bar.on_evaluation(epoch + 0.8, {}, within)
        now += 10.0
        bar.on_epoch_end(epoch)
    left = 50 + 100 + 10 + within
    assert (
        f"epoch 2/3  50%, 1 batch/s, 00:50 left, {left // 60:02.0f}:{left % 60:02.0f} of all epochs"
        in log.getvalue()
    )

"""The progress bar of a training run."""

import sys
import time

import keras
from tqdm import tqdm

from textrnn.training.messages import format_count, format_metrics, format_number


class ProgressBar(keras.callbacks.Callback):
    """Shows a progress bar during each epoch, and prints one line after it.

    The bar shows how much of the epoch is done, the speed, the time left for the epoch and for all epochs,
    and a running mean of the recent loss. If the output is no terminal (a log file, CI), it prints a line
    every 30 seconds instead. The line after an epoch has the loss, all `val_` metrics in the logs, the speed
    and the time since training began. Callbacks that add metrics to the logs must come before this one.

    The speed is that of training only, without evaluation, sampling and the first batch of an epoch.

    Args:
        unit: The unit of the speed, such as `"tok"`.
        items_per_batch: Number of units in a batch. By default, batches are counted.
        file: The file to print to. The default is `sys.stderr`.

    Attributes:
        items_per_second: Mean speed of the latest epoch, None before its second batch.

    Example:

    >>> import keras, numpy as np, sys
    >>> from textrnn.training import ProgressBar
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile("sgd", "mse")
    >>> data = np.zeros((4, 1))
    >>> bar = ProgressBar(unit="row", items_per_batch=2, file=sys.stdout)
    >>> _ = model.fit(data, data, batch_size=2, epochs=1, verbose=0, callbacks=[bar])  # doctest: +ELLIPSIS
    epoch 1/1  loss 0.0000  ... row/s  ... elapsed
    """

    async_safe = True
    live_interval = 0.5  # seconds between updates of the bar
    plain_interval = 30.0  # seconds between lines if the output is no terminal

    def __init__(self, unit="batch", items_per_batch=None, file=None):
        super().__init__()
        self.unit = unit if items_per_batch else "batch"
        self.items_per_batch = items_per_batch or 1
        self.file = file
        self.items_per_second = None
        self._bar: tqdm | None = None

    def on_train_begin(self, logs=None):
        """Start the clock."""
        self._file = self.file or sys.stderr
        self._live = self._file.isatty()
        self._train_start = time.perf_counter()
        self._between = 0.0
        self._overhead = 0.0  # seconds of the latest epoch beside its batches: evaluation, sampling

    def on_epoch_begin(self, epoch, logs=None):
        """Open a bar."""
        now = time.perf_counter()
        self._epoch = epoch
        self._between = 0.0  # seconds of evaluations within this epoch
        self._shown_at = now
        self._first = None  # the first batch of this epoch, or of the rest of it in a resumed run
        self._mark = (0, now)  # batches done, and the time, where the measurement of the speed begins
        self._done = (0, now, None)  # batches done, the time, and the running mean of the loss
        self._averaged = (0, 0.0)  # batches and running mean of the loss when it was last smoothed
        self._loss = None
        if self._live:
            self._bar = tqdm(
                total=self.params.get("steps"), file=self._file, leave=False, dynamic_ncols=True,
                bar_format=f"{self._title()}: starting",
            )  # fmt: skip

    def on_train_batch_begin(self, batch, logs=None):
        """Update the bar, or print a line, after the interval."""
        now = time.perf_counter()
        if self._first is None:
            self._first = batch
        elif self._mark[0] == 0:
            self._mark = (batch, now)  # the first batch traces the model and fills the input pipeline
        if batch == self._first or now - self._shown_at < (
            self.live_interval if self._live else self.plain_interval
        ):
            return
        self._shown_at = now
        text = self._progress(batch)
        if self._bar is not None:
            bar = "|{bar:20}|" if self.params.get("steps") else ""
            self._bar.bar_format = f"{self._title()} {bar} {text}"
            self._bar.n = batch
            self._bar.refresh()
        else:
            self._print(f"{self._title()}  {text}")

    def on_train_batch_end(self, batch, logs=None):
        """Store the loss and the time."""
        if batch + 1 > self._done[0]:
            self._done = (batch + 1, time.perf_counter(), (logs or {}).get("loss"))

    def on_evaluation(self, epoch, logs, seconds):
        """Print the metrics of an evaluation within the epoch, and exclude its duration from the speed.

        Args:
            epoch: Number of epochs trained, 2.5 in the middle of the third, 0 before training.
            logs: The metrics.
            seconds: Duration of the evaluation.
        """
        if epoch == 0:
            self._print(f"before training  {format_metrics(logs)}")
            return
        self._between += seconds
        (first, since), (done, until, loss) = self._mark, self._done
        self._mark, self._done = (first, since + seconds), (done, until + seconds, loss)
        self._print(f"epoch {epoch:.2f}/{self.params['epochs']}  {format_metrics(logs)}")

    def on_epoch_end(self, epoch, logs=None):
        """Close the bar and print the line of the epoch."""
        self.close()
        now = time.perf_counter()
        self._measure_speed()
        self._overhead = self._between + now - self._done[1]
        parts = [self._title(), format_metrics(logs or {}), self._speed()]
        parts.append(f"{tqdm.format_interval(now - self._train_start)} elapsed")
        self._print("  ".join(part for part in parts if part))

    def on_train_end(self, logs=None):
        """Close the bar."""
        self.close()

    def get_state(self):
        """Return what a checkpoint saves: the time since training began, that of evaluations, the speed."""
        return {
            "elapsed": time.perf_counter() - self._train_start,
            "overhead": self._overhead,
            "between": self._between,
            "items_per_second": self.items_per_second,
        }

    def set_state(self, state):
        """Go on with what a checkpoint has saved."""
        self._train_start = time.perf_counter() - state["elapsed"]
        self._overhead = state.get("overhead", 0.0)  # older checkpoints have neither
        self._between = state.get("between", 0.0)
        self.items_per_second = state["items_per_second"]

    def close(self):
        """Remove the bar. Call it if training ends with an exception, without `on_train_end`."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _title(self):
        return f"epoch {self._epoch + 1}/{self.params['epochs']}"

    def _print(self, text):
        tqdm.write(text, file=self._file)
        self._file.flush()

    def _measure_speed(self):
        """Return the seconds per batch, and store the speed."""
        batches, seconds = self._done[0] - self._mark[0], self._done[1] - self._mark[1]
        if self._mark[0] == 0 or batches < 1 or seconds <= 0:
            return None
        self.items_per_second = batches * self.items_per_batch / seconds
        return seconds / batches

    def _speed(self):
        if self.items_per_second is None:
            return ""
        return f"{format_count(self.items_per_second)} {self.unit}/s"

    def _progress(self, batch):
        seconds_per_batch, steps = self._measure_speed(), self.params.get("steps")
        self._smooth_loss()
        parts = [f"{batch / steps:.0%}" if steps else f"{batch} batches", self._speed()]
        if steps and seconds_per_batch is not None:
            left = (steps - batch) * seconds_per_batch
            epochs_left = self.params["epochs"] - self._epoch - 1
            left_of_all = left + epochs_left * (steps * seconds_per_batch + self._overhead)
            parts.append(f"{tqdm.format_interval(left)} left")
            if epochs_left:
                parts.append(f"{tqdm.format_interval(left_of_all)} of all epochs")
        if self._loss is not None:
            parts.append(f"loss {format_number(self._loss, 3)}")
        return ", ".join(part for part in parts if part)

    def _smooth_loss(self):
        """Update the mean of the recent loss. The mean in Keras's logs is over the epoch, and so lags."""
        batches, _, mean = self._done
        before, mean_before = self._averaged
        if mean is None or batches <= before:
            return
        recent = (mean * batches - mean_before * before) / (batches - before)
        weight = 0.98 ** (batches - before) if self._loss is not None else 0.0
        self._loss = recent if weight == 0.0 else weight * self._loss + (1 - weight) * recent
        self._averaged = (batches, mean)

"""What watches a training run: its progress, its held-out score, its best weights, its samples.

Keras turns the logs of every batch into numbers before a callback sees them, which waits for the device.
The callbacks here are `async_safe`: Keras calls their `on_train_batch_end` on another thread, where they
only note numbers, and whatever prints or touches weights happens at `on_train_batch_begin`, on the main one.
What is said while training goes to stderr, as the bar does; stdout is left to the results.
"""

import math
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from textrnn.errors import InputError
from textrnn.evaluation import LanguageModelEvaluator


class ProgressBar(keras.callbacks.Callback):
    """One bar for each epoch and, when the epoch ends, one line that stays.

    The bar shows the share of the epoch that is done, the speed, the time left of the epoch and of the
    whole training, and the recent loss. On a terminal it is live; elsewhere (a log file, CI) it is a plain
    line every half a minute. The line at the end has every loss and `val_` metric in the logs, the
    speed and the time since training began. Put it behind the callbacks that write metrics into the logs.

    Speed counts training alone: neither evaluation, nor sampling, nor an epoch's first batch.

    Args:
        unit: What is counted, such as `"tok"`.
        items_per_batch: How many of them a batch has; without it, batches are counted.
        file: Where to print; `sys.stderr` by default.

    Attributes:
        items_per_second: The mean speed of the latest epoch; None before its second batch.

    Example:

    >>> import keras, numpy as np, sys
    >>> from textrnn.training import ProgressBar
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile("sgd", "mse")
    >>> data = np.zeros((4, 1))
    >>> bar = ProgressBar(unit="row", items_per_batch=2, file=sys.stdout)
    >>> _ = model.fit(data, data, batch_size=2, epochs=1, verbose=0, callbacks=[bar])  # doctest: +ELLIPSIS
    epoch 1/1  loss 0.0000  ... row/s  00:00 elapsed
    """

    async_safe = True
    live_interval = 0.5  # seconds between two updates of the bar
    plain_interval = 30.0  # seconds between two plain lines

    def __init__(self, unit="batch", items_per_batch=None, file=None):
        super().__init__()
        self.unit = unit if items_per_batch else "batch"
        self.items_per_batch = items_per_batch or 1
        self.file = file
        self.items_per_second = None
        self._bar: tqdm | None = None

    def on_train_begin(self, logs=None):
        """Starts the clock."""
        self._file = self.file or sys.stderr
        self._live = self._file.isatty()
        self._train_start = time.perf_counter()
        self._epoch_seconds = None

    def on_epoch_begin(self, epoch, logs=None):
        """Opens a bar."""
        now = time.perf_counter()
        self._epoch = epoch
        self._epoch_start = self._shown_at = now
        self._mark = (0, now)  # batches done and the time, from which speed is measured
        self._done = (0, now, None)  # batches done, the time, and the running mean of the loss
        self._averaged = (0, 0.0)  # batches and running mean of the loss when it was last smoothed
        self._loss = None
        if self._live:
            self._bar = tqdm(
                total=self.params.get("steps"), file=self._file, leave=False, dynamic_ncols=True,
                bar_format=f"{self._title()}: starting",
            )  # fmt: skip

    def on_train_batch_begin(self, batch, logs=None):
        """Shows how far the epoch is, if it is time to."""
        now = time.perf_counter()
        if self._mark[0] == 0 and batch > 0:
            self._mark = (batch, now)  # the first batch was spent tracing and filling the input pipeline
        if batch == 0 or now - self._shown_at < (self.live_interval if self._live else self.plain_interval):
            return
        self._shown_at = now
        text = self._progress(batch)
        if self._bar is not None:
            bar = "|{bar:20}|" if self.params.get("steps") else ""
            self._bar.bar_format = f"{self._title()} {bar} {text}"
            self._bar.n = batch
            self._bar.refresh()
        else:
            self._say(f"{self._title()}  {text}")

    def on_train_batch_end(self, batch, logs=None):
        """Notes the loss and the time."""
        if batch + 1 > self._done[0]:
            self._done = (batch + 1, time.perf_counter(), (logs or {}).get("loss"))

    def on_evaluation(self, epoch, logs, seconds):
        """Says the score of an evaluation within the epoch and takes its time off the clock.

        Args:
            epoch: The number of epochs trained, 2.5 in the middle of the third.
            logs: The metrics.
            seconds: How long the evaluation took.
        """
        (first, since), (done, until, loss) = self._mark, self._done
        self._mark, self._done = (first, since + seconds), (done, until + seconds, loss)
        self._say(f"epoch {epoch:.2f}/{self.params['epochs']}  {_metrics(logs)}")

    def on_epoch_end(self, epoch, logs=None):
        """Closes the bar and prints the epoch's line."""
        self.close()
        now = time.perf_counter()
        self._measure_speed()
        self._epoch_seconds = now - self._epoch_start
        parts = [self._title(), _metrics(logs or {}), self._speed()]
        parts.append(f"{tqdm.format_interval(now - self._train_start)} elapsed")
        self._say("  ".join(part for part in parts if part))

    def on_train_end(self, logs=None):
        """Closes the bar."""
        self.close()

    def close(self):
        """Removes the bar; for when training ends by an exception, and `on_train_end` is not called."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _title(self):
        return f"epoch {self._epoch + 1}/{self.params['epochs']}"

    def _say(self, text):
        tqdm.write(text, file=self._file)
        self._file.flush()

    def _measure_speed(self):
        """Returns the seconds of a batch, and keeps the speed."""
        batches, seconds = self._done[0] - self._mark[0], self._done[1] - self._mark[1]
        if self._mark[0] == 0 or batches < 1 or seconds <= 0:
            return None
        self.items_per_second = batches * self.items_per_batch / seconds
        return seconds / batches

    def _speed(self):
        if self.items_per_second is None:
            return ""
        return f"{_count(self.items_per_second)} {self.unit}/s"

    def _progress(self, batch):
        seconds_per_batch, steps = self._measure_speed(), self.params.get("steps")
        self._smooth_loss()
        parts = [f"{batch / steps:.0%}" if steps else f"{batch} batches", self._speed()]
        if steps and seconds_per_batch is not None:
            left = (steps - batch) * seconds_per_batch
            epochs_left = self.params["epochs"] - self._epoch - 1
            # A finished epoch tells what evaluation and sampling add.
            left_of_all = left + epochs_left * (self._epoch_seconds or steps * seconds_per_batch)
            parts.append(f"{tqdm.format_interval(left)} left")
            if epochs_left:
                parts.append(f"{tqdm.format_interval(left_of_all)} of all epochs")
        if self._loss is not None:
            parts.append(f"loss {_number(self._loss, 3)}")
        return ", ".join(part for part in parts if part)

    def _smooth_loss(self):
        """The loss in Keras's logs is a mean since the epoch began, which lags; this takes it apart."""
        batches, _, mean = self._done
        before, mean_before = self._averaged
        if mean is None or batches <= before:
            return
        recent = (mean * batches - mean_before * before) / (batches - before)
        weight = 0.98 ** (batches - before) if self._loss is not None else 0.0
        self._loss = recent if weight == 0.0 else weight * self._loss + (1 - weight) * recent
        self._averaged = (batches, mean)


class Evaluate(keras.callbacks.Callback):
    """Scores a language model on held-out text after each epoch.

    Writes `val_loss`, `val_perplexity` and `val_bits_per_character` into the logs, so put it in front of
    the callbacks that read them. An epoch whose training loss is not finite is not evaluated.

    Args:
        dataset: Batches `(x, targets, sample_weight)`, as `textrnn.evaluation.language_model` takes them.
        characters: The number of characters of the held-out text.
        every: Also evaluate after each so many batches of an epoch; for text so long that one epoch
            takes hours. Needs training data of known length.

    Attributes:
        scores: The scores so far, each with the number of epochs after which it was taken:
            `[(0.5, score), (1, score), ...]`.
        listeners: Callbacks whose `on_evaluation(epoch, logs, seconds)` is called after an evaluation within
            an epoch, if they have it; `textrnn.training.fit` fills in the callbacks of the run.

    Example:

    >>> import keras, numpy as np
    >>> from textrnn.training import Evaluate
    >>> model = keras.Sequential([keras.Input((None,), dtype="int32"),
    ...                           keras.layers.Embedding(4, 4, embeddings_initializer="zeros")])
    >>> model.compile(keras.optimizers.SGD(0.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> batch = np.zeros((2, 5), "int32")
    >>> evaluate = Evaluate([(batch, batch)], characters=10)
    >>> history = model.fit(batch, batch, verbose=0, callbacks=[evaluate]).history
    >>> [round(value, 3) for value in history["val_bits_per_character"]]
    [2.0]
    """

    async_safe = True

    def __init__(self, dataset, characters, every=None):
        super().__init__()
        if every is not None and every < 1:
            raise InputError(f"every is {every}: give the number of batches between two evaluations, or None")
        self.dataset = dataset
        self.characters = characters
        self.every = every
        self.scores = []
        self.listeners: Sequence[keras.callbacks.Callback] = ()
        self._evaluate: Any = None  # a LanguageModelEvaluator, once there is a model

    def set_model(self, model):
        """Prepares the model; Keras calls this before it traces the training step, which is needed."""
        super().set_model(model)
        if self._evaluate is None or self._evaluate.model is not model:
            self._evaluate = LanguageModelEvaluator(model)
        self._evaluate.prepare(self.dataset)

    def on_train_begin(self, logs=None):
        """Forgets the scores of an earlier run."""
        self.scores = []
        if self.every and not self.params.get("steps"):
            raise InputError(
                "evaluating within an epoch needs training data of known length: "
                "use tf.data.experimental.assert_cardinality, or leave `every` out"
            )

    def on_epoch_begin(self, epoch, logs=None):
        """Notes where the epoch begins."""
        self._epoch = epoch
        self._evaluated_at = 0

    def on_train_batch_begin(self, batch, logs=None):
        """Evaluates within the epoch, if asked to."""
        if not self.every or batch - self._evaluated_at < self.every:
            return
        self._evaluated_at = batch
        train_loss = float(self.model.get_metrics_result().get("loss", math.nan))
        if not math.isfinite(train_loss):
            return
        start = time.perf_counter()
        position = round(self._epoch + batch / self.params["steps"], 4)
        logs = {"loss": train_loss, **self._score(position)}
        seconds = time.perf_counter() - start
        for listener in self.listeners:
            if hasattr(listener, "on_evaluation"):
                listener.on_evaluation(position, logs, seconds)

    def on_epoch_end(self, epoch, logs=None):
        """Evaluates and writes the metrics into `logs`."""
        if logs is not None and math.isfinite(logs.get("loss", 0.0)):
            logs.update(self._score(epoch + 1))

    def _score(self, position):
        score = self._evaluate(self.dataset, self.characters)
        self.scores.append((position, score))
        return {
            "val_loss": score.loss,
            "val_perplexity": score.perplexity,
            "val_bits_per_character": score.bits_per_character,
        }


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights worth keeping, and stops a training whose loss is no longer finite.

    When training ends, however it ends, the model has the weights of the lowest `monitor`. If nothing was
    evaluated yet, it has its current weights, or the last finite ones if those are spoilt. What is kept is
    kept in memory, without the optimizer's state: compile anew to train on after a loss that is not finite.

    Args:
        monitor: The metric in the logs whose lowest finite value is best.
        every: Until the first evaluation, note the weights every so many batches.

    Attributes:
        best: The lowest `monitor`, or None.
        best_epoch: The number of epochs after which it was reached: 3, or 2.5 within the third. None before.
        not_finite: The first `(epoch, step)`, both from 1, whose loss was not finite, or None. The step is
            None if it was the weights that were not finite, after the last loss.

    Example:

    >>> import keras, numpy as np
    >>> from textrnn.training import BestWeights
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> best = BestWeights(monitor="loss")
    >>> _ = model.fit(np.ones((4, 1)), np.zeros((4, 1)), epochs=3, verbose=0, callbacks=[best])
    >>> best.best_epoch
    3
    """

    async_safe = True

    def __init__(self, monitor="val_loss", every=100):
        super().__init__()
        self.monitor = monitor
        self.every = every
        self._reset()

    def _reset(self):
        self.best = self.best_epoch = None
        self.not_finite: tuple[int, int | None] | None = None
        self._kept: tuple | None = None  # where the weights are from, in words, and the weights
        self._epoch = self._noted_at = 0
        self._bad_steps = []

    def on_train_begin(self, logs=None):
        """Forgets an earlier run and notes the weights."""
        self._reset()
        self._keep("before training")

    def on_epoch_begin(self, epoch, logs=None):
        """Notes where the epoch begins."""
        self._epoch = epoch
        self._noted_at = 0

    def on_train_batch_begin(self, batch, logs=None):
        """Notes the weights now and then, until there is a best."""
        if self.best is None and batch - self._noted_at >= self.every and not self._bad_steps:
            self._noted_at = batch
            self._keep(f"of epoch {self._epoch + 1}, step {batch}")

    def on_train_batch_end(self, batch, logs=None):
        """Stops training if the loss is not finite."""
        # Keras's loss is a running mean, so one such step spoils every later one: the first counts.
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self._bad_steps.append(batch + 1)
            self.model.stop_training = True

    def on_evaluation(self, epoch, logs, seconds=0.0):
        """Keeps the weights if they are the best so far.

        Args:
            epoch: The number of epochs trained, 2.5 in the middle of the third.
            logs: The metrics.
            seconds: How long the evaluation took.
        """
        value = logs.get(self.monitor)
        if value is None or not math.isfinite(value) or (self.best is not None and value >= self.best):
            return
        if self._keep(f"of epoch {epoch} ({self.monitor} {value:.4f})"):
            self.best, self.best_epoch = value, epoch

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the weights if they are the best so far."""
        if self._bad_steps:
            self.not_finite = (epoch + 1, min(self._bad_steps))
            self.model.stop_training = True
        else:
            self.on_evaluation(epoch + 1, logs or {})

    def on_train_end(self, logs=None):
        """Puts the best weights back and says so if training failed."""
        if self.not_finite is None and self.best is None and not _finite(self.model.get_weights()):
            self.not_finite = (self._epoch + 1, None)
        origin = self.restore()
        if self.not_finite is not None:
            _say(self._advice(*self.not_finite, origin))

    def restore(self):
        """Puts the best weights into the model; the class says which those are when there is no best.

        Returns:
            Which weights the model has now, in words: `"of epoch 3 (val_loss 1.2345)"`.
        """
        spoilt = self._bad_steps or not _finite(self.model.get_weights())
        if self._kept is None or (self.best is None and not spoilt):
            return "of the last step"
        origin, values = self._kept
        for variable, value in values:
            variable.assign(value)
        return origin

    def _keep(self, origin):
        """Keeps the weights, unless they are not finite; returns whether it did."""
        # Pairs, since a model may gain variables while it trains.
        kept = [(variable, variable.numpy()) for variable in self.model.weights]
        if not _finite(value for _, value in kept):
            return False
        self._kept = (origin, kept)
        return True

    def _advice(self, epoch, step, origin):
        what = f"the loss was not finite at step {step}" if step else "the weights were not finite at the end"
        learning_rate, clipping = _learning_rate(self.model.optimizer), _clipping(self.model.optimizer)
        clip = "clip the gradients (they are not; try global_clipnorm=1.0)"
        if clipping is not None:
            clip = f"clip the gradients harder (now {clipping[0]}={clipping[1]:g}; try {clipping[1] / 2:g})"
        return (
            f"Training stopped in epoch {epoch}: {what}. The model has the weights {origin}. "
            f"Lower the learning rate (now {learning_rate:.3g}; try {learning_rate / 3:.1g}) or {clip}."
        )


class SampleText(keras.callbacks.Callback):
    """Prints what the model writes after each epoch, and collects it in a file.

    Args:
        generate: `generate(epoch) -> str`, where the epoch counts from 1.
        path: A text file that is begun anew with the training, or None.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> from pathlib import Path
    >>> from textrnn.training import SampleText
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> path = Path(tempfile.mkdtemp()) / "samples.txt"
    >>> sample = SampleText(lambda epoch: f"Once upon a time, {epoch}.", path)
    >>> _ = model.fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0, callbacks=[sample])
    >>> print(path.read_text(encoding="utf-8").strip())
    --- sample after epoch 1 ---
    Once upon a time, 1.
    """

    async_safe = True

    def __init__(self, generate, path=None):
        super().__init__()
        self.generate = generate
        self.path = None if path is None else Path(path)

    def on_train_begin(self, logs=None):
        """Begins the file."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text("", encoding="utf-8")

    def on_epoch_end(self, epoch, logs=None):
        """Prints and writes one sample, unless the loss is not finite."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            return
        text = self.generate(epoch + 1)
        heading = f"--- sample after epoch {epoch + 1} ---"
        _say(f"\n  {heading}\n{textwrap.indent(_printable(text), '    ')}\n")
        if self.path is not None:
            with self.path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(f"{heading}\n{text}\n\n")


def _say(text):
    """Prints on stderr without disturbing a bar."""
    tqdm.write(text, file=sys.stderr)


def _printable(text):
    """The text without what a terminal would take for a command; a young model may write anything."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _metrics(logs):
    """The loss and what was measured on held-out data, in words."""
    names = {"val_loss": "held-out loss", "val_bits_per_character": "bits/char"}
    shown = {"loss": ("loss", logs["loss"])} if "loss" in logs else {}
    for key in ("val_loss", "val_perplexity", "val_bits_per_character", *logs):
        if key in logs and key.startswith("val_"):
            shown[key] = (names.get(key, key.removeprefix("val_")), logs[key])
    digits = {"loss": 4, "val_loss": 4, "val_perplexity": 2}
    return "  ".join(f"{name} {_number(value, digits.get(key, 3))}" for key, (name, value) in shown.items())


def _number(value, digits):
    return f"{value:.{digits}f}" if abs(value) < 1e5 else f"{value:.3g}"


def _count(number):
    """A number in three digits: 18.2k."""
    return f"{number:.3g}" if number < 100 else tqdm.format_sizeof(number)


def _finite(values):
    # NumPy cannot ask this of all of Keras's dtypes, but of float32 it can.
    return all(np.isfinite(value.astype("float32")).all() for value in values)


def _learning_rate(optimizer):
    """The rate that was asked for: of a schedule the highest, not what it happens to be now."""
    rate = optimizer.get_config().get("learning_rate")
    if isinstance(rate, dict):
        config = rate["config"]
        rate = config.get("warmup_target") or config.get("initial_learning_rate")
    return float(optimizer.learning_rate if rate is None else rate)


def _clipping(optimizer):
    """The name and value of the clipping in use, or None."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    for name in ("global_clipnorm", "clipnorm", "clipvalue"):
        if getattr(optimizer, name, None):
            return name, getattr(optimizer, name)
    return None

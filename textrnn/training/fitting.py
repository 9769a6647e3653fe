"""`fit`, a wrapper of Keras's that keeps the best weights, and can be stopped, killed and resumed."""

import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass

import keras

from textrnn.errors import expect
from textrnn.training.best_weights import BestWeights
from textrnn.training.distributed_steps import check_model
from textrnn.training.distribution import workers
from textrnn.training.evaluate import Evaluate
from textrnn.training.log_file import LogFile
from textrnn.training.messages import print_message
from textrnn.training.progress_bar import ProgressBar
from textrnn.training.resuming import fit_from, resumable
from textrnn.training.sample_text import SampleText
from textrnn.training.tensorboard import TensorBoard


@dataclass(frozen=True)
class TrainingResult:
    """The result of `fit`.

    Attributes:
        history: A dict of columns of equal length. `epoch` is 1, 2, ..., and 1.5 for an evaluation in the
            middle of the second epoch. `loss` is the mean since the beginning of the epoch. Other metrics
            are None where they were not measured.
        stopped: None, `"interrupted"` (Ctrl-C) or `"not finite"` (the loss).
        best_epoch: The epoch, as in `history`, whose weights the model has. None if there was no
            evaluation, and the model has its last weights.
        seconds: Duration of training, evaluation and sampling included.
        items_per_second: Training speed of the last epoch in the unit of the progress bar, or None if there
            were too few batches to measure it.
        resumed: How often the run was resumed from a checkpoint.
        peak_memory: Highest resident memory of the process so far in bytes; None where it is not known.
    """

    history: dict
    stopped: str | None
    best_epoch: float | None
    seconds: float
    items_per_second: float | None
    resumed: int = 0
    peak_memory: int | None = None

    def metrics(self, items: str) -> dict:
        """The numbers about the run for `metrics.json`.

        Args:
            items: The unit of the speed, such as `"tokens"`.

        Example:

        >>> from textrnn.training import TrainingResult
        >>> result = TrainingResult({}, None, 3, seconds=60.0, items_per_second=1e4)
        >>> result.metrics("tokens")["training_tokens_per_second"]
        10000.0
        """
        return {
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "resumed": self.resumed,
            "training_seconds": self.seconds,
            f"training_{items}_per_second": self.items_per_second,
            "peak_memory_bytes": self.peak_memory,
        }


def fit(
    model, data, *, epochs, callbacks=(), best=None, progress=None, evaluate_first=False, checkpoint=None,
    log=None, average=None, **options,
):  # fmt: skip
    """Train a model and leave the best weights in it, however training ends.

    Ctrl-C stops training without an error. The best weights so far are restored and the result is returned,
    so that a report or an export can follow. A second Ctrl-C in the meantime raises `KeyboardInterrupt`. A
    loss that is not finite also stops training. Of several workers, Ctrl-C ends this one with a
    `KeyboardInterrupt`, and the others with a `WorkerLost`.

    Args:
        model: A compiled Keras model.
        data: A `tf.data.Dataset` of known length, or other data that the model's `fit` accepts.
        epochs: Number of epochs.
        callbacks: Callbacks in the order in which they are called. Those that add metrics to the logs come
            first, and `SampleText` and `TensorBoard` are always called last.
        best: A `BestWeights`. The default monitors `val_loss`.
        progress: A `ProgressBar`. The default counts batches.
        evaluate_first: Whether to evaluate before training, too, as epoch 0. If training does not improve a
            trained model, it keeps its weights.
        checkpoint: A `Checkpoint`, or None. If it has found an unfinished run, that run goes on. `data` is
            then a `tf.data.Dataset` whose order is the same in each run, such as those of `textrnn.data`.
        log: A file to which a line a minute is appended; see `LogFile`.
        average: An `AverageSteps`, or None. Its mean is then what is evaluated and kept.
        **options: Other arguments of the model's `fit`, such as `validation_data`.

    Returns:
        A `TrainingResult`.

    Example:

    >>> import io, keras, numpy as np
    >>> from textrnn import training
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((4, 1)), np.zeros((4, 1))
    >>> result = training.fit(model, x, y=y, epochs=2, validation_data=(x, y),
    ...                       progress=training.ProgressBar(file=io.StringIO()))
    >>> result.best_epoch, result.stopped, sorted(result.history)
    (2, None, ['epoch', 'loss', 'val_loss'])
    """
    check_model(model)
    best = best or BestWeights()
    progress = progress or ProgressBar()
    record = _Record()
    last = [callback for callback in callbacks if isinstance(callback, (SampleText, TensorBoard))]
    others = [callback for callback in callbacks if callback not in last]
    logs = [] if log is None else [LogFile(log, progress.unit, progress.items_per_batch)]
    callbacks = [*others, best, record, progress, *logs, *last]
    if average is not None:
        callbacks = [average, *callbacks, _EndOfAverage(average)]
    for callback in others:
        if isinstance(callback, Evaluate):
            callback.listeners = callbacks
            callback.weights = nullcontext if average is None else average.applied
    listeners = list(callbacks)
    if evaluate_first and not (checkpoint and checkpoint.found):
        listeners.append(_FirstEvaluation(callbacks, options.get("validation_data"), checkpoint))
    if checkpoint is not None:
        expect(
            not {"initial_epoch", "steps_per_epoch"} & options.keys(),
            "initial_epoch and steps_per_epoch: leave them out with a checkpoint, which sets them",
        )
        checkpoint.attach(data, callbacks)
        data = resumable(data)
        listeners.append(checkpoint)

    if hasattr(data, "element_spec"):  # Keras warns that it cannot shuffle a tf.data.Dataset
        options.setdefault("shuffle", False)
    stopped = None
    start = time.perf_counter()
    try:
        with checkpoint.handling_sigterm() if checkpoint else nullcontext():
            fit_from(
                model, data, *_beginning(checkpoint, epochs), epochs=epochs, callbacks=listeners, **options
            )
    except KeyboardInterrupt:
        # Other workers wait for this one, which cannot go on without them. Before a checkpoint is restored,
        # the model is not the one of the run.
        if workers().size > 1 or (checkpoint is not None and checkpoint.found):
            raise
        stopped = "interrupted"
        _tell_interrupt(callbacks)
        progress.close()
        print_message(
            f"Interrupted. The model has the weights {best.restore()}. What follows training, such as a "
            "report and an export, is still done: a second Ctrl-C stops at once."
        )
    finally:
        progress.close()
    resumed = checkpoint.resumed if checkpoint else 0
    if best.not_finite is not None:
        stopped = "not finite"
        if checkpoint is not None:
            checkpoint.remove()  # resumed, the run would end like this again
    return TrainingResult(
        history=record.columns(),
        stopped=stopped,
        best_epoch=best.best_epoch,
        seconds=time.perf_counter() - start + (checkpoint.seconds_before if checkpoint else 0.0),
        items_per_second=progress.items_per_second,
        resumed=resumed,
        peak_memory=_peak_memory(),
    )


def _tell_interrupt(callbacks):
    """Call `on_interrupt` of those that have it, since Keras does not call `on_train_end` after Ctrl-C."""
    for callback in callbacks:
        if hasattr(callback, "on_interrupt"):
            callback.on_interrupt()


def _peak_memory():
    try:
        import resource
    except ImportError:  # on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _beginning(checkpoint, epochs):
    """The epoch and the batch to begin with."""
    if checkpoint is None:
        return 0, 0
    epoch, batch = checkpoint.position
    return (max(epoch, epochs) if checkpoint.finished else epoch), batch


class _FirstEvaluation(keras.callbacks.Callback):
    """Evaluates before training, after the other callbacks have begun."""

    def __init__(self, listeners, validation_data, checkpoint):
        super().__init__()
        self.listeners, self.validation_data = list(listeners), validation_data
        self.checkpoint = checkpoint

    def on_train_begin(self, logs=None):
        if self.checkpoint is not None:
            self.checkpoint.note_initial_states()
        start = time.perf_counter()
        metrics: dict[str, float] = {}
        for callback in self.listeners:
            if isinstance(callback, Evaluate):
                metrics |= callback.evaluate()
        if self.validation_data is not None:
            data = self.validation_data  # a dataset, or arrays as in `fit`
            x, y, weights = (
                keras.utils.unpack_x_y_sample_weight(data) if isinstance(data, tuple) else (data, None, None)
            )
            found = self.model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
            metrics |= {f"val_{name}": value for name, value in found.items()}
        seconds = time.perf_counter() - start
        for listener in self.listeners:
            if metrics and hasattr(listener, "on_evaluation"):
                listener.on_evaluation(0, metrics, seconds)


class _EndOfAverage(keras.callbacks.Callback):
    """Ends the part of `on_epoch_end` in which the model has the mean of an `AverageSteps`."""

    async_safe = True

    def __init__(self, average):
        super().__init__()
        self.average = average

    def on_epoch_end(self, epoch, logs=None):
        self.average.restore()
        self.average.on_evaluation(epoch + 1, logs or {})


class _Record(keras.callbacks.Callback):
    """Records the metrics of every epoch and evaluation. Keras's `History` has only epochs."""

    async_safe = True

    def __init__(self):
        super().__init__()
        self.rows = []

    def on_evaluation(self, epoch, logs, seconds):
        self.rows.append({"epoch": epoch, **logs})

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch + 1, **(logs or {})})

    def columns(self):
        names = dict.fromkeys(name for row in self.rows for name in row)
        return {name: [row.get(name) for row in self.rows] for name in names}

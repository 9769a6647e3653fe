"""`fit`, a wrapper of Keras's that keeps the best weights and can be stopped with Ctrl-C."""

import time
from dataclasses import dataclass

import keras

from textrnn.training.best_weights import BestWeights
from textrnn.training.evaluate import Evaluate
from textrnn.training.messages import print_message
from textrnn.training.progress_bar import ProgressBar
from textrnn.training.sample_text import SampleText


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
    """

    history: dict
    stopped: str | None
    best_epoch: float | None
    seconds: float
    items_per_second: float | None


def fit(model, data, *, epochs, callbacks=(), best=None, progress=None, evaluate_first=False, **options):
    """Train a model and leave the best weights in it, however training ends.

    Ctrl-C stops training without an error. The best weights so far are restored and the result is returned,
    so that a report or an export can follow. A second Ctrl-C in the meantime raises `KeyboardInterrupt`. A
    loss that is not finite also stops training.

    Args:
        model: A compiled Keras model.
        data: A `tf.data.Dataset` of known length, or other data that the model's `fit` accepts.
        epochs: Number of epochs.
        callbacks: Callbacks in the order in which they are called. Those that add metrics to the logs come
            first, and `SampleText` is always called last.
        best: A `BestWeights`. The default monitors `val_loss`.
        progress: A `ProgressBar`. The default counts batches.
        evaluate_first: Whether to evaluate before training, too, as epoch 0. If training does not improve a
            trained model, it keeps its weights.
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
    best = best or BestWeights()
    progress = progress or ProgressBar()
    record = _Record()
    samples = [callback for callback in callbacks if isinstance(callback, SampleText)]
    others = [callback for callback in callbacks if callback not in samples]
    callbacks = [*others, best, record, progress, *samples]
    if evaluate_first:
        callbacks.append(_FirstEvaluation(callbacks, options.get("validation_data")))
    for callback in others:
        if isinstance(callback, Evaluate):
            callback.listeners = callbacks

    if hasattr(data, "element_spec"):  # Keras warns that it cannot shuffle a tf.data.Dataset
        options.setdefault("shuffle", False)
    stopped = None
    start = time.perf_counter()
    try:
        model.fit(data, epochs=epochs, callbacks=callbacks, verbose=0, **options)
    except KeyboardInterrupt:
        stopped = "interrupted"
        progress.close()
        print_message(f"Interrupted. The model has the weights {best.restore()}.")
    finally:
        progress.close()
    if best.not_finite is not None:
        stopped = "not finite"
    return TrainingResult(
        history=record.columns(),
        stopped=stopped,
        best_epoch=best.best_epoch,
        seconds=time.perf_counter() - start,
        items_per_second=progress.items_per_second,
    )


class _FirstEvaluation(keras.callbacks.Callback):
    """Evaluates before training, after the other callbacks have begun."""

    def __init__(self, listeners, validation_data):
        super().__init__()
        self.listeners, self.validation_data = list(listeners), validation_data

    def on_train_begin(self, logs=None):
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

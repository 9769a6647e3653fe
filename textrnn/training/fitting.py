"""`fit`: Keras's, with a bar, the best weights at the end, and Ctrl-C as a way to stop."""

import time
from dataclasses import dataclass

import keras

from textrnn.training.best_weights import BestWeights
from textrnn.training.evaluate import Evaluate
from textrnn.training.messages import say
from textrnn.training.progress_bar import ProgressBar
from textrnn.training.sample_text import SampleText


@dataclass(frozen=True)
class TrainingResult:
    """How a training went.

    Attributes:
        history: A dict of columns of one length: `epoch` (1, 2, ...; 1.5 for an evaluation in the middle of
            the second), `loss`, the mean since the epoch began, and every other metric, with None where
            it was not measured.
        stopped: None, `"interrupted"` (Ctrl-C) or `"not finite"` (the loss).
        best_epoch: The epoch, as in `history`, whose weights the model has; None if nothing was
            evaluated, and the model has its last weights.
        seconds: How long training took, evaluation and sampling included.
        items_per_second: The training speed of the last epoch in the progress bar's unit, or None if
            there were too few batches to tell.
    """

    history: dict
    stopped: str | None
    best_epoch: float | None
    seconds: float
    items_per_second: float | None


def fit(model, data, *, epochs, callbacks=(), best=None, progress=None, **options):
    """Trains a model, and leaves the best weights in it however training ends.

    Ctrl-C ends the training and is not an error: the best weights so far are put back and the result
    is returned, so that what follows (the report, the export) goes on. A second Ctrl-C, while that
    happens, goes through. A loss that is not finite ends the training the same way.

    Args:
        model: A compiled Keras model.
        data: A `tf.data.Dataset` of known length, or whatever else the model's `fit` takes.
        epochs: The number of passes over the data.
        callbacks: Callbacks in the order in which they are called; those that write metrics come first.
            `SampleText` is always called last.
        best: A `BestWeights`; one that monitors `val_loss` by default.
        progress: A `ProgressBar`; one that counts batches by default.
        **options: What else the model's `fit` takes, such as `validation_data`.

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
    for callback in others:
        if isinstance(callback, Evaluate):
            callback.listeners = callbacks

    if hasattr(data, "element_spec"):  # a tf.data.Dataset shuffles by itself, and Keras would warn
        options.setdefault("shuffle", False)
    stopped = None
    start = time.perf_counter()
    try:
        model.fit(data, epochs=epochs, callbacks=callbacks, verbose=0, **options)
    except KeyboardInterrupt:
        stopped = "interrupted"
        progress.close()
        say(f"Interrupted: training ends here, and the model has the weights {best.restore()}.")
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


class _Record(keras.callbacks.Callback):
    """The metrics after every epoch and every evaluation; Keras's `History` has the epochs only."""

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

"""Events for TensorBoard."""

import importlib.util
import math
from collections.abc import Callable, Mapping

import keras
import numpy as np

from textrnn.errors import expect
from textrnn.training.messages import problems_as_warnings


class TensorBoard(keras.callbacks.Callback):
    """Writes metrics, texts and images for TensorBoard; watch them with `tensorboard --logdir FOLDER`.

    The training loss and the learning rate are written every `every` batches; all metrics, texts and images
    after each epoch. The x-axis is the number of updates. A resumed run adds to the earlier events.

    Args:
        folder: The folder of the events. Subfolders of one folder are compared with each other.
        texts: `texts(epoch)` returns texts by their names, such as a sample. The first epoch is 1.
        images: `images(epoch)` returns PNG files by their names, such as attention maps.
        every: Batches between two values of the training loss.

    Raises:
        InputError: If the package tensorboard is not installed.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> from pathlib import Path
    >>> from textrnn.training import TensorBoard
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> folder = Path(tempfile.mkdtemp())
    >>> board = TensorBoard(folder, texts=lambda epoch: {"sample": f"text {epoch}"})
    >>> _ = model.fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0, callbacks=[board])
    >>> [path.name.split(".")[0] for path in folder.iterdir()]
    ['events']
    """

    async_safe = True

    def __init__(
        self,
        folder,
        texts: Callable[[int], Mapping[str, str]] | None = None,
        images: Callable[[int], Mapping[str, bytes]] | None = None,
        every=100,
    ):
        super().__init__()
        expect(
            importlib.util.find_spec("tensorboard") is not None,
            "TensorBoard is not installed: pip install 'textrnn[tensorboard]'",
        )
        self.folder = folder
        self.texts = texts
        self.images = images
        self.every = every

    def get_state(self):
        """Return nothing: the events are in files."""
        return {}

    def set_state(self, state):
        """Do nothing."""

    def on_train_begin(self, logs=None):
        """Open a file of events."""
        import tensorflow as tf

        self._writer = tf.summary.create_file_writer(str(self.folder))

    def on_train_batch_begin(self, batch, logs=None):
        """Write the mean loss of the epoch so far."""
        if batch and batch % self.every == 0:
            loss = self.model.get_metrics_result().get("loss", math.nan)
            self._write({"running loss": loss, "learning rate": self.model.optimizer.learning_rate})

    def on_evaluation(self, epoch, logs, seconds):
        """Write the metrics of an evaluation within an epoch or before training."""
        self._write(logs)

    def on_epoch_end(self, epoch, logs=None):
        """Write all metrics, texts and images."""
        import tensorflow as tf

        self._write(logs or {})
        with problems_as_warnings(self.folder), self._writer.as_default(int(self.model.optimizer.iterations)):
            for name, text in (self.texts(epoch + 1) if self.texts else {}).items():
                # Markdown: a block of code keeps the lines as they are.
                tf.summary.text(name, "    " + text.replace("\n", "\n    "))
            for name, png in (self.images(epoch + 1) if self.images else {}).items():
                tf.summary.image(name, tf.io.decode_png(png, channels=3)[None])
            self._writer.flush()

    def on_train_end(self, logs=None):
        """Close the file."""
        self._writer.close()

    def _write(self, metrics):
        import tensorflow as tf

        with problems_as_warnings(self.folder), self._writer.as_default(int(self.model.optimizer.iterations)):
            for name, value in metrics.items():
                values = np.ravel(value)
                for number, one in enumerate(values):  # a metric may have a value for each class
                    tf.summary.scalar(name if len(values) == 1 else f"{name}/{number}", float(one))
            self._writer.flush()

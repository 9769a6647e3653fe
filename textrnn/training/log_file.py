"""A log file with a line a minute."""

import datetime
import io
from pathlib import Path

from textrnn.training.messages import problems_as_warnings
from textrnn.training.progress_bar import ProgressBar


class LogFile(ProgressBar):
    """Appends a line a minute to a file, and one for each epoch and each evaluation, each with its time.

    Args:
        path: The file. Its folder is created if it does not exist.
        unit, items_per_batch: See `ProgressBar`.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> from pathlib import Path
    >>> from textrnn.training import LogFile
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile("sgd", "mse")
    >>> path, data = Path(tempfile.mkdtemp()) / "log.txt", np.zeros((4, 1))
    >>> _ = model.fit(data, data, batch_size=2, verbose=0, callbacks=[LogFile(path)])
    >>> print(path.read_text())  # doctest: +ELLIPSIS
    20...  training begins
    20...  epoch 1/1  loss 0.0000  ... batch/s  ... elapsed
    """

    plain_interval = 60.0

    def __init__(self, path, unit="batch", items_per_batch=None):
        super().__init__(unit, items_per_batch, file=io.StringIO())  # no terminal: lines and no bar
        self.path = Path(path)

    def on_train_begin(self, logs=None):
        """Open the file."""
        super().on_train_begin(logs)
        self._print("training begins")

    def _print(self, text):
        # Opened for each line, since a run may be killed, and its folder renamed.
        now = datetime.datetime.now().isoformat(" ", "seconds")
        with problems_as_warnings(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{now}  {text}\n")

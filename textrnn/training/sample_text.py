"""Samples while training."""

import math
import textwrap
from pathlib import Path

import keras

from textrnn.training.messages import printable, say


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
        say(f"\n  {heading}\n{textwrap.indent(printable(text), '    ')}\n")
        if self.path is not None:
            with self.path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(f"{heading}\n{text}\n\n")

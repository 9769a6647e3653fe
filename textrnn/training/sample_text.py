"""Text samples during training."""

import math
import textwrap
from pathlib import Path

import keras

from textrnn.training.messages import print_message, problems_as_warnings, replace_control_characters


class SampleText(keras.callbacks.Callback):
    """Prints a generated text after each epoch, and optionally appends it to a file.

    Args:
        generate: A function `generate(epoch) -> str`. The first epoch is 1.
        path: A text file, overwritten when training begins, or None.

    Attributes:
        latest: The latest sample, "" before the first.

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
        self.latest = ""

    def on_train_begin(self, logs=None):
        """Create an empty file."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text("", encoding="utf-8")

    def get_state(self):
        """Return what a checkpoint saves: the samples so far."""
        if self.path is None or not self.path.is_file():
            return {"samples": None}
        return {"samples": self.path.read_text(encoding="utf-8", errors="replace")}

    def set_state(self, state):
        """Go on with what a checkpoint has saved; samples that came after it are made again."""
        if self.path is not None and state["samples"] is not None:
            self.path.write_text(state["samples"], encoding="utf-8")

    def on_epoch_end(self, epoch, logs=None):
        """Print and save one sample, unless the loss is not finite."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            return
        text = self.latest = self.generate(epoch + 1)
        heading = f"--- sample after epoch {epoch + 1} ---"
        sample = textwrap.indent(replace_control_characters(text), "    ")
        print_message(f"\n  {heading}\n{sample}\n")
        if self.path is not None:
            with problems_as_warnings(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8", errors="replace") as file:
                    file.write(f"{heading}\n{text}\n\n")

"""Text of the messages about a training run."""

import sys
from contextlib import contextmanager

import numpy as np
from tqdm import tqdm

from textrnn.files import disk_problem

_LABELS = {
    "loss": "loss",
    "val_loss": "validation loss",
    "val_perplexity": "perplexity",
    "val_bits_per_character": "bits/char",
}
_DIGITS = {"loss": 4, "val_loss": 4, "val_perplexity": 2}


@contextmanager
def problems_as_warnings(path):
    """Context manager in which a problem of the disk is a warning, for files that only tell about a run.

    Example:

    >>> from pathlib import Path
    >>> from textrnn.training.messages import problems_as_warnings
    >>> with problems_as_warnings("/dev/full"):  # warning: /dev/full: No space left on device. ...
    ...     _ = Path("/dev/full").write_text("a line")
    """
    try:
        yield
    except Exception as error:  # of the system or of TensorFlow
        problem = disk_problem(error, path) or (isinstance(error, OSError) and f"{path}: {error.strerror}")
        if not problem:
            raise
        print_message(f"warning: {problem}. Training continues.")


def print_message(text):
    """Print on stderr, above a progress bar if there is one."""
    tqdm.write(text, file=sys.stderr)


def replace_control_characters(text):
    """The text without characters that a terminal would run as commands. A model may generate any."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def format_metrics(logs):
    """The training loss and the validation metrics on one line.

    Example:

    >>> from textrnn.training.messages import format_metrics
    >>> format_metrics({"loss": 2.0, "accuracy": 0.4, "val_loss": 2.25, "val_accuracy": 0.5})
    'loss 2.0000  validation loss 2.2500  accuracy 0.500'
    """
    known = [name for name in _LABELS if name in logs]
    others = [name for name in logs if name.startswith("val_") and name not in _LABELS]
    return "  ".join(
        f"{_LABELS.get(name, name.removeprefix('val_'))} {format_number(logs[name], _DIGITS.get(name, 3))}"
        for name in known + others
    )


def format_number(value, digits):
    """A number with so many decimal places, or in scientific notation if it is very large.

    Of a metric with several values, such as one for each class, it is the mean.

    Example:

    >>> import numpy as np
    >>> from textrnn.training.messages import format_number
    >>> format_number(0.5, 3), format_number(np.array([0.25, 0.5]), 3)
    ('0.500', '0.375 (mean of 2)')
    """
    if np.size(value) > 1:
        return f"{format_number(np.mean(value), digits)} (mean of {np.size(value)})"
    return f"{value:.{digits}f}" if abs(value) < 1e5 else f"{value:.3g}"


def format_count(number):
    """A number with three digits and a unit prefix.

    Example:

    >>> from textrnn.training.messages import format_count
    >>> format_count(18_234)
    '18.2k'
    """
    return f"{number:.3g}" if number < 100 else tqdm.format_sizeof(number)

"""How messages about a training run are written."""

import sys

import numpy as np
from tqdm import tqdm


def say(text):
    """Prints on stderr without disturbing a bar."""
    tqdm.write(text, file=sys.stderr)


def printable(text):
    """The text without what a terminal would take for a command; a young model may write anything."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def metrics_in_words(logs):
    """The loss and what was measured on held-out data, in words."""
    names = {"val_loss": "held-out loss", "val_bits_per_character": "bits/char"}
    shown = {"loss": ("loss", logs["loss"])} if "loss" in logs else {}
    for key in ("val_loss", "val_perplexity", "val_bits_per_character", *logs):
        if key in logs and key.startswith("val_"):
            shown[key] = (names.get(key, key.removeprefix("val_")), logs[key])
    digits = {"loss": 4, "val_loss": 4, "val_perplexity": 2}
    return "  ".join(
        f"{name} {number_in_words(value, digits.get(key, 3))}" for key, (name, value) in shown.items()
    )


def number_in_words(value, digits):
    return f"{value:.{digits}f}" if abs(value) < 1e5 else f"{value:.3g}"


def count_in_words(number):
    """A number in three digits: 18.2k."""
    return f"{number:.3g}" if number < 100 else tqdm.format_sizeof(number)


def all_finite(values):
    # NumPy cannot ask this of all of Keras's dtypes, but of float32 it can.
    return all(np.isfinite(value.astype("float32")).all() for value in values)


def highest_learning_rate(optimizer):
    """The rate that was asked for: of a schedule the highest, not what it happens to be now."""
    rate = optimizer.get_config().get("learning_rate")
    if isinstance(rate, dict):
        config = rate["config"]
        rate = config.get("warmup_target") or config.get("initial_learning_rate")
    return float(optimizer.learning_rate if rate is None else rate)


def clipping(optimizer):
    """The name and value of the clipping in use, or None."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    for name in ("global_clipnorm", "clipnorm", "clipvalue"):
        if getattr(optimizer, name, None):
            return name, getattr(optimizer, name)
    return None

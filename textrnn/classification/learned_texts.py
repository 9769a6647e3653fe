"""The texts that a classifier has learned from, kept as hashes in its preset, so that they do not test it."""

import hashlib
from pathlib import Path

import numpy as np

from textrnn.data.records import collapsed, count
from textrnn.errors import warn
from textrnn.files import replacing
from textrnn.presets import find_preset

FILE = "learned_texts.npy"
"""The file of a preset: the sorted hashes, uint64."""


def load_learned(preset=None):
    """Return the hashes of the texts that a preset has learned from.

    Args:
        preset: What a classifier starts from, or None.

    Returns:
        uint64 `(texts,)`; empty for None, a language model, and a preset without the file.

    Example:

    >>> from textrnn.classification.learned_texts import load_learned
    >>> load_learned().tolist(), len(load_learned("sentiment"))
    ([], 41958)
    """
    file = None if preset is None else Path(find_preset(preset)) / FILE
    return np.load(file) if file is not None and file.is_file() else np.empty(0, "uint64")


def save_learned(preset, texts, earlier=()):
    """Write which texts a classifier has learned from into its preset.

    Args:
        preset: The folder of the preset.
        texts: Its training and validation texts, a list of str.
        earlier: The hashes of those that it had learned before.

    Example:

    >>> import tempfile
    >>> from textrnn.classification.learned_texts import FILE, are_learned, save_learned
    >>> folder = tempfile.mkdtemp()
    >>> save_learned(folder, ["So dull", "a joy"])
    >>> are_learned(["So  dull", "so dull"], np.load(f"{folder}/{FILE}")).tolist()
    [True, False]
    """
    hashes = np.union1d(_hashes(texts), np.asarray(earlier, "uint64"))
    with replacing(Path(preset) / FILE) as temporary, open(temporary, "wb") as file:
        np.save(file, hashes)


def are_learned(texts, learned):
    """Return whether each text is among those of hashes from `load_learned`, a bool array `(texts,)`.

    Whitespace is ignored.
    """
    return np.isin(_hashes(texts), learned)


def warn_if_learned(learned, validation, test, preset):
    """Warn of validation and test texts that a preset has learned from.

    Args:
        learned: The hashes of the texts that it has learned from.
        validation, test: Lists of str.
        preset: Its name, for the warning.

    Example:

    >>> from textrnn.classification.learned_texts import load_learned, warn_if_learned
    >>> warn_if_learned(load_learned(), ["so dull"], ["a joy"], "reviews")
    """
    found = {"validation text": are_learned(validation, learned), "test text": are_learned(test, learned)}
    parts = [f"{rows.sum():,} of {count(len(rows), noun)}" for noun, rows in found.items() if rows.any()]
    if parts:
        warn(
            f"{preset} has learned from {' and '.join(parts)}, whose scores are too good. Give new "
            "texts with --data, and the earlier test texts with --test_data, or start from another model"
        )


def _hashes(texts):
    digests = (
        hashlib.blake2b(collapsed(text).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for text in texts
    )
    return np.frombuffer(b"".join(digests), "<u8").astype("uint64")

"""Classifying many texts with a SavedModel, as they are read."""

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf


def classified(
    serving_default: Callable, lines: Iterable[bytes], batch_size: int = 256, batches_at_once: int = 16
) -> Iterator[tuple[str, float, int]]:
    """Classifies lines in their order, a few batches at a time.

    Within those, texts of like length go side by side, so that long ones do not slow short ones.

    Args:
        serving_default: the signature of a classifier: `text` -> `label`, `scores`.
        lines: UTF-8 texts, perhaps with a line end. Bytes that are no UTF-8 are read as U+FFFD.
        batch_size: how many texts are classified at once.
        batches_at_once: how many batches are sorted by length together.

    Yields:
        The label, its probability, and how many bytes the line had.
    """
    lines = iter(lines)
    while chunk := list(itertools.islice(lines, batch_size * batches_at_once)):
        texts = [line.rstrip(b"\r\n").decode("utf-8", "replace") for line in chunk]
        order = np.argsort([len(text) for text in texts], kind="stable")
        labels: list[str] = [""] * len(chunk)
        scores = np.zeros(len(chunk))
        for start in range(0, len(chunk), batch_size):
            rows = order[start : start + batch_size]
            answer = serving_default(text=tf.constant([texts[row] for row in rows]))
            scores[rows] = answer["scores"].numpy().max(axis=1)
            for row, label in zip(rows, answer["label"].numpy(), strict=True):
                labels[row] = label.decode("utf-8")
        yield from zip(labels, scores.tolist(), map(len, chunk), strict=True)

"""Batch classification with a SavedModel."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import tensorflow as tf


def classified(
    serving_default: Callable, lines: Iterable[bytes], batch_size: int = 8192, batch_bytes: int = 2**20
) -> Iterator[tuple[str, float, int]]:
    r"""Classify lines in batches, and yield the results in order.

    Large batches are fast, since a textrnn classifier runs the texts of a batch in groups of similar length.
    Two batches run at a time, which keeps all processors busy, while the next one is read.

    Args:
        serving_default: The signature of a classifier, from `text` to `label` and `scores`.
        lines: UTF-8 texts with or without line ends. Invalid bytes are replaced by U+FFFD.
        batch_size: Maximum number of texts in a batch.
        batch_bytes: Number of bytes at which a batch is full.

    Yields:
        The label, its probability and the number of bytes of the line.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.serving.classify import classified
    >>> def longer_is_better(text):
    ...     good = tf.strings.length(text) > 4
    ...     return {"label": tf.where(good, "good", "bad"), "scores": tf.ones([len(text), 1])}
    >>> list(classified(longer_is_better, [b"dull\n", b"a joy\n"]))
    [('bad', 1.0, 5), ('good', 1.0, 6)]
    """

    def classify(batch):
        texts = [line.rstrip(b"\r\n").decode("utf-8", "replace") for line in batch]
        answer = serving_default(text=tf.constant(texts))
        labels = [label.decode("utf-8") for label in answer["label"].numpy()]
        return zip(labels, answer["scores"].numpy().max(axis=1).tolist(), map(len, batch), strict=True)

    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting: collections.deque[Future] = collections.deque()
        try:
            for batch in _batches(lines, batch_size, batch_bytes):
                waiting.append(pool.submit(classify, batch))
                if len(waiting) > 2:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:  # the caller stopped iterating
                future.cancel()


def _batches(lines, batch_size, batch_bytes):
    batch, size = [], 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if len(batch) == batch_size or size >= batch_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch

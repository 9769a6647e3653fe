"""Classifying many texts with a SavedModel, as they are read."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import tensorflow as tf


def classified(
    serving_default: Callable, lines: Iterable[bytes], batch_size: int = 8192, batch_bytes: int = 2**20
) -> Iterator[tuple[str, float, int]]:
    r"""Classifies lines in their order, a batch at a time.

    A textrnn classifier sorts a batch by length and reads it in groups, so large ones are the fast ones. Two
    are read side by side, which keeps all processors busy, while the lines of the next one are collected.

    Args:
        serving_default: the signature of a classifier: `text` -> `label`, `scores`.
        lines: UTF-8 texts, perhaps with a line end. Bytes that are no UTF-8 are read as U+FFFD.
        batch_size: how many texts are classified at once, at the most.
        batch_bytes: no text is added to a batch that is as large as this.

    Yields:
        The label, its probability, and how many bytes the line had.

    Example:
    >>> import tensorflow as tf
    >>> from textrnn.serving.classify import classified
    >>> def longer_is_better(text):
    ...     good = tf.strings.length(text) > 4
    ...     return {"label": tf.where(good, "good", "bad"), "scores": tf.ones([len(text), 1])}
    >>> list(classified(longer_is_better, [b"dull\n", b"a joy\n"]))
    [('bad', 1.0, 5), ('good', 1.0, 6)]
    """

    def answers(batch):
        texts = [line.rstrip(b"\r\n").decode("utf-8", "replace") for line in batch]
        answer = serving_default(text=tf.constant(texts))
        labels = [label.decode("utf-8") for label in answer["label"].numpy()]
        return zip(labels, answer["scores"].numpy().max(axis=1).tolist(), map(len, batch), strict=True)

    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting: collections.deque[Future] = collections.deque()
        try:
            for batch in _batches(lines, batch_size, batch_bytes):
                waiting.append(pool.submit(answers, batch))
                if len(waiting) > 2:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:  # nobody wants them any more
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

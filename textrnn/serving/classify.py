"""Batch classification with a SavedModel."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import tensorflow as tf

from textrnn.unicode import well_formed


class Classified(NamedTuple):
    """The answer for a text.

    Attributes:
        label: The most probable label.
        probability: Its probability.
        unfamiliar: Whether the text is unlike those that the vocabulary was learned from.
    """

    label: str
    probability: float
    unfamiliar: bool


def classified(
    serving_default: Callable, texts: Iterable[str], batch_size: int = 8192, batch_characters: int = 2**20
) -> Iterator[Classified]:
    r"""Classify texts in batches, and yield the results in order.

    Large batches are fast, since a textrnn classifier runs the texts of a batch in groups of similar length.
    Two batches run at a time, which keeps all processors busy, while the next one is read.

    Args:
        serving_default: The signature of a classifier, from `text` to `label` and `scores`, and `unfamiliar`
            in models that have it.
        texts: The texts. Half surrogate pairs are replaced by U+FFFD.
        batch_size: Maximum number of texts in a batch.
        batch_characters: Number of characters at which a batch is full.

    Yields:
        The answer for each text.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.serving.classify import classified
    >>> def longer_is_better(text):
    ...     good = tf.strings.length(text) > 4
    ...     return {"label": tf.where(good, "good", "bad"), "scores": tf.ones([len(text), 1])}
    >>> [answer.label for answer in classified(longer_is_better, ["dull", "a joy"])]
    ['bad', 'good']
    """

    def classify(batch):
        answer = serving_default(text=tf.constant([well_formed(text) for text in batch]))
        labels = [label.decode("utf-8") for label in answer["label"].numpy()]
        unfamiliar = answer["unfamiliar"].numpy().tolist() if "unfamiliar" in answer else [False] * len(batch)
        return map(Classified, labels, answer["scores"].numpy().max(axis=1).tolist(), unfamiliar)

    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting: collections.deque[Future] = collections.deque()
        try:
            for batch in _batches(texts, batch_size, batch_characters):
                waiting.append(pool.submit(classify, batch))
                if len(waiting) > 2:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:  # the caller stopped iterating
                future.cancel()


def _batches(texts, batch_size, batch_characters):
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if len(batch) == batch_size or size >= batch_characters:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch

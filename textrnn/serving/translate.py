"""Translating many texts with a SavedModel, as they are read."""

import gzip
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import IO, NamedTuple

import numpy as np
import tensorflow as tf


class Answer(NamedTuple):
    """The translations of a text.

    Attributes:
        n_best: Pairs of a translation and its score, best first; at least one.
        source_tokens, tokens: Those of the text and of its best translation, as str.
        attention: What each of `tokens` attended to, float32 `(tokens, source_tokens)`.
        truncated: Whether the text was longer than the model reads.
    """

    n_best: list[tuple[str, float]]
    source_tokens: list[str]
    tokens: list[str]
    attention: np.ndarray
    truncated: bool


def lines_of(stream: IO[bytes], name: str = "") -> Iterator[str]:
    """The lines of a file, unpacked if its name ends in .gz, as str without their ends.

    Bytes that are no UTF-8 are read as U+FFFD.
    """
    for line in gzip.GzipFile(fileobj=stream) if name.endswith(".gz") else stream:
        yield line.rstrip(b"\r\n").decode("utf-8", "replace")


def translated(
    translate: Callable,
    texts: Iterable[str],
    batch_size: int = 32,
    batches_at_once: int = 8,
    num_beams: int = -1,
    length_penalty: float = -1.0,
    max_new_tokens: int = -1,
) -> Iterator[Answer]:
    """Translates texts in their order, a few batches at a time.

    Within those, texts of like length go side by side.

    Args:
        translate: the signature of a translator; see `textrnn.signatures.translation_signatures`.
        texts: str.
        batch_size: how many texts are translated at once. With 1, each is answered as soon as it is read.
        batches_at_once: how many batches are sorted by length together.
        num_beams, length_penalty, max_new_tokens: of `translate`; negative ones are the model's own.

    Yields:
        An `Answer` for each.
    """
    texts = iter(texts)
    while chunk := list(itertools.islice(texts, batch_size * (batches_at_once if batch_size > 1 else 1))):
        order = np.argsort([len(text) for text in chunk], kind="stable")
        answers: dict[int, Answer] = {}
        for start in range(0, len(chunk), batch_size):
            rows = order[start : start + batch_size]
            found = translate(
                text=tf.constant([chunk[row] for row in rows]),
                num_beams=tf.fill([len(rows)], tf.constant(num_beams, tf.int32)),
                length_penalty=tf.fill([len(rows)], tf.constant(length_penalty, tf.float32)),
                max_new_tokens=tf.fill([len(rows)], tf.constant(max_new_tokens, tf.int32)),
            )
            found = {name: value.numpy() for name, value in found.items()}
            for place, row in enumerate(rows):
                answers[row] = _answer({name: value[place] for name, value in found.items()})
        yield from (answers[row] for row in range(len(chunk)))


def _answer(found: dict[str, np.ndarray]) -> Answer:
    """What a signature said of one text."""
    n_best = [
        (text.decode("utf-8"), float(score))
        for text, score in zip(found["text"], found["scores"], strict=True)
        if score > -1e9
    ]
    source_tokens, tokens = (
        [token.decode("utf-8") for token in of_one if token]
        for of_one in (found["source_tokens"], found["tokens"][0])
    )
    attention = found["attention"][0, : len(tokens), : len(source_tokens)]
    return Answer(n_best or [("", 0.0)], source_tokens, tokens, attention, bool(found["truncated"]))

"""Batch translation with a SavedModel."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from textrnn.serving.text_warnings import sentence_count, text_warnings
from textrnn.unicode import well_formed


class Answer(NamedTuple):
    """The translations of a text.

    Attributes:
        n_best: Pairs of a translation and its score, best first; at least one.
        source_tokens, tokens: The tokens of the text and of its best translation, as str.
        attention: The attention weights of each of `tokens`, float32 `(tokens, source_tokens)`.
        warnings: Predicates whose subject is the text, such as "is longer than the model reads, ...".
    """

    n_best: list[tuple[str, float]]
    source_tokens: list[str]
    tokens: list[str]
    attention: np.ndarray
    warnings: list[str]


def translated(
    translate: Callable,
    texts: Iterable[str],
    batch_size: int = 32,
    batches_at_once: int = 8,
    num_beams: int = -1,
    length_penalty: float = -1.0,
    max_new_tokens: int = -1,
) -> Iterator[Answer]:
    """Translate texts in batches of similar length, and yield the results in order.

    Args:
        translate: The signature `translate` of a translation model.
        texts: An iterable of str.
        batch_size: Number of texts in a batch. With 1, each text is translated as soon as it is read.
        batches_at_once: Number of batches to read and sort by length together.
        num_beams, length_penalty, max_new_tokens: Parameters of the signature; negative values stand for the
            model's defaults.

    Yields:
        An `Answer` for each text.
    """
    texts = map(well_formed, texts)
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
                answers[row] = _answer(chunk[row], {name: value[place] for name, value in found.items()})
        yield from (answers[row] for row in range(len(chunk)))


def _answer(text: str, found: dict[str, np.ndarray]) -> Answer:
    """Return the `Answer` for one row of a signature's outputs."""
    n_best = [
        (made.decode("utf-8"), float(score))
        for made, score in zip(found["text"], found["scores"], strict=True)
        if score > -1e9
    ]
    source_tokens, tokens = (
        [token.decode("utf-8") for token in of_one if token]
        for of_one in (found["source_tokens"], found["tokens"][0])
    )
    attention = found["attention"][0, : len(tokens), : len(source_tokens)]
    n_best = n_best or [("", 0.0)]
    warnings = list(_warnings(text, found, n_best[0][0]))
    return Answer(n_best, source_tokens, tokens, attention, warnings)


def _warnings(text: str, found: dict[str, np.ndarray], translation: str) -> Iterator[str]:
    yield from text_warnings(found)
    if sentence_count(text) > max(sentence_count(translation), 1):
        yield "has more sentences than its translation: give one sentence per text"
    if found.get("unfinished", [False])[0]:
        yield "has a translation that reached the maximum length and is cut off"

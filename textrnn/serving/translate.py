"""Batch translation with a SavedModel."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from textrnn.sentences import sentence_counts
from textrnn.serving.text_warnings import text_warnings
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
    batch_characters: int = 2**15,
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
        batch_characters: Maximum number of characters in a batch, padding included, since attention weights
            take memory that is quadratic in the length of a text. A longer text is a batch of its own.
        num_beams, length_penalty, max_new_tokens: Parameters of the signature; negative values stand for the
            model's defaults.

    Yields:
        An `Answer` for each text.
    """
    texts = map(well_formed, texts)
    while chunk := list(itertools.islice(texts, batch_size * (batches_at_once if batch_size > 1 else 1))):
        order = np.argsort([len(text) for text in chunk], kind="stable")
        answers: dict[int, Answer] = {}
        for rows in _batches(order, [len(text) for text in chunk], batch_size, batch_characters):
            found = translate(
                text=tf.constant([chunk[row] for row in rows]),
                num_beams=tf.fill([len(rows)], tf.constant(num_beams, tf.int32)),
                length_penalty=tf.fill([len(rows)], tf.constant(length_penalty, tf.float32)),
                max_new_tokens=tf.fill([len(rows)], tf.constant(max_new_tokens, tf.int32)),
            )
            found = {name: value.numpy() for name, value in found.items()}
            found["lost"] = _lost_sentences([chunk[row] for row in rows], found)
            for place, row in enumerate(rows):
                answers[row] = _answer({name: value[place] for name, value in found.items()})
        yield from (answers[row] for row in range(len(chunk)))


def _batches(order, lengths, batch_size, batch_characters) -> Iterator[list[int]]:
    """Split texts in ascending order of their lengths into batches."""
    batch: list[int] = []
    for row in order:
        if batch and (len(batch) == batch_size or (len(batch) + 1) * lengths[row] > batch_characters):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _answer(found: dict[str, np.ndarray]) -> Answer:
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
    return Answer(n_best, source_tokens, tokens, attention, list(_warnings(found)))


def _lost_sentences(texts: list[str], found: dict[str, np.ndarray]) -> np.ndarray:
    """Whether a model that translates texts as a whole made fewer sentences than there are, `(texts,)`."""
    given, made = (sentence_counts(side).numpy() for side in (texts, found["text"][:, 0]))
    return given > np.maximum(made, found.get("sentences", 1))


def _warnings(found: dict[str, np.ndarray]) -> Iterator[str]:
    yield from text_warnings(found)
    if found["lost"] and not found.get("truncated"):
        yield "has more sentences than its translation: give one sentence per text"
    if found.get("unfinished", [False])[0]:
        yield "has a translation that reached the maximum length and is cut off"

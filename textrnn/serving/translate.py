"""Translating many texts with a SavedModel, as they are read."""

import gzip
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, NamedTuple

import numpy as np
import tensorflow as tf

from textrnn.errors import InputError


class Answer(NamedTuple):
    """The translations of a text.

    Attributes:
        n_best: Pairs of a translation and its score, best first; at least one.
        source_tokens, tokens: Those of the text and of its best translation, as str.
        attention: What each of `tokens` attended to, float32 `(tokens, source_tokens)`.
        remarks: What a person should know about it, without a subject: that the text is longer than the model
            reads, say.
    """

    n_best: list[tuple[str, float]]
    source_tokens: list[str]
    tokens: list[str]
    attention: np.ndarray
    remarks: list[str]


def lines_of(stream: IO[bytes], name: str = "") -> Iterator[str]:
    """The lines of a file, unpacked if its name ends in .gz, as str without their ends.

    Bytes that are no UTF-8 are read as U+FFFD, and a mark of the order of bytes is not part of a text.

    Raises:
        InputError: for a file that is not what its name says.
    """
    try:
        for number, line in enumerate(gzip.GzipFile(fileobj=stream) if name.endswith(".gz") else stream):
            text = line.rstrip(b"\r\n").decode("utf-8", "replace")
            yield text if number else text.removeprefix("\ufeff")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{name} cannot be unpacked ({error}): expected a .gz file, whole") from None


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
        translate: the signature of a translator; see `textrnn.tasks.registry.translation_signatures`.
        texts: str.
        batch_size: how many texts are translated at once. With 1, each is answered as soon as it is read.
        batches_at_once: how many batches are sorted by length together.
        num_beams, length_penalty, max_new_tokens: of `translate`; negative ones are the model's own.

    Yields:
        An `Answer` for each.
    """
    # What a command line or a terminal hands over may hold halves of broken characters.
    texts = (text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for text in texts)
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
    """What a signature said of one text."""
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
    return Answer(n_best or [("", 0.0)], source_tokens, tokens, attention, list(_remarks(text, found)))


def _remarks(text: str, found: dict[str, np.ndarray]) -> Iterator[str]:
    if "\ufffd" in text:
        yield "is not all UTF-8: what is not was read as \ufffd"
    source_bytes, target_bytes = (
        [token.startswith(b"<0x") for token in tokens if token]
        for tokens in (found["source_tokens"], found["tokens"][0])
    )
    # A vocabulary of words or subwords spells in bytes what it has never seen; one of bytes spells all.
    if np.mean(source_bytes or [0]) > 0.5 and not all(target_bytes):
        yield "is mostly of characters that the model has not learnt: expect no translation"
    if found["truncated"]:
        yield "is longer than the model reads: its end is not translated"
    if found.get("unfinished", [False])[0]:
        yield "has a translation that is cut off, as it is as long as allowed"

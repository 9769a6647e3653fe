"""Translating many texts."""

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Translations:
    """The translations of texts, in their order.

    Attributes:
        best: The best translation of each text.
        scores: Its score, float32 `(texts,)`.
        source_tokens, tokens: The tokens of each text and of its translation.
        attention: The attention weights of each translation, `(tokens, source tokens)`.
        warnings: Warnings about each translation.
        seconds: Duration of the search, without compilation.
    """

    best: list[str]
    scores: np.ndarray
    source_tokens: list[list[str]]
    tokens: list[list[str]]
    attention: list[np.ndarray]
    warnings: list[list[str]]
    seconds: float


def translate(lm, texts, num_beams=-1, length_penalty=-1.0, max_new_tokens=-1, batch_size=64):
    """Translate texts, in batches of similar length.

    Args:
        lm: A `textrnn.Seq2SeqLM` with a preprocessor, or its signatures.
        texts: A list of str.
        num_beams, length_penalty, max_new_tokens: See `translation_signatures`; negative values stand for
            the model's own.
        batch_size: int, number of texts per batch.

    Returns:
        `Translations`.
    """
    from textrnn.serving.translate import translated
    from textrnn.tasks.registry import python_functions

    search = (lm if isinstance(lm, Mapping) else python_functions(lm))["translate"]
    answers = functools.partial(
        translated, search, batch_size=batch_size, batches_at_once=-(-len(texts) // batch_size),
        num_beams=num_beams, length_penalty=length_penalty, max_new_tokens=max_new_tokens,
    )  # fmt: skip
    list(answers(texts[:1]))  # traces the graph
    start = time.perf_counter()
    found = list(answers(texts))
    seconds = time.perf_counter() - start
    best, scores = zip(*(answer.n_best[0] for answer in found), strict=True)
    return Translations(
        list(best), np.array(scores, np.float32), [answer.source_tokens for answer in found],
        [answer.tokens for answer in found], [answer.attention for answer in found],
        [answer.warnings for answer in found], seconds,
    )  # fmt: skip

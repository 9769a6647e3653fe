"""Translating many texts, and scoring the translations with sacrebleu."""

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from textrnn.errors import InputError


@dataclass(frozen=True)
class TranslationScore:
    """How near translations are to those of people.

    Attributes:
        bleu: BLEU of the corpus, 0 to 100 (Papineni et al. 2002), cased and detokenised.
        chrf: chrF of the corpus, 0 to 100 (Popović 2015).
        exact_match: The share of translations that are the reference, letter for letter.
        length_ratio: The words of the translations / those of the references.
        sentences: How many.
        bleu_signature, chrf_signature: How sacrebleu counted (Post 2018), without which the figures mean
            little.

    Example:

    >>> from textrnn.translation.evaluation import translation
    >>> score = translation(["Ein Hund läuft schnell .", "Ja"], ["Ein Hund läuft schnell .", "Nein"])
    >>> round(score.exact_match, 2), score.sentences
    (0.5, 2)
    """

    bleu: float
    chrf: float
    exact_match: float
    length_ratio: float
    sentences: int
    bleu_signature: str
    chrf_signature: str

    def __str__(self):
        return (
            f"BLEU {self.bleu:.2f}, chrF {self.chrf:.2f}, exact match {self.exact_match:.3f}, length ratio "
            f"{self.length_ratio:.3f} over {self.sentences:,} sentences ({self.bleu_signature})"
        )


def translation(translations, references):
    """Scores translations with sacrebleu.

    BLEU is of sacrebleu's usual words (`tok:13a` in its signature); of characters (`tok:char`) for references
    that are written without spaces, which would be one word each.

    Args:
        translations: A list of str.
        references: What a person wrote for each, a list of str.

    Returns:
        A `TranslationScore`.

    Raises:
        InputError: If there are not as many of both, or none.
    """
    from sacrebleu.metrics import BLEU, CHRF

    if len(translations) != len(references) or not references:
        raise InputError(
            f"{len(translations)} translations and {len(references)} references: give one for each, and some"
        )
    # BLEU is of words. Where texts are written without spaces, each character counts as one.
    words = sum(len(reference.split()) for reference in references)
    spaced = sum(map(len, references)) < 20 * words
    bleu, chrf = BLEU(tokenize="13a" if spaced else "char"), CHRF()
    score = bleu.corpus_score(translations, [references])
    return TranslationScore(
        bleu=score.score,
        chrf=chrf.corpus_score(translations, [references]).score,
        exact_match=float(np.mean([a == b for a, b in zip(translations, references, strict=True)])),
        length_ratio=score.sys_len / max(score.ref_len, 1),
        sentences=len(references),
        bleu_signature=bleu.get_signature().format(),
        chrf_signature=chrf.get_signature().format(),
    )


@dataclass(frozen=True)
class Translations:
    """What a model made of texts, in their order.

    Attributes:
        best: The best translation of each, a list of str.
        scores: Its score, float32 `(texts,)`.
        source_tokens, tokens: Lists of the tokens of each text and of its translation, as str.
        attention: For each text an array `(tokens, source tokens)`, what each token attended to.
        remarks: For each text a list of what one should know about its translation.
        seconds: How long the search took, compiling it not included.
    """

    best: list[str]
    scores: np.ndarray
    source_tokens: list[list[str]]
    tokens: list[list[str]]
    attention: list[np.ndarray]
    remarks: list[list[str]]
    seconds: float


def translate(lm, texts, num_beams=-1, length_penalty=-1.0, max_new_tokens=-1, batch_size=64):
    """Translates texts, those of like length side by side.

    Args:
        lm: A `textrnn.Seq2SeqLM` with a preprocessor, or the signatures of one.
        texts: A list of str.
        num_beams, length_penalty, max_new_tokens: As in `translation_signatures`; negative ones are the
            model's own.
        batch_size: How many texts are searched at once.

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


def sentence_chrf(translations, references):
    """The chrF of each translation on its own, 0 to 100: to find the worst ones, `(sentences,)`.

    Args:
        translations, references: As for `translation`.

    Example:

    >>> from textrnn.translation.evaluation import sentence_chrf
    >>> sentence_chrf(["ja", "nein"], ["ja", "vielleicht"]).round().tolist()[0]
    100.0
    """
    from sacrebleu.metrics import CHRF

    chrf = CHRF()
    return np.array([
        chrf.sentence_score(made, [reference]).score
        for made, reference in zip(translations, references, strict=True)
    ])  # fmt: skip

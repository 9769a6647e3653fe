"""Scores of translations, by sacrebleu."""

from dataclasses import dataclass

import numpy as np

from textrnn.errors import InputError
from textrnn.unspaced import mostly_chinese, mostly_unspaced


@dataclass(frozen=True)
class TranslationScore:
    """Scores of translations against references.

    Attributes:
        bleu: Corpus BLEU, 0 to 100 (Papineni et al. 2002), cased and detokenized.
        chrf: Corpus chrF, 0 to 100 (Popović 2015).
        exact_match: The fraction of translations that equal their reference.
        length_ratio: Words of the translations divided by words of the references.
        sentences: Number of sentences.
        bleu_signature, chrf_signature: Sacrebleu's signatures, which make scores comparable (Post 2018).

    Example:

    >>> from textrnn.translation.evaluation import score_translations
    >>> score = score_translations(["Ein Hund läuft schnell .", "Ja"], ["Ein Hund läuft schnell .", "Nein"])
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


def score_translations(translations, references):
    """Scores translations with sacrebleu.

    BLEU is computed on words (`tok:13a` in the signature). For references without spaces between words, it is
    computed on characters: Chinese ones, words of other scripts and punctuation (`tok:zh`) if they are
    Chinese, and otherwise single characters (`tok:char`), as for Japanese and Thai.

    Args:
        translations: A list of str.
        references: A list of str, one reference per translation.

    Returns:
        A `TranslationScore`.

    Raises:
        InputError: For lists of different lengths, or empty ones.
    """
    from sacrebleu.metrics import BLEU, CHRF

    if len(translations) != len(references) or not references:
        raise InputError(
            f"{len(translations)} translations and {len(references)} references: "
            "expected one reference per translation, at least one"
        )
    bleu, chrf = BLEU(tokenize=bleu_tokenizer(references)), CHRF()
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


def bleu_tokenizer(references):
    """Return sacrebleu's name of how BLEU splits texts into words, chosen by the references.

    Args:
        references: A list of str.

    Example:

    >>> from textrnn.translation.evaluation import bleu_tokenizer
    >>> [bleu_tokenizer([text]) for text in ("Ein Hund läuft.", "狗在跑。", "犬が走る。", "สุนัขวิ่ง")]
    ['13a', 'zh', 'char', 'char']
    """
    if not mostly_unspaced(references):
        return "13a"
    return "zh" if mostly_chinese(references) else "char"


def sentence_chrf(translations, references):
    """The chrF of each translation, which finds the worst ones.

    Args:
        translations, references: As for `score_translations`.

    Returns:
        Floats from 0 to 100, `(sentences,)`.

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

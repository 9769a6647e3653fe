"""Warnings about texts that a model answers badly, from the outputs of a signature."""

import re
from collections.abc import Iterator, Mapping

import numpy as np

_ENDS = re.compile(
    r"""[.!?…؟۔։]+["'”’»)\]]*\s+(?=["'“‘«(\[¿¡]*(\w))"""  # before another word
    r"""|[。！？।॥።။។]+["'”’»』」)]*\s*(?=\S)"""
    r"""|\s*\n\s*(?=[^\w\n]*(\w))"""  # a line ends a sentence too
)
_ABBREVIATIONS = frozenset({
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "no", "nr", "hr", "fr", "mme", "mlle", "sra",
    "etc", "bzw", "ca", "usw", "evtl", "inkl", "approx", "dept", "fig",
})  # fmt: skip


def sentence_count(text: str) -> int:
    """Count the sentences of a text. Lines end sentences too; abbreviations and ordinal numbers do not.

    Args:
        text: A text in any language.

    Returns:
        The number of sentences, 0 for a blank text. It is a guess, good enough for a warning.

    Example:

    >>> from textrnn.serving.text_warnings import sentence_count
    >>> sentence_count("Dr. Li came at 3 p.m. and left. Why? Nobody knows..."), sentence_count("a sentence")
    (3, 1)
    """
    text = text.strip()
    if not text:
        return 0
    lowercase = text.islower()
    count = 1
    for found in _ENDS.finditer(text):
        word = re.search(r"\w*\Z", text[: found.start()])[0]  # type: ignore[index]
        shortened = found[0].startswith(".") and (
            0 < len(word) <= 1 + word.isdigit() or word.lower() in _ABBREVIATIONS
        )
        goes_on = (found[1] or found[2] or "").islower() and not lowercase
        count += not (shortened or goes_on)
    return count


def text_warnings(found: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Yield warnings about a text, predicates whose subject is the text.

    Args:
        found: The row of the text of a signature's outputs. Warnings come from those of `unfamiliar`,
            `truncated`, `source_tokens` and `tokens` that there are.

    Example:

    >>> from textrnn.serving.text_warnings import text_warnings
    >>> list(text_warnings({"truncated": True}))
    ['is longer than the model reads, so its end is ignored']
    """
    source_bytes, target_bytes = (
        [token.startswith(b"<0x") for token in tokens if token]
        for tokens in (found.get("source_tokens", ()), found.get("tokens", [()])[0])
    )
    # Subword vocabularies fall back to bytes for unknown characters; byte vocabularies always use bytes.
    if np.mean(source_bytes or [0]) > 0.5 and not all(target_bytes):
        yield "consists mostly of characters that the model was not trained on"
    elif found.get("unfamiliar"):
        yield "is unlike the texts that the model was trained on, so the answer may be meaningless"
    if found.get("truncated"):
        yield "is longer than the model reads, so its end is ignored"

"""Warnings about texts that a model answers badly, from the outputs of a signature."""

import re
from collections.abc import Iterator, Mapping

import numpy as np

UNFAMILIAR = "is unlike the texts that the model was trained on, so the answer may be meaningless"

_SPECIAL = re.compile(rb"<.+>")  # a byte, or a token such as the end of a text


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
    has_pieces = any(token and not _SPECIAL.fullmatch(token) for token in found.get("source_tokens", ()))
    if has_pieces and np.mean(source_bytes) > 0.5 and not all(target_bytes):
        yield "consists mostly of characters that the model was not trained on"
    elif found.get("unfamiliar"):
        yield UNFAMILIAR
    if found.get("truncated"):
        yield "is longer than the model reads, so its end is ignored"


def unfamiliar_texts_warning(first: int, count: int, total: int) -> str:
    """Return a warning about some of many texts.

    Args:
        first: The number of the first of them.
        count: How many they are.
        total: How many texts there are.

    Example:

    >>> from textrnn.serving.text_warnings import unfamiliar_texts_warning
    >>> unfamiliar_texts_warning(7, 1, 40)
    'text 7 is unlike the texts that the model was trained on, so the answer may be meaningless'
    >>> unfamiliar_texts_warning(7, 3, 4000)[:61]
    '3 of 4,000 texts are unlike those that the model was trained '
    """
    if count == 1:
        return f"text {first:,} {UNFAMILIAR}"
    return (
        f"{count:,} of {total:,} texts are unlike those that the model was trained on, so their answers may "
        f"be meaningless; the first is text {first:,}"
    )

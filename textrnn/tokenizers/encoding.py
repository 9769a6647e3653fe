"""Tokenizing whole data sets."""

from collections.abc import Iterable
from itertools import islice

import numpy as np

from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.text import Document, chunks, text_of

CHUNK_CHARACTERS = 16_384
"""Maximum length of a string that is tokenized at once."""

BATCH_CHUNKS = 256
"""Number of strings that are tokenized together. Bounds memory: every word takes a string of its own."""


def encode_documents(tokenizer: Tokenizer, documents: Iterable[Document | str]) -> list[np.ndarray]:
    """Tokenize documents of any length in batches.

    Long documents are split at newlines, which does not change the ids that the tokenizers of this package
    produce. Lines of more than 16,384 characters are split at spaces, which may change the ids at the split.

    Args:
        tokenizer: The tokenizer.
        documents: The texts.

    Returns:
        One int32 array of shape `(tokens,)` per document.

    Example:

    >>> from textrnn.tokenizers import ByteTokenizer, encode_documents
    >>> encode_documents(ByteTokenizer(), ["hi", "!"])
    [array([106, 107], dtype=int32), array([35], dtype=int32)]
    """
    chunks_of = [list(chunks(text_of(document), CHUNK_CHARACTERS)) for document in documents]
    queue = [chunk for document in chunks_of for chunk in document]
    rows = []
    for start in range(0, len(queue), BATCH_CHUNKS):
        ids = tokenizer.tokenize(queue[start : start + BATCH_CHUNKS])
        rows += np.split(ids.values.numpy(), ids.row_splits.numpy()[1:-1])
    remaining = iter(rows)
    empty = np.zeros(0, np.int32)
    return [np.concatenate([empty, *islice(remaining, len(document))]) for document in chunks_of]

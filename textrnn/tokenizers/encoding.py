"""Tokenizing whole data sets."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.text import Document, document_chunks

CHUNK_CHARACTERS = 16_384
"""Maximum length of a string that is tokenized at once."""

BATCH_CHARACTERS = 2**20
"""Number of characters that are tokenized together. Bounds memory: every word takes a string of its own."""

BATCH_CHUNKS = 2**14
"""Maximum number of strings that are tokenized together."""

MAX_THREADS = 16
"""Maximum number of batches that are tokenized at the same time."""


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
    encoded, parts = [], [np.zeros(0, np.int32)]
    for ids, ends, _ in encode_batches(tokenizer, documents):
        *whole, rest = np.split(ids, ends)
        for document in whole:
            encoded.append(np.concatenate([*parts, document]))
            parts = parts[:1]
        parts.append(rest)
    return encoded


def encode_batches(
    tokenizer: Tokenizer, documents: Iterable[Document | str], threads: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Tokenize documents of any length and number, in parallel, a few batches at a time.

    TensorFlow tokenizes outside of Python's lock, so threads suffice. The ids do not depend on their number.

    Args:
        tokenizer: The tokenizer.
        documents: The texts, as for `encode_documents`.
        threads: Number of threads. Default: that of the processors, at most 16.

    Yields:
        Token ids of a batch, int32 `(tokens,)`; the positions among them where documents end, integers
        `(documents,)`; and the number of characters of the batch.

    Example:

    >>> from textrnn.tokenizers import ByteTokenizer
    >>> from textrnn.tokenizers.encoding import encode_batches
    >>> list(encode_batches(ByteTokenizer(), ["hi", "", "!"]))
    [(array([106, 107,  35], dtype=int32), array([2, 2, 3], dtype=int32), 3)]
    """

    def encode(batch):
        strings, last = zip(*batch, strict=True)
        ids = tokenizer.tokenize(list(strings))
        ends = ids.row_splits.numpy()[1:][np.array(last)]
        return ids.values.numpy(), ends, sum(map(len, strings))

    threads = threads or min(os.cpu_count() or 1, MAX_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque = deque()
        try:
            for batch in _batches(documents):
                waiting.append(pool.submit(encode, batch))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for task in waiting:
                task.cancel()


def _batches(documents):
    """Yield lists of chunks, each with whether it is the last of its document."""
    batch, characters = [], 0
    for document in documents:
        found = document_chunks(document, CHUNK_CHARACTERS)
        following: str | None = next(found, "")
        while following is not None:
            chunk, following = following, next(found, None)
            batch.append((chunk, following is None))
            characters += len(chunk)
            if characters >= BATCH_CHARACTERS or len(batch) >= BATCH_CHUNKS:
                yield batch
                batch, characters = [], 0
    if batch:
        yield batch

"""Tokenizers that run inside the graph: strings in, ids out, and back.

| kind | unit | learnt from the text | detokenize(tokenize(x)) = x |
|---|---|---|---|
| `sentencepiece` | subwords | yes | yes |
| `character` | characters | yes | yes |
| `byte` | bytes | no | yes |
| `word` | words between spaces | yes | no: `<unk>`, and a run of spaces becomes one |

All are KerasHub tokenizers, use only operations that a stock model server knows, and share their first ids:
0 is padding, and 1 the end of a text, which also starts one.
"""

from collections.abc import Iterable
from itertools import islice

import numpy as np

from textrnn.errors import InputError
from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.byte import ByteTokenizer
from textrnn.tokenizers.sentencepiece import CharacterTokenizer, SentencePieceTokenizer
from textrnn.tokenizers.text import Document, chunks, text_of
from textrnn.tokenizers.word import WordTokenizer

TOKENIZERS: dict[str, type[Tokenizer]] = {
    "sentencepiece": SentencePieceTokenizer,
    "character": CharacterTokenizer,
    "byte": ByteTokenizer,
    "word": WordTokenizer,
}


def train_tokenizer(
    kind: str, documents: Iterable[Document | str], vocabulary_size: int | None = None
) -> Tokenizer:
    """Makes a tokenizer of a kind from texts.

    Args:
        kind: `"sentencepiece"`, `"character"`, `"byte"` or `"word"`.
        documents: the texts to learn from.
        vocabulary_size: the number of ids; None leaves it to the kind.

    Raises:
        InputError: an unknown kind, or a `vocabulary_size` that does not suit the kind or the text.

    Example:
    >>> from textrnn.tokenizers import train_tokenizer
    >>> train_tokenizer("word", ["to be or not to be"], vocabulary_size=5).get_vocabulary()
    ['<pad>', '</s>', '<unk>', 'be', 'to']
    """
    if kind not in TOKENIZERS:
        raise InputError(f"no tokenizer is called {kind!r}: choose one of {', '.join(TOKENIZERS)}")
    return TOKENIZERS[kind].train(documents, vocabulary_size)


def encode_documents(tokenizer: Tokenizer, documents: Iterable[Document | str]) -> list[np.ndarray]:
    """Tokenizes documents of any length, quickly.

    Long documents are tokenized in pieces that end at newlines; with this module's tokenizers the ids are the
    same as those of the whole. Where a text has very long lines, it is cut at spaces.

    Args:
        tokenizer: a tokenizer.
        documents: the texts.

    Returns:
        For each document, an int32 array of shape `(tokens,)`.

    Example:
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> from textrnn.tokenizers import encode_documents
    >>> encode_documents(ByteTokenizer(), ["hi", "!"])
    [array([106, 107], dtype=int32), array([35], dtype=int32)]
    """
    pieces = [list(chunks(text_of(document), 16384)) for document in documents]
    queue = [piece for of_document in pieces for piece in of_document]
    rows = []
    for start in range(0, len(queue), 256):  # bounds the memory that strings of one word each take
        ids = tokenizer.tokenize(queue[start : start + 256])
        rows += np.split(ids.values.numpy(), ids.row_splits.numpy()[1:-1])
    remaining = iter(rows)
    nothing = np.zeros(0, np.int32)
    return [np.concatenate([nothing, *islice(remaining, len(of_document))]) for of_document in pieces]

"""The kinds of tokenizers by name."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from textrnn.errors import InputError
from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.byte import ByteTokenizer
from textrnn.tokenizers.character import CharacterTokenizer
from textrnn.tokenizers.sentencepiece import SentencePieceTokenizer
from textrnn.tokenizers.text import Document
from textrnn.tokenizers.word import WordTokenizer

TOKENIZERS: Mapping[str, type[Tokenizer]] = MappingProxyType(
    {
        "sentencepiece": SentencePieceTokenizer,
        "character": CharacterTokenizer,
        "byte": ByteTokenizer,
        "word": WordTokenizer,
    }
)
"""The tokenizer classes by kind."""


def train_tokenizer(
    kind: str, documents: Iterable[Document | str], vocabulary_size: int | None = None
) -> Tokenizer:
    """Train a tokenizer of the given kind.

    Args:
        kind: `"sentencepiece"`, `"character"`, `"byte"` or `"word"`.
        documents: Training texts.
        vocabulary_size: Number of ids. Default: chosen by the kind, see its `train` method.

    Returns:
        The tokenizer.

    Raises:
        InputError: If the kind is unknown, or if `vocabulary_size` does not fit the kind or the text.

    Example:

    >>> from textrnn.tokenizers import train_tokenizer
    >>> train_tokenizer("word", ["to be or not to be"], vocabulary_size=5).get_vocabulary()
    ['<pad>', '</s>', '<unk>', 'be', 'to']
    """
    if kind not in TOKENIZERS:
        raise InputError(f"unknown tokenizer {kind!r}: choose one of {', '.join(TOKENIZERS)}")
    return TOKENIZERS[kind].train(documents, vocabulary_size)

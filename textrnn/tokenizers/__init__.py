"""In-graph tokenizers: SentencePiece, characters, bytes and words."""

from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.byte import ByteTokenizer
from textrnn.tokenizers.sentencepiece import CharacterTokenizer, SentencePieceTokenizer
from textrnn.tokenizers.text import valid_utf8
from textrnn.tokenizers.training import TOKENIZERS, encode_documents, train_tokenizer
from textrnn.tokenizers.word import WordTokenizer

__all__ = [
    "TOKENIZERS",
    "ByteTokenizer",
    "CharacterTokenizer",
    "SentencePieceTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "encode_documents",
    "train_tokenizer",
    "valid_utf8",
]

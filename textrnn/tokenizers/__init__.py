"""Tokenizers that run inside the graph: strings to token ids and back.

| kind | unit | learned from the text | lossless |
|---|---|---|---|
| `sentencepiece` | subwords | yes | yes |
| `character` | characters | yes | yes |
| `byte` | bytes | no | yes |
| `word` | words between spaces | yes | no: rare words become `<unk>`, runs of spaces become one |

A lossless tokenizer guarantees `detokenize(tokenize(text)) == text`. All are KerasHub tokenizers and use only
ops that a stock model server has. In all of them id 0 is padding and id 1 marks the start and the end of a
text.
"""

from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.byte import ByteTokenizer
from textrnn.tokenizers.character import CharacterTokenizer
from textrnn.tokenizers.encoding import encode_documents
from textrnn.tokenizers.registry import TOKENIZERS, train_tokenizer
from textrnn.tokenizers.sentencepiece import SentencePieceTokenizer
from textrnn.tokenizers.text import lowercased, valid_utf8, without_cut_character
from textrnn.tokenizers.word import WordTokenizer

__all__ = [
    "TOKENIZERS",
    "ByteTokenizer",
    "CharacterTokenizer",
    "SentencePieceTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "encode_documents",
    "lowercased",
    "train_tokenizer",
    "valid_utf8",
    "without_cut_character",
]

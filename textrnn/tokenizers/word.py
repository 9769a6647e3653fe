"""The closed vocabulary of the language-modelling literature."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from textrnn.errors import InputError
from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.text import Document, text_of


@keras.saving.register_keras_serializable(package="textrnn")
class WordTokenizer(Tokenizer):
    r"""The closed vocabulary of the language-modelling literature: words between spaces, the rest `<unk>`.

    A newline is a word of its own (`<eos>` in the literature), and a literal `<unk>` in the text is id 2.
    Words are joined by single spaces, lines by newlines; so a completion by itself has no leading space.

    Args:
        vocabulary: the tokens in the order of their ids, `<pad>`, `</s>` and `<unk>` first; None leaves it to
            `load_assets`.

    Example:
    >>> from textrnn.tokenizers import WordTokenizer
    >>> tokenizer = WordTokenizer.train(["the cat sat \n the <unk> sat \n"])
    >>> tokenizer.get_vocabulary()
    ['<pad>', '</s>', '<unk>', '\n', 'sat', 'the', 'cat']
    >>> tokenizer.detokenize(tokenizer(" the  dog \n sat")).numpy()
    b'the <unk>\nsat'
    """

    unk_token_id = 2
    suppressed_token_ids = (0, 2)
    tokens_are_words = True
    _specials = ("<pad>", "</s>", "<unk>")
    # Splitting at whitespace would lose newlines: this control character (record separator) is their word.
    _newline = "\x1e"

    def __init__(self, vocabulary: Iterable[str] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.file_assets = ["vocabulary.json"]
        self.set_vocabulary(vocabulary)

    @classmethod
    def train(cls, documents: Iterable[Document | str], vocabulary_size: int | None = None):
        """Collects the words, by descending frequency and then alphabetically.

        Args:
            documents: the texts to learn from.
            vocabulary_size: the largest number of ids, special tokens included. None keeps every word.
        """
        if vocabulary_size is not None and vocabulary_size <= len(cls._specials):
            raise InputError(
                f"vocabulary_size={vocabulary_size} leaves no room for words: "
                f"give more than the {len(cls._specials)} special tokens"
            )
        counts: Counter[bytes] = Counter()
        for document in documents:
            # Split as bytes: as in the graph, only ASCII whitespace parts words.
            counts.update(text_of(document).replace("\n", f" {cls._newline} ").encode().split())
        for special in cls._specials:
            del counts[special.encode()]
        words = [word.decode() for word in sorted(counts, key=lambda word: (-counts[word], word))]
        words = ["\n" if word == cls._newline else word for word in words]
        return cls([*cls._specials, *words][:vocabulary_size])

    def set_vocabulary(self, vocabulary: Iterable[str] | None) -> None:
        if vocabulary is None:
            return
        tokens = list(vocabulary)
        if tuple(tokens[:3]) != self._specials or len(set(tokens)) != len(tokens):
            raise InputError(
                f"the vocabulary must begin with {', '.join(self._specials)} and have no duplicates"
            )
        self._set_tokens(tokens)
        # From <unk> on: "</s>" in a text is not the end of it.
        words = [self._newline if token == "\n" else token for token in tokens[2:]]
        entries = tf.lookup.KeyValueTensorInitializer(words, np.arange(2, len(tokens)), tf.string, tf.int64)
        self._table = tf.lookup.StaticHashTable(entries, default_value=self.unk_token_id)
        self._strings = tf.constant(tokens)

    def _encode(self, strings):
        words = tf.strings.split(tf.strings.regex_replace(strings, "\n", f" {self._newline} "))
        return tf.cast(self._table.lookup(words), tf.int32)

    def _decode(self, ids):
        joined = tf.strings.reduce_join(tf.gather(self._strings, ids), axis=-1, separator=" ")
        return tf.strings.regex_replace(joined, " ?\n ?", "\n")

    def save_assets(self, dir_path):
        text = json.dumps(self.get_vocabulary(), ensure_ascii=False, indent=0)
        Path(dir_path, self.file_assets[0]).write_text(text, encoding="utf-8")

    def load_assets(self, dir_path):
        self.set_vocabulary(json.loads(Path(dir_path, self.file_assets[0]).read_text(encoding="utf-8")))

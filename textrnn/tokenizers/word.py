"""A tokenizer with one token per word, over a closed vocabulary."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from textrnn.errors import InputError, warn
from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.text import Document, evenly_sampled

SPECIAL_TOKENS = ("<pad>", "</s>", "<unk>")
"""The first tokens of every vocabulary."""

NEWLINE_WORD = "\x1e"
"""Stands for a newline while texts are split at whitespace: the control character "record separator"."""

WORDS = re.compile(r"\n|[^ \t-\r]+")
"""Newlines, and what is between ASCII whitespace: the tokens of a text."""

MAX_TRAINING_CHARACTERS = 100_000_000
"""Longer training texts are sampled, since the number of different words grows with the text."""

TRAINING_CHUNK_CHARACTERS = 2**20
"""Maximum length of a text whose words are counted at once."""


@keras.saving.register_keras_serializable(package="textrnn")
class WordTokenizer(Tokenizer):
    r"""Words between spaces over a closed vocabulary, as in the language-modeling literature.

    Other words become `<unk>`. A newline is a word of its own (`<eos>` in the literature), and a literal
    `<unk>` in the text has the id of unknown words. Decoding joins words by single spaces and lines by
    newlines, so a completion has no leading space.

    Args:
        vocabulary: The tokens in the order of their ids, starting with `<pad>`, `</s>` and `<unk>`. None if
            `load_assets` is called later.

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

    def __init__(self, vocabulary: Iterable[str] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.file_assets = ["vocabulary.json"]
        self.set_vocabulary(vocabulary)

    @classmethod
    def train(cls, documents: Iterable[Document | str], vocabulary_size: int | None = None):
        """Collect the words, sorted by descending frequency and then alphabetically.

        Texts of more than a hundred million characters are sampled evenly. A warning names words of the text
        that are special tokens.

        Args:
            documents: Training texts.
            vocabulary_size: Maximum number of ids, including special tokens. None keeps all words.

        Returns:
            The tokenizer.

        Raises:
            InputError: If `vocabulary_size` leaves no room for words.
        """
        if vocabulary_size is not None and vocabulary_size <= len(SPECIAL_TOKENS):
            raise InputError(
                f"vocabulary_size={vocabulary_size} leaves no room for words: give more than the "
                f"{len(SPECIAL_TOKENS)} special tokens"
            )
        counts: Counter[bytes] = Counter()
        sample, _ = evenly_sampled(documents, TRAINING_CHUNK_CHARACTERS, MAX_TRAINING_CHARACTERS)
        for text in sample:
            # Splitting bytes matches the graph, where only ASCII whitespace separates words.
            counts.update(text.replace("\n", f" {NEWLINE_WORD} ").encode().split())
        for special in SPECIAL_TOKENS:
            count = counts.pop(special.encode(), 0)
            if count and special != "<unk>":
                warn(
                    f"words of the text that are {special}: {count:,}. The tokenizer keeps that name for "
                    "itself, so they are read as <unk>, which is never generated. Rename them, or leave them "
                    "out: every text ends with an end token anyway"
                )
        words = [word.decode() for word in sorted(counts, key=lambda word: (-counts[word], word))]
        words = ["\n" if word == NEWLINE_WORD else word for word in words]
        return cls([*SPECIAL_TOKENS, *words][:vocabulary_size])

    def set_vocabulary(self, vocabulary: Iterable[str] | None) -> None:
        """Set the tokens, in the order of their ids. None leaves the tokenizer without a vocabulary."""
        if vocabulary is None:
            return
        tokens = list(vocabulary)
        if tuple(tokens[: len(SPECIAL_TOKENS)]) != SPECIAL_TOKENS or len(set(tokens)) != len(tokens):
            raise InputError(
                f"the vocabulary must start with {', '.join(SPECIAL_TOKENS)} and have no duplicates"
            )
        self._set_tokens(tokens)
        # The table starts at <unk>: a literal "</s>" in a text does not end it.
        words = [NEWLINE_WORD if token == "\n" else token for token in tokens[self.unk_token_id :]]
        ids = np.arange(self.unk_token_id, len(tokens))
        entries = tf.lookup.KeyValueTensorInitializer(words, ids, tf.string, tf.int64)
        self._table = tf.lookup.StaticHashTable(entries, default_value=self.unk_token_id)
        self._strings = tf.constant(tokens)

    def _encode(self, strings):
        words = tf.strings.split(tf.strings.regex_replace(strings, "\n", f" {NEWLINE_WORD} "))
        return tf.cast(self._table.lookup(words), tf.int32)

    def _decode(self, ids):
        joined = tf.strings.reduce_join(tf.gather(self._strings, ids), axis=-1, separator=" ")
        return tf.strings.regex_replace(joined, " ?\n ?", "\n")

    def spans(self, text, token_ids=None):
        """Return which characters of a text each word stands for; see `Tokenizer.spans`."""
        found = [match.span() for match in WORDS.finditer(text)]
        return np.array(found, int).reshape(-1, 2)

    def is_unfamiliar(self, strings):
        """Tell which texts have more unknown words than known ones, booleans `(batch,)`."""
        unknown = tf.cast(self.tokenize(strings) == self.unk_token_id, tf.float32)
        return tf.reduce_sum(unknown, axis=1) > tf.reduce_sum(1 - unknown, axis=1)

    def save_assets(self, dir_path):
        """Write the vocabulary as `vocabulary.json`."""
        text = json.dumps(self.get_vocabulary(), ensure_ascii=False, indent=0)
        Path(dir_path, self.file_assets[0]).write_text(text, encoding="utf-8")

    def load_assets(self, dir_path):
        """Read the vocabulary that `save_assets` wrote."""
        self.set_vocabulary(json.loads(Path(dir_path, self.file_assets[0]).read_text(encoding="utf-8")))

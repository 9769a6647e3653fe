"""A tokenizer with one token per byte."""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from textrnn.errors import InputError
from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.text import Document

FIRST_BYTE_ID = 2
"""Id of byte 0, after padding and end of text."""

VOCABULARY_SIZE = FIRST_BYTE_ID + 256


@keras.saving.register_keras_serializable(package="textrnn")
class ByteTokenizer(Tokenizer):
    """One token per byte: the id is the byte plus 2. Needs no training and is lossless on any bytes.

    Generated ids may decode to invalid UTF-8; see `valid_utf8`.

    Example:

    >>> from textrnn.tokenizers import ByteTokenizer
    >>> ByteTokenizer()(["hi", ""]).to_list()
    [[106, 107], []]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._set_tokens(["<pad>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))])

    @classmethod
    def train(cls, documents: Iterable[Document | str] = (), vocabulary_size: int | None = None):
        """Return the tokenizer, which is the same for all texts.

        Args:
            documents: Ignored.
            vocabulary_size: None or 258.

        Raises:
            InputError: If `vocabulary_size` is another number.
        """
        if vocabulary_size not in (None, VOCABULARY_SIZE):
            raise InputError(
                f"vocabulary_size={vocabulary_size} does not fit the byte tokenizer, which always has "
                f"{VOCABULARY_SIZE} ids: omit it"
            )
        return cls()

    def _encode(self, strings):
        values = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(strings), tf.uint8), tf.int32)
        return tf.RaggedTensor.from_row_lengths(values + FIRST_BYTE_ID, tf.strings.length(strings))

    def _decode(self, ids):
        strings = tf.constant([b"", b"", *(bytes([byte]) for byte in range(256))])
        return tf.strings.reduce_join(tf.gather(strings, ids), axis=-1)

    def _byte_counts(self, ids, text):
        return np.ones(len(ids), int), np.array([len(c.encode()) for c in text], int)

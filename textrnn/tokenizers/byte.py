"""One token for each byte."""

from collections.abc import Iterable

import keras
import tensorflow as tf

from textrnn.errors import InputError
from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.text import Document


@keras.saving.register_keras_serializable(package="textrnn")
class ByteTokenizer(Tokenizer):
    """One token for each byte: id = byte + 2. Nothing to learn, lossless on any string of bytes.

    A generated string may be broken UTF-8; see `valid_utf8`.

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
        """Returns the tokenizer: there is nothing to learn."""
        if vocabulary_size not in (None, 258):
            raise InputError(f"vocabulary_size={vocabulary_size} for bytes: it is always 258; leave it out")
        return cls()

    def _encode(self, strings):
        bytes_ = tf.io.decode_raw(tf.strings.reduce_join(strings), tf.uint8)
        return tf.RaggedTensor.from_row_lengths(tf.cast(bytes_, tf.int32) + 2, tf.strings.length(strings))

    def _decode(self, ids):
        strings = tf.constant([b"", b"", *(bytes([byte]) for byte in range(256))])
        return tf.strings.reduce_join(tf.gather(strings, ids), axis=-1)

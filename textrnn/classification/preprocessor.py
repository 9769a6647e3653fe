"""Strings in."""

import keras
import keras_hub
import numpy as np

from textrnn.classification.backbone import RecurrentEncoder


@keras.saving.register_keras_serializable(package="textrnn")
class TextClassifierPreprocessor(keras_hub.models.TextClassifierPreprocessor):
    """Turns strings into what `textrnn.TextClassifier` reads: as many tokens as the longest text has.

    Args:
        tokenizer: one of `textrnn.tokenizers`.
        sequence_length: int. Texts are cut after this many tokens.
        lowercase: bool. Whether upper and lower case are the same.

    Call arguments: strings, and labels and weights as for `fit`. Returns a dict of `"token_ids"` and
    `"padding_mask"`, `(batch, time)`, at least one token wide, with the labels and weights if given.

    Example:

    >>> from textrnn.classification.preprocessor import TextClassifierPreprocessor
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> preprocessor = TextClassifierPreprocessor(ByteTokenizer(), sequence_length=4)
    >>> preprocessor(["a", "Bcdefg"])["padding_mask"].numpy().astype(int).tolist()
    [[1, 0, 0, 0], [1, 1, 1, 1]]
    """

    backbone_cls = RecurrentEncoder

    def __init__(self, tokenizer, sequence_length=512, lowercase=False, **kwargs):
        super().__init__(tokenizer, sequence_length=sequence_length, **kwargs)
        self.lowercase = lowercase

    def build(self, input_shape):
        """Needs no packer: sequences are as long as the longest of a batch."""

    def call(self, x, y=None, sample_weight=None):
        """Texts -> tokens; see the class."""
        import tensorflow as tf

        x = tf.convert_to_tensor(x)
        single = x.shape.rank == 0
        tokens = self.tokens(tf.reshape(x, [-1]))
        inputs = padded(tokens)
        if single:
            inputs = {name: value[0] for name, value in inputs.items()}
        return keras.utils.pack_x_y_sample_weight(inputs, y, sample_weight)

    def tokens(self, texts):
        """The tokens of strings `(batch,)`, as a ragged tensor."""
        import tensorflow as tf

        if self.lowercase:
            texts = tf.strings.lower(texts, encoding="utf-8")
        tokens = tf.cast(self.tokenizer.tokenize(texts), tf.int32)
        return tokens[:, : self.sequence_length]

    def encode(self, texts):
        """The tokens of a list of str, each an int32 array `(tokens,)`: for batches of like length."""
        tokens = []
        for start in range(0, len(texts), 256):  # bounds the memory that strings of one word each take
            ids = self.tokens(list(texts[start : start + 256]))
            tokens += np.split(ids.values.numpy(), ids.row_splits.numpy()[1:-1])
        return tokens

    @classmethod
    def from_config(cls, config):
        """The preprocessor that `get_config` described."""
        import textrnn.tokenizers  # noqa: F401, a process that loads a preset may not have named them yet

        return super().from_config(config)

    def get_config(self):
        """The constructor's arguments."""
        config = super().get_config() | {"lowercase": self.lowercase}
        del config["truncate"]
        return config


def padded(tokens):
    """Ragged tokens as what a classifier reads: token ids and a padding mask, at least one token wide.

    Args:
        tokens: a `tf.RaggedTensor` `(batch, (time))`.
    """
    import tensorflow as tf

    lengths = tokens.row_lengths()
    token_ids = tokens.to_tensor()
    # A batch of nothing but empty texts still needs a step for the layers to have a last one.
    missing = tf.maximum(1 - tf.shape(token_ids)[1], 0)
    token_ids = tf.pad(token_ids, [[0, 0], [0, missing]])
    return {"token_ids": token_ids, "padding_mask": tf.sequence_mask(lengths, tf.shape(token_ids)[1])}

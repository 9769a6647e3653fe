"""Strings to tokens, for classifiers."""

import keras
import keras_hub

from textrnn.classification.backbone import RecurrentEncoder
from textrnn.tasks.preprocessor import RecurrentPreprocessor, encoded, padded
from textrnn.tokenizers.text import lowercased, string_tensor


@keras.saving.register_keras_serializable(package="textrnn")
class TextClassifierPreprocessor(RecurrentPreprocessor, keras_hub.models.TextClassifierPreprocessor):
    """Converts strings to the inputs of `textrnn.TextClassifier`.

    A batch is padded to its longest text. A single text is padded to `sequence_length`, so that the results
    for several texts can be batched: `dataset.map(preprocessor).batch(32)`.

    Args:
        tokenizer: One of `textrnn.tokenizers`.
        sequence_length: int. Texts are truncated to this number of tokens.
        lowercase: bool. Whether to lowercase texts.
        **kwargs: `name`, `dtype` and `trainable`.

    Call arguments: strings, labels and sample weights as for `fit`, and the `sequence_length` to pad to.
    Returns a dict of `"token_ids"` and `"padding_mask"`, `(batch, time)`, at least one token wide, with the
    labels and weights if given.

    Raises:
        InputError: For an unknown argument.

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
        """Do nothing: sequences are as long as the longest of a batch, so no packer is needed."""

    def call(self, x, y=None, sample_weight=None, sequence_length=None):
        """Convert strings to inputs, with labels and weights if given."""
        import tensorflow as tf

        x = string_tensor(x)
        single = x.shape.rank == 0
        if single:
            sequence_length = sequence_length or self.sequence_length
        inputs = padded(self.tokens(tf.reshape(x, [-1])), length=sequence_length)
        if single:
            inputs = {name: value[0] for name, value in inputs.items()}
        return keras.utils.pack_x_y_sample_weight(inputs, y, sample_weight)

    def tokens(self, texts):
        """The tokens of strings `(batch,)`, as a ragged tensor, truncated to `sequence_length`."""
        return self.all_tokens(texts)[:, : self.sequence_length]

    def all_tokens(self, texts):
        """The tokens of strings `(batch,)`, as a ragged tensor."""
        import tensorflow as tf

        if self.lowercase:
            texts = lowercased(texts)
        return tf.cast(self.tokenizer.tokenize(texts), tf.int32)

    def is_unfamiliar(self, texts):
        """Whether strings `(batch,)` are unlike the texts that the vocabulary was learned from, booleans."""
        return self.tokenizer.is_unfamiliar(lowercased(texts) if self.lowercase else texts)

    def encode(self, texts):
        """The tokens of a list of str, each an int32 array `(tokens,)`, to be batched by length."""
        return encoded(self.tokens, texts)

    def get_config(self):
        """Return the arguments of the constructor."""
        config = super().get_config() | {"lowercase": self.lowercase}
        del config["truncate"]
        return config

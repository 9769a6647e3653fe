# mypy: disable-error-code="misc, attr-defined"
"""The common parts of preprocessors: strings to padded tokens, and back."""

import keras
import numpy as np
from keras import ops

from textrnn.tasks.arguments import KnownArguments
from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.text import string_tensor

TOKENIZER_FILES = ("tokenizer.json", "target_tokenizer.json")
"""The configs of tokenizers in a preset, in the order of `tokenizers`."""


class RecurrentPreprocessor(KnownArguments):
    """Mixin of preprocessors; it stands before KerasHub's class among the bases."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "backbone_cls" in vars(cls):
            _register_tokenizer_of(cls.backbone_cls)

    @property
    def tokenizers(self):
        """A list of the tokenizers, each once."""
        return [self.tokenizer]

    @classmethod
    def from_preset(cls, preset, *args, **kwargs):
        """Load a preprocessor from a str or path; see `keras_hub.models.Preprocessor.from_preset`."""
        return super().from_preset(str(preset), *args, **kwargs)

    def get_config(self):
        """Return the arguments of the constructor."""
        self._name_files()  # KerasHub saves the config, and then the tokenizers
        return super().get_config()

    def load_preset_assets(self, preset):
        """Load the vocabularies of the tokenizers from a preset."""
        self._name_files()
        super().load_preset_assets(preset)

    def _name_files(self):
        """Give each tokenizer its name in presets of this model.

        Models that share a tokenizer may have other names for it, so each sets them before it saves or loads.
        """
        for tokenizer, name in zip(self.tokenizers, TOKENIZER_FILES, strict=False):
            tokenizer.config_file = name


def _register_tokenizer_of(backbone_cls):
    """Let `keras_hub.models.Tokenizer.from_preset` load the tokenizer of a preset with this backbone.

    KerasHub looks for a tokenizer class of the backbone, and then loads the class that was saved. Our
    tokenizers work with any backbone.
    """
    name = f"{backbone_cls.__name__}Tokenizer"
    cls = type(name, (Tokenizer,), {"backbone_cls": backbone_cls, "__module__": __name__})
    keras.saving.register_keras_serializable(package="textrnn")(cls)


def padded(tokens, prefix="", length=None):
    """Pad ragged tokens on the right, to at least one column.

    Recurrent layers need one step to have a last one, also for a batch without any text.

    Args:
        tokens: A `tf.RaggedTensor`, `(batch, (time))`.
        prefix: str, put before the names of the result.
        length: int, the number of columns, at which tokens are cut; by default as many as the longest row
        has.

    Returns:
        A dict of `token_ids` and `padding_mask`, `(batch, time)`.
    """
    import tensorflow as tf

    if length is None:
        token_ids = tokens.to_tensor()
        missing = tf.maximum(1 - tf.shape(token_ids)[1], 0)
        token_ids = tf.pad(token_ids, [[0, 0], [0, missing]])
        length = tf.shape(token_ids)[1]
    else:
        token_ids = tokens.to_tensor(shape=[None, length])
    mask = tf.sequence_mask(tokens.row_lengths(), length)
    return {f"{prefix}token_ids": token_ids, f"{prefix}padding_mask": mask}


def encoded(tokenize, texts):
    """The tokens of texts, each an int32 array `(tokens,)`.

    Args:
        tokenize: list of str -> `tf.RaggedTensor`, `(batch, (time))`.
        texts: A list of str.
    """
    tokens = []
    for start in range(0, len(texts), 256):  # bounds the memory of the strings that tokenizers split
        ids = tokenize(string_tensor(list(texts[start : start + 256])))
        tokens += np.split(ids.values.numpy(), ids.row_splits.numpy()[1:-1])
    return tokens


def detokenized(tokenizer, token_ids, padding_mask):
    """Padded tokens as a list of str, or one row as a str.

    Invalid UTF-8, which models of bytes can write, becomes U+FFFD.

    Args:
        tokenizer: One of `textrnn.tokenizers`.
        token_ids: Integers, `(batch, time)` or `(time,)`.
        padding_mask: Booleans of the same shape.
    """
    import tensorflow as tf

    from textrnn.tokenizers import valid_utf8

    token_ids, mask = (ops.convert_to_numpy(x) for x in (token_ids, padding_mask))
    rows, inside = np.atleast_2d(token_ids), np.atleast_2d(mask).astype("bool")
    strings = valid_utf8(tokenizer.detokenize(tf.ragged.boolean_mask(rows, inside))).numpy()
    texts = [text.decode("utf-8") for text in strings]
    return texts if token_ids.ndim == 2 else texts[0]

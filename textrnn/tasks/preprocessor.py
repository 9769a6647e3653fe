# mypy: disable-error-code="misc, attr-defined"
"""The common parts of preprocessors: strings to padded tokens, and back."""

import numpy as np
from keras import ops

from textrnn.tasks.arguments import KnownArguments


class RecurrentPreprocessor(KnownArguments):
    """Mixin of preprocessors; it stands before KerasHub's class among the bases."""

    @classmethod
    def from_config(cls, config):
        """Create a preprocessor from the result of `get_config`."""
        import textrnn.tokenizers  # noqa: F401, registers their classes in a process that loads a preset

        return super().from_config(config)


def padded(tokens, prefix=""):
    """Pad ragged tokens on the right, to at least one column.

    Recurrent layers need one step to have a last one, also for a batch without any text.

    Args:
        tokens: A `tf.RaggedTensor`, `(batch, (time))`.
        prefix: str, put before the names of the result.

    Returns:
        A dict of `token_ids` and `padding_mask`, `(batch, time)`.
    """
    import tensorflow as tf

    token_ids = tokens.to_tensor()
    missing = tf.maximum(1 - tf.shape(token_ids)[1], 0)
    token_ids = tf.pad(token_ids, [[0, 0], [0, missing]])
    mask = tf.sequence_mask(tokens.row_lengths(), tf.shape(token_ids)[1])
    return {f"{prefix}token_ids": token_ids, f"{prefix}padding_mask": mask}


def encoded(tokenize, texts):
    """The tokens of texts, each an int32 array `(tokens,)`.

    Args:
        tokenize: list of str -> `tf.RaggedTensor`, `(batch, (time))`.
        texts: A list of str.
    """
    tokens = []
    for start in range(0, len(texts), 256):  # bounds the memory of the strings that tokenizers split
        ids = tokenize(list(texts[start : start + 256]))
        tokens += np.split(ids.values.numpy(), ids.row_splits.numpy()[1:-1])
    return tokens


def detokenized(tokenizer, token_ids, padding_mask):
    """Padded tokens as a list of str; invalid UTF-8, which models of bytes can write, becomes U+FFFD.

    Args:
        tokenizer: One of `textrnn.tokenizers`.
        token_ids: Integers, `(batch, time)`.
        padding_mask: Booleans, `(batch, time)`.
    """
    import tensorflow as tf

    from textrnn.tokenizers import valid_utf8

    token_ids, mask = (ops.convert_to_numpy(x) for x in (token_ids, padding_mask))
    texts = tokenizer.detokenize(tf.ragged.boolean_mask(token_ids, mask.astype("bool")))
    return [text.decode("utf-8") for text in valid_utf8(texts).numpy()]

"""Strings in and out of language models."""

import keras
import keras_hub
from keras import ops

from textrnn.errors import InputError
from textrnn.text_generation.backbone import RecurrentBackbone


@keras.saving.register_keras_serializable(package="textrnn")
class CausalLMPreprocessor(keras_hub.models.CausalLMPreprocessor):
    """Turns strings into what `textrnn.CausalLM` reads, and back.

    Every text and every prompt starts with the tokenizer's start token, which is also the end-of-text
    token: a prompt is the beginning of a document, and an empty prompt is that token alone.

    Args:
        tokenizer: one of `textrnn.tokenizers`.
        sequence_length: int. Texts given to `fit` are cut and padded to this many tokens; `generate` stops
            there unless it is told a `max_length`.
        add_start_token: bool. Whether to start every text with the start token.
        add_end_token: bool. Whether to end every training text with the end token.
    """

    backbone_cls = RecurrentBackbone

    def generate_preprocess(self, x, sequence_length=None):
        """Turns prompts into padded tokens and refuses one that leaves no room for a new token.

        Args:
            x: a string tensor or list of prompts.
            sequence_length: int. The length to pad to, in tokens.

        Returns:
            A dict of `"token_ids"` and `"padding_mask"`, `(batch, sequence_length)`.

        Raises:
            InputError: if a prompt, with its start token, has `sequence_length` tokens or more.
        """
        limit = sequence_length or self.sequence_length
        import tensorflow as tf

        if not tf.executing_eagerly():  # mapped over a dataset: lengths are not known yet
            return super().generate_preprocess(x, sequence_length=sequence_length)
        tokens = self.tokenizer(x)
        lengths = tokens.row_lengths() if isinstance(tokens, tf.RaggedTensor) else tf.shape(tokens)
        longest = max(lengths.numpy().tolist(), default=0) + int(self.add_start_token)
        if longest >= limit:
            raise InputError(
                f"A prompt of {longest} tokens leaves no room for a new one within max_length={limit}. "
                f"Give max_length={longest + 1} or more, or a shorter prompt."
            )
        return super().generate_preprocess(x, sequence_length=sequence_length)

    @classmethod
    def from_config(cls, config):
        """The preprocessor that `get_config` described."""
        import textrnn.tokenizers  # noqa: F401, a process that loads a preset may not have named them yet

        return super().from_config(config)

    def generate_postprocess(self, x):
        """Turns generated tokens into text.

        Args:
            x: a dict of `"token_ids"` and `"padding_mask"`, `(batch, time)`.

        Returns:
            A list of str. What is no valid UTF-8, as an untrained model of bytes may write, is U+FFFD.
        """
        import tensorflow as tf

        from textrnn.tokenizers import valid_utf8

        token_ids, mask = (ops.convert_to_numpy(x[key]) for key in ("token_ids", "padding_mask"))
        texts = self.tokenizer.detokenize(tf.ragged.boolean_mask(token_ids, mask.astype("bool")))
        return [text.decode("utf-8") for text in valid_utf8(texts).numpy()]

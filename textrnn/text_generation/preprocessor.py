"""Strings to tokens and back, for language models."""

import keras
import keras_hub

from textrnn.data.windows import windows
from textrnn.errors import InputError, expect, is_integer
from textrnn.tasks.preprocessor import RecurrentPreprocessor, detokenized
from textrnn.text_generation.backbone import RecurrentBackbone


@keras.saving.register_keras_serializable(package="textrnn")
class CausalLMPreprocessor(RecurrentPreprocessor, keras_hub.models.CausalLMPreprocessor):
    """Converts strings to the inputs of `textrnn.CausalLM`, and generated tokens to strings.

    Texts and prompts begin with the start token of the tokenizer, which is also the end-of-text token. So a
    prompt is the beginning of a document, and an empty prompt is that token alone.

    Args:
        tokenizer: One of `textrnn.tokenizers`.
        sequence_length: int. `fit` truncates and pads texts to this number of tokens; it is the default
            `max_length` of `generate`.
        add_start_token: bool. Whether to begin each training text with the start token. Prompts and windows
            begin with it in any case.
        add_end_token: bool. Whether to end each training text with the end token.
        **kwargs: `name`, `dtype` and `trainable`.

    Raises:
        InputError: For an unknown argument.

    Example:

    >>> from textrnn.tokenizers import ByteTokenizer
    >>> preprocessor = textrnn.CausalLMPreprocessor(ByteTokenizer(), sequence_length=4)
    >>> x, y, weights = preprocessor(["ab"])
    >>> np.array(x["token_ids"]).tolist(), np.array(y).tolist()
    ([[1, 99, 100, 1]], [[99, 100, 1, 0]])
    """

    backbone_cls = RecurrentBackbone

    def windows(self, stream, batch_size, sequence_length, restart_probability=0.05, **options):
        """Cut a token stream into windows for training. Rows read passages, which begin as a prompt does.

        Args:
            stream: Tokens of the tokenizer; see `textrnn.data.token_streams.token_stream`.
            batch_size, sequence_length: Rows and tokens of a window.
            restart_probability: Fraction of windows that begin a passage; 0 to read the stream in order.
            **options: Others of `textrnn.data.windows.windows`.

        Returns:
            A `tf.data.Dataset` for `CausalLM.fit`.

        Example:

        >>> from textrnn.data.token_streams import token_stream
        >>> from textrnn.tokenizers import ByteTokenizer
        >>> preprocessor = textrnn.CausalLMPreprocessor(ByteTokenizer())
        >>> stream = token_stream(preprocessor.tokenizer, ["a text", "another one"])
        >>> [inputs["token_ids"].shape for inputs, _ in preprocessor.windows(stream, 2, 4)]
        [TensorShape([2, 4]), TensorShape([2, 4])]
        """
        return windows(
            stream,
            batch_size,
            sequence_length,
            restart_probability,
            start_token_id=self.tokenizer.start_token_id,
            boundary_token_ids=self.tokenizer.boundary_token_ids,
            **options,
        )

    def generate_preprocess(self, x, sequence_length=None):
        """Convert prompts to padded tokens.

        Args:
            x: A string tensor or list of prompts.
            sequence_length: int. Number of tokens to pad to.

        Returns:
            A dict of `"token_ids"` and `"padding_mask"`, `(batch, sequence_length)`.

        Raises:
            InputError: For a prompt that, with its start token, leaves no room for a new token.
        """
        limit = self.sequence_length if sequence_length is None else sequence_length
        expect(is_integer(limit), f"max_length is {limit!r}: give a number of tokens")
        import tensorflow as tf

        if not tf.executing_eagerly():  # mapped over a dataset, where lengths are unknown
            return super().generate_preprocess(x, sequence_length=sequence_length)
        tokens = self.tokenizer(x)
        lengths = tokens.row_lengths() if isinstance(tokens, tf.RaggedTensor) else tf.shape(tokens)
        longest = max(lengths.numpy().tolist(), default=0) + 1  # the start token
        if longest >= limit:
            raise InputError(
                f"a prompt of {longest} tokens leaves no room for a new one within max_length={limit}: "
                f"pass max_length={longest + 1} or more, or a shorter prompt"
            )
        return super().generate_preprocess(x, sequence_length=sequence_length)

    def generate_postprocess(self, x):
        """Convert generated tokens to strings.

        Args:
            x: A dict of `"token_ids"` and `"padding_mask"`, `(batch, time)` or `(time,)`.

        Returns:
            A list of str, or a str for one row. Invalid UTF-8, which a model of bytes can write, becomes
            U+FFFD.
        """
        return detokenized(self.tokenizer, x["token_ids"], x["padding_mask"])

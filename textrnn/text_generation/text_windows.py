"""Training and validation texts as the windows of a language model."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from textrnn.data.stored_texts import count_characters
from textrnn.data.token_files import StoredTokens
from textrnn.data.token_streams import token_stream
from textrnn.data.windows import evaluation_windows
from textrnn.tasks.execution import execution_of
from textrnn.text_generation.evaluation import ROWS, STEPS


@dataclass(frozen=True)
class TextWindows:
    """What `text_windows` makes.

    Attributes:
        train: Windows for `fit`, whose states are carried from one to the next.
        validation: Windows that score each token of the validation text once.
        train_tokens, validation_tokens: The token streams that they are cut from, `(tokens,)`.
        characters: Number of characters of the validation text.
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset
    train_tokens: np.ndarray | StoredTokens
    validation_tokens: np.ndarray | StoredTokens
    characters: int


def text_windows(lm, texts, batch_size, sequence_length, **options):
    """Tokenize the training and the validation text, and cut both into windows.

    Args:
        lm: A `textrnn.CausalLM` with a preprocessor.
        texts: `textrnn.data.sources.Splits` of text.
        batch_size, sequence_length: Rows and tokens of a window for training.
        **options: Others of `CausalLMPreprocessor.windows`, such as `seed`.

    Returns:
        `TextWindows`.

    Raises:
        InputError: If the training text is too short for one window.

    Example:

    >>> import textrnn
    >>> from textrnn.data.sources import load_texts
    >>> from textrnn.text_generation.text_windows import text_windows
    >>> lm = textrnn.CausalLM(
    ...     textrnn.RecurrentBackbone(258, units=4),
    ...     textrnn.CausalLMPreprocessor(textrnn.tokenizers.ByteTokenizer()))
    >>> windows = text_windows(lm, load_texts(), batch_size=32, sequence_length=64)
    >>> history = lm.fit(windows.train.take(2), validation_data=windows.validation.take(1), verbose=0)
    """
    train_tokens, validation_tokens = (
        token_stream(lm.preprocessor.tokenizer, part, f"{name} text")
        for name, part in (("training", texts.train), ("validation", texts.validation))
    )
    options = {"origin": texts.name or "the text", "few_lengths": execution_of(lm).xla} | options
    return TextWindows(
        lm.preprocessor.windows(train_tokens, batch_size, sequence_length, **options),
        evaluation_windows(validation_tokens, ROWS, STEPS, options["origin"]),
        train_tokens,
        validation_tokens,
        count_characters(texts.validation),
    )

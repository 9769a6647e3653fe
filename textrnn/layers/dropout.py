"""Dropout of the inputs, recurrent inputs, recurrent kernels and word embeddings of a recurrent layer."""

import numbers
from collections.abc import Callable, Mapping

import keras
from keras import ops

from textrnn.errors import InputError
from textrnn.tensors import Tensor

_PREFIX = "dropout/"


def check_rate(name: str, rate: float) -> float:
    """Check a rate and return it as a float.

    Raises:
        InputError: If it is not a Python or NumPy number in [0, 1).

    Example:

    >>> from textrnn.layers.dropout import check_rate
    >>> check_rate("dropout", 0.5)
    0.5
    """
    if not isinstance(rate, numbers.Real) or not 0 <= rate < 1:
        raise InputError(f"{name} is {rate!r}: give a rate, at least 0 and below 1")
    return float(rate)


def locked_mask(batch_size: int | Tensor, size: int, rate: float, dtype: str, seed) -> Tensor:
    """A dropout mask `(batch_size, size)`: 0 with probability `rate`, and 1 / (1 − rate) otherwise.

    Used at every step of a sequence, it gives locked (variational) dropout (Gal & Ghahramani 2016).
    """
    return keras.random.dropout(ops.ones((batch_size, size), dtype=dtype), rate, seed=seed)


def drop_recurrent(
    step: Callable,
    kernels: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    batch_size: int | Tensor,
    rate: float,
    seed,
) -> tuple[Callable, dict[str, Tensor]]:
    """Apply recurrent dropout to a step: locked dropout of the inputs of each recurrent kernel.

    Args:
        step: A cell's `step`.
        kernels: The cell's `recurrent_kernels`, each `(n, m)`. The masks are `(batch_size, n)`.
        weights: The cell's `elementwise_weights`.
        batch_size: The number of rows.
        rate: Fraction to drop.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        The new step, and its weights. The masks are among the weights, so that a strategy knows all that the
        step reads.
    """
    masks = {
        _PREFIX + name: locked_mask(batch_size, kernel.shape[0], rate, kernel.dtype, seed)
        for name, kernel in kernels.items()
    }

    def dropped(projected, states, dot, weights):
        def dropped_dot(name, x, plus=None):
            return dot(name, x * weights[_PREFIX + name], plus)

        return step(projected, states, dropped_dot, weights)

    return dropped, {**weights, **masks}


def drop_weights(kernels: Mapping[str, Tensor], rate: float, seed) -> dict[str, Tensor]:
    """Apply weight drop: dropout of the recurrent kernels' entries (Merity et al. 2018).

    Args:
        kernels: A cell's `recurrent_kernels`.
        rate: Fraction of the entries to drop.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        The new kernels. An entry is 0 with probability `rate`, and is divided by 1 − rate otherwise.
    """
    return {name: keras.random.dropout(kernel, rate, seed=seed) for name, kernel in kernels.items()}


@keras.saving.register_keras_serializable("textrnn")
class EmbeddingDropout(keras.layers.Layer):
    """Embedding dropout: zeroes the vectors of a fraction of the word types, with one mask per batch.

    A dropped word is dropped wherever it occurs in the batch. The vectors of other words are divided by
    1 − rate (Gal & Ghahramani 2016; Merity et al. 2018, Regularizing and optimizing LSTM language models).
    The result is that of dropping rows of the embedding matrix at the lookup. An output layer with tied
    weights is not affected.

    Args:
        rate: Fraction of the vocabulary to drop in training.
        vocabulary_size: Number of word types.
        seed: An int, or None.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        embedded: The vectors of the words, `(batch, time, n)`.
        token_ids: Integers from 0 to `vocabulary_size` − 1, `(batch, time)`.
        training: Whether to drop words.

    Returns:
        `(batch, time, n)`.

    Raises:
        InputError: If the rate is not in [0, 1), or `vocabulary_size` is below 1.

    Example:

    >>> import numpy as np
    >>> from textrnn.layers import EmbeddingDropout
    >>> token_ids = np.array([[3, 1, 3, 3, 0]])
    >>> kept = EmbeddingDropout(0.5, vocabulary_size=4, seed=1)(np.ones((1, 5, 2)), token_ids, training=True)
    >>> first, *_ = np.array(kept)
    >>> bool((first[0] == first[2]).all() and (first[0] == first[3]).all())
    True
    """

    def __init__(self, rate, vocabulary_size, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(vocabulary_size, numbers.Integral) or vocabulary_size < 1:
            raise InputError(f"vocabulary_size is {vocabulary_size!r}: give the number of words, at least 1")
        self.rate = check_rate("rate", rate)
        self.vocabulary_size = int(vocabulary_size)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, embedded_shape, token_ids_shape):
        """Do nothing, since the layer has no weights."""

    def call(self, embedded, token_ids, training=False):
        """Drop words. The class docstring has the shapes."""
        if not (training and self.rate):
            return embedded
        kept = locked_mask(self.vocabulary_size, 1, self.rate, embedded.dtype, self.seed_generator)
        return embedded * ops.take(kept, token_ids, axis=0)

    def compute_output_shape(self, embedded_shape, token_ids_shape):
        """The shape of `embedded`."""
        return embedded_shape

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "rate": self.rate,
            "vocabulary_size": self.vocabulary_size,
            "seed": self.seed,
        }

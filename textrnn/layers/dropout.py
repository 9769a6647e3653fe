"""Dropout of what goes into a recurrence, of what its kernels multiply, and of the kernels themselves."""

import numbers
from collections.abc import Callable, Mapping

import keras
from keras import ops

from textrnn.cells.base import Tensor
from textrnn.errors import InputError

_PREFIX = "dropout/"


def check_rate(name: str, rate: float) -> float:
    """The rate as a float, if it is one.

    Raises:
        InputError: if it is no number, of Python's or NumPy's, or not in [0, 1).

    Example:
    >>> from textrnn.layers.dropout import check_rate
    >>> check_rate("dropout", 0.5)
    0.5
    """
    if not isinstance(rate, numbers.Real) or not 0 <= rate < 1:
        raise InputError(f"{name} is {rate!r}: give a rate, a number of at least 0 and below 1")
    return float(rate)


def locked_mask(batch_size: int | Tensor, size: int, rate: float, dtype: str, seed) -> Tensor:
    """What to multiply each step by, `(batch_size, size)`: 0 with probability `rate`, else 1 / (1 − rate).

    The same at every step, it is locked or variational dropout (Gal & Ghahramani 2016).
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
    """Recurrent dropout: a mask of its own, the same at every step, on what each recurrent kernel multiplies.

    Args:
        step: a cell's `step`.
        kernels: the cell's `recurrent_kernels`, each `(n, m)`; the masks are `(batch_size, n)`.
        weights: the cell's `elementwise_weights`.
        batch_size: how many rows the masks have.
        rate: the fraction to drop.
        seed: a `keras.random.SeedGenerator`.

    Returns:
        The step and the weights to use in place of those given. The masks are among the weights, so that
        a strategy sees all that the step uses.
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
    """Weight drop: the recurrent kernels with one mask for all steps and rows (Merity et al. 2018).

    Args:
        kernels: a cell's `recurrent_kernels`.
        rate: the fraction of their entries to drop.
        seed: a `keras.random.SeedGenerator`.

    Returns:
        The kernels to use in place of those given: entries are 0 with probability `rate`, and the others
        divided by 1 − rate.
    """
    return {name: keras.random.dropout(kernel, rate, seed=seed) for name, kernel in kernels.items()}


@keras.saving.register_keras_serializable("textrnn")
class EmbeddingDropout(keras.layers.Layer):
    """Drops whole words: a word that is dropped is dropped wherever it occurs in the batch.

    One mask over the vocabulary is drawn for a batch; the vectors of the words that stay are divided by
    1 − rate (Gal & Ghahramani 2016; Merity et al. 2018, Regularizing and optimizing LSTM language models).
    It is the same as dropping rows of the embedding matrix where it is looked up, and not where it is tied
    to the output.

    Args:
        rate: the fraction of the vocabulary to drop in training.
        vocabulary_size: how many different words there are.
        seed: an int, or None.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        embedded: the words' vectors, `(batch, time, n)`.
        token_ids: integers from 0 to `vocabulary_size` − 1, `(batch, time)`.
        training: whether to drop.

    Returns:
        `(batch, time, n)`.

    Raises:
        InputError: for a rate outside [0, 1), or a vocabulary without words.

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
            raise InputError(f"vocabulary_size is {vocabulary_size!r}: give the number of words, 1 or more")
        self.rate = check_rate("rate", rate)
        self.vocabulary_size = int(vocabulary_size)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, embedded_shape, token_ids_shape):
        """Nothing to make: it has no weights."""

    def call(self, embedded, token_ids, training=False):
        """Drops words; see the class."""
        if not (training and self.rate):
            return embedded
        kept = locked_mask(self.vocabulary_size, 1, self.rate, embedded.dtype, self.seed_generator)
        return embedded * ops.take(kept, token_ids, axis=0)

    def compute_output_shape(self, embedded_shape, token_ids_shape):
        """The shape of the vectors."""
        return embedded_shape

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "rate": self.rate,
            "vocabulary_size": self.vocabulary_size,
            "seed": self.seed,
        }

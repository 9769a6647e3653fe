"""The cross-entropy over a sample of the vocabulary, for large vocabularies."""

import math

from keras import ops

from textrnn.decoding.sampling import row_uniforms
from textrnn.tensors import Tensor, at_least_float32
from textrnn.training.losses import crossentropy


def sampled_crossentropy(
    hidden: Tensor, targets: Tensor, vectors: Tensor, count: int, seed: int | Tensor
) -> Tensor:
    """Estimate the cross-entropy of tokens from the logits of a part of the vocabulary.

    The first half of the tokens are those of the lowest ids, which are the most frequent ones in a vocabulary
    that is sorted by frequency. The others are drawn with probabilities proportional to 1 / (id + 1)
    (Zipf's law), and their logits are corrected by how often a token is expected to be drawn, so the estimate
    of the sum of exponentials has no bias (Bengio & Senécal 2008; Jean et al. 2015, On using very large
    target vocabulary). The loss is biased low, as the logarithm of an estimate is.

    Args:
        hidden: `(..., features)`, what the model multiplies by the output vectors.
        targets: Token ids, `(...)`.
        vectors: The output vectors, `(vocabulary_size, features)`.
        count: Number of tokens that get logits besides the targets, the same for the whole batch.
        seed: An int or a scalar tensor, of which the draw is a function.

    Returns:
        The loss of each token `(...)`, in nats, in float32 or higher. If `count` is the size of the
        vocabulary or more, it is the exact one.

    Example:

    >>> import numpy as np
    >>> from textrnn.training.sampled_softmax import sampled_crossentropy
    >>> losses = sampled_crossentropy(np.zeros((5, 2)), np.arange(5), np.ones((1000, 2)), count=100, seed=0)
    >>> bool((abs(losses - np.log(1000)) < 0.3).numpy().all())
    True
    """
    size, features = vectors.shape
    shape = ops.shape(targets)
    hidden = ops.reshape(hidden, (-1, features))
    targets = ops.reshape(ops.cast(targets, "int32"), (-1, 1))
    tokens, expected = drawn_tokens(size, count, seed)
    logits = ops.matmul(hidden, ops.transpose(ops.take(vectors, tokens, axis=0)))
    dtype = at_least_float32(logits)
    logits = ops.cast(logits, dtype) - ops.cast(ops.log(expected), dtype)
    # The target has a logit of its own.
    logits = ops.where(tokens[None] == targets, ops.cast(-1e9, dtype), logits)
    of_target = ops.sum(hidden * ops.take(vectors, targets[:, 0], axis=0), axis=-1, keepdims=True)
    logits = ops.concatenate([ops.cast(of_target, dtype), logits], axis=-1)
    return ops.reshape(crossentropy(ops.zeros_like(targets[:, 0]), logits), shape)


def drawn_tokens(size: int, count: int, seed: int | Tensor) -> tuple[Tensor, Tensor]:
    """Draw the tokens of `sampled_crossentropy`.

    Args:
        size: Size of the vocabulary.
        count: Number of tokens.
        seed: See there.

    Returns:
        int32 `(count,)` tokens, and float32 `(count,)`, how often each is expected among them: 1 for the
        first half.
    """
    if count >= size:
        return ops.arange(size, dtype="int32"), ops.ones((size,), "float32")
    first = count // 2
    drawn = count - first
    span = math.log((size + 1) / (first + 1))  # of the logarithms of id + 1, from `first` to `size`
    uniforms = row_uniforms(ops.arange(drawn, dtype="int32"), seed)
    tokens = ops.cast(ops.floor((first + 1) * ops.exp(span * uniforms)), "int32") - 1
    tokens = ops.clip(tokens, first, size - 1)
    expected = drawn / span * ops.log1p(1 / (ops.cast(tokens, "float32") + 1))
    always = ops.arange(first, dtype="int32")
    return (
        ops.concatenate([always, tokens], axis=0),
        ops.concatenate([ops.ones((first,), "float32"), expected], axis=0),
    )

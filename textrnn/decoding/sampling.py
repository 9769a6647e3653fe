"""Row-seeded sampling: pure functions of logits."""

import numpy as np
from keras import ops


def row_uniforms(seeds, index):
    """One number in (0, 1) for each row, a function of the row's seed and a counter alone.

    `keras.random` and `tf.random` draw a whole batch from one seed, so a row's numbers would depend on the
    rows beside it. This is a counter-based generator instead (Salmon et al. 2011, "Parallel random numbers:
    as easy as 1, 2, 3"), with the finaliser of MurmurHash3 (Appleby 2011, public domain) as the mixing
    function, applied once to the seed and once more after adding the counter.

    Args:
        seeds: integers, `(batch,)`; their low 32 bits count.
        index: integer scalar or `(batch,)`, the number of the draw.

    Returns:
        float32, `(batch,)`, odd multiples of 2⁻²⁴: never 0, which would choose a token that is all but
        impossible, and never 1.

    Example:

    >>> from textrnn.decoding.sampling import row_uniforms
    >>> alone, batched = row_uniforms([7], 0), row_uniforms([3, 7], 0)
    >>> bool(alone[0] == batched[1])
    True
    """
    # The mixing function leaves 0 as it is, so the seeds are moved away from it.
    seeds = ops.cast(ops.convert_to_tensor(seeds), "uint32") + ops.cast(0x9E3779B9, "uint32")
    bits = _mix(_mix(seeds) + ops.cast(index, "uint32"))
    return (ops.cast(ops.right_shift(bits, ops.cast(9, "uint32")), "float32") + 0.5) * 2.0**-23


def row_seeds(token_ids, padding_mask):
    """A seed for each row, derived from its own tokens: the same prompt gives the same answer.

    Args:
        token_ids: integers, `(batch, time)`.
        padding_mask: booleans, `(batch, time)`, True for tokens that count.

    Returns:
        int32, `(batch,)`. Padding does not change it.
    """
    positions = ops.cast(ops.arange(ops.shape(token_ids)[1], dtype="int32"), "uint32")
    bits = _mix(_mix(ops.cast(token_ids, "uint32")) + positions)
    return ops.sum(ops.where(padding_mask, ops.cast(bits, "int32"), 0), axis=1)


def _mix(x):
    """The 32-bit finaliser of MurmurHash3: every input bit changes about half of the output bits."""
    u32 = lambda n: ops.cast(n, "uint32")  # noqa: E731
    x = ops.bitwise_xor(x, ops.right_shift(x, u32(16))) * u32(0x85EBCA6B)
    x = ops.bitwise_xor(x, ops.right_shift(x, u32(13))) * u32(0xC2B2AE35)
    return ops.bitwise_xor(x, ops.right_shift(x, u32(16)))


def filter_logits(logits, top_k, top_p):
    """Removes the tokens that top-k and nucleus sampling exclude, by setting their logits to -inf.

    Tokens that tie with the last one kept are kept too. The nucleus is taken among the `top_k`.

    Args:
        logits: float32, `(batch, vocabulary)`.
        top_k: int32, `(batch,)`; 0 or less keeps all.
        top_p: float32, `(batch,)`; the smallest set of the likeliest tokens whose probabilities reach
            `top_p` is kept, and never less than one token; 1 or more keeps all (Holtzman et al. 2020).

    Returns:
        float32, `(batch, vocabulary)`.
    """
    vocabulary_size = logits.shape[-1]
    top_k, top_p = ops.cast(top_k, "int32"), ops.cast(top_p, logits.dtype)

    def exclude():
        ordered = ops.flip(ops.sort(logits, axis=-1), axis=-1)
        rank = ops.arange(vocabulary_size, dtype="int32")[None]
        limit = ops.where(top_k > 0, top_k, vocabulary_size)[:, None]
        kept = ops.where(rank < limit, ordered, -float("inf"))
        probabilities = ops.softmax(kept, axis=-1)
        before = ops.cumsum(probabilities, axis=-1) - probabilities
        inside = (before < ops.where(top_p < 1, top_p, 2.0)[:, None]) & (rank < limit)
        inside = inside | (rank == 0)
        threshold = ops.min(ops.where(inside, ordered, float("inf")), axis=-1, keepdims=True)
        return ops.where(logits < threshold, -float("inf"), logits)

    # Sorting a large vocabulary costs more than a step of the model: do it only if some row asks for it.
    # A row that does not ask keeps all its logits in either branch.
    asked = ops.any((top_k > 0) | (top_p < 1))
    return ops.cond(asked, exclude, lambda: logits)


def sample(logits, uniforms, temperature, top_k, top_p):
    """One token for each row by inverting the cumulative distribution at that row's uniform number.

    Args:
        logits: `(batch, vocabulary)`.
        uniforms: float32, `(batch,)` in (0, 1).
        temperature: float32, `(batch,)`; 0 or less takes the likeliest token.
        top_k, top_p: see `filter_logits`.

    Returns:
        int32, `(batch,)`.
    """
    logits = ops.cast(logits, "float32")
    greedy = ops.argmax(logits, axis=-1)
    # Beyond these a logit over the temperature is no number, and nothing changes that one could see.
    scale = ops.clip(ops.where(temperature > 0, temperature, 1.0), 1e-4, 1e4)[:, None]
    probabilities = ops.softmax(filter_logits(logits / scale, top_k, top_p), axis=-1)
    cumulative = ops.cumsum(probabilities, axis=-1)
    # The first token whose cumulative probability exceeds u, scaled by the sum as rounded: a token of
    # probability zero is never first.
    target = uniforms[:, None] * cumulative[:, -1:]
    drawn = ops.argmax(cumulative > target, axis=-1)
    return ops.cast(ops.where(temperature > 0, drawn, greedy), "int32")


def suppressed(logits, token_ids):
    """Logits in float32, minus infinity for tokens that must never be chosen.

    Args:
        logits: `(..., vocabulary)`.
        token_ids: a list or tuple of ints.
    """
    excluded = np.isin(np.arange(logits.shape[-1]), list(token_ids))
    return ops.where(excluded, -float("inf"), ops.cast(logits, "float32"))

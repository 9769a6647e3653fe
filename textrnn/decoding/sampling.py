"""Row-seeded sampling: pure functions of logits."""

import keras
import numpy as np
from keras import ops


def row_uniforms(seeds, index):
    """One number in (0, 1) per row, a function of the row's seed and a counter alone.

    `keras.random` and `tf.random` draw a whole batch from one seed, so the numbers of a row would depend on
    the other rows. This is a counter-based generator (Salmon et al. 2011, "Parallel random numbers: as easy
    as 1, 2, 3"). Its mixing function is the finaliser of MurmurHash3 (Appleby 2011, public domain), applied
    to the seed and again after adding the counter.

    Args:
        seeds: Integers, `(batch,)`; only the low 32 bits are used.
        index: Integer scalar or `(batch,)`, the number of the draw.

    Returns:
        float32, `(batch,)`, odd multiples of 2⁻²⁴. It is never 0, which would select a token of almost no
        probability, and never 1.

    Example:

    >>> from textrnn.decoding.sampling import row_uniforms
    >>> alone, batched = row_uniforms([7], 0), row_uniforms([3, 7], 0)
    >>> bool(alone[0] == batched[1])
    True
    """
    # The mixing function maps 0 to 0, so the seeds are shifted.
    seeds = ops.cast(ops.convert_to_tensor(seeds), "uint32") + ops.cast(0x9E3779B9, "uint32")
    bits = _mix(_mix(seeds) + ops.cast(index, "uint32"))
    return (ops.cast(ops.right_shift(bits, ops.cast(9, "uint32")), "float32") + 0.5) * 2.0**-23


def row_seeds(token_ids, padding_mask):
    """A seed per row, derived from the tokens of the row: the same prompt gives the same text.

    Args:
        token_ids: Integers, `(batch, time)`.
        padding_mask: Booleans, `(batch, time)`, True for valid tokens.

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
    """Set the logits of tokens outside the top k and the nucleus to minus infinity.

    The nucleus is taken among the top k tokens. Ties with the last token kept are kept too.

    Args:
        logits: float32, `(batch, vocabulary)`.
        top_k: int32, `(batch,)`; 0 or less keeps all tokens.
        top_p: float32, `(batch,)`. The smallest set of most likely tokens whose probabilities sum to
            `top_p` is kept, at least one token; 1 or more keeps all (Holtzman et al. 2020).

    Returns:
        float32, `(batch, vocabulary)`.
    """
    top_k, top_p = ops.cast(top_k, "int32"), ops.cast(top_p, logits.dtype)

    def among_top_k(logits):
        # A row without a limit has a limit that no row reaches.
        limit = ops.cast(ops.where(top_k > 0, top_k, logits.shape[-1]), logits.dtype)
        return _keep_until(logits, ops.ones_like(logits), limit)

    def in_nucleus(logits):
        kept = _keep_until(logits, ops.softmax(logits, axis=-1), top_p)
        return ops.where((top_p < 1)[:, None], kept, logits)

    # For a large vocabulary a filter costs as much as a step of the model, so it runs only if a row filters.
    logits = ops.cond(ops.any(top_k > 0), lambda: among_top_k(logits), lambda: logits)
    return ops.cond(ops.any(top_p < 1), lambda: in_nucleus(logits), lambda: logits)


LARGE = 1024
"""Size of a vocabulary that takes longer to sort than to divide into buckets first."""

BUCKETS = 256
BUCKETS_PER_NAT = 16.0


def _keep_until(logits, weights, targets):
    """Keep the largest logits of each row whose weights sum to a target, and those equal to the last of them.

    Args:
        logits: float32, `(batch, vocabulary)`.
        weights: float32 of the same shape, 0 or more.
        targets: float32, `(batch,)`. At least one logit is kept, and all if their sum is below the target.

    Returns:
        The logits, minus infinity in place of those that are not kept.
    """
    candidates, before, most = logits, 0.0, logits.shape[-1]
    # Where shapes are static, as many logits are sorted anyway.
    if logits.shape[-1] > LARGE and keras.backend.backend() == "tensorflow":
        candidates, before, most = _last_bucket(logits, weights, targets)
    ordered, index = ops.top_k(candidates, most)
    own = ops.where(ordered > -float("inf"), ops.take_along_axis(weights, index, axis=-1), 0.0)
    last = _first_to_reach(before + ops.cumsum(own, axis=-1), targets)
    return ops.where(logits < ops.take_along_axis(ordered, last, axis=-1), -float("inf"), logits)


def _last_bucket(logits, weights, targets):
    """The logits among which the sum of weights reaches a target, for vocabularies that are slow to sort.

    The weights are summed in buckets of similar logits, from the largest logit down.

    Args:
        logits, weights, targets: See `_keep_until`.

    Returns:
        The logits of one bucket of each row, minus infinity in place of the others, `(batch, vocabulary)`;
        the sum of the weights of all buckets before it, `(batch, 1)`; and the size of the largest of them.
    """
    rows = ops.shape(logits)[0]
    distance = (ops.max(logits, axis=-1, keepdims=True) - logits) * BUCKETS_PER_NAT
    bucket = ops.cast(ops.minimum(distance, BUCKETS - 1.0), "int32")
    place = bucket + BUCKETS * ops.arange(rows, dtype="int32")[:, None]
    sums = ops.segment_sum(ops.reshape(weights, (-1,)), ops.reshape(place, (-1,)), rows * BUCKETS)
    sums = ops.reshape(sums, (-1, BUCKETS))
    until = ops.cumsum(sums, axis=-1)
    last = _first_to_reach(until, targets)
    inside = bucket == last
    size = ops.max(ops.sum(ops.cast(inside, "int32"), axis=-1), initial=1)  # there may be no row
    before = ops.take_along_axis(until - sums, last, axis=-1)
    return ops.where(inside, logits, -float("inf")), before, size


def _first_to_reach(sums, targets):
    """The column, `(batch, 1)`, of the first running sum that is at least the target, or the whole sum."""
    targets = ops.maximum(ops.minimum(targets, sums[:, -1]), 1e-30)[:, None]
    return ops.expand_dims(_first(sums >= targets), -1)


def _first(condition):
    """The first column in which a condition holds, int32 `(batch,)`."""
    # Keras takes care of the sign of zeros in floats and booleans, which costs several passes.
    return ops.cast(ops.argmax(ops.cast(condition, "int32"), axis=-1), "int32")


def distribution(logits, temperature, top_k, top_p):
    """The probabilities that sampling draws from.

    Args:
        logits: float32, `(batch, vocabulary)`.
        temperature: float32, `(batch,)`; 0 or less counts as 1.
        top_k, top_p: See `filter_logits`.

    Returns:
        float32, `(batch, vocabulary)`.
    """
    # Beyond these bounds the division overflows, and the samples no longer change.
    scale = ops.clip(ops.where(temperature > 0, temperature, 1.0), 1e-4, 1e4)[:, None]
    return ops.softmax(filter_logits(logits / scale, top_k, top_p), axis=-1)


def draw(probabilities, uniforms):
    """Draw one token per row by inverting the cumulative distribution.

    Args:
        probabilities: float32, `(batch, vocabulary)`.
        uniforms: float32, `(batch,)` in (0, 1).

    Returns:
        int32, `(batch,)`.
    """
    cumulative = ops.cumsum(probabilities, axis=-1)
    # The target is scaled by the rounded sum, so that some token exceeds it. The first one that does never
    # has probability zero.
    target = uniforms[:, None] * cumulative[:, -1:]
    return _first(cumulative > target)


def sample(logits, uniforms, temperature, top_k, top_p):
    """Sample one token per row.

    Args:
        logits: `(batch, vocabulary)`.
        uniforms: float32, `(batch,)` in (0, 1).
        temperature: float32, `(batch,)`; 0 or less takes the most likely token.
        top_k, top_p: See `filter_logits`.

    Returns:
        int32, `(batch,)`.
    """
    logits = ops.cast(logits, "float32")
    greedy = ops.cast(ops.argmax(logits, axis=-1), "int32")
    drawn = draw(distribution(logits, temperature, top_k, top_p), uniforms)
    return ops.where(temperature > 0, drawn, greedy)


def suppressed(logits, token_ids):
    """Logits in float32, minus infinity for tokens that must never be chosen.

    Args:
        logits: `(..., vocabulary)`.
        token_ids: A list or tuple of ints.
    """
    excluded = np.isin(np.arange(logits.shape[-1]), list(token_ids))
    return ops.where(excluded, -float("inf"), ops.cast(logits, "float32"))

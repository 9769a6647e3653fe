"""Row-seeded sampling: pure functions of logits."""

import keras
import numpy as np
from keras import ops

from textrnn.decoding.selection import BLOCK, LARGE, at, first


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
    return _uniforms(_mix(_mix(seeds) + ops.cast(index, "uint32")))


def _uniforms(bits):
    return (ops.cast(ops.right_shift(bits, ops.cast(9, "uint32")), "float32") + 0.5) * 2.0**-23


def other_uniforms(uniforms):
    """A second number for each that `row_uniforms` returned, and a function of it."""
    bits = ops.cast(ops.maximum(ops.cast(uniforms, "float32") * 2.0**23 - 0.5, 0.0), "uint32")
    return _uniforms(_mix(bits + ops.cast(0x9E3779B9, "uint32")))


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
    logits = _among_top_k(logits, top_k)

    def in_nucleus():
        return ops.where(
            logits < _nucleus(logits, ops.softmax(logits, axis=-1), top_p), -float("inf"), logits
        )

    return ops.cond(ops.any(top_p < 1), in_nucleus, lambda: logits)


def _among_top_k(logits, top_k):
    """The logits, minus infinity for tokens outside the top k."""
    top_k = ops.cast(top_k, "int32")

    def filtered():
        # A row without a limit has a limit that no row reaches.
        limit = ops.cast(ops.where(top_k > 0, top_k, ops.shape(logits)[-1]), logits.dtype)
        possible = ops.cast(logits > -float("inf"), logits.dtype)
        return ops.where(logits < _last_kept(logits, possible, limit), -float("inf"), logits)

    # For a large vocabulary a filter costs as much as a step of the model, so it runs only if a row filters.
    return ops.cond(ops.any(top_k > 0), filtered, lambda: logits)


def _nucleus(logits, probabilities, top_p):
    """The smallest logit in the nucleus of each row, `(batch, 1)`; minus infinity for rows that keep all."""
    top_p = ops.cast(top_p, logits.dtype)
    return ops.where((top_p < 1)[:, None], _last_kept(logits, probabilities, top_p), -float("inf"))


BUCKETS = 256
BUCKETS_PER_NAT = 16.0


def _last_kept(logits, weights, targets):
    """The smallest of the largest logits of each row whose weights sum to a target.

    Args:
        logits: float32, `(batch, vocabulary)`.
        weights: float32 of the same shape, 0 or more.
        targets: float32, `(batch,)`. At least one logit is kept, and all if their sum is below the target.

    Returns:
        float32, `(batch, 1)`.
    """
    before = 0.0
    # Where shapes are static, all logits are sorted.
    if (logits.shape[-1] or 0) > LARGE and keras.backend.backend() == "tensorflow":
        logits, weights, before = _last_bucket(logits, weights, targets)
    ordered, index = ops.top_k(logits, ops.shape(logits)[1])
    sums = before + ops.cumsum(at(weights, index), axis=-1)
    return at(ordered, _first_to_reach(sums, targets)[:, None])


def _last_bucket(logits, weights, targets):
    """The logits among which the sum of weights reaches a target, for vocabularies that are slow to sort.

    The weights are summed in buckets of similar logits, from the largest logit down.

    Args:
        logits, weights, targets: See `_last_kept`.

    Returns:
        The logits of one bucket of each row, `(batch, size)`, with minus infinity after them; their weights;
        and the sum of the weights of all buckets before it, `(batch, 1)`.
    """
    import tensorflow as tf

    distance = (ops.max(logits, axis=-1, keepdims=True) - logits) * BUCKETS_PER_NAT
    # A logit that is no number becomes a negative one, which would be an error for all rows.
    bucket = ops.maximum(ops.cast(ops.minimum(distance, BUCKETS - 1.0), "int32"), 0)
    # Sums of segments, and of Keras's `bincount`, take twice as long.
    sums = tf.raw_ops.DenseBincount(input=bucket, size=BUCKETS, weights=weights)
    until = ops.cumsum(sums, axis=-1)
    last = _first_to_reach(until, targets)
    places = tf.where(bucket == last[:, None])  # row by row
    parts = [tf.shape(logits, "int64")[0], places[:, 0]]

    def found(values, default):
        dense = tf.raw_ops.RaggedTensorToTensor(
            shape=tf.constant([-1, -1], "int64"),
            values=tf.gather_nd(values, places),
            default_value=tf.constant(default, values.dtype),
            row_partition_tensors=parts,
            row_partition_types=["FIRST_DIM_SIZE", "VALUE_ROWIDS"],
        )
        return ops.pad(dense, [[0, 0], [0, 1]], constant_values=default)  # if there is no row

    return found(logits, -float("inf")), found(weights, 0.0), at(until - sums, last[:, None])


def _first_to_reach(sums, targets):
    """The column, `(batch,)`, of the first running sum that is at least the target, or the whole sum."""
    return first(sums >= ops.maximum(ops.minimum(targets, sums[:, -1]), 1e-30)[:, None])


def distribution(logits, temperature, top_k, top_p):
    """The probabilities that sampling draws from.

    Args:
        logits: float32, `(batch, vocabulary)`.
        temperature: float32, `(batch,)`; 0 or less counts as 1.
        top_k, top_p: See `filter_logits`.

    Returns:
        float32, `(batch, vocabulary)`.
    """
    logits, probabilities = _among_all(logits, temperature, top_k)
    weights = ops.cond(
        ops.any(top_p < 1), lambda: _in_nucleus(logits, probabilities, top_p), lambda: probabilities
    )
    return weights / ops.sum(weights, axis=-1, keepdims=True)


def _among_all(logits, temperature, top_k):
    """The logits divided by the temperature, within the top k, and their probabilities."""
    # Beyond these bounds the division overflows, and the samples no longer change.
    scale = ops.clip(ops.where(temperature > 0, temperature, 1.0), 1e-4, 1e4)[:, None]
    # A product takes less than half of the time of a quotient.
    logits = _among_top_k(logits * (1.0 / scale), top_k)
    return logits, ops.softmax(logits, axis=-1)


def _in_nucleus(logits, probabilities, top_p):
    """The probabilities of tokens in the nucleus, 0 for others; their sum may be less than 1."""
    return ops.where(logits < _nucleus(logits, probabilities, top_p), 0.0, probabilities)


def draw(probabilities, uniforms):
    """Draw one token per row by inverting the cumulative distribution.

    Args:
        probabilities: float32, `(batch, vocabulary)`; those of a row may have any positive sum.
        uniforms: float32, `(batch,)` in (0, 1).

    Returns:
        int32, `(batch,)`.
    """
    size = probabilities.shape[-1]
    if size is None or size <= LARGE:
        cumulative = ops.cumsum(probabilities, axis=-1)
        # The target is scaled by the rounded sum, so that some token exceeds it. The first one that does
        # never has probability zero.
        return first(cumulative > uniforms[:, None] * cumulative[:, -1:])
    # A running sum over a large vocabulary takes as long as a matrix product, so it has two levels.
    blocks = ops.reshape(ops.pad(probabilities, [[0, 0], [0, -size % BLOCK]]), (-1, -(-size // BLOCK), BLOCK))
    sums = ops.sum(blocks, axis=-1)
    until = ops.cumsum(sums, axis=-1)
    target = uniforms[:, None] * until[:, -1:]
    block = first(until > target)
    inside = ops.cumsum(at(blocks, block), axis=-1)
    # The two levels round differently, so the target is kept within the block.
    target = ops.maximum(target - at(until - sums, block)[:, None], 0.0)
    return block * BLOCK + first(inside > ops.minimum(target, inside[:, -1:] * (1 - 2.0**-23)))


def _drawn(logits, uniforms, temperature, top_k, top_p):
    """Draw one token per row; see `sample`.

    Tokens are drawn from all first. Whether one is in the nucleus is a sum. Only where it is not, the nucleus
    is searched and a token of it drawn. Both draws give tokens of the nucleus in proportion to their
    probabilities, so the distribution is that of the nucleus.
    """
    logits, probabilities = _among_all(logits, temperature, top_k)
    tokens = draw(probabilities, uniforms)

    def within_nucleus():
        likelier = ops.cast(logits > at(logits, tokens[:, None]), logits.dtype)
        outside = (top_p < 1) & (ops.sum(likelier * probabilities, axis=-1) >= top_p)
        return ops.cond(ops.any(outside), lambda: drawn_again(outside), lambda: tokens)

    def drawn_again(outside):
        values = logits, probabilities, top_p, other_uniforms(uniforms)
        if keras.backend.backend() != "tensorflow":  # shapes are static
            *nucleus, others = values
            return ops.where(outside, draw(_in_nucleus(*nucleus), others), tokens)
        import tensorflow as tf

        rows = tf.where(outside)
        *nucleus, others = (tf.gather(x, rows[:, 0]) for x in values)
        return tf.tensor_scatter_nd_update(tokens, rows, draw(_in_nucleus(*nucleus), others))

    return ops.cond(ops.any(top_p < 1), within_nucleus, lambda: tokens)


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
    draws = temperature > 0
    none = lambda: ops.zeros_like(draws, "int32")  # noqa: E731
    likely = lambda: first(logits >= ops.max(logits, axis=-1, keepdims=True))  # noqa: E731
    drawn = lambda: _drawn(logits, uniforms, temperature, top_k, top_p)  # noqa: E731
    # Both take several passes over the vocabulary, so each runs only if a row needs it.
    return ops.where(draws, ops.cond(ops.any(draws), drawn, none), ops.cond(ops.all(draws), none, likely))


def suppressed(logits, token_ids):
    """Logits in float32, minus infinity for tokens that must never be chosen.

    Args:
        logits: `(..., vocabulary)`.
        token_ids: A list or tuple of ints.
    """
    logits = ops.cast(logits, "float32")
    if not token_ids:
        return logits
    excluded = np.isin(np.arange(logits.shape[-1]), list(token_ids))
    # Faster than choosing between two tensors.
    return ops.minimum(logits, np.where(excluded, -np.inf, np.inf).astype("float32"))

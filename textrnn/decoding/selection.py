"""Selecting rows, elements and the largest logits in few operations, each of which counts in a short step."""

import keras
from keras import ops

LARGE = 1024
"""Size of a vocabulary above which it pays to look at blocks of tokens first."""

BLOCK = 64
"""Tokens of a block."""


def rows_at(values, index):
    """The elements of `values` along the first axis; `ops.take` also counts from the end, in four operations.

    Args:
        values: `(rows, ...)`.
        index: Integers from 0, of any shape.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.take(values, index, axis=0)
    import tensorflow as tf

    return tf.gather(values, index)


def at(values, columns):
    """The elements `columns[i]` of each row i; `ops.take_along_axis` takes many more operations.

    Args:
        values: `(rows, size, ...)`.
        columns: int32, `(rows, ...)`.

    Example:

    >>> from textrnn.decoding.selection import at
    >>> at(np.array([[5, 6, 7], [8, 9, 10]]), np.array([[2, 0], [1, 1]], "int32")).numpy().tolist()
    [[7, 5], [9, 9]]
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(values, columns, batch_dims=1)
    rows, size = values.shape[:2]
    starts = ops.reshape(size * ops.arange(rows, dtype="int32"), (-1,) + (1,) * (len(columns.shape) - 1))
    return ops.take(ops.reshape(values, (-1, *values.shape[2:])), columns + starts, axis=0)


def first(condition):
    """The first column in which a condition holds, int32 `(rows,)`."""
    # Keras takes care of the sign of zeros in floats and booleans, which costs several passes.
    return ops.cast(ops.argmax(ops.cast(condition, "int32"), axis=-1), "int32")


def largest(logits, count):
    """The largest logits of each row and their tokens, in descending order.

    Those of a large vocabulary are in the blocks with the largest maxima. Finding the maximum of a block is
    much faster than sorting. Of equal logits those in a block with a larger maximum come first, then those of
    the lowest token. Tokens whose logit is minus infinity may occur twice.

    Args:
        logits: float32, `(rows, vocabulary)`.
        count: int, or on TensorFlow a scalar tensor; at most the size of the vocabulary.

    Returns:
        float32 and int32, `(rows, count)`.

    Example:

    >>> from textrnn.decoding.selection import largest
    >>> logits = np.sin(np.arange(6000, dtype="float32"))[None]
    >>> logits[0, [4000, 70, 65]] = 5, 6, 7
    >>> largest(logits, 3)[1].numpy().tolist()
    [[65, 70, 4000]]
    """
    vocabulary = logits.shape[-1]
    if vocabulary is None or vocabulary <= LARGE:  # that of a shortlist is not known before it is read
        values, tokens = ops.top_k(logits, count)
        return values, ops.cast(tokens, "int32")
    # Blocks of another size save a copy with padding.
    size = next((size for size in range(BLOCK, 2 * BLOCK) if vocabulary % size == 0), BLOCK)
    padded = ops.pad(logits, [[0, 0], [0, -vocabulary % size]], constant_values=-float("inf"))
    blocks = ops.reshape(padded, (-1, -(-vocabulary // size), size))
    number = blocks.shape[1]
    number = min(count, number) if isinstance(count, int) else ops.minimum(count, number)
    _, chosen = ops.top_k(ops.max(blocks, axis=-1), number)
    chosen = ops.cast(chosen, "int32")
    values, places = ops.top_k(ops.reshape(at(blocks, chosen), (-1, number * size)), count)
    places = ops.cast(places, "int32")
    tokens = at(chosen, places // size) * size + places % size
    # Where a row has fewer finite logits than `count`, padding may be among the others.
    return values, ops.minimum(tokens, vocabulary - 1)


def log_total(logits, likeliest):
    """The logarithm of the sum of the exponentials of each row.

    Args:
        logits: float32, `(rows, vocabulary)`.
        likeliest: The largest logit of each row and its token, `(rows, 1)` both.

    Returns:
        float32, `(rows, 1)`.

    Example:

    >>> from textrnn.decoding.selection import largest, log_total
    >>> logits = np.log([[1.0, 2.0, 7.0]]).astype("float32")
    >>> round(float(np.exp(log_total(logits, largest(logits, 1)))[0, 0]), 4)
    10.0
    """
    # Half of the time of `logsumexp`: the softmax is one operation.
    logit, token = likeliest
    return logit - ops.log(at(ops.softmax(logits, axis=-1), token))

"""Windows of a token stream, for training and evaluating language models."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from textrnn.errors import InputError


def stream(documents: Iterable[np.ndarray], end_token_id: int) -> np.ndarray:
    """Concatenate documents into one token stream, with an end token before, between and after them.

    Args:
        documents: Token ids of each document, each of shape `(tokens,)`.
        end_token_id: Id of the end-of-text token.

    Returns:
        An int32 array of shape `(tokens,)`: `[end] first [end] second [end]`.

    Example:

    >>> from textrnn.data.windows import stream
    >>> stream([np.array([5, 6]), np.array([7])], end_token_id=1)
    array([1, 5, 6, 1, 7, 1], dtype=int32)
    """
    end = np.array([end_token_id], np.int32)
    parts = [end]
    for document in documents:
        parts += [np.asarray(document, np.int32), end]
    return np.concatenate(parts)


def windows(
    stream: np.ndarray,
    batch_size: int,
    sequence_length: int,
    restart_probability: float = 0.0,
    origin: str = "the text",
) -> tf.data.Dataset:
    """Cut a token stream into windows for training by truncated backpropagation through time.

    The stream is split into `batch_size` contiguous rows, and every batch holds the next window of each row.
    The states at the end of a window are therefore the initial states of the same row in the next batch.
    Tokens at the end of the stream that do not fill a window are dropped.

    Args:
        stream: Token ids of shape `(tokens,)`.
        batch_size: Number of rows.
        sequence_length: Number of tokens per window.
        restart_probability: Probability that a row starts a window from zero states. Without restarts a
            model never learns to predict from zero states, which is how every prompt begins.
        origin: Name of the text in error messages, such as its file.

    Returns:
        A `tf.data.Dataset` of known length with elements `({"token_ids": (batch, time) int32,
        "restart": (batch,) bool}, targets (batch, time) int32)`. The targets are the next tokens. Rows with
        `restart` start from zero states, as all rows do in the first window of an epoch.

    Raises:
        InputError: If the stream is too short for one window, or if an argument is out of range.

    Example:

    >>> from textrnn.data.windows import windows
    >>> for inputs, targets in windows(np.arange(9), batch_size=2, sequence_length=2):
    ...     print(inputs["token_ids"].numpy().tolist(), targets.numpy().tolist(), inputs["restart"].numpy())
    [[0, 1], [4, 5]] [[1, 2], [5, 6]] [ True  True]
    [[2, 3], [6, 7]] [[3, 4], [7, 8]] [False False]
    """
    _check_sizes(batch_size, sequence_length)
    if not 0 <= restart_probability < 1:
        raise InputError(f"restart_probability is {restart_probability}: give at least 0 and less than 1")
    window = batch_size * sequence_length
    used = (len(stream) - 1) // window * window
    if used <= 0:
        raise InputError(
            f"{origin} is too short: it has {len(stream)} tokens, but batch_size={batch_size} and "
            f"sequence_length={sequence_length} need at least {window + 1}. Reduce one of them or give more "
            "text"
        )
    dataset = _walk(stream[: used + 1], batch_size, sequence_length)

    def with_random_restarts(window, seed):
        inputs, targets, _ = window
        restarts = tf.random.stateless_uniform([batch_size], [seed, 0]) < restart_probability
        return {**inputs, "restart": inputs["restart"] | restarts}, targets

    # Seeds from a dataset differ in every epoch; random ops inside `map` would repeat their numbers.
    seeds = tf.data.Dataset.random(rerandomize_each_iteration=True)
    return tf.data.Dataset.zip((dataset, seeds)).map(with_random_restarts).prefetch(tf.data.AUTOTUNE)


def evaluation_windows(
    stream: np.ndarray, batch_size: int, sequence_length: int, origin: str = "the text"
) -> tf.data.Dataset:
    """Cut a token stream into windows that score every token except the first exactly once.

    Like `windows`, but rows are padded instead of dropping tokens. Each row starts without context, so fewer
    rows give a better score; the literature uses `batch_size=1`. A short stream gets fewer rows.

    Args:
        stream: Token ids of shape `(tokens,)`, at least two.
        batch_size: Maximum number of rows.
        sequence_length: Number of tokens per window.
        origin: Name of the text in error messages, such as its file.

    Returns:
        A `tf.data.Dataset` like that of `windows`, with a third component `sample_weight` of shape
        `(batch, time)`, float32: 1 for tokens of the stream, 0 for padding.

    Raises:
        InputError: If the stream has fewer than two tokens, or if a size is less than 1.

    Example:

    >>> from textrnn.data.windows import evaluation_windows
    >>> for _, targets, weights in evaluation_windows(np.arange(6), batch_size=2, sequence_length=2):
    ...     print(targets.numpy().tolist(), weights.numpy().tolist())
    [[1, 2], [4, 5]] [[1.0, 1.0], [1.0, 1.0]]
    [[3, 0], [0, 0]] [[1.0, 0.0], [0.0, 0.0]]
    """
    _check_sizes(batch_size, sequence_length)
    if len(stream) < 2:
        raise InputError(
            f"{origin} is too short: it has {len(stream)} tokens, but evaluation needs at least 2. Give more "
            "text"
        )
    rows = min(batch_size, -(-(len(stream) - 1) // sequence_length))
    return _walk(stream, rows, sequence_length).prefetch(tf.data.AUTOTUNE)


def _walk(stream: np.ndarray, rows: int, sequence_length: int) -> tf.data.Dataset:
    """Return the windows of the whole stream in `rows` contiguous rows of equal length, the last padded."""
    targets = len(stream) - 1
    row_length = -(-targets // rows)
    steps = -(-row_length // sequence_length)
    row_starts = np.arange(rows)[:, None] * row_length
    times = np.arange(sequence_length)
    # The stream is stored once, and each window gathers its tokens on demand.
    with tf.device("CPU"):
        tokens = tf.convert_to_tensor(np.asarray(stream, np.int32))

    def window(step):
        offsets = step * sequence_length + times  # (time,)
        positions = row_starts + offsets  # (rows, time)
        real = (offsets < row_length) & (positions < targets)
        positions = tf.where(real, positions, 0)
        inputs = {
            "token_ids": tf.where(real, tf.gather(tokens, positions), 0),
            "restart": tf.fill([rows], tf.equal(step, 0)),
        }
        return inputs, tf.where(real, tf.gather(tokens, positions + 1), 0), tf.cast(real, tf.float32)

    return tf.data.Dataset.range(steps).map(window)


def _check_sizes(batch_size: int, sequence_length: int) -> None:
    if batch_size < 1 or sequence_length < 1:
        raise InputError(
            f"batch_size is {batch_size} and sequence_length is {sequence_length}: both must be at least 1"
        )

"""Windows of a token stream, for training and evaluating language models."""

from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from textrnn.data.batching import generated_dataset
from textrnn.data.passages import number_of_windows, read_windows, window_lengths
from textrnn.data.token_files import StoredTokens
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
    stream: np.ndarray | StoredTokens,
    batch_size: int,
    sequence_length: int,
    restart_probability: float = 0.0,
    start_token_id: int | None = None,
    boundary_token_ids: Sequence[int] = (),
    seed: int = 0,
    origin: str = "the text",
    variable_length: bool = False,
    few_lengths: bool = False,
) -> tf.data.Dataset:
    """Cut a token stream into windows for training by truncated backpropagation through time.

    Every batch holds the next window of each of `batch_size` rows. The states at the end of a window are
    therefore the initial states of the same row in the next batch. Tokens at the end of the stream that do
    not fill a window are dropped.

    Without restarts, a row is one contiguous part of the stream. With them, the stream is cut into passages,
    which rows read in a random order, so that a batch mixes texts from everywhere: a contiguous row of a
    large text would stay in one novel for thousands of updates. A passage begins as a prompt does: with zero
    states, from the nearest boundary, and with the start token in place of the token there.

    Args:
        stream: Token ids of shape `(tokens,)`, or `StoredTokens`.
        batch_size: Number of rows.
        sequence_length: Number of tokens per window.
        restart_probability: Fraction of windows that begin a passage.
        start_token_id: First input of a row that restarts. None leaves the token of the stream.
        boundary_token_ids: Tokens after which a text or a line begins. A row that restarts moves to the
            nearest one within four windows, and within half a passage.
        seed: Seed of the order of passages, which differs in every epoch, as do the places of the cuts.
        origin: Name of the text in error messages, such as its file.
        variable_length: Whether each batch has a length of its own, as `window_lengths` draws it. Then
            tokens are not always cut at the same places. Some tokens may be read twice in an epoch, or not at
            all, since each epoch has the same number of steps.
        few_lengths: As for `window_lengths`.

    Returns:
        A `tf.data.Dataset` of known length with elements `({"token_ids": (batch, time) int32,
        "restart": (batch,) bool}, targets (batch, time) int32)`. The targets are the next tokens. Rows with
        `restart` start from zero states, as all rows do in the first window of an epoch. `time` is
        `sequence_length`, unless it is variable.

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
    steps = number_of_windows(len(stream), batch_size, sequence_length, variable_length)
    window = batch_size * sequence_length
    if len(stream) <= window:
        raise InputError(
            f"{origin} is too short: it has {len(stream)} tokens, but batch_size={batch_size} and "
            f"sequence_length={sequence_length} need at least {window + 1}. Reduce one of them or give more "
            "text"
        )

    def generate(epoch):
        lengths = (
            window_lengths(steps, sequence_length, seed, epoch, few_lengths) if variable_length else None
        )
        return read_windows(
            stream,
            batch_size,
            sequence_length,
            restart_probability,
            start_token_id=start_token_id,
            boundary_token_ids=boundary_token_ids,
            seed=seed,
            epoch=epoch,
            lengths=lengths,
        )

    signature = _signature(batch_size, None if variable_length else sequence_length)
    return generated_dataset(generate, signature, steps)


def evaluation_windows(
    stream: np.ndarray | StoredTokens, batch_size: int, sequence_length: int, origin: str = "the text"
) -> tf.data.Dataset:
    """Cut a token stream into windows that score every token except the first exactly once.

    Like `windows`, but rows are padded instead of dropping tokens. Each row starts without context, so fewer
    rows give a better score; the literature uses `batch_size=1`. A short stream gets fewer rows.

    Args:
        stream: Token ids of shape `(tokens,)`, at least two, or `StoredTokens`.
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
    targets = len(stream) - 1
    rows = min(batch_size, -(-targets // sequence_length))
    row_length = -(-targets // rows)
    steps = -(-row_length // sequence_length)
    tokens = stream if isinstance(stream, StoredTokens) else np.asarray(stream, np.int32)
    row_starts = np.arange(rows)[:, None] * row_length

    def generate(epoch):
        for step in range(steps):
            offsets = step * sequence_length + np.arange(sequence_length)  # (time,)
            positions = row_starts + offsets  # (rows, time)
            real = (offsets < row_length) & (positions < targets)
            positions = np.where(real, positions, 0)
            inputs = {
                "token_ids": np.where(real, tokens[positions], 0),
                "restart": np.full(rows, step == 0),
            }
            yield inputs, np.where(real, tokens[positions + 1], 0), real.astype(np.float32)

    signature = (*_signature(rows, sequence_length), tf.TensorSpec([rows, sequence_length], tf.float32))
    return generated_dataset(generate, signature, steps)


def _signature(rows: int, sequence_length: int | None):
    token_ids = tf.TensorSpec([rows, sequence_length], tf.int32)
    return {"token_ids": token_ids, "restart": tf.TensorSpec([rows], tf.bool)}, token_ids


def _check_sizes(batch_size: int, sequence_length: int) -> None:
    if batch_size < 1 or sequence_length < 1:
        raise InputError(
            f"batch_size is {batch_size} and sequence_length is {sequence_length}: both must be at least 1"
        )

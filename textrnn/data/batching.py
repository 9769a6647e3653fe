"""Token ids -> the windows that truncated backpropagation and evaluation walk through."""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from textrnn.errors import InputError


def stream(documents: Iterable[np.ndarray], end_token_id: int) -> np.ndarray:
    """Joins documents into one stream of tokens, with the end token before, between and after them.

    Args:
        documents: the token ids of each document, each of shape `(tokens,)`.
        end_token_id: the end-of-text token.

    Returns:
        An int32 array of shape `(tokens,)`: `[end] first [end] second [end]`.

    Example:
    >>> from textrnn.data.batching import stream
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
    """Cuts a stream into windows for training by truncated backpropagation.

    The stream is cut into `batch_size` contiguous rows, which are walked side by side, window by window: the
    states at the end of a window continue in the same row of the next. What does not fill a window at the
    end of the stream is dropped.

    Args:
        stream: token ids of shape `(tokens,)`.
        batch_size: the number of rows.
        sequence_length: the number of tokens in a window.
        restart_probability: how often a row of a window also starts from zero states, at random. A model
            whose state has travelled through the whole text unbroken has never learnt to begin, and every
            prompt is a beginning.
        origin: what to call the text in an error, such as its file.

    Returns:
        A `tf.data.Dataset` of known length with elements `({"token_ids": (batch, time) int32,
        "restart": (batch,) bool}, targets (batch, time) int32)`. The targets are the next tokens. `restart`
        is True in the first window of each pass: carried states start from zeros there.

    Raises:
        InputError: a stream too short for one window, or a size below 1.

    Example:
    >>> from textrnn.data.batching import windows
    >>> for inputs, targets in windows(np.arange(9), batch_size=2, sequence_length=2):
    ...     print(inputs["token_ids"].numpy().tolist(), targets.numpy().tolist(), inputs["restart"].numpy())
    [[0, 1], [4, 5]] [[1, 2], [5, 6]] [ True  True]
    [[2, 3], [6, 7]] [[3, 4], [7, 8]] [False False]
    """
    _check_sizes(batch_size, sequence_length)
    if not 0 <= restart_probability < 1:
        raise InputError(f"restart_probability is {restart_probability}: give one of at least 0 and below 1")
    window = batch_size * sequence_length
    used = (len(stream) - 1) // window * window
    if used <= 0:
        raise InputError(
            f"{origin} is too short: it has {len(stream)} tokens, and batch_size={batch_size} times "
            f"sequence_length={sequence_length} needs {window + 1} at the least; "
            "lower one of the two, or give more text"
        )
    dataset = _walk(stream[: used + 1], batch_size, sequence_length)

    def finish(window, seed):
        inputs, targets, _ = window
        at_random = tf.random.stateless_uniform([batch_size], [seed, 0]) < restart_probability
        return {**inputs, "restart": inputs["restart"] | at_random}, targets

    # Others in every pass: random operations within `map` would repeat theirs.
    seeds = tf.data.Dataset.random(rerandomize_each_iteration=True)
    return tf.data.Dataset.zip((dataset, seeds)).map(finish).prefetch(tf.data.AUTOTUNE)


def evaluation_windows(
    stream: np.ndarray, batch_size: int, sequence_length: int, origin: str = "the text"
) -> tf.data.Dataset:
    """Cuts a stream into windows that score every token of it, except the first, exactly once.

    As `windows`, but nothing is dropped: rows are padded at their ends. Each row starts without context, so
    the fewer the rows, the better a model scores; `batch_size=1` is the figure of the literature. A short
    stream gets fewer rows than asked for.

    Args:
        stream: token ids of shape `(tokens,)`, at least two.
        batch_size: the largest number of rows.
        sequence_length: the number of tokens in a window.
        origin: what to call the text in an error, such as its file.

    Returns:
        A `tf.data.Dataset` as that of `windows` with a third part, `sample_weight` of shape `(batch, time)`,
        float32: 1 for a token of the stream, 0 for padding.

    Raises:
        InputError: a stream with fewer than two tokens, or a size below 1.

    Example:
    >>> from textrnn.data.batching import evaluation_windows
    >>> for _, targets, weights in evaluation_windows(np.arange(6), batch_size=2, sequence_length=2):
    ...     print(targets.numpy().tolist(), weights.numpy().tolist())
    [[1, 2], [4, 5]] [[1.0, 1.0], [1.0, 1.0]]
    [[3, 0], [0, 0]] [[1.0, 0.0], [0.0, 0.0]]
    """
    _check_sizes(batch_size, sequence_length)
    if len(stream) < 2:
        raise InputError(
            f"{origin} is too short: it has {len(stream)} tokens, and evaluation needs 2 at the least"
        )
    rows = min(batch_size, -(-(len(stream) - 1) // sequence_length))
    return _walk(stream, rows, sequence_length).prefetch(tf.data.AUTOTUNE)


def _walk(stream: np.ndarray, rows: int, sequence_length: int) -> tf.data.Dataset:
    """All of the stream in `rows` contiguous rows of equal length, the last ones padded."""
    targets = len(stream) - 1
    row_length = -(-targets // rows)
    steps = -(-row_length // sequence_length)
    row_starts = np.arange(rows)[:, None] * row_length
    times = np.arange(sequence_length)
    # The stream is the only copy: a window gathers its tokens when it is asked for.
    with tf.device("CPU"):
        tokens = tf.convert_to_tensor(np.asarray(stream, np.int32))

    def window(step):
        offsets = step * sequence_length + times
        positions = row_starts + offsets
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
            f"batch_size={batch_size} and sequence_length={sequence_length} must both be at least 1"
        )


def batches_of_like_length(
    tokens: Sequence[np.ndarray],
    targets: np.ndarray,
    batch_size: int,
    weights: np.ndarray | None = None,
    shuffle: bool = True,
    seed: int = 0,
    pool: int = 50,
) -> tf.data.Dataset:
    """Batches of texts of about one length, so that long ones do not slow short ones.

    Shuffled, the texts are cut into pools in a new order in each pass, each pool is sorted by length and cut
    into batches, and the batches come in random order. Otherwise they are in the order of length.

    Args:
        tokens: the token ids of each text, each of shape `(tokens,)`.
        targets: what each text should give, `(texts,)` or `(texts, ...)`.
        batch_size: how many texts a batch has; the last may have fewer.
        weights: how much each text counts, `(texts,)`, or None.
        shuffle: whether the order is random.
        seed: of that order; every pass has another one.
        pool: how many batches a pool has.

    Returns:
        A dataset of known length of `({"token_ids", "padding_mask"}, targets)` or `(..., targets, weights)`:
        int32 and bool `(batch, time)`, where time is that of the longest text, and at least 1.

    Example:
    >>> from textrnn.data.batching import batches_of_like_length
    >>> texts = [np.arange(n) for n in (5, 1, 4, 2)]
    >>> batches = batches_of_like_length(texts, np.zeros(4, "int32"), batch_size=2)
    >>> sorted(x["token_ids"].shape[1] for x, y in batches)
    [2, 5]
    """
    lengths = np.array([len(text) for text in tokens])
    orders = _Orders([lengths], batch_size, shuffle, seed, pool)

    def generate():
        for rows in orders():
            token_ids, mask = _padded(tokens, rows)
            batch = ({"token_ids": token_ids, "padding_mask": mask}, targets[rows])
            yield batch if weights is None else (*batch, weights[rows])

    like = [np.asarray(values) for values in (targets, *([] if weights is None else [weights]))]
    signature = (
        {"token_ids": _IDS, "padding_mask": _MASK},
        *(tf.TensorSpec([None, *values.shape[1:]], values.dtype) for values in like),
    )
    return _dataset(generate, signature, len(orders))


def pair_batches(
    sources: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    batch_size: int,
    start_token_id: int,
    shuffle: bool = True,
    seed: int = 0,
    pool: int = 50,
) -> tf.data.Dataset:
    """Batches of pairs whose sources are of about one length, and whose targets are.

    Args:
        sources: the token ids of each source, each of shape `(tokens,)`.
        targets: those of each target, which ends in the end token.
        batch_size: how many pairs a batch has; the last may have fewer.
        start_token_id: what the decoder reads first.
        shuffle, seed, pool: as for `batches_of_like_length`; pairs are sorted by the length of the target,
            and by that of the source where it is the same.

    Returns:
        A dataset of known length of `({"encoder_token_ids", "encoder_padding_mask", "decoder_token_ids",
        "decoder_padding_mask"}, targets, weights)`, all `(batch, time)`: the decoder reads the targets one
        step late, and a weight is 1 at a token and 0 at padding.

    Example:
    >>> from textrnn.data.batching import pair_batches
    >>> [(inputs, targets, weights)] = pair_batches([np.array([5, 1])], [np.array([7, 8, 1])], 4, 1)
    >>> inputs["decoder_token_ids"].numpy().tolist(), targets.numpy().tolist()
    ([[1, 7, 8]], [[7, 8, 1]])
    """
    lengths = [np.array([len(text) for text in side]) for side in (sources, targets)]
    orders = _Orders(lengths, batch_size, shuffle, seed, pool)

    def generate():
        for rows in orders():
            source, source_mask = _padded(sources, rows)
            target, target_mask = _padded(targets, rows)
            late = np.concatenate([np.full((len(rows), 1), start_token_id, np.int32), target[:, :-1]], axis=1)
            inputs = {
                "encoder_token_ids": source,
                "encoder_padding_mask": source_mask,
                "decoder_token_ids": late,
                "decoder_padding_mask": target_mask,
            }
            yield inputs, target, target_mask.astype(np.float32)

    inputs = {
        f"{side}_{name}": spec
        for side in ("encoder", "decoder")
        for name, spec in (("token_ids", _IDS), ("padding_mask", _MASK))
    }
    signature = (inputs, _IDS, tf.TensorSpec([None, None], tf.float32))
    return _dataset(generate, signature, len(orders))


_IDS, _MASK = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.bool)


class _Orders:
    """The rows of each batch, in another order at each call: those of like length side by side."""

    def __init__(self, lengths, batch_size, shuffle, seed, pool):
        self.lengths, self.batch_size, self.shuffle = lengths, batch_size, shuffle
        self.pool, self.seed, self.passes = pool * batch_size, seed, itertools.count()

    def __len__(self):
        return len(self._batches(np.random.default_rng(0)))

    def __call__(self):
        return self._batches(np.random.default_rng((self.seed, next(self.passes))))

    def _batches(self, random):
        count = len(self.lengths[0])
        order = random.permutation(count) if self.shuffle else np.arange(count)
        size = self.pool if self.shuffle else count
        batches = []
        for start in range(0, count, size):
            pool = order[start : start + size]
            pool = pool[np.lexsort([lengths[pool] for lengths in self.lengths])]
            batches += [pool[i : i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
        return [batches[i] for i in random.permutation(len(batches))] if self.shuffle else batches


def _padded(tokens, rows):
    """Token ids and padding mask of some texts, as wide as the longest and at least 1."""
    lengths = np.array([len(tokens[row]) for row in rows])
    token_ids = np.zeros((len(rows), max(lengths.max(), 1)), np.int32)
    mask = np.arange(token_ids.shape[1]) < lengths[:, None]
    token_ids[mask] = np.concatenate([tokens[row] for row in rows])
    return token_ids, mask


def _dataset(generate, signature, batches):
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(batches)).prefetch(2)

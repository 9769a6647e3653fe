"""Batches of texts, or of pairs of texts, of similar length."""

import itertools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

TOKEN_IDS = tf.TensorSpec([None, None], tf.int32)
PADDING_MASK = tf.TensorSpec([None, None], tf.bool)


def text_batches(
    tokens: Sequence[np.ndarray],
    targets: np.ndarray,
    batch_size: int,
    weights: np.ndarray | None = None,
    shuffle: bool = True,
    seed: int = 0,
    pool: int = 50,
    few_lengths: bool = False,
) -> tf.data.Dataset:
    """Batches texts of similar length, to reduce padding.

    With `shuffle`, every epoch shuffles the texts, splits them into pools, sorts each pool by length, cuts it
    into batches and shuffles the batches. Without it, batches are sorted by length.

    Args:
        tokens: Token ids of each text, each of shape `(tokens,)`.
        targets: Target of each text, `(texts,)` or `(texts, ...)`.
        batch_size: Texts per batch. The last batch of a pool may be smaller.
        weights: Sample weight of each text, `(texts,)`, or None.
        shuffle: Whether the order is random and different in every epoch.
        seed: Seed of the order.
        pool: Batches per pool.
        few_lengths: Whether to round `time` up to a power of two, at least 8. XLA compiles a step for each
            shape of a batch.

    Returns:
        A `tf.data.Dataset` of known length with elements `({"token_ids": (batch, time) int32,
        "padding_mask": (batch, time) bool}, targets)`, or `(..., targets, weights)`. `time` is the length of
        the longest text in the batch, at least 1.

    Example:

    >>> from textrnn.data.batching import text_batches
    >>> texts = [np.arange(n) for n in (5, 1, 4, 2)]
    >>> batches = text_batches(texts, np.zeros(4, "int32"), batch_size=2)
    >>> sorted(x["token_ids"].shape[1] for x, y in batches)
    [2, 5]
    """
    lengths = np.array([len(text) for text in tokens])
    order = _BatchOrder([lengths], batch_size, shuffle, seed, pool)

    def generate(epoch):
        for rows in order.epoch(epoch):
            token_ids, mask = _padded(tokens, rows, _time([lengths], rows, few_lengths))
            batch = ({"token_ids": token_ids, "padding_mask": mask}, targets[rows])
            yield batch if weights is None else (*batch, weights[rows])

    arrays = [np.asarray(values) for values in (targets, *([] if weights is None else [weights]))]
    signature = (
        {"token_ids": TOKEN_IDS, "padding_mask": PADDING_MASK},
        *(tf.TensorSpec([None, *values.shape[1:]], values.dtype) for values in arrays),
    )
    return generated_dataset(generate, signature, len(order))


def pair_batches(
    sources: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    batch_size: int,
    start_token_id: int,
    shuffle: bool = True,
    seed: int = 0,
    pool: int = 50,
    few_lengths: bool = False,
) -> tf.data.Dataset:
    """Batches source-target pairs of similar length, to reduce padding.

    Pairs are sorted by the length of the target, then by the length of the source.

    Args:
        sources: Token ids of each source, each of shape `(tokens,)`.
        targets: Token ids of each target, including the end token.
        batch_size: Pairs per batch. The last batch of a pool may be smaller.
        start_token_id: First input of the decoder.
        shuffle, seed, pool: See `text_batches`.
        few_lengths: As in `text_batches`. Both sides then have the same length, so that the combinations are
            few, too.

    Returns:
        A `tf.data.Dataset` of known length with elements `({"encoder_token_ids", "encoder_padding_mask",
        "decoder_token_ids", "decoder_padding_mask"}, targets, weights)`, all of shape `(batch, time)`. The
        decoder's inputs are the targets shifted by one step; weights are 1 for tokens and 0 for padding.

    Example:

    >>> from textrnn.data.batching import pair_batches
    >>> [(inputs, targets, weights)] = pair_batches([np.array([5, 1])], [np.array([7, 8, 1])], 4, 1)
    >>> inputs["decoder_token_ids"].numpy().tolist(), targets.numpy().tolist()
    ([[1, 7, 8]], [[7, 8, 1]])
    """
    lengths = [np.array([len(text) for text in side]) for side in (sources, targets)]
    order = _BatchOrder(lengths, batch_size, shuffle, seed, pool)

    def generate(epoch):
        for rows in order.epoch(epoch):
            times = [_time([side], rows) for side in lengths]
            if few_lengths:
                times = [_time(lengths, rows, few_lengths)] * 2
            source, source_mask = _padded(sources, rows, times[0])
            target, target_mask = _padded(targets, rows, times[1])
            start = np.full((len(rows), 1), start_token_id, np.int32)
            inputs = {
                "encoder_token_ids": source,
                "encoder_padding_mask": source_mask,
                "decoder_token_ids": np.concatenate([start, target[:, :-1]], axis=1),
                "decoder_padding_mask": target_mask,
            }
            yield inputs, target, target_mask.astype(np.float32)

    inputs = {
        f"{side}_{name}": spec
        for side in ("encoder", "decoder")
        for name, spec in (("token_ids", TOKEN_IDS), ("padding_mask", PADDING_MASK))
    }
    signature = (inputs, TOKEN_IDS, tf.TensorSpec([None, None], tf.float32))
    return generated_dataset(generate, signature, len(order))


class _BatchOrder:
    """The rows of each batch, in a different order in every epoch.

    Args:
        lengths: Arrays of shape `(texts,)`. Texts are sorted by the last, then by the one before it.
        batch_size, shuffle, seed, pool: See `text_batches`.
    """

    def __init__(self, lengths, batch_size, shuffle, seed, pool):
        self.lengths, self.batch_size, self.shuffle = lengths, batch_size, shuffle
        self.pool_size, self.seed = pool * batch_size, seed

    def __len__(self):
        return len(self._batches(np.random.default_rng(0)))

    def epoch(self, number):
        """Return the batches of an epoch, each an array of row numbers."""
        return self._batches(np.random.default_rng((self.seed, number)))

    def _batches(self, random):
        count = len(self.lengths[0])
        order = random.permutation(count) if self.shuffle else np.arange(count)
        pool_size = self.pool_size if self.shuffle else max(count, 1)
        batches = []
        for start in range(0, count, pool_size):
            pool = order[start : start + pool_size]
            pool = pool[np.lexsort([lengths[pool] for lengths in self.lengths])]
            batches += [pool[i : i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
        return [batches[i] for i in random.permutation(len(batches))] if self.shuffle else batches


def _time(lengths, rows, few=False):
    """Return the length of the longest of some texts on any side, at least 1, or rounded to one of a few."""
    longest = max(1, *(int(side[rows].max()) for side in lengths))
    return max(8, 2 ** (longest - 1).bit_length()) if few else longest


def _padded(tokens, rows, time):
    """Return the token ids and the padding mask of some texts, padded to the same length."""
    lengths = np.array([len(tokens[row]) for row in rows])
    token_ids = np.zeros((len(rows), time), np.int32)
    mask = np.arange(time) < lengths[:, None]
    token_ids[mask] = np.concatenate([tokens[row] for row in rows])
    return token_ids, mask


class Epochs:
    """Which epoch of a generated dataset comes next. Each iteration over the dataset is one.

    Example:

    >>> from textrnn.data.batching import text_batches
    >>> batches = text_batches([np.array([n]) for n in range(4)], np.arange(4), batch_size=1)
    >>> third = [list(batches) for _ in range(3)][2]
    >>> batches.epochs.start(2, batch=1)
    >>> bool(next(iter(batches))[1] == third[1][1])
    True
    """

    def __init__(self):
        self.start(0)

    def start(self, epoch, batch=0):
        """Let the next iteration be that of an epoch, from a batch on; both are counted from 0.

        Such a part of an epoch has fewer batches than the dataset says: do not ask for more.
        """
        self._next = (epoch, batch)

    def take(self):
        """Return the next epoch and its first batch, and go on to the epoch after it."""
        epoch, batch = self._next
        self.start(epoch + 1)
        return epoch, batch


def generated_dataset(generate, signature, batches: int | None) -> tf.data.Dataset:
    """Make a dataset of known length from a generator, with two batches made ahead.

    Args:
        generate: `generate(epoch)` returns an iterator of batches. Epochs are counted from 0.
        signature: The `tf.TensorSpec`s of a batch.
        batches: Batches per epoch, None if that is not known.

    Returns:
        A `tf.data.Dataset` with an attribute `epochs`, an `Epochs`.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.data.batching import generated_dataset
    >>> dataset = generated_dataset(lambda epoch: iter([epoch, 7]), tf.TensorSpec([], tf.int32), 2)
    >>> [batch.numpy().item() for _ in range(2) for batch in dataset]
    [0, 7, 1, 7]
    """
    epochs = Epochs()

    def next_epoch():
        epoch, first = epochs.take()
        return itertools.islice(generate(epoch), first, None)

    dataset = tf.data.Dataset.from_generator(next_epoch, output_signature=signature)
    if batches is not None:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(batches))
    # There is nothing to tune, and the end of an epoch would sometimes wait until the thread that tunes wakes
    # up, 2.5, 5 or 10 seconds from the beginning.
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = dataset.prefetch(2).with_options(options)
    dataset.epochs = epochs
    return dataset

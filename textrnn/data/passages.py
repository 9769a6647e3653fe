"""Windows of a token stream as arrays: passages in a random order, and windows of variable length."""

from collections.abc import Iterator, Sequence

import numpy as np

from textrnn.data.token_files import StoredTokens

_HALVED = 0.05
"""Probability that a window of variable length has about half of the usual length."""


def read_windows(
    stream: np.ndarray | StoredTokens,
    batch_size: int,
    sequence_length: int,
    restart_probability: float = 0.0,
    start_token_id: int | None = None,
    boundary_token_ids: Sequence[int] = (),
    seed: int = 0,
    epoch: int = 0,
    lengths: np.ndarray | None = None,
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Read the windows of an epoch, as `textrnn.data.windows.windows` describes them.

    Args:
        stream, batch_size, sequence_length, restart_probability, start_token_id, boundary_token_ids, seed: As
            for `textrnn.data.windows.windows`, and valid.
        epoch: The order of passages differs from epoch to epoch.
        lengths: The lengths of the windows, `(steps,)`; None for `sequence_length` each.

    Yields:
        `({"token_ids": (batch, time), "restart": (batch,)}, targets (batch, time))`.

    Example:

    >>> from textrnn.data.passages import read_windows
    >>> [inputs["token_ids"].tolist() for inputs, _ in read_windows(np.arange(9), 2, sequence_length=2)]
    [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    """
    tokens = stream if isinstance(stream, StoredTokens) else np.asarray(stream, np.int32)
    if lengths is None:
        steps = number_of_windows(len(tokens), batch_size, sequence_length)
        lengths, row_length = np.full(steps, sequence_length), steps * sequence_length
    else:
        lengths, row_length = np.minimum(lengths, len(tokens) - 1), (len(tokens) - 1) // batch_size
    total = batch_size * row_length
    passages = max(1, round(restart_probability * total / sequence_length))
    reach = min(4 * sequence_length, row_length // 2, total // passages // 2)
    random = np.random.default_rng((seed, epoch))
    # The stream as it is read: its passages in a random order, turned by a number of windows.
    begins = np.linspace(0, total // sequence_length, passages, endpoint=False).astype(int)
    begins *= sequence_length
    order = random.permutation(passages)
    begins, sizes = begins[order], np.diff(begins, append=total)[order]
    ends = np.cumsum(sizes)
    shift = random.integers(total // sequence_length) if passages > 1 else 0
    read = np.arange(batch_size) * row_length + shift * sequence_length
    positions = np.zeros(batch_size, int)
    previous = np.full(batch_size, -1)
    for length in lengths:
        last_start = len(tokens) - 1 - length
        place = read % total
        passage = np.searchsorted(ends, place, side="right")
        restart = passage != previous
        within = place - ends[passage] + sizes[passage]
        positions = np.where(restart, begins[passage] + within, positions)
        over = positions > last_start  # of passages that began at a later boundary
        restart |= over
        positions = np.where(over, 0, positions)
        for row in np.flatnonzero(restart):
            positions[row] = nearest_boundary(tokens, boundary_token_ids, positions[row], reach, last_start)
        indices = positions[:, None] + np.arange(length)
        inputs, targets = tokens[indices], tokens[indices + 1]
        if start_token_id is not None:
            inputs[restart, 0] = start_token_id
        yield {"token_ids": inputs, "restart": restart}, targets
        positions, read, previous = positions + length, read + length, passage


def number_of_windows(
    tokens: int, batch_size: int, sequence_length: int, variable_length: bool = False
) -> int:
    """Return the number of steps of an epoch over so many tokens.

    Example:

    >>> from textrnn.data.passages import number_of_windows
    >>> number_of_windows(9, batch_size=2, sequence_length=2)
    2
    """
    return int((tokens - 1) // (batch_size * mean_length(sequence_length, variable_length)))


def window_lengths(
    steps: int, sequence_length: int, seed: int, epoch: int, few_lengths: bool = False
) -> np.ndarray:
    """Draw the lengths of the windows of an epoch, so that epochs cut a text at different places.

    A length is drawn from a normal distribution with a standard deviation of 5, rounded down, and at least 5.
    Its mean is `sequence_length`, and with a probability of 0.05 half of that (Merity et al. 2018).

    Args:
        steps: Number of windows.
        sequence_length: The usual length.
        seed, epoch: What the lengths depend on.
        few_lengths: Whether to round lengths up to a multiple of an eighth of `sequence_length`. XLA compiles
            a step for each length.

    Returns:
        Integers, `(steps,)`.

    Example:

    >>> from textrnn.data.passages import window_lengths
    >>> window_lengths(steps=6, sequence_length=70, seed=0, epoch=0).tolist()
    [63, 63, 68, 61, 69, 66]
    """
    random = np.random.default_rng((seed, epoch, 1))
    mean = np.where(random.random(steps) < _HALVED, sequence_length / 2, sequence_length)
    lengths = np.maximum(random.normal(mean, 5), 5).astype(int)
    unit = max(sequence_length // 8, 1) if few_lengths else 1
    return -(-lengths // unit) * unit


def relative_lengths(
    steps: int, sequence_length: int, seed: int, epochs: int, few_lengths: bool = False
) -> np.ndarray:
    """Return the lengths of the windows of all epochs, divided by `sequence_length`.

    Args:
        steps, sequence_length, seed, few_lengths: As for `window_lengths`.
        epochs: Number of epochs.

    Returns:
        Floats, `(epochs * steps,)`, the factors of `textrnn.training.ScaledByStep`.

    Example:

    >>> from textrnn.data.passages import relative_lengths
    >>> relative_lengths(steps=2, sequence_length=70, seed=0, epochs=1).round(2).tolist()
    [0.96, 0.97]
    """
    lengths = [window_lengths(steps, sequence_length, seed, epoch, few_lengths) for epoch in range(epochs)]
    return np.concatenate(lengths) / sequence_length


def mean_length(sequence_length: int, variable_length: bool = True) -> float:
    """Return the mean length of windows, of variable length or not.

    Example:

    >>> from textrnn.data.passages import mean_length
    >>> mean_length(70)
    68.25
    """
    return sequence_length * (1 - _HALVED / 2) if variable_length else sequence_length


def nearest_boundary(
    tokens: np.ndarray | StoredTokens,
    boundary_token_ids: Sequence[int],
    position: int,
    reach: int,
    last_start: int,
) -> int:
    """Return the nearest place after which a text or a line begins.

    Args:
        tokens: The token stream.
        boundary_token_ids: The tokens that stand at such places.
        position: A place in the stream.
        reach: How far from the position to look.
        last_start: The last place to look at.

    Returns:
        The place of the nearest boundary, the later one of two, or the position if there is none.

    Example:

    >>> from textrnn.data.passages import nearest_boundary
    >>> tokens = np.array([5, 5, 1, 5, 5, 5, 1])
    >>> [nearest_boundary(tokens, [1], position, reach=2, last_start=6) for position in (0, 4)]
    [2, 6]
    """
    first = max(position - reach, 0)
    near = tokens[first : min(position + reach, last_start) + 1]
    boundaries = first + np.flatnonzero(np.isin(near, list(boundary_token_ids)))
    if not len(boundaries):
        return position
    distances = np.abs(boundaries - position)
    return int(boundaries[np.flatnonzero(distances == distances.min())[-1]])

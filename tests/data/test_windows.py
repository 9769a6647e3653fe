"""Windows of a token stream: targets, weights, order and restarts."""

from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from textrnn import InputError
from textrnn.data.passages import mean_length, nearest_boundary, relative_lengths, window_lengths
from textrnn.data.windows import evaluation_windows, stream, windows

lengths = st.integers(2, 60)
sizes = st.integers(1, 7)


def joined(batches):
    """Windows `(batch, time)` side by side: the rows `(batch, steps * time)`."""
    return np.concatenate([batch.numpy() for batch in batches], axis=1)


@given(st.integers(50, 400), st.integers(1, 5), st.integers(1, 6), st.floats(0, 0.9))
@settings(max_examples=25, deadline=None)
def test_an_epoch_reads_every_token_once_in_passages_of_random_order(length, rows, steps, probability):
    data = windows(np.arange(length), rows, steps, restart_probability=probability)
    count = max(1, round(probability * len(data) * rows))
    epochs = [list(data) for _ in range(2)]
    for epoch in epochs:
        read = joined(inputs["token_ids"] for inputs, _ in epoch)
        np.testing.assert_array_equal(np.sort(read, axis=None), np.arange(len(data) * rows * steps))
        restarts = np.array([inputs["restart"].numpy() for inputs, _ in epoch])
        assert restarts[0].all()
        assert min(rows, count) <= restarts.sum() <= count + rows
        jumps = np.diff(read, axis=1)[:, steps - 1 :: steps] != 1
        assert (jumps <= restarts[1:].T).all()
    if count > 20:
        first, second = (np.concatenate([x["token_ids"] for x, _ in epoch]) for epoch in epochs)
        assert (first != second).any()


def test_a_fraction_of_all_windows_and_not_more_begins_a_passage():
    with pytest.raises(InputError, match="restart_probability is 1"):
        windows(np.arange(100), 2, 2, restart_probability=1)


TEXT = np.array([1, 5, 6, 7, 3, 8, 9, 3, 5, 5, 6, 6, 7, 3, 8, 1] * 16)
"""Lines that end with 3 in documents that end with 1."""


@given(
    st.integers(1, 6), st.integers(1, 7), st.floats(0, 0.9), st.integers(0, 5), st.lists(st.integers(0, 9))
)
@settings(max_examples=12, deadline=None)
def test_rows_restart_like_prompts(batch_size, sequence_length, probability, seed, boundaries):
    stream = np.concatenate([TEXT, boundaries])
    options = {"start_token_id": 1, "boundary_token_ids": (1, 3), "seed": seed}
    data = windows(stream, batch_size, sequence_length, probability, **options)
    again = windows(stream, batch_size, sequence_length, probability, **options)
    begins = {tuple(stream[i + 1 : i + 1 + sequence_length]) for i in np.flatnonzero(np.isin(stream, [1, 3]))}
    row_length = len(data) * sequence_length
    passages = max(1, round(probability * batch_size * len(data)))
    reach = min(4 * sequence_length, row_length // 2, batch_size * row_length // passages // 2)
    previous = None
    for (inputs, targets), (same, _) in zip(data, again, strict=True):
        token_ids, restart = inputs["token_ids"].numpy(), inputs["restart"].numpy()
        np.testing.assert_array_equal(token_ids, same["token_ids"], err_msg="the seed decides")
        np.testing.assert_array_equal(token_ids[:, 1:], targets[:, :-1])
        assert (token_ids[restart, 0] == 1).all()
        if reach >= 6:  # lines have at most six tokens
            assert all(tuple(row) in begins for row in targets.numpy()[restart])
        if previous is None:
            assert restart.all()
        else:
            np.testing.assert_array_equal(token_ids[~restart, 0], previous[~restart])
        previous = targets.numpy()[:, -1]


@given(st.lists(st.integers(1, 9), min_size=12, max_size=40), st.integers(0, 39), st.integers(0, 12))
def test_the_nearest_boundary_is_found_without_looking_at_all_others(tokens, position, reach):
    last = len(tokens) - 3
    position = min(position, last)
    starts = [i for i in range(last + 1) if tokens[i] in (1, 3) and abs(i - position) <= reach]
    expected = min(starts, key=lambda i: (abs(i - position), -i), default=position)
    assert nearest_boundary(np.array(tokens), (1, 3), position, reach, last) == expected


def test_a_boundary_out_of_reach_is_not_used():
    """Otherwise all rows of a text without line breaks would restart at its beginning."""
    stream = np.concatenate([[1], np.arange(100, 1100)])
    data = windows(stream, 2, 10, 0.2, start_token_id=1, boundary_token_ids=(1,))
    begins = np.concatenate([targets.numpy()[inputs["restart"].numpy(), 0] for inputs, targets in data])
    assert len(begins) >= 20
    assert (begins == 100).sum() <= 2


def test_a_stream_has_the_end_token_around_every_document():
    np.testing.assert_array_equal(
        stream([np.array([5, 6]), np.array([], int), [7]], 1), [1, 5, 6, 1, 1, 7, 1]
    )
    assert stream([], 1).tolist() == [1]
    assert stream([np.array([5, 6])], 1).dtype == np.int32


@given(lengths, sizes, sizes)
@settings(max_examples=25, deadline=None)
def test_training_rows_are_contiguous(length, batch_size, sequence_length):
    tokens = np.arange(100, 100 + length)
    steps = (length - 1) // (batch_size * sequence_length)
    if not steps:
        with pytest.raises(InputError, match=f"it has {length} tokens"):
            windows(tokens, batch_size, sequence_length)
        return
    dataset = windows(tokens, batch_size, sequence_length)
    assert len(dataset) == steps
    batches = list(dataset)
    inputs = joined(inputs["token_ids"] for inputs, _ in batches)
    used = steps * batch_size * sequence_length
    np.testing.assert_array_equal(inputs, tokens[:used].reshape(batch_size, -1))
    np.testing.assert_array_equal(joined(targets for _, targets in batches), inputs + 1)
    assert length - 1 - used < batch_size * sequence_length


@given(lengths, sizes, sizes)
@settings(max_examples=25, deadline=None)
def test_evaluation_scores_every_token_but_the_first_once(length, batch_size, sequence_length):
    tokens = np.arange(100, 100 + length)
    dataset = evaluation_windows(tokens, batch_size, sequence_length)
    batches = list(dataset)
    assert len(dataset) == len(batches)
    inputs = joined(inputs["token_ids"] for inputs, _, _ in batches)
    targets, weights = (joined(batch[part] for batch in batches) for part in (1, 2))
    assert set(weights.ravel()) <= {0.0, 1.0}
    assert sorted(targets[weights == 1]) == tokens[1:].tolist()
    np.testing.assert_array_equal(targets[weights == 1], inputs[weights == 1] + 1)
    assert not targets[weights == 0].any()
    assert not inputs[weights == 0].any()
    assert (np.diff(weights, axis=1) <= 0).all(), "padding comes last in its row"
    assert len(inputs) <= batch_size


@pytest.mark.parametrize("make", [windows, evaluation_windows])
def test_shapes_and_types_are_static(make):
    inputs, targets, *weights = make(np.arange(50), 3, 4).element_spec
    assert inputs == {"token_ids": tf.TensorSpec([3, 4], tf.int32), "restart": tf.TensorSpec([3], tf.bool)}
    assert targets == tf.TensorSpec([3, 4], tf.int32)
    assert weights == ([] if make is windows else [tf.TensorSpec([3, 4], tf.float32)])


@pytest.mark.parametrize("make", [windows, evaluation_windows])
def test_every_epoch_restarts_in_its_first_window_only(make):
    dataset = make(np.arange(50), 3, 4)
    for _ in range(2):
        restarts = [inputs["restart"].numpy().tolist() for inputs, *_ in dataset]
        assert restarts == [[True] * 3] + [[False] * 3] * (len(dataset) - 1)


def test_a_short_stream_is_evaluated_in_fewer_rows():
    [(inputs, targets, weights)] = evaluation_windows(np.arange(4), batch_size=32, sequence_length=8)
    assert inputs["token_ids"].shape == (1, 8)
    assert targets.numpy().tolist() == [[1, 2, 3, 0, 0, 0, 0, 0]]
    assert weights.numpy().sum() == 3


def test_too_short_a_stream_for_training_is_refused_with_the_length_needed():
    with pytest.raises(
        InputError, match=r"12 tokens.*batch_size=3.*sequence_length=4 need at least 13.*Reduce one"
    ):
        windows(np.arange(12), 3, 4)
    assert len(windows(np.arange(13), 3, 4)) == 1


@pytest.mark.parametrize("length", [0, 1])
def test_too_short_a_stream_for_evaluation_is_refused(length):
    with pytest.raises(InputError, match="needs at least 2"):
        evaluation_windows(np.arange(length), 3, 4)


@pytest.mark.parametrize("make", [windows, evaluation_windows])
@pytest.mark.parametrize("wrong", [(0, 4), (3, 0), (-1, 4)])
def test_sizes_must_be_positive(make, wrong):
    with pytest.raises(InputError, match="at least 1"):
        make(np.arange(50), *wrong)


def test_the_tokens_are_stored_once():
    """A window is gathered when it is asked for; no other tensor is as large as the stream."""
    dataset = windows(np.zeros(1_000_001, np.int32), 10, 100)
    assert len(dataset) == 1000
    assert max(np.prod(spec.shape) for spec in tf.nest.flatten(dataset.element_spec)) == 1000


def test_variable_lengths_follow_the_law_of_the_paper():
    """Normal around 70 with a deviation of 5, around 35 with a probability of 0.05, rounded down."""
    lengths = window_lengths(20_000, 70, seed=0, epoch=0)
    halved = lengths < 52
    assert halved.mean() == pytest.approx(0.05, abs=0.005)
    for part, mean in ((lengths[~halved], 70), (lengths[halved], 35)):
        assert part.mean() == pytest.approx(mean - 0.5, abs=0.5)
        assert part.std() == pytest.approx(5, abs=0.4)
    assert lengths.mean() == pytest.approx(mean_length(70) - 0.5, abs=0.3)
    assert window_lengths(1000, 4, 0, 0).min() == 5


def test_few_lengths_are_rounded_up_so_that_a_compiler_sees_few_shapes():
    exact, few = (window_lengths(5000, 64, 1, 2, few_lengths=few) for few in (False, True))
    assert (few % 8 == 0).all() and (few >= exact).all() and (few - exact < 8).all()
    assert len(set(few)) < 20


@given(st.integers(1, 3), st.integers(10, 20), st.integers(0, 3))
@settings(max_examples=6, deadline=None)
def test_rows_of_variable_windows_are_contiguous_and_epochs_differ_in_length_alone(rows, length, seed):
    tokens = np.arange(1000)
    data = windows(tokens, rows, length, seed=seed, variable_length=True)
    assert len(data) == int(999 // (rows * mean_length(length)))
    times = []
    for epoch in range(2):
        batches = list(data)
        assert len(batches) == len(data)
        times.append([len(targets[0]) for _, targets in batches])
        assert times[-1] == window_lengths(len(data), length, seed, epoch).tolist()
        for (_, before), (inputs, targets) in pairwise(batches):
            token_ids, restart = inputs["token_ids"].numpy(), inputs["restart"].numpy()
            np.testing.assert_array_equal(token_ids + 1, targets)
            np.testing.assert_array_equal(token_ids[~restart, 0], before.numpy()[~restart, -1])
    assert times[0] != times[1]
    factors = relative_lengths(len(data), length, seed, epochs=2)
    np.testing.assert_allclose(factors * length, np.concatenate(times))


def test_a_resumed_epoch_of_variable_windows_goes_on_with_the_same_windows():
    make = lambda: windows(np.arange(999), 3, 12, 0.2, seed=4, variable_length=True)  # noqa: E731
    data, resumed = make(), make()
    _, whole = list(data), list(data)
    resumed.epochs.start(1, batch=7)
    for (inputs, targets), (same, same_targets) in zip(whole[7:], resumed, strict=False):
        np.testing.assert_array_equal(inputs["token_ids"], same["token_ids"])
        np.testing.assert_array_equal(inputs["restart"], same["restart"])
        np.testing.assert_array_equal(targets, same_targets)


def test_variable_windows_have_a_time_dimension_that_is_not_static():
    inputs, targets = windows(np.arange(99), 3, 10, variable_length=True).element_spec
    assert inputs["token_ids"].shape == targets.shape == (3, None)
    with pytest.raises(InputError, match="need at least 31"):
        windows(np.arange(30), 3, 10, variable_length=True)

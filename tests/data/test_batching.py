"""Batches of similar length: every text once per epoch, in a seeded order, with little padding."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from textrnn.data.batching import generated_dataset, pair_batches, text_batches


def texts_of(lengths):
    return [np.full(length, index, "int32") for index, length in enumerate(lengths)]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30),
    st.integers(1, 7),
    st.booleans(),
    st.integers(1, 3),
)
def test_every_epoch_has_every_text_once_with_its_target(lengths, batch_size, shuffle, pool):
    targets = np.arange(len(lengths)) * 10
    data = text_batches(
        texts_of(lengths), targets, batch_size, weights=targets / 2, shuffle=shuffle, pool=pool
    )
    for _ in range(2):
        batches = list(data.as_numpy_iterator())
        assert len(batches) == len(data)
        found = []
        for x, y, w in batches:
            assert 1 <= len(y) <= batch_size
            assert x["token_ids"].shape[1] == max(1, x["padding_mask"].sum(axis=1).max())
            np.testing.assert_array_equal(w, y / 2)
            for row, mask, target in zip(x["token_ids"], x["padding_mask"], y, strict=True):
                assert mask.sum() == lengths[target // 10]
                assert (row[mask] == target // 10).all()
            found += y.tolist()
        assert sorted(found) == targets.tolist()


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30),
    st.integers(1, 7),
    st.booleans(),
    st.booleans(),
)
def test_every_epoch_has_every_pair_once_with_the_inputs_of_its_decoder(
    lengths, batch_size, shuffle, few_lengths
):
    sources = [np.full(length, 1 + index, "int32") for index, (length, _) in enumerate(lengths)]
    targets = [
        np.append(np.full(length, 1 + index, "int32"), 77) for index, (_, length) in enumerate(lengths)
    ]
    data = pair_batches(sources, targets, batch_size, 99, shuffle, pool=2, few_lengths=few_lengths)
    for _ in range(2):
        batches, found = list(data.as_numpy_iterator()), []
        assert len(batches) == len(data)
        for x, y, weights in batches:
            assert 1 <= len(y) <= batch_size
            np.testing.assert_array_equal(weights, x["decoder_padding_mask"])
            for i in range(len(y)):
                target = y[i][weights[i] == 1]
                inputs = x["decoder_token_ids"][i][weights[i] == 1]
                assert inputs.tolist() == [99, *target[:-1]]
                assert not y[i][len(target) :].any()
                source = x["encoder_token_ids"][i][x["encoder_padding_mask"][i]]
                found.append((source.tolist(), target.tolist()))
        expected = [
            (source.tolist(), target.tolist()) for source, target in zip(sources, targets, strict=True)
        ]
        assert sorted(found) == sorted(expected)


def test_without_shuffling_batches_are_sorted_by_length_in_every_epoch():
    lengths = np.random.default_rng(0).integers(0, 50, 100)
    data = text_batches(texts_of(lengths), np.arange(100), 8, shuffle=False, pool=1)
    for _ in range(2):
        rows = np.concatenate([y for _, y in data.as_numpy_iterator()])
        np.testing.assert_array_equal(lengths[rows], np.sort(lengths))

    others = np.random.default_rng(1).integers(1, 4, 100)
    pairs = pair_batches(texts_of(lengths), texts_of(others), 8, 1, shuffle=False)
    found = [
        (mask.sum(), source_mask.sum())
        for x, _, _ in pairs.as_numpy_iterator()
        for mask, source_mask in zip(x["decoder_padding_mask"], x["encoder_padding_mask"], strict=True)
    ]
    assert found == sorted(found), "by the target, then by the source"


def test_batches_of_an_epoch_are_shuffled_and_their_texts_come_from_one_pool():
    lengths = np.arange(1, 1001)
    batches = [y for _, y in text_batches(texts_of(lengths), lengths, 10, pool=5).as_numpy_iterator()]
    longest = [batch.max() for batch in batches]
    assert longest != sorted(longest)
    ranges = [batch.max() - batch.min() for batch in batches]
    assert 50 < np.median(ranges) < 400, "a fifth of all lengths in a pool of 5 batches"


def test_targets_have_any_shape_and_dtype():
    targets = np.random.default_rng(0).normal(size=(7, 2, 3)).astype("float32")
    data = text_batches(texts_of(range(7)), targets, 3)
    assert data.element_spec[1] == tf.TensorSpec([None, 2, 3], tf.float32)
    found = np.concatenate([y for _, y in data.as_numpy_iterator()])
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(targets, axis=0))


def test_no_text_gives_no_batch():
    for shuffle in (False, True):
        assert list(text_batches([], np.zeros(0), 4, shuffle=shuffle)) == []
        assert list(pair_batches([], [], 4, 1, shuffle=shuffle)) == []


@pytest.mark.parametrize("batches", [3, None])
def test_an_epoch_starts_at_any_batch_and_the_next_one_at_its_first(batches):
    data = generated_dataset(
        lambda epoch: iter(range(10 * epoch, 10 * epoch + 3)), tf.TensorSpec([], tf.int32), batches
    )
    assert int(data.cardinality()) == (tf.data.UNKNOWN_CARDINALITY if batches is None else batches)
    data.epochs.start(4, batch=2)
    assert int(next(iter(data))) == 42
    assert [int(x) for x in data] == [50, 51, 52]


def test_epochs_differ_in_order_and_are_determined_by_the_seed():
    def epochs(seed):
        data = text_batches(texts_of(range(40)), np.arange(40), 4, seed=seed)
        return [[y.tolist() for _, y in data.as_numpy_iterator()] for _ in range(2)]

    first, second = epochs(0)
    assert first != second
    assert epochs(0) == [first, second] != epochs(1)


def test_few_lengths_pad_the_same_batches_to_powers_of_two():
    lengths = np.random.default_rng(0).integers(0, 300, 200)
    of_texts = {
        few: list(text_batches(texts_of(lengths), np.arange(200), 10, few_lengths=few).as_numpy_iterator())
        for few in (False, True)
    }
    for (x, y), (padded, same) in zip(*of_texts.values(), strict=True):
        time = x["token_ids"].shape[1]
        assert padded["token_ids"].shape[1] == max(8, 2 ** int(np.ceil(np.log2(time))))
        np.testing.assert_array_equal(same, y)
        for name, values in x.items():
            np.testing.assert_array_equal(padded[name][:, :time], values)
            assert not padded[name][:, time:].any()

    sides = texts_of(lengths), texts_of(lengths[::-1])
    pairs = pair_batches(*sides, 10, 1, few_lengths=True).as_numpy_iterator()
    shapes = {(x["encoder_token_ids"].shape[1], *y.shape[1:]) for x, y, _ in pairs}
    assert shapes <= {(n, n) for n in (8, 16, 32, 64, 128, 256, 512)}


def test_batches_have_little_padding():
    lengths = np.random.default_rng(0).integers(1, 400, 2000)
    data = text_batches(texts_of(lengths), np.zeros(2000, "int32"), 20)
    steps = sum(x["token_ids"].size for x, _ in data.as_numpy_iterator())
    assert steps < 1.1 * lengths.sum()  # without sorting, padding doubles the number of steps

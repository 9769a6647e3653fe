"""Batches of similar length: every text once per epoch, in a seeded order, with little padding."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from textrnn.data.batching import pair_batches, text_batches


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

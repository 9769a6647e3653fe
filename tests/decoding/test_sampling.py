"""Sampling follows the distribution, and a row does not depend on the others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy import stats

from textrnn.decoding import loop, sampling

VOCABULARY = "abcdefgh "


def as_numpy(x):
    return ops.convert_to_numpy(x)


def test_uniforms_are_uniform_and_uncorrelated():
    by_row = as_numpy(sampling.row_uniforms(np.arange(20_000), 3))
    by_step = np.concatenate([as_numpy(sampling.row_uniforms(np.arange(50), i)) for i in range(400)])
    for numbers in (by_row, by_step):
        assert stats.kstest(numbers, "uniform").pvalue > 0.01
        assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.03
    assert by_row.min() > 0 and by_row.max() < 1
    assert 0.01 < as_numpy(sampling.row_uniforms([0], 0))[0] < 0.99  # also for seed 0


def test_uniforms_depend_on_the_seed_of_the_row_and_the_index_only():
    alone = as_numpy(sampling.row_uniforms([11], 5))[0]
    assert alone == as_numpy(sampling.row_uniforms([1, 2, 11, 4], 5))[2]
    assert alone != as_numpy(sampling.row_uniforms([11], 6))[0]
    assert alone != as_numpy(sampling.row_uniforms([12], 5))[0]


def test_seeds_depend_on_every_token_and_its_position_but_not_on_padding():
    def seed(ids, length):
        return int(sampling.row_seeds(np.array([ids]), np.arange(len(ids))[None] < length)[0])

    assert seed([4, 5, 0, 0], 2) == seed([4, 5], 2)
    assert len({seed([4, 5], 2), seed([5, 4], 2), seed([4, 6], 2), seed([4], 1), seed([4, 5, 5], 3)}) == 5


def reference_filter(logits, top_k, top_p):
    """The same filter as a loop over tokens, the most likely first."""
    kept = np.full(logits.shape, -np.inf)
    order = np.argsort(-logits, kind="stable")
    order = order[:top_k] if top_k > 0 else order
    probabilities = np.exp(logits[order] - logits.max())
    probabilities /= probabilities.sum()
    reached = 0.0
    for token, probability in zip(order, probabilities, strict=True):
        if reached >= top_p and top_p < 1:
            break
        kept[token] = logits[token]
        reached += probability
    return kept


@given(
    st.lists(st.integers(-40, 40), min_size=2, max_size=12, unique=True),
    st.integers(0, 14),
    st.sampled_from([0.05, 0.3, 0.77, 0.95, 1.0]),
)
def test_filter_keeps_the_top_k_and_the_nucleus(levels, top_k, top_p):
    logits = np.array(levels, "float32") / 10
    got = as_numpy(sampling.filter_logits(logits[None], np.array([top_k]), np.array([top_p], "float32")))[0]
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(reference_filter(logits, top_k, top_p)))


@pytest.mark.parametrize("scale", [0.0, 0.01, 1.0, 3.0, 30.0])
def test_filter_of_a_large_vocabulary(scale):
    rng = np.random.default_rng(0)
    logits = (rng.normal(size=(12, 3000)) * scale).astype("float32")
    logits[:, :2] = -np.inf
    top_k = np.array([0, 0, 0, 0, 0, 1, 40, 2000, 5000, 40, 300, 7])
    top_p = np.array([0.05, 0.3, 0.77, 0.95, 1, 1, 1, 1, 1, 0.6, 0.9, 1e-6], "float32")
    got = np.isfinite(as_numpy(sampling.filter_logits(logits, top_k, top_p)))
    for row in range(12):
        expected = np.isfinite(reference_filter(logits[row], top_k[row], top_p[row]))
        if not scale:  # equal logits are kept together
            expected[2:] = True
        np.testing.assert_array_equal(got[row], expected)
        alone = sampling.filter_logits(logits[row : row + 1], top_k[row : row + 1], top_p[row : row + 1])
        np.testing.assert_array_equal(np.isfinite(as_numpy(alone))[0], got[row])
    none = sampling.filter_logits(logits[:0], top_k[:0], top_p[:0])
    assert as_numpy(none).shape == (0, 3000)


def test_an_unfiltered_row_does_not_depend_on_a_filtered_one():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 50)).astype("float32")
    uniforms = np.array([0.61, 0.2], "float32")
    ones = np.ones(2, "float32")
    plain = sampling.sample(logits, uniforms, ones, np.array([0, 0]), ones)
    mixed = sampling.sample(logits, uniforms, ones, np.array([0, 3]), ones)
    assert int(plain[0]) == int(mixed[0])


def test_samples_follow_the_distribution():
    probabilities = np.array([0.5, 0.3, 0.15, 0.05])
    n = 20_000
    drawn = sampling.sample(
        np.tile(np.log(probabilities).astype("float32"), (n, 1)),
        sampling.row_uniforms(np.arange(n), 0),
        np.ones(n, "float32"),
        np.zeros(n, "int32"),
        np.ones(n, "float32"),
    )
    counts = np.bincount(as_numpy(drawn), minlength=4)
    assert stats.chisquare(counts, n * probabilities).pvalue > 0.01


def test_second_uniforms_are_uniform_where_the_first_ones_are_in_a_narrow_range():
    first = as_numpy(sampling.row_uniforms(np.arange(200_000), 1))
    for low in (0.0, 0.5, 0.95):
        within = first[(first >= low) & (first < low + 0.05)]
        second = as_numpy(sampling.other_uniforms(within))
        assert stats.kstest(second, "uniform").pvalue > 0.01
        assert abs(np.corrcoef(within, second)[0, 1]) < 0.03


@pytest.mark.parametrize("size", [6, 1500])
@pytest.mark.parametrize("top_p", [1e-6, 0.3, 0.8, 0.97])
@pytest.mark.parametrize("top_k", [0, 4])
def test_samples_of_the_nucleus_follow_its_distribution(size, top_p, top_k):
    n = 20_000 if size < 100 else 4_000
    logits = np.random.default_rng(1).normal(size=size).astype("float32")
    logits[:6] += np.log(size) / 2  # so that tokens to count have probabilities
    args = np.full(n, 0.8, "float32"), np.full(n, top_k, "int32"), np.full(n, top_p, "float32")
    drawn = as_numpy(sampling.sample(np.tile(logits, (n, 1)), sampling.row_uniforms(np.arange(n), 0), *args))
    kept = np.isfinite(reference_filter(logits / 0.8, top_k, top_p))
    expected = np.where(kept, np.exp(logits.astype("float64") / 0.8), 0)
    expected *= n / expected.sum()
    counts = np.bincount(drawn, minlength=size)
    assert not counts[~kept].any()
    often = expected > 20
    both = ([*x[often], x[~often].sum()] for x in (counts, expected))
    counts, expected = (np.array(x)[: None if (~often & kept).any() else -1] for x in both)
    assert (
        len(counts) == 1 or stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue > 0.005
    )


@pytest.mark.parametrize("size", [1024, 1025, 3000, 4096])
@pytest.mark.parametrize("kept", [1.0, 0.3, 0.002])
def test_draws_invert_the_cumulative_distribution(size, kept):
    rng = np.random.default_rng(size)
    weights = np.exp(rng.normal(size=(200, size)) * 3) * (rng.random((200, size)) < kept)
    weights[:, rng.integers(size)] += 1e-3
    probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype("float32")
    uniforms = rng.random(200, "float32")
    uniforms[:3] = 2.0**-24, 1 - 2.0**-24, 0.5
    drawn = as_numpy(sampling.draw(probabilities, uniforms))
    cumulative = probabilities.astype("float64").cumsum(axis=1)
    cumulative /= cumulative[:, -1:]
    rows = np.arange(200)
    assert (probabilities[rows, drawn] > 0).all()
    assert (cumulative[rows, drawn] > uniforms - 1e-6).all()
    assert (cumulative[rows, drawn] - probabilities[rows, drawn] < uniforms + 1e-6).all()
    alone = [int(sampling.draw(probabilities[r : r + 1], uniforms[r : r + 1])[0]) for r in range(20)]
    assert alone == drawn[:20].tolist()
    assert as_numpy(sampling.draw(probabilities[:0], uniforms[:0])).shape == (0,)


def test_rows_that_draw_and_rows_that_do_not_are_mixed():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 2000)).astype("float32")
    logits[1, 7] = logits[1, 3] = 9.0  # the first of equal logits
    temperature = np.array([0, 0, 1, 0.5, 0, 2], "float32")
    args = np.full(6, 0.4, "float32"), temperature, np.zeros(6, "int32"), np.full(6, 0.9, "float32")
    mixed = as_numpy(sampling.sample(logits, *args))
    assert mixed[[0, 1, 4]].tolist() == [logits[0].argmax(), 3, logits[4].argmax()]
    for row in range(6):
        assert int(sampling.sample(logits[row : row + 1], *(x[row : row + 1] for x in args))[0]) == mixed[row]
    assert as_numpy(sampling.sample(logits[:0], *(x[:0] for x in args))).shape == (0,)


@pytest.mark.parametrize("size", [50, 2000])
def test_a_row_without_numbers_harms_no_other(size):
    logits = np.random.default_rng(0).normal(size=(3, size)).astype("float32")
    ones = np.ones(3, "float32")
    args = ones / 2, ones, np.array([0, 0, 40]), 0.9 * ones
    expected = as_numpy(sampling.sample(logits, *args))
    logits[1] = np.nan
    assert as_numpy(sampling.sample(logits, *args))[[0, 2]].tolist() == expected[[0, 2]].tolist()


def test_temperature_zero_is_greedy_and_suppressed_tokens_are_never_drawn():
    logits = np.array([[0.0, 5.0, 1.0], [-np.inf, 0.0, -np.inf]], "float32")
    for u in (0.0, 0.5, 0.999999):
        uniforms = np.full(2, u, "float32")
        args = (np.zeros(2, "int32"), np.ones(2, "float32"))
        assert as_numpy(sampling.sample(logits, uniforms, np.zeros(2, "float32"), *args)).tolist() == [1, 1]
        assert int(sampling.sample(logits, uniforms, np.ones(2, "float32"), *args)[1]) == 1


def test_suppressed_tokens_are_impossible_whatever_their_logits():
    logits = np.array([[np.inf, 1.0, 2.0], [-np.inf, 1.0, -np.inf]], "float32")
    assert as_numpy(sampling.suppressed(logits, (0,))).tolist() == [[-np.inf, 1, 2], [-np.inf, 1, -np.inf]]


@pytest.mark.parametrize("temperature", [1e-40, 1e-9, np.inf, np.nan])
def test_extreme_temperatures_draw_possible_tokens(temperature):
    logits = np.array([[-np.inf, 0.0, 1.0, -np.inf]] * 8, "float32")
    drawn = sampling.sample(
        logits,
        np.linspace(0, 0.99, 8, dtype="float32"),
        np.full(8, temperature, "float32"),
        np.zeros(8, "int32"),
        np.ones(8, "float32"),
    )
    assert set(as_numpy(drawn).tolist()) <= {1, 2}


def spelling_step(text):
    """A scripted model: its logits spell a text, one letter per step, for any input."""
    ids = np.array([VOCABULARY.index(letter) for letter in text])

    def logits_at(index):
        return ops.one_hot(ops.take(ids, ops.minimum(index, len(ids) - 1)), len(VOCABULARY)) * 50.0

    def step(token_ids, states):
        return logits_at(states[0]), [states[0] + 1]

    return logits_at(np.zeros(2, "int32")), [np.ones(2, "int32")], step


def greedy(logits, index):
    return ops.argmax(logits, axis=-1)


def spell(ids):
    return "".join(VOCABULARY[i] for i in as_numpy(ids))


def test_generate_stops_each_row_at_its_own_limit():
    logits, states, step = spelling_step("decade")
    ids, lengths = loop.generate(step, greedy, logits, states, max_new_tokens=[2, 5], limit=5)
    assert as_numpy(lengths).tolist() == [2, 5]
    assert spell(ids[0][:2]) == "de" and spell(ids[1]) == "decad"


def test_generate_stops_at_a_stop_token_and_omits_it():
    logits, states, step = spelling_step("dad ")
    stop = (VOCABULARY.index(" "), VOCABULARY.index("h"))
    ids, lengths = loop.generate(
        step, greedy, logits, states, max_new_tokens=[9, 9], limit=9, stop_token_ids=stop
    )
    assert as_numpy(lengths).tolist() == [3, 3]
    assert spell(ids[0][:3]) == "dad"
    assert not as_numpy(ids)[:, 3:].any()


def test_generate_without_new_tokens_is_empty():
    logits, states, step = spelling_step("dad")
    ids, lengths = loop.generate(step, greedy, logits, states, max_new_tokens=[0, -3], limit=0)
    assert as_numpy(ids).shape == (2, 0) and as_numpy(lengths).tolist() == [0, 0]

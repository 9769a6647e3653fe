"""Beam search, against greedy search, exhaustive search, and a search written with lists."""

import functools
import itertools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from textrnn.decoding import loop
from textrnn.decoding.beam_search import beam_search

END = 1
TIME = 3


def toy(vocabulary, seed, rows=1, sharpness=2.0):
    """A model whose state is its last two tokens: tables of logits and attention, `(rows, v, v, ...)`."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, vocabulary, vocabulary, vocabulary)).astype("float32") * sharpness
    logits[..., 0] = -np.inf  # padding
    attention = random.dirichlet(np.ones(TIME), size=(rows, vocabulary, vocabulary)).astype("float32")
    return logits, attention


def compiled(*static):
    """Compiles a function once for all examples of a test; `static` arguments are Python values."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(autograph=False)
    import jax

    return functools.partial(jax.jit, static_argnames=static)


def as_step(tables):
    """The model of `toy`: its first logits, attention and states, and its `step`."""
    logits, attention = (ops.convert_to_tensor(table) for table in tables)
    rows, vocabulary = logits.shape[:2]

    def look_up(row, before, last):
        place = (row * vocabulary + before) * vocabulary + last
        flat = [ops.reshape(table, (-1, table.shape[-1])) for table in (logits, attention)]
        return [ops.take(table, place, axis=0) for table in flat]

    def step(token_ids, states):
        row, _, last = states
        return *look_up(row, last, token_ids), [row, last, token_ids]

    row, zero = ops.arange(rows, dtype="int32"), ops.zeros((rows,), "int32")
    return *look_up(row, zero, zero), [row, zero, zero], step


@compiled("max_beams", "limit", "best_only")
def compiled_search(logits, attention, memory_mask, max_beams, limit, best_only, options):
    first, attended, states, step = as_step((logits, attention))
    return tuple(
        beam_search(
            step, first, attended, states, max_beams=max_beams, limit=limit, best_only=best_only,
            memory_mask=memory_mask, stop_token_ids=(END,), **options,
        )
    )  # fmt: skip


def search(tables, num_beams, limit=5, max_beams=None, best_only=False, memory_mask=None, **options):
    rows = len(tables[0])
    defaults = {
        "num_beams": num_beams,
        "max_new_tokens": limit,
        "length_penalty": 1.0,
        "coverage_penalty": 0.0,
    }
    options = {
        name: ops.convert_to_tensor(
            np.broadcast_to(np.asarray(value, "float32" if "penalty" in name else "int32"), rows)
        )
        for name, value in (defaults | options).items()
    }
    memory_mask = np.ones((rows, TIME), bool) if memory_mask is None else memory_mask
    logits, attention, memory_mask = (ops.convert_to_tensor(x) for x in (*tables, memory_mask))
    max_beams = max_beams or int(np.max(num_beams))
    found = compiled_search(logits, attention, memory_mask, max_beams, limit, best_only, options)
    return [ops.convert_to_numpy(x) for x in found]


def probability(tables, tokens, row=0):
    """The log-probability of tokens, and the attention weights of each."""
    logits, attention = tables
    total, attended, state = 0.0, [], (0, 0)
    for token in tokens:
        scores = logits[row][state].astype("float64")
        total += scores[token] - np.log(np.exp(scores).sum())
        attended.append(attention[row][state])
        state = (state[1], token)
    return total, np.array(attended)


def norm(length, penalty):
    return ((5 + length) / 6) ** penalty


def all_texts(tables, limit, penalty):
    """All texts up to the limit with their scores, best first."""
    vocabulary = tables[0].shape[1]
    inner = [token for token in range(2, vocabulary)]
    texts = []
    for length in range(limit + 1):
        for tokens in itertools.product(inner, repeat=length):
            ended = tokens if length == limit else (*tokens, END)
            texts.append((probability(tables, ended)[0] / norm(len(ended), penalty), tokens))
    return sorted(texts, reverse=True)


def by_lists(tables, num_beams, limit, penalty, row=0):
    """The same search for one row, written with Python lists."""
    beam = [(0.0, (), False)]
    for _ in range(limit):
        candidates = []
        for log_p, tokens, finished in beam:
            if finished:
                candidates.append((log_p / norm(len(tokens), penalty), log_p, tokens, True))
                continue
            for token in range(1, tables[0].shape[1]):
                new = (*tokens, token)
                p = probability(tables, new, row)[0]
                candidates.append((p / norm(len(new), penalty), p, new, token == END or len(new) == limit))
        candidates.sort(key=lambda f: -f[0])
        beam = [f[1:] for f in candidates[:num_beams]]
    scored = [(p / norm(len(tokens), penalty), tokens) for p, tokens, _ in beam]
    return sorted(((score, tuple(t for t in tokens if t != END)) for score, tokens in scored), reverse=True)


def texts_of(found, row=0):
    token_ids, lengths, scores, _ = found
    return [
        (score, tuple(tokens[:length].tolist()))
        for tokens, length, score in zip(token_ids[row], lengths[row], scores[row], strict=True)
        if np.isfinite(score)
    ]


def assert_same(found, expected):
    assert [tokens for _, tokens in found] == [tokens for _, tokens in expected]
    np.testing.assert_allclose([s for s, _ in found], [s for s, _ in expected], rtol=1e-4)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_as_wide_as_the_number_of_texts_is_exhaustive_search(penalty):
    tables = toy(4, seed=1)
    found = search(tables, num_beams=31, limit=4, length_penalty=penalty)
    assert_same(texts_of(found)[:10], all_texts(tables, 4, penalty)[:10])


@given(seed=st.integers(0, 10**6), num_beams=st.integers(1, 4), penalty=st.sampled_from([0.0, 0.6, 2.0]))
@settings(max_examples=8, deadline=None)
def test_it_is_the_search_written_with_lists(seed, num_beams, penalty):
    tables = toy(5, seed)
    found = search(tables, num_beams, limit=6, max_beams=4, length_penalty=penalty)
    assert_same(texts_of(found), by_lists(tables, num_beams, 6, penalty))


@compiled()
def greedy_search(logits, attention):
    first, _, states, step = as_step((logits, attention))
    return loop.generate(
        step,
        lambda logits, index: ops.argmax(logits, axis=-1),
        first,
        states,
        max_new_tokens=ops.full((3,), 7, "int32"),
        limit=7,
        stop_token_ids=(END,),
    )


@given(seed=st.integers(0, 10**6), penalty=st.sampled_from([0.0, 1.0]))
@settings(max_examples=5, deadline=None)
def test_one_beam_is_greedy_search(seed, penalty):
    tables = toy(6, seed, rows=3)
    token_ids, lengths = greedy_search(*(ops.convert_to_tensor(table) for table in tables))
    found = search(tables, 1, limit=7, length_penalty=penalty)
    np.testing.assert_array_equal(found[0][:, 0], ops.convert_to_numpy(token_ids))
    np.testing.assert_array_equal(found[1][:, 0], ops.convert_to_numpy(lengths))


@given(seed=st.integers(0, 10**6), penalty=st.sampled_from([0.0, 0.6, 2.0]))
@settings(max_examples=8, deadline=None)
def test_stopping_early_does_not_change_the_best_text(seed, penalty):
    tables = toy(5, seed, rows=2)
    for num_beams in (1, 3):
        token_ids, lengths, *_ = search(tables, num_beams, limit=8, length_penalty=penalty, best_only=True)
        assert token_ids.shape == (2, 1, 8)
        whole = search(tables, num_beams, limit=8, length_penalty=penalty)
        np.testing.assert_array_equal(token_ids[:, 0], whole[0][:, 0])
        np.testing.assert_array_equal(lengths[:, 0], whole[1][:, 0])


def test_stopping_early_saves_steps():
    tables = toy(5, seed=3)
    tables[0][..., END] += 9  # every text ends at once
    steps = []
    logits = tables[0].reshape(-1, 5)

    def step(token_ids, states):
        steps.append(1)
        return ops.take(logits, token_ids, axis=0), ops.zeros((3, TIME)), states

    if keras.backend.backend() != "tensorflow":
        pytest.skip("the loop of this backend is traced once")
    options = {"max_beams": 3, "num_beams": 3, "max_new_tokens": [50], "limit": 50, "stop_token_ids": (END,)}
    beam_search(step, logits[:1], ops.zeros((1, TIME)), [ops.zeros((1, 1))], best_only=True, **options)
    early = len(steps)
    beam_search(step, logits[:1], ops.zeros((1, TIME)), [ops.zeros((1, 1))], **options)
    assert early < len(steps) - early


def test_a_row_is_the_same_alone_and_in_a_batch_with_other_beams_and_limits():
    tables = toy(6, seed=5, rows=3)
    beams, limits = np.array([4, 1, 2]), np.array([3, 6, 5], "int32")
    penalties = np.array([0.0, 1.0, 2.0], "float32")
    together = search(tables, beams, limit=6, max_new_tokens=limits, length_penalty=penalties, max_beams=5)
    for row in range(3):
        alone = search(
            [table[row : row + 1] for table in tables], beams[row], limit=6, max_beams=4,
            max_new_tokens=limits[row], length_penalty=penalties[row],
        )  # fmt: skip
        assert_same(texts_of(together, row), texts_of(alone))
        assert len(texts_of(together, row)) == beams[row]


def test_coverage_sorts_hypotheses_by_their_attention():
    tables = toy(5, seed=8)
    mask = np.array([[True, True, False]])
    token_ids, lengths, scores, attention = search(
        tables, 4, limit=5, length_penalty=0.6, coverage_penalty=0.7, memory_mask=mask
    )
    assert (np.diff(scores[0]) <= 0).all()
    for tokens, length, score, seen in zip(token_ids[0], lengths[0], scores[0], attention[0], strict=True):
        text = tokens[:length].tolist()
        ended = text if length == 5 else [*text, END]
        log_p, attended = probability(tables, ended)
        np.testing.assert_allclose(seen[:length], attended[:length], rtol=1e-5)
        covered = (
            np.log(np.minimum(attended[:length].sum(axis=0)[:2], 1)).sum() if length else 2 * np.log(1e-9)
        )
        np.testing.assert_allclose(score, log_p / norm(len(ended), 0.6) + 0.7 * covered, rtol=1e-4)


@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize("loop", [[2], [2, 3, 4]])
def test_a_loop_is_stopped_and_its_repetitions_removed(num_beams, loop):
    following = np.full((6, 6), -30.0, "float32")
    for last, token in zip(loop, [*loop[1:], loop[0]], strict=True):
        following[last, token] = 0.0
    following[0, loop[0]] = 0.0  # the first token
    logits = np.broadcast_to(following, (1, 6, 6, 6))
    attention = np.ones((1, 6, 6, TIME), "float32")
    token_ids, lengths, *_ = search((logits, attention), num_beams, limit=100, max_beams=3)
    assert token_ids[0, 0, : lengths[0, 0]].tolist() == loop


@pytest.mark.parametrize("num_beams", [1, 4])
def test_a_text_without_its_repetitions_has_its_own_score_and_comes_once(num_beams):
    tables = looping = toy(5, seed=2)
    looping[0][0, 3, 4, 3] += 9  # 3 4 3 4 3 4 ...
    looping[0][0, 4, 3, 4] += 9
    looping[0][0, 0, 0, 3] += 9
    looping[0][0, 0, 3, 4] += 9
    found = search(tables, num_beams, limit=40, length_penalty=1.0, coverage_penalty=0.5)
    texts = texts_of(found)
    assert num_beams > 1 or [text for _, text in texts] == [(3, 4)]
    assert len({text for _, text in texts}) == len(texts)
    for score, text in texts:
        ended = text if len(text) == 40 else (*text, END)
        log_p, attended = probability(tables, ended)
        covered = np.log(np.clip(attended[: len(text)].sum(axis=0), 1e-9, 1)).sum()
        np.testing.assert_allclose(score, log_p / norm(len(ended), 1.0) + 0.5 * covered, rtol=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="its loop is traced once")
def test_generation_does_not_run_the_model_after_the_last_token():
    steps = []

    def step(token_ids, states):
        steps.append(1)
        return ops.one_hot(token_ids + 1, 9), states

    limits = ops.convert_to_tensor([3, 5])
    made, lengths = loop.generate(
        step, lambda logits, index: ops.argmax(logits, axis=-1), ops.one_hot([2, 2], 9), [ops.zeros((2, 1))],
        max_new_tokens=limits, limit=5, stop_token_ids=(END,),
    )  # fmt: skip
    assert ops.convert_to_numpy(made).tolist() == [[2, 3, 4, 0, 0], [2, 3, 4, 5, 6]]
    assert ops.convert_to_numpy(lengths).tolist() == [3, 5]
    assert len(steps) == 4


def test_without_new_tokens_a_text_is_empty():
    token_ids, lengths, *_ = search(toy(5, seed=0), 2, limit=6, max_beams=4, max_new_tokens=0)
    assert lengths[0, 0] == 0
    assert not token_ids.any()

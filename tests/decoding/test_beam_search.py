"""Beam search, against greedy search, all texts there are, and a search written with lists."""

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
    """A model whose state is the last two tokens: tables of logits and of attention, `(rows, v, v, ...)`."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, vocabulary, vocabulary, vocabulary)).astype("float32") * sharpness
    logits[..., 0] = -np.inf  # padding
    attention = random.dirichlet(np.ones(TIME), size=(rows, vocabulary, vocabulary)).astype("float32")
    return logits, attention


def search(tables, num_beams, limit=5, max_beams=None, **options):
    logits, attention = (ops.convert_to_tensor(table) for table in tables)
    rows, vocabulary = logits.shape[:2]

    def look_up(table, row, state):
        flat = ops.reshape(table, (rows * vocabulary * vocabulary, *table.shape[3:]))
        return ops.take(flat, (row * vocabulary + state[0]) * vocabulary + state[1], axis=0)

    def step(token_ids, states):
        row, _, last = states
        state = (last, token_ids)
        return look_up(logits, row, state), look_up(attention, row, state), [row, *state]

    row = ops.arange(rows, dtype="int32")
    zero = ops.zeros((rows,), "int32")
    found = beam_search(
        step,
        look_up(logits, row, (zero, zero)),
        look_up(attention, row, (zero, zero)),
        [row, zero, zero],
        max_beams=max_beams or int(np.max(num_beams)),
        num_beams=np.broadcast_to(np.asarray(num_beams, "int32"), rows),
        max_new_tokens=options.pop("max_new_tokens", np.full(rows, limit, "int32")),
        limit=limit,
        stop_token_ids=(END,),
        **options,
    )
    return [ops.convert_to_numpy(x) for x in found]


def probability(tables, tokens, row=0):
    """The log-probability of tokens, and what each of them attended to."""
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
    """Every text up to the limit with its score, best first."""
    vocabulary = tables[0].shape[1]
    inner = [token for token in range(2, vocabulary)]
    texts = []
    for length in range(limit + 1):
        for tokens in itertools.product(inner, repeat=length):
            ended = tokens if length == limit else (*tokens, END)
            texts.append((probability(tables, ended)[0] / norm(len(ended), penalty), tokens))
    return sorted(texts, reverse=True)


def by_lists(tables, num_beams, limit, penalty, row=0):
    """The same search as it would be written for one text, with Python's lists."""
    beam = [(0.0, (), False)]
    for _ in range(limit):
        followers = []
        for log_p, tokens, finished in beam:
            if finished:
                followers.append((log_p / norm(len(tokens), penalty), log_p, tokens, True))
                continue
            for token in range(1, tables[0].shape[1]):
                new = (*tokens, token)
                p = probability(tables, new, row)[0]
                followers.append((p / norm(len(new), penalty), p, new, token == END or len(new) == limit))
        followers.sort(key=lambda f: -f[0])
        beam = [f[1:] for f in followers[:num_beams]]
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
def test_a_beam_as_wide_as_there_are_texts_finds_the_best_of_all(penalty):
    tables = toy(4, seed=1)
    found = search(tables, num_beams=31, limit=4, length_penalty=penalty)
    assert_same(texts_of(found)[:10], all_texts(tables, 4, penalty)[:10])


@given(seed=st.integers(0, 10**6), num_beams=st.integers(1, 4), penalty=st.sampled_from([0.0, 0.6, 2.0]))
@settings(max_examples=8, deadline=None)
def test_it_is_the_search_that_lists_would_make(seed, num_beams, penalty):
    tables = toy(5, seed)
    found = search(tables, num_beams, limit=6, length_penalty=penalty)
    assert_same(texts_of(found), by_lists(tables, num_beams, 6, penalty))


@given(seed=st.integers(0, 10**6), penalty=st.sampled_from([0.0, 1.0]))
@settings(max_examples=5, deadline=None)
def test_one_beam_is_greedy(seed, penalty):
    tables = toy(6, seed, rows=3)
    logits = ops.convert_to_tensor(tables[0].reshape(-1, 6))
    row = ops.arange(3, dtype="int32")

    def look_up(row, before, last):
        return ops.take(logits, (row * 6 + before) * 6 + last, axis=0)

    def step(token_ids, states):
        row, _, last = states
        return look_up(row, last, token_ids), [row, last, token_ids]

    zero = ops.zeros((3,), "int32")
    token_ids, lengths = loop.generate(
        step,
        lambda logits, index: ops.argmax(logits, axis=-1),
        look_up(row, zero, zero),
        [row, zero, zero],
        max_new_tokens=ops.full((3,), 7, "int32"),
        limit=7,
        stop_token_ids=(END,),
    )
    found = search(tables, 1, limit=7, length_penalty=penalty)
    np.testing.assert_array_equal(found[0][:, 0], ops.convert_to_numpy(token_ids))
    np.testing.assert_array_equal(found[1][:, 0], ops.convert_to_numpy(lengths))


@given(seed=st.integers(0, 10**6), penalty=st.sampled_from([0.0, 0.6, 2.0]))
@settings(max_examples=8, deadline=None)
def test_leaving_early_changes_nothing_about_the_best(seed, penalty):
    tables = toy(5, seed, rows=2)
    whole = search(tables, 3, limit=8, length_penalty=penalty)
    early = search(tables, 3, limit=8, length_penalty=penalty, best_only=True)
    for row in range(2):
        assert_same(texts_of(early, row)[:1], texts_of(whole, row)[:1])


def test_leaving_early_saves_turns():
    tables = toy(5, seed=3)
    tables[0][..., END] += 9  # every text wants to end at once
    turns = []
    logits = tables[0].reshape(-1, 5)

    def step(token_ids, states):
        turns.append(1)
        return ops.take(logits, token_ids, axis=0), ops.zeros((3, TIME)), states

    if keras.backend.backend() != "tensorflow":
        pytest.skip("the loop of this backend is traced once")
    options = {"max_beams": 3, "num_beams": 3, "max_new_tokens": [50], "limit": 50, "stop_token_ids": (END,)}
    beam_search(step, logits[:1], ops.zeros((1, TIME)), [ops.zeros((1, 1))], best_only=True, **options)
    early = len(turns)
    beam_search(step, logits[:1], ops.zeros((1, TIME)), [ops.zeros((1, 1))], **options)
    assert early < len(turns) - early


def test_a_row_is_the_same_alone_and_in_a_batch_with_other_beams_and_limits():
    tables = toy(6, seed=5, rows=3)
    beams, limits = np.array([4, 1, 2]), np.array([3, 6, 5], "int32")
    penalties = np.array([0.0, 1.0, 2.0], "float32")
    together = search(tables, beams, limit=6, max_new_tokens=limits, length_penalty=penalties, max_beams=5)
    for row in range(3):
        alone = search(
            [table[row : row + 1] for table in tables], beams[row], int(limits[row]),
            length_penalty=float(penalties[row]),
        )  # fmt: skip
        assert_same(texts_of(together, row), texts_of(alone))
        assert len(texts_of(together, row)) == beams[row]


def test_coverage_orders_the_hypotheses_by_what_they_attended_to():
    tables = toy(5, seed=8)
    mask = np.array([[True, True, False]])
    token_ids, lengths, scores, attention = search(
        tables, 4, limit=5, length_penalty=0.6, coverage_penalty=0.7, memory_mask=ops.convert_to_tensor(mask)
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
def test_a_text_that_repeats_itself_is_stopped(num_beams, loop):
    following = np.full((6, 6), -30.0, "float32")
    for last, token in zip(loop, [*loop[1:], loop[0]], strict=True):
        following[last, token] = 0.0
    following[0, loop[0]] = 0.0  # the first token
    logits = ops.convert_to_tensor(following)

    def step(token_ids, states):
        return ops.take(logits, token_ids, axis=0), ops.ones((num_beams, TIME)), states

    found = beam_search(
        step,
        logits[:1],
        ops.ones((1, TIME)),
        [ops.zeros((1, 1))],
        max_beams=num_beams,
        num_beams=num_beams,
        max_new_tokens=100,
        limit=100,
        stop_token_ids=(END,),
    )
    length = int(found.lengths[0, 0])
    assert ops.convert_to_numpy(found.token_ids)[0, 0, :length].tolist() == loop


def test_no_new_tokens_means_an_empty_text():
    token_ids, lengths, *_ = search(toy(5, seed=0), 2, max_new_tokens=np.zeros(1, "int32"))
    assert lengths[0, 0] == 0
    assert not token_ids.any()

"""Beam search over a recurrent model: pure functions of tensors."""

from typing import NamedTuple

import keras
from keras import ops

from textrnn.cells.base import Tensor

MAX_BEAMS = 32
"""Maximum number of hypotheses per row in a request."""

MAX_LENGTH_PENALTY = 10.0
"""Maximum length penalty; above, float32 overflows on long texts."""

MAX_PERIOD = 16
"""Maximum number of tokens in a loop."""

_REPETITIONS = {period: max(3, -(-12 // period)) for period in range(1, MAX_PERIOD + 1)}
"""How often a sequence of a given length must repeat to be a loop: "1,000,000" is none."""

_WINDOW = max(period * times for period, times in _REPETITIONS.items())


class Hypotheses(NamedTuple):
    """The best texts of each row, best first.

    Attributes:
        token_ids: int32 `(batch, beams, limit)`, zero after the end, without the token that ended the text.
        lengths: int32 `(batch, beams)`.
        scores: float32 `(batch, beams)`; minus infinity where a row has fewer hypotheses. A text whose
            repetitions were removed may have a lower score than the next.
        attention: float32 `(batch, beams, limit, time)`, the attention weights of each token.
    """

    token_ids: Tensor
    lengths: Tensor
    scores: Tensor
    attention: Tensor


def beam_search(
    step,
    logits,
    attention,
    states,
    *,
    max_beams,
    num_beams,
    max_new_tokens,
    limit,
    stop_token_ids=(),
    length_penalty=1.0,
    coverage_penalty=0.0,
    memory_mask=None,
    best_only=False,
    given=0,
):
    """Search for the texts with the highest scores, all rows at once, each independently.

    A beam holds `num_beams` hypotheses. Each step extends every unfinished hypothesis by every token. Of
    these candidates and the finished hypotheses, it keeps those with the highest
    log P / ((5 + length) / 6)^length_penalty, where the length includes the stop token. One beam is greedy
    search. A hypothesis that leaves the beam is lost, finished or not.

    A row is done when all its hypotheses are finished. With `best_only` it is done as soon as no unfinished
    hypothesis can overtake the best finished one: log P never grows, and the longest text has the mildest
    denominator. Hypotheses are then sorted by that score plus
    coverage_penalty · Σ log min(1, attention received by a memory step) (both penalties: Wu et al. 2016,
    arXiv 1609.08144, equation 14).

    A hypothesis is also finished when it reaches `max_new_tokens`, and when it loops: the same 1 to
    `MAX_PERIOD` tokens three times or more, at least twelve tokens in all. The repetitions are removed. The
    hypothesis keeps its place among the others, since texts that repeat themselves almost as often would take
    it. Its score becomes that of the text without them, as if a stop token had followed there.

    Args:
        step: `step(token_ids, states) -> logits, attention, states`, with `(rows, ...)` tensors. The
            hypotheses of a row are consecutive.
        logits: `(batch, vocabulary)`, the logits of the first token; minus infinity for excluded tokens.
        attention: `(batch, time)`, the attention weights behind those logits, or None.
        states: The states of the model at that point, a nested structure of tensors `(batch, ...)`.
        max_beams: The largest of `num_beams`, an int, or on TensorFlow a scalar tensor.
        num_beams: int32 `(batch,)` or an int, the number of hypotheses of each row, 1 or more.
        max_new_tokens: int32 `(batch,)` or an int.
        limit: Maximum number of steps, an int, or on TensorFlow a scalar tensor.
        stop_token_ids: Tokens that end a text, a tuple of ints.
        length_penalty: float32 `(batch,)` or a number from 0, which compares sums of log-probabilities, to
            `MAX_LENGTH_PENALTY`.
        coverage_penalty: float32 `(batch,)` or a number, 0 or more.
        memory_mask: Booleans `(batch, time)`, the memory steps that count for coverage; None for all.
        best_only: Whether only the best hypothesis is used, so that a row may stop earlier.
        given: int32 `(batch,)` or an int: how many first tokens belong to the prompt. `logits` and `step`
            leave no other choice there. They are part of the result, but not of lengths in a score, of
            `max_new_tokens` and of loops.

    Returns:
        `Hypotheses`, with `max_beams` places.
    """
    attends = attention is not None
    if not attends:  # one memory step that does not count, since TensorFlow cannot scatter empty tensors
        attention = ops.zeros((ops.shape(logits)[0], 1), "float32")
        memory_mask = ops.zeros_like(attention, "bool")
    search = _Search(
        attention, logits.shape[-1], max_beams, num_beams, max_new_tokens, stop_token_ids, length_penalty,
        coverage_penalty, memory_mask, given,
    )  # fmt: skip

    def body(index, history, beam, predicted, states):
        logits, attention = predicted
        chosen = search.select(beam, logits)
        beam, parents, tokens, attended = search.extend(beam, attention, *chosen)
        beam = search.stop_where_best_is_found(beam) if best_only else beam
        here = ops.reshape(index, (1, 1))
        history = {
            name: ops.scatter_update(history[name], here, value[None])
            for name, value in (("tokens", tokens), ("parents", parents), ("attention", attended))
        }
        states = keras.tree.map_structure(lambda x: search.states_of_parents(x, parents), states)

        def run_model():
            logits, attention, new_states = step(ops.reshape(tokens, (-1,)), states)
            return (logits, ops.cast(attention, "float32") if attends else predicted[1]), new_states

        # The last step has no successor.
        predicted, states = ops.cond(search.continues(beam), run_model, lambda: (predicted, states))
        return index + 1, history, beam, predicted, states

    repeated = lambda x: ops.repeat(x, max_beams, axis=0)  # noqa: E731
    steps, history, beam, *_ = _while(
        lambda index, history, beam, *_: search.continues(beam),
        body,
        (
            ops.convert_to_tensor(0, "int32"),
            search.empty_history(limit),
            search.first_beam(),
            (repeated(logits), repeated(ops.cast(attention, "float32"))),
            keras.tree.map_structure(repeated, states),
        ),
    )
    token_ids, attention = (ops.moveaxis(x, 0, 2) for x in _backtrack(history, steps))
    inside = ops.arange(limit, dtype="int32") < beam["lengths"][..., None]
    token_ids, attention = ops.where(inside, token_ids, 0), ops.where(inside[..., None], attention, 0.0)
    places = search.score(beam)
    places = ops.where(_duplicates(token_ids, beam["lengths"], places), -float("inf"), places)
    scores = beam["own_score"] + search.coverage_score(ops.sum(attention, axis=2))
    scores = ops.where(places > -float("inf"), scores, -float("inf"))
    order = ops.argsort(-places, axis=1)
    found = (token_ids, beam["lengths"], scores, attention)
    return Hypotheses(*(search.reordered(x, order) for x in found))


class _Search:
    """One step of the search, on the beams of all rows: a dict of tensors `(batch, beams, ...)`.

    - `log_p`: log-probability; minus infinity where there is no hypothesis.
    - `finished`: whether the hypothesis has ended.
    - `counted`: number of tokens in a score, including the stop token; negative within the prompt.
    - `lengths`: number of tokens of the text.
    - `recent`: the last tokens, to detect loops.
    - `ended`: for each of them, the log-probability that a stop token stands in its place.
    - `coverage`: attention received by each memory step.
    - `own_score`: score of the text without its repetitions, and without coverage.
    """

    def __init__(
        self, attention, vocabulary_size, max_beams, num_beams, max_new_tokens, stop_token_ids,
        length_penalty, coverage_penalty, memory_mask, given,
    ):  # fmt: skip
        self.batch_size, self.time = ops.shape(attention)
        self.max_beams = max_beams
        # At most `max_beams` candidates of one hypothesis are kept.
        if isinstance(max_beams, int):
            self.candidates = min(max_beams, vocabulary_size)
        else:
            self.candidates = ops.minimum(max_beams, vocabulary_size)
        self.place = ops.arange(max_beams, dtype="int32")[None]
        self.unused = self.place >= self._row(num_beams, "int32")
        self.max_new_tokens = self._row(max_new_tokens, "int32")
        self.given = self._row(given, "int32")
        self.stop_token_ids = stop_token_ids
        self.length_penalty = ops.clip(self._row(length_penalty, "float32"), 0.0, MAX_LENGTH_PENALTY)
        self.coverage_penalty = ops.maximum(self._row(coverage_penalty, "float32"), 0.0)
        self.memory_mask = memory_mask

    def _row(self, value, dtype):
        return ops.broadcast_to(ops.cast(value, dtype), (self.batch_size,))[:, None]

    def first_beam(self):
        shape = (self.batch_size, self.max_beams)
        return {
            # All hypotheses are equal at first, so only one is extended.
            "log_p": ops.broadcast_to(
                ops.cast(ops.where(self.place == 0, 0.0, -float("inf")), "float32"), shape
            ),
            "finished": ops.broadcast_to(self.max_new_tokens <= 0, shape),
            "counted": ops.broadcast_to(-self.given, shape),
            "lengths": ops.zeros(shape, "int32"),
            "recent": ops.zeros((*shape, _WINDOW), "int32"),
            "ended": ops.zeros((*shape, _WINDOW), "float32"),
            "coverage": ops.zeros((*shape, self.time), "float32"),
            "own_score": ops.zeros(shape, "float32"),
        }

    def continues(self, beam):
        """Whether any hypothesis of any row is unfinished."""
        return ops.any(~beam["finished"] & (beam["log_p"] > -float("inf")))

    def empty_history(self, limit):
        """Room for the tokens, parents and attention weights of each step."""
        shape = (limit, self.batch_size, self.max_beams)
        return {
            "tokens": ops.zeros(shape, "int32"),
            "parents": ops.zeros(shape, "int32"),
            "attention": ops.zeros((*shape, self.time), "float32"),
        }

    def norm(self, length):
        return ((5.0 + ops.cast(ops.maximum(length, 0), "float32")) / 6.0) ** self.length_penalty

    def score(self, beam):
        return beam["log_p"] / self.norm(beam["counted"]) + self.coverage_score(beam["coverage"])

    def coverage_score(self, coverage):
        gaps = ops.log(ops.clip(coverage, 1e-9, 1.0))
        if self.memory_mask is not None:
            gaps = ops.where(self.memory_mask[:, None], gaps, 0.0)
        return self.coverage_penalty * ops.sum(gaps, axis=-1)

    def in_beams(self, rows):
        return ops.reshape(rows, (self.batch_size, self.max_beams, *ops.shape(rows)[1:]))

    def of_parents(self, x, parents):
        index = ops.reshape(parents, (self.batch_size, self.max_beams, *[1] * (len(x.shape) - 2)))
        return ops.take_along_axis(x, index, axis=1)

    def reordered(self, x, order):
        """As `of_parents`, also of tensors without elements."""
        first = ops.arange(self.batch_size, dtype="int32")[:, None] * self.max_beams
        rows = ops.reshape(x, (self.batch_size * self.max_beams, *ops.shape(x)[2:]))
        picked = ops.take(rows, ops.reshape(first + ops.cast(order, "int32"), (-1,)), axis=0)
        return ops.reshape(picked, ops.shape(x))

    def states_of_parents(self, rows, parents):
        """The states `(batch * beams, ...)` that the hypotheses of a new beam continue."""
        return ops.reshape(self.of_parents(self.in_beams(rows), parents), ops.shape(rows))

    def select(self, beam, logits):
        """Select the best candidates.

        Returns:
            Their log-probabilities, parents and tokens, and the log-probability of each hypothesis of the old
            beam followed by a stop token.
        """
        logits = ops.cast(self.in_beams(logits), "float32")
        log_p, tokens = ops.top_k(logits, self.candidates)
        total = ops.logsumexp(logits, axis=-1, keepdims=True)
        log_p = log_p - total + beam["log_p"][..., None]
        ended = beam["log_p"]
        if self.stop_token_ids:
            stop = ops.max(ops.take(logits, list(self.stop_token_ids), axis=-1), axis=-1)
            ended = ended + stop - total[..., 0]
        # The one candidate of a finished hypothesis is itself.
        first = ops.arange(self.candidates, dtype="int32") == 0
        itself = ops.where(first, beam["log_p"][..., None], -float("inf"))
        log_p = ops.where(beam["finished"][..., None], itself, log_p)
        length = beam["counted"] + ops.cast(~beam["finished"], "int32")
        flat = lambda x: ops.reshape(x, (self.batch_size, self.max_beams * self.candidates))  # noqa: E731
        _, chosen = ops.top_k(flat(log_p / self.norm(length)[..., None]), self.max_beams)
        chosen = ops.cast(chosen, "int32")
        pick = lambda x: ops.take_along_axis(flat(x), chosen, axis=1)  # noqa: E731
        log_p = ops.where(self.unused, -float("inf"), pick(log_p))
        return log_p, chosen // self.candidates, ops.cast(pick(tokens), "int32"), ended

    def extend(self, beam, attention, log_p, parents, tokens, ended):
        """The beam of the selected candidates, with their parents, new tokens and attention weights."""
        old = {name: self.of_parents(values, parents) for name, values in beam.items()}
        counted = old["counted"] + ops.cast(~old["finished"], "int32")
        stops = old["finished"]
        for stop in self.stop_token_ids:
            stops = stops | ((tokens == stop) & (counted > 0))
        grows = ~stops
        tokens = ops.where(grows, tokens, 0)
        new = ops.where(counted > 0, tokens, 0)
        recent = ops.concatenate([old["recent"][..., 1:], new[..., None]], axis=-1)
        ended = ops.concatenate([old["ended"][..., 1:], self.of_parents(ended, parents)[..., None]], axis=-1)
        repeated = ops.where(grows & (log_p > -float("inf")), _repeated(recent), 0)
        first_repeated = ops.minimum(_WINDOW - repeated, _WINDOW - 1)[..., None]
        ended_there = ops.take_along_axis(ended, first_repeated, axis=-1)[..., 0]
        counted_there = counted - repeated + (1 if self.stop_token_ids else 0)
        own_score = ops.where(
            repeated > 0, ended_there / self.norm(counted_there), log_p / self.norm(counted)
        )
        attended = self.of_parents(self.in_beams(attention), parents)
        beam = {
            "log_p": log_p,
            "finished": stops | (repeated > 0) | (counted >= self.max_new_tokens),
            "counted": counted,
            "lengths": old["lengths"] + ops.cast(grows, "int32") - repeated,
            "recent": recent,
            "ended": ended,
            "coverage": old["coverage"] + ops.where(grows[..., None], attended, 0.0),
            "own_score": ops.where(old["finished"], old["own_score"], own_score),
        }
        return beam, parents, tokens, attended

    def stop_where_best_is_found(self, beam):
        """Drop the unfinished hypotheses of a row if none of them can become the best."""
        finished = beam["finished"]
        best = ops.max(ops.where(finished, self.score(beam), -float("inf")), axis=1, keepdims=True)
        bound = beam["log_p"] / self.norm(self.max_new_tokens)
        # All or none: with fewer rivals, another hypothesis could stay in the beam.
        done = ops.all(finished | (bound <= best), axis=1, keepdims=True)
        return {**beam, "log_p": ops.where(done & ~finished, -float("inf"), beam["log_p"])}


def _repeated(recent):
    """Number of last tokens that repeat earlier ones; 0 where there is no loop.

    >>> from textrnn.decoding.beam_search import _repeated
    >>> _repeated(ops.convert_to_tensor([[0] * 36 + [7, 8] * 6, [0] * 40 + [8] * 8])).numpy().tolist()
    [10, 0]
    """
    found = ops.zeros(ops.shape(recent)[:-1], "int32")
    for period in range(MAX_PERIOD, 0, -1):
        last = recent[..., -_REPETITIONS[period] * period :]
        same = ops.all(last[..., period:] == last[..., :-period], axis=-1) & (last[..., 0] > 0)
        found = ops.where(same, (_REPETITIONS[period] - 1) * period, found)
    return found


def _duplicates(token_ids, lengths, scores):
    """Which hypotheses are the same text as a better one, which looped."""
    index = ops.arange(ops.shape(scores)[1], dtype="int32")
    earlier = (scores[:, None] == scores[..., None]) & (index[None] < index[:, None])
    better = (scores[:, None] > scores[..., None]) | earlier
    same = ops.all(token_ids[:, None] == token_ids[:, :, None], axis=-1)
    same = same & (lengths[:, None] == lengths[..., None])
    return ops.any(same & better & (scores[:, None] > -float("inf")), axis=-1)


def _backtrack(history, steps):
    """The tokens and attention weights of the last beam, `(limit, batch, beams, ...)`."""

    def body(index, places, tokens, attention):
        at = index - 1
        here = ops.reshape(at, (1, 1))
        pick = lambda x: ops.take_along_axis(x, places, axis=1)  # noqa: E731
        tokens = ops.scatter_update(tokens, here, pick(ops.take(history["tokens"], at, axis=0))[None])
        attended = ops.take(history["attention"], at, axis=0)
        attended = ops.take_along_axis(attended, places[..., None], axis=1)
        attention = ops.scatter_update(attention, here, attended[None])
        return at, pick(ops.take(history["parents"], at, axis=0)), tokens, attention

    places = ops.arange(ops.shape(history["tokens"])[2], dtype="int32")
    start = (
        steps,
        ops.broadcast_to(places, ops.shape(history["tokens"])[1:]),
        ops.zeros_like(history["tokens"]),
        ops.zeros_like(history["attention"]),
    )
    _, _, tokens, attention = _while(lambda index, *_: index > 0, body, start)
    return tokens, attention


def _while(condition, body, start):
    """`ops.while_loop` over a nested structure of tensors, whose shapes stay the same."""
    flat = keras.tree.flatten(start)

    def flat_body(*variables):
        new = keras.tree.flatten(body(*keras.tree.pack_sequence_as(start, list(variables))))
        return tuple(ops.reshape(x, ops.shape(old)) for x, old in zip(new, variables, strict=True))

    def flat_condition(*variables):
        return condition(*keras.tree.pack_sequence_as(start, list(variables)))

    return keras.tree.pack_sequence_as(start, list(ops.while_loop(flat_condition, flat_body, tuple(flat))))

"""Beam search over a recurrent model: pure functions of tensors."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from textrnn.decoding.hypotheses import duplicates, traced, without_rest
from textrnn.decoding.loop import while_loop
from textrnn.decoding.selection import at, largest, log_total, rows_at
from textrnn.tensors import Tensor

MAX_BEAMS = 32
"""Maximum number of hypotheses per row in a request."""

MAX_LENGTH_PENALTY = 10.0
"""Maximum length penalty; above, float32 overflows on long texts."""

MAX_PERIOD = 16
"""Maximum number of tokens in a loop."""

_PERIODS = np.arange(1, MAX_PERIOD + 1, dtype="int32")

_REPEATED = (np.maximum(3, -(-12 // _PERIODS)) - 1) * _PERIODS
"""For each period of a loop, how many tokens repeat those before them: "1,000,000" is no loop."""


class Hypotheses(NamedTuple):
    """The best texts of each row, best first. With `best_only` there is one, without scores and attention.

    Attributes:
        token_ids: int32 `(batch, beams, limit)`, zero after the end, without the token that ended the text.
        lengths: int32 `(batch, beams)`.
        scores: float32 `(batch, beams)`; minus infinity where a row has fewer hypotheses. A text whose
            repetitions were removed may have a lower score than the next. None with `best_only`.
        attention: float32 `(batch, beams, limit, time)`, the attention weights of each token; None with
            `best_only` and for a model without attention.
    """

    token_ids: Tensor
    lengths: Tensor
    scores: Tensor | None
    attention: Tensor | None


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
        attention: `(batch, time)`, the attention weights behind those logits; None for a model without, or
            to ignore those of `step` too.
        states: The states of the model at that point, a nested structure of tensors `(batch, ...)`.
        max_beams: The largest of `num_beams`, an int, or on TensorFlow a scalar tensor.
        num_beams: int32 `(batch,)` or an int, the number of hypotheses of each row, 1 or more.
        max_new_tokens: int32 `(batch,)` or an int.
        limit: Maximum number of steps, an int, or on TensorFlow a scalar tensor.
        stop_token_ids: Tokens that end a text, a tuple of ints; negative ones do not count.
        length_penalty: float32 `(batch,)` or a number from 0, which compares sums of log-probabilities, to
            `MAX_LENGTH_PENALTY`.
        coverage_penalty: float32 `(batch,)` or a number, 0 or more.
        memory_mask: Booleans `(batch, time)`, the memory steps that count for coverage; None for all.
        best_only: Whether only the best text is wanted, so that a row may stop earlier.
        given: int32 `(batch,)` or an int: how many first tokens belong to the prompt. `logits` and `step`
            leave no other choice there. They are part of the result, but not of lengths in a score, of
            `max_new_tokens` and of loops.

    Returns:
        `Hypotheses`, with `max_beams` places; with `best_only` one place, without scores and attention.
    """
    search = _Search(
        ops.shape(logits)[0], ops.shape(logits)[1], max_beams, num_beams, max_new_tokens, stop_token_ids,
        length_penalty, coverage_penalty, memory_mask, best_only, given,
    )  # fmt: skip
    attends = attention is not None

    def advance(beam, logits, attention, states):
        new, parents, events = search.extend(beam, logits, attention if attends else None)
        tokens = ops.reshape(events["tokens"], (-1,))
        return events, new, tokens, search.states_of_parents(states, beam, parents)

    def body(index, history, beam, tokens, states):
        events, *after = advance(beam, *step(tokens, states))
        here = ops.reshape(index, (1, 1))
        history = {name: ops.scatter_update(x, here, events[name][None]) for name, x in history.items()}
        return index + 1, history, *after

    # There is one hypothesis per row before the first token, and `max_beams` after it.
    events, *after = advance(search.first_beam(attention), logits, attention, states)
    steps, history, beam, *_ = while_loop(
        lambda index, history, beam, *_: search.continues(beam),
        body,
        (ops.convert_to_tensor(1, "int32"), search.history(events, limit), *after),
    )
    if best_only:
        best = search.best(beam)
        lengths = at(beam["lengths"], best)
        token_ids, _ = without_rest(traced(history, steps, best), lengths, limit)
        return Hypotheses(token_ids, lengths, None, None)
    found = traced(history, steps)
    token_ids, attention = without_rest(found, beam["lengths"], limit)
    places, scores = search.places(beam, token_ids), search.own_scores(beam, found["ended"], attention)
    scores = ops.where(places > -float("inf"), scores, -float("inf"))
    order = ops.argsort(-places, axis=1)
    results = (token_ids, beam["lengths"], scores, attention)
    return Hypotheses(*(None if x is None else at(x, order) for x in results))


class _Search:
    """One step of the search, on the beams of all rows: a dict of tensors `(batch, beams, ...)`.

    - `finished`: whether the hypothesis has ended.
    - `counted`: number of tokens in a score, including the stop token; negative within the prompt.
    - `lengths`: number of tokens of the text.
    - `recent`: the last `MAX_PERIOD` tokens, the last one first.
    - `runs`: for each period, how many tokens up to the last one equal the one so far before them.
    - `log_p`: log-probability; minus infinity where there is no hypothesis. Not in greedy search for a text.
    - `score`: `log_p` divided by the length penalty.
    - `repeated`: number of tokens that were removed as repetitions. Like `ended`, not if `best_only`.
    - `coverage`: attention received by each memory step, if there is a penalty.

    The history of the search is what `textrnn.decoding.hypotheses` reads.
    """

    def __init__(
        self, batch_size, vocabulary_size, max_beams, num_beams, max_new_tokens, stop_token_ids,
        length_penalty, coverage_penalty, memory_mask, best_only, given,
    ):  # fmt: skip
        self.batch_size = batch_size
        self.max_beams = max_beams
        self.greedy = isinstance(max_beams, int) and max_beams == 1
        # At most `max_beams` candidates of one hypothesis are kept.
        known = isinstance(max_beams, int) and isinstance(vocabulary_size, int)
        self.candidates = (min if known else ops.minimum)(max_beams, vocabulary_size)
        self.row = ops.arange(batch_size, dtype="int32")[:, None]
        self.place = ops.arange(max_beams, dtype="int32")[None]
        self.unused = self.place >= self._of_rows(num_beams, "int32")
        self.max_new_tokens = self._of_rows(max_new_tokens, "int32")
        self.given = self._of_rows(given, "int32")
        self.stop_token_ids = stop_token_ids
        self.length_penalty = ops.clip(self._of_rows(length_penalty, "float32"), 0.0, MAX_LENGTH_PENALTY)
        self.longest_norm = self.norm(self.max_new_tokens)
        self.coverage_penalty = ops.maximum(self._of_rows(coverage_penalty, "float32"), 0.0)
        self.covers = not (isinstance(coverage_penalty, (int, float)) and coverage_penalty <= 0)
        self.memory_mask = memory_mask
        self.best_only = best_only

    def _of_rows(self, value, dtype):
        return ops.broadcast_to(ops.cast(value, dtype), (self.batch_size,))[:, None]

    def first_beam(self, attention):
        """The beam before the first token, with one hypothesis per row."""
        zeros = ops.zeros((self.batch_size, 1), "int32")
        beam = {
            "finished": self.max_new_tokens <= 0,
            "counted": -self.given,
            "lengths": zeros,
            "recent": ops.repeat(zeros[..., None] - 1, MAX_PERIOD, axis=-1),
            "runs": ops.repeat(zeros[..., None], MAX_PERIOD, axis=-1),
        }
        if not (self.greedy and self.best_only):
            beam |= {"log_p": ops.cast(zeros, "float32"), "score": ops.cast(zeros, "float32")}
        if not self.best_only:
            beam["repeated"] = zeros
        if self.covers and attention is not None:
            beam["coverage"] = ops.zeros_like(attention[:, None], "float32")
        return beam

    def history(self, events, limit):
        """What happened in the first step, and room for the steps that follow."""
        more = max(limit - 1, 0) if isinstance(limit, int) else ops.maximum(limit - 1, 0)
        names = {"tokens"} if self.best_only else {"tokens", "ended", "attention"}
        names |= set() if self.greedy else {"parents"}
        return {
            name: ops.pad(x[None], [[0, more], *[[0, 0]] * len(x.shape)])
            for name, x in events.items()
            if name in names
        }

    def continues(self, beam):
        """Whether any hypothesis of any row is unfinished."""
        unfinished = ~beam["finished"]
        return ops.any(unfinished & (beam["log_p"] > -float("inf")) if "log_p" in beam else unfinished)

    def norm(self, length):
        return ((5.0 + ops.cast(ops.maximum(length, 0), "float32")) / 6.0) ** self.length_penalty

    def coverage_score(self, coverage):
        gaps = ops.log(ops.clip(coverage, 1e-9, 1.0))
        if self.memory_mask is not None:
            gaps = ops.where(self.memory_mask[:, None], gaps, 0.0)
        return self.coverage_penalty * ops.sum(gaps, axis=-1)

    def score(self, beam):
        """The scores by which hypotheses are compared."""
        return beam["score"] + self.coverage_score(beam["coverage"]) if "coverage" in beam else beam["score"]

    def in_beam(self, beam, x):
        """`(batch * hypotheses, ...)` -> `(batch, hypotheses, ...)`."""
        return ops.reshape(x, (self.batch_size, self.hypotheses(beam), *ops.shape(x)[1:]))

    def hypotheses(self, beam):
        """How many hypotheses of each row there are in a beam."""
        return 1 if beam["finished"].shape[1] == 1 else self.max_beams

    def of_parents(self, x, parents):
        """What the hypotheses of a new beam have from those of the old one."""
        return x if self.greedy else at(x, parents)

    def states_of_parents(self, states, beam, parents):
        """The states `(batch * beams, ...)` that the hypotheses of a new beam continue."""
        if self.greedy:
            return states
        rows = ops.reshape(parents + self.hypotheses(beam) * self.row, (-1,))
        return keras.tree.map_structure(lambda x: rows_at(x, rows), states)

    def extend(self, beam, logits, attention):
        """Extend hypotheses by every token, and keep the best.

        Args:
            beam: The beam.
            logits: `(batch * beams, vocabulary)`.
            attention: `(batch * beams, time)`, or None.

        Returns:
            The new beam, its parents, and what belongs to the history.
        """
        logits = ops.cast(logits, "float32")
        counted = beam["counted"] + ops.cast(~beam["finished"], "int32")
        events = {}
        if "log_p" in beam:
            new, tokens, events = self._best(beam, logits, counted)
        else:
            new, tokens = {}, largest(logits, 1)[1]
        parents = events.get("parents")
        of_parents = lambda x: self.of_parents(x, parents)  # noqa: E731
        counted, finished = of_parents(counted), of_parents(beam["finished"])

        follows = counted > 0  # the prompt
        for stop in self.stop_token_ids:
            finished = finished | ((tokens == stop) & follows)
        grows = ~finished
        recent, tokens = of_parents(beam["recent"]), ops.where(grows, tokens, 0)
        same = (recent == tokens[..., None]) & (grows & follows)[..., None]
        runs = (of_parents(beam["runs"]) + 1) * ops.cast(same, "int32")
        # Of several loops the one with the most repetitions is the shortest.
        repeated = ops.max(_REPEATED * ops.cast(runs >= _REPEATED, "int32"), axis=-1)
        new |= {
            "finished": finished | (repeated > 0) | (counted >= self.max_new_tokens),
            "counted": counted,
            "lengths": of_parents(beam["lengths"]) + ops.cast(grows, "int32") - repeated,
            # The prompt is no part of a loop.
            "recent": ops.concatenate([ops.where(follows, tokens, -1)[..., None], recent[..., :-1]], axis=-1),
            "runs": runs,
        }
        if "repeated" in beam:
            new["repeated"] = of_parents(beam["repeated"]) + repeated
        if attention is not None:
            events["attention"] = attended = of_parents(self.in_beam(beam, ops.cast(attention, "float32")))
        if "coverage" in beam:
            attended = ops.where(grows[..., None], attended, 0.0)
            new["coverage"] = of_parents(beam["coverage"]) + attended
        if self.best_only and not self.greedy:
            new = self._stopped_where_best_is_found(new)
        return new, parents, events | {"tokens": tokens}

    def _best(self, beam, logits, counted):
        """Select the best candidates: their log-probabilities and scores, their tokens, and the history."""
        best, tokens = largest(logits, self.candidates)
        total = log_total(logits, (best[:, :1], tokens[:, :1]))
        log_p, tokens = (
            self._padded(beam, x, default) for x, default in ((best - total, -float("inf")), (tokens, 0))
        )
        log_p = log_p + beam["log_p"][..., None]
        # The one candidate of a finished hypothesis is itself.
        itself = ops.where(self.place == 0, beam["log_p"][..., None], -float("inf"))
        log_p = ops.where(beam["finished"][..., None], itself, log_p)
        sizes = (self.batch_size, self.hypotheses(beam) * self.max_beams)
        flat = lambda x: ops.reshape(x, sizes)  # noqa: E731
        score, chosen = ops.top_k(flat(log_p / self.norm(counted)[..., None]), self.max_beams)
        chosen = ops.cast(chosen, "int32")
        parents = chosen // self.max_beams
        log_p = at(flat(log_p), chosen)
        new = {
            "log_p": ops.where(self.unused, -float("inf"), log_p),
            "score": ops.where(self.unused, -float("inf"), score),
        }
        events = {"parents": parents}
        if not self.best_only:
            ended = beam["log_p"]
            if self.stop_token_ids:
                places = ops.stack([ops.cast(stop, "int32") for stop in self.stop_token_ids])
                stops = ops.take(logits, ops.maximum(places, 0), axis=-1)
                stop = ops.max(ops.where(places >= 0, stops, -float("inf")), axis=-1, keepdims=True)
                ended = ended + self.in_beam(beam, stop - total)[..., 0]
            events["ended"] = self.of_parents(ended, parents)
        return new, at(flat(tokens), chosen), events

    def _padded(self, beam, candidates, default):
        """Candidates `(batch * beams, candidates)` in beams, with as many places as a beam has."""
        if self.candidates is not self.max_beams:
            missing = [[0, 0], [0, self.max_beams - self.candidates]]
            candidates = ops.pad(candidates, missing, constant_values=default)
        return self.in_beam(beam, candidates)

    def _stopped_where_best_is_found(self, beam):
        """Drop the unfinished hypotheses of a row if none of them can become the best."""
        finished = beam["finished"]
        best = ops.max(ops.where(finished, self.score(beam), -float("inf")), axis=1, keepdims=True)
        bound = beam["log_p"] / self.longest_norm
        # All or none: with fewer rivals, another hypothesis could stay in the beam.
        done = ops.all(finished | (bound <= best), axis=1, keepdims=True)
        return {**beam, "log_p": ops.where(done & ~finished, -float("inf"), beam["log_p"])}

    # === After the last step ===

    def best(self, beam):
        """The place of the best hypothesis of each row, `(batch, 1)`."""
        if self.greedy:
            return ops.zeros((self.batch_size, 1), "int32")
        exists = beam["log_p"] > -float("inf")
        return ops.argmax(ops.where(exists, self.score(beam), -float("inf")), axis=1, keepdims=True)

    def places(self, beam, token_ids):
        """The scores by which hypotheses are sorted; minus infinity for a text that is there already."""
        places = self.score(beam)
        return ops.where(duplicates(token_ids, beam["lengths"], places), -float("inf"), places)

    def own_scores(self, beam, ended, attention):
        """The scores of texts without their repetitions, as if they had ended there."""
        repeated, last = beam["repeated"], ops.shape(ended)[2] - 1
        ended = ops.take_along_axis(ended, ops.clip(beam["lengths"], 0, last)[..., None], axis=2)[..., 0]
        counted = beam["counted"] - repeated + (1 if self.stop_token_ids else 0)
        scores = ops.where(repeated > 0, ended / self.norm(counted), beam["score"])
        return scores if "coverage" not in beam else scores + self.coverage_score(ops.sum(attention, axis=2))

"""Beam search: the most probable texts of a recurrent model, as far as a narrow search can find them.

As `textrnn.decoding`, pure functions of tensors in `keras.ops`, which are exported as they are.
"""

from typing import NamedTuple

import keras
from keras import ops
from keras_hub.samplers import Sampler

from textrnn.cells.base import Tensor
from textrnn.errors import InputError

MAX_BEAMS = 32
"""No request searches with more hypotheses than this."""


MAX_LENGTH_PENALTY = 10.0
"""Higher ones count as this: lengths decide alone long before."""


MAX_PERIOD = 16
"""The longest sequence of tokens whose repetition is noticed as a loop."""


_REPETITIONS = {period: max(3, -(-12 // period)) for period in range(1, MAX_PERIOD + 1)}
"""How often a sequence of so many tokens has to come in a row: "1,000,000" is no loop."""


_WINDOW = max(period * times for period, times in _REPETITIONS.items())


class Hypotheses(NamedTuple):
    """The best texts of each row, best first.

    Attributes:
        token_ids: int32 `(batch, beams, limit)`, zero after the end; without the token that ended them.
        lengths: int32 `(batch, beams)`.
        scores: float32 `(batch, beams)`; minus infinity where a row has no more.
        attention: float32 `(batch, beams, limit, time)`, what each token attended to.
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
):
    """Searches for the texts with the highest scores, all rows at once and each on its own.

    A beam holds `num_beams` hypotheses. In each turn every one that is alive is followed by every token; of
    these and of the finished ones, those with the highest log P / ((5 + length) / 6)^length_penalty are kept,
    where the length counts the token that ends a text. So a finished hypothesis stays as long as it is among
    the best so far, and with one beam this is greedy search. A hypothesis that is pushed out is lost,
    finished or not, even if those that pushed it out end worse: that is what makes the search narrow. A row
    is done when nothing in it is alive, or with `best_only` when nothing that is alive can become better than
    the best that is finished: log P never grows and the longest text has the mildest denominator. At the end
    hypotheses are ordered by that score plus coverage_penalty · Σ log min(1, the attention that each step of
    the memory got) (both penalties: Wu et al. 2016, arXiv 1609.08144, equation 14).

    A hypothesis that ends in the same 1 to `MAX_PERIOD` tokens again and again, three times and over twelve
    tokens at the least, is in a loop: it is ended there, without the repetitions. So is one that reaches
    `max_new_tokens`.

    Args:
        step: `step(token_ids, states) -> logits, attention, states` of `(rows, ...)`, where the hypotheses of
            a row come one after another.
        logits: `(batch, vocabulary)`, what the model says first; minus infinity for tokens never to choose.
        attention: `(batch, time)`, the weights of attention behind those.
        states: the model's states then, a nested structure of tensors `(batch, ...)`.
        max_beams: how many hypotheses there is room for: an int, or on TensorFlow a scalar tensor.
        num_beams: int32 `(batch,)`, how many of them each row uses, 1 or more.
        max_new_tokens: int32 `(batch,)`.
        limit: the largest of them; an int, or on TensorFlow a scalar tensor.
        stop_token_ids: the tokens that end a text, a tuple of ints.
        length_penalty: float32 `(batch,)` or a number, from 0, which compares sums of log-probabilities, to
            `MAX_LENGTH_PENALTY`.
        coverage_penalty: the same, 0 or more.
        memory_mask: booleans `(batch, time)`, the steps that should be covered; all by default.
        best_only: whether only the first hypothesis matters, so that a row may be done earlier.

    Returns:
        `Hypotheses`, with `max_beams` places.
    """
    turns = _Turns(
        attention, logits.shape[-1], max_beams, num_beams, max_new_tokens, stop_token_ids, length_penalty,
        coverage_penalty, memory_mask,
    )  # fmt: skip

    def body(index, history, beam, said, states):
        logits, attention = said
        log_p, parents, tokens = turns.select(beam, logits)
        beam, tokens, attended = turns.extend(index, beam, attention, log_p, parents, tokens)
        beam = turns.done_where_best_is_found(beam) if best_only else beam
        here = ops.reshape(index, (1, 1))
        history = {
            name: ops.scatter_update(history[name], here, value[None])
            for name, value in (("tokens", tokens), ("parents", parents), ("attention", attended))
        }
        states = keras.tree.map_structure(lambda x: turns.followed(x, parents), states)

        def go_on():
            logits, attention, new_states = step(ops.reshape(tokens, (-1,)), states)
            return (logits, ops.cast(attention, "float32")), new_states

        # After the last turn nobody needs a step.
        said, states = ops.cond(turns.alive(beam), go_on, lambda: (said, states))
        return index + 1, history, beam, said, states

    several = lambda x: ops.repeat(x, max_beams, axis=0)  # noqa: E731
    steps, history, beam, *_ = _while(
        lambda index, history, beam, *_: turns.alive(beam),
        body,
        (
            ops.convert_to_tensor(0, "int32"),
            turns.no_history(limit),
            turns.first_beam(),
            (several(logits), several(ops.cast(attention, "float32"))),
            keras.tree.map_structure(several, states),
        ),
    )
    scores = turns.score(beam)
    order = ops.argsort(-scores, axis=1)
    lengths = ops.take_along_axis(beam["lengths"], order, axis=1)
    token_ids, attention = _traced_back(history, order, steps)
    token_ids, attention = ops.moveaxis(token_ids, 0, 2), ops.moveaxis(attention, 0, 2)
    inside = ops.arange(limit, dtype="int32") < lengths[..., None]
    return Hypotheses(
        ops.where(inside, token_ids, 0),
        lengths,
        ops.take_along_axis(scores, order, axis=1),
        ops.where(inside[..., None], attention, 0.0),
    )


class _Turns:
    """What happens in a turn of the search, to a beam of all rows: a dict of tensors `(batch, beams, ...)`.

    `log_p`: minus infinity where there is no hypothesis. `finished`. `counted`: the tokens, with the one that
    ended it. `lengths`: the tokens of the answer. `recent`: the last tokens, to notice loops. `coverage`: the
    attention that each step of the memory got.
    """

    def __init__(
        self, attention, vocabulary_size, max_beams, num_beams, max_new_tokens, stop_token_ids,
        length_penalty, coverage_penalty, memory_mask,
    ):  # fmt: skip
        self.batch_size, self.time = ops.shape(attention)
        self.max_beams = max_beams
        # More followers of one hypothesis cannot all be kept.
        if isinstance(max_beams, int):
            self.followers = min(max_beams, vocabulary_size)
        else:
            self.followers = ops.minimum(max_beams, vocabulary_size)
        self.place = ops.arange(max_beams, dtype="int32")[None]
        self.no_room = self.place >= self._row(num_beams, "int32")
        self.max_new_tokens = self._row(max_new_tokens, "int32")
        self.stop_token_ids = stop_token_ids
        # More would take the norm of a long text out of the range of float32.
        self.length_penalty = ops.clip(self._row(length_penalty, "float32"), 0.0, MAX_LENGTH_PENALTY)
        self.coverage_penalty = ops.maximum(self._row(coverage_penalty, "float32"), 0.0)
        self.memory_mask = memory_mask

    def _row(self, value, dtype):
        return ops.broadcast_to(ops.cast(value, dtype), (self.batch_size,))[:, None]

    def first_beam(self):
        shape = (self.batch_size, self.max_beams)
        return {
            # All hypotheses are the same one at first: one of them is followed.
            "log_p": ops.broadcast_to(ops.where(self.place == 0, 0.0, -float("inf")), shape),
            "finished": ops.broadcast_to(self.max_new_tokens <= 0, shape),
            "counted": ops.zeros(shape, "int32"),
            "lengths": ops.zeros(shape, "int32"),
            "recent": ops.zeros((*shape, _WINDOW), "int32"),
            "coverage": ops.zeros((*shape, self.time), "float32"),
        }

    def alive(self, beam):
        """Whether any hypothesis of any row goes on."""
        return ops.any(~beam["finished"] & (beam["log_p"] > -float("inf")))

    def no_history(self, limit):
        """Room for each turn's tokens, where they follow, and what was attended to before them."""
        shape = (limit, self.batch_size, self.max_beams)
        return {
            "tokens": ops.zeros(shape, "int32"),
            "parents": ops.zeros(shape, "int32"),
            "attention": ops.zeros((*shape, self.time), "float32"),
        }

    def norm(self, length):
        return ((5.0 + ops.cast(length, "float32")) / 6.0) ** self.length_penalty

    def score(self, beam):
        gaps = ops.log(ops.clip(beam["coverage"], 1e-9, 1.0))
        if self.memory_mask is not None:
            gaps = ops.where(self.memory_mask[:, None], gaps, 0.0)
        return beam["log_p"] / self.norm(beam["counted"]) + self.coverage_penalty * ops.sum(gaps, axis=-1)

    def in_beams(self, rows):
        return ops.reshape(rows, (self.batch_size, self.max_beams, *ops.shape(rows)[1:]))

    def of_parents(self, x, parents):
        index = ops.reshape(parents, (self.batch_size, self.max_beams, *[1] * (len(x.shape) - 2)))
        return ops.take_along_axis(x, index, axis=1)

    def followed(self, rows, parents):
        """States `(batch * beams, ...)` of the hypotheses that those of a new beam follow."""
        return ops.reshape(self.of_parents(self.in_beams(rows), parents), ops.shape(rows))

    def select(self, beam, logits):
        """The best followers of a beam: their log-probabilities, parents and tokens."""
        logits = ops.cast(self.in_beams(logits), "float32")
        log_p, tokens = ops.top_k(logits, self.followers)
        log_p = log_p - ops.logsumexp(logits, axis=-1, keepdims=True) + beam["log_p"][..., None]
        # What is finished has one follower: itself.
        first = ops.arange(self.followers, dtype="int32") == 0
        itself = ops.where(first, beam["log_p"][..., None], -float("inf"))
        log_p = ops.where(beam["finished"][..., None], itself, log_p)
        length = beam["counted"] + ops.cast(~beam["finished"], "int32")
        flat = lambda x: ops.reshape(x, (self.batch_size, self.max_beams * self.followers))  # noqa: E731
        _, chosen = ops.top_k(flat(log_p / self.norm(length)[..., None]), self.max_beams)
        chosen = ops.cast(chosen, "int32")
        pick = lambda x: ops.take_along_axis(flat(x), chosen, axis=1)  # noqa: E731
        log_p = ops.where(self.no_room, -float("inf"), pick(log_p))
        return log_p, chosen // self.followers, ops.cast(pick(tokens), "int32")

    def extend(self, index, beam, attention, log_p, parents, tokens):
        """The beam of the followers that were selected, its new tokens, and what they attended to."""
        old = {name: self.of_parents(values, parents) for name, values in beam.items()}
        stops = old["finished"]
        for stop in self.stop_token_ids:
            stops = stops | (tokens == stop)
        grows = ~stops
        tokens = ops.where(grows, tokens, 0)
        recent = ops.concatenate([old["recent"][..., 1:], tokens[..., None]], axis=-1)
        repeated = ops.where(grows, _repeated(recent), 0)
        attended = self.of_parents(self.in_beams(attention), parents)
        beam = {
            "log_p": log_p,
            "finished": stops | (repeated > 0) | (index + 1 >= self.max_new_tokens),
            "counted": old["counted"] + ops.cast(~old["finished"], "int32"),
            "lengths": old["lengths"] + ops.cast(grows, "int32") - repeated,
            "recent": recent,
            "coverage": old["coverage"] + ops.where(grows[..., None], attended, 0.0),
        }
        return beam, tokens, attended

    def done_where_best_is_found(self, beam):
        """Gives up the living hypotheses of a row if none of them can become the best."""
        finished = beam["finished"]
        best = ops.max(ops.where(finished, self.score(beam), -float("inf")), axis=1, keepdims=True)
        bound = beam["log_p"] / self.norm(self.max_new_tokens)
        # All or none of a row: without some of its rivals another hypothesis might go on.
        done = ops.all(finished | (bound <= best), axis=1, keepdims=True)
        return {**beam, "log_p": ops.where(done & ~finished, -float("inf"), beam["log_p"])}


def _repeated(recent):
    """How many of the last tokens only repeat what is before them; 0 where there is no loop.

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


def _traced_back(history, places, steps):
    """The tokens and the attention of the hypotheses that ended at `places`, `(limit, batch, beams, ...)`."""

    def body(index, places, tokens, attention):
        at = index - 1
        here = ops.reshape(at, (1, 1))
        pick = lambda x: ops.take_along_axis(x, places, axis=1)  # noqa: E731
        tokens = ops.scatter_update(tokens, here, pick(ops.take(history["tokens"], at, axis=0))[None])
        attended = ops.take(history["attention"], at, axis=0)
        attended = ops.take_along_axis(attended, places[..., None], axis=1)
        attention = ops.scatter_update(attention, here, attended[None])
        return at, pick(ops.take(history["parents"], at, axis=0)), tokens, attention

    start = (
        steps,
        ops.cast(places, "int32"),
        ops.zeros_like(history["tokens"]),
        ops.zeros_like(history["attention"]),
    )
    _, _, tokens, attention = _while(lambda index, *_: index > 0, body, start)
    return tokens, attention


def _while(condition, body, start):
    """`ops.while_loop` over a nested structure, each tensor of which keeps the shape it has first."""
    flat = keras.tree.flatten(start)

    def flat_body(*variables):
        new = keras.tree.flatten(body(*keras.tree.pack_sequence_as(start, list(variables))))
        return tuple(ops.reshape(x, ops.shape(old)) for x, old in zip(new, variables, strict=True))

    def flat_condition(*variables):
        return condition(*keras.tree.pack_sequence_as(start, list(variables)))

    return keras.tree.pack_sequence_as(start, list(ops.while_loop(flat_condition, flat_body, tuple(flat))))


@keras.saving.register_keras_serializable(package="textrnn")
class BeamSearchSampler(Sampler):
    """Takes the best text that `beam_search` finds; `textrnn.Seq2SeqLM`'s default.

    `keras_hub.samplers.BeamSampler` compares texts of different lengths by their sums, goes on behind the end
    of a text, and has neither penalties nor several answers. A KerasHub sampler is given no attention, so the
    model runs this one's own loop.

    Args:
        num_beams: int, how many hypotheses are followed; 1 is greedy search.
        length_penalty: float, from 0 to 10; higher ones prefer longer texts.
        coverage_penalty: float, 0 or more; higher ones prefer texts that attend to all of the source.

    Example:

    >>> textrnn.BeamSearchSampler(num_beams=4).get_config()
    {'num_beams': 4, 'length_penalty': 1.0, 'coverage_penalty': 0.0}
    """

    def __init__(self, num_beams=5, length_penalty=1.0, coverage_penalty=0.0):
        super().__init__()
        if num_beams < 1 or not 0 <= length_penalty <= MAX_LENGTH_PENALTY or coverage_penalty < 0:
            raise InputError(
                "Expected num_beams >= 1, length_penalty from 0 to 10 and coverage_penalty >= 0. Received: "
                f"num_beams={num_beams}, length_penalty={length_penalty}, coverage_penalty={coverage_penalty}"
            )
        self.num_beams = num_beams
        self.length_penalty = length_penalty
        self.coverage_penalty = coverage_penalty

    def get_next_token(self, probabilities):
        """KerasHub's interface hands over no attention, so the model has to run this sampler's own loop."""
        raise NotImplementedError(
            "BeamSearchSampler needs the attention that textrnn.Seq2SeqLM passes it; with other models use "
            "keras_hub.samplers.BeamSampler."
        )

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            "num_beams": self.num_beams,
            "length_penalty": self.length_penalty,
            "coverage_penalty": self.coverage_penalty,
        }

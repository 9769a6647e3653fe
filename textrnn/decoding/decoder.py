"""The parts of a model that decoding calls."""

from collections.abc import Callable
from dataclasses import dataclass

from keras import ops

from textrnn.tensors import Tensor


@dataclass(frozen=True)
class Decoder:
    """How a model reads a prompt and then one token at a time: all that a sampler knows of it.

    Attributes:
        read: `read(token_ids, padding_mask) -> hidden, attention, states`, of prompts `(batch, time)`.
            Hidden vectors are `(batch, time, features)`. Attention weights are `(batch, time, memory time)`,
            or None for a model without attention.
        step: `step(token_ids, states) -> hidden, attention, states`, of one token per row: `(rows,)`,
            `(rows, features)` and `(rows, memory time)`. There may be several consecutive rows per prompt.
        project: Hidden vectors -> logits.
        seeds: Integers `(batch,)`, the seeds of rows that are given none.
        memory_mask: Booleans `(batch, memory time)`, or None.
        tokens: The token of each logit, ints `(logits,)`, if there are logits for some tokens alone. The
            tokens that samplers choose are then places in it; `named` gives the tokens.
        whole: The decoder with logits for all tokens, for samplers that need them, if this one has `tokens`.
    """

    read: Callable
    step: Callable
    project: Callable
    seeds: Tensor
    memory_mask: Tensor | None = None
    tokens: Tensor | None = None
    whole: "Decoder | None" = None

    def start(self, token_ids, padding_mask):
        """Read prompts.

        Args:
            token_ids: Integers, `(batch, time)`, padded on the right.
            padding_mask: Booleans, `(batch, time)`, at least one True per row.

        Returns:
            `(logits, attention, states)` after the last token of each prompt: `(batch, vocabulary)`,
            `(batch, memory time)` or None, and the states.
        """
        hidden, attention, states = self.read(token_ids, padding_mask)
        last = (ops.sum(ops.cast(padding_mask, "int32"), axis=1) - 1)[:, None, None]
        at_end = lambda x: ops.take_along_axis(x, last, axis=1)[:, 0]  # noqa: E731
        return self.project(at_end(hidden)), None if attention is None else at_end(attention), states

    def next(self, token_ids, states):
        """Read one token per row, as it was chosen; return `(logits, attention, states)`."""
        hidden, attention, states = self.step(self.named(token_ids), states)
        return self.project(hidden), attention, states

    def named(self, chosen):
        """Return the tokens that samplers have chosen among the logits."""
        return chosen if self.tokens is None else ops.take(self.tokens, chosen, axis=0)

    def places(self, token_ids):
        """Return the places of tokens among the logits, a tuple; -1 for a token without a logit."""
        if self.tokens is None:
            return tuple(token_ids)
        found = [self.tokens == token for token in token_ids]
        first = [ops.cast(ops.argmax(same), "int32") for same in found]
        return tuple(ops.where(ops.any(s), place, -1) for s, place in zip(found, first, strict=True))

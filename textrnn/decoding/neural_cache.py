"""The neural cache: a language model that looks up what followed similar states (Grave et al. 2017)."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from keras import ops

from textrnn.decoding.decoder import Decoder
from textrnn.errors import expect, is_integer, is_number
from textrnn.tensors import Tensor

NONE = -1
"""The next token of a place of the cache that is not filled."""


@dataclass(frozen=True)
class NeuralCache:
    """A continuous cache (Grave, Joulin & Usunier 2017, Improving neural language models with one).

    The cache stores the last hidden vectors h(i), each with the token x(i+1) that followed it. The
    probability of a token is

        p(w) = (1 − share) · p_model(w) + share · p_cache(w),
        p_cache(w) ∝ Σ exp(theta · h(t) · h(i)) over all stored i with x(i+1) = w.

    Hidden vectors are those that the model multiplies by its output embedding. While nothing is stored, the
    probabilities are those of the model.

    Args:
        window: Number of hidden vectors to store.
        theta: How much similar vectors count more than others; 0 makes it a unigram cache.
        share: The weight of the cache in the mixture (λ in the paper), in [0, 1).

    Raises:
        InputError: If a number is out of range.

    Example:

    >>> from textrnn.decoding import NeuralCache
    >>> NeuralCache(window=500, theta=0.3, share=0.1)
    NeuralCache(window=500, theta=0.3, share=0.1)
    """

    window: int
    theta: float = 0.3
    share: float = 0.1

    def __post_init__(self):
        window, theta, share = self.window, self.theta, self.share
        expect(
            is_integer(window) and window >= 1,
            f"window is {window!r}: give the number of vectors to store, an integer of at least 1",
        )
        expect(
            is_number(theta) and 0 <= theta < float("inf"), f"theta is {theta!r}: give a number of at least 0"
        )
        expect(
            is_number(share) and 0 <= share < 1,
            f"share is {share!r}: give the share of the cache, from 0 to below 1",
        )

    def get_config(self) -> dict:
        """Return the arguments of the constructor."""
        return asdict(self)

    def decoder(self, decoder: Decoder, suppressed_token_ids: Sequence[int] = ()) -> Decoder:
        """Return a decoder whose logits are the logarithms of the mixture.

        The cache is part of its states, and has the pairs of the prompt. A row depends on itself alone.

        Args:
            decoder: The decoder of a language model, without attention.
            suppressed_token_ids: Tokens that are never generated, and therefore not stored.
        """

        def read(token_ids, padding_mask):
            hidden, _, states = decoder.read(token_ids, padding_mask)
            return (
                hidden,
                None,
                (self._of_prompt(hidden, token_ids, padding_mask, suppressed_token_ids), states),
            )

        def step(token_ids, states):
            memory, states = states
            hidden, _, states = decoder.step(token_ids, states)
            states = (self._stored(memory, token_ids, hidden, suppressed_token_ids), states)
            return logits(states), None, states

        def logits(states):
            keys, nexts, _, hidden, _ = states[0]
            log_probs = ops.log_softmax(ops.cast(decoder.project(hidden), "float32"), axis=-1)
            weights = self._weights(keys, nexts, hidden)  # (rows, window)
            rows, vocabulary = ops.shape(hidden)[0], log_probs.shape[-1]
            places = ops.maximum(nexts, 0) + vocabulary * ops.arange(rows, dtype="int32")[:, None]
            found = ops.segment_sum(
                ops.reshape(weights, (-1,)), ops.reshape(places, (-1,)), rows * vocabulary
            )
            filled = ops.any(nexts >= 0, axis=1, keepdims=True)
            return mixed_log_probs(
                log_probs, ops.log(ops.reshape(found, (rows, vocabulary))), filled, self.share
            )

        return _CachedDecoder(read, step, lambda x: x, decoder.seeds, decoder.memory_mask, logits=logits)

    def _of_prompt(self, hidden, token_ids, padding_mask, suppressed):
        """The last pairs of prompts: `(keys, nexts, slot, hidden, known)`.

        Keys are `(rows, window, features)` and nexts `(rows, window)`, a ring with the oldest pair at `slot`,
        `(rows,)`. `hidden` is the vector of the last token, whose next token is not known yet, if `known`.
        """
        lengths = ops.sum(ops.cast(padding_mask, "int32"), axis=1)[:, None]  # (rows, 1)
        last = ops.shape(token_ids)[1] - 1
        place = ops.arange(self.window, dtype="int32")[None] + lengths - 1 - self.window  # (rows, window)
        inside = ops.clip(place, 0, last)[:, :, None]
        keys = ops.take_along_axis(hidden, inside, axis=1)
        following = ops.clip(place + 1, 0, last)
        nexts = _without(ops.take_along_axis(ops.cast(token_ids, "int32"), following, axis=1), suppressed)
        at_end = ops.take_along_axis(hidden, ops.maximum(lengths - 1, 0)[:, :, None], axis=1)[:, 0]
        slot = ops.zeros_like(lengths[:, 0])
        return keys, ops.where(place >= 0, nexts, NONE), slot, at_end, lengths[:, 0] > 0

    def _stored(self, memory, token_ids, hidden, suppressed):
        """The memory after one more token, with the hidden vector of it."""
        keys, nexts, slot, before, known = memory
        token_ids = ops.where(known, _without(ops.cast(token_ids, "int32"), suppressed), NONE)
        where = ops.stack([ops.arange(ops.shape(slot)[0], dtype="int32"), slot], axis=1)
        keys = ops.scatter_update(keys, where, before)
        nexts = ops.scatter_update(nexts, where, token_ids)
        return keys, nexts, (slot + 1) % self.window, hidden, ops.ones_like(known)

    def _weights(self, keys, nexts, hidden):
        """The probabilities of the stored pairs, `(rows, window)`; zeros while there are none."""
        keys, hidden = ops.cast(keys, "float32"), ops.cast(hidden, "float32")
        scores = self.theta * ops.matmul(keys, hidden[:, :, None])[:, :, 0]
        return _softmax(scores, nexts >= 0)


def cache_log_probs(
    queries: Tensor, keys: Tensor, nexts: Tensor, allowed: Tensor, targets: Tensor, theta: float
) -> Tensor:
    """Return the logarithm of the probability that the cache gives to a target.

    Args:
        queries: Hidden vectors h(t), `(batch, time, features)`.
        keys: Stored hidden vectors, `(batch, places, features)`.
        nexts: The tokens that followed them, `(batch, places)`; negative where nothing is stored.
        allowed: Booleans, `(time, places)`: which places a step may look at.
        targets: Token ids, `(batch, time)`.
        theta: See `NeuralCache`.

    Returns:
        `(log_probs, filled)`, both `(batch, time)`: minus infinity where the target is not in the cache, and
        whether anything is.

    Example:

    >>> from textrnn.decoding.neural_cache import cache_log_probs
    >>> h = np.ones((1, 1, 2), "float32")
    >>> keys, nexts = np.ones((1, 4, 2), "float32"), np.array([[5, 6, 5, -1]])
    >>> log_probs, _ = cache_log_probs(h, keys, nexts, np.ones((1, 4), bool), np.array([[5]]), theta=1.0)
    >>> round(float(np.exp(log_probs[0, 0])), 3)
    0.667
    """
    stored = ops.logical_and(allowed[None], nexts[:, None] >= 0)  # (batch, time, places)
    weights = _softmax(theta * ops.matmul(queries, ops.transpose(keys, (0, 2, 1))), stored)
    same = ops.cast(nexts[:, None] == targets[:, :, None], weights.dtype)
    return ops.log(ops.sum(weights * same, axis=-1)), ops.any(stored, axis=-1)


def mixed_log_probs(model: Tensor, cache: Tensor, filled: Tensor, share: float | Tensor) -> Tensor:
    """Mix log probabilities of the model and of the cache, with the model alone where nothing is stored."""
    share = ops.cast(share, model.dtype)
    mixture = ops.logaddexp(ops.log1p(-share) + model, ops.log(share) + cache)
    return ops.where(filled, mixture, model)


@dataclass(frozen=True)
class _CachedDecoder(Decoder):
    """A decoder whose hidden vectors are logits, which depend on its states."""

    logits: Callable = field(kw_only=True)

    def start(self, token_ids, padding_mask):
        _, _, states = self.read(token_ids, padding_mask)
        return self.logits(states), None, states


def _softmax(scores, allowed):
    """The softmax over the last axis where `allowed`; zeros if nothing is."""
    scores = ops.where(allowed, scores, -1e30)
    powers = ops.exp(scores - ops.max(scores, axis=-1, keepdims=True)) * ops.cast(allowed, scores.dtype)
    return powers / ops.maximum(ops.sum(powers, axis=-1, keepdims=True), 1e-30)


def _without(token_ids, suppressed):
    """Token ids with NONE in place of those that are never generated."""
    for token_id in suppressed:
        token_ids = ops.where(token_ids == token_id, NONE, token_ids)
    return token_ids

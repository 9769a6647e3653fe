"""The interface of samplers: completing prompts with a model."""

import inspect
from functools import partial
from typing import Self

from keras import ops
from keras_hub.samplers import Sampler

from textrnn.decoding.loop import appended, without_padding


class RowwiseSampler(Sampler):
    """Base class of samplers that decode each row independently of the other rows.

    A subclass implements `decode`, and `__call__` for models that run KerasHub's interface.
    """

    def decode(self, decoder, token_ids, padding_mask, *, max_new_tokens, limit, stop_token_ids=()):
        """Continue prompts.

        Args:
            decoder: A `textrnn.decoding.Decoder`.
            token_ids: Integers, `(batch, time)`, padded on the right.
            padding_mask: Booleans, `(batch, time)`.
            max_new_tokens: int32, `(batch,)`.
            limit: The largest of `max_new_tokens` or more; an int, or on TensorFlow a scalar tensor.
            stop_token_ids: Tokens that end a text, a tuple of ints.

        Returns:
            New tokens, int32 `(batch, limit)`, zero after the end of a row, and their number, `(batch,)`.
        """
        raise NotImplementedError

    def complete(
        self, decoder, token_ids, padding_mask, *, stop_token_ids=None, max_new_tokens=None, model=None,
        **options,
    ):  # fmt: skip
        """Complete prompts within the length that they are padded to; see `complete`."""
        max_length = ops.shape(token_ids)[1]
        room = max_length - ops.sum(ops.cast(padding_mask, "int32"), axis=1)
        new, lengths = self.decode(
            decoder,
            *without_padding(token_ids, padding_mask),
            max_new_tokens=room if max_new_tokens is None else ops.minimum(room, max_new_tokens),
            limit=max_length,
            stop_token_ids=tuple(stop_token_ids or ()),
            **options,
        )
        return appended(token_ids, padding_mask, new, lengths)

    @classmethod
    def like(cls, sampler, **settings) -> Self:
        """A sampler of this class with the settings that it shares with another sampler.

        Greedy decoding and beam search with one beam are the same. Otherwise, of a beam search nothing but
        that it is not random is kept in a sampler of random tokens.

        Args:
            sampler: Any sampler of KerasHub.
            **settings: Arguments of the constructor to replace them; None for those that stay.

        Example:

        >>> import keras_hub
        >>> textrnn.BeamSearchSampler.like(keras_hub.samplers.BeamSampler(num_beams=3)).num_beams
        3
        >>> textrnn.BeamSearchSampler.like(keras_hub.samplers.GreedySampler()).num_beams
        1
        >>> textrnn.RowSampler.like(textrnn.RowSampler(top_k=5), temperature=0.5, top_k=None).get_config()
        {'temperature': 0.5, 'top_k': 5, 'top_p': 1.0, 'seed': None}
        """
        from textrnn.decoding.rowwise import rowwise  # which knows all samplers

        names, own = inspect.signature(cls).parameters, sampler.get_config()
        own |= {name: value for name, value in rowwise(sampler).get_config().items() if value is not None}
        if "num_beams" in own:
            own |= {"temperature": 0.0}
        elif own.get("temperature") == 0:
            own |= {"num_beams": 1}
        shared = {name: value for name, value in own.items() if name in names}
        return cls(**shared | {name: value for name, value in settings.items() if value is not None})


def prompt_mask(prompt, index, mask=None):
    """Return which tokens are prompts in KerasHub's interface, booleans `(batch, max_length)`.

    Args:
        prompt: Integers, `(batch, max_length)`.
        index: Int scalar, the first position to write.
        mask: Booleans, `(batch, max_length)`; None for the positions before `index`.
    """
    if mask is not None:
        return ops.cast(mask, "bool")
    position = ops.arange(ops.shape(prompt)[1], dtype="int32")
    return ops.broadcast_to(position < index, ops.shape(prompt))


def complete(sampler, decoder, token_ids, padding_mask, **options):
    """Complete prompts with any sampler.

    Args:
        sampler: A `RowwiseSampler`, or one of `keras_hub.samplers`.
        decoder: A `textrnn.decoding.Decoder`.
        token_ids: Integers, `(batch, max_length)`, prompts padded on the right.
        padding_mask: Booleans, `(batch, max_length)`.
        **options: `stop_token_ids`, tokens that end a text, or None; `max_new_tokens`, int32 `(batch,)`, or
            None for as many as fit; `model`, the model that KerasHub's samplers run.

    Returns:
        `token_ids` and `padding_mask` of prompts followed by new tokens, `(batch, max_length)`. The mask
        excludes the token that ended a text.
    """
    method = getattr(sampler, "complete", None) or partial(_complete_in_step, sampler)
    return method(decoder, token_ids, padding_mask, **options)


def _complete_in_step(
    sampler, decoder, token_ids, padding_mask, *, stop_token_ids=None, max_new_tokens=None, model=None
):
    """`complete` for KerasHub's samplers, which write one position of all rows at a time.

    They start at the end of the shortest prompt.
    """
    decoder = decoder.whole or decoder
    max_length = ops.shape(token_ids)[1]
    position = ops.arange(max_length, dtype="int32")[None]
    prompt_lengths = ops.sum(ops.cast(padding_mask, "int32"), axis=1)
    index = ops.min(prompt_lengths)
    hidden, _, states = decoder.read(token_ids, prompt_mask(token_ids, index - 1))

    def next_logits(prompt, cache, index):
        hidden, _, cache = decoder.step(ops.take(prompt, index - 1, axis=1), cache)
        return decoder.project(hidden), hidden, cache

    token_ids = sampler(
        next=next_logits,
        prompt=token_ids,
        cache=states,
        index=index,
        mask=padding_mask,
        stop_token_ids=stop_token_ids,
        hidden_states=hidden,
        model=model,
    )
    stops = ops.zeros_like(padding_mask)
    for stop in stop_token_ids or ():
        stops = stops | (token_ids == stop)
    inside = ops.cumsum(ops.cast(stops & ~padding_mask, "int32"), axis=1) == 0
    if max_new_tokens is not None:
        inside = inside & (position < (prompt_lengths + max_new_tokens)[:, None])
    return token_ids, inside

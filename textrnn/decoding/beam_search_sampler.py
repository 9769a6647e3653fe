"""Beam search as a sampler."""

from math import inf

import keras
from keras import ops

from textrnn.decoding.beam_search import MAX_LENGTH_PENALTY, beam_search
from textrnn.decoding.loop import appended
from textrnn.decoding.samplers import RowwiseSampler, prompt_mask
from textrnn.errors import expect, is_integer, is_number


@keras.saving.register_keras_serializable(package="textrnn")
class BeamSearchSampler(RowwiseSampler):
    """Takes the best text that beam search finds.

    Unlike `keras_hub.samplers.BeamSampler`, it normalizes scores by length, can favour texts that attend to
    the whole source, stops when the best text is known, and ends loops. This is the default sampler of
    `textrnn.Seq2SeqLM`.

    Args:
        num_beams: int, 1 or more. The number of hypotheses; 1 is greedy search.
        length_penalty: float, 0 to 10. Higher values favour longer texts.
        coverage_penalty: float, 0 or more. Higher values favour texts that attend to the whole source. It
            has no effect on models without attention.

    Raises:
        InputError: For a value out of range, or of another type.

    Example:

    >>> textrnn.BeamSearchSampler(num_beams=4).get_config()
    {'num_beams': 4, 'length_penalty': 1.0, 'coverage_penalty': 0.0}
    """

    def __init__(self, num_beams=5, length_penalty=1.0, coverage_penalty=0.0):
        super().__init__()
        expect(
            is_integer(num_beams) and num_beams >= 1,
            f"num_beams={num_beams!r}: give an integer of at least 1, which is greedy search",
        )
        expect(
            is_number(length_penalty) and 0 <= length_penalty <= MAX_LENGTH_PENALTY,
            f"length_penalty={length_penalty!r}: give a number from 0 to {MAX_LENGTH_PENALTY:g}",
        )
        expect(
            is_number(coverage_penalty) and 0 <= coverage_penalty < inf,
            f"coverage_penalty={coverage_penalty!r}: give a number of at least 0; 0 is no penalty",
        )
        self.num_beams = int(num_beams)
        self.length_penalty = float(length_penalty)
        self.coverage_penalty = float(coverage_penalty)

    def search(self, decoder, token_ids, padding_mask, **options):
        """Continue prompts; return the n-best list.

        Args:
            decoder: A `textrnn.decoding.Decoder`.
            token_ids: Integers, `(batch, time)`, padded on the right.
            padding_mask: Booleans, `(batch, time)`.
            **options: See `textrnn.decoding.beam_search`; by default the settings of this sampler.

        Returns:
            `textrnn.decoding.Hypotheses`, without the prompts.
        """
        logits, attention, states = decoder.start(token_ids, padding_mask)
        options = self._settings() | {"memory_mask": decoder.memory_mask} | options
        options["stop_token_ids"] = decoder.places(options.get("stop_token_ids", ()))
        found = beam_search(decoder.next, logits, attention, states, **options)
        inside = ops.arange(ops.shape(found.token_ids)[2], dtype="int32") < found.lengths[..., None]
        return found._replace(token_ids=ops.where(inside, decoder.named(found.token_ids), 0))

    def _settings(self):
        return {"max_beams": self.num_beams, **self.get_config()}

    def decode(self, decoder, token_ids, padding_mask, **options):
        """Continue prompts with their best hypotheses; see `RowwiseSampler.decode`."""
        found = self.search(decoder, token_ids, padding_mask, best_only=True, **options)
        return found.token_ids[:, 0], found.lengths[:, 0]

    # === KerasHub's interface ===

    def __call__(
        self, next, prompt, cache=None, index=0, mask=None, stop_token_ids=None, hidden_states=None,
        model=None,
    ):  # fmt: skip
        """Complete prompts by KerasHub's interface; see `keras_hub.samplers.Sampler`.

        The prompts are the tokens where `mask` is True, or those before `index` if it is None. A text that
        has ended is followed by the first stop token, or by 0 if there is none.
        """
        batch_size, max_length = ops.shape(prompt)
        index = ops.cast(index, "int32")
        position = ops.arange(max_length, dtype="int32")[None]
        before = prompt_mask(prompt, index)
        mask = prompt_mask(prompt, index, mask)
        lengths = ops.sum(ops.cast(mask, "int32"), axis=1)

        def within_prompts(logits, prompt, mask, index):
            """Logits that leave no choice where a prompt has a token at `index`."""
            given = ops.one_hot(ops.take(prompt, index, axis=1), logits.shape[-1], dtype="bool")
            given = ops.cast(ops.where(given, 0.0, -float("inf")), "float32")
            return ops.where(ops.take(mask, index, axis=1)[:, None], given, ops.cast(logits, "float32"))

        def step(token_ids, states):
            prompt, mask, cache, indices = states
            prompt = ops.where(
                position == indices[:, None], ops.cast(token_ids, prompt.dtype)[:, None], prompt
            )
            index = indices[0] + 1
            logits, _, cache = next(prompt, cache, index)
            return within_prompts(logits, prompt, mask, index), None, (prompt, mask, cache, indices + 1)

        cache = () if cache is None else cache
        logits, _, cache = next(prompt, cache, index)
        found = beam_search(
            step,
            within_prompts(logits, prompt, mask, index),
            None,
            (prompt, mask, cache, ops.broadcast_to(index, (batch_size,))),
            max_new_tokens=max_length - lengths,
            limit=max_length,
            stop_token_ids=tuple(stop_token_ids or ()),
            best_only=True,
            given=lengths - index,
            **self._settings(),
        )
        token_ids, inside = appended(prompt, before, found.token_ids[:, 0], found.lengths[:, 0])
        after = stop_token_ids[0] if stop_token_ids else 0
        return ops.where(mask, prompt, ops.where(inside, ops.cast(token_ids, prompt.dtype), after))

    def get_next_token(self, probabilities):
        """The most probable token of each row, the choice of a search with one beam.

        Args:
            probabilities: float32, `(batch, vocabulary)`.

        Returns:
            int32, `(batch,)`.
        """
        return ops.argmax(probabilities, axis=-1)

    def get_config(self):
        """Return the arguments of the constructor."""
        return {
            "num_beams": self.num_beams,
            "length_penalty": self.length_penalty,
            "coverage_penalty": self.coverage_penalty,
        }

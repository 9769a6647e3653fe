"""Sampling with a seed per row."""

from math import inf

import keras
from keras import ops
from keras_hub.samplers import GreedySampler

from textrnn.decoding.loop import generate
from textrnn.decoding.samplers import RowwiseSampler, prompt_mask
from textrnn.decoding.sampling import distribution, draw, row_seeds, row_uniforms, sample
from textrnn.errors import expect, is_integer, is_number


@keras.saving.register_keras_serializable(package="textrnn")
class RowSampler(RowwiseSampler):
    """Samples each row from its own stream of random numbers.

    The text of a row depends on its prompt, its seed and these settings, never on the rest of the batch.
    This is the default sampler of `textrnn.CausalLM`, in Python and in exported models.

    Args:
        temperature: float, 0 or more. Logits are divided by it; 0 takes the most likely token.
        top_k: int. Sample among the `top_k` most likely tokens; 0 for all.
        top_p: float in (0, 1]. Sample among the most likely tokens whose probabilities sum to `top_p`; 1
            for all.
        seed: int of 32 bits, or None to derive the seed of a row from its prompt.

    Raises:
        InputError: For a value out of range, or of another type.

    Example:

    >>> textrnn.RowSampler(temperature=0.8, top_k=40).get_config()
    {'temperature': 0.8, 'top_k': 40, 'top_p': 1.0, 'seed': None}
    """

    def __init__(self, temperature=1.0, top_k=0, top_p=1.0, seed=None):
        expect(
            is_number(temperature) and 0 <= temperature < inf,
            f"temperature={temperature!r}: give a number of at least 0; 0 takes the most likely token",
        )
        expect(
            is_integer(top_k) and 0 <= top_k < 2**31,
            f"top_k={top_k!r}: give an integer from 0 to 2**31 - 1; 0 samples from all tokens",
        )
        expect(
            is_number(top_p) and 0 < top_p <= 1,
            f"top_p={top_p!r}: give a number above 0 and at most 1, which is all tokens",
        )
        expect(
            seed is None or (is_integer(seed) and -(2**31) <= seed < 2**31),
            f"seed={seed!r}: give an integer from -2**31 to 2**31 - 1, or None for seeds of the prompts",
        )
        super().__init__(temperature=float(temperature))
        self.top_k = int(top_k)
        self.top_p = float(top_p)
        self.seed = None if seed is None else int(seed)

    def decode(
        self, decoder, token_ids, padding_mask, *, max_new_tokens, limit, stop_token_ids=(),
        temperature=None, top_k=None, top_p=None, seed=None,
    ):  # fmt: skip
        """Continue prompts; see `RowwiseSampler.decode`.

        Args:
            decoder, token_ids, padding_mask, max_new_tokens, limit, stop_token_ids: As there.
            temperature, top_k, top_p, seed: Settings of each row, `(batch,)`, instead of the sampler's own.
                The sampler's own are used for None, and for rows with a negative value or NaN.
        """
        batch_size = ops.shape(token_ids)[0]
        seeds = self._of_rows(decoder.seeds if self.seed is None else self.seed, seed, "int32", batch_size)
        settings = self.settings_of_rows(batch_size, temperature, top_k, top_p)

        def choose(logits, index):
            return sample(logits, row_uniforms(seeds, index), *settings)

        logits, _, states = decoder.start(token_ids, padding_mask)
        chosen, lengths = generate(
            decoder.next, choose, logits, states,
            max_new_tokens=max_new_tokens, limit=limit, stop_token_ids=decoder.places(stop_token_ids),
        )  # fmt: skip
        inside = ops.arange(ops.shape(chosen)[1], dtype="int32") < lengths[:, None]
        return ops.where(inside, decoder.named(chosen), 0), lengths

    def settings_of_rows(self, batch_size, temperature=None, top_k=None, top_p=None):
        """The temperature, top k and top p of each row, `(batch,)`; see `decode`."""
        return (
            self._of_rows(self.temperature, temperature, "float32", batch_size),
            self._of_rows(self.top_k, top_k, "int32", batch_size),
            self._of_rows(self.top_p, top_p, "float32", batch_size),
        )

    def _of_rows(self, own, given, dtype, batch_size):
        own = ops.broadcast_to(ops.cast(own, dtype), (batch_size,))
        return own if given is None else ops.where(given >= 0, ops.cast(given, dtype), own)

    # === KerasHub's interface ===

    def __call__(
        self, next, prompt, cache=None, index=0, mask=None, stop_token_ids=None, hidden_states=None,
        model=None,
    ):  # fmt: skip
        """Complete prompts by KerasHub's interface; see `keras_hub.samplers.Sampler`.

        The seeds of rows are derived from their prompts: the tokens where `mask` is True, or those before
        `index` if it is None.
        """
        batch_size = ops.shape(prompt)[0]
        mask = prompt_mask(prompt, index, mask)
        lengths = ops.sum(ops.cast(mask, "int32"), axis=1)
        seeds = self._of_rows(row_seeds(prompt, mask) if self.seed is None else self.seed, None, "int32",
                              batch_size)  # fmt: skip
        settings = self.settings_of_rows(batch_size)

        def next_choice(prompt, cache, index):
            logits, hidden, cache = next(prompt, cache, index)
            chosen = sample(logits, row_uniforms(seeds, index - lengths), *settings)
            return ops.one_hot(chosen, logits.shape[-1], dtype="float32"), hidden, cache

        # The greedy sampler brings the loop; it takes the token that `next_choice` marks.
        return GreedySampler()(next_choice, prompt, cache, index, mask, stop_token_ids, hidden_states, model)

    def compute_probabilities(self, logits):
        """The probabilities that this sampler draws from, float32 `(batch, vocabulary)`."""
        logits = ops.cast(logits, "float32")
        if self.temperature == 0:
            return ops.one_hot(ops.argmax(logits, axis=-1), logits.shape[-1], dtype="float32")
        return distribution(logits, *self.settings_of_rows(ops.shape(logits)[0]))

    def get_next_token(self, probabilities, index=0):
        """Draw one token per row.

        Args:
            probabilities: float32, `(batch, vocabulary)`, as `compute_probabilities` returns them.
            index: int scalar or `(batch,)`, the number of the draw.

        Returns:
            int32, `(batch,)`. Rows share the sampler's `seed`, or 0 if it is None.
        """
        seeds = self._of_rows(self.seed or 0, None, "int32", ops.shape(probabilities)[0])
        return draw(probabilities, row_uniforms(seeds, index))

    def get_config(self):
        """Return the arguments of the constructor."""
        return {
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "seed": self.seed,
        }

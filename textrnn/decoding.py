"""From logits to tokens: row-seeded sampling, and the loop that steps a recurrent model.

Everything here is a pure function of tensors in `keras.ops`, so that `CausalLM.generate` in Python and the
exported SavedModel run the same code. Nothing looks across rows: what a row gets is the same alone and in
any batch.
"""

import keras
import numpy as np
from keras import ops
from keras_hub.samplers import Sampler

from textrnn.errors import InputError


def row_uniforms(seeds, index):
    """One number in (0, 1) for each row, a function of the row's seed and a counter alone.

    `keras.random` and `tf.random` draw a whole batch from one seed, so a row's numbers would depend on the
    rows beside it. This is a counter-based generator instead (Salmon et al. 2011, "Parallel random numbers:
    as easy as 1, 2, 3"), with the finaliser of MurmurHash3 (Appleby 2011, public domain) as the mixing
    function, applied once to the seed and once more after adding the counter.

    Args:
        seeds: integers, `(batch,)`; their low 32 bits count.
        index: integer scalar or `(batch,)`, the number of the draw.

    Returns:
        float32, `(batch,)`, odd multiples of 2⁻²⁴: never 0, which would choose a token that is all but
        impossible, and never 1.

    Example:

    >>> from textrnn.decoding import row_uniforms
    >>> alone, batched = row_uniforms([7], 0), row_uniforms([3, 7], 0)
    >>> bool(alone[0] == batched[1])
    True
    """
    # The mixing function leaves 0 as it is, so the seeds are moved away from it.
    seeds = ops.cast(ops.convert_to_tensor(seeds), "uint32") + ops.cast(0x9E3779B9, "uint32")
    bits = _mix(_mix(seeds) + ops.cast(index, "uint32"))
    return (ops.cast(ops.right_shift(bits, ops.cast(9, "uint32")), "float32") + 0.5) * 2.0**-23


def row_seeds(token_ids, padding_mask):
    """A seed for each row, derived from its own tokens: the same prompt gives the same answer.

    Args:
        token_ids: integers, `(batch, time)`.
        padding_mask: booleans, `(batch, time)`, True for tokens that count.

    Returns:
        int32, `(batch,)`. Padding does not change it.
    """
    positions = ops.cast(ops.arange(ops.shape(token_ids)[1], dtype="int32"), "uint32")
    bits = _mix(_mix(ops.cast(token_ids, "uint32")) + positions)
    return ops.sum(ops.where(padding_mask, ops.cast(bits, "int32"), 0), axis=1)


def _mix(x):
    """The 32-bit finaliser of MurmurHash3: every input bit changes about half of the output bits."""
    u32 = lambda n: ops.cast(n, "uint32")  # noqa: E731
    x = ops.bitwise_xor(x, ops.right_shift(x, u32(16))) * u32(0x85EBCA6B)
    x = ops.bitwise_xor(x, ops.right_shift(x, u32(13))) * u32(0xC2B2AE35)
    return ops.bitwise_xor(x, ops.right_shift(x, u32(16)))


def filter_logits(logits, top_k, top_p):
    """Removes the tokens that top-k and nucleus sampling exclude, by setting their logits to -inf.

    Tokens that tie with the last one kept are kept too. The nucleus is taken among the `top_k`.

    Args:
        logits: float32, `(batch, vocabulary)`.
        top_k: int32, `(batch,)`; 0 or less keeps all.
        top_p: float32, `(batch,)`; the smallest set of the likeliest tokens whose probabilities reach
            `top_p` is kept, and never less than one token; 1 or more keeps all (Holtzman et al. 2020).

    Returns:
        float32, `(batch, vocabulary)`.
    """
    vocabulary_size = logits.shape[-1]
    top_k, top_p = ops.cast(top_k, "int32"), ops.cast(top_p, logits.dtype)

    def exclude():
        ordered = ops.flip(ops.sort(logits, axis=-1), axis=-1)
        rank = ops.arange(vocabulary_size, dtype="int32")[None]
        limit = ops.where(top_k > 0, top_k, vocabulary_size)[:, None]
        kept = ops.where(rank < limit, ordered, -float("inf"))
        probabilities = ops.softmax(kept, axis=-1)
        before = ops.cumsum(probabilities, axis=-1) - probabilities
        inside = (before < ops.where(top_p < 1, top_p, 2.0)[:, None]) & (rank < limit)
        inside = inside | (rank == 0)
        threshold = ops.min(ops.where(inside, ordered, float("inf")), axis=-1, keepdims=True)
        return ops.where(logits < threshold, -float("inf"), logits)

    # Sorting a large vocabulary costs more than a step of the model: do it only if some row asks for it.
    # A row that does not ask keeps all its logits in either branch.
    asked = ops.any((top_k > 0) | (top_p < 1))
    return ops.cond(asked, exclude, lambda: logits)


def sample(logits, uniforms, temperature, top_k, top_p):
    """One token for each row by inverting the cumulative distribution at that row's uniform number.

    Args:
        logits: `(batch, vocabulary)`.
        uniforms: float32, `(batch,)` in (0, 1).
        temperature: float32, `(batch,)`; 0 or less takes the likeliest token.
        top_k, top_p: see `filter_logits`.

    Returns:
        int32, `(batch,)`.
    """
    logits = ops.cast(logits, "float32")
    greedy = ops.argmax(logits, axis=-1)
    # Beyond these a logit over the temperature is no number, and nothing changes that one could see.
    scale = ops.clip(ops.where(temperature > 0, temperature, 1.0), 1e-4, 1e4)[:, None]
    probabilities = ops.softmax(filter_logits(logits / scale, top_k, top_p), axis=-1)
    cumulative = ops.cumsum(probabilities, axis=-1)
    # The first token whose cumulative probability exceeds u, scaled by the sum as rounded: a token of
    # probability zero is never first.
    target = uniforms[:, None] * cumulative[:, -1:]
    drawn = ops.argmax(cumulative > target, axis=-1)
    return ops.cast(ops.where(temperature > 0, drawn, greedy), "int32")


def generate(step, choose, logits, states, *, max_new_tokens, limit, stop_token_ids=()):
    """Steps a recurrent model token by token; the cost of a token does not grow with the text so far.

    Args:
        step: `step(token_ids, states) -> logits, states`, one step of the model.
        choose: `choose(logits, index) -> token_ids`, where `index` counts the new tokens.
        logits: `(batch, vocabulary)`, what the model says after the prompt.
        states: the model's states after the prompt, a nested structure of tensors.
        max_new_tokens: int32, `(batch,)`. A row of 0 or less gets none.
        limit: the largest of `max_new_tokens`: an integer, or on TensorFlow a scalar tensor.
        stop_token_ids: tokens that end a row, a tuple of ints. They are not part of the answer.

    Returns:
        `token_ids`, int32 `(batch, limit)`, zero where a row has ended; `lengths`, int32 `(batch,)`.
    """
    max_new_tokens = ops.cast(max_new_tokens, "int32")
    batch_size = ops.shape(logits)[0]
    flat_states = keras.tree.flatten(states)

    def continues(index, finished, *_):
        return ops.logical_not(ops.all(finished))

    def body(index, finished, lengths, token_ids, logits, *flat_states):
        chosen = ops.cast(choose(logits, index), "int32")
        for stop in stop_token_ids:
            finished = finished | (chosen == stop)
        chosen = ops.where(finished, 0, chosen)
        lengths = lengths + ops.cast(~finished, "int32")
        token_ids = ops.scatter_update(token_ids, ops.reshape(index, (1, 1)), chosen[None])
        finished = finished | (index + 1 >= max_new_tokens)
        logits, states_ = step(chosen, keras.tree.pack_sequence_as(states, list(flat_states)))
        return (index + 1, finished, lengths, token_ids, logits, *keras.tree.flatten(states_))

    _, _, lengths, token_ids, *_ = ops.while_loop(
        continues,
        body,
        (
            ops.convert_to_tensor(0, "int32"),
            max_new_tokens <= 0,
            ops.zeros((batch_size,), "int32"),
            ops.zeros((limit, batch_size), "int32"),
            logits,
            *flat_states,
        ),
    )
    return ops.transpose(token_ids), lengths


def suppressed(logits, token_ids):
    """Logits in float32, minus infinity for tokens that must never be chosen.

    Args:
        logits: `(..., vocabulary)`.
        token_ids: a list or tuple of ints.
    """
    excluded = np.isin(np.arange(logits.shape[-1]), list(token_ids))
    return ops.where(excluded, -float("inf"), ops.cast(logits, "float32"))


def without_padding(token_ids, padding_mask):
    """The columns up to the end of the longest row. On JAX shapes are static: padding costs steps there.

    Args:
        token_ids: integers, `(batch, time)`, padded on the right.
        padding_mask: booleans, `(batch, time)`.
    """
    if keras.backend.backend() != "tensorflow":
        return token_ids, padding_mask
    longest = ops.max(ops.sum(ops.cast(padding_mask, "int32"), axis=1))
    return token_ids[:, :longest], padding_mask[:, :longest]


def appended(token_ids, padding_mask, new, new_lengths):
    """Prompts, each followed by its new tokens.

    Args:
        token_ids: integers, `(batch, max_length)`, padded on the right.
        padding_mask: booleans of the same shape.
        new: integers, `(batch, limit)`.
        new_lengths: int32, `(batch,)`.

    Returns:
        A dict of `"token_ids"` and `"padding_mask"`, `(batch, max_length)`.
    """
    prompt_lengths = ops.sum(ops.cast(padding_mask, "int32"), axis=1)
    position = ops.arange(ops.shape(token_ids)[1], dtype="int32")[None]
    place = ops.clip(position - prompt_lengths[:, None], 0, ops.shape(new)[1] - 1)
    moved = ops.take_along_axis(new, place, axis=1)
    return {
        "token_ids": ops.where(padding_mask, token_ids, moved),
        "padding_mask": position < (prompt_lengths + new_lengths)[:, None],
    }


def generate_in_step(sampler, model, start, step, token_ids, padding_mask, stop_token_ids):
    """Continues prompts with one of KerasHub's samplers.

    They write the same position in every row, from the shortest prompt's end on.

    Args:
        sampler: a `keras_hub.samplers.Sampler`.
        model: the model whose loop it runs.
        start: `start(before) -> hidden, states`, reads the tokens of the prompts where `before`, booleans
            `(batch, max_length)`, is True.
        step: `step(token_ids, states) -> logits, hidden, states`, one token of each row.
        token_ids: integers, `(batch, max_length)`, padded on the right.
        padding_mask: booleans of the same shape.
        stop_token_ids: tokens that end a text, or None.

    Returns:
        A dict of `"token_ids"` and `"padding_mask"`, `(batch, max_length)`.
    """
    batch_size, max_length = ops.shape(token_ids)
    index = ops.min(ops.sum(ops.cast(padding_mask, "int32"), axis=1))
    before = ops.broadcast_to(ops.arange(max_length) < index - 1, (batch_size, max_length))
    hidden, states = start(before)

    def next_logits(prompt, cache, index):
        return step(ops.take(prompt, index - 1, axis=1), cache)

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
    if stop_token_ids is None:
        return {"token_ids": token_ids, "padding_mask": ops.ones_like(token_ids, dtype="bool")}
    stops = sum(ops.cast(token_ids == stop, "int32") for stop in stop_token_ids) > 0
    stops = stops & ~padding_mask
    after = ops.cumsum(ops.cast(stops, "int32"), axis=1) - ops.cast(stops, "int32") > 0
    return {"token_ids": token_ids, "padding_mask": ~after}


@keras.saving.register_keras_serializable(package="textrnn")
class RowSampler(Sampler):
    """Samples each row from its own stream of random numbers.

    A row's text depends on its prompt, its seed and these settings, and on nothing else in the batch. It
    is the sampler that is exported, and `textrnn.CausalLM`'s default.

    Args:
        temperature: float; 0 takes the likeliest token.
        top_k: int; sample among the `top_k` likeliest tokens; 0 for all.
        top_p: float; sample among the likeliest tokens that reach this probability; 1 for all.
        seed: int, or None to derive a row's seed from its prompt.

    Example:

    >>> textrnn.RowSampler(temperature=0.8, top_k=40).get_config()
    {'temperature': 0.8, 'top_k': 40, 'top_p': 1.0, 'seed': None}
    """

    def __init__(self, temperature=1.0, top_k=0, top_p=1.0, seed=None):
        super().__init__(temperature=temperature)
        if temperature < 0 or top_k < 0 or not 0 < top_p <= 1:
            raise InputError(
                "Expected temperature >= 0, top_k >= 0 and 0 < top_p <= 1. "
                f"Received: temperature={temperature}, top_k={top_k}, top_p={top_p}"
            )
        self.top_k = top_k
        self.top_p = top_p
        self.seed = seed

    def get_next_token(self, probabilities):
        """KerasHub's interface hands over no seeds, so the model has to run this sampler's own loop."""
        raise NotImplementedError(
            "RowSampler needs the row seeds that textrnn.CausalLM passes it; with other models use one of "
            "keras_hub.samplers."
        )

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "seed": self.seed,
        }

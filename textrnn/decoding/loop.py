"""From logits to tokens: row-seeded sampling, and the loop that steps a recurrent model.

Everything here is a pure function of tensors in `keras.ops`, so that `CausalLM.generate` in Python and the
exported SavedModel run the same code. Nothing looks across rows: what a row gets is the same alone and in
any batch.
"""

import keras
from keras import ops


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

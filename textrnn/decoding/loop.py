"""The loop that steps a recurrent model token by token, and loops over nested tensors."""

import keras
from keras import ops

TOKENS = 2**14
"""Tokens of prompts that are read at a time, padding included."""


def generate(step, choose, logits, states, *, max_new_tokens, limit, stop_token_ids=()):
    """Generate tokens; the cost of a token does not grow with the length of the text.

    Args:
        step: `step(token_ids, states) -> logits, ..., states`, one step of the model. Anything between
            logits and states is ignored.
        choose: `choose(logits, index) -> token_ids`, where `index` counts the new tokens.
        logits: `(batch, vocabulary)`, the logits of the first new token.
        states: The states after the prompt, a nested structure of tensors.
        max_new_tokens: int32, `(batch,)`. A row of 0 or less gets no token.
        limit: The largest of `max_new_tokens`: an int, or on TensorFlow a scalar tensor.
        stop_token_ids: Tokens that end a row, a tuple of ints. They are not part of the result.

    Returns:
        `token_ids`, int32 `(batch, limit)`, zero after the end of a row, and `lengths`, int32 `(batch,)`.
    """
    max_new_tokens = ops.cast(max_new_tokens, "int32")
    batch_size = ops.shape(logits)[0]

    def next_tokens(index, finished, lengths, logits):
        tokens = ops.cast(choose(logits, index), "int32")
        for stop in stop_token_ids:
            finished = finished | (tokens == stop)
        lengths = lengths + ops.cast(~finished, "int32")
        return ops.where(finished, 0, tokens), finished | (index + 1 >= max_new_tokens), lengths

    def continues(index, logits, finished, *_):
        return (index + 1 < limit) & ops.logical_not(ops.all(finished))

    def body(index, logits, finished, lengths, token_ids, states):
        tokens, finished, lengths = next_tokens(index, finished, lengths, logits)
        token_ids = ops.scatter_update(token_ids, ops.reshape(index, (1, 1)), tokens[None])
        logits, *_, states = step(tokens, states)
        return index + 1, logits, finished, lengths, token_ids, states

    # The last token is chosen after the loop, because no step follows it.
    rows = max(limit, 1) if isinstance(limit, int) else ops.maximum(limit, 1)
    index, logits, finished, lengths, token_ids, _ = while_loop(
        continues,
        body,
        (
            ops.convert_to_tensor(0, "int32"),
            logits,
            max_new_tokens <= 0,
            ops.zeros((batch_size,), "int32"),
            ops.zeros((rows, batch_size), "int32"),
            states,
        ),
    )
    tokens, _, lengths = next_tokens(index, finished, lengths, logits)
    # TensorFlow cannot scatter into an empty tensor.
    here = ops.arange(rows, dtype="int32")[:, None] == index
    token_ids = ops.where(here, tokens[None], token_ids)
    return ops.transpose(token_ids)[:, :limit], lengths


def without_padding(token_ids, padding_mask):
    """The columns up to the end of the longest row, at least one. On JAX, where shapes are static, all.

    Args:
        token_ids: Integers, `(batch, time)`, padded on the right.
        padding_mask: Booleans, `(batch, time)`.
    """
    if keras.backend.backend() != "tensorflow":
        return token_ids, padding_mask
    longest = ops.maximum(ops.max(ops.sum(ops.cast(padding_mask, "int32"), axis=1)), 1)
    return token_ids[:, :longest], padding_mask[:, :longest]


def read_in_parts(run, token_ids, states, padding_mask, dtype):
    """Read prompts part by part, so that memory is needed for the hidden vectors of all their tokens alone.

    On JAX, where shapes are static, they are read at once.

    Args:
        run: `run(token_ids, states, padding_mask) -> hidden, states`, the model on `(batch, time)`.
        token_ids: Integers, `(batch, time)`, padded on the right.
        states: The states before them, a nested structure of tensors.
        padding_mask: Booleans, `(batch, time)`.
        dtype: The type of hidden vectors.

    Returns:
        `hidden`, `(batch, time, features)`, of which those of padding have no meaning, and the states.
    """
    if keras.backend.backend() != "tensorflow":
        return run(token_ids, states, padding_mask)
    import tensorflow as tf

    size, features = tf.maximum(TOKENS // tf.maximum(tf.shape(token_ids)[0], 1), 1), []

    def part(start, parts, *states_before):
        here = slice(start, start + size)
        hidden, after = run(
            token_ids[:, here], keras.tree.pack_sequence_as(states, states_before), padding_mask[:, here]
        )
        features.append(hidden.shape[-1])
        after = keras.tree.flatten(after)
        for new, old in zip(after, states_before, strict=True):
            new.set_shape(old.shape)
        return start + size, parts.write(start // size, tf.transpose(hidden, [1, 0, 2])), *after

    parts = tf.TensorArray(dtype, 0, dynamic_size=True, infer_shape=False, element_shape=[None, None, None])
    _, parts, *after = tf.while_loop(
        lambda start, *_: (start < tf.shape(token_ids)[1]) | (start == 0),
        part,
        (tf.constant(0), parts, *keras.tree.flatten(states)),
        parallel_iterations=1,
    )
    hidden = tf.ensure_shape(tf.transpose(parts.concat(), [1, 0, 2]), [None, None, features[0]])
    return hidden, keras.tree.pack_sequence_as(states, after)


def appended(token_ids, padding_mask, new, new_lengths):
    """Prompts, each followed by its new tokens.

    Args:
        token_ids: Integers, `(batch, max_length)`, padded on the right.
        padding_mask: Booleans of the same shape.
        new: Integers, `(batch, limit)`.
        new_lengths: int32, `(batch,)`.

    Returns:
        `token_ids` and `padding_mask` of the whole texts, `(batch, max_length)`.
    """
    prompt_lengths = ops.sum(ops.cast(padding_mask, "int32"), axis=1)
    position = ops.arange(ops.shape(token_ids)[1], dtype="int32")[None]
    place = ops.clip(position - prompt_lengths[:, None], 0, ops.shape(new)[1] - 1)
    moved = ops.take_along_axis(new, place, axis=1)
    inside = position < (prompt_lengths + new_lengths)[:, None]
    return ops.where(padding_mask, token_ids, moved), inside


def while_loop(condition, body, start):
    """`ops.while_loop` over a nested structure of tensors, whose shapes stay the same."""
    flat = [ops.convert_to_tensor(x) for x in keras.tree.flatten(start)]

    def flat_body(*variables):
        new = keras.tree.flatten(body(*keras.tree.pack_sequence_as(start, list(variables))))
        new = [ops.convert_to_tensor(x) for x in new]
        for x, old in zip(new, variables, strict=True):
            if keras.backend.backend() == "tensorflow":  # which may have lost them
                x.set_shape(old.shape)
        return tuple(new)

    def flat_condition(*variables):
        return condition(*keras.tree.pack_sequence_as(start, list(variables)))

    return keras.tree.pack_sequence_as(start, list(ops.while_loop(flat_condition, flat_body, tuple(flat))))

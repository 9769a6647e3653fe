"""Generation in parts, between which rows join and leave a batch."""

import keras
from keras import ops

from textrnn.decoding.loop import while_loop


def advance(step, choose, token_ids, states, index, steps, stop_token_ids=()):
    """Generate some more tokens of texts, as `textrnn.decoding.loop.generate` does in one call.

    Args:
        step: `step(token_ids, states) -> logits, ..., states`, one step of the model.
        choose: `choose(logits, index) -> token_ids`, where `index` counts the new tokens of each row.
        token_ids: Integers, `(batch,)`, the last token of each text, which `step` has not read yet.
        states: The states before it, a nested structure of tensors with the rows first.
        index: int32, `(batch,)`, the number of new tokens so far.
        steps: int32, `(batch,)`, how many tokens to add at most.
        stop_token_ids: Tokens that end a text, a tuple of ints. They are not part of the result.

    Returns:
        `(tokens, counts, finished, token_ids, states)`: int32 `(batch, steps)`, zero after the tokens of a
        row, their numbers `(batch,)`, booleans `(batch,)` for texts that have ended, and the arguments of the
        next call.
    """
    index, steps, token_ids = (ops.cast(x, "int32") for x in (index, steps, token_ids))
    batch_size = ops.shape(token_ids)[0]
    longest = ops.max(ops.concatenate([steps, ops.zeros((1,), "int32")]))

    def continues(i, finished, *_):
        return (i < longest) & ops.logical_not(ops.all(finished | (i >= steps)))

    def body(i, finished, counts, token_ids, tokens, states):
        logits, *_, new_states = step(token_ids, states)
        chosen = ops.cast(choose(logits, index + counts), "int32")
        active = ops.logical_not(finished) & (i < steps)
        stops = ops.zeros_like(active)
        for stop in stop_token_ids:
            stops = stops | (chosen == stop)
        adds = active & ops.logical_not(stops)
        tokens = ops.scatter_update(tokens, ops.reshape(i, (1, 1)), ops.where(adds, chosen, 0)[None])
        kept = keras.tree.map_structure(
            lambda new, old: ops.where(ops.reshape(active, (-1,) + (1,) * (len(new.shape) - 1)), new, old),
            new_states,
            states,
        )
        token_ids = ops.where(adds, chosen, token_ids)
        return i + 1, finished | (active & stops), counts + ops.cast(adds, "int32"), token_ids, tokens, kept

    _, finished, counts, token_ids, tokens, states = while_loop(
        continues,
        body,
        (
            ops.convert_to_tensor(0, "int32"),
            ops.zeros((batch_size,), "bool"),
            ops.zeros((batch_size,), "int32"),
            token_ids,
            ops.zeros((ops.maximum(longest, 1), batch_size), "int32"),
            states,
        ),
    )
    return ops.transpose(tokens)[:, :longest], counts, finished, token_ids, states

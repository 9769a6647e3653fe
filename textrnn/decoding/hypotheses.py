"""The hypotheses of a beam search, followed back through its history.

The history has, for each step `(limit, batch, beams, ...)`: the `tokens`, zero after the end of a text; the
`parents` that they continue; the log-probability that the text `ended` before them; and `attention` weights.
"""

from keras import ops

from textrnn.decoding.loop import while_loop
from textrnn.decoding.selection import at, rows_at


def traced(history, steps, places=None):
    """The history of hypotheses, `(batch, hypotheses, limit, ...)`.

    Args:
        history: The history; without `parents` that of one hypothesis per row.
        steps: The number of steps.
        places: int32 `(batch, hypotheses)`, the places in the last beam; None for all.
    """
    history = dict(history)
    parents = history.pop("parents", None)
    if parents is not None:
        limit, batch_size, beams = ops.shape(parents)
        if places is None:
            places = ops.broadcast_to(ops.arange(beams, dtype="int32"), (batch_size, beams))
        trace = _trace(parents, steps, ops.cast(places, "int32"))
        flat = lambda x: ops.reshape(x, (limit * batch_size, *ops.shape(x)[2:]))  # noqa: E731
        history = {
            name: ops.reshape(at(flat(x), flat(trace)), (*ops.shape(trace), *ops.shape(x)[3:]))
            for name, x in history.items()
        }
    return {name: ops.moveaxis(x, 0, 2) for name, x in history.items()}


def without_rest(traced, lengths, limit):
    """The tokens of texts, `(batch, hypotheses, limit)`, and their attention weights or None."""
    inside = ops.arange(limit, dtype="int32") < lengths[..., None]
    token_ids = ops.where(inside, traced["tokens"][:, :, :limit], 0)
    if "attention" not in traced:
        return token_ids, None
    return token_ids, ops.where(inside[..., None], traced["attention"][:, :, :limit], 0.0)


def duplicates(token_ids, lengths, scores):
    """Which hypotheses are the same text as a better one, which looped."""
    index = ops.arange(ops.shape(scores)[1], dtype="int32")
    earlier = (scores[:, None] == scores[..., None]) & (index[None] < index[:, None])
    better = (scores[:, None] > scores[..., None]) | earlier
    same = ops.all(token_ids[:, None] == token_ids[:, :, None], axis=-1)
    same = same & (lengths[:, None] == lengths[..., None])
    return ops.any(same & better & (scores[:, None] > -float("inf")), axis=-1)


def _trace(parents, steps, places):
    """The place of each hypothesis in every step, from the last one back, `(steps, batch, hypotheses)`.

    Args:
        parents: int32 `(limit, batch, beams)`.
        steps: int32, the number of steps.
        places: int32 `(batch, hypotheses)`, in the last step.

    >>> from textrnn.decoding.hypotheses import _trace
    >>> parents = ops.convert_to_tensor([[[0, 0]], [[1, 0]], [[1, 1]]])
    >>> _trace(parents, ops.convert_to_tensor(3), ops.convert_to_tensor([[1]]))[:, 0, 0].numpy().tolist()
    [0, 1, 1]
    """

    def body(index, places, trace):
        places = at(rows_at(parents, index), places)
        index = index - 1
        return index, places, ops.scatter_update(trace, ops.reshape(index, (1, 1)), places[None])

    trace = ops.broadcast_to(places, (ops.shape(parents)[0], *ops.shape(places)))
    return while_loop(lambda index, *_: index > 0, body, (steps - 1, places, trace))[2]

"""`GlobalAttention`, the attention of a decoder over the outputs of an encoder."""

import keras
from keras import ops

from textrnn.errors import InputError
from textrnn.tensors import at_least_float32

SCORES = ("additive", "dot", "general", "scaled_dot", "scaled_general")
"""The score functions of `GlobalAttention`."""


@keras.saving.register_keras_serializable("textrnn")
class GlobalAttention(keras.layers.Layer):
    """Global attention over all steps of a memory, with the projections of the papers.

    Unlike `keras.layers.Attention` and `keras.layers.AdditiveAttention`, it projects queries and memory, and
    `keys` returns the projected memory, which a decoding loop computes once.

    Args:
        score: The score function of a query q and a step m of the memory. `"additive"` is v·tanh(W q + U m)
            (Bahdanau et al. 2015, arXiv 1409.0473). `"dot"` is q·m and `"general"` is q·W m (Luong et al.
            2015, arXiv 1508.04025). `"scaled_dot"` and `"scaled_general"` divide these by the square root of
            the query's width (Vaswani et al. 2017, arXiv 1706.03762). Unscaled scores of wide vectors
            saturate the softmax, and steps with weight 0 get no gradient.
        units: The width of W and U in `"additive"`. The default is the query's width.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        query: `(batch, steps, features)`.
        memory: `(batch, time, memory_features)`.
        memory_mask: `(batch, time)`, True where a step of the memory is valid, or None.
        keys: The result of `keys(memory)`, if it has been computed before.

    Returns:
        `(context, weights)`: the weighted mean of the memory, `(batch, steps, memory_features)`, and the
        weights, `(batch, steps, time)`, which sum to 1 over the valid steps. Both are zero if no step is
        valid.

    Raises:
        InputError: If the score is unknown, or is a dot product of vectors of different widths.

    Example:

    >>> import numpy as np
    >>> from textrnn.layers import GlobalAttention
    >>> query, memory = np.array([[[9.0, 0.0]]]), np.array([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
    >>> context, weights = GlobalAttention("dot")(query, memory, np.array([[True, True, False]]))
    >>> np.asarray(weights).round(2).tolist()
    [[[1.0, 0.0, 0.0]]]
    """

    def __init__(self, score="scaled_general", units=None, **kwargs):
        super().__init__(**kwargs)
        if score not in SCORES:
            raise InputError(f"there is no attention {score!r}: use {', '.join(SCORES[:-1])} or {SCORES[-1]}")
        self.score = score
        self.units = units

    def build(self, query_shape, memory_shape):
        """Create the projections for queries and memories of these shapes."""
        query_width, memory_width = query_shape[-1], memory_shape[-1]
        if self.score == "additive":
            units = self.units or query_width
            self.query_kernel = self._kernel((query_width, units), "query_kernel")
            self.memory_kernel = self._kernel((memory_width, units), "memory_kernel")
            self.vector = self._kernel((units, 1), "vector")
        elif self.score in ("general", "scaled_general"):
            self.memory_kernel = self._kernel((memory_width, query_width), "memory_kernel")
        elif query_width != memory_width:
            raise InputError(
                f"score is {self.score!r}, but queries have {query_width} features and the memory has "
                f'{memory_width}: give both the same number, or use score="general" or "additive"'
            )

    def _kernel(self, shape, name):
        return self.add_weight(shape=shape, initializer="glorot_uniform", name=name)

    def keys(self, memory):
        """The keys that queries are compared with: the projected memory, `(batch, time, features)`."""
        keys = memory
        if self.score in ("additive", "general", "scaled_general"):
            keys = ops.matmul(memory, self.memory_kernel)
        if self.score in ("scaled_dot", "scaled_general"):  # scaling the keys is done once for all queries
            keys = keys * keys.shape[-1] ** -0.5
        return keys

    def call(self, query, memory, memory_mask=None, keys=None):
        """Compute the context and the weights of each query. The class docstring has the shapes."""
        keys = self.keys(memory) if keys is None else keys
        if self.score == "additive":
            projected = ops.matmul(query, self.query_kernel)
            hidden = ops.tanh(ops.expand_dims(projected, 2) + ops.expand_dims(keys, 1))
            scores = ops.squeeze(ops.matmul(hidden, self.vector), -1)
        else:
            scores = ops.matmul(query, ops.swapaxes(keys, 1, 2))
        weights = masked_softmax(scores, None if memory_mask is None else ops.expand_dims(memory_mask, 1))
        return ops.matmul(ops.cast(weights, memory.dtype), memory), weights

    def compute_mask(self, *_, **__):
        """None. The caller applies the mask of the queries."""
        return None

    def compute_output_shape(self, query_shape, memory_shape, **_):
        """The shapes of the context and the weights."""
        batch, steps, _ = query_shape
        return (batch, steps, memory_shape[-1]), (batch, steps, memory_shape[1])

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"score": self.score, "units": self.units}


def masked_softmax(scores, mask=None):
    """Softmax over the last axis, in float32 or wider.

    Args:
        scores: `(..., time)`.
        mask: Booleans that broadcast to the scores, True where a step is valid, or None.

    Returns:
        `(..., time)`. Weights sum to 1 over the valid steps and are 0 elsewhere.

    Example:

    >>> import numpy as np
    >>> from textrnn.layers.attention import masked_softmax
    >>> np.asarray(masked_softmax(np.zeros((2, 2)), np.array([[True, True], [False, False]]))).tolist()
    [[0.5, 0.5], [0.0, 0.0]]
    """
    scores = ops.cast(scores, at_least_float32(scores))
    if mask is None:
        return ops.softmax(scores, axis=-1)
    # Before the softmax, so that a large score at padding does not underflow the others. After it, for rows
    # without a valid step.
    scores = ops.where(mask, scores, ops.cast(-1e9, scores.dtype))
    return ops.softmax(scores, axis=-1) * ops.cast(mask, scores.dtype)

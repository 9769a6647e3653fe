"""Token ids in, token vectors out: what backbones read."""

import keras
from keras import ops

from textrnn.errors import expect

MANY_ROWS = 8
"""Rows from which a product with a transposed kernel takes longer than transposing it once for a loop."""


def token_inputs(prefix=""):
    """The inputs of a functional model: `token_ids` and `padding_mask`, `(batch, time)`.

    Args:
        prefix: str, put before both names.
    """
    return {
        f"{prefix}{name}": keras.Input((None,), dtype=dtype, name=f"{prefix}{name}")
        for name, dtype in (("token_ids", "int32"), ("padding_mask", "bool"))
    }


def token_embedding(vocabulary_size, embedding_dim, **kwargs):
    """An embedding whose transpose may project to logits; `embed` reads it.

    Vectors have unit length in expectation, for the logits.

    Args:
        vocabulary_size: int.
        embedding_dim: int.
        **kwargs: Of `keras.layers.ReversibleEmbedding`.
    """
    layer = keras.layers.ReversibleEmbedding(
        vocabulary_size,
        embedding_dim,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=embedding_dim**-0.5),
        **kwargs,
    )
    # Keras would warn that the projection to logits drops the mask.
    layer.supports_masking = True
    return layer


def embed(embedding, token_ids):
    """Token vectors times the root of their width (Vaswani et al. 2017), so that features have unit variance.

    Args:
        embedding: As `token_embedding` returns it.
        token_ids: Integers, `(...)`.

    Returns:
        `(..., embedding_dim)`.
    """
    return embedding(token_ids) * embedding.output_dim**0.5


def output_vectors(embedding):
    """The vectors that hidden vectors are multiplied by for logits, `(vocabulary_size, embedding_dim)`.

    Raises:
        InputError: If they are quantized.
    """
    expect(
        not embedding.quantization_mode,
        "the output vectors are quantized, which cannot be trained with a sampled softmax: compile with "
        "sampled_softmax=0",
    )
    if embedding.tie_weights:
        return ops.convert_to_tensor(embedding.embeddings, embedding.compute_dtype)
    return ops.transpose(ops.convert_to_tensor(embedding.reverse_embeddings, embedding.compute_dtype))


def logit_projector(embedding, rows, token_ids=None):
    """`embedding(hidden, reverse=True)` as a function that has already read the weights, for a loop.

    Tied weights are transposed once if there are many rows. A product of 64 rows and 8,000 vectors then
    takes three quarters of the time.

    Args:
        embedding: As `token_embedding` returns it.
        rows: The number of rows that generate, an int, or on TensorFlow a scalar tensor.
        token_ids: Integers, `(tokens,)`, to have the logits of these tokens alone.

    Returns:
        A function of hidden vectors, `(n, embedding_dim)`, that returns logits, `(n, vocabulary_size)` or
        `(n, tokens)`.

    Example:

    >>> from textrnn.tasks.embedding import logit_projector, token_embedding
    >>> embedding = token_embedding(9, 4)
    >>> vectors = embedding(np.arange(9))
    >>> logit_projector(embedding, rows=20)(np.ones((40, 4), "float32")).shape
    TensorShape([40, 9])
    """
    if token_ids is not None:
        return _logits_of(embedding, token_ids)
    plain = embedding.tie_weights and not embedding.quantization_mode
    if not plain or keras.backend.backend() != "tensorflow" or (isinstance(rows, int) and rows < MANY_ROWS):
        return lambda hidden: embedding(hidden, reverse=True)
    kernel = ops.cast(embedding.embeddings, embedding.compute_dtype)
    many = rows >= MANY_ROWS
    kernel = ops.cond(many, lambda: ops.transpose(kernel), lambda: kernel)

    def project(hidden):
        import tensorflow as tf

        logits = ops.cond(
            many, lambda: tf.matmul(hidden, kernel), lambda: tf.matmul(hidden, kernel, transpose_b=True)
        )
        return tf.ensure_shape(logits, (None, embedding.input_dim))

    return project


def _logits_of(embedding, token_ids):
    if embedding.quantization_mode:
        return lambda hidden: ops.take(embedding(hidden, reverse=True), token_ids, axis=-1)
    if embedding.tie_weights:
        kernel = ops.transpose(ops.take(embedding.embeddings, token_ids, axis=0))
    else:
        kernel = ops.take(embedding.reverse_embeddings, token_ids, axis=1)
    kernel = ops.cast(kernel, embedding.compute_dtype)
    return lambda hidden: ops.matmul(hidden, kernel)

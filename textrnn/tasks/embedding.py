"""Token ids in, token vectors out: what backbones read."""

import keras


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

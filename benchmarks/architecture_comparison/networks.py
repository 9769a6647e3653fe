"""The models of the contestants, with the size that the budget allows."""

import functools
import math

from architecture_comparison.settings import BLOCKS, CELLS
from cell_comparison.settings import largest_units

KERNEL_SIZE = 3
"""Steps that a convolution reads."""


def language_model(name, size, settings):
    """A model that maps `{"token_ids": (batch, time)}` to logits `(batch, time, vocabulary_size)`.

    Args:
        name: A contestant.
        size: The units of a cell, the filters of a convolution, or the inner width of a transformer.
        settings: The `Settings`.
    """
    import keras

    import textrnn
    from textrnn.tasks.embedding import embed, token_embedding

    if name in CELLS:
        return textrnn.CausalLM(recurrent_backbone(name, size, settings))
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    embedding = token_embedding(settings.vocabulary_size, settings.width, name="token_embedding")
    x = keras.layers.Dropout(settings.dropout)(embed(embedding, token_ids))
    x = residual_blocks(name, x, size, settings)
    return keras.Model({"token_ids": token_ids}, embedding(x, reverse=True))


def recurrent_backbone(name, size, settings):
    """The network of a language model with a cell: all of it but the projection to logits."""
    import textrnn

    return textrnn.RecurrentBackbone(
        settings.vocabulary_size,
        units=size,
        embedding_dim=settings.width,
        dropout=settings.dropout,
        **CELLS[name],
    )


def classifier(name, size, settings, classes):
    """A model that maps token ids and a padding mask to logits `(batch, classes)`.

    All contestants see both sides of a token. The logits are a linear map of the mean of their outputs.
    """
    import keras

    from textrnn.classification.backbone import RecurrentEncoder
    from textrnn.tasks.embedding import token_inputs

    inputs = token_inputs()
    mask = inputs["padding_mask"]
    if name in CELLS:
        encoder = RecurrentEncoder(
            settings.vocabulary_size,
            units=size,
            embedding_dim=settings.width,
            dropout=settings.dropout,
            **CELLS[name],
        )
        x = encoder(inputs)
    else:
        vectors = keras.layers.Embedding(
            settings.vocabulary_size, settings.width, keras.initializers.RandomNormal(stddev=0.1)
        )(inputs["token_ids"])
        x = keras.layers.Dropout(settings.dropout)(vectors)
        x = residual_blocks(name, x, size, settings, mask)
    x = keras.layers.GlobalAveragePooling1D()(x, mask=mask)
    x = keras.layers.Dropout(settings.dropout)(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def residual_blocks(name, x, size, settings, mask=None):
    """Residual blocks on vectors `(batch, time, width)`, with a normalization after the last.

    Args:
        name, size, settings: As for `language_model`.
        x: The vectors.
        mask: Booleans `(batch, time)` for blocks that look ahead, or None for causal ones.
    """
    import keras

    blocks = {"convolution": convolutions, "transformer": transformer}[name]
    return keras.layers.LayerNormalization(name="final_norm")(blocks(x, size, settings, mask))


def convolutions(x, size, settings, mask):
    """Residual convolutions whose distances double from one to the next."""
    for i in range(BLOCKS["convolution"]):
        x = convolution(i, x, size, settings, mask)
    return x


def convolution(i, x, size, settings, mask):
    """A dilated convolution with a linear map back, added to its input (Bai et al. 2018).

    Args:
        i: The number of the block. A convolution reads every 2**i-th step.
        x, size, settings, mask: As for `residual_blocks`.
    """
    import keras
    from keras import layers, ops

    y = layers.LayerNormalization(name=f"norm_{i}")(x)
    if mask is not None:
        y = y * ops.cast(mask, y.dtype)[..., None]  # as beyond the ends of the text
    y = layers.Conv1D(
        size,
        KERNEL_SIZE,
        dilation_rate=2**i,
        padding="causal" if mask is None else "same",
        activation=keras.activations.relu,
        name=f"convolution_{i}",
    )(y)
    y = layers.Dropout(settings.dropout)(y)
    return x + layers.Dense(settings.width, name=f"output_{i}")(y)


def transformer(x, size, settings, mask):
    """Sinusoidal positions and pre-norm transformer layers of KerasHub."""
    from keras_hub import layers

    arguments = transformer_arguments(settings)
    x = x + layers.SinePositionEncoding(name="position")(x)
    for i in range(BLOCKS["transformer"]):
        if mask is None:
            x = layers.TransformerDecoder(size, settings.heads, name=f"block_{i}", **arguments)(x)
        else:
            x = layers.TransformerEncoder(size, settings.heads, name=f"block_{i}", **arguments)(
                x, padding_mask=mask
            )
    return x


def transformer_arguments(settings):
    """The arguments of all transformer layers.

    With Keras's default initializer, queries, keys and values have a quarter of the usual scale, since it
    takes the axis of features for a part of a kernel's window.
    """
    import keras

    initializer = keras.initializers.RandomNormal(stddev=settings.width**-0.5)
    return {
        "dropout": settings.dropout,
        "activation": "gelu",
        "normalize_first": True,
        "kernel_initializer": initializer,
    }


# === Sizes ===


def body_weights(model, settings):
    """The number of weights besides the token vectors."""
    weights = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    return weights - settings.vocabulary_size * settings.width


def size_within(make, settings):
    """The largest size with which a model has at most `budget` weights besides the token vectors.

    Args:
        make: A function of the size that returns a model. Its number of weights is a quadratic polynomial of
            the size, so three small models tell that of all.
        settings: The `Settings`.
    """
    one, two, three = (body_weights(make(size), settings) for size in (1, 2, 3))

    @functools.cache
    def weights_of(size):  # Newton's forward differences
        bend = three - 2 * two + one
        return one + (size - 1) * (two - one) + (size - 1) * (size - 2) * bend // 2

    return largest_units(weights_of, settings.budget, step=1)

"""The translator of translation.py in plain Keras, for training with `fit`."""

import keras
import keras_hub
from keras import layers, ops

INPUTS = {"encoder_token_ids": "int32", "encoder_padding_mask": "bool", "decoder_token_ids": "int32"}


def make_translator(work):
    """An LSTM encoder and an LSTM decoder with scaled general attention and one embedding matrix.

    Args:
        work: The `Work` with the sizes.

    Returns:
        A functional model of `INPUTS`, each `(batch, time)`, to logits `(batch, time, vocabulary)`.
    """
    units = work.units
    inputs = {name: keras.Input((None,), dtype=dtype, name=name) for name, dtype in INPUTS.items()}
    source, mask, target = inputs.values()
    embedding = keras_hub.layers.ReversibleEmbedding(work.vocabulary_size, units, name="embedding")
    dropout = layers.Dropout(work.dropout)

    def embed(token_ids):
        return dropout(embedding(token_ids) * units**0.5)

    lstm = layers.LSTM(units, return_sequences=True, return_state=True)
    values, *states = layers.Bidirectional(lstm, name="encoder")(embed(source), mask=mask)
    states = ops.concatenate(states, axis=-1)
    initial = [layers.Dense(units, name=f"bridge_{name}")(states) for name in "hc"]
    outputs = layers.LSTM(units, return_sequences=True, name="decoder")(embed(target), initial_state=initial)
    values = dropout(values)
    keys = layers.Dense(units, use_bias=False, name="keys")(values) * units**-0.5
    context = layers.Attention(name="attention")([outputs, values, keys], mask=[None, mask])
    combine = layers.Dense(units, "tanh", use_bias=False, name="combine")
    combined = combine(ops.concatenate([outputs, context], axis=-1))
    return keras.Model(inputs, embedding(dropout(combined), reverse=True))


def without_target_mask(inputs, targets, weights):
    """A batch of `textrnn.data.batching.pair_batches` as the model takes it."""
    return {name: inputs[name] for name in INPUTS}, targets, weights

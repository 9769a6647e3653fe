"""Layers of textrnn and Keras, on the backend of Keras."""

import dataclasses

from harness import OURS
from recurrent_layers.works import CONTESTANTS, LAYERS, random_inputs

# === Running a layer ===


def keras_run(work, layer, jit_compile=False):
    """The measured function for a Keras layer that returns all outputs."""
    import keras

    x, gradient = random_inputs(work), random_inputs(work)
    if keras.backend.backend() == "jax":
        return jax_run(work, *jax_layer(layer, x, training=work.task != "forward"), x, gradient)
    import tensorflow as tf

    x, gradient = tf.constant(x), tf.constant(gradient)
    layer(x)

    def forward(x, gradient):
        return layer(x)

    def training(x, gradient):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return tape.gradient(y, [x, *layer.trainable_variables], gradient)

    # Batch size and time are unknown to the graph, as in `fit`.
    spec = tf.TensorSpec([None, None, work.units])
    function = forward if work.task == "forward" else training
    run = tf.function(function, [spec, spec], jit_compile=jit_compile, autograph=False)
    return lambda: finished(run(x, gradient))


def finished(tensors):
    """Wait for the results, also on a GPU."""
    tensors = tensors if isinstance(tensors, list) else [tensors]
    return [tensor.numpy() for tensor in tensors[-1:]]


def jax_layer(layer, x, training):
    """A Keras layer as a pure function of weights and inputs, and its weights."""
    layer(x)
    variables = [v.value for v in layer.trainable_variables]
    others = [v.value for v in layer.non_trainable_variables]
    return (lambda weights, x: layer.stateless_call(weights, others, x, training=training)[0]), variables


def jax_run(work, apply, weights, x, gradient):
    """The measured function for a pure JAX function `(weights, x) -> outputs`."""
    import jax

    def forward(weights, x, gradient):
        return apply(weights, x)

    def training(weights, x, gradient):
        _, pull_back = jax.vjp(apply, weights, x)
        return pull_back(gradient)

    weights, x, gradient = jax.device_put((weights, x, gradient))
    run = jax.jit(forward if work.task == "forward" else training)
    return lambda: jax.block_until_ready(run(weights, x, gradient))


# === textrnn ===


def textrnn_layer(work, strategy="auto", segments=1):
    """`Recurrent` with the cell of the work."""
    import textrnn

    cell = textrnn.GatedCell(work.units, work.cell)
    return textrnn.Recurrent(cell, return_sequences=True, strategy=strategy, segments=segments)


@CONTESTANTS.add(OURS, tasks=(*LAYERS, "linear", "parts"))
def run_textrnn(work):
    """`Recurrent` with its defaults."""
    return keras_run(work, textrnn_layer(work))


@CONTESTANTS.add("textrnn, XLA", needs="tensorflow", tasks=("forward", "training", "memory"))
def run_textrnn_xla(work):
    """`Recurrent` compiled by XLA."""
    return keras_run(work, textrnn_layer(work), jit_compile=True)


@CONTESTANTS.add("textrnn, loop", tasks=("training", "lengths", "linear", "memory"))
def run_textrnn_loop(work):
    """The reference strategy, differentiated by the backend."""
    return keras_run(work, textrnn_layer(work, "loop"))


@CONTESTANTS.add("textrnn, 4 segments", needs="tensorflow", tasks=("lengths", "memory"))
def run_textrnn_in_4_segments(work):
    """`Recurrent` that computes each quarter of the steps again for its gradient."""
    return keras_run(work, textrnn_layer(work, segments=4))


@CONTESTANTS.add("textrnn, 16 segments", needs="tensorflow", tasks=("lengths", "memory"))
def run_textrnn_in_16_segments(work):
    """The same with sixteenths."""
    return keras_run(work, textrnn_layer(work, segments=16))


@CONTESTANTS.add("textrnn, recompute", tasks=("linear",))
def run_textrnn_recompute(work):
    """The strategy that works for all cells."""
    return keras_run(work, textrnn_layer(work, "recompute"))


@CONTESTANTS.add("textrnn, parallel scan", tasks=("linear",))
def run_textrnn_parallel(work):
    """The scan that runs on accelerators."""
    from unittest import mock

    from textrnn.layers import linear

    with mock.patch.object(linear, "has_accelerator", lambda: True):
        run = run_textrnn(work)
        run()  # traces while the patch is active
    return run


@CONTESTANTS.add("textrnn, min_gru", tasks=("lengths",))
def run_min_gru(work):
    """A linear cell with the same number of units."""
    return run_textrnn(dataclasses.replace(work, cell="min_gru"))


# === Keras ===


def keras_layer(work, **options):
    """The layer of Keras for a cell, or None."""
    import keras

    make = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}.get(work.cell)
    return make and make(work.units, return_sequences=True, **options)


@CONTESTANTS.add("Keras", tasks=LAYERS)
def run_keras(work):
    """`keras.layers.LSTM` or `GRU`."""
    layer = keras_layer(work)
    return layer and keras_run(work, layer)


@CONTESTANTS.add("Keras, XLA", needs="tensorflow", tasks=("forward", "training", "memory"))
def run_keras_xla(work):
    """The same layers compiled by XLA."""
    layer = keras_layer(work, use_cudnn=False)
    return layer and keras_run(work, layer, jit_compile=True)


@CONTESTANTS.add("Keras RNN", tasks=("forward", "training", "memory"))
def run_keras_rnn(work):
    """`keras.layers.RNN` with the cell of textrnn."""
    import keras

    import textrnn

    return keras_run(work, keras.layers.RNN(textrnn.GatedCell(work.units, work.cell), return_sequences=True))


# === A classifier ===


@CONTESTANTS.add(OURS, tasks=("classifier",))
def classify_textrnn(work):
    """`keras.layers.Bidirectional` with `Recurrent`."""
    return keras_classifier(work, textrnn_layer(work))


@CONTESTANTS.add("Keras", tasks=("classifier",))
def classify_keras(work):
    """`keras.layers.Bidirectional` with the layer of Keras."""
    return keras_classifier(work, keras_layer(work))


def keras_classifier(work, layer):
    """A training step of a bidirectional layer, the mean over time and two classes."""
    import keras
    import numpy as np

    model = keras.Sequential(
        [
            keras.Input((None, work.units)),
            keras.layers.Bidirectional(layer),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Without XLA, JAX would run operation by operation.
    model.compile("sgd", loss, jit_compile=keras.backend.backend() == "jax")
    x, y = random_inputs(work), np.zeros(work.batch_size, "int32")
    return lambda: model.train_on_batch(x, y)

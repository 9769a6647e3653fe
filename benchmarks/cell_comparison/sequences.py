"""The tasks with made-up sequences: the copy problem, the adding problem, and brackets."""

import functools

import synthetic
from cell_comparison.jobs import PARTS, Job, finite
from cell_comparison.settings import make_cell

CHUNK = 64
"""Batches that are made at once."""


def prepare_copy(run, settings):
    """Recall ten symbols. The score is the accuracy of the recalled symbols."""
    make = functools.partial(synthetic.copy_problem, blanks=settings.copy_blanks)

    def accuracy(logits, targets):
        return (logits[:, -10:].argmax(axis=-1) == targets[:, -10:]).mean()

    return job(tagger(run, settings, 10), token_loss(), make, accuracy, run, settings)


def prepare_dyck(run, settings):
    """Tell the kinds of closing brackets. The score is the accuracy where the opening bracket is far away."""
    kinds = settings.dyck_kinds
    words = functools.partial(
        synthetic.dyck_problem, length=settings.dyck_length, kinds=kinds, depth=settings.dyck_depth
    )

    def make(examples, seed):
        inputs, targets, distances = words(examples, seed=seed)
        return inputs, targets, distances.astype("float32").clip(max=1)

    def accuracy(logits, targets, distances):
        far = distances >= settings.dyck_distance
        return (logits.argmax(axis=-1) == targets)[far].mean()

    return job(tagger(run, settings, kinds + 1), token_loss(), make, accuracy, run, settings, scored=words)


def prepare_adding(run, settings):
    """Add two marked numbers. The score is the mean squared error."""
    import keras

    import textrnn

    model = keras.Sequential(
        [
            keras.Input((None, 2)),
            keras.layers.Dense(settings.width),
            textrnn.Recurrent(make_cell(run.cell, settings)),
            keras.layers.Dense(1),
        ]
    )
    make = functools.partial(synthetic.adding_problem, steps=settings.adding_length)
    loss = keras.losses.MeanSquaredError()
    return job(model, loss, make, lambda predicted, sums: ((predicted - sums) ** 2).mean(), run, settings)


def tagger(run, settings, symbols):
    """A model that maps symbols to as many logits at each step."""
    import keras

    import textrnn

    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(symbols, settings.width, keras.initializers.RandomNormal(stddev=1.0)),
            textrnn.Recurrent(make_cell(run.cell, settings), return_sequences=True),
            keras.layers.Dense(symbols),
        ]
    )


def token_loss():
    """The mean cross-entropy of the steps that have a weight."""
    import keras

    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")


def job(model, loss, make, score, run, settings, scored=None):
    """The job of a task whose examples are all new.

    Args:
        model, loss: What learns.
        make: A function of a number of examples and a `seed` that returns arrays for `fit`.
        score: A function of predictions and of the arrays that follow the inputs.
        run: The run.
        settings: The `Settings`.
        scored: A function like `make` for the examples to score, or None if it is the same.
    """
    import numpy as np

    training, *others = np.random.SeedSequence(run.seed).spawn(1 + len(PARTS))
    seeds = dict(zip(PARTS, others, strict=True))

    def score_part(part):
        inputs, *rest = (scored or make)(settings.scored, seed=np.random.default_rng(seeds[part]))
        return float(score(finite(model.predict(inputs, batch_size=100, verbose=0)), *rest))

    return Job(model, endless(make, settings.batch_size, training), loss, score_part)


def endless(make, batch_size, seed):
    """New examples in every batch, without an end."""
    import numpy as np
    import tensorflow as tf

    from textrnn.data.batching import generated_dataset

    def generate(epoch):
        random = np.random.default_rng(seed)
        while True:
            arrays = make(CHUNK * batch_size, seed=random)
            for i in range(0, CHUNK * batch_size, batch_size):
                yield tuple(array[i : i + batch_size] for array in arrays)

    shapes = [(batch_size, *array.shape[1:]) for array in make(1, seed=0)]
    types = [array.dtype for array in make(1, seed=0)]
    signature = tuple(tf.TensorSpec(shape, dtype) for shape, dtype in zip(shapes, types, strict=True))
    return generated_dataset(generate, signature, None)

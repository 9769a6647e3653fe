"""The tasks: a language model, the copy problem and the adding problem."""

import dataclasses
import functools
from collections.abc import Callable

import synthetic
from cell_comparison.settings import make_cell

TEST_EXAMPLES = 1000


@dataclasses.dataclass(frozen=True)
class Score:
    """The score of a task, a column of the table.

    Attributes:
        title: The title of the column.
        form: The format of a value.
        lower_is_better: Whether the score is an error.
        train: A function of a run and the settings that trains a model and returns its score.
        baseline: A function of the settings that returns the score without memory.
        log: Whether the axis of the plot is logarithmic.
    """

    title: str
    form: str
    lower_is_better: bool
    train: Callable
    baseline: Callable
    log: bool = False


# === Text ===


def train_text(run, settings):
    """Train a language model and return the bits per character of the test text."""
    from textrnn.data.windows import evaluation_windows, windows
    from textrnn.text_generation import evaluation

    train, test, _ = text_streams(settings.data)
    lm = text_model(run.cell, settings)
    batches = windows(train, settings.batch_size, settings.sequence_length)
    lm.compile(optimizer(run.learning_rate, len(batches) * settings.text_passes))
    lm.fit(batches, epochs=settings.text_passes, verbose=0, callbacks=[stop_when_not_finite()])
    scored = evaluation_windows(test, settings.batch_size, settings.sequence_length)
    return evaluation.score_language_model(lm, scored, characters=len(test) - 1).bits_per_character


@functools.cache
def text_streams(data):
    """The characters to train on, those to test on, as ids, and the size of the vocabulary.

    The test stream starts with the last training character, so that all of its own characters are predicted.
    """
    import numpy as np

    from textrnn.data import datasets
    from textrnn.data.documents import read_documents, split_documents

    documents = datasets.load_text("shakespeare").train if data is None else read_documents(data)
    train, test = split_documents(documents, 0.1)
    text = "".join(document.text for document in [*train, *test])
    vocabulary, token_ids = np.unique(np.frombuffer(text.encode("utf-32-le"), np.uint32), return_inverse=True)
    cut = sum(len(document.text) for document in train)
    token_ids = token_ids.astype(np.int32)
    return token_ids[:cut], token_ids[cut - 1 :], len(vocabulary)


def text_model(name, settings):
    """A character language model with a cell."""
    import textrnn

    return textrnn.CausalLM(
        textrnn.RecurrentBackbone(
            text_streams(settings.data)[2], make_cell(name, settings), embedding_dim=settings.width
        )
    )


def bigram_bits(settings):
    """Bits per character of the test text with a bigram model of the training text."""
    import numpy as np

    train, test, vocabulary_size = text_streams(settings.data)
    counts = np.ones((vocabulary_size, vocabulary_size))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    probabilities = counts / counts.sum(axis=1, keepdims=True)
    return float(-np.log2(probabilities[test[:-1], test[1:]]).mean())


# === Synthetic problems ===


def train_copy(run, settings):
    """Train on the copy problem and return the accuracy of the recalled symbols."""
    import keras

    import textrnn

    make = functools.partial(synthetic.copy_problem, blanks=settings.copy_blanks)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(10, settings.width, keras.initializers.RandomNormal(stddev=1.0)),
            textrnn.Recurrent(make_cell(run.cell, settings), return_sequences=True),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    logits, targets = fit_and_predict(model, loss, make, settings.copy_batches, run, settings)
    return float((logits[:, -10:].argmax(axis=-1) == targets[:, -10:]).mean())


def train_adding(run, settings):
    """Train on the adding problem and return the mean squared error."""
    import keras

    import textrnn

    make = functools.partial(synthetic.adding_problem, steps=settings.adding_steps)
    model = keras.Sequential(
        [
            keras.Input((None, 2)),
            keras.layers.Dense(settings.width),
            textrnn.Recurrent(make_cell(run.cell, settings)),
            keras.layers.Dense(1),
        ]
    )
    predicted, targets = fit_and_predict(model, "mse", make, settings.adding_batches, run, settings)
    return float(((predicted - targets) ** 2).mean())


def fit_and_predict(model, loss, make, batches, run, settings):
    """Fit a model on new examples in every batch, and return its predictions and the targets of a test set.

    Raises:
        FloatingPointError: If a prediction is not finite.
    """
    import numpy as np

    training, test = np.random.default_rng(run.seed).spawn(2)
    model.compile(optimizer(run.learning_rate, batches), loss)
    x, y = make(batches * settings.batch_size, seed=training)
    model.fit(
        x, y, batch_size=settings.batch_size, shuffle=False, verbose=0, callbacks=[stop_when_not_finite()]
    )
    x, y = make(TEST_EXAMPLES, seed=test)
    predicted = model.predict(x, batch_size=100, verbose=0)
    if not np.isfinite(predicted).all():  # `argmax` of NaN would become an accuracy
        raise FloatingPointError("the predictions are not finite")
    return predicted, y


def optimizer(learning_rate, steps):
    """Adam with gradient clipping, warm-up and cosine decay."""
    import keras

    from textrnn.training import schedules

    return keras.optimizers.Adam(schedules.warmup_cosine(learning_rate, steps), global_clipnorm=1.0)


def stop_when_not_finite():
    """A callback that stops training when the loss is not finite."""
    import keras

    return keras.callbacks.TerminateOnNaN()


SCORES = {
    "text": Score("bits per character", "{:.3f}", True, train_text, bigram_bits),
    "copy": Score("copy: accuracy", "{:.1%}", False, train_copy, lambda settings: 1 / 8),
    "adding": Score(
        "adding: squared error",
        "{:.2g}",
        True,
        train_adding,
        lambda settings: synthetic.ADDING_BASELINE,
        log=True,
    ),
}

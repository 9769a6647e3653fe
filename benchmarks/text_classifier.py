"""Text classifiers: textrnn beside the same model in plain Keras, doing the same work in one run.

    python benchmarks/text_classifier.py --output benchmarks/results
    python benchmarks/text_classifier.py --task inference --units 64
    python benchmarks/text_classifier.py --quick

The model is an embedding, an LSTM in two directions, the maximum of its outputs over the steps that count,
and a projection to two classes, in float32 and with the same number of weights for everyone. The texts have
about the lengths of the reviews of IMDB, from ten tokens to 400, where they are cut; tokens are drawn at
random, since what they are does not change the work.

- training: texts per second of `fit`, with the cross-entropy, the accuracy, and Adam with the gradients
  clipped to a global norm of 1.
- inference: texts per second of `predict_on_batch`.

The contestants:

- textrnn: `textrnn.TextClassifier`, compiled as it comes, on batches of texts of like length, each as long as
  the longest of its texts.
- Keras: `keras.layers.Embedding`, `Bidirectional(LSTM)` and `Dense`, on the same batches.
- Keras, padded: the same model on batches in which all texts are padded to 400 tokens, which is what
  `keras.utils.pad_sequences(maxlen=400)` gives.

How they take turns, and what the table shows, is said at the top of recurrence.py beside this file; here a
figure is texts per second, so that a ratio is how many times as fast as each contestant textrnn is.
"""

import argparse
import dataclasses
import json
import os
import sys
import time
from pathlib import Path

import recurrence  # the benchmark beside this one

from textrnn import startup


@dataclasses.dataclass(frozen=True)
class Work:
    """What every contestant does in one run."""

    task: str
    units: int
    texts: int = 256
    batch_size: int = 32
    longest: int = 400
    vocabulary_size: int = 8000

    def __str__(self):
        model = f"vocabulary {self.vocabulary_size:,}, 2 × {self.units} units"
        return f"{self.task}: {model}, batch {self.batch_size}, up to {self.longest} tokens"


WORKS = tuple(Work(task, units) for task in ("training", "inference") for units in (64, 128))
QUICK = {"units": 8, "texts": 8, "batch_size": 4, "longest": 20, "vocabulary_size": 50}

CONTESTANTS = {}
"""Name -> a function of a `Work` that returns a model, and whether its batches are padded to the limit."""


def contestant(name, padded=False):
    """Registers a function of a `Work` that returns a compiled model of token ids and a padding mask.

    Args:
        name: what the table calls it.
        padded: whether all batches are as long as the longest text may be.
    """

    def register(make):
        CONTESTANTS[name] = make, padded
        return make

    return register


@contestant("textrnn")
def textrnn_model(work):
    """The model as textrnn builds it."""
    import textrnn

    encoder = textrnn.RecurrentEncoder(work.vocabulary_size, "lstm", work.units)
    classifier = textrnn.TextClassifier(encoder, ["negative", "positive"], pooling="max")
    classifier.compile()
    return classifier


@contestant("Keras, padded", padded=True)
@contestant("Keras")
def keras_model(work):
    """The same model of Keras's layers."""
    import keras
    from keras import layers, ops

    inputs = {
        "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
        "padding_mask": keras.Input((None,), dtype="bool", name="padding_mask"),
    }
    mask = inputs["padding_mask"]
    x = layers.Embedding(work.vocabulary_size, work.units)(inputs["token_ids"])
    x = layers.Bidirectional(layers.LSTM(work.units, return_sequences=True))(x, mask=mask)
    x = ops.max(ops.where(ops.expand_dims(mask, -1), x, -float("inf")), axis=1)
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    return model


# === Measuring ===


def make_batches(work, seed, padded=False):
    """The batches of a pass over the texts: `(inputs, targets)`, NumPy arrays.

    Args:
        work: a `Work`.
        seed: for lengths, tokens and targets.
        padded: whether all are as long as the longest text may be.
    """
    import numpy as np

    from textrnn.data import batching

    random = np.random.default_rng(seed)
    shares = np.exp(random.normal(-0.8, 0.6, work.texts)).clip(1 / 40, 1)  # IMDB's, about
    lengths = np.ceil(shares * work.longest).astype(int)
    tokens = [random.integers(1, work.vocabulary_size, length, np.int32) for length in lengths]
    targets = random.integers(0, 2, work.texts, np.int32)
    batches = []
    for inputs, of_batch in batching.batches_of_like_length(tokens, targets, work.batch_size, seed=seed):
        wider = work.longest - inputs["token_ids"].shape[1] if padded else 0
        arrays = {name: np.pad(values, ((0, 0), (0, wider))) for name, values in inputs.items()}
        batches.append((arrays, of_batch.numpy()))
    return batches


def prepared(work, seed):
    """Name -> the function to measure, after two runs."""
    import keras

    runs = {}
    for name, (make, padded) in CONTESTANTS.items():
        start = time.perf_counter()
        keras.utils.set_random_seed(seed)
        runs[name] = run = doing(work.task, make(work), make_batches(work, seed, padded))
        run(), run()
        print(f"  {name} ready after {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return runs


def doing(task, model, batches):
    """A pass over the batches; both `fit` and `predict_on_batch` end with reading what was computed."""
    import tensorflow as tf

    def predict():
        for inputs, _ in batches:
            model.predict_on_batch(inputs)

    if task == "inference":
        return predict
    spec = tf.nest.map_structure(lambda x: tf.TensorSpec([None] * x.ndim, x.dtype), batches[0])
    dataset = tf.data.Dataset.from_generator(lambda: batches, output_signature=spec)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2)
    return lambda: model.fit(dataset, epochs=1, shuffle=False, verbose=0)


def measure(work, rounds, seed):
    """The texts per second of everyone in each round."""
    import keras

    times = recurrence.take_turns(prepared(work, seed), rounds, seconds=0)
    keras.backend.clear_session()
    return {name: [1000 * work.texts / value for value in values] for name, values in times.items()}


def main():
    """Reads the options, lets everyone run, and reports."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=f"How it measures, and what: see the top of {Path(__file__).name}.",
    )
    parser.add_argument("--task", choices=("training", "inference"), help="only this one")
    parser.add_argument("--rounds", type=int, help="how often everyone takes a turn (5; 2 with --quick)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, for trying it out")
    parser.add_argument("--units", type=int, help="in place of 64 and 128")
    parser.add_argument("--texts", type=int, help="texts in a run (256)")
    parser.add_argument("--seed", type=int, default=0, help="for weights and texts (0)")
    parser.add_argument(
        "--output", type=Path, help="a folder for text_classifier.json and text_classifier.md"
    )
    given = parser.parse_args()
    changes = (QUICK if given.quick else {}) | {
        name: getattr(given, name) for name in ("units", "texts") if getattr(given, name) is not None
    }
    rounds = given.rounds or (2 if given.quick else 5)

    startup.load_tensorflow()
    start = time.perf_counter()
    report = {"environment": recurrence.environment(given.seed, rounds), "results": []}
    works = [work for work in WORKS if given.task in (None, work.task)]
    for work in dict.fromkeys(dataclasses.replace(work, **changes) for work in works):
        print(work, file=sys.stderr, flush=True)
        figures = measure(work, rounds, given.seed)
        report["results"].append(recurrence.result(work, figures, unit="texts/s"))
    report["environment"]["load_average_after"] = round(os.getloadavg()[0], 1)
    report["environment"]["seconds"] = round(time.perf_counter() - start)
    print(recurrence.markdown(report), end="")
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "text_classifier.md").write_text(recurrence.markdown(report), encoding="utf-8")
        (given.output / "text_classifier.json").write_text(
            json.dumps(report, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()

"""Trainings of every task for tests of several workers, on batches of an odd size, the last of one row.

TF_CONFIG=... python tests/builders/workers.py FOLDER TASK ...
"""

import sys
from pathlib import Path

import keras
import numpy as np
from builders.tasks import classifier, language_model, translator
from builders.training import QUIET as SILENT

from textrnn import training
from textrnn.data.batching import pair_batches, text_batches
from textrnn.data.windows import evaluation_windows, windows
from textrnn.text_generation.evaluation import validation_metrics

QUIET = dict.fromkeys(["dropout", "recurrent_dropout", "weight_drop", "zoneout", "embedding_dropout"], 0.0)
PENALTIES = ("activation_regularization", "temporal_activation_regularization")  # exact without padding


def of_strings():
    model = language_model(**QUIET, **dict.fromkeys(PENALTIES, 0.0))
    model.compile(keras.optimizers.SGD(0.5, global_clipnorm=0.1), jit_compile=True)
    texts = ["to be or", "not", "to be that is", "is", "the", "question", "whether"]
    model.fit(texts, batch_size=3, epochs=2, verbose=0)
    return model, model.evaluate(texts, batch_size=3, verbose=0)


def of_windows():
    random = np.random.default_rng(0)
    model = language_model(**QUIET)
    model.compile(keras.optimizers.Adam(0.01, global_clipnorm=0.1))
    stream = random.integers(0, 258, 200)
    validation = evaluation_windows(stream[:50], 3, 4)
    evaluate = training.Evaluate(validation_metrics(model, validation, 40))
    training.fit(model, windows(stream, 5, 4, 0.1), epochs=2, callbacks=[evaluate], **SILENT)
    return model, [score for _, scores in evaluate.scores for score in scores.values()]


def of_texts():
    random = np.random.default_rng(0)
    texts = [random.integers(3, 258, n) for n in (3, 9, 4, 7, 2, 5, 6)]
    model, targets = classifier(**QUIET), np.array([0, 1, 1, 0, 1, 0, 1])
    model.compile(
        keras.optimizers.SGD(0.1, global_clipnorm=0.1),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy("weighted")],
    )
    batches = text_batches(texts, targets, 3, weights=np.array([1, 2, 3, 1, 2, 3, 1], "float32"))
    result = training.fit(model, batches, epochs=2, validation_data=text_batches(texts, targets, 3), **SILENT)
    return model, [score for column in result.history.values() for score in column]


def of_pairs():
    random = np.random.default_rng(0)
    sources, targets = ([random.integers(3, 258, n) for n in lengths] for lengths in
                        ((3, 9, 4, 7, 2, 5, 6), (8, 2, 5, 1, 9, 3, 4)))  # fmt: skip
    model = translator(**QUIET)
    model.compile(keras.optimizers.Adam(0.01, global_clipnorm=0.1))
    batches = pair_batches(sources, targets, 3, 1)
    result = training.fit(model, batches, epochs=2, validation_data=batches, **SILENT)
    return model, [score for column in result.history.values() for score in column]


TASKS = {"strings": of_strings, "windows": of_windows, "texts": of_texts, "pairs": of_pairs}


def results(task, rank=0):
    """Scores, weights and seeds of a model after training, by name."""
    keras.utils.set_random_seed(rank)  # the chief's weights are everyone's
    model, scores = TASKS[task]()
    seeds = [v.numpy() for v in model.variables if v.name == "seed_generator_state"]
    named = {"scores": [np.array(scores)], "weight": model.get_weights(), "seed": seeds}
    return {f"{name} {i}": array for name, arrays in named.items() for i, array in enumerate(arrays)}


def main(folder, *tasks):
    """Train as a worker, and save the results to FOLDER/RANK.npz; the names of arrays begin with the task."""
    with training.distributed("multi_worker") as workers:
        found = {f"{task}: {name}": x for task in tasks for name, x in results(task, workers.rank).items()}
    np.savez(Path(folder, str(workers.rank)), **found)


if __name__ == "__main__":
    main(*sys.argv[1:])

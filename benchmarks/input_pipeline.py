"""Measure which share of training waits for the input pipeline.

    python benchmarks/input_pipeline.py --output benchmarks/results
    python benchmarks/input_pipeline.py --task classifier translator --units 64
    python benchmarks/input_pipeline.py --quick

Each work is a model of textrnn and the dataset that its recipe trains on: windows of a token stream for
language models, batches of texts or of pairs of similar length for the others. Tokens are random, which does
not change the work. The models are small, since their steps are short. The rows of the table are
milliseconds per batch:

- waiting: how long `fit` waits for batches, by TensorFlow's clock before and after each is taken from the
  dataset. The beginning of an epoch counts, when no batch has been made ahead.
- training: an epoch of `fit`, which includes the waiting. The ratio in this row is the share of waiting.
- waiting, batches in memory: the same for batches that were all made before. It is what taking a batch costs.
- batches alone: an iteration over the dataset without a model. Only what takes longer than a step must wait,
  since two batches are made ahead while a step runs; but both may use the same cores.
"""

import dataclasses
import tempfile
from pathlib import Path

import harness
import text_classifier
import translation


@dataclasses.dataclass(frozen=True)
class Work:
    """A model and its dataset.

    Attributes:
        task: One of `TASKS`.
        units: Units of every LSTM.
        batches: Batches of an epoch.
    """

    task: str
    units: int = 64
    batches: int = 100

    def __str__(self):
        return f"{TASKS[self.task]}, {self.units} units"


ROWS, STEPS, VOCABULARY_SIZE = 32, 64, 8000
TASKS = {
    "memory": f"language model, {ROWS} × {STEPS} tokens in memory",
    "file": f"language model, {ROWS} × {STEPS} tokens in a file, windows of variable length",
    "classifier": "classifier, 32 texts of 10 to 400 tokens, two directions",
    "translator": "translator, 64 pairs of 8 to 24 tokens",
}
WORKS = tuple(Work(task) for task in TASKS)
QUICK = {"units": 4, "batches": 3}


def make_model(work):
    """The compiled model of a work."""
    import textrnn

    if work.task == "classifier":
        return text_classifier.textrnn_model(text_classifier.Work("training", work.units))
    if work.task == "translator":
        return translation.textrnn_model(translation.Work("training", units=work.units))
    lm = textrnn.CausalLM(textrnn.RecurrentBackbone(VOCABULARY_SIZE, "lstm", work.units))
    lm.compile()
    return lm


def make_dataset(work, seed, folder):
    """The dataset of an epoch.

    Args:
        work: The `Work`.
        seed: Seed of the tokens, and of the order of the batches.
        folder: Where a file of tokens is written.
    """
    import numpy as np

    from textrnn.data import batching, windows
    from textrnn.data.token_files import TokenFile

    if work.task == "classifier":
        texts = text_classifier.Work("training", work.units, texts=32 * work.batches)
        return batching.text_batches(*text_classifier.make_texts(texts, seed), texts.batch_size, seed=seed)
    if work.task == "translator":
        pairs = translation.Work("training")
        sides = translation.make_sides(pairs, work.batches * pairs.batch_size, seed)
        return batching.pair_batches(*sides, pairs.batch_size, translation.START, seed=seed)
    random = np.random.default_rng(seed)
    stream = random.integers(0, VOCABULARY_SIZE, ROWS * STEPS * work.batches + 1, np.int32)
    if in_file := work.task == "file":
        stream.astype("uint16").tofile(folder / "tokens.bin")
        stream = TokenFile(folder / "tokens.bin", "uint16")
    return windows.windows(
        stream,
        ROWS,
        STEPS,
        restart_probability=0.05,
        start_token_id=1,
        boundary_token_ids=(2, 3),
        seed=seed,
        variable_length=in_file,
    )


def time_batches(model):
    """Let `fit` measure how long it waits for batches, from now on.

    Args:
        model: A model that `fit` has trained, on one device and in one process.

    Returns:
        A variable, to which each step adds its seconds.
    """
    import tensorflow as tf

    waited = tf.Variable(0.0, trainable=False, dtype=tf.float64)

    def step(iterator):
        start = tf.timestamp()
        with tf.control_dependencies([start]):
            batch = next(iterator)
        with tf.control_dependencies(tf.nest.flatten(batch)):
            added = waited.assign_add(tf.timestamp() - start, read_value=False)
        with tf.control_dependencies([added]):  # or the training step might run before the clock is read
            batch = tf.nest.map_structure(tf.identity, batch)
        return model.train_step(batch)

    model.train_function = tf.function(step, reduce_retracing=True, autograph=False)
    return waited


def measure(work, rounds, seed):
    """The result of a work in milliseconds per batch."""
    import keras

    keras.utils.set_random_seed(seed)
    figures = {name: [] for name in ("waiting", "training", "waiting, batches in memory", "batches alone")}
    with tempfile.TemporaryDirectory() as folder:
        model, dataset = make_model(work), make_dataset(work, seed, Path(folder))
        in_memory = dataset.cache().prefetch(2)
        batches = int(dataset.cardinality())

        def fit(dataset):
            """The milliseconds of a batch in an epoch, and those of waiting."""
            waited.assign(0.0)
            seconds, _ = harness.timed(lambda: model.fit(dataset, epochs=1, shuffle=False, verbose=0))
            return 1000 * seconds / batches, 1000 * float(waited) / batches

        model.fit(dataset, epochs=1, shuffle=False, verbose=0)
        waited = time_batches(model)
        fit(in_memory)
        for _ in range(rounds):
            training, waiting = fit(dataset)
            figures["training"].append(training)
            figures["waiting"].append(waiting)
            figures["waiting, batches in memory"].append(fit(in_memory)[1])
            alone, _ = harness.timed(lambda: [None for _ in dataset])
            figures["batches alone"].append(1000 * alone / batches)
    keras.backend.clear_session()
    return harness.result(work, figures)


def main():
    """Run the benchmark."""
    parser = harness.make_parser(__doc__, __file__)
    harness.add_tasks(parser, TASKS)
    sizes = {"units": "units of every LSTM (default: 64)", "batches": "batches of an epoch (default: 100)"}
    harness.add_sizes(parser, sizes)
    given = parser.parse_args()
    works = [work for work in WORKS if work.task in given.task]
    harness.run_benchmark(
        "input_pipeline",
        harness.changed(works, QUICK, given, *sizes),
        lambda work, rounds: measure(work, rounds, given.seed),
        given,
    )


if __name__ == "__main__":
    main()

"""Compare recurrent layers and models of textrnn with those of other libraries.

    make bench
    python benchmarks/recurrence.py --task training --rounds 9
    python benchmarks/recurrence.py --quick
    KERAS_BACKEND=jax python benchmarks/recurrence.py

A work is a cell, a batch size, a number of steps and a number of units, which is also the number of input
features. All numbers are float32 and no sequence is padded. Contestants get random inputs of the same shapes.

Tasks:

- forward: compute all outputs of the layer.
- training: compute the outputs and, from given output gradients, the gradients of inputs and weights.
- classifier: a training step of a bidirectional layer, the mean over time and two classes.
- lengths: training on sequences of 64 to 4096 steps.
- linear: training with a linear cell, once for each strategy.
- cells: training with every sequential cell. Ratios compare the time per multiply-add with that of the LSTM.
- parts: training with parts of an LSTM left out: its activations, then everything except its matrix products,
  then the recurrence. The profiler of TensorFlow is no alternative, since it slows small operations down
  tenfold.
- models: training and generation with whole language models, see language_model.py. Milliseconds per training
  step, and per generated token of all rows.
- memory: how much the first training step adds to the peak memory of a process that has trained on two time
  steps. Each contestant runs in its own process.

Contestants:

- textrnn: `textrnn.Recurrent` with a `GatedCell` in a `tf.function`, with default options or compiled by XLA.
- Keras: `keras.layers.LSTM` and `GRU` in a `tf.function`, as `fit` runs them on a CPU, or compiled by XLA.
- Keras RNN: `keras.layers.RNN` with the cell of textrnn, the cost of a custom cell in Keras.
- PyTorch: `torch.nn.LSTM` and `GRU`, which use oneDNN on a CPU and cuDNN on a GPU.
- PyTorch loop: the equations in a Python loop, the cost of a custom cell in PyTorch. With `--compile` also
  compiled by `torch.compile`, which takes half a minute per work.
- Flax: `flax.linen.RNN` with the LSTM and GRU cells of Flax under `jax.jit`.
- floor: plain matrix products of the sizes that the layer needs, the recurrent ones one after another.

With `KERAS_BACKEND=jax`, textrnn and Keras run under `jax.jit` and the models are skipped. Contestants whose
library is missing are skipped. Install all of them with `pip install -e '.[bench]'`.

See harness/__init__.py for the timing. Within a round, each contestant repeats its run for about `--seconds`.
"""

import argparse
import dataclasses
import json

import harness
import language_model
from recurrent_layers import keras_layers, other_libraries, parts  # noqa: F401, they register contestants
from recurrent_layers.works import CONTESTANTS, Work

SIZES = ((32, 64, 256), (64, 35, 650), (16, 512, 256))
SMALL_SIZES = ((32, 64, 64), (32, 64, 128))
LENGTHS = (64, 256, 1024, 4096)
WORKS = (
    *(Work("forward", cell, *SIZES[0]) for cell in ("lstm", "gru")),
    *(Work("training", cell, *size) for cell in ("lstm", "gru") for size in SMALL_SIZES + SIZES),
    Work("parts", "lstm", *SIZES[0]),
    Work("classifier", "lstm", 32, 128, 128),
    *(Work("lengths", "lstm", 8, steps, 256) for steps in LENGTHS),
    *(Work("linear", cell, 16, steps, 256) for cell in ("min_gru", "qrnn") for steps in (64, 1024)),
    Work("memory", "lstm", 16, 1024, 256),
    Work("cells", "lstm", *SIZES[0]),
)
QUICK = {"batch_size": 2, "steps": 3, "units": 4}
TASKS = ("forward", "training", "parts", "classifier", "lengths", "linear", "cells", "models", "memory")
GOALS = {
    ("training", "lstm", "PyTorch"): 1.05,
    ("training", "gru", "PyTorch"): 0.75,
    ("training", "small", "PyTorch"): 1.2,
    ("training", "small", "PyTorch loop"): 0.4,
    ("classifier", "lstm", "PyTorch"): 1.0,
    ("training", "characters", "PyTorch"): 0.9,
    ("training", "words", "PyTorch"): 0.5,
    ("training", "words", "Keras fit"): 0.5,
    ("generation", "one", "PyTorch"): 0.5,
    ("generation", "many", "PyTorch"): 0.7,
    ("memory", "lstm", "Keras"): 0.9,
}
"""(task, cell or model, contestant) -> the maximum of textrnn's figure divided by the contestant's, on an
AMD. `small` is a layer of at most `SMALL` units."""
SMALL = 128
CELLS_GOAL = 1.15
"""The maximum time per multiply-add of a sequential cell divided by that of the LSTM."""


def measure(work, rounds, given):
    """The result of a work, with a goal for each ratio that has one.

    Args:
        work: A `Work`, or a work of language_model.py.
        rounds: The number of rounds.
        given: The parsed command line.
    """
    seconds = 0.0 if given.quick else given.seconds
    if isinstance(work, language_model.Work):
        result = harness.result(work, measure_model(work, rounds, given.seed))
    elif work.task == "memory":
        labels = [contestant.label for contestant in CONTESTANTS.of(work.task)]
        result = harness.result(work, {label: [memory_of(label, work)] for label in labels}, unit="MB")
    elif work.task == "cells":
        result = measure_cells(work, rounds, seconds)
    else:
        without = () if given.compile else ("PyTorch loop, compiled",)
        runs = CONTESTANTS.prepare(work, seed=given.seed, without=without)
        result = harness.result(work, harness.measure_times(runs, rounds, seconds))
    for row in result["rows"][1:]:
        row["goal"] = goal(result["work"], row)
    return result


def measure_cells(work, rounds, seconds):
    """The result of a training step with each sequential cell, the LSTM first."""
    from textrnn.cells import cell_names, describe, find_cell

    names = [name for name in cell_names() if describe.kind(find_cell(name)) == "S"]
    names.sort(key=lambda name: name != "lstm")  # the others keep their order
    runs = {name: keras_layers.run_textrnn(dataclasses.replace(work, cell=name)) for name in names}
    for run in runs.values():
        run(), run()
    times = harness.measure_times(runs, rounds, seconds)
    return harness.result(work, times, per={name: multiply_adds(name, work.units) for name in names})


def multiply_adds(name, units):
    """Multiply-adds of a forward step per row, which is the number of entries of the matrices."""
    import textrnn

    cell = textrnn.GatedCell(units, name)
    cell.build((None, units))
    return sum(
        w.shape[0] * w.shape[1] for w in cell.trainable_variables if len(w.shape) == 2 and w.shape[0] > 2
    )


def measure_model(work, rounds, seed):
    """Milliseconds per training step, or per generated token of all rows, by contestant."""
    tokens = work.batch_size * (work.sequence_length if work.task == "training" else 1)
    rates = language_model.measure(work, rounds, seed)
    return {label: [1000 * tokens / rate for rate in values] for label, values in rates.items()}


def memory_of(label, work):
    """Measure the memory of a contestant in a process of its own, in megabytes."""
    arguments = json.dumps(dataclasses.asdict(work))
    return float(harness.run_in_subprocess(__file__, "--peak", label, "--work", arguments))


def added_memory(label, work):
    """Megabytes that a training step adds to the peak memory after a step on two time steps."""
    contestant = next(each for each in CONTESTANTS if each.label == label and each.joins(work.task))
    contestant.prepare(dataclasses.replace(work, steps=2))()
    before = harness.peak_memory()
    contestant.prepare(work)()
    return max(harness.peak_memory() - before, 0.1)


def goal(work, row):
    """The goal for the ratio of a row, and whether it is met."""
    if work["task"] == "cells":
        return f"≥ 1 / {CELLS_GOAL}, {'met' if row['ratio'] >= 1 / CELLS_GOAL else 'missed'}"
    name = work.get("cell", work.get("name"))
    if (work["task"], name) in {("training", "lstm"), ("training", "gru")} and work["units"] <= SMALL:
        name = "small"
    most = GOALS.get((work["task"], name, row["contestant"]))
    return "" if most is None else f"≤ {most}, {'met' if row['ratio'] <= most else 'missed'}"


def make_parser():
    """The command line."""
    parser = harness.make_parser(__doc__, __file__, rounds=7)
    harness.add_tasks(parser, TASKS)
    add = parser.add_argument
    add("--seconds", type=float, default=0.3, metavar="X", help="seconds per measurement (default: 0.3)")
    add("--compile", action="store_true", help="add the PyTorch loop compiled by torch.compile")
    add("--peak", help=argparse.SUPPRESS)
    add("--work", help=argparse.SUPPRESS)
    return parser


def main():
    """Run the benchmark."""
    given = make_parser().parse_args()
    if given.peak:
        harness.load_backend()
        print(added_memory(given.peak, Work(**json.loads(given.work))))
        return
    works = harness.changed([work for work in WORKS if work.task in given.task], QUICK, given)
    if "models" in given.task and harness.available("tensorflow"):
        works += harness.changed(language_model.WORKS, language_model.QUICK, given)
    peers = ("jax", "flax", "torch")
    harness.run_benchmark(
        "recurrence", works, lambda work, rounds: measure(work, rounds, given), given, rounds=7, peers=peers
    )


if __name__ == "__main__":
    main()

"""Recurrent layers and models: textrnn beside its peers, doing the same work in one run.

    make bench
    python benchmarks/recurrence.py --task training --rounds 9
    python benchmarks/recurrence.py --quick
    KERAS_BACKEND=jax python benchmarks/recurrence.py

A work is a cell, a batch size, a number of steps and a number of units, which is the number of features too;
everything is float32, and all sequences are full. Contestants get the same shapes of random numbers.

- forward: all outputs of the layer, from the inputs.
- training: the outputs, and the gradients of inputs and weights, from given gradients of the outputs.
- classifier: two directions, the mean of the outputs over time, two classes, the loss and all gradients.
- lengths: training for sequences of 64 to 4096 steps.
- linear: training with a linear cell, by each way to run it.
- cells: training with every sequential cell, beside the LSTM; what is compared is the time of a multiply-add.
- parts: where an LSTM's training step goes, by leaving things out: its activations, then everything but
  its matrix products, then the recurrence. (TensorFlow's profiler makes small operations ten times as long.)
- models: training steps and generation of whole language models, as language_model.py beside this file says,
  in milliseconds for a step of training and for a generated token of all rows.
- memory: how much more memory a process takes at its peak when it trains for the first time than it had taken
  for the same on 2 steps. Each contestant has a process of its own; no time is taken.

The contestants:

- textrnn: `textrnn.Recurrent` over a `GatedCell`, in a `tf.function`, as it comes; and compiled by XLA.
- Keras: `keras.layers.LSTM`, `GRU`, in a `tf.function`, which is how `fit` runs them on a CPU; and with XLA.
- Keras RNN: `keras.layers.RNN` over textrnn's cell: what a custom cell costs in Keras.
- PyTorch: `torch.nn.LSTM`, `GRU`: on a CPU oneDNN's fused LSTM, on a GPU cuDNN.
- PyTorch loop: the cell's equations in a Python loop over time, as one writes a custom cell; and
  `torch.compile`d where `--compile` asks for it, which takes half a minute for each work.
- Flax: `flax.linen.RNN` over its LSTM and GRU cells, under `jax.jit`.
- floor: plain matrix products of the sizes that the mathematics needs, one by one for the recurrent ones, and
  nothing else.

With `KERAS_BACKEND=jax` textrnn and Keras run under `jax.jit`, and there are no models. Contestants whose
library is not installed are left out: `pip install -e '.[bench]'` installs all.

Everyone runs twice without being measured. Then they take turns, in an order that shifts from round to round;
a turn is as many runs as take `--seconds`, and counts with their mean. The table shows the median over the
rounds (lowest to highest), and the time of textrnn over that of each contestant: the ratio of the medians
(lowest to highest ratio within one round).
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import language_model  # the benchmark beside this one

from textrnn import startup


@dataclasses.dataclass(frozen=True)
class Work:
    """What every contestant does in one run."""

    task: str
    cell: str
    batch_size: int
    steps: int
    units: int

    def __str__(self):
        return f"{self.task}: {self.cell}, {self.batch_size} × {self.steps} × {self.units}"


SIZES = ((32, 64, 256), (64, 35, 650), (16, 512, 256))
LENGTHS = (64, 256, 1024, 4096)
WORKS = (
    *(Work("forward", cell, *SIZES[0]) for cell in ("lstm", "gru")),
    *(Work("training", cell, *size) for cell in ("lstm", "gru") for size in SIZES),
    Work("parts", "lstm", *SIZES[0]),
    Work("classifier", "lstm", 32, 128, 128),
    *(Work("lengths", "lstm", 8, steps, 256) for steps in LENGTHS),
    *(Work("linear", cell, 16, steps, 256) for cell in ("min_gru", "qrnn") for steps in (64, 1024)),
    Work("memory", "lstm", 16, 1024, 256),
)
TASKS = ("forward", "training", "parts", "classifier", "lengths", "linear", "cells", "models", "memory")
OURS = "textrnn"
GOALS = {
    ("training", "lstm", "PyTorch"): 1.2,
    ("training", "gru", "PyTorch"): 0.65,
    ("training", "lstm", "Keras"): 0.4,
    ("training", "lstm", "Keras RNN"): 0.35,
    ("training", "lstm", "PyTorch loop"): 0.4,
    ("training", "lstm", "Flax"): 0.7,
    ("training", "words", "PyTorch"): 0.5,
    ("training", "words", "Keras fit"): 0.4,
    ("memory", "lstm", "Keras"): 0.6,
}
"""(task, cell or model, contestant) -> the most that textrnn's figure over the contestant's should be."""
CELLS_GOAL = 1.15
"""The most that a multiply-add of any sequential cell should take, divided by one of the LSTM."""

CONTESTANTS = []
"""(name, the library it needs, the tasks it takes part in, the function that prepares it), in their order."""


def contestant(name, needs, tasks):
    """Registers a function of a `Work` that returns the function to measure, or None if it has no such cell.

    What is measured must be finished when it returns.
    """

    def register(prepare):
        CONTESTANTS.append((name, needs, tasks, prepare))
        return prepare

    return register


# === What runs on the backend of Keras: a layer, as a function of x and of the gradient of its outputs ===


def keras_run(work, layer, jit=False):
    """The measured function for a Keras layer that returns all outputs."""
    import keras

    x, d = numbers(work, work.units), numbers(work, work.units)
    if keras.backend.backend() == "jax":
        return jax_run(work, *jax_layer(layer, x, training=work.task != "forward"), x, d)
    import tensorflow as tf

    x, d = tf.constant(x), tf.constant(d)
    layer(x)

    def forward(x, d):
        return layer(x)

    def training(x, d):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return tape.gradient(y, [x, *layer.trainable_variables], d)

    # Shapes are known to within the batch and time, as in `fit`.
    known = tf.TensorSpec([None, None, work.units])
    function = forward if work.task == "forward" else training
    run = tf.function(function, [known, known], jit_compile=jit, autograph=False)
    return lambda: finished(run(x, d))


def finished(tensors):
    """Waits for the last of them, also on a GPU."""
    tensors = tensors if isinstance(tensors, list) else [tensors]
    return [tensor.numpy() for tensor in tensors[-1:]]


def jax_layer(layer, x, training):
    """A Keras layer as a pure function of weights and inputs, and its weights."""
    layer(x)
    variables = [v.value for v in layer.trainable_variables]
    others = [v.value for v in layer.non_trainable_variables]
    return (lambda weights, x: layer.stateless_call(weights, others, x, training=training)[0]), variables


def jax_run(work, apply, weights, x, d):
    """The measured function of a pure JAX function `(weights, x) -> outputs`."""
    import jax

    def training(weights, x, d):
        _, pull_back = jax.vjp(apply, weights, x)
        return pull_back(d)

    weights, x, d = jax.device_put((weights, x, d))
    run = jax.jit((lambda weights, x, d: apply(weights, x)) if work.task == "forward" else training)
    return lambda: jax.block_until_ready(run(weights, x, d))


def numbers(work, width):
    """Random numbers `(batch, time, width)`."""
    import numpy as np

    return np.random.default_rng(0).normal(size=(work.batch_size, work.steps, width)).astype("float32")


LAYERS = ("forward", "training", "lengths", "memory")


@contestant(OURS, "keras", (*LAYERS, "linear", "parts"))
def run_textrnn(work, jit=False):
    """`Recurrent`, as it comes."""
    import textrnn

    layer = textrnn.Recurrent(textrnn.GatedCell(work.units, work.cell), return_sequences=True)
    return keras_run(work, layer, jit)


@contestant("textrnn, XLA", "tensorflow", ("forward", "training", "memory"))
def run_textrnn_xla(work):
    """The same, compiled."""
    return run_textrnn(work, jit=True)


@contestant("textrnn, loop", "keras", ("training", "lengths", "linear", "memory"))
def run_textrnn_loop(work, strategy="loop"):
    """The reference strategy, differentiated by the backend."""
    import textrnn

    cell = textrnn.GatedCell(work.units, work.cell)
    return keras_run(work, textrnn.Recurrent(cell, return_sequences=True, strategy=strategy))


@contestant("textrnn, recompute", "keras", ("linear",))
def run_textrnn_recompute(work):
    """The strategy for all cells."""
    return run_textrnn_loop(work, strategy="recompute")


@contestant("textrnn, parallel scan", "keras", ("linear",))
def run_textrnn_parallel(work):
    """What runs where there is an accelerator."""
    from unittest import mock

    from textrnn.layers import linear

    with mock.patch.object(linear, "has_accelerator", lambda: True):
        run = run_textrnn(work)
        run()  # traced as it is now
    return run


def run_variant(work, rule):
    """An LSTM's weights with another step: a function of its gates' sums and its states."""
    import textrnn

    class Variant(textrnn.GatedCell):
        def __init__(self, units):
            super().__init__(units, "lstm")

        def step(self, projected, states, dot, weights):
            h = states[0]
            gates = [dot(role, h, x) for role, x in zip(self.spec.learned, projected, strict=True)]
            return rule(gates, *states)

    return keras_run(work, textrnn.Recurrent(Variant(work.units), return_sequences=True))


@contestant("without activations", "keras", ("parts",))
def run_without_activations(work):
    """The gates as they are."""

    def rule(gates, h, c):
        i, f, g, o = gates
        c = f * c + i * g
        return o * c, [o * c, c]

    return run_variant(work, rule)


@contestant("products alone", "keras", ("parts",))
def run_products(work):
    """A sum of the gates, with a gradient of its own for each."""

    def rule(gates, h, c):
        h = sum(0.1 * (k + 1) * gate for k, gate in enumerate(gates))
        return h, [h, c]

    return run_variant(work, rule)


@contestant("projections alone", "tensorflow", ("parts",))
def run_projections(work):
    """What depends on the input alone, and its gradients, without a loop."""
    import tensorflow as tf

    import textrnn

    cell, x = textrnn.GatedCell(work.units, work.cell), tf.constant(numbers(work, work.units))
    cell.build(x.shape)
    d = [tf.transpose(x, [1, 0, 2])] * GATES[work.cell]

    @tf.function(autograph=False)
    def run():
        with tf.GradientTape() as tape:
            tape.watch(x)
            projected = cell.project_inputs(tf.transpose(x, [1, 0, 2]))
        return [*projected, *tape.gradient(projected, [x, cell.kernel.value, cell.bias.value], d)]

    return lambda: finished(run())


@contestant("textrnn, min_gru", "keras", ("lengths",))
def run_min_gru(work):
    """A linear cell of the same number of units."""
    return run_textrnn(dataclasses.replace(work, cell="min_gru"))


@contestant("Keras", "keras", LAYERS)
def run_keras(work, jit=False):
    """The layer of that name."""
    layer = keras_layer(work, return_sequences=True, **({"use_cudnn": False} if jit else {}))
    return layer and keras_run(work, layer, jit)


@contestant("Keras, XLA", "tensorflow", ("forward", "training", "memory"))
def run_keras_xla(work):
    """The same, compiled."""
    return run_keras(work, jit=True)


@contestant("Keras RNN", "keras", ("forward", "training", "memory"))
def run_keras_rnn(work):
    """Keras's loop over the same cell."""
    import keras

    import textrnn

    return keras_run(work, keras.layers.RNN(textrnn.GatedCell(work.units, work.cell), return_sequences=True))


def keras_layer(work, **options):
    """Keras's own layer for a cell, or None."""
    import keras

    made = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}.get(work.cell)
    return made and made(work.units, **options)


# === PyTorch ===


@contestant("PyTorch", "torch", LAYERS)
def run_torch(work):
    """The layer of that name."""
    import torch

    made = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(work.cell)
    return made and torch_run(work, made(work.units, work.units, batch_first=True).to(torch_device()))


@contestant("PyTorch loop", "torch", ("forward", "training", "memory"))
def run_torch_loop(work):
    """The equations, step by step."""
    layer = torch_loop(work)
    return layer and torch_run(work, layer)


@contestant("PyTorch loop, compiled", "torch", ("training",))
def run_torch_compiled(work):
    """The same through `torch.compile`."""
    import torch

    layer = torch_loop(work)
    return layer and torch_run(work, torch.compile(layer))


def torch_loop(work):
    """An LSTM or a GRU as a person writes a cell of their own; None for other cells."""
    import torch
    from torch import nn

    units, gates = work.units, {"lstm": 4, "gru": 3}.get(work.cell)
    if gates is None:
        return None

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.of_input, self.of_state = nn.Linear(units, gates * units), nn.Linear(units, gates * units)

        def lstm(self, x, h, c):
            i, f, g, o = (x + self.of_state(h)).chunk(4, dim=-1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c

        def gru(self, x, h, c):
            (xz, xr, xg), (hz, hr, hg) = x.chunk(3, dim=-1), self.of_state(h).chunk(3, dim=-1)
            z = torch.sigmoid(xz + hz)
            return z * h + (1 - z) * torch.tanh(xg + torch.sigmoid(xr + hr) * hg), c

        def forward(self, x):
            h = c = x.new_zeros(x.shape[0], units)
            outputs = []
            for projected in self.of_input(x).unbind(1):
                h, c = getattr(self, work.cell)(projected, h, c)
                outputs.append(h)
            return torch.stack(outputs, 1), None

    return Loop().to(torch_device())


def torch_run(work, layer):
    """The measured function for a module that returns its outputs and something else."""
    import torch

    x, d = (torch.from_numpy(numbers(work, work.units)).to(torch_device()) for _ in range(2))
    x.requires_grad_(work.task != "forward")

    def run():
        if work.task == "forward":
            with torch.no_grad():
                layer(x)
        else:
            layer.zero_grad(set_to_none=True)
            x.grad = None
            layer(x)[0].backward(d)
        torch_finished()

    return run


def torch_device():
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def torch_finished():
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


# === Flax ===


@contestant("Flax", "flax", ("forward", "training", "memory"))
def run_flax(work):
    """`flax.linen.RNN` over its own cell."""
    import jax
    from flax import linen

    made = {"lstm": linen.OptimizedLSTMCell, "gru": linen.GRUCell}.get(work.cell)
    if made is None:
        return None
    layer, x = linen.RNN(made(work.units)), numbers(work, work.units)
    return jax_run(work, layer.apply, layer.init(jax.random.key(0), x), x, numbers(work, work.units))


# === The classifier ===


@contestant("textrnn", "keras", ("classifier",))
def classify_textrnn(work):
    """`keras.layers.Bidirectional` around `Recurrent`."""
    import textrnn

    return keras_classifier(
        work, textrnn.Recurrent(textrnn.GatedCell(work.units, work.cell), return_sequences=True)
    )


@contestant("Keras", "keras", ("classifier",))
def classify_keras(work):
    """The same around Keras's layer."""
    return keras_classifier(work, keras_layer(work, return_sequences=True))


def keras_classifier(work, layer):
    """The training step of a model: two directions, the mean over time, two classes."""
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
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    x, y = numbers(work, work.units), np.zeros(work.batch_size, "int32")
    return lambda: model.train_on_batch(x, y)


@contestant("PyTorch", "torch", ("classifier",))
def classify_torch(work):
    """The same in PyTorch."""
    import torch

    device = torch_device()
    layer = torch.nn.LSTM(work.units, work.units, batch_first=True, bidirectional=True).to(device)
    head = torch.nn.Linear(2 * work.units, 2).to(device)
    parameters = [*layer.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, 0.01)
    x = torch.from_numpy(numbers(work, work.units)).to(device)
    y = torch.zeros(work.batch_size, dtype=torch.long, device=device)

    def run():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(head(layer(x)[0].mean(1)), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


# === The floor ===

GATES = {"lstm": 4, "gru": 3}


@contestant("floor", "tensorflow", ("forward", "training", "parts"))
def run_floor(work):
    """The products alone, in the shapes in which they must happen: recurrent ones one after another."""
    import tensorflow as tf

    gates, training = GATES[work.cell], work.task != "forward"
    flat = tf.random.normal((work.batch_size * work.steps, work.units))
    wide = tf.random.normal((work.batch_size * work.steps, gates * work.units))
    kernel = tf.random.normal((work.units, gates * work.units))
    row, wide_row = flat[: work.batch_size], wide[: work.batch_size]

    @tf.function(autograph=False)
    def run():
        total = tf.reduce_sum(tf.matmul(flat, kernel)[0])

        def step(t, h, d):
            # Each depends on the one before, as in a recurrence, and is no more than its product.
            z = tf.matmul(h, kernel)
            return t + 1, h + 1e-9 * z[:, : work.units], d

        def step_back(t, h, d):
            return t + 1, h, d + 1e-9 * tf.matmul(d, kernel, transpose_b=True)[:, :1]

        _, h, _ = tf.while_loop(lambda t, *_: t < work.steps, step, (0, row, wide_row))
        if training:
            _, _, d = tf.while_loop(lambda t, *_: t < work.steps, step_back, (0, row, wide_row))
            for x in (flat, flat):  # the gradients of the kernels
                total += tf.reduce_sum(tf.matmul(x, wide, transpose_a=True)[0])
            total += tf.reduce_sum(tf.matmul(wide, kernel, transpose_b=True)[0]) + tf.reduce_sum(d[0])
        return total + tf.reduce_sum(h[0])

    return lambda: run().numpy()


# === Measuring ===


def prepared(work, compiled):
    """Name -> the function to measure, of everyone who takes part, after two runs."""
    runs = {}
    for name, needs, tasks, prepare in CONTESTANTS:
        if work.task not in tasks or not available(needs) or ("compiled" in name and not compiled):
            continue
        start = time.perf_counter()
        if (run := prepare(work)) is None:
            continue
        run(), run()
        runs[name] = run
        print(f"  {name} ready after {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return runs


def available(library):
    """Whether a contestant's library is there, and is the backend where it has to be."""
    if library == "tensorflow":
        return os.environ["KERAS_BACKEND"] == "tensorflow"
    return importlib.util.find_spec(library) is not None


def take_turns(runs, rounds, seconds):
    """The milliseconds of one run, of everyone in each round."""
    times = {name: [] for name in runs}
    repeats = {}
    for name, run in runs.items():
        start = time.perf_counter()
        run()
        repeats[name] = max(1, round(seconds / (time.perf_counter() - start)))
    for first in range(rounds):
        order = [*runs][first % len(runs) :] + [*runs][: first % len(runs)]
        for name in order:
            start = time.perf_counter()
            for _ in range(repeats[name]):
                runs[name]()
            times[name].append(1000 * (time.perf_counter() - start) / repeats[name])
    return times


def measure_cells(size, rounds, seconds):
    """Every sequential cell's training step: the works, their times, and their multiply-adds."""
    from textrnn.cells import cell_names, describe, find_cell

    names = [name for name in cell_names() if describe.kind(find_cell(name)) == "S"]
    works = {name: Work("cells", name, *size) for name in names}
    runs = {name: run_textrnn(work) for name, work in works.items()}
    for run in runs.values():
        run(), run()
    times = take_turns(runs, rounds, seconds)
    return works, times, {name: multiply_adds(name, size[2]) for name in names}


def multiply_adds(name, units):
    """How many a step of a row takes forward: the entries of the matrices."""
    import textrnn

    cell = textrnn.GatedCell(units, name)
    cell.build((None, units))
    return sum(
        w.shape[0] * w.shape[1] for w in cell.trainable_variables if len(w.shape) == 2 and w.shape[0] > 2
    )


def measure_model(work, rounds):
    """The milliseconds of a language model's step, of everyone in each round."""
    tokens = work.batch_size * (work.sequence_length if work.task == "training" else 1)
    speeds = language_model.measure(work, rounds, seed=0)
    return {
        language_model.label(name): [1000 * tokens / s for s in values] for name, values in speeds.items()
    }


def peak_memory(name, work):
    """The megabytes that a first training adds to the peak of a process that has trained on 2 steps."""
    command = [sys.executable, __file__, "--peak", name, "--work", json.dumps(dataclasses.asdict(work))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def measure_peak(name, work):
    """What `peak_memory` runs in a process of its own."""
    prepare = next(prepare for n, _, tasks, prepare in CONTESTANTS if n == name and work.task in tasks)
    prepare(dataclasses.replace(work, steps=2))()
    before = peak()
    prepare(work)()
    return max(peak() - before, 0.1)


def peak():
    """The most memory this process has had, in megabytes."""
    # Not `getrusage`: its figure begins with that of the process that started this one.
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


# === Reporting ===


def result(work, times, unit="ms", per=None):
    """A work's figures as plain data; `per` divides a contestant's times before they are compared."""
    per = per or dict.fromkeys(times, 1.0)
    ours = next(iter(times))
    rows = []
    for name, values in times.items():
        ratios = [
            (mine / per[ours]) / (value / per[name]) for mine, value in zip(times[ours], values, strict=True)
        ]
        rows.append(
            {
                "contestant": name,
                unit: [round(value, 3) for value in values],
                "median": round(statistics.median(values), 3),
                "ratio": round(
                    (statistics.median(times[ours]) / per[ours]) / (statistics.median(values) / per[name]), 3
                ),
                "lowest_and_highest_ratio": [round(min(ratios), 3), round(max(ratios), 3)],
            }
        )
    return {"work": dataclasses.asdict(work), "description": str(work), "unit": unit, "rows": rows}


def markdown(report):
    """The report as one table, with what it depends on below."""
    lines = [
        "| work | contestant | median (range) | the first ÷ this one (range) | goal |",
        "|---|---|---:|---:|---|",
    ]
    for entry in report["results"]:
        for i, row in enumerate(entry["rows"]):
            values, (low, high) = row[entry["unit"]], row["lowest_and_highest_ratio"]
            spread = f" ({min(values):.4g}–{max(values):.4g})" if len(values) > 1 else ""
            ratio = f"{row['ratio']:.2f}" + (f" ({low:.2f}–{high:.2f})" if len(values) > 1 else "")
            lines.append(
                f"| {'' if i else entry['description']} | {row['contestant']} "
                f"| {row['median']:.4g} {entry['unit']}{spread} | {ratio if i else ''} "
                f"| {goal(entry['work'], row) if i else ''} |"
            )
    facts = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in report["environment"].items())
    return "\n".join([*lines, "", facts, ""])


def goal(work, row):
    """What the ratio of a row should be, and whether it is."""
    if work["task"] == "cells":
        return f"≥ 1 / {CELLS_GOAL}, {'met' if row['ratio'] >= 1 / CELLS_GOAL else 'missed'}"
    most = GOALS.get((work["task"], work.get("cell", work.get("name")), row["contestant"]))
    return "" if most is None else f"≤ {most}, {'met' if row['ratio'] <= most else 'missed'}"


def environment(seed, rounds):
    """What the figures depend on, the peers' versions too."""
    from importlib.metadata import PackageNotFoundError, version

    facts = language_model.environment(seed, rounds) if os.environ["KERAS_BACKEND"] == "tensorflow" else {}
    for package in ("jax", "flax", "torch"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    if importlib.util.find_spec("torch"):
        import torch

        facts["torch_threads"] = torch.get_num_threads()
    return {"backend": os.environ["KERAS_BACKEND"], **facts}


def make_parser():
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=f"How it measures, and what: see the top of {Path(__file__).name}.",
    )
    parser.add_argument("--task", choices=TASKS, nargs="+", default=TASKS, help="only these")
    parser.add_argument("--rounds", type=int, default=7, help="how often everyone takes a turn (7)")
    parser.add_argument("--seconds", type=float, default=0.3, help="how long a turn is, about (0.3)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, for trying it out")
    parser.add_argument("--compile", action="store_true", help="torch.compile the PyTorch loop too")
    parser.add_argument("--output", type=Path, help="a folder for recurrence.json and recurrence.md")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=json.loads, help=argparse.SUPPRESS)
    return parser


def main():
    """Reads the options, lets everyone run, and reports."""
    given = make_parser().parse_args()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        startup.load_tensorflow()
    if given.peak:
        print(measure_peak(given.peak, Work(**given.work)))
        return
    tiny = {"batch_size": 2, "steps": 3, "units": 4} if given.quick else {}
    rounds, seconds = (2, 0.0) if given.quick else (given.rounds, given.seconds)
    start = time.perf_counter()
    report = {"environment": environment(0, rounds), "results": []}
    works = dict.fromkeys(dataclasses.replace(work, **tiny) for work in WORKS if work.task in given.task)
    for work in works:
        print(work, file=sys.stderr, flush=True)
        if work.task == "memory":
            names = [n for n, needs, tasks, _ in CONTESTANTS if "memory" in tasks and available(needs)]
            report["results"].append(result(work, {n: [peak_memory(n, work)] for n in names}, unit="MB"))
        else:
            report["results"].append(result(work, take_turns(prepared(work, given.compile), rounds, seconds)))
    if "cells" in given.task:
        print("cells", file=sys.stderr, flush=True)
        works, times, per = measure_cells(tuple(tiny.values()) or SIZES[0], rounds, seconds)
        first = {"lstm": times.pop("lstm")}
        report["results"].append(result(works["lstm"], first | times, per=per))
    models = "models" in given.task and available("tensorflow")
    sizes = language_model.QUICK if given.quick else {}
    for work in [dataclasses.replace(work, **sizes) for work in language_model.WORKS] if models else ():
        print(work, file=sys.stderr, flush=True)
        report["results"].append(result(work, measure_model(work, rounds)))
    report["environment"]["seconds"] = round(time.perf_counter() - start)
    print(markdown(report), end="")
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "recurrence.md").write_text(markdown(report), encoding="utf-8")
        (given.output / "recurrence.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

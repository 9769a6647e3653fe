"""Measure how gradients vanish and explode with distance, and what that means for learning.

    python benchmarks/concepts/gradients.py --output docs/concepts
    python benchmarks/concepts/gradients.py --output docs/concepts --draw

Three measurements, medians over `--seeds` with the range:

- the norm of the gradient of a last output, in a random direction, with respect to all states k steps
  earlier, relative to k = 0. New cells in float64 read random normal inputs;
- the copy problem with one of eight symbols: the number of training steps until the loss of 20 steps is below
  0.05 nats, for a delay of `--delay`, or none within `--steps`;
- the norm of the gradient of the weights in training, with and without clipping it to 1. The network is the
  simple one with a recurrent matrix of twice the orthogonal one, on a delay of a fifth.
"""

import dataclasses
import statistics
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness
import synthetic

FEATURES, SYMBOLS, BATCH = 32, 8, 32
LEARNED = 0.05
"""Nats per symbol below which the copy problem counts as learned."""


@dataclasses.dataclass(frozen=True)
class Start:
    """A cell and the initial values of its weights.

    Attributes:
        cell: The name of the cell.
        scale: The factor of the orthogonal recurrent matrices, or None for Glorot's uniform distribution.
        forget_bias: Whether the forget bias starts at 1, as by default.
        chrono: Whether the biases are those of chrono initialization for the distance at hand.
        style: Colour of Okabe and Ito's palette, line style, and marker.
    """

    cell: str
    scale: float | None = 1.0
    forget_bias: bool = True
    chrono: bool = False
    style: tuple[str, str, str] = ("#555555", "-", "")

    def make(self, units, distance, dtype=None):
        """The cell, for dependencies of a distance."""
        import keras

        import textrnn

        orthogonal = self.scale and keras.initializers.Orthogonal(self.scale)
        return textrnn.GatedCell(
            units, self.cell, self.forget_bias, distance if self.chrono else None,
            recurrent_initializer=orthogonal or "glorot_uniform", dtype=dtype,
        )  # fmt: skip


STARTS = {
    "simple, 2 × orthogonal": Start("simple", 2.0, style=("#D55E00", "-", "")),
    "simple, orthogonal": Start("simple", style=("#D55E00", "--", "")),
    "simple, Glorot": Start("simple", None, style=("#D55E00", "", "x")),
    "gru": Start("gru", style=("#009E73", "--", "")),
    "gru, Glorot": Start("gru", None, style=("#009E73", "", "x")),
    "gru, chrono": Start("gru", chrono=True, style=("#009E73", "", "^")),
    "lstm, forget bias 0": Start("lstm", forget_bias=False, style=("#0072B2", ":", "")),
    "lstm, forget bias 1": Start("lstm", style=("#0072B2", "--", "")),
    "lstm, forget bias 1, Glorot": Start("lstm", None, style=("#0072B2", "", "x")),
    "lstm, chrono": Start("lstm", chrono=True, style=("#0072B2", "-", "")),
}
EXPLODING = "simple, 2 × orthogonal"
CLIPPING = {"SGD": ("SGD", 0.1), "Adam": ("Adam", 0.01)}
"""Optimizers and their learning rates."""


# === Gradients of new cells ===


def gradient_norms(cell, steps, seed, batch=8):
    """Norms of the gradient with respect to all states k steps before the last, `(steps,)`.

    The function of which it is the gradient is the last output times a random normal vector. A norm is the
    geometric mean over the batch.
    """
    import keras
    import tensorflow as tf

    dtype = cell.compute_dtype
    inputs = keras.random.normal((batch, steps, FEATURES), seed=seed, dtype=dtype)
    states, before = cell.get_initial_state(batch), []
    with tf.GradientTape() as tape:
        for step in range(steps):
            states = [tf.identity(state) for state in states]
            tape.watch(states)
            before.append(states)
            output, states = cell(inputs[:, step], states)
        direction = keras.random.normal(output.shape, seed=seed + 1, dtype=dtype)
        last = tf.reduce_sum(output * direction)
    gradients = tape.gradient(last, before)
    squares = [sum(np.square(part).sum(axis=-1) for part in of_step) for of_step in gradients]
    return np.exp(np.log(np.sqrt(squares)).mean(axis=-1))[::-1]


def relative_norms(start, given, distances):
    """Norms at distances relative to distance 0, a list for each seed."""
    import keras

    found = []
    for seed in given.seeds:
        keras.utils.set_random_seed(seed)
        norms = gradient_norms(start.make(given.units, given.distance, "float64"), given.distance + 1, seed)
        found.append([float(f"{norms[k] / norms[0]:.3g}") for k in distances])
    return found


# === Training ===


class CopyTask:
    """Training on the copy problem with one symbol, with one graph for all seeds.

    Args:
        start: A `Start`.
        units: The size of the layer.
        delay: The number of steps between the symbol and its recall.
        optimizer: The name of a Keras optimizer.
        rate: Its learning rate.
        clipnorm: The maximum global norm of the gradient, or None.
    """

    def __init__(self, start, units, delay, optimizer="Adam", rate=0.01, clipnorm=1.0):
        import keras
        import tensorflow as tf

        self.start, self.units, self.delay = start, units, delay
        self.model = self._new_model()
        self.optimizer = getattr(keras.optimizers, optimizer)(rate, global_clipnorm=clipnorm)
        self.optimizer.build(self.model.trainable_variables)
        self.beginning = [variable.numpy() for variable in self.optimizer.variables]
        loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

        @tf.function(jit_compile=True)
        def step(inputs, targets):
            weights = self.model.trainable_variables
            with tf.GradientTape() as tape:
                loss = loss_of(targets, self.model(inputs, training=True))
            gradients = tape.gradient(loss, weights)
            self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
            return loss, tf.linalg.global_norm(gradients)

        self.step = step

    def _new_model(self):
        import keras

        import textrnn

        return keras.Sequential(
            [
                keras.Input((self.delay + 1,), dtype="int32"),
                keras.layers.Embedding(SYMBOLS + 2, 16, keras.initializers.RandomNormal(stddev=1.0)),
                textrnn.Recurrent(self.start.make(self.units, self.delay)),
                keras.layers.Dense(SYMBOLS),
            ]
        )

    def train(self, seed, steps, until=None):
        """Train new weights.

        Args:
            seed: Of the weights and the examples.
            steps: The maximum number of steps.
            until: Stop when the mean loss of 20 steps is lower.

        Returns:
            The losses and the global norms of the gradients before clipping, a list each.
        """
        import keras

        keras.utils.set_random_seed(seed)
        self.model.set_weights(self._new_model().get_weights())
        for variable, value in zip(self.optimizer.variables, self.beginning, strict=True):
            variable.assign(value)
        random = np.random.default_rng(seed)
        losses, norms = [], []
        for _ in range(steps):
            inputs, targets = synthetic.copy_problem(BATCH, self.delay, random, symbols=SYMBOLS, length=1)
            loss, norm = self.step(inputs[:, : self.delay + 1], targets[:, -1])
            losses.append(float(loss))
            norms.append(float(norm))
            if until and len(losses) >= 20 and statistics.fmean(losses[-20:]) < until:
                break
        return losses, norms


def learning(start, given):
    """For each seed the steps until the problem is learned, or None, and the last loss."""
    task = CopyTask(start, given.units, given.delay)
    found = []
    for seed in given.seeds:
        losses, _ = task.train(seed, given.steps, LEARNED)
        loss = statistics.fmean(losses[-20:])
        found.append({"steps": len(losses) if loss < LEARNED else None, "loss": round(loss, 3)})
    return found


def clipping(optimizer, clipnorm, given):
    """For each seed the losses and norms of training with exploding gradients."""
    task = CopyTask(STARTS[EXPLODING], given.units, given.delay // 5, *CLIPPING[optimizer], clipnorm=clipnorm)
    found = []
    for seed in given.seeds:
        losses, norms = task.train(seed, given.clipped_steps)
        found.append(
            {
                "median norm": float(f"{statistics.median(norms):.3g}"),
                "highest norm": float(f"{np.nanmax(norms):.3g}"),
                "loss": float(f"{statistics.fmean(losses[-20:]):.3g}"),
                "losses": [float(f"{np.mean(losses[i : i + 10]):.3g}") for i in range(0, len(losses), 10)],
            }
        )
    return found


def measure(given):
    """All numbers."""
    distances = [k for k in (0, 1, 2, 5, *range(10, given.distance + 1, 10)) if k <= given.distance]
    results = {
        "distances": distances,
        **{name: getattr(given, name) for name in ("delay", "steps", "clipped_steps")},
        "norms": {}, "learning": {}, "clipping": {},
    }  # fmt: skip
    for name, start in STARTS.items():
        results["norms"][name] = relative_norms(start, given, distances)
        harness.log(f"{name}: {results['norms'][name][0][-1]:.1e} at the end")
    for name, start in STARTS.items():
        results["learning"][name] = learning(start, given)
        harness.log(f"{name}: {results['learning'][name]}")
    for optimizer in CLIPPING:
        for clipnorm in (None, 1.0):
            name = f"{optimizer}, {'clipped to 1' if clipnorm else 'not clipped'}"
            results["clipping"][name] = clipping(optimizer, clipnorm, given)
            harness.log(f"{name}: {[run['loss'] for run in results['clipping'][name]]}")
    return results


# === Report ===


def at(results, name, distance):
    """The norms at a distance, one for each seed."""
    place = results["distances"].index(distance)
    return [of_seed[place] for of_seed in results["norms"][name]]


def steps_of(runs):
    """The steps until a problem was learned, as text."""
    steps = sorted(run["steps"] for run in runs if run["steps"])
    if not steps:
        return "never"
    text = f"{steps[0]}" if steps[0] == steps[-1] else f"{steps[0]}–{steps[-1]}"
    return text if len(steps) == len(runs) else f"{text} ({len(steps)} of {len(runs)} seeds)"


def ranged(values, form="{:.2g}"):
    """The median, with the range if there is one."""
    low, high = form.format(min(values)), form.format(max(values))
    return form.format(statistics.median(values)) + (f" ({low}–{high})" if low != high else "")


def table(results):
    """The tables in Markdown."""
    shown = [k for k in (10, 50, 100, 200) if k in results["distances"]]
    titles = [f"{k} steps" for k in shown]
    lines = [
        f"| | {' | '.join(titles)} | learned, delay {results['delay']} |",
        "|---|" + "---:|" * (len(shown) + 1),
    ]
    for name in results["norms"]:
        norms = [f"{statistics.median(at(results, name, k)):.1e}" for k in shown]
        lines.append(f"| {name} | {' | '.join(norms)} | {steps_of(results['learning'][name])} |")
    lines += ["", "| | median norm | highest norm | loss at the end |", "|---|---:|---:|---:|"]
    for name, runs in results["clipping"].items():
        figures = [ranged([run[key] for run in runs]) for key in ("median norm", "highest norm", "loss")]
        lines.append(f"| {name} | {' | '.join(figures)} |")
    return "\n".join(lines)


def draw(results, path):
    """Draw the norms against distance, and the losses with and without clipping."""
    from textrnn.reporting.figures import make_figure, save_figure

    figure = make_figure(9.6, 3.9)
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    for name, runs in results["norms"].items():
        color, line, marker = STARTS[name].style
        values = np.array(runs)
        left.plot(
            results["distances"], np.median(values, axis=0), color=color, linestyle=line, marker=marker,
            markersize=5, markerfacecolor="none", label=name,
        )  # fmt: skip
        left.fill_between(
            results["distances"], values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, linewidth=0
        )
    left.set_yscale("log")
    left.set_ylim(1e-12, 1e6)
    left.set_xlim(0, results["distances"][-1])
    left.set_xlabel("distance (steps)")
    left.set_ylabel("norm of the gradient ÷ that at distance 0")
    left.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    styles = {"SGD": "#CC79A7", "Adam": "#E69F00"}
    for name, runs in results["clipping"].items():
        losses = np.array([run["losses"] for run in runs])
        steps = 10 * np.arange(1, losses.shape[1] + 1)
        color, line = styles[name.partition(",")[0]], "-" if "to 1" in name else ":"
        right.plot(steps, np.median(losses, axis=0), color=color, linestyle=line, label=name)
        right.fill_between(
            steps, losses.min(axis=0), losses.max(axis=0), color=color, alpha=0.12, linewidth=0
        )
    right.axhline(np.log(SYMBOLS), color="#AAAAAA", linewidth=0.8, zorder=0)
    right.annotate(
        "guessing", (steps[-1], np.log(SYMBOLS)), xytext=(0, 3), textcoords="offset points",
        ha="right", fontsize=8, color="#555555",
    )  # fmt: skip
    right.set_yscale("log")
    right.set_ylim(1e-5, 10)  # room for the legend, and for losses above guessing
    right.set_xlabel("training step")
    right.set_ylabel("loss (nats), copy problem")
    right.legend(frameon=False, fontsize=8, loc="lower left")
    harness.style(left, right)
    save_figure(figure, path)


def main(arguments=None):
    options = {
        "units": (32, "units of the layer"),
        "distance": (200, "largest distance of a gradient"),
        "delay": (100, "delay of the copy problem"),
        "steps": (500, "most training steps"),
        "clipped_steps": (300, "training steps with and without clipping"),
        "seeds": ([0, 1, 2], "seeds"),
    }
    quick = {"units": 4, "distance": 10, "delay": 10, "steps": 20, "clipped_steps": 20, "seeds": [0]}
    harness.run_study(__file__, __doc__, options, measure, table, draw, quick, arguments)


if __name__ == "__main__":
    main()

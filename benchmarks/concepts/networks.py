"""Measure what weights, depth and direction cost and bring to a recurrent network.

    python benchmarks/concepts/networks.py --output docs/concepts
    python benchmarks/concepts/networks.py --output docs/concepts --draw

Both tasks are of the characters of the starter text. Networks learn for one epoch with the same updates, and
figures are medians of `--seeds` with the range.

- Width and depth: language models with GRU layers. The deeper ones are as wide as the weights of the widest
  network of one layer allow.
- Direction: find the ends of words in text without spaces, in lower case. One GRU layer reads forwards,
  backwards, or each half of its units in one direction, at the same number of weights. The figure is the
  fraction of letters with the wrong answer.

The cost is the processor time of training, per million characters.
"""

import bisect
import math
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness

ROWS, STEPS = 16, 64


def widest(make, weights):
    """The number of units below 512 with which `make(units)` has the most weights within a budget.

    Weights grow with the units, except that a network as wide as its embeddings needs no projection of them.
    """
    return bisect.bisect_right(range(1, 512), weights, key=lambda units: make(units).count_params())


def language_model(vocabulary_size, width, layers, units):
    """A model whose embeddings have the same width in all networks."""
    import textrnn

    backbone = textrnn.RecurrentBackbone(
        vocabulary_size, "gru", units=units, num_layers=layers, embedding_dim=width
    )
    return textrnn.CausalLM(backbone)


def tagger(direction, units):
    """A network that says for each letter whether a word ends there."""
    import keras

    import textrnn

    def layer(units, **options):
        return textrnn.Recurrent(textrnn.GatedCell(units, "gru"), return_sequences=True, **options)

    recurrent = {
        "forwards": lambda: [layer(units)],
        "backwards": lambda: [layer(units, go_backwards=True), keras.layers.Lambda(backwards)],
        "both": lambda: [keras.layers.Bidirectional(layer(units))],
    }[direction]
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(26, 16, keras.initializers.RandomNormal(stddev=1.0)),
            *recurrent(),
            keras.layers.Dense(1),
        ]
    )


def backwards(sequence):
    """The steps in reverse order: a layer that runs backwards returns the last step first."""
    import keras

    return keras.ops.flip(sequence, axis=1)


def words_without_spaces(text, letters):
    """The letters of a text and the ends of its words, in rows.

    Args:
        text: A str.
        letters: The maximum number of letters.

    Returns:
        Letters from 0 to 25, int32 `(rows, STEPS)`, and whether a word ends there, float32
        `(rows, STEPS, 1)`.
    """
    words = "".join(c if "a" <= c <= "z" else " " for c in text.lower()).split()
    ids = np.frombuffer("".join(words).encode(), np.uint8).astype(np.int32) - ord("a")
    ends = np.zeros(len(ids), np.float32)
    ends[np.cumsum([len(word) for word in words]) - 1] = 1
    rows = min(letters, len(ids)) // STEPS
    return ids[: rows * STEPS].reshape(rows, STEPS), ends[: rows * STEPS].reshape(rows, STEPS, 1)


def run(trainer, batches, seeds, score):
    """The scores of new models, and the lowest processor time of an epoch per million characters."""
    tokens = len(batches) * ROWS * STEPS
    scores, seconds = [], []
    for seed in seeds:
        begin = time.process_time()
        trainer.train(batches, seed)
        seconds.append((time.process_time() - begin) / tokens * 1e6)
        scores.append(round(score(), 4))
    return {
        "weights": sum(math.prod(weight.shape) for weight in trainer.model.trainable_variables),
        "scores": scores,
        "seconds": round(min(seconds), 1),  # without the tracing of the graph
    }


def measure(given):
    """All numbers."""
    return {**measure_depth(given), **measure_direction(given)}


def measure_depth(given):
    """Language models of several widths and depths."""
    from concepts.small_text import Trainer, starter_streams
    from textrnn import training
    from textrnn.data.windows import windows

    train, test, vocabulary_size = starter_streams(given.tokens)
    batches = windows(train, ROWS, STEPS)

    def make(layers, units):
        return language_model(vocabulary_size, given.width, layers, units)

    budget = make(1, max(given.units)).count_params()
    sizes = [(1, units) for units in given.units]
    sizes += [(layers, widest(lambda units, n=layers: make(n, units), budget)) for layers in given.layers]
    found = []
    for layers, units in sizes:
        rate = training.warmup_cosine(given.rate, len(batches))
        trainer = Trainer(lambda size=(layers, units): make(*size), rate)
        runs = run(trainer, batches, given.seeds, lambda one=trainer: one.bits(test))
        found.append({"layers": layers, "units": units, **runs})
        harness.log(found[-1])
    return {"text": found, "updates": len(batches), "vocabulary": int(vocabulary_size)}


def measure_direction(given):
    """Networks that find the ends of words."""
    import tensorflow as tf

    from concepts.small_text import TEST_CHARACTERS, Trainer
    from textrnn import training
    from textrnn.data.starter import starter_text

    text = "\n".join(document.text for document in starter_text())
    letters, ends = words_without_spaces(text[:-TEST_CHARACTERS], given.tokens)
    test, test_ends = words_without_spaces(text[-TEST_CHARACTERS:], TEST_CHARACTERS)
    order = np.random.default_rng(0).permutation(len(letters))
    batches = tf.data.Dataset.from_tensor_slices((letters[order], ends[order])).batch(
        ROWS, drop_remainder=True
    )
    budget, found = tagger("forwards", given.width).count_params(), []
    for direction in ("forwards", "backwards", "both"):
        units = widest(lambda units, way=direction: tagger(way, units), budget)
        rate = training.warmup_cosine(given.rate, len(batches))
        trainer = Trainer(lambda size=(direction, units): tagger(*size), rate, loss=of_logits())

        def error(model=trainer.model):
            return float(np.mean((model.predict(test, verbose=0) > 0) != test_ends))

        runs = run(trainer, batches, given.seeds, error)
        found.append({"direction": direction, "units": units, **runs})
        harness.log(found[-1])
    return {"words": found, "never an end": float(test_ends.mean())}


def of_logits():
    import keras

    return keras.losses.BinaryCrossentropy(from_logits=True)


# === Report ===


def ranged(values, form):
    """The median with the range."""
    middle, low, high = (
        form.format(value) for value in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({low}–{high})"


def table(results):
    """The tables in Markdown."""
    lines = ["| layers × units | weights | bits per character | processor seconds per million characters |",
             "|---|---:|---:|---:|"]  # fmt: skip
    for row in results["text"]:
        bits = ranged(row["scores"], "{:.3f}")
        lines.append(
            f"| {row['layers']} × {row['units']} | {row['weights']:,} | {bits} | {row['seconds']:.0f} |"
        )
    lines += ["", "| direction | units | weights | wrong letters | processor seconds per million letters |",
              "|---|---:|---:|---:|---:|"]  # fmt: skip
    for row in results["words"]:
        units = f"2 × {row['units']}" if row["direction"] == "both" else row["units"]
        error = ranged(row["scores"], "{:.1%}")
        lines.append(
            f"| {row['direction']} | {units} | {row['weights']:,} | {error} | {row['seconds']:.0f} |"
        )
    lines += ["", f"{results['updates']} updates; never an end: {results['never an end']:.1%} wrong"]
    return "\n".join(lines)


def draw(results, path):
    """Draw bits per character against weights, and the errors of directions."""
    from textrnn.reporting.figures import make_figure, save_figure

    figure = make_figure(9.6, 3.7)
    left, right = figure.subplots(1, 2, width_ratios=[1.3, 1])
    wide = [row for row in results["text"] if row["layers"] == 1]
    deep = [row for row in results["text"] if row["layers"] > 1]
    colors = {1: "#0072B2", 2: "#D55E00", 3: "#009E73"}
    left.plot([row["weights"] for row in wide], [statistics.median(row["scores"]) for row in wide], "#0072B2")
    for row in [*wide, *deep]:
        middle = statistics.median(row["scores"])
        color = colors.get(row["layers"], "#CC79A7")
        errors = [[middle - min(row["scores"])], [max(row["scores"]) - middle]]
        left.errorbar([row["weights"]], [middle], errors, color=color, marker="o", capsize=3)
        left.annotate(
            f"{row['layers']} × {row['units']}", (row["weights"], middle), xytext=(7, 3),
            textcoords="offset points", fontsize=9, color=color,
        )  # fmt: skip
    left.set_xscale("log")
    left.margins(x=0.22, y=0.12)
    left.minorticks_off()
    left.set_xticks([row["weights"] for row in wide], [f"{row['weights'] / 1000:.0f}k" for row in wide])
    left.set_xlabel("weights")
    left.set_ylabel("bits per character")
    for place, row in enumerate(results["words"]):
        errors = [100 * score for score in row["scores"]]
        right.barh(place, statistics.median(errors), color="#56B4E9", height=0.6)
        right.plot(errors, [place] * len(errors), "o", color="black", markersize=3)
    right.axvline(100 * results["never an end"], color="#555555", linestyle="--", linewidth=1)
    right.annotate(
        "no letter\nis an end", (100 * results["never an end"], 0.5), xytext=(-4, 0),
        textcoords="offset points", ha="right", va="center", fontsize=8, color="#555555",
    )  # fmt: skip
    right.set_yticks(range(len(results["words"])), [row["direction"] for row in results["words"]])
    right.invert_yaxis()
    right.tick_params(axis="y", length=0)
    right.set_xlabel("letters with the wrong answer (%)")
    harness.style(left, right)
    save_figure(figure, path)


def main(arguments=None):
    options = {
        "units": ([32, 64, 128], "units of one layer"),
        "layers": ([2, 3], "layers of the deeper networks"),
        "width": (48, "width of embeddings, and units of the forward tagger"),
        "tokens": (400_000, "characters to train on"),
        "rate": (0.01, "highest learning rate"),
        "seeds": ([0, 1, 2], "seeds"),
    }
    quick = {"units": [3, 5], "layers": [2], "width": 16, "tokens": 3000, "seeds": [0]}
    harness.run_study(__file__, __doc__, options, measure, table, draw, quick, arguments)


if __name__ == "__main__":
    main()

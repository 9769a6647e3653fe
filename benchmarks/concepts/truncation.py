"""Measure what a carried state brings to truncated backpropagation through time.

    python benchmarks/concepts/truncation.py --output docs/concepts
    python benchmarks/concepts/truncation.py --output docs/concepts --draw

The models are language models of one GRU layer. They learn with windows of each length, with the state
carried from window to window, and with zero states at the start of each. All runs make the same number of
updates, each of `--batch` tokens, so short windows come with many rows and long ones with few. Figures are
medians of `--seeds` with the range.

- Bits per character of the starter text. The test text is read with the state carried through; models that
  learned from zero states are also scored with zero states at the start of each window.
- Recall: a text of episodes `b...........?b`, in which one of eight random letters comes back after `--delay`
  steps, with as many updates. The score is the share of letters that come back and are the most likely ones.
  The test text is read with the state carried through.
- The truncated gradient: the cosine of the angle between the mean gradient of the windows of a text and the
  gradient through all of its `--whole` tokens, with respect to the recurrent kernel. The model is that of
  the longest windows and the first seed, before and after training.
"""

import statistics
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness

GRADIENT_ROWS = 16
SYMBOLS = 8


def window_gradient(lm, token_ids, window, carried):
    """The gradient of the mean loss of a text with respect to the recurrent kernel, through windows.

    Args:
        lm: A `textrnn.CausalLM` of one layer.
        token_ids: `(rows, tokens + 1)`, of which all but the first are predicted.
        window: The number of tokens through which gradients flow.
        carried: Whether a window starts from the last states of the one before, and not from zero.
    """
    import tensorflow as tf

    kernel = lm.backbone.stack.cells[0].recurrent_kernel.value
    tokens = token_ids.shape[1] - 1
    total = np.zeros(kernel.shape, np.float64)
    states = lm.backbone.get_initial_states(len(token_ids))
    for begin in range(0, tokens, window):
        end = min(begin + window, tokens)
        if not carried:
            states = lm.backbone.get_initial_states(len(token_ids))
        with tf.GradientTape() as tape:
            hidden, states = lm.backbone.run(token_ids[:, begin:end], states)
            logits = lm.project(hidden)
            loss = tf.reduce_sum(
                tf.nn.sparse_softmax_cross_entropy_with_logits(token_ids[:, begin + 1 : end + 1], logits)
            )
        total += tape.gradient(loss, kernel).numpy()
    return total / (len(token_ids) * tokens)


def cosine(one, other):
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))


def cosines(lm, stream, given):
    """For each length of windows, the cosine with and without carried states."""
    starts = given.whole * np.arange(min(GRADIENT_ROWS, (len(stream) - 1) // given.whole))
    token_ids = stream[starts[:, None] + np.arange(given.whole + 1)]
    whole = window_gradient(lm, token_ids, given.whole, carried=True)
    lengths = [length for length in given.lengths if length < given.whole]
    return {
        name: {
            str(length): cosine(window_gradient(lm, token_ids, length, carried), whole) for length in lengths
        }
        for name, carried in (("carried", True), ("zero", False))
    }


def episodes(random, count, delay):
    """The tokens of a text in which every letter comes back after a delay.

    Args:
        random: A NumPy generator.
        count: The number of episodes.
        delay: The number of steps from reading a letter to predicting it.

    Returns:
        `(count, delay + 2)`, int32: the letter, fillers, a mark, and the letter again.
    """
    letters = random.integers(SYMBOLS, size=(count, 1), dtype=np.int32)
    fillers = np.full((count, delay - 1), SYMBOLS, np.int32)
    return np.concatenate([letters, fillers, np.full_like(letters, SYMBOLS + 1), letters], axis=1)


def recall(lm, texts):
    """The share of last letters that are the most likely ones, of episodes that are read one after another.

    Args:
        lm: A `textrnn.CausalLM`.
        texts: Episodes, `(count, delay + 2)`.
    """
    rows = texts.reshape(-1, 10 * texts.shape[1])
    hidden, _ = lm.backbone.run(rows[:, :-1], lm.backbone.get_initial_states(len(rows)))
    likely = np.asarray(lm.project(hidden)).argmax(axis=-1)
    places = np.arange(texts.shape[1] - 2, rows.shape[1] - 1, texts.shape[1])
    return float((likely[:, places] == rows[:, places + 1]).mean())


def measure(given):
    """All numbers."""
    import textrnn
    from concepts.small_text import starter_streams

    train, test, vocabulary_size = starter_streams(given.tokens)
    results = {
        "tokens": len(train), "batch": given.batch, "epochs": given.epochs, "delay": given.delay,
        "bits": {"carried": {}, "zero": {}, "zero, also in the test": {}}, "recall": {}, "cosines": {},
    }  # fmt: skip

    def make(size=vocabulary_size):
        return textrnn.CausalLM(
            textrnn.RecurrentBackbone(size, "gru", units=given.units, embedding_dim=given.units)
        )

    for length, name, seed, trainer in trained(make, train, given):
        found = results["bits"]
        found[name].setdefault(str(length), []).append(round(trainer.bits(test), 4))
        if name == "zero":
            reset = found["zero, also in the test"].setdefault(str(length), [])
            reset.append(round(trainer.bits(test, length), 4))
        elif length == max(given.lengths) and seed == given.seeds[0]:
            results["cosines"] = {
                "trained": cosines(trainer.model, test, given), "new": cosines(make(), test, given)
            }  # fmt: skip
        harness.log(f"{length} {name}, seed {seed}: {found[name][str(length)][-1]} bits")
    random = np.random.default_rng(0)
    stream = episodes(random, len(train) // (given.delay + 2) + 1, given.delay).ravel()
    texts = episodes(random, 500, given.delay)
    results["updates"] = given.epochs * ((len(train) - 1) // given.batch)
    for length, name, seed, trainer in trained(lambda: make(SYMBOLS + 2), stream[: len(train)], given):
        of_lengths = results["recall"].setdefault(name, {})
        of_lengths.setdefault(str(length), []).append(round(recall(trainer.model, texts), 4))
        harness.log(f"{length} {name}, seed {seed}: {of_lengths[str(length)][-1]:.0%} recalled")
    return results


def trained(make, stream, given):
    """Train on a text in every way: yields length, `"carried"` or `"zero"`, seed and `Trainer`."""
    from concepts.small_text import Trainer, restarting
    from textrnn import training
    from textrnn.data.windows import windows

    for length in given.lengths:
        batches = windows(stream, given.batch // length, length)
        for name in ("carried", "zero"):
            trainer = Trainer(make, training.warmup_cosine(given.rate, given.epochs * len(batches)))
            for seed in given.seeds:
                trainer.train(batches if name == "carried" else restarting(batches), seed, given.epochs)
                yield length, name, seed, trainer


# === Report ===

NAMES = {
    "carried": "state carried",
    "zero": "zero states in training",
    "zero, also in the test": "zero states in training and test",
}
STYLES = {
    "carried": ("#0072B2", "-", "o"),
    "zero": ("#D55E00", "-", "s"),
    "zero, also in the test": ("#D55E00", ":", "s"),
}


def ranged(values, form="{:.3f}"):
    """The median with the range."""
    middle, low, high = (
        form.format(value) for value in (statistics.median(values), min(values), max(values))
    )
    return middle if low == high else f"{middle} ({low}–{high})"


def table(results):
    """The tables in Markdown."""
    lengths = [*results["bits"]["carried"]]
    lines = [f"| window of | {' | '.join(lengths)} |", "|---|" + "---:|" * len(lengths)]
    for part, unit, form in (("bits", "bits per character", "{:.3f}"), ("recall", "recalled", "{:.0%}")):
        for name, of_lengths in results[part].items():
            values = [ranged(of_lengths[one], form) for one in lengths]
            lines.append(f"| {unit}, {NAMES[name]} | {' | '.join(values)} |")
    for state, found in results["cosines"].items():
        for name, of_lengths in found.items():
            values = [f"{of_lengths[one]:.3f}" if one in of_lengths else "" for one in lengths]
            lines.append(f"| cosine, {state} model, {name} states | {' | '.join(values)} |")
    lines += ["", f"{results['updates']} updates of {results['batch']} tokens"]
    return "\n".join(lines)


def draw(results, path):
    """Draw bits per character, and the share of recalled letters, against the length of windows."""
    from textrnn.reporting.figures import make_figure, save_figure

    figure = make_figure(9.6, 3.9)
    left, right = figure.subplots(1, 2)
    for axis, part, factor in ((left, "bits", 1), (right, "recall", 100)):
        for name, of_lengths in results[part].items():
            color, line, marker = STYLES[name]
            values = factor * np.array([*of_lengths.values()])
            median = np.median(values, axis=1)
            axis.errorbar(
                [int(length) for length in of_lengths], median,
                [median - values.min(axis=1), values.max(axis=1) - median],
                color=color, linestyle=line, marker=marker, capsize=3, label=NAMES[name],
            )  # fmt: skip
    left.set_ylabel("bits per character, starter text")
    left.legend(frameon=False, fontsize=9)
    right.set_ylabel(f"letters recalled after {results['delay']} steps (%)")
    right.set_ylim(0, 104)
    right.axhline(100 / SYMBOLS, color="#AAAAAA", linewidth=0.8)
    right.axvline(results["delay"] + 1, color="#AAAAAA", linewidth=0.8)
    right.annotate(
        "letter and recall fit\ninto one window from here", (results["delay"] + 1, 1.5), xytext=(4, 0),
        textcoords="offset points", fontsize=8, color="#555555",
    )  # fmt: skip
    ticks = [int(length) for length in results["bits"]["carried"]]
    right.annotate(
        "guessing", (ticks[-1], 100 / SYMBOLS), xytext=(0, 3), textcoords="offset points", ha="right",
        fontsize=8, color="#555555",
    )  # fmt: skip
    for axis in (left, right):
        axis.set_xscale("log")
        axis.set_xticks(ticks, [str(length) for length in ticks])
        axis.minorticks_off()
        axis.set_xlabel("window (tokens)")
        harness.style(axis)
    save_figure(figure, path)


def main(arguments=None):
    options = {
        "units": (64, "units of the layer"),
        "lengths": ([4, 8, 16, 64], "lengths of windows"),
        "batch": (1024, "tokens of an update, a multiple of the lengths"),
        "tokens": (400_000, "tokens to train on"),
        "epochs": (1, "epochs"),
        "rate": (0.01, "highest learning rate"),
        "delay": (12, "steps until a letter comes back"),
        "whole": (256, "tokens of the whole gradient"),
        "seeds": ([0, 1, 2], "seeds"),
    }
    quick = {
        "units": 4, "lengths": [2, 8], "batch": 16, "tokens": 200, "epochs": 1, "delay": 3, "whole": 8,
        "seeds": [0],
    }  # fmt: skip
    harness.run_study(__file__, __doc__, options, measure, table, draw, quick, arguments)


if __name__ == "__main__":
    main()

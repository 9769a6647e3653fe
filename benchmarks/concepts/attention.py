"""Measure what attention does for a translator that has to copy texts of growing length.

    python benchmarks/concepts/attention.py --output docs/concepts
    python benchmarks/concepts/attention.py --output docs/concepts --draw

The texts are random letters, and the translation of a text is the text itself. Models are `Seq2SeqLM` with a
bidirectional GRU as encoder and a GRU as decoder. They learn texts of 1 to `--longest` letters, all lengths
equally often and every text new, and are scored on texts of each length up to one and a half times that.
Translations are greedy. A letter counts as right if it stands at its place.

Without attention the memory that the decoder may attend to is zero, so all that it knows of a text are its
initial states. These are linear maps of the last states of the encoder, as they are with attention.
"""

import statistics
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness

LETTERS = "abcdefghijklmnopqrstuvwxyz"
END, FIRST = 1, 2
"""The token that ends a text, also the start token, and the token of the first letter. Padding is 0."""
BATCH = 64


def copies(random, lengths, longest):
    """Texts of random letters as a batch for a `Seq2SeqLM`: its inputs, the targets and their weights.

    Args:
        random: A NumPy generator.
        lengths: The number of letters of each text.
        longest: The number of letters to which texts are padded.
    """
    lengths = np.asarray(lengths)[:, None]
    places = np.arange(longest + 1)
    letters = random.integers(FIRST, FIRST + len(LETTERS), (len(lengths), longest + 1), np.int32)
    texts = np.where(places < lengths, letters, np.where(places == lengths, np.int32(END), np.int32(0)))
    mask = places <= lengths
    before = np.concatenate([np.full((len(lengths), 1), END, np.int32), texts[:, :-1]], axis=1)
    inputs = {
        "encoder_token_ids": texts, "encoder_padding_mask": mask,
        "decoder_token_ids": before, "decoder_padding_mask": mask,
    }  # fmt: skip
    return inputs, texts, mask.astype(np.float32)


def seq2seq_class(attention):
    """`RecurrentSeq2Seq`, or a subclass without attention."""
    from keras import ops

    from textrnn import RecurrentSeq2Seq

    class WithoutAttention(RecurrentSeq2Seq):
        """The decoder attends to zeros."""

        def encode(self, token_ids, padding_mask, training=None):
            memory, states = super().encode(token_ids, padding_mask, training)
            return ops.zeros_like(memory), states

    return RecurrentSeq2Seq if attention else WithoutAttention


def translator(attention, units):
    """A new `Seq2SeqLM`, with or without attention."""
    import textrnn

    return textrnn.Seq2SeqLM(seq2seq_class(attention)(FIRST + len(LETTERS), cell="gru", units=units))


class Copier:
    """A translator that learns to copy, with one graph for all seeds.

    Args:
        attention: Whether it has attention.
        units: Units of each layer.
        given: The options.
    """

    def __init__(self, attention, units, given):
        import keras
        import tensorflow as tf

        from textrnn import training
        from textrnn.training.losses import TokenCrossentropy

        self.attention, self.units, self.given = attention, units, given
        self.lm = translator(attention, units)
        self.lm.compile(
            keras.optimizers.Adam(training.warmup_cosine(given.rate, given.steps), global_clipnorm=1.0),
            TokenCrossentropy(reduction="mean_with_sample_weight"),
            jit_compile=True,
        )
        self.lm.optimizer.build(self.lm.trainable_variables)
        steps = given.longest * 3 // 2 + 1
        self.search = tf.function(
            lambda token_ids, mask: self.lm.search(
                token_ids, mask, max_beams=1, num_beams=1, max_new_tokens=steps, limit=steps,
                stop_token_ids=(END,), best_only=True,
            ).token_ids[:, 0],
            autograph=False,
        )  # fmt: skip

    def train(self, seed):
        """Train new weights, and return the mean loss of the last tenth of the steps, in nats."""
        import keras

        keras.utils.set_random_seed(seed)
        self.lm.set_weights(translator(self.attention, self.units).get_weights())
        for variable in self.lm.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        random, losses = np.random.default_rng(seed), []
        for _ in range(self.given.steps):
            lengths = random.integers(1, self.given.longest, BATCH, endpoint=True)
            losses.append(float(self.lm.train_on_batch(*copies(random, lengths, self.given.longest))))
        return statistics.fmean(losses[-max(1, len(losses) // 10) :])

    def scores(self, lengths):
        """The mean share of letters that are right for each length, in greedy translations of new texts."""
        of_rows = np.repeat(lengths, self.given.texts)
        inputs, texts, _ = copies(np.random.default_rng(10_000), of_rows, max(lengths))
        found = self.search(inputs["encoder_token_ids"], inputs["encoder_padding_mask"]).numpy()
        right = letters_right(texts, found, of_rows).reshape(len(lengths), -1)
        return [round(float(share), 4) for share in right.mean(axis=1)]


def letters_right(texts, found, lengths):
    """The share of letters that are right in each text.

    Args:
        texts, found: Token ids `(texts, steps)` of texts and their translations.
        lengths: The number of letters of each text.
    """
    steps = min(texts.shape[1], found.shape[1])
    places = np.arange(steps) < np.asarray(lengths)[:, None]
    return ((texts[:, :steps] == found[:, :steps]) & places).sum(axis=1) / lengths


def attention_of(lm, length):
    """A text, and the attention weights `(letters, letters)` while a trained translator copies it."""
    inputs, texts, _ = copies(np.random.default_rng(1), [length], length)
    memory, states = lm.backbone.encode(inputs["encoder_token_ids"], inputs["encoder_padding_mask"])
    _, weights, _ = lm.backbone.run(
        inputs["decoder_token_ids"],
        lm.backbone.get_initial_states(states),
        memory,
        inputs["encoder_padding_mask"],
    )
    text = "".join(LETTERS[token - FIRST] for token in texts[0, :-1])
    return text, np.asarray(weights)[0].round(3).tolist()


def measure(given):
    """All numbers."""
    import keras

    lengths = [*range(2, given.longest * 3 // 2 + 1, 2)]
    results = {"longest": given.longest, "lengths": lengths, "runs": []}
    for attention, units in [(True, given.units[0]), *((False, units) for units in given.units)]:
        copier = Copier(attention, units, given)
        for seed in given.seeds:
            loss = copier.train(seed)
            run = {
                "attention": attention, "units": units, "seed": seed, "weights": copier.lm.count_params(),
                "loss": round(loss, 4), "right": copier.scores(lengths),
            }  # fmt: skip
            results["runs"].append(run)
            harness.log(run)
            if attention and seed == given.seeds[0]:
                results["text"], results["map"] = attention_of(copier.lm, min(12, given.longest))
        keras.backend.clear_session()
    return results


# === Report ===


def contestants(results):
    """The shares of right letters `(seeds, lengths)` of each contestant, `{(attention, units): array}`."""
    found = {}
    for run in results["runs"]:
        found.setdefault((run["attention"], run["units"]), []).append(run["right"])
    return {key: np.array(values) for key, values in found.items()}


def name_of(attention, units):
    """The name of a contestant."""
    return f"{'with' if attention else 'without'} attention, {units} units"


def table(results):
    """The table in Markdown."""
    longest = results["longest"]
    shown = [n for n in results["lengths"] if n in {4, 8, 12, longest, longest * 3 // 2}]
    lines = [
        f"| | weights | {' | '.join(f'{n} letters' for n in shown)} |",
        "|---|---:|" + "---:|" * len(shown),
    ]
    weights = {(run["attention"], run["units"]): run["weights"] for run in results["runs"]}
    for key, right in contestants(results).items():
        cells = []
        for n in shown:
            values = 100 * right[:, results["lengths"].index(n)]
            low, high = f"{values.min():.0f}", f"{values.max():.0f}"
            cells.append(f"{np.median(values):.0f} %" + (f" ({low}–{high})" if low != high else ""))
        lines.append(f"| {name_of(*key)} | {weights[key]:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(results, path):
    """Draw the share of right letters against length, and a map of attention."""
    from textrnn.reporting.figures import make_figure, save_figure

    figure = make_figure(9.6, 4.2)
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    blues = iter(["#E69F00", "#D55E00", "#CC79A7", "#555555"])
    lengths = results["lengths"]
    for (attention, units), of_seeds in contestants(results).items():
        color = "#0072B2" if attention else next(blues)
        values = 100 * of_seeds
        left.plot(
            lengths, np.median(values, axis=0), color=color, marker="o" if attention else "s", markersize=4,
            label=name_of(attention, units),
        )  # fmt: skip
        left.fill_between(
            lengths, values.min(axis=0), values.max(axis=0), color=color, alpha=0.18, linewidth=0
        )
    left.axvline(results["longest"], color="#AAAAAA", linewidth=0.8)
    left.annotate(
        "longest text\nin training", (results["longest"], 104), xytext=(3, 0), textcoords="offset points",
        fontsize=8, color="#555555", va="bottom",
    )  # fmt: skip
    left.set(
        ylim=(0, 104),
        xlim=(lengths[0], lengths[-1]),
        xlabel="letters of the text",
        ylabel="letters right (%)",
    )
    harness.style(left)
    left.set_xticks(range(4, lengths[-1] + 1, 4))
    left.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    letters = [*results["text"], "end"]
    image = right.imshow(results["map"], cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=right, shrink=0.7, label="attention weight")
    right.set_xticks(range(len(letters)), letters)
    right.set_yticks(range(len(letters)), letters)
    right.tick_params(length=0, labelsize=9)
    right.set(xlabel="the text: what is attended to", ylabel="what is written")
    save_figure(figure, path)


def main(arguments=None):
    options = {
        "units": ([32, 64], "units of each layer; with attention the first of these"),
        "longest": (16, "letters of the longest text in training"),
        "steps": (2000, "training steps"),
        "rate": (0.01, "highest learning rate"),
        "texts": (64, "texts of each length to score"),
        "seeds": ([0, 1, 2], "seeds"),
    }
    quick = {"units": [4, 8], "longest": 4, "steps": 2, "texts": 2, "seeds": [0]}
    harness.run_study(__file__, __doc__, options, measure, table, draw, quick, arguments)


if __name__ == "__main__":
    main()

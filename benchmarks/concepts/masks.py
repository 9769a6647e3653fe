"""Measure what padding does to a recurrent network without a mask, and what it costs with one.

    python benchmarks/concepts/masks.py --output docs/concepts
    python benchmarks/concepts/masks.py --output docs/concepts --draw

The texts are the starter reviews. The model is a bidirectional GRU whose last outputs classify a text.

- Accuracy on the test reviews: all texts are padded to one length, with a mask or without, in training and
  in the test. The values are those of `--seeds`.
- Change: how far the vector of a text moves if so many steps of padding are read, relative to its norm. The
  vector is the last output of a direction, or the mean or the maximum of all outputs. The model of the first
  seed, trained with masks, reads `--alone` texts.
- Speed: training texts per second if batches are padded to the longest text of all, to their own longest text
  in a random order, or if texts of similar length share a batch. All have masks. Rounds are interleaved.
"""

import statistics
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness

BATCH = 32
PADDING = (1, 2, 4, 8, 16, 32, 64)
"""Steps of padding that a model reads."""
SCHEMES = {
    "all": "padded to the longest text of all",
    "random": "random batches, padded to their longest text",
    "similar": "batches of similar length (`text_batches`)",
}


def load_reviews(vocabulary_size):
    """Token ids and labels of the training and of the test reviews, two pairs of lists."""
    from textrnn.data.sources import load_labelled_texts
    from textrnn.tokenizers import train_tokenizer

    found = load_labelled_texts()
    parts = [[*found.train, *found.validation], found.test]
    tokenizer = train_tokenizer("sentencepiece", [example.text for example in parts[0]], vocabulary_size)
    labels = sorted({example.label for example in parts[0]})
    return [
        (
            [row for row in tokenizer.tokenize([example.text for example in part]).numpy()],
            np.array([labels.index(example.label) for example in part]),
        )
        for part in parts
    ]


def padded(texts, time, read=0):
    """Token ids `(texts, time)`, padded with 0, and their mask.

    Args:
        texts: Token ids of each text.
        time: The number of steps.
        read: Steps of padding after each text that the mask takes for valid.
    """
    lengths = np.array([len(text) for text in texts])[:, None]
    token_ids = np.zeros((len(texts), time), np.int32)
    token_ids[np.arange(time) < lengths] = np.concatenate(texts)
    return token_ids, np.arange(time) < lengths + read


def classifier(given):
    """A new classifier of two classes."""
    import keras

    from textrnn.classification.backbone import RecurrentEncoder
    from textrnn.classification.text_classifier import TextClassifier

    encoder = RecurrentEncoder(given.vocabulary, "gru", given.units, dropout=0.2)
    model = TextClassifier(encoder, ["negative", "positive"], pooling="last", dropout=0.2)
    model.compile(
        keras.optimizers.Adam(given.rate, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def inputs_of(texts, time, masked):
    """The inputs of a model for padded texts, with their mask or with one that takes all steps for valid."""
    token_ids, mask = padded(texts, time)
    return {"token_ids": token_ids, "padding_mask": mask if masked else np.ones_like(mask)}


def accuracies(train, test, given):
    """Train with and without masks, and test with and without.

    Returns:
        The accuracies `{"trained/tested": [one for each seed]}`, the length to which texts are padded, and
        the model that learned with masks and the first seed.
    """
    import keras

    time = max(map(len, [*train[0], *test[0]]))
    model = classifier(given)  # one for all runs, since its graph takes longer to make than to run
    model.optimizer.build(model.trainable_variables)
    start = [variable.numpy() for variable in model.optimizer.variables]
    kinds = {"mask": True, "none": False}
    found, kept = {}, None
    for trained, masked in kinds.items():
        for seed in given.seeds:
            keras.utils.set_random_seed(seed)
            model.set_weights(classifier(given).get_weights())
            for variable, value in zip(model.optimizer.variables, start, strict=True):
                variable.assign(value)
            inputs = inputs_of(train[0], time, masked)
            model.fit(inputs, train[1], batch_size=BATCH, epochs=given.epochs, verbose=0)
            kept = model.get_weights() if kept is None else kept
            for tested, mask_in_test in kinds.items():
                logits = model.predict(inputs_of(test[0], time, mask_in_test), batch_size=128, verbose=0)
                right = float((logits.argmax(axis=-1) == test[1]).mean())
                found.setdefault(f"{trained}/{tested}", []).append(round(right, 4))
            harness.log(f"trained with {trained}: {found}")
    model.set_weights(kept)
    return found, time, model


# === Change ===


def vectors(outputs, mask, units):
    """The vectors of texts by pooling, `{name: (texts, features)}`."""
    from textrnn.layers import SequencePooling

    last, mean, most = (
        np.asarray(SequencePooling(mode, bidirectional=True)(outputs, mask=mask))
        for mode in ("last", "mean", "max")
    )
    return {
        "last, forwards": last[:, :units],
        "last, backwards": last[:, units:],
        "mean": mean,
        "maximum": most,
    }


def changes(model, texts, units):
    """How far padding moves the vectors of texts, `{name: {"mask" or "none": [one for each of PADDING]}}`."""
    encoder, time = model.backbone, max(map(len, texts)) + max(PADDING)
    alone = [
        vectors(encoder(inputs_of([text], len(text), True)), np.ones((1, len(text)), bool), units)
        for text in texts
    ]
    alone = {name: np.concatenate([one[name] for one in alone]) for name in alone[0]}

    def distances(token_ids, mask):
        found = vectors(encoder({"token_ids": token_ids, "padding_mask": mask}), mask, units)
        return {
            name: float((np.linalg.norm(found[name] - each, axis=1) / np.linalg.norm(each, axis=1)).mean())
            for name, each in alone.items()
        }

    result = {name: {"mask": [], "none": []} for name in alone}
    for steps in PADDING:
        with_mask = distances(*padded(texts, time - max(PADDING) + steps))
        without = distances(*padded(texts, time, read=steps))
        for name, kinds in result.items():
            kinds["mask"].append(float(f"{with_mask[name]:.3g}"))
            kinds["none"].append(float(f"{without[name]:.3g}"))
    return result


# === Speed ===


def batches_of(scheme, texts, labels):
    """A data set of training batches."""
    import tensorflow as tf

    from textrnn.data.batching import text_batches

    if scheme == "similar":
        return text_batches(texts, labels, BATCH, seed=0)
    order, longest = np.random.default_rng(0).permutation(len(texts)), max(map(len, texts))

    def generate():
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            chosen = [texts[row] for row in rows]
            time = longest if scheme == "all" else max(map(len, chosen))
            yield inputs_of(chosen, time, True), labels[rows]

    inputs = {
        "token_ids": tf.TensorSpec([None, None], tf.int32),
        "padding_mask": tf.TensorSpec([None, None], tf.bool),
    }
    return tf.data.Dataset.from_generator(
        generate, output_signature=(inputs, tf.TensorSpec([None], labels.dtype))
    )


def padding_share(batches):
    """The share of the steps of batches that are padding."""
    masks = [inputs["padding_mask"].numpy() for inputs, _ in batches]
    return 1 - sum(mask.sum() for mask in masks) / sum(mask.size for mask in masks)


def speeds(model, train, given):
    """For each scheme the share of padding, and training texts per second in each round."""
    prepared = {scheme: [*batches_of(scheme, *train)] for scheme in SCHEMES}

    def epoch(batches):
        def run():
            for inputs, labels in batches:
                model.train_on_batch(inputs, labels)
            return len(train[0])

        return run

    runs = {scheme: epoch(batches) for scheme, batches in prepared.items()}
    runs["all"]()  # compiles
    rates = harness.measure_rates(runs, given.rounds)
    return {
        scheme: {
            "padding": round(float(padding_share(batches)), 4),
            "texts_per_second": [round(rate) for rate in rates[scheme]],
        }
        for scheme, batches in prepared.items()
    }


def measure(given):
    """All numbers."""
    train, test = (
        [texts[: given.texts], labels[: given.texts]] for texts, labels in load_reviews(given.vocabulary)
    )
    accuracy, time, model = accuracies(train, test, given)
    return {
        "time": time,
        "median_length": statistics.median(map(len, test[0])),
        "accuracy": accuracy,
        "changes": changes(model, test[0][: given.alone], given.units),
        "speed": speeds(model, train, given),
    }


# === Report ===


def table(results):
    """The tables in Markdown."""
    lines = ["| trained | tested with a mask | tested without |", "|---|---:|---:|"]
    for trained, title in (("mask", "with a mask"), ("none", "without")):
        cells = [spread(results["accuracy"][f"{trained}/{tested}"], "{:.3f}") for tested in ("mask", "none")]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    lines += ["", "| batches | padding | texts/s | ÷ the first |", "|---|---:|---:|---:|"]
    first = statistics.median(results["speed"]["all"]["texts_per_second"])
    for scheme, figures in results["speed"].items():
        rates = figures["texts_per_second"]
        ratio = statistics.median(rates) / first
        lines.append(
            f"| {SCHEMES[scheme]} | {figures['padding']:.0%} | {spread(rates, '{:,.0f}')} | {ratio:.2f} |"
        )
    return "\n".join(lines)


def spread(values, form):
    """The median with the range."""
    low, high = form.format(min(values)), form.format(max(values))
    return form.format(statistics.median(values)) + (f" ({low}–{high})" if low != high else "")


def draw(results, path):
    """Draw the changes against the steps of padding, and accuracies."""
    from textrnn.reporting.figures import make_figure, save_figure

    figure = make_figure(9.6, 3.8)
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    colors = ("#D55E00", "#E69F00", "#CC79A7", "#009E73")
    for (name, kinds), color in zip(results["changes"].items(), colors, strict=True):
        left.plot(PADDING, kinds["none"], color=color, marker="o", markersize=4, label=f"{name}, no mask")
    most = np.max([kinds["mask"] for kinds in results["changes"].values()], axis=0)
    left.plot(
        PADDING, np.maximum(most, 1e-8), color="#0072B2", marker="s", markersize=4,
        label="all four, with a mask (the largest)",
    )  # fmt: skip
    left.set_xscale("log", base=2)
    left.set_yscale("log")
    left.set_xticks(PADDING, map(str, PADDING))
    left.set_ylim(1e-8, 10)
    left.set(xlabel="steps of padding after the text", ylabel="change of its vector ÷ the vector (norms)")
    left.legend(frameon=False, fontsize=8, loc="center right")
    groups = {
        "mask/mask": "mask,\nmask",
        "mask/none": "mask,\nnone",
        "none/mask": "none,\nmask",
        "none/none": "none,\nnone",
    }
    for place, key in enumerate(groups):
        values = [100 * value for value in results["accuracy"][key]]
        color = "#0072B2" if key == "mask/mask" else "#D55E00"
        right.plot([place] * len(values), values, "o", color=color, alpha=0.7)
        right.plot([place - 0.2, place + 0.2], [statistics.median(values)] * 2, color=color)
    right.axhline(50, color="#AAAAAA", linewidth=0.8)
    right.annotate(
        "guessing", (-0.4, 50), xytext=(0, 3), textcoords="offset points", fontsize=8, color="#555555"
    )
    right.set_xticks(range(len(groups)), groups.values())
    right.set(xlim=(-0.5, 3.5), ylim=(45, 100), xlabel="in training, in the test", ylabel="accuracy (%)")
    harness.style(left, right, grid="y")
    save_figure(figure, path)


def main(arguments=None):
    options = {
        "units": (32, "units of each direction"),
        "vocabulary": (1000, "tokens of the vocabulary"),
        "texts": (5000, "most texts of each part"),
        "epochs": (8, "epochs"),
        "rate": (0.005, "learning rate"),
        "alone": (32, "texts that are read alone"),
        "rounds": (5, "rounds of the speed"),
        "seeds": ([0, 1, 2], "seeds"),
    }
    quick = {"units": 4, "texts": 64, "epochs": 1, "alone": 2, "rounds": 1, "seeds": [0]}
    harness.run_study(__file__, __doc__, options, measure, table, draw, quick, arguments)


if __name__ == "__main__":
    main()

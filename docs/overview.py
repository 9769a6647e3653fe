"""Draws docs/overview.png, the picture in README, from the starter models of the three recipes.

make demo
python recipes/sentiment.py --name reviews
python recipes/translation.py --name starter
python docs/overview.py
"""

import csv
from pathlib import Path

import matplotlib
import numpy as np

from textrnn.startup import load_tensorflow

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

MODELS = Path("saved_models")
REVIEW = "The soup was cold, but I would go there again."
PHRASE = "thirteen minutes to three in the morning"
BLUE, ORANGE, GREY, INK = "#2f6fb7", "#d9822b", "#8a8f98", "#20242b"
STAGES = [
    ("your text", "documents, labelled texts\nor pairs of sentences", "my_novel.txt"),
    ("a recipe", "tokenizer + any of 27 cells,\nor one of your own", "recipes/text_generation.py"),
    ("a SavedModel", "tokenizer, network and\ndecoding in one graph", "saved_models/novel/1"),
    ("text in, text out", "TF Serving, Python\nor the command line", "textrnn generate"),
]


def main():
    """Load the three models, ask them, and draw their answers."""
    load_tensorflow()
    figure = plt.figure(figsize=(12, 5.4), dpi=160)
    rows = figure.add_gridspec(2, 1, height_ratios=[1, 2.1], left=0.02, right=0.98, top=0.98, bottom=0.02)
    draw_stages(figure.add_subplot(rows[0]))
    panels = figure.add_gridspec(
        1, 3, left=0.055, right=0.985, top=0.58, bottom=0.13, wspace=0.33, width_ratios=[1, 1, 1.1]
    )
    draw_curve(figure.add_subplot(panels[0]))
    draw_explanation(figure.add_subplot(panels[1]))
    draw_attention(figure.add_subplot(panels[2]))
    figure.savefig(Path(__file__).with_name("overview.png"))


def draw_stages(axes):
    """Boxes with arrows from text to server."""
    axes.set(xlim=(0, 4), ylim=(0, 1))
    axes.axis("off")
    for place, (title, what, name) in enumerate(STAGES):
        box = FancyBboxPatch(
            (place + 0.08, 0.1), 0.78, 0.82, boxstyle="round,pad=0.02,rounding_size=0.04", mutation_aspect=3,
            facecolor="#eef3fa", edgecolor=BLUE, linewidth=1.2,
        )  # fmt: skip
        axes.add_patch(box)
        middle = place + 0.47
        axes.text(middle, 0.77, title, ha="center", va="center", fontsize=13, weight="bold", color=INK)
        axes.text(middle, 0.49, what, ha="center", va="center", fontsize=9.5, color=INK)
        axes.text(middle, 0.19, name, ha="center", va="center", fontsize=9, color=BLUE, family="monospace")
        if place:
            axes.annotate(
                "",
                (place + 0.06, 0.5),
                (place - 0.12, 0.5),
                arrowprops={"arrowstyle": "-|>", "color": GREY, "lw": 2},
            )


def draw_curve(axes):
    """The learning curve of the language model, and what it writes."""
    with open(MODELS / "demo" / "report" / "history.csv", encoding="utf-8") as file:
        history = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in history]
    for name, label, colour in (("loss", "training", GREY), ("val_loss", "validation", BLUE)):
        axes.plot(epochs, [float(row[name]) for row in history], color=colour, label=label, marker=".")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss, nats per token")
    axes.legend(frameon=False)
    finish(axes, "Generate: a learning curve")


def draw_explanation(axes):
    """What each word adds to the log-odds of the predicted label."""
    answer = ask("reviews", "explain", text=[REVIEW])
    label, weights = answer["label"][0].decode(), answer["weights"][0]
    words = [word.decode() for word in answer["words"][0]]
    places = np.arange(len(words))[::-1]
    axes.barh(places, weights, color=[BLUE if weight > 0 else ORANGE for weight in weights], height=0.7)
    axes.set_yticks(places, words)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlabel(f"added to the log-odds of “{label}”")
    finish(axes, "Classify: why this label")


def draw_attention(axes):
    """Where the translator looks while it writes each token."""
    answer = ask(
        "starter", "translate", text=[PHRASE], num_beams=[5], length_penalty=[-1.0], max_new_tokens=[-1]
    )
    tokens, source = (
        [token.decode().replace("▁", " ").strip() or "␣" for token in tokens if token]
        for tokens in (answer["tokens"][0, 0], answer["source_tokens"][0])
    )
    tokens, source = (["end" if token == "</s>" else token for token in side] for side in (tokens, source))
    axes.imshow(answer["attention"][0, 0, : len(tokens), : len(source)], cmap="Blues", vmin=0, aspect="auto")
    axes.set_xticks(range(len(source)), source, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(tokens)), tokens)
    finish(axes, "Translate: attention")


def ask(name, signature, **inputs):
    """The outputs of a model's signature, as arrays."""
    import tensorflow as tf

    from textrnn.serving.saved_model import load_signatures

    function = load_signatures(MODELS / name)[signature]
    dtypes = {key: spec.dtype for key, spec in function.structured_input_signature[1].items()}
    outputs = function(**{key: tf.constant(value, dtypes[key]) for key, value in inputs.items()})
    return {key: value.numpy() for key, value in outputs.items()}


def finish(axes, title):
    """The title and the looks that all panels share."""
    axes.set_title(title, loc="left", fontsize=11, weight="bold", color=INK)
    axes.tick_params(labelsize=8.5, length=2)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()

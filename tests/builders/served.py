"""A small model of each task as SavedModels, and texts to send to them."""

import random

from builders import tasks
from builders.exporting import export_unchecked

MAKERS = {"novel": tasks.language_model, "sentiment": tasks.classifier, "phrases": tasks.translator}
PIECES = [
    *'ab .?!\n\t"\\\x00\u200d\ufeff\u2028\U0010ffffﬁİ',
    "the cat",
    "It was",
    "</p>",
    "%s",
    "-1e9",
    "naïve",
    "Straße",
    "e\u0301",
    "日本語",
    "مرحبا",
    "👩\u200d🚀",
]


def save_models(folder):
    """Export an untrained model of each task, and return a dict from their names to their folders."""
    for name, make in MAKERS.items():
        export_unchecked(make(), folder / name)
    return {name: folder / name for name in MAKERS}


def make_texts(count, seed=0):
    """Texts of all kinds, some of them empty, some with thousands of characters."""
    rng = random.Random(seed)
    sizes = [0, 1, 2, 5, 20, 60]
    texts = ["".join(rng.choices(PIECES, k=rng.choice(sizes))) for _ in range(count)]
    for place in range(0, count, 250):
        texts[place] = "".join(rng.choices(PIECES, k=600))
    return texts

"""Measure how often single lines are called unlike the vocabulary of a starter model.

    TEXTRNN_DATA=DATA python benchmarks/unfamiliar.py

`DATA/corpora/LANGUAGE/SOURCE.txt.xz` are the lines. In a table, each row is a source, each column a starter
model: the share of the source's lines of at least 20 characters that its vocabulary calls unfamiliar, and the
share of the shorter ones. It should be low in the source's own language and high in others.
"""

import argparse
import lzma
import os
import random
from pathlib import Path

SHORT = 20
MODELS = ("english", "french", "german", "spanish")


def lines_of(path, count, characters):
    """Some lines of a text, chosen at random, cut at a length."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        lines = [line.strip()[:characters] for line in file.read(5_000_000).split("\n") if line.strip()]
    return random.Random(0).sample(lines, min(count, len(lines)))


def shares(tokenizer, lines):
    """The shares of unfamiliar lines, of longer and of shorter ones, as a cell of the table."""
    longer = [line for line in lines if len(line) >= SHORT]
    shorter = [line for line in lines if len(line) < SHORT]
    return f"{share(tokenizer, longer)} / {share(tokenizer, shorter)}"


def share(tokenizer, lines):
    """The share of unfamiliar lines in percent; a dash for few lines."""
    return f"{tokenizer.is_unfamiliar(lines).numpy().mean():.0%}" if len(lines) >= 10 else "–"


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lines", type=int, default=1000, help="lines of a source")
    parser.add_argument("--characters", type=int, default=200, help="length at which lines are cut")
    given = parser.parse_args()
    from textrnn.errors import expect
    from textrnn.presets import load_preset

    paths = sorted(Path(os.environ.get("TEXTRNN_DATA", ""), "corpora").glob("*/*.txt.xz"))
    expect(paths, "no corpora/LANGUAGE/SOURCE.txt.xz: set TEXTRNN_DATA to the folder that contains corpora")
    tokenizers = [load_preset(name).preprocessor.tokenizer for name in MODELS]
    print(f"| source | {' | '.join(MODELS)} |\n|---|{'---|' * len(MODELS)}")
    for path in paths:
        lines = lines_of(path, given.lines, given.characters)
        cells = " | ".join(shares(tokenizer, lines) for tokenizer in tokenizers)
        print(f"| {path.parent.name}/{path.name.partition('.')[0]} | {cells} |", flush=True)


if __name__ == "__main__":
    main()

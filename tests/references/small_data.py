"""Small files under the names that the pages use, and commands with small options for recipes."""

import gzip
import random
import sys

SMALL = {
    "text_generation": "--epochs 1 --units 8 --batch_size 2 --sequence_length 16 --max_new_tokens 8",
    "sentiment": "--epochs 1 --units 4 --embedding_dim 4 --ngram_buckets 256 $scratch",
    "translation": "--epochs 1 --units 4 --decoder_units 4 --embedding_dim 4 --batch_size 16 --average 1",
}


def write(folder):
    """Writes the files that stand for a reader's own."""
    draw = random.Random(0)
    words = ["it", "was", "a", "night", "of", "rain", "and", "the", "old", "house", "by", "the", "sea"]

    def sentence():
        return " ".join(draw.choices(words, k=8)).capitalize() + "."

    for name in ("my_novel.txt", "sequel.txt"):
        (folder / name).write_text("\n".join(sentence() for _ in range(300)) + "\n")
    rows = [(f"{sentence()} {'A joy' if i % 2 else 'Dull'}!", "good" if i % 2 else "bad") for i in range(80)]
    table = "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows)
    for name in ("reviews.csv", "more_reviews.csv"):
        (folder / name).write_text(table)
    (folder / "texts.txt").write_text("".join(f"{text}\n" for text, _ in rows[:5]))
    pairs = [(text, " ".join(reversed(text.split()))) for text in (sentence() for _ in range(120))]
    (folder / "pairs.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in pairs))
    for name, side in (("train.en.gz", 0), ("train.de.gz", 1)):
        with gzip.open(folder / name, "wt") as file:
            file.writelines(f"{pair[side]}\n" for pair in pairs)


def programs(folder):
    """Writes `python` and `textrnn` to a folder and returns it; recipes get small options, which win."""
    folder.mkdir()
    of_recipe = "".join(f'  *{name}*) small="{options}" ;;\n' for name, options in SMALL.items())
    choose = 'case "$*" in *from_*) scratch= ;; *) scratch=--from_scratch ;; esac\n'
    choose += f'small=\ncase "$RECIPE" in\n{of_recipe}esac\n'
    scripts = {
        "python": f'case "$1" in recipes/*) RECIPE=$1 ;; esac\n{choose}exec {sys.executable}',
        "textrnn": f'if [ "$1" = recipe ]; then RECIPE=$2; fi\n{choose}exec {sys.executable} -m textrnn',
    }
    for name, script in scripts.items():
        (folder / name).write_text(f'#!/bin/sh\n{script} "$@" $small\n')
        (folder / name).chmod(0o755)
    return folder

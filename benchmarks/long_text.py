"""Measure the memory of training on texts of different sizes.

    python benchmarks/long_text.py --output benchmarks/results
    python benchmarks/long_text.py --quick

For each size, a text is made of the lines of the starter corpus in random order, or of those of `--source`.
Two processes train the default model of the text generation recipe on it, one after the other: the first
reads, splits and tokenizes the text, and the second finds the files of the first. Each evaluates some windows
of the validation text at its end.

A row is the peak resident memory of a process, `VmHWM` of Linux, which includes pages of mapped files, or a
time. The texts and the cache are in a temporary folder. The peak of the processes that make the texts does
not count.
"""

import argparse
import itertools
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness

RECIPE = harness.CHECKOUT / "recipes" / "text_generation.py"


def make_text(path, megabytes, source, seed):
    """Write a text of so many megabytes: the lines of a text, drawn at random.

    Args:
        path: The file to write.
        megabytes: Its size, in millions of bytes.
        source: A text file, or None for the starter corpus.
        seed: Seed of the order.
    """
    import numpy as np

    from textrnn.data.sources import load_texts

    documents = load_texts(source, held_out=0.01).train
    lines = [f"{line}\n".encode() for document in documents for line in document.text.split("\n") if line]
    random, left = np.random.default_rng(seed), megabytes * 1_000_000
    with open(path, "wb") as file:
        while left > 0:
            block = b"".join(lines[row] for row in random.integers(len(lines), size=10_000))[:left]
            left -= file.write(block)


def train(path, steps):
    """Train on a text as the recipe does, but for a few steps, and print the seconds of each part."""
    from textrnn.startup import load_tensorflow

    load_tensorflow()

    from textrnn.data.sources import load_texts
    from textrnn.data.stored_texts import count_characters
    from textrnn.text_generation import evaluation
    from textrnn.text_generation.text_windows import text_windows

    recipe = runpy.run_path(str(RECIPE))
    times = [time.perf_counter()]

    def lap(value):
        times.append(time.perf_counter())
        return value

    texts = lap(load_texts(path))
    options = recipe["Options"](data=path).by_size(count_characters(texts.train))
    lm = lap(recipe["new_model"](options, texts.train))
    windows = lap(text_windows(lm, texts, options.batch_size, options.sequence_length))
    data = windows.train
    lm.compile()
    history = lm.fit(data, epochs=1, steps_per_epoch=min(steps, len(data)), verbose=0).history
    evaluation.score_language_model(lm, windows.validation.take(steps), windows.characters)
    lap(history)
    seconds = [b - a for a, b in itertools.pairwise(times)]
    found = {
        "read and split": seconds[0],
        "train the tokenizer": seconds[1],
        "tokenize": seconds[2],
        f"train for {steps} steps": seconds[3],
        "peak": harness.peak_memory(),
        "tokens": len(windows.train_tokens) + len(windows.validation_tokens),
        "loss": history["loss"][-1],
    }
    print(json.dumps(found))


def measure(sizes, steps, source, seed):
    """Yield the size, the number of the process, and what `train` prints, for each process."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "TEXTRNN_CACHE": str(Path(folder, "cache"))}
        for size in sizes:
            path = Path(folder, "text.txt")
            make_text(path, size, source, seed)
            for run in (1, 2):
                harness.log(f"{size} MB, process {run}")
                command = [sys.executable, __file__, "--worker", str(path), "--steps", str(steps)]
                done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                yield size, run, json.loads(done.stdout.splitlines()[-1])


def report(found):
    """A Markdown table: a row for each figure, and a column for each process."""
    titles = [f"{size:,} MB" + (", again" if run == 2 else "") for size, run, _ in found]
    lines = [f"| | {' | '.join(titles)} |", f"|---|{'---:|' * len(found)}"]
    for name in found[0][2]:
        unit = {"peak": "peak memory, MB", "tokens": "tokens", "loss": "loss"}.get(name, f"{name}, s")
        digits = 0 if name in ("peak", "tokens") else 1
        cells = [f"{each[name]:,.{digits}f}" for *_, each in found]
        lines.append(f"| {unit} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main():
    """Run the benchmark, or train in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--megabytes", type=harness.positive, nargs="+", metavar="N", help="sizes (default: 100 1000)")
    add("--steps", type=harness.positive, metavar="N", help="training steps (default: 300)")
    add("--source", type=Path, metavar="PATH", help="text whose lines are used (default: starter corpus)")
    add("--seed", type=int, default=0, metavar="N", help="seed of the texts (default: 0)")
    add("--quick", action="store_true", help="tiny sizes, to try the command")
    add("--output", type=Path, metavar="PATH", help="folder for long_text.json and .md")
    add("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    steps = given.steps or (5 if given.quick else 300)
    if given.worker:
        return train(given.worker, steps)
    sizes = given.megabytes or ([1, 18] if given.quick else [100, 1000])
    facts = {"commit": harness.commit(), **harness.environment(given.seed, rounds=1)}
    found = list(measure(sizes, steps, given.source, given.seed))
    table = report(found) + f"\n{harness.listed(facts)}\n"
    print(table, end="")
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "long_text.md").write_text(table, encoding="utf-8")
        results = [{"megabytes": size, "process": run, **figures} for size, run, figures in found]
        text = json.dumps({"environment": facts, "results": results}, indent=1)
        (given.output / "long_text.json").write_text(text + "\n", encoding="utf-8")
    return None


if __name__ == "__main__":
    main()

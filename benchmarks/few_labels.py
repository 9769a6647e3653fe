r"""Train classifiers on few and many labelled texts, from a language model and from random weights.

    python benchmarks/few_labels.py --dataset imdb --labels 100 500 2000 0 --seeds 0 1 2 \
        --output benchmarks/results
    python benchmarks/few_labels.py --dataset imdb --labels 100 --unlabelled

Each run is one of the sentiment recipe, on so many labelled texts of the training set, drawn at random; 0 is
all of them, with the first seed alone. The recipe holds out a tenth of them for validation. SST-2 is scored
on its validation texts, and IMDB on 5,000 texts of its training set, which no run learns from. With
`--unlabelled` the language model also reads the other texts of the training set.

A run with each start gives the accuracy of the model, of its network alone, of its n-grams alone and of the
TF-IDF baseline. Each run is a line of `few_labels.jsonl`. A run that has a line is not run again.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness

RECIPE = harness.CHECKOUT / "recipes" / "sentiment.py"
HELD_OUT = 5000


def load(dataset):
    """The texts to draw from, and those to score on."""
    from textrnn.data.sources import load_labelled_texts

    found = load_labelled_texts(None, None if dataset == "starter" else dataset, 0.1)
    train = [*found.train, *found.validation]
    if dataset != "imdb":
        return train, [*found.test]
    random.Random(0).shuffle(train)
    return train[HELD_OUT:], train[:HELD_OUT]


def write(path, examples):
    """Write labelled texts as a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        rows.writerows((example.text, example.label) for example in examples)


def run(train, test, start, unlabelled, seed, options):
    """Run the recipe, and return its scores."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "train.csv", train)
        write(folder / "test.csv", test)
        arguments = ["--data", folder / "train.csv", "--test_data", folder / "test.csv", "--seed", seed]
        arguments += ["--output", folder, "--name", "model", *start, *options]
        if unlabelled:
            write(folder / "more.csv", unlabelled)
            arguments += ["--unlabelled", folder / "more.csv"]
        begin = time.perf_counter()
        subprocess.run([sys.executable, str(RECIPE), *map(str, arguments)], check=True, cwd=harness.CHECKOUT)
        report = (folder / "model" / "report" / "metrics.json").read_text("utf-8")
    metrics = json.loads(report)["metrics"]
    names = {
        "model": "test", "network": "test_network_alone", "n-grams": "test_n-grams_alone",
        "TF-IDF": "tfidf_baseline",
    }  # fmt: skip
    scores = {name: round(metrics[key]["accuracy"], 4) for name, key in names.items() if key in metrics}
    return scores | {"seconds": round(time.perf_counter() - begin)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="english", help="the language model (default: english)")
    parser.add_argument("--dataset", choices=["sst2", "imdb", "starter"], required=True)
    parser.add_argument("--labels", nargs="+", type=int, default=[100, 500, 2000, 0], help="0 for all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--starts", nargs="+", choices=["preset", "scratch"], default=["preset", "scratch"])
    parser.add_argument("--unlabelled", action="store_true", help="the language model reads the other texts")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="further ones of the recipe")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the lines")
    given = parser.parse_args()

    file = given.output / "few_labels.jsonl"
    given.output.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    texts, test = load(given.dataset)
    for labels in given.labels:
        for seed in given.seeds if labels else given.seeds[:1]:
            drawn = random.Random(seed).sample(range(len(texts)), labels or len(texts))
            chosen = [texts[row] for row in drawn]
            for start in given.starts:
                others = []
                if given.unlabelled and start == "preset":
                    others = [texts[row] for row in sorted({*range(len(texts))} - {*drawn})]
                key = {
                    "dataset": given.dataset, "labels": labels, "seed": seed, "unlabelled": bool(others),
                    "start": given.preset if start == "preset" else "scratch", "options": given.options,
                }  # fmt: skip
                if any(key.items() <= row.items() for row in rows):
                    continue
                option = ["--from_preset", given.preset] if start == "preset" else ["--from_scratch"]
                rows.append(key | run(chosen, test, option, others, seed, given.options))
                rows[-1] |= {"commit": harness.commit(), "cpu": harness.environment(0, 1)["cpu"]}
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(rows[-1]) + "\n")
                print(json.dumps(rows[-1]), flush=True)


if __name__ == "__main__":
    main()

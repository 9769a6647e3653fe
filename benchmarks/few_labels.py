r"""Train classifiers on few and many labelled texts, from a starter model and from random weights.

    python benchmarks/few_labels.py --dataset imdb --labels 100 500 2000 0 --seeds 0 1 2 \
        --output benchmarks/results
    python benchmarks/few_labels.py --dataset imdb --labels 100 --unlabelled
    python benchmarks/few_labels.py --dataset imdb --labels 100 --preset sentiment --starts preset
    python benchmarks/few_labels.py --plot docs/few_labels.png

Each run is one of the sentiment recipe, on so many labelled texts of the training set, drawn at random; 0 is
all of them, with the first seed alone. The recipe holds out a tenth of them for validation, or 30 of 100.
SST-2 is scored on its validation texts, and IMDB on 5,000 fixed texts of its training set, which no run
learns from. With `--unlabelled` the language model also reads the other texts of the training set. One that
was adapted to them once, `--preset saved_models/imdb_lm --options --adapt_epochs 0`, saves that for each run.

A run with each start gives the accuracy of the model, of its network alone, of its n-grams alone and of the
TF-IDF baseline. Each run is a line of `few_labels.jsonl`. A run that has a line is not run again. `--plot`
draws these lines, and trains nothing.
"""

import argparse
import csv
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness

RECIPE = harness.CHECKOUT / "recipes" / "sentiment.py"
TITLES = {"sst2": "SST-2", "imdb": "IMDB", "starter": "starter reviews"}
CURVES = (
    ("from sentiment", "sentiment", "model", "#CC79A7", "D", "-"),
    ("its network alone", "sentiment", "network", "#CC79A7", "D", ":"),
    ("from a language model", "language model", "model", "#0072B2", "o", "-"),
    ("its network alone", "language model", "network", "#0072B2", "o", ":"),
    ("from random weights", "scratch", "model", "#D55E00", "s", "-"),
    ("its network alone", "scratch", "network", "#D55E00", "s", ":"),
    ("n-grams alone", "scratch", "n-grams", "#009E73", "^", "-"),
    ("TF-IDF", "scratch", "TF-IDF", "#555555", "x", "-"),
)
"""Curves: name, kind of start, score, a colour of Okabe and Ito's palette, marker and line."""


def load(dataset):
    """The texts to draw from, and those to score on."""
    from textrnn.data.sources import load_labelled_texts

    found = load_labelled_texts(None, None if dataset == "starter" else dataset, 0.1)
    return [*found.train, *found.validation], [*found.test]


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


def points(rows, dataset, kind, score):
    """The accuracies of a curve: `{number of labels: those of the seeds}`."""
    found = {}
    for row in rows:
        start = row["start"] if row["start"] in ("scratch", "sentiment") else "language model"
        if (row["dataset"], start) == (dataset, kind) and score in row:
            found.setdefault(row["labels"] or row["texts"], []).append(row[score])
    return dict(sorted(found.items()))


def draw(rows, path):
    """Plot accuracy against the number of labels: the mean of the seeds, with bars for their range."""
    from textrnn.reporting.figures import make_figure, save_figure

    datasets = [name for name in TITLES if any(row["dataset"] == name for row in rows)]
    figure = make_figure(3.8 * len(datasets) + 0.6, 4.2)
    panels = figure.subplots(1, len(datasets), squeeze=False, sharey=True)[0]
    for axis, dataset in zip(panels, datasets, strict=True):
        for name, kind, score, color, marker, line in CURVES:
            found = points(rows, dataset, kind, score)
            means = [statistics.fmean(values) for values in found.values()]
            errors = [
                [mean - min(values) for mean, values in zip(means, found.values(), strict=True)],
                [max(values) - mean for mean, values in zip(means, found.values(), strict=True)],
            ]
            style = {"color": color, "marker": marker, "linestyle": line, "markersize": 5, "capsize": 3}
            axis.errorbar([*found], means, errors, label=name, **style)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.set_title(TITLES[dataset], fontsize=10)
        axis.set_xlabel("labelled texts")
        harness.style(axis)
    panels[0].set_ylabel("accuracy")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    save_figure(figure, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--preset", default="english", help="a language model or sentiment (default: english)"
    )
    parser.add_argument("--dataset", choices=[*TITLES])
    parser.add_argument("--labels", nargs="+", type=int, default=[100, 500, 2000, 0], help="0 for all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--starts", nargs="+", choices=["preset", "scratch"], default=["preset", "scratch"])
    parser.add_argument("--unlabelled", action="store_true", help="the language model reads the other texts")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="further ones of the recipe")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the lines")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the lines that there are")
    given = parser.parse_args()
    if not given.plot and not given.dataset:
        parser.error("give --dataset, or --plot")
    if given.unlabelled and given.preset == "sentiment":
        parser.error("--unlabelled: texts without labels are for a language model")

    file = given.output / "few_labels.jsonl"
    given.output.mkdir(parents=True, exist_ok=True)
    rows = harness.read_records(file)
    if given.plot:
        draw(rows, given.plot)
        return
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
                    "texts": len(texts),
                }  # fmt: skip
                if any(key.items() <= row.items() for row in rows):
                    continue
                option = ["--from_preset", given.preset] if start == "preset" else ["--from_scratch"]
                rows.append(key | run(chosen, test, option, others, seed, given.options))
                rows[-1] |= {"commit": harness.commit(), "cpu": harness.environment(0, 1)["cpu"]}
                harness.append(file, rows[-1])
                print(json.dumps(rows[-1]), flush=True)


if __name__ == "__main__":
    main()

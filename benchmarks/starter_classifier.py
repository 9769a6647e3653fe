r"""Turn a trained classifier into a starter model: compressed weights, accuracy on other texts, and a card.

    python benchmarks/starter_classifier.py saved_models/sentiment --language_model english \
        --sources reviews.md --datasets starter sst2 imdb --texts "I loved it." "The soup was cold."

It writes `textrnn/starters/NAME/`. The figures are those of the stored weights, rounded and compressed.
`--sources` is a Markdown table, which the card quotes. The labels of a data set begin as `positive` and
`negative` do.
"""

import argparse
from pathlib import Path

from starter_model import starter_from
from textrnn.cli.process import run

CARD = """# {name}

English sentiment classifier: {labels}; from the language model {language_model}, with n-grams

```sh
textrnn classify {name} --text "I loved every minute of it."
textrnn export {name}
```

## Data

{sources}

The weights and the vocabulary are shipped, not the texts. The weights are licensed as textrnn is.

## Training

`{command}`, commit {commit}, {minutes:.0f} minutes after {language_model} had been adapted to the texts.

## Figures

Of {held_out:,} texts that were held out from its data it is right for {accuracy:.3f}; its network
alone for {network:.3f}, its n-grams alone for {ngrams:.3f}. None of the following texts was trained on.

| texts | number | accuracy | calibration error |
|---|---:|---:|---:|
{figures}

## Limits

It judges reviews of films, products and services. Of other texts, such as news, letters and posts, it finds
words of praise and blame, whoever they are about. It has no class for neutral texts: a probability near 0.5
means that it does not know. Irony and comparisons mislead it. Do not use it to judge people.

## Samples

| text | label | probability |
|---|---|---:|
{samples}
"""


def score(classifier, dataset):
    """The number of test texts of a data set, and the score on them."""
    import numpy as np

    from textrnn.classification.evaluation import predict_probabilities, score_predictions
    from textrnn.data.sources import load_labelled_texts

    found = load_labelled_texts(dataset=None if dataset == "starter" else dataset)
    starts = [label[:3] for label in classifier.labels]
    targets = np.array([starts.index(example.label[:3]) for example in found.test])
    probabilities = predict_probabilities(classifier, [example.text for example in found.test])
    return len(targets), score_predictions(targets, probabilities)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="Folder of the trained model")
    parser.add_argument("--language_model", required=True, help="What it started from")
    parser.add_argument("--sources", type=Path, required=True, help="Table of the sources and their licences")
    parser.add_argument("--datasets", nargs="*", default=[], help="Sets to score it on: starter, sst2, imdb")
    parser.add_argument("--texts", nargs="+", required=True, help="Texts of the samples")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "textrnn" / "starters")
    parser.add_argument("--commit", help="that of the training (default: the current one)")
    given = parser.parse_args()

    from textrnn.classification.evaluation import predict_probabilities

    name = given.model.name
    folder, classifier, metrics, commit = starter_from(given.model, given.output, given.commit)
    figures = []
    for dataset in given.datasets:
        count, found = score(classifier, dataset)
        figures.append(f"| {dataset} | {count:,} | {found.accuracy:.3f} | {found.calibration_error:.3f} |")
    samples = []
    for text, probabilities in zip(given.texts, predict_probabilities(classifier, given.texts), strict=True):
        label = classifier.labels[probabilities.argmax()]
        samples.append(f"| {text} | {label} | {probabilities.max():.2f} |")
    card = CARD.format(
        name=name,
        labels=" or ".join(classifier.labels),
        language_model=given.language_model,
        sources=given.sources.read_text("utf-8").strip(),
        command=f"python recipes/sentiment.py --config recipes/configs/{name}.yaml",
        commit=commit,
        minutes=metrics["training_seconds"] / 60,
        held_out=metrics["test"]["texts"],
        accuracy=metrics["test"]["accuracy"],
        network=metrics["test_network_alone"]["accuracy"],
        ngrams=metrics["test_n-grams_alone"]["accuracy"],
        figures="\n".join(figures),
        samples="\n".join(samples),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(folder)


if __name__ == "__main__":
    run(main)

r"""Turn a trained language model into a starter model: compressed weights, figures, samples and a card.

    python benchmarks/starter_model.py saved_models/english --language English \
        --sources corpora/SOURCES.md corpora/SOURCES.tsv --texts wikitext-2 shakespeare \
        --prompts "The old house" "This chapter"

It writes `textrnn/starters/NAME/`. The figures are those of the stored weights, rounded and compressed.
"""

import argparse
import json
import re
import shutil
from pathlib import Path

import yaml

import harness
from textrnn.cli.process import run
from textrnn.errors import expect

CARD = """# {name}

{language} language model: {cell}, {units} units, {weights:.1f} million weights, {vocabulary:,} subwords

Made to be adapted to a text of your own, and as the start of a classifier:

```sh
textrnn recipe text_generation --from_preset {name} --data my_text.txt --name mine
textrnn generate {name} --prompt "{prompt}"
```

## Data

Read in an epoch as often as *times* says; of each source {held_out:.0%} was held out.

| source | times | what | licence | bits per character |
|---|---:|---|---|---:|
{sources}

{origins}

The weights and the vocabulary are shipped, not the texts. The weights are licensed as textrnn is.

## Training

{training}

## Figures

| text | bits per character |
|---|---:|
{figures}

## Limits

A small recurrent model writes plausible sentences and no facts. Most of its texts are old novels, whose
language and views it repeats, prejudice included. Do not use it where a wrong or offensive sentence
does harm.

## Samples

{samples}
"""


def starter_from(model, output, commit=None):
    """Copy the preset of a trained model to the starter models, with its weights compressed.

    Args:
        model: The folder of the model.
        output: The folder of the starter models.
        commit: That of the training; None for the current one.

    Returns:
        The new preset, its task, the metrics of its training, and the commit.

    Raises:
        InputError: If there is a starter model of that name, or no trained model.
    """
    folder = output / model.name
    expect(not folder.exists(), f"{folder} exists already: remove it, or give another --output")
    expect(
        (model / "preset" / "task.json").is_file() and (model / "report" / "metrics.json").is_file(),
        f"{model} has no trained model: give the folder of one, with its preset/ and report/",
    )
    from textrnn.presets import load_preset
    from textrnn.presets.compressed import compress_weights

    shutil.copytree(model / "preset", folder)
    compress_weights(folder)
    metrics = json.loads((model / "report" / "metrics.json").read_text("utf-8"))["metrics"]
    return folder, load_preset(folder), metrics, commit or harness.commit()


def described_training(name, metrics, commit):
    """A line of Markdown about the command of a training and its time."""
    seconds, speed = metrics["training_seconds"], metrics["training_tokens_per_second"]
    device = metrics.get("training_device")
    if device is None:
        command = f"python recipes/text_generation.py --config recipes/configs/{name}.yaml"
        return f"`{command}`, commit {commit}, {seconds / 3600:.1f} hours, {speed:,.0f} tokens a second."
    return (
        f"`python benchmarks/pretrain.py train pretraining/{name}` with JAX on one {device}, "
        f"commit {commit}: {metrics['training_epochs']:.1f} epochs in {seconds / 60:.1f} minutes, "
        f"{speed / 1e6:.2f} million tokens a second. The config is `recipes/configs/{name}.yaml`."
    )


def described(path, sources):
    """The columns "what" and "licence" of a source in a table of sources."""
    name = "/".join(Path(path).parts[-2:])
    row = next(line for line in sources.splitlines() if line.startswith(f"| {name} |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    return cells[3], cells[4].partition(";")[0]


def origins(path, table):
    """Where a source is from: its repositories at their commits, with their licences.

    Args:
        path: The file, `LANGUAGE/NAME.txt.xz`.
        table: Lines of fields that tabs separate: `NAME` or `NAME-LANGUAGE`, a file if there are several,
            the repository, its commit and the licence.

    Returns:
        A line of Markdown.
    """
    language, name = Path(path).parts[-2], Path(path).name.partition(".")[0]
    fields = [line.split("\t") for line in table.splitlines()]
    rows = ["\t".join(row[1:]) for row in fields if row[0] in (name, f"{name}-{language}")]
    place = r"([\w-]+/[\w.-]+(?=[\t ][\da-f]{40})|Debian package [\w-]+)"  # a path may precede other numbers
    commit, licence = r"([\da-f]{40}|[\d.]+)", r"([A-Z][^\t\n]*|public[^\t\n]*)"
    found = re.findall(rf"{place}[\t ]{commit}(?:\t{licence})?", "\n".join(rows))
    licences = {}
    for repository, commit, licence in found:
        licences.setdefault(f"{repository} at {commit[:12]}", {})[licence] = None
    if len(licences) > 12:
        return f"- {name}: {len(licences)} repositories of {found[0][0].partition('/')[0]}"
    described = (f"{place} ({', '.join(licences[place])})".replace(" ()", "") for place in licences)
    return f"- {name}: {'; '.join(described)}"


def score(lm, dataset):
    """Bits per character on the validation text of a public data set."""
    from textrnn.data.mixtures import Mixture, Part
    from textrnn.data.sources import load_texts
    from textrnn.text_generation.evaluation import score_parts

    texts = load_texts(dataset=dataset)
    return score_parts(lm, Mixture((Part(dataset, texts.validation),)))[dataset].bits_per_character


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="Folder of the trained model")
    parser.add_argument("--language", required=True, help="Its language, in English")
    parser.add_argument(
        "--sources", type=Path, nargs=2, required=True, help="Tables of the sources and of their files"
    )
    parser.add_argument("--texts", nargs="*", default=[], help="Public texts to score it on")
    parser.add_argument("--prompts", nargs="+", required=True, help="Prompts of the samples")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "textrnn" / "starters")
    parser.add_argument("--commit", help="that of the training (default: the current one)")
    given = parser.parse_args()

    from textrnn.text_generation.signatures import text_completer

    name = given.model.name
    folder, lm, metrics, commit = starter_from(given.model, given.output, given.commit)
    complete = text_completer(lm)
    config = yaml.safe_load((given.model / "report" / "config.yaml").read_text("utf-8"))
    table, files = (path.read_text("utf-8") for path in given.sources)
    rows = []
    for path, times in config["data"].items():
        what, licence = described(path, table)
        bits = metrics[f"held_out_bits_per_character of {path}"]
        rows.append(f"| {Path(path).name.partition('.')[0]} | {times} | {what} | {licence} | {bits:.3f} |")
    figures = {"all held-out parts": metrics["held_out_bits_per_character"]}
    figures |= {f"{text}, validation": score(lm, text) for text in given.texts}
    samples = (complete(prompt, max_new_tokens=120, seed=1) for prompt in given.prompts)
    text = CARD.format(
        name=name,
        language=given.language,
        cell=config["cell"].upper(),
        units=config["units"],
        weights=lm.count_params() / 1e6,
        vocabulary=lm.preprocessor.tokenizer.vocabulary_size(),
        prompt=given.prompts[0],
        held_out=config["held_out"],
        sources="\n".join(rows),
        origins="\n".join(origins(path, files) for path in config["data"]),
        training=described_training(name, metrics, commit),
        figures="\n".join(f"| {of} | {bits:.3f} |" for of, bits in figures.items()),
        samples="\n\n".join("> " + re.sub(r"\n+", "\n>\n> ", sample.strip()) for sample in samples),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    print(folder)


if __name__ == "__main__":
    run(main)

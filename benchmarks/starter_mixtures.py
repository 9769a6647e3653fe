"""Compare mixtures of sources for a starter model: bits per character of each source after the same training.

    python benchmarks/starter_mixtures.py recipes/configs/english.yaml --kept_out corpora/en/speeches.txt.xz

Mixtures differ in how often an epoch reads each source. They share the held-out parts, the vocabulary, which
is that of the config's mixture, the model and the number of updates. `--kept_out` names texts that no mixture
has. Each run is a line of `starter_mixtures.jsonl`. A run that has a line is not run again.
"""

import argparse
import math
from pathlib import Path

import harness

UNITS, EMBEDDING_DIM = 512, 256
ROWS, STEPS, LEARNING_RATE = 32, 64, 0.003

MIXTURES = {
    "each source once": lambda times: 1,
    "config": lambda times: times,
    "repeated sources twice as often": lambda times: times if times == 1 else 2 * times,
}
"""How often a mixture reads a source, from how often the config does."""


def mixed(mixture, data):
    """The sources of a mixture: paths with how often an epoch reads them."""
    return {path: MIXTURES[mixture](times) for path, times in data.items()}


def short(path):
    """The name of a source in tables."""
    return Path(path).name.partition(".")[0]


def run(texts, others, tokenizer, updates, seed):
    """Train a model on a mixture; return bits per character of each source and of the other texts."""
    import keras

    import textrnn
    from textrnn.data.mixtures import Mixture
    from textrnn.text_generation.adaptation import train_for
    from textrnn.text_generation.defaults import Defaults
    from textrnn.text_generation.evaluation import score_parts
    from textrnn.text_generation.text_windows import text_windows

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    backbone = textrnn.RecurrentBackbone(
        tokenizer.vocabulary_size(), units=UNITS, embedding_dim=EMBEDDING_DIM
    )
    lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(tokenizer))
    epochs = updates / len(text_windows(lm, texts, ROWS, STEPS).train)
    defaults = Defaults("sentencepiece", ROWS, 1, LEARNING_RATE)
    train_for(lm, texts, math.inf, defaults, STEPS, seed, max_epochs=epochs, evaluations=1)
    scores = score_parts(lm, Mixture((*texts.validation.parts, *others)))
    bits = {short(path): round(score.bits_per_character, 4) for path, score in scores.items()}
    return {"epochs": round(epochs, 3), "bits": bits}


def table(rows, data, kept_out):
    """A Markdown table of runs, a column for each mixture, a row for each source and for their means."""
    once = [path for path, times in data.items() if times == 1]
    repeated = [path for path in data if path not in once]
    groups = {f"{short(path)}, read {times} times": [path] for path, times in data.items()}
    groups |= {"mean of those read once": once, "mean of the others": repeated}
    groups |= {f"{short(path)}, not read": [path] for path in kept_out}

    def line(label, values):
        return f"| {label} | {' | '.join(values)} |"

    def mean(row, paths):
        return f"{sum(row['bits'][short(path)] for path in paths) / len(paths):.3f}"

    lines = [line("bits per character", [row["mixture"] for row in rows]), "|---|" + "---:|" * len(rows)]
    lines += [line(label, [mean(row, paths) for row in rows]) for label, paths in groups.items() if paths]
    lines.append(line("epochs", [f"{row['epochs']:.2f}" for row in rows]))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path, help="config of the text generation recipe")
    parser.add_argument("--mixtures", nargs="+", choices=MIXTURES, default=[*MIXTURES])
    parser.add_argument("--kept_out", nargs="*", default=[], help="texts that no mixture has")
    parser.add_argument("--updates", type=harness.positive, default=2000, help="of training (default: 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the lines")
    given = parser.parse_args()

    import yaml

    from textrnn.startup import load_tensorflow

    load_tensorflow()
    from textrnn.data.mixtures import Part
    from textrnn.data.sources import load_texts
    from textrnn.tokenizers import train_tokenizer

    config = yaml.safe_load(given.config.read_text("utf-8"))
    options = {"held_out": config["held_out"], "document": config["document"]}
    sources = [*config["data"], *given.kept_out]
    names = [short(path) for path in sources]
    if len(set(names)) < len(names):
        parser.error(f"sources have the same name in {', '.join(sources)}: rename one of the files")
    given.output.mkdir(parents=True, exist_ok=True)
    file = given.output / "starter_mixtures.jsonl"
    rows = harness.read_records(file)
    others = [Part(path, [*load_texts(path, **options).train]) for path in given.kept_out]
    tokenizer, found = None, []
    for mixture in given.mixtures:
        data = mixed(mixture, config["data"])
        key = {
            "config": given.config.stem, "mixture": mixture, "data": data, "kept_out": given.kept_out,
            "updates": given.updates, "seed": given.seed,
        }  # fmt: skip
        row = next((row for row in rows if key.items() <= row.items()), None)
        if row is None:
            if tokenizer is None:
                texts = load_texts(config["data"], **options)
                tokenizer = train_tokenizer("sentencepiece", texts.train, config["vocabulary_size"])
            row = key | run(load_texts(data, **options), others, tokenizer, given.updates, given.seed)
            row |= {"commit": harness.commit(), "cpu": harness.environment(0, 1)["cpu"]}
            harness.append(file, row)
        found.append(row)
    print(table(found, config["data"], given.kept_out))


if __name__ == "__main__":
    main()

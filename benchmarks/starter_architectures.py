"""Compare language models for a starter model: bits per character after the same minutes of training.

    python benchmarks/starter_architectures.py --config recipes/configs/english.yaml --minutes 4

Each candidate has a vocabulary size, a cell, its units and the number of layers, and token vectors of 256
features with tied weights. It trains on the texts of the config for so many minutes, compiling and the
evaluation at the end not counted, with a learning rate that falls to zero. The score is that of the held-out
parts. Each run is a line of `starter_architectures.jsonl`. A run that has a line is not run again.
"""

import argparse
import json
from pathlib import Path

import harness

CANDIDATES = {
    "8,000 subwords, lstm 768": (8000, {"units": 768}),
    "8,000 subwords, lstm 512": (8000, {"units": 512}),
    "8,000 subwords, lstm 2 × 512": (8000, {"units": 512, "num_layers": 2}),
    "8,000 subwords, gru 896": (8000, {"cell": "gru", "units": 896}),
    "4,000 subwords, lstm 768": (4000, {"units": 768}),
    "16,000 subwords, lstm 512": (16000, {"units": 512}),
}


def run(texts, vocabulary_size, arguments, minutes, batch_size, seed):
    """Train a candidate; return its score and what it read."""
    import keras

    import textrnn
    from textrnn.text_generation.adaptation import train_for
    from textrnn.text_generation.defaults import Defaults
    from textrnn.tokenizers import train_tokenizer

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tokenizer = train_tokenizer("sentencepiece", texts.train, vocabulary_size)
    backbone = textrnn.RecurrentBackbone(tokenizer.vocabulary_size(), embedding_dim=256, **arguments)
    lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(tokenizer))
    defaults = Defaults("sentencepiece", batch_size, 1)
    [score] = train_for(lm, texts, 60 * minutes, defaults, seed=seed, evaluations=1)
    tokens = int(lm.optimizer.iterations.numpy()) * batch_size * 64
    return {"bits": round(score.bits_per_character, 4), "weights": lm.count_params(), "tokens": tokens}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", type=Path, required=True, help="config of the text generation recipe")
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, default=[*CANDIDATES])
    parser.add_argument("--minutes", type=float, default=4.0, help="minutes of training (default: 4)")
    parser.add_argument("--batch_size", type=harness.positive, default=32, help="rows (default: 32)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the lines")
    given = parser.parse_args()

    import yaml

    from textrnn.startup import load_tensorflow

    load_tensorflow()
    from textrnn.data.sources import load_texts

    config = yaml.safe_load(given.config.read_text("utf-8"))
    texts = load_texts(config["data"], held_out=config["held_out"], document=config["document"])
    file = given.output / "starter_architectures.jsonl"
    given.output.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    for name in given.candidates:
        key = {"config": given.config.stem, "candidate": name, "minutes": given.minutes, "seed": given.seed}
        if any(key.items() <= row.items() for row in rows):
            continue
        found = run(texts, *CANDIDATES[name], given.minutes, given.batch_size, given.seed)
        rows.append(key | found | {"commit": harness.commit(), "cpu": harness.environment(0, 1)["cpu"]})
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(rows[-1]) + "\n")
    print("| candidate | weights | tokens read | bits per character |\n|---|---:|---:|---:|")
    for row in rows:
        if (row["config"], row["minutes"]) == (given.config.stem, given.minutes):
            numbers = f"{row['weights']:,} | {row['tokens']:,} | {row['bits']:.3f}"
            print(f"| {row['candidate']} | {numbers} |")


if __name__ == "__main__":
    main()

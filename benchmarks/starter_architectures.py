"""Compare language models for a starter model: bits per character after the same minutes of training.

    python benchmarks/starter_architectures.py --config recipes/configs/english.yaml --minutes 4

Each candidate is a point beside `BASE`: a vocabulary, a cell, widths and layers with tied weights, rows of
a batch, a learning rate that falls to zero, a precision. It trains on the texts of the config for so many
minutes, compiling and the evaluation at the end not counted. The score is that of the held-out parts.
Each run is a line of `starter_architectures.jsonl`. A run that has a line is not run again.
"""

import argparse
from pathlib import Path

import harness

BASE = {
    "vocabulary_size": 8000,
    "units": 512,
    "embedding_dim": 256,
    "batch_size": 32,
    "learning_rate": 0.003,
    "precision": "mixed_bfloat16",
}

CANDIDATES = {
    "lstm 512": {},
    "float32": {"precision": "float32"},
    "64 rows": {"batch_size": 64},
    "16 rows": {"batch_size": 16},
    "16 rows, rate 0.002": {"batch_size": 16, "learning_rate": 0.002},
    "rate 0.0015": {"learning_rate": 0.0015},
    "rate 0.006": {"learning_rate": 0.006},
    "vectors of 512": {"embedding_dim": 512},
    "vectors of 384": {"embedding_dim": 384},
    "4,000 subwords": {"vocabulary_size": 4000},
    "16,000 subwords": {"vocabulary_size": 16000},
    "lstm 768": {"units": 768},
    "gru 640": {"cell": "gru", "units": 640},
    "lstm 2 × 384": {"units": 384, "num_layers": 2},
    "dropout 0.1": {"dropout": 0.1},
}


def run(texts, tokenizer, minutes, seed, batch_size, learning_rate, precision, **arguments):
    """Train a candidate; return its score and what it read."""
    import keras

    import textrnn
    from textrnn.presets import in_weight_precision
    from textrnn.text_generation.adaptation import train_for
    from textrnn.text_generation.defaults import Defaults
    from textrnn.text_generation.evaluation import LanguageModelEvaluator
    from textrnn.text_generation.text_windows import text_windows

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    backbone = textrnn.RecurrentBackbone(tokenizer.vocabulary_size(), dtype=precision, **arguments)
    lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(tokenizer))
    defaults = Defaults("sentencepiece", batch_size, 1, learning_rate)
    train_for(lm, texts, 60 * minutes, defaults, seed=seed, evaluations=1)
    tokens = int(lm.optimizer.iterations.numpy()) * batch_size * 64
    lm = in_weight_precision(lm)
    windows = text_windows(lm, texts, batch_size, 64)
    bits = LanguageModelEvaluator(lm)(windows.validation, windows.characters).bits_per_character
    return {"bits": round(bits, 4), "weights": lm.backbone.count_params(), "tokens": tokens}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", type=Path, required=True, help="config of the text generation recipe")
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, default=[*CANDIDATES])
    parser.add_argument("--minutes", type=float, default=4.0, help="minutes of training (default: 4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the lines")
    given = parser.parse_args()

    import yaml

    from textrnn.startup import load_tensorflow

    load_tensorflow()
    from textrnn.data.sources import load_texts
    from textrnn.tokenizers import train_tokenizer

    config = yaml.safe_load(given.config.read_text("utf-8"))
    texts = load_texts(config["data"], held_out=config["held_out"], document=config["document"])
    file = given.output / "starter_architectures.jsonl"
    given.output.mkdir(parents=True, exist_ok=True)
    rows = harness.read_records(file)
    tokenizers = {}
    for name in given.candidates:
        key = {"config": given.config.stem, "candidate": name, "minutes": given.minutes, "seed": given.seed}
        if any(key.items() <= row.items() for row in rows):
            continue
        arguments = BASE | CANDIDATES[name]
        size = arguments.pop("vocabulary_size")
        if size not in tokenizers:
            tokenizers[size] = train_tokenizer("sentencepiece", texts.train, size)
        found = run(texts, tokenizers[size], given.minutes, given.seed, **arguments)
        rows.append(key | found | {"commit": harness.commit(), "cpu": harness.environment(0, 1)["cpu"]})
        harness.append(file, rows[-1])
    print("| candidate | weights | tokens read | bits per character |\n|---|---:|---:|---:|")
    for row in rows:
        if (row["config"], row["minutes"]) == (given.config.stem, given.minutes):
            numbers = f"{row['weights']:,} | {row['tokens']:,} | {row['bits']:.3f}"
            print(f"| {row['candidate']} | {numbers} |")


if __name__ == "__main__":
    main()

r"""Adapt a language model to parts of a text, beside models that start from random weights.

    python benchmarks/adapting.py --text corpora/en/speeches.txt.xz --sizes 20000 50000 200000 1000000 \
        --minutes 1 3 10 --output benchmarks/results
    python benchmarks/adapting.py --text shakespeare --sizes 1000000 --minutes 1 3 10

For each size, the training text is so many characters from the middle of the text, and the validation text is
the 100,000 characters before it. Each contestant trains for so many minutes, compiling and evaluation not
counted, and is scored at its best of ten evaluations:

- adapted: the language model, with the recipe's defaults for the size; it ends after the epochs of these;
- same tokenizer: a model of random weights with the tokenizer of the language model: that of the recipe,
  without the linear layer before the logits;
- own tokenizer: the same with a SentencePiece tokenizer that is trained on the text;
- characters: the same with characters.

Each run is a line of `adapting.jsonl`. A run that has a line is not run again.
"""

import argparse
import json
import time
from pathlib import Path

import harness

CONTESTANTS = ("adapted", "same tokenizer", "own tokenizer", "characters")
VALIDATION_CHARACTERS = 100_000


def splits(text, size):
    """The training and the validation part of a text."""
    from textrnn.data.documents import Document
    from textrnn.data.sources import Splits

    middle = len(text) // 2 if len(text) > 2 * (size + VALIDATION_CHARACTERS) else VALIDATION_CHARACTERS
    parts = text[middle : middle + size], text[middle - VALIDATION_CHARACTERS : middle]
    return Splits(
        *([Document(name, part)] for name, part in zip(("train", "validation"), parts, strict=True))
    )


def read(source):
    """A text as one string: a file, or the training part of a public data set."""
    from textrnn.data.sources import load_texts
    from textrnn.data.text_files import read_text

    if Path(source).exists():
        return read_text(source).replace("\f\n", "").replace("\f", "")
    return "\n".join(document.text for document in load_texts(dataset=source).train)


def run(preset, contestant, texts, minutes, seed):
    """Train a contestant; return its scores and how long that took."""
    import keras

    import textrnn
    from textrnn.data.stored_texts import count_characters
    from textrnn.data.token_streams import token_stream
    from textrnn.data.windows import evaluation_windows
    from textrnn.presets import load_preset
    from textrnn.text_generation import evaluation
    from textrnn.text_generation.adaptation import train_for
    from textrnn.text_generation.defaults import defaults_for
    from textrnn.text_generation.variants import with_dropout
    from textrnn.tokenizers import train_tokenizer

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    adapted = contestant == "adapted"
    characters = count_characters(texts.train)
    defaults = defaults_for(characters, continued=adapted)
    found = {}
    lm = load_preset(preset, textrnn.CausalLM) if contestant in CONTESTANTS[:2] else None
    if adapted:
        tokens = token_stream(lm.preprocessor.tokenizer, texts.validation)
        windows = evaluation_windows(tokens, evaluation.ROWS, evaluation.STEPS)
        score = evaluation.score_language_model(lm, windows, count_characters(texts.validation))
        found["before"] = round(score.bits_per_character, 4)
        lm = with_dropout(lm, dropout=defaults.dropout)
    else:
        kind = "character" if contestant == "characters" else "sentencepiece"
        tokenizer = lm.preprocessor.tokenizer if lm else train_tokenizer(kind, texts.train)
        # Without `project_outputs`, with which a text of this size overfits before the first evaluation.
        backbone = textrnn.RecurrentBackbone(tokenizer.vocabulary_size(), dropout=defaults.dropout)
        lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(tokenizer))
    start = time.perf_counter()
    limit = {"max_epochs": defaults.epochs} if adapted else {}
    scores = [
        score.bits_per_character for score in train_for(lm, texts, 60 * minutes, defaults, seed=seed, **limit)
    ]
    return found | {"bits": round(min(scores), 4), "seconds": round(time.perf_counter() - start)}


def table(rows):
    """A Markdown table, a row for each size and time."""
    lines = ["| text | characters | minutes | before | " + " | ".join(CONTESTANTS) + " |"]
    lines.append("|---|" + "---:|" * (len(CONTESTANTS) + 3))
    for text, size, minutes in dict.fromkeys((r["text"], r["size"], r["minutes"]) for r in rows):
        of = {
            r["contestant"]: r for r in rows if (r["text"], r["size"], r["minutes"]) == (text, size, minutes)
        }
        bits = [f"{of[name]['bits']:.3f}" if name in of else "" for name in CONTESTANTS]
        before = f"{of['adapted']['before']:.3f}" if "adapted" in of else ""
        name = Path(text).name.partition(".")[0]
        lines.append(f"| {name} | {size:,} | {minutes:g} | {before} | {' | '.join(bits)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="english", help="the language model (default: english)")
    parser.add_argument("--text", required=True, help="a file, or the name of a public text")
    parser.add_argument("--sizes", nargs="+", type=harness.positive, default=[50_000], help="characters")
    parser.add_argument("--minutes", nargs="+", type=float, default=[3.0], help="minutes of training")
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=[*CONTESTANTS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the lines")
    given = parser.parse_args()

    from textrnn.startup import load_tensorflow

    load_tensorflow()
    file = given.output / "adapting.jsonl"
    given.output.mkdir(parents=True, exist_ok=True)
    rows = harness.read_records(file)
    text = read(given.text)
    for size in given.sizes:
        for minutes in given.minutes:
            for contestant in given.contestants:
                key = {
                    "preset": given.preset, "text": given.text, "size": size, "minutes": minutes,
                    "contestant": contestant, "seed": given.seed,
                }  # fmt: skip
                if any(key.items() <= row.items() for row in rows):
                    continue
                row = key | run(given.preset, contestant, splits(text, size), minutes, given.seed)
                rows.append(row | {"commit": harness.commit(), "cpu": harness.environment(0, 1)["cpu"]})
                harness.append(file, rows[-1])
                print(json.dumps(rows[-1]), flush=True)
    print(table([row for row in rows if row["preset"] == given.preset and row["text"] == given.text]))


if __name__ == "__main__":
    main()

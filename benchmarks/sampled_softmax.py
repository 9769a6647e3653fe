"""Train language models of words with all of the vocabulary in the loss, and with samples of it.

    python benchmarks/sampled_softmax.py --minutes 5
    python benchmarks/sampled_softmax.py --samples 0 4096 --seeds 0 1 2

All models train on WikiText-2 (33,280 words) for the same processor time, with a rate that warms up and falls
to zero with the time; see harness/clock.py. Run it with one thread (`TF_NUM_INTRAOP_THREADS=1`), so that
processor time is that of training. Perplexity is exact: it has the logits of all words.
"""

import argparse
import statistics
import time

import harness

PEAK = 3e-3


def make_parser():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add, positive = parser.add_argument, harness.positive
    add("--samples", nargs="+", type=int, default=[0, 1024, 4096], metavar="N", help="0 for all words")
    add("--minutes", type=float, default=5.0, help="processor minutes of training (default: 5)")
    add("--seeds", nargs="+", type=int, default=[0], metavar="N")
    add("--dataset", choices=["wikitext-2", "ptb", "starter"], default="wikitext-2")
    add("--units", type=positive, default=400, help="units of the LSTM (default: 400)")
    add("--embedding_dim", type=positive, default=160, help="width of the token vectors (default: 160)")
    add("--batch_size", type=positive, default=20, help="rows of a batch (default: 20)")
    add("--sequence_length", type=positive, default=35, help="tokens of a window (default: 35)")
    return parser


def train(samples, seed, texts, tokenizer, given):
    """Train a model; return its perplexity, its steps and the milliseconds of a step."""
    import keras

    import textrnn
    from harness.clock import Clock
    from textrnn.text_generation import evaluation
    from textrnn.text_generation.text_windows import text_windows

    keras.utils.set_random_seed(seed)
    backbone = textrnn.RecurrentBackbone(
        tokenizer.vocabulary_size(), units=given.units, embedding_dim=given.embedding_dim, dropout=0.2
    )
    lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(tokenizer))
    windows = text_windows(
        lm,
        texts,
        given.batch_size,
        given.sequence_length,
        seed=seed,
        restart_probability=0.01,
        variable_length=False,
    )
    clock = Clock(PEAK, seconds=60 * given.minutes, now=time.process_time)
    lm.compile(keras.optimizers.Adam(PEAK, global_clipnorm=1.0), sampled_softmax=samples)
    lm.fit(windows.train, epochs=1_000_000, verbose=0, callbacks=[clock])
    score = evaluation.score_language_model(lm, windows.validation, windows.characters)
    return score.perplexity, clock.steps, 1000 * clock.spent / max(1, clock.timed_steps)


def main(arguments=None):
    """Train all models and print a table."""
    given = make_parser().parse_args(arguments)
    harness.load_backend()
    from textrnn.data.sources import load_texts
    from textrnn.tokenizers import train_tokenizer

    texts = load_texts(dataset=None if given.dataset == "starter" else given.dataset)
    tokenizer = train_tokenizer("word", texts.train, None)
    print(f"{tokenizer.vocabulary_size():,} words\n\n| words in the loss | perplexity | steps | ms a step |")
    print("|---|---:|---:|---:|")
    for samples in given.samples:
        found = [train(samples, seed, texts, tokenizer, given) for seed in given.seeds]
        perplexities, steps, times = zip(*found, strict=True)
        spread = f" ({min(perplexities):.1f}–{max(perplexities):.1f})" if len(found) > 1 else ""
        print(
            f"| {samples or 'all'} | {statistics.fmean(perplexities):.1f}{spread} | "
            f"{statistics.median(steps):,.0f} | {statistics.median(times):.0f} |",
            flush=True,
        )
    print(f"\n{harness.listed(harness.environment(given.seeds[0], 1))}")


if __name__ == "__main__":
    main()

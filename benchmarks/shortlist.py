"""Translate the test set of public pairs with shortlists of several sizes, and with all tokens.

    python benchmarks/shortlist.py saved_models/multi30k-en-de --dataset multi30k-en-de

For each size it learns a shortlist from the training pairs and scores the translations of the test set with
each number of `--beams`. Then it measures sentences per second in interleaved rounds, for batches of
`--batch_sizes` sentences of similar length (see harness/__init__.py). Coverage is the share of the tokens of
references that the shortlists of their sources have.
"""

import argparse
import functools
import itertools

import harness

ALL = 0


def make_parser():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add, positive = parser.add_argument, harness.positive
    add("model", help="the folder of a translator, or its preset")
    add("--dataset", help="public pairs (default: the starter corpus)")
    add("--per_token", nargs="+", type=positive, default=[20, 50, 100], metavar="N", help="sizes")
    add("--batch_sizes", nargs="+", type=positive, default=[1, 64], metavar="N")
    add("--beams", nargs="+", type=positive, default=[1, 5], metavar="N")
    add("--sentences", type=positive, default=128, metavar="N", help="of a timed run (default: 128)")
    add("--rounds", type=positive, default=5, metavar="N", help="rounds (default: 5)")
    return parser


def encoded(lm, pairs):
    """The token ids of the sources and of the targets of pairs."""
    return lm.preprocessor.encode([pair.source for pair in pairs], [pair.target for pair in pairs])


def with_shortlists(lm, pairs, test, sizes):
    """The signatures of a translator with each shortlist, traced, and its coverage of the test pairs."""
    from textrnn.tasks.registry import python_functions
    from textrnn.translation.shortlist import shortlist_of
    from textrnn.translation.translations import translate

    sides, signatures, coverage = encoded(lm, pairs), {}, {}
    for size in (ALL, *sizes):
        lm.shortlist = None if size == ALL else shortlist_of(lm, *sides, size)
        coverage[size] = 1.0 if size == ALL else lm.shortlist.coverage(*encoded(lm, test))
        signatures[size] = python_functions(lm)
        translate(signatures[size], [test[0].source])  # traces with this shortlist
    return signatures, coverage


def bleu(signatures, test, beams):
    """The score of the translations of test pairs with each shortlist and number of beams."""
    from textrnn.translation.evaluation import score_translations
    from textrnn.translation.translations import translate

    references = [pair.target for pair in test]
    return {
        (size, count): score_translations(
            translate(functions, [pair.source for pair in test], num_beams=count).best, references
        ).bleu
        for (size, functions), count in itertools.product(signatures.items(), beams)
    }


def speeds(signatures, texts, given):
    """Sentences per second in each round, by size, number of beams and batch size."""
    from textrnn.translation.translations import translate

    def run(functions, count, batch_size):
        translate(functions, texts, num_beams=count, batch_size=batch_size)
        return len(texts)

    runs = {
        (size, count, batch_size): functools.partial(run, functions, count, batch_size)
        for (size, functions), count, batch_size in itertools.product(
            signatures.items(), given.beams, given.batch_sizes
        )
    }
    return harness.measure_rates(runs, given.rounds)


def main(arguments=None):
    """Score, measure, and print a table."""
    given = make_parser().parse_args(arguments)
    harness.load_backend()
    import textrnn
    from textrnn.data.sources import load_pairs
    from textrnn.presets import load_preset

    pairs = load_pairs(dataset=given.dataset)
    lm = load_preset(given.model, textrnn.Seq2SeqLM)
    signatures, coverage = with_shortlists(lm, pairs.train, pairs.test, given.per_token)
    scores = bleu(signatures, pairs.test, given.beams)
    rates = speeds(signatures, [pair.source for pair in pairs.test[: given.sentences]], given)
    columns = [*itertools.product(given.beams, given.batch_sizes)]
    titles = [f"beam of {beams}, batch {batch}: sentences/s" for beams, batch in columns]
    heads = ["tokens for a source token", "coverage", *(f"BLEU, beam of {beams}" for beams in given.beams)]
    print(f"| {' | '.join(heads + titles)} |\n|{'---:|' * len(heads + titles)}")
    for size in signatures:
        cells = [str(size or "all"), f"{coverage[size]:.1%}"]
        cells += [f"{scores[size, beams]:.2f}" for beams in given.beams]
        cells += [spread(rates[size, *column]) for column in columns]
        print(f"| {' | '.join(cells)} |")
    print(f"\n{harness.listed(harness.environment(0, given.rounds))}")


def spread(values):
    """The median of rates and their range."""
    low, middle, high = min(values), sorted(values)[len(values) // 2], max(values)
    return f"{middle:,.0f} ({low:,.0f}–{high:,.0f})"


if __name__ == "__main__":
    main()

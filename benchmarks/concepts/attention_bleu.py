"""Measure what attention does for translations of sentences, by their length.

    python benchmarks/concepts/attention_bleu.py --output docs/concepts
    python benchmarks/concepts/attention_bleu.py --output docs/concepts --draw

Translators learn Multi30k from English to German, with and without attention, from the same number of batches
of 64 pairs. They are those of `gru` in architectures.py: subwords of one vocabulary, a bidirectional GRU as
encoder, a GRU as decoder, and 800,000 weights besides the token vectors. Without attention, the decoder
attends to zeros, as in attention.py. Nothing is chosen by the validation sentences, so both they and the test
sentences are scored: BLEU of greedy translations, and their length relative to that of the references.
"""

import functools
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness

LONGEST = (8, 11, 14, 18)
"""Words of the longest sentence of each group but the last, which has all longer ones."""


def group_of(source):
    """The number of the group of a sentence, by its words."""
    words = len(source.split())
    return sum(words > longest for longest in LONGEST)


def group_names():
    """What the groups are called."""
    starts = [None, *(longest + 1 for longest in LONGEST)]
    return [
        f"{start}–{end}" if start and end else f"up to {end}" if end else f"{start} or more"
        for start, end in zip(starts, [*LONGEST, None], strict=True)
    ]


def scores_by_length(sources, translations, references):
    """BLEU and relative length of all translations, and of each group.

    Returns:
        A list of `[BLEU, length]`: that of all, and those of the groups, None for one without sentences.
    """
    from textrnn.translation.evaluation import score_translations

    def score(rows):
        if not rows:
            return None
        found = score_translations([translations[i] for i in rows], [references[i] for i in rows])
        return [round(found.bleu, 2), round(found.length_ratio, 3)]

    groups = [group_of(source) for source in sources]
    parts = [[i for i, group in enumerate(groups) if group == wanted] for wanted in range(len(LONGEST) + 1)]
    return [score(range(len(sources))), *map(score, parts)]


def translator(size, settings, attention):
    """A `Seq2SeqLM` with a GRU of a size, with or without attention."""
    import textrnn
    from concepts.attention import seq2seq_class

    backbone = seq2seq_class(attention)(
        settings.vocabulary_size,
        cell="gru",
        units=size,
        embedding_dim=settings.width,
        dropout=settings.dropout,
    )
    return textrnn.Seq2SeqLM(backbone)


def measure(given):
    """All numbers."""
    import keras

    from architecture_comparison.settings import QUICK, SETTINGS
    from architecture_comparison.translation import encoded_pairs

    settings = (QUICK if given.quick else SETTINGS)["translation"]
    _, _, parts = encoded_pairs(settings)
    sources = [source for part in parts.values() for source in part[0]]
    counts = [len(sources), *([group_of(s) for s in sources].count(i) for i in range(len(LONGEST) + 1))]
    results = {"sentences": counts, "runs": []}
    for seed in given.seeds:
        for attention in (True, False):
            run = {"attention": attention, "seed": seed} | trained(attention, seed, given, settings)
            results["runs"].append(run)
            harness.log(run)
            keras.backend.clear_session()
    return results


def trained(attention, seed, given, settings):
    """Train a translator and score it: its weights, and its `scores_by_length`."""
    from architecture_comparison.jobs import seeded
    from architecture_comparison.networks import body_weights, size_within
    from architecture_comparison.translation import decoder, encoded_pairs, translate
    from harness.clock import Clock, train_for
    from textrnn.data.batching import pair_batches
    from textrnn.training.losses import TokenCrossentropy

    preprocessor, sides, parts = encoded_pairs(settings)
    tokenizer = preprocessor.target_tokenizer
    make = functools.partial(translator, settings=settings, attention=attention)
    model = seeded(make, size_within(make, settings), seed)
    batches = pair_batches(*sides, settings.batch_size, tokenizer.start_token_id, seed=seed)
    loss = TokenCrossentropy(0.1, reduction="mean_with_sample_weight")
    train_for(model, batches, loss, Clock(given.rate, steps=given.steps))
    decode = decoder("gru", model, settings, tokenizer.start_token_id, tokenizer.end_token_id)
    sources, references = ([text for part in parts.values() for text in part[side]] for side in (0, 1))
    translations = translate(decode, preprocessor, sources, settings)
    return {
        "weights": body_weights(model, settings),
        "scores": scores_by_length(sources, translations, references),
    }


# === Report ===


def scores_of(results, attention, index=0):
    """The scores of all sentences and of each group, a list of lists: for each, those of the seeds.

    Args:
        results: The numbers.
        attention: Whether those with attention.
        index: 0 for BLEU, 1 for the relative length.
    """
    found = [run["scores"] for run in results["runs"] if run["attention"] == attention]
    return [[score[index] for score in group if score] for group in zip(*found, strict=True)]


def table(results):
    """The table in Markdown."""
    names = ["all", *group_names()]
    lines = [
        f"| words of the sentence | {' | '.join(names)} |",
        "|---|" + "---:|" * len(names),
        f"| sentences | {' | '.join(f'{count:,}' for count in results['sentences'])} |",
    ]
    for index, (title, form) in enumerate([("BLEU", "{:.1f}"), ("length", "{:.2f}")]):
        for attention in (True, False):
            cells = [
                f"{form.format(statistics.median(of_seeds))} "
                f"({form.format(min(of_seeds))}–{form.format(max(of_seeds))})"
                if of_seeds
                else ""
                for of_seeds in scores_of(results, attention, index)
            ]
            lines.append(f"| {title}, {'with' if attention else 'without'} attention | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(results, path):
    """Draw BLEU against the length of the sentences."""
    from textrnn.reporting.figures import make_figure, save_figure

    figure = make_figure(6.4, 3.8)
    axis = figure.subplots()
    names = group_names()
    styles = {True: ("with attention", "#0072B2", "o"), False: ("without attention", "#D55E00", "s")}
    for attention, (label, color, marker) in styles.items():
        groups = scores_of(results, attention)[1:]
        shown = [(x, values) for x, values in enumerate(groups) if values]
        xs = [x for x, _ in shown]
        axis.plot(
            xs,
            [statistics.median(v) for _, v in shown],
            color=color,
            marker=marker,
            markersize=5,
            label=label,
        )
        axis.fill_between(
            xs, [min(v) for _, v in shown], [max(v) for _, v in shown], color=color, alpha=0.18, linewidth=0
        )
    axis.set_xticks(
        range(len(names)),
        [f"{name}\n{count:,}" for name, count in zip(names, results["sentences"][1:], strict=True)],
    )
    axis.set(ylim=(0, None), xlabel="words of the English sentence, and number of sentences", ylabel="BLEU")
    harness.style(axis)
    axis.legend(frameon=False, fontsize=9, loc="lower left")
    save_figure(figure, path)


def main(arguments=None):
    options = {
        "steps": (3000, "training steps"),
        "rate": (0.004, "highest learning rate"),
        "seeds": ([0, 1, 2], "seeds"),
    }
    quick = {"steps": 2, "seeds": [0]}
    harness.run_study(__file__, __doc__, options, measure, table, draw, quick, arguments)


if __name__ == "__main__":
    main()

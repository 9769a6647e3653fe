"""The report of a trained translation model: metrics, translations, and figures."""

import collections
import io
import itertools

from textrnn.tasks.execution import execution_of
from textrnn.tasks.registry import python_functions
from textrnn.translation import evaluation, plots
from textrnn.translation.translations import translate
from textrnn.unspaced import lengths_of


def describe_training(lm):
    """Print the size of a model and how its training steps run.

    Args:
        lm: A `textrnn.Seq2SeqLM` with a preprocessor.

    Example:

    >>> import textrnn
    >>> from textrnn.translation.report import describe_training
    >>> preprocessor = textrnn.Seq2SeqLMPreprocessor(textrnn.tokenizers.ByteTokenizer())
    >>> describe_training(textrnn.Seq2SeqLM(textrnn.RecurrentSeq2Seq(258, units=4), preprocessor))
    source vocabulary of 258, target vocabulary of 258; ... weights
    strategy: recompute, XLA off (no GPU), float32
    """
    source, target = lm.preprocessor.tokenizer, lm.preprocessor.target_tokenizer
    print(
        f"source vocabulary of {source.vocabulary_size():,}, target vocabulary of "
        f"{target.vocabulary_size():,}; {lm.count_params():,} weights"
    )
    print(execution_of(lm), flush=True)


def closing_metrics(result, score, greedy_score, found, greedy, averaged):
    """Collect the metrics that a training run writes to `metrics.json`.

    Args:
        result: The `TrainingResult` of `textrnn.training.fit`.
        score, greedy_score: The `TranslationScore` on the test set of beam search and of greedy search.
        found, greedy: Their `Translations`.
        averaged: Whether the model has averaged weights.

    Returns:
        A dict for `textrnn.reporting.report.save_report`.
    """
    return {
        "test": vars(score),
        "test_greedy": vars(greedy_score),
        "averaged": averaged,
        **result.metrics("pairs"),
        "greedy_sentences_per_second": len(greedy.best) / greedy.seconds,
        "beam_sentences_per_second": len(found.best) / found.seconds,
    }


def without_shortlist(lm, texts, references, num_beams):
    """Translate the test set with all tokens, print the score, and return it and the speed.

    Args:
        lm: A `textrnn.Seq2SeqLM`.
        texts, references: Lists of str.
        num_beams: int.

    Returns:
        A dict for `metrics.json`, empty for a model without a shortlist.
    """
    if lm.shortlist is None:
        return {}
    shortlist, lm.shortlist = lm.shortlist, None
    try:
        found = translate(lm, texts, num_beams=num_beams)
    finally:
        lm.shortlist = shortlist
    score = evaluation.score_translations(found.best, references)
    print(f"{'all tokens:':12}{score}")
    return {
        "test_without_shortlist": vars(score),
        "sentences_per_second_without_shortlist": len(texts) / found.seconds,
    }


def translation_warnings(found):
    """Count the warnings about translations of the test set.

    Args:
        found: The `Translations` of the test set.

    Returns:
        A list of str, one sentence for each kind of warning.
    """
    counts = collections.Counter(itertools.chain(*found.warnings))
    total = len(found.warnings)
    return [f"{count:,} of {total:,} test sources: the text {warning}" for warning, count in counts.items()]


def save_test_report(folder, pairs, found, most=12):
    """Write the translations of the test set, the worst ones, quality by length, and attention maps.

    Writes `translations.tsv`, `worst.tsv`, `length.png` and `attention.png`.

    Args:
        folder: An existing folder, a `pathlib.Path`.
        pairs: The test set, a list of `Pair`.
        found: Its `Translations`.
        most: Maximum number of attention maps.
    """
    chrf = evaluation.sentence_chrf(found.best, [pair.target for pair in pairs])
    header = "chrF\tsource\treference\ttranslation\n"
    lines = [
        "\t".join([f"{quality:.1f}", *(" ".join(x.split()) for x in (pair.source, pair.target, made))]) + "\n"
        for quality, pair, made in zip(chrf, pairs, found.best, strict=True)
    ]
    (folder / "translations.tsv").write_text(header + "".join(lines), encoding="utf-8")
    worst = [lines[row] for row in chrf.argsort(kind="stable")[:50]]
    (folder / "worst.tsv").write_text(header + "".join(worst), encoding="utf-8")
    unit, lengths = lengths_of([pair.source for pair in pairs])
    plots.quality_by_length(lengths, chrf, folder / "length.png", unit=unit)
    # Sentences of about 12 tokens: shorter ones show little, longer ones are illegible.
    rows = sorted(range(len(pairs)), key=lambda row: abs(len(found.source_tokens[row]) - 12))[:most]
    plots.attention_maps(
        [(found.source_tokens[row], found.tokens[row], found.attention[row]) for row in rows],
        folder / "attention.png",
    )


class ForTensorBoard:
    """Greedy translations and attention maps of a few sentences, for `textrnn.training.TensorBoard`.

    Args:
        lm: The `textrnn.Seq2SeqLM` in training.
        pairs: Pairs that it does not train on; those of about 12 words, or characters without spaces, are
            translated.
        count: The number of sentences.
    """

    def __init__(self, lm, pairs, count=3):
        self.functions = python_functions(lm)
        self._latest: tuple = (None, None)  # an epoch, and its translations
        _, lengths = lengths_of([pair.source for pair in pairs])
        rows = sorted(range(len(pairs)), key=lambda row: abs(lengths[row] - 12))
        self.pairs = [pairs[row] for row in rows[:count]]

    def _translated(self, epoch):
        if self._latest[0] != epoch:
            self._latest = (
                epoch,
                translate(self.functions, [pair.source for pair in self.pairs], num_beams=1),
            )
        return self._latest[1]

    def texts(self, epoch):
        """Return the translations, with sources and references."""
        lines = (
            f"{pair.source}\n  -> {text}\n  ({pair.target})"
            for pair, text in zip(self.pairs, self._translated(epoch).best, strict=True)
        )
        return {"translations": "\n".join(lines)}

    def images(self, epoch):
        """Return the attention maps as a PNG file."""
        found = self._translated(epoch)
        png = io.BytesIO()
        plots.attention_maps(list(zip(found.source_tokens, found.tokens, found.attention, strict=True)), png)
        return {"attention": png.getvalue()}

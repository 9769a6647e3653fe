r"""Translation: train a recurrent encoder and decoder with attention on your pairs of texts, and serve them.

    python recipes/translation.py --data pairs.tsv --name my_pairs
    python recipes/translation.py --source train.en.gz --target train.de.gz --name en_de
    python recipes/translation.py --dataset multi30k-en-de --units 256 --dropout 0.4 --name multi30k

Without `--data`, `--source` and `--dataset` it learns to translate dates, times, numbers and prices from
English to French, in minutes on two cores.

It leaves, in `<output>/<name>/`: `<version>/`, a SavedModel for TF Serving; `preset/`, for `--from_preset`
and for `textrnn.Seq2SeqLM.from_preset`; and `report/`, with the options, scores, curves, attention maps,
translations and the worst of them.
"""

import collections
import itertools
import shlex
from dataclasses import dataclass
from pathlib import Path

from textrnn.cli import recipes
from textrnn.errors import InputError


@dataclass(frozen=True)
class Options:
    """What to train on, what to train, and how.

    Args:
        data: Your pairs: a .tsv file (or .tsv.gz) with a source, a tab and its translation in every line.
        source: Instead of data, the file with the sources, one in every line (perhaps .gz);
        target: and the file with their translations, line for line.
        dataset: Public pairs instead of your own: multi30k-en-de, multi30k-en-fr, tatoeba-en-fr or
            tatoeba-en-es.
        reverse: Translate in the other direction (true or false).
        held_out: The part of the pairs that is kept back to choose the best weights, 2,000 at the most; as
            much again is kept back to measure on. Not used where a data set has parts for that.
        from_preset: Go on training from a model of an earlier run (saved_models/NAME). The tokenizers, cell,
            sizes and dropout are then that model's, and the flags for them are not used.
        tokenizer: What a token is: sentencepiece (pieces of words), word, character or byte.
        vocabulary_size: How many different tokens; chosen by the size of the texts if left out.
        shared_vocabulary: Whether both languages share one vocabulary, and one table of token vectors.
        max_tokens: Pairs with a longer side are not trained on, and longer texts are cut.
        cell: The recurrent cell: a name (`textrnn cells` lists them), or module:attribute for a GateSpec or a
            cell class of your own in module.py.
        decoder_cell: That of the decoder; the same if left out.
        units: The width of each direction of the encoder's layers.
        decoder_units: The width of the decoder's layers; the same if left out.
        layers: How many recurrent layers on each side.
        embedding_dim: The width of the token vectors; as wide as the decoder's layers if left out.
        attention: How the decoder compares itself with the source: scaled_general, general,
            scaled_dot, dot or additive.
        input_feeding: Whether the decoder reads its last output beside the next token; slower.
        dropout: The fraction of each layer's inputs and outputs to drop while training.
        recurrent_dropout: The fraction of the recurrent state to drop while training.
        weight_drop: The fraction of the recurrent weights to drop while training.
        zoneout: How likely a unit of the recurrent state keeps its old value while training.
        embedding_dropout: The fraction of the vocabulary to drop while training: whole tokens, for a batch.
        label_smoothing: The part of the targets' probability that is spread over all tokens.
        batch_size: How many pairs of about one length are trained on side by side.
        epochs: How often the pairs are read at the most.
        patience: Training ends after this many epochs that made the held-out loss no better.
        learning_rate: The highest learning rate; it warms up and then falls to zero.
        clipnorm: Gradients are scaled down to this global norm.
        average: The weights of so many epochs are averaged, if that is better; 1 for none.
        average_of: Which epochs: the last or the best.
        num_beams: How many hypotheses the search follows; 1 is greedy.
        length_penalty: Higher ones prefer longer translations.
        coverage_penalty: Higher ones prefer translations that attend to all of the source.
        seed: For the parts, the initial weights and dropout.
        name: The model's name, for its folder and its address.
        output: The folder of all models.
    """

    data: Path | None = None
    source: Path | None = None
    target: Path | None = None
    dataset: str | None = None
    reverse: bool = False
    held_out: float = 0.05
    from_preset: Path | None = None
    tokenizer: str = "sentencepiece"
    vocabulary_size: int | None = None
    shared_vocabulary: bool = True
    max_tokens: int = 100
    cell: str = "lstm"
    decoder_cell: str | None = None
    units: int = 128
    decoder_units: int | None = None
    layers: int = 1
    embedding_dim: int | None = None
    attention: str = "scaled_general"
    input_feeding: bool = False
    dropout: float = 0.2
    recurrent_dropout: float = 0.0
    weight_drop: float = 0.0
    zoneout: float = 0.0
    embedding_dropout: float = 0.0
    label_smoothing: float = 0.1
    batch_size: int = 64
    epochs: int = 12
    patience: int = 4
    learning_rate: float = 4e-3
    clipnorm: float = 1.0
    average: int = 5
    average_of: str = "last"
    num_beams: int = 5
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    seed: int = 0
    name: str = "translation"
    output: Path = Path("saved_models")


def main(options: Options):
    """Trains, evaluates, reports and exports."""
    import keras

    from textrnn import files, training
    from textrnn.data import batching
    from textrnn.export import publish
    from textrnn.presets import save_preset
    from textrnn.reporting import report
    from textrnn.training import losses
    from textrnn.translation import evaluation

    check(options)
    keras.utils.set_random_seed(options.seed)
    folder = options.output / options.name

    # === Data and model ===
    train, held_out, test = load_pairs(options)
    print(
        f"{len(train):,} pairs to train on, {len(held_out):,} held out and {len(test):,} to measure on",
        flush=True,
    )
    lm = load_model(options) if options.from_preset else new_model(options, train)
    preprocessor = lm.preprocessor
    start = preprocessor.target_tokenizer.start_token_id
    train, held_out = (
        of_length(options, preprocessor, *both) for both in ((train, "trained on"), (held_out, "held out"))
    )
    batches = batching.pair_batches(*train, options.batch_size, start, seed=options.seed)
    validation = batching.pair_batches(*held_out, 64, start, shuffle=False)
    print(
        f"{preprocessor.tokenizer.vocabulary_size():,} different tokens in the source and "
        f"{preprocessor.target_tokenizer.vocabulary_size():,} in the target; {lm.count_params():,} weights",
        flush=True,
    )

    # === Training ===
    schedule = training.warmup_cosine(options.learning_rate, steps=len(batches) * options.epochs)
    lm.compile(
        # With the usual 0.999, a token that is rare leaps when it comes: one gradient in a thousand steps
        # hardly counts in the mean square that it is divided by.
        keras.optimizers.Adam(schedule, beta_2=0.98, global_clipnorm=options.clipnorm),
        losses.TokenCrossentropy(options.label_smoothing, reduction="mean_with_sample_weight"),
    )
    average = training.AverageWeights(options.average, options.average_of)
    files.set_aside(folder / "report")
    result = training.fit(
        lm,
        batches,
        epochs=options.epochs,
        validation_data=validation,
        callbacks=[keras.callbacks.EarlyStopping(patience=options.patience), average],
        progress=training.ProgressBar("pair", options.batch_size),
    )
    averaged = average.apply(lambda: lm.evaluate(validation, verbose=0))
    save_preset(lm, folder)  # first of all: what has been learnt is safe

    # === Evaluation and report ===
    references = [pair.target for pair in test]
    greedy, found = (
        evaluation.translate(lm, [pair.source for pair in test], num_beams=beams)
        for beams in (1, options.num_beams)
    )
    for remark, count in collections.Counter(itertools.chain(*found.remarks)).items():
        print(f"note: {count:,} of the texts to measure on; each {remark}")
    greedy_score, score = (evaluation.translation(each.best, references) for each in (greedy, found))
    print(f"greedy:            {greedy_score}\nbeam of {options.num_beams}:         {score}")
    metrics = {
        "test": vars(score),
        "test_greedy": vars(greedy_score),
        "averaged": averaged,
        "best_epoch": result.best_epoch,
        "stopped": result.stopped,
        "training_seconds": result.seconds,
        "training_pairs_per_second": result.items_per_second,
        "greedy_sentences_per_second": len(test) / greedy.seconds,
        "beam_sentences_per_second": len(test) / found.seconds,
    }
    report.save_report(
        folder / "report", options=options, metrics=metrics, history=result.history, seed=options.seed
    )
    look_closer(folder / "report", test, found)

    # === SavedModel ===
    prompt = test[0].source
    ask = f"translate {folder} --text {shlex.quote(prompt)}"
    publish(lm, folder, result, ask, warmup_prompts=[prompt])


def look_closer(folder, test, found, most=12):
    """Writes all translations, the worst ones, quality against length, and attention maps."""
    from textrnn.translation import evaluation, plots

    references = [pair.target for pair in test]
    chrf = evaluation.sentence_chrf(found.best, references)
    header = "chrF\tsource\treference\ttranslation\n"
    lines = [
        "\t".join([f"{quality:.1f}", *(" ".join(x.split()) for x in (pair.source, pair.target, made))]) + "\n"
        for quality, pair, made in zip(chrf, test, found.best, strict=True)
    ]
    (folder / "translations.tsv").write_text(header + "".join(lines), encoding="utf-8")
    worst = [lines[row] for row in chrf.argsort(kind="stable")[:50]]
    (folder / "worst.tsv").write_text(header + "".join(worst), encoding="utf-8")
    plots.quality_by_length([len(pair.source.split()) for pair in test], chrf, folder / "length.png")
    # Of sentences of middling length, which fill a page: short ones show little, long ones cannot be read.
    rows = sorted(range(len(test)), key=lambda row: abs(len(found.source_tokens[row]) - 12))[:most]
    plots.attention_maps(
        [(found.source_tokens[row], found.tokens[row], found.attention[row]) for row in rows],
        folder / "attention.png",
    )


def check(options):
    """Says what cannot be before the long work begins."""
    from textrnn import GatedCell
    from textrnn.decoding.beam_search import MAX_BEAMS, BeamSearchSampler
    from textrnn.training import AverageWeights
    from textrnn.translation.attention_decoder import AttentionDecoder

    whole = (
        "units", "decoder_units", "layers", "embedding_dim", "vocabulary_size", "max_tokens", "batch_size",
        "epochs", "patience", "num_beams", "average",
    )  # fmt: skip
    fractions = (
        "dropout", "recurrent_dropout", "weight_drop", "zoneout", "embedding_dropout", "label_smoothing"
    )  # fmt: skip
    recipes.check_options(options, whole, fractions)
    if not 0 < options.held_out < 0.5:
        raise InputError(f"--held_out {options.held_out}: give a fraction above 0 and below 0.5")
    if options.num_beams > MAX_BEAMS:
        raise InputError(f"--num_beams {options.num_beams}: give {MAX_BEAMS} at the most")
    BeamSearchSampler(options.num_beams, options.length_penalty, options.coverage_penalty)
    AverageWeights(options.average, options.average_of)
    given = [name for name in ("data", "source", "dataset") if getattr(options, name)]
    if len(given) > 1:
        raise InputError(f"{' and '.join('--' + name for name in given)}: give one of them")
    if bool(options.source) != bool(options.target):
        raise InputError("--source and --target go together: give the two files, or --data")
    recipes.check_cell(options)
    if options.from_preset:
        return
    AttentionDecoder(
        [GatedCell(4, options.decoder_cell or options.cell)], 4, options.attention, options.input_feeding,
        recurrent_dropout=options.recurrent_dropout, weight_drop=options.weight_drop, zoneout=options.zoneout,
    )  # fmt: skip


def load_pairs(options):
    """The pairs to train on, to choose by, and to measure on."""
    from textrnn.data import datasets, parallel, starter

    train = held_out = test = None
    warnings = []
    if options.data:
        train, warnings = parallel.read_pairs(options.data)
    elif options.source:
        train, warnings = parallel.read_aligned(options.source, options.target)
    elif options.dataset:
        found = datasets.load_parallel(options.dataset)
        print(f"{options.dataset}, licence: {found.licence}", *found.files, sep="\n  ")
        train, held_out, test = found.train, found.validation, found.test
    else:
        print("The starter corpus: dates, times, numbers and prices. Give --data for your own pairs.")
        train, test = starter.starter_phrases()
    if test is None:
        train, test = parallel.split_pairs(train, options.held_out, options.seed, max_held_out=2000)
    if held_out is None:
        train, held_out = parallel.split_pairs(train, options.held_out, options.seed, max_held_out=2000)
    warnings += parallel.repeated_pairs([*train, *held_out], test)
    for warning in warnings:
        print(f"warning: {warning}", flush=True)
    parts = (train, held_out, test)
    return tuple(map(parallel.swapped, parts)) if options.reverse else parts


def of_length(options, preprocessor, pairs, purpose):
    """The tokens of the pairs that are short enough: of a text that is cut, nothing true could be learnt."""
    # A preset may have been trained on shorter texts, and its preprocessor would cut these.
    limit = min(options.max_tokens, preprocessor.encoder_sequence_length)
    both = preprocessor.encode([pair.source for pair in pairs], [pair.target for pair in pairs])
    fits = [max(len(source), len(target)) < limit for source, target in zip(*both, strict=True)]
    if not any(fits):
        raise InputError(
            f"all pairs that should be {purpose} have {limit} tokens or more: give a higher --max_tokens"
        )
    if not all(fits):
        where = next(pair.origin for pair, fit in zip(pairs, fits, strict=True) if not fit)
        print(
            f"note: {fits.count(False):,} of the pairs that should be {purpose} have {limit} tokens or more, "
            f"the first at {where}; they are left out (--max_tokens {limit})",
            flush=True,
        )
    return [[tokens for tokens, fit in zip(side, fits, strict=True) if fit] for side in both]


def new_model(options, pairs):
    """A model for these pairs, with tokenizers trained on them."""
    import textrnn
    from textrnn.tokenizers import train_tokenizer

    def trained(texts):
        return train_tokenizer(options.tokenizer, texts, options.vocabulary_size)

    sides = [[pair.source for pair in pairs], [pair.target for pair in pairs]]
    shared = options.shared_vocabulary
    tokenizers = [trained([*sides[0], *sides[1]])] if shared else [trained(side) for side in sides]
    backbone = textrnn.RecurrentSeq2Seq(
        *(tokenizer.vocabulary_size() for tokenizer in tokenizers),
        cell=options.cell,
        decoder_cell=options.decoder_cell,
        units=options.units,
        decoder_units=options.decoder_units,
        num_layers=options.layers,
        embedding_dim=options.embedding_dim,
        attention=options.attention,
        input_feeding=options.input_feeding,
        dropout=options.dropout,
        recurrent_dropout=options.recurrent_dropout,
        weight_drop=options.weight_drop,
        zoneout=options.zoneout,
        embedding_dropout=options.embedding_dropout,
    )
    preprocessor = textrnn.Seq2SeqLMPreprocessor(
        *tokenizers,
        encoder_sequence_length=options.max_tokens,
        decoder_sequence_length=options.max_tokens,
    )
    return textrnn.Seq2SeqLM(backbone, preprocessor, make_sampler(options))


def load_model(options):
    """The model of an earlier run, searching as these options say."""
    import textrnn
    from textrnn.presets import load_preset

    lm = load_preset(options.from_preset, textrnn.Seq2SeqLM)
    lm.default_sampler = make_sampler(options)
    return lm


def make_sampler(options):
    """How the model searches unless told otherwise."""
    import textrnn

    return textrnn.BeamSearchSampler(options.num_beams, options.length_penalty, options.coverage_penalty)


if __name__ == "__main__":
    recipes.run_recipe(main, Options, __doc__)

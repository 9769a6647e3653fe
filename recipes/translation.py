r"""Translation: train a recurrent encoder and decoder with attention on your pairs, and serve it.

    python recipes/translation.py --data pairs.tsv --name my_pairs
    python recipes/translation.py --source train.en.gz --target train.de.gz --name en_de
    python recipes/translation.py --dataset multi30k-en-de --units 256 --dropout 0.4 --name multi30k

Without `--data`, `--source` and `--dataset` it learns to translate dates, times, numbers and prices from
English to French, in minutes on two cores.

It writes to `<output>/<name>/`: `<version>/`, a SavedModel for TF Serving; `preset/`, for `--from_preset` and
`textrnn.Seq2SeqLM.from_preset`; and `report/`, with the options, metrics, learning curve, attention maps, and
translations of the test set.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from textrnn.cli.options import DataOptions, ModelOptions, OutputOptions, TrainingOptions, option
from textrnn.cli.recipes import run_recipe
from textrnn.errors import expect, warn
from textrnn.types import (
    Beams,
    Fraction,
    HeldOutFraction,
    LengthPenalty,
    ModelName,
    NonNegativeNumber,
    PositiveInt,
    PositiveNumber,
)

Dataset = Literal["multi30k-en-de", "multi30k-en-fr", "tatoeba-en-fr", "tatoeba-en-es"]
Score = Literal["scaled_general", "general", "scaled_dot", "dot", "additive"]


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, TrainingOptions, ModelOptions, DataOptions):
    """Options of this recipe, in addition to those that all recipes share."""

    data: Path | None = option(
        None, "Your pairs: a file with a source, a tab and a target per line, or another table"
    )
    source: Path | None = option(None, "File with one source per line, instead of --data", "Data")
    target: Path | None = option(None, "File with the translation of each line of --source", "Data")
    source_column: str | None = option(
        None,
        "Column with the sources: its name, or its number from 1 (default: source, or the first)",
        "Data",
    )
    target_column: str | None = option(
        None, "Column with the targets (default: target, or the second)", "Data"
    )
    no_header: bool = option(False, "The first row of the table has no names of columns", "Data")
    dataset: Dataset | None = option(None, "Public pairs instead of --data")
    reverse: bool = option(False, "Swap source and target", "Data")
    held_out: HeldOutFraction = option(0.05, "Fraction for validation, and for the test; at most 2,000 pairs")
    encoder_from: Path | None = option(None, "Start the encoder from this language model", "Model")
    decoder_from: Path | None = option(None, "Start the decoder from this language model", "Model")
    shared_vocabulary: bool = option(True, "One vocabulary for both languages", "Model")
    max_tokens: PositiveInt = option(100, "Maximum number of tokens of a source or a target", "Model")
    split_sentences: bool | None = option(
        None, "Translate sentence by sentence (default: if most sources are single sentences)", "Model"
    )
    units: PositiveInt = option(128, "Units of each direction of an encoder layer")
    layers: PositiveInt = option(1, "Number of recurrent layers of the encoder, and of the decoder")
    embedding_dim: PositiveInt | None = option(None, "Size of a token vector (default: as decoder_units)")
    decoder_cell: str | None = option(None, "Recurrent cell of the decoder (default: as cell)", "Model")
    decoder_units: PositiveInt | None = option(None, "Units of a decoder layer (default: as units)", "Model")
    attention: Score = option("scaled_general", "Attention score", "Model")
    input_feeding: bool = option(False, "Feed the attention output into the next step; slower", "Model")
    num_beams: Beams | None = option(None, "Number of beams; 1 is greedy (default: 5, or as saved)", "Model")
    length_penalty: LengthPenalty | None = option(
        None, "Length penalty; higher favours longer translations (default: 1, or as saved)", "Model"
    )
    coverage_penalty: NonNegativeNumber | None = option(
        None, "Penalty for source tokens without attention (default: 0, or as saved)", "Model"
    )
    batch_size: PositiveInt = 64
    epochs: PositiveInt = option(12, "Maximum number of epochs")
    learning_rate: PositiveNumber = 4e-3
    label_smoothing: Fraction = option(0.1, "Probability spread over all tokens", "Training")
    patience: PositiveInt = option(4, "Epochs to wait for a lower validation loss", "Training")
    average: PositiveInt = option(5, "Average the weights of this many epochs; 1 for none", "Training")
    average_of: Literal["last", "best"] = option("last", "Epochs to average", "Training")
    name: ModelName = "translation"

    def __post_init__(self):
        super().__post_init__()
        given = [f"--{name}" for name in ("data", "source", "dataset") if getattr(self, name)]
        expect(len(given) <= 1, f"{' and '.join(given)}: give one of them")
        expect(bool(self.source) == bool(self.target), "--source and --target: give both, or --data")
        starts = self.encoder_from or self.decoder_from
        expect(
            not (self.from_preset and starts),
            "--from_preset is a translator: leave out --encoder_from and --decoder_from",
        )

    def check(self):
        """Check the cells of the encoder and of the decoder."""
        from textrnn import GatedCell
        from textrnn.translation.attention_decoder import AttentionDecoder

        super().check()
        if not self.from_preset:
            AttentionDecoder(
                [GatedCell(4, self.decoder_cell or self.cell)], 4, self.attention, self.input_feeding,
                recurrent_dropout=self.recurrent_dropout, weight_drop=self.weight_drop, zoneout=self.zoneout,
            )  # fmt: skip


def main(options: Options):
    """Train, evaluate, report and export."""
    import keras

    import textrnn
    from textrnn import files, training
    from textrnn.cli.checkpoints import checkpoint_of
    from textrnn.data import batching, sources
    from textrnn.export import publish
    from textrnn.presets import in_weight_precision, load_preset, save_preset
    from textrnn.reporting.report import save_report
    from textrnn.tasks.execution import execution_of
    from textrnn.training.losses import TokenCrossentropy
    from textrnn.translation import evaluation, report, translations
    from textrnn.translation.encoding import encode_pairs

    options.check()
    keras.utils.set_random_seed(options.seed)
    folder = options.folder

    # === Data and model ===
    pairs = sources.load_pairs(
        options.data, options.dataset, options.held_out,
        source=options.source, target=options.target, reverse=options.reverse, seed=options.seed,
        source_column=options.source_column, target_column=options.target_column,
        encoding=options.encoding, no_header=options.no_header,
    )  # fmt: skip
    sources.describe(pairs)
    checkpoint = checkpoint_of(options, pairs.fingerprint)
    given = {name: getattr(options, name) for name in ("num_beams", "length_penalty", "coverage_penalty")}
    search = {name: value for name, value in given.items() if value is not None}
    if options.from_preset:
        lm = load_preset(options.from_preset, textrnn.Seq2SeqLM, dtype=options.precision)
        if search:
            saved = textrnn.BeamSearchSampler.like(lm.default_sampler).get_config()
            lm.default_sampler = textrnn.BeamSearchSampler(**saved | search)
        if options.split_sentences is not None:
            lm.preprocessor.split_sentences = options.split_sentences
    else:
        lm = new_model(options, pairs.train, textrnn.BeamSearchSampler(**search))
    preprocessor = lm.preprocessor
    start = preprocessor.target_tokenizer.start_token_id
    train = encode_pairs(preprocessor, pairs.train, options.max_tokens, "training")
    validation = encode_pairs(preprocessor, pairs.validation, options.max_tokens, "validation")
    execution = execution_of(lm)
    batches = batching.pair_batches(
        *train, options.batch_size, start, seed=options.seed, few_lengths=execution.xla
    )
    validation_batches = batching.pair_batches(
        *validation, 64, start, shuffle=False, few_lengths=execution.xla
    )
    print(
        f"source vocabulary of {preprocessor.tokenizer.vocabulary_size():,}, target vocabulary of "
        f"{preprocessor.target_tokenizer.vocabulary_size():,}; {lm.count_params():,} weights"
    )
    print(execution, flush=True)

    # For the preset, the SavedModel and two checkpoints with averaged weights
    files.expect_space(folder, 84 * lm.count_params())

    # === Training ===
    schedule = training.warmup_cosine(options.learning_rate, steps=len(batches) * options.epochs)
    lm.compile(
        # With the usual beta_2 of 0.999, the first gradient of a rare token makes a huge step.
        keras.optimizers.Adam(schedule, beta_2=0.98, global_clipnorm=options.clipnorm),
        TokenCrossentropy(options.label_smoothing, reduction="mean_with_sample_weight"),
    )
    average = training.AverageWeights(options.average, options.average_of)
    if not checkpoint.found:
        files.set_aside(folder / "report")
    callbacks: list = [keras.callbacks.EarlyStopping(patience=options.patience), average]
    if options.tensorboard:
        watched = report.ForTensorBoard(lm, pairs.validation)
        callbacks.append(training.TensorBoard(options.tensorboard, watched.texts, watched.images))
    result = training.fit(
        lm,
        batches,
        epochs=options.epochs,
        validation_data=validation_batches,
        callbacks=callbacks,
        progress=training.ProgressBar("pair", options.batch_size),
        evaluate_first=options.from_preset is not None,
        checkpoint=checkpoint,
        log=folder / "report" / "log.txt",
    )
    averaged = average.apply(lambda: lm.evaluate(validation_batches, verbose=0))
    if not training.disband():
        return  # the chief goes on alone
    save_preset(lm, folder)  # before anything else can fail
    lm = in_weight_precision(lm)

    # === Evaluation and report ===
    texts, references = [pair.source for pair in pairs.test], [pair.target for pair in pairs.test]
    greedy = translations.translate(lm, texts, num_beams=1)
    beams = textrnn.BeamSearchSampler.like(lm.default_sampler).num_beams
    found = translations.translate(lm, texts, num_beams=beams)
    greedy_score, score = (evaluation.score_translations(each.best, references) for each in (greedy, found))
    print(f"{'greedy:':12}{greedy_score}\n{f'{beams} beams:':12}{score}")
    for warning in report.translation_warnings(found):
        warn(warning)
    save_report(
        folder / "report",
        options=options,
        metrics=report.closing_metrics(result, score, greedy_score, found, greedy, averaged),
        history=result.history,
        seed=options.seed,
    )
    report.save_test_report(folder / "report", pairs.test, found)

    # === SavedModel ===
    ask = f"translate {folder} --text {shlex.quote(texts[0])}"
    publish(lm, folder, result, ask, dtype=options.export_dtype, warmup_prompts=texts[:1])
    checkpoint.remove()


def new_model(options, pairs, sampler):
    """Make a model, with tokenizers trained on these pairs."""
    import textrnn
    from textrnn.presets import load_preset
    from textrnn.sentences import are_sentences
    from textrnn.tokenizers import train_tokenizer
    from textrnn.translation.from_language_models import backbone_from

    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    sides = [sources, targets]
    starts = [
        path and load_preset(path, textrnn.CausalLM, dtype=options.precision)
        for path in (options.encoder_from, options.decoder_from)
    ]
    if options.shared_vocabulary and not any(starts):
        sides = [sources + targets]
    tokenizers = [
        start.preprocessor.tokenizer
        if start
        else train_tokenizer(options.tokenizer, side, options.vocabulary_size)
        for start, side in zip(starts, sides, strict=False)
    ]
    backbone = backbone_from(
        *starts,
        [tokenizer.vocabulary_size() for tokenizer in tokenizers],
        decoder_cell=options.decoder_cell,
        decoder_units=options.decoder_units,
        attention=options.attention,
        input_feeding=options.input_feeding,
        dtype=options.precision,
        **options.backbone_arguments(),
    )
    preprocessor = textrnn.Seq2SeqLMPreprocessor(
        *tokenizers,
        encoder_sequence_length=options.max_tokens,
        decoder_sequence_length=options.max_tokens,
        split_sentences=are_sentences(sources)
        if options.split_sentences is None
        else options.split_sentences,
    )
    if not preprocessor.split_sentences:
        print("texts are translated as a whole, not sentence by sentence")
    return textrnn.Seq2SeqLM(backbone, preprocessor, sampler)


if __name__ == "__main__":
    run_recipe(main, Options, __doc__)

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

from dataclasses import dataclass

from textrnn.cli.recipes import run_recipe
from textrnn.translation.options import PairOptions, TranslationOptions
from textrnn.types import ModelName


@dataclass(frozen=True, kw_only=True)
class Options(TranslationOptions):
    """Options of this recipe. For one of your own, add a field with `textrnn.options.option`."""

    name: ModelName = "translation"


def main(options: Options):
    """Train, evaluate, report and export."""
    import keras

    import textrnn
    from textrnn import files, presets, training
    from textrnn.cli.checkpoints import checkpoint_of
    from textrnn.data import batching, sources
    from textrnn.errors import warn
    from textrnn.export import publish
    from textrnn.reporting.report import begin_report, save_report
    from textrnn.tasks.execution import execution_of
    from textrnn.training.losses import TokenCrossentropy
    from textrnn.translation import evaluation, report, translations
    from textrnn.translation.encoding import encode_pairs
    from textrnn.translation.shortlist import shortlist_of

    options.check()
    keras.utils.set_random_seed(options.seed)
    folder = options.folder

    # === Data ===
    if not options.from_preset:
        options = options.filled({"max_tokens": 100})
    pairs = sources.load_pairs(**options.only(PairOptions), seed=options.seed)
    sources.describe(pairs)
    checkpoint = checkpoint_of(options, pairs.fingerprint)

    # === Model ===
    if options.from_preset:
        lm = presets.load_preset(options.from_preset, textrnn.Seq2SeqLM, dtype=options.precision)
        if options.split_sentences is not None:
            lm.preprocessor.split_sentences = options.split_sentences
        if options.max_tokens is not None:
            lm.preprocessor.encoder_sequence_length = options.max_tokens
            lm.preprocessor.decoder_sequence_length = options.max_tokens
    else:
        lm = new_model(options, pairs.train)
    lm.default_sampler = textrnn.BeamSearchSampler.like(lm.default_sampler, **options.search())

    # === Batches ===
    train = encode_pairs(lm.preprocessor, pairs.train)
    validation = encode_pairs(lm.preprocessor, pairs.validation, split="validation")
    start, few_lengths = lm.preprocessor.target_tokenizer.start_token_id, execution_of(lm).xla
    batches = batching.pair_batches(
        *train, options.batch_size, start, seed=options.seed, few_lengths=few_lengths
    )
    validation_batches = batching.pair_batches(*validation, 64, start, shuffle=False, few_lengths=few_lengths)
    report.describe_training(lm)

    # === Training ===
    # For the preset, the SavedModel and two checkpoints with averaged weights
    files.expect_space(folder, 84 * lm.count_params())
    schedule = training.warmup_cosine(options.learning_rate, steps=len(batches) * options.epochs)
    lm.compile(
        # With the usual beta_2 of 0.999, the first gradient of a rare token makes a huge step.
        keras.optimizers.Adam(schedule, beta_2=0.98, global_clipnorm=options.clipnorm),
        TokenCrossentropy(options.label_smoothing, reduction="mean_with_sample_weight"),
    )
    average = training.AverageWeights(options.average, options.average_of)
    callbacks: list = [keras.callbacks.EarlyStopping(patience=options.patience), average]
    if options.tensorboard:
        watched = report.ForTensorBoard(lm, pairs.validation)
        callbacks.append(training.TensorBoard(options.tensorboard, watched.texts, watched.images))
    if not checkpoint.found:
        begin_report(folder / "report", options)
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
    if options.shortlist is not None:
        lm.shortlist = shortlist_of(lm, *train, options.shortlist) if options.shortlist else None
    preset = presets.save_preset(lm, folder, options.from_preset)  # before anything else can fail
    lm = presets.in_weight_precision(lm)

    # === Evaluation and report ===
    texts, references = [pair.source for pair in pairs.test], [pair.target for pair in pairs.test]
    greedy = translations.translate(lm, texts, num_beams=1)
    beams = textrnn.BeamSearchSampler.like(lm.default_sampler).num_beams
    found = translations.translate(lm, texts, num_beams=beams)
    greedy_score, score = (evaluation.score_translations(each.best, references) for each in (greedy, found))
    print(f"{'greedy:':12}{greedy_score}\n{f'{beams} beams:':12}{score}")
    for warning in report.translation_warnings(found):
        warn(warning)
    metrics = report.closing_metrics(result, score, greedy_score, found, greedy, averaged)
    metrics |= report.without_shortlist(lm, texts, references, beams)
    save_report(
        folder / "report", options=options, metrics=metrics, history=result.history, seed=options.seed
    )
    report.save_test_report(folder / "report", pairs.test, found)

    # === SavedModel ===
    ask = ["translate", folder, "--text", texts[0]]
    publish(lm, folder, result, ask, dtype=options.export_dtype, warmup_prompts=texts[:1])
    presets.replace_start(preset)
    checkpoint.remove()


def new_model(options, pairs):
    """Make a model, with tokenizers trained on these pairs, or from language models and with theirs."""
    import textrnn
    from textrnn.sentences import are_sentences
    from textrnn.tokenizers import train_tokenizer
    from textrnn.translation.from_language_models import backbone_from, load_language_models

    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    sides = [sources, targets]
    starts = load_language_models((options.encoder_from, options.decoder_from), sides, options.precision)
    if options.shared_vocabulary and not any(starts):
        sides = [sources + targets]
    tokenizers = [
        start.preprocessor.tokenizer
        if start
        else train_tokenizer(options.tokenizer, side, options.vocabulary_size)
        for start, side in zip(starts, sides, strict=False)
    ]
    sizes = [tokenizer.vocabulary_size() for tokenizer in tokenizers]
    backbone = backbone_from(*starts, sizes, dtype=options.precision, **options.backbone_arguments())
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
    return textrnn.Seq2SeqLM(backbone, preprocessor)


if __name__ == "__main__":
    run_recipe(main, Options, __doc__)

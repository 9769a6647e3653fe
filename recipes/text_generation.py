r"""Text generation: train a recurrent language model on your text, and serve it.

    python recipes/text_generation.py --data my_novel.txt --name novel
    python recipes/text_generation.py --dataset shakespeare --tokenizer character --units 512 \
        --embedding_dim 128 --dropout 0.25 --learning_rate 0.004 --epochs 8 --name shakespeare
    python recipes/text_generation.py --from_preset english --data my_novel.txt --name novel

Without `--data` and `--dataset` it trains on the reference text inside Python, in minutes on two cores. The
second command reaches 2.08 bits per character on the last tenth of tiny Shakespeare in 9 minutes.

It writes to `<output>/<name>/`: `<version>/`, a SavedModel for TF Serving; `preset/`, for `--from_preset` and
`textrnn.CausalLM.from_preset`; and `report/`, with the options, metrics, learning curve and samples.
"""

from dataclasses import dataclass, replace

from textrnn.cli.recipes import run_recipe
from textrnn.text_generation.options import TextGenerationOptions, TextOptions
from textrnn.types import ModelName


@dataclass(frozen=True, kw_only=True)
class Options(TextGenerationOptions):
    """Options of this recipe. For one of your own, add a field with `textrnn.options.option`."""

    name: ModelName = "text_generation"


def main(options: Options):
    """Train, evaluate, report and export."""
    import keras

    import textrnn
    from textrnn import files, presets, training
    from textrnn.cli.checkpoints import checkpoint_of
    from textrnn.data import sources
    from textrnn.data.passages import mean_length, relative_lengths
    from textrnn.data.stored_texts import count_characters
    from textrnn.export import publish
    from textrnn.reporting.report import begin_report, save_report
    from textrnn.tasks.execution import execution_of
    from textrnn.text_generation import adaptation, evaluation, report
    from textrnn.text_generation.adaptive_evaluation import adaptive_scores
    from textrnn.text_generation.defaults import sampled_softmax
    from textrnn.text_generation.prompts import sample_prompt
    from textrnn.text_generation.signatures import text_completer
    from textrnn.text_generation.text_windows import text_windows

    options.check()
    keras.utils.set_random_seed(options.seed)
    folder = options.folder

    # === Data, and options that depend on it ===
    texts = sources.load_texts(**options.only(TextOptions), seed=options.seed)
    sources.describe(texts)
    options = options.by_size(count_characters(texts.train), texts.train)
    checkpoint = checkpoint_of(options, texts.fingerprint)

    # === Model ===
    lm = (trained_model if options.from_preset else new_model)(options, texts.train)
    lm.default_sampler = textrnn.RowSampler.like(lm.default_sampler, **options.sampling())
    windows = text_windows(
        lm, texts, options.batch_size, options.sequence_length, seed=options.seed,
        restart_probability=options.restart_probability, variable_length=options.variable_length,
    )  # fmt: skip
    report.describe_training(lm, windows)

    # === Training: truncated backpropagation, with states carried from window to window ===
    files.expect_space(folder, 44 * lm.count_params())  # for the preset, the SavedModel and two checkpoints
    steps, groups = len(windows.train), lm.layer_groups
    rate = training.schedule(options.schedule, options.learning_rate, steps * options.epochs)
    if options.variable_length:
        few_lengths = execution_of(lm).xla
        rate = training.ScaledByStep(
            rate, relative_lengths(steps, options.sequence_length, options.seed, options.epochs, few_lengths)
        )
    optimizer = training.discriminative_optimizer(
        groups, rate, options.layer_rate_factor, options.optimizer, options.weight_decay, options.clipnorm
    )
    lm.compile(
        optimizer, sampled_softmax=sampled_softmax(lm.backbone.vocabulary_size, options.sampled_softmax)
    )
    prompt = sample_prompt(texts.validation) if options.sample_prompt is None else options.sample_prompt
    complete = text_completer(lm)

    def sample(epoch=0):
        return complete(prompt, max_new_tokens=options.max_new_tokens, seed=options.seed + epoch)

    samples = training.SampleText(sample, folder / "report" / "samples.txt")
    callbacks: list = [
        training.Evaluate(
            evaluation.validation_metrics(lm, windows.validation, windows.characters),
            every=max(2000, 2 * len(windows.validation)),  # batches: seldom enough for a long text
        ),
        samples,
        training.GradualUnfreezing(groups, options.unfreeze_epochs),
    ]
    if options.patience:
        callbacks.append(keras.callbacks.EarlyStopping("val_loss", patience=options.patience))
    if options.tensorboard:
        callbacks.append(training.TensorBoard(options.tensorboard, lambda _: {"sample": samples.latest}))
    if not checkpoint.found:
        begin_report(folder / "report", options)
    tokens_per_step = options.batch_size * mean_length(options.sequence_length, options.variable_length)
    result = training.fit(
        lm,
        windows.train,
        epochs=options.epochs,
        callbacks=callbacks,
        progress=training.ProgressBar("tok", tokens_per_step),
        evaluate_first=options.from_preset is not None,
        checkpoint=checkpoint,
        log=folder / "report" / "log.txt",
        average=training.step_average(options.average_steps),
    )
    if not training.disband():
        return  # the chief goes on alone
    preset = presets.save_preset(lm, folder, options.from_preset)  # before anything else can fail
    trained, lm = lm, presets.in_weight_precision(lm)

    # === Evaluation and report, with the best weights ===
    score = evaluation.score_language_model(lm, windows.validation, windows.characters)
    print(f"validation: {score}")
    adapted = None
    if options.from_preset:
        scratch = scratch_score(options, texts, result.seconds) if options.compare_with_scratch else None
        adapted = adaptation.compare(result, score, scratch, count_characters(texts.train))
    by_source = evaluation.score_parts(lm, texts.validation) if isinstance(options.data, dict) else {}
    for name, part in by_source.items():
        print(f"  {name}: {part.bits_per_character:.3f} bits per character")
    adaptive, cache = adaptive_scores(lm, windows, options.cache, options.dynamic_evaluation)
    if options.cached_generation:
        trained.neural_cache = lm.neural_cache = cache
        presets.save_preset(trained, folder, options.from_preset, replace=True)
    metrics = report.closing_metrics(result, score, by_source, adapted) | adaptive
    save_report(
        folder / "report", options=options, metrics=metrics, history=result.history, seed=options.seed
    )

    # === SavedModel ===
    complete = text_completer(lm)  # as it is exported
    print(f"\n{sample()}\n")
    ask = ["generate", folder, "--prompt", prompt]
    publish(
        lm, folder, result, ask,
        dtype=options.export_dtype, max_new_tokens=options.max_new_tokens, warmup_prompts=[prompt],
    )  # fmt: skip
    presets.replace_start(preset)
    checkpoint.remove()


def new_model(options, texts):
    """Make a model, with a tokenizer trained on these texts."""
    import textrnn
    from textrnn.tokenizers import train_tokenizer

    tokenizer = train_tokenizer(options.tokenizer, texts, options.vocabulary_size)
    backbone = textrnn.RecurrentBackbone(
        tokenizer.vocabulary_size(), dtype=options.precision, **options.backbone_arguments()
    )
    preprocessor = textrnn.CausalLMPreprocessor(tokenizer)
    return textrnn.CausalLM(backbone, preprocessor, textrnn.RowSampler(temperature=0.8))


def trained_model(options, texts):
    """Load a trained model, with the subwords of these texts and other dropout."""
    import textrnn
    from textrnn.errors import warn
    from textrnn.presets import load_preset
    from textrnn.text_generation.adaptation import vocabulary_warnings
    from textrnn.text_generation.variants import extend_vocabulary, with_dropout

    lm = load_preset(options.from_preset, textrnn.CausalLM, dtype=options.precision)
    lm = extend_vocabulary(lm, texts, options.extend_vocabulary)
    for warning in vocabulary_warnings(lm.preprocessor.tokenizer, texts, options.from_preset):
        warn(warning)
    return with_dropout(lm, dropout=options.dropout)


def scratch_score(options, texts, seconds):
    """Score a new model that is trained for as long as adapting took."""
    from textrnn.text_generation.adaptation import score_from_scratch

    def make_model(found, train):
        new = replace(options, tokenizer=found.tokenizer, dropout=found.dropout, vocabulary_size=None)
        return new_model(new, train)

    print("training a new model for the same time ...", flush=True)
    return score_from_scratch(make_model, texts, seconds, options.sequence_length, options.seed)


if __name__ == "__main__":
    run_recipe(main, Options, __doc__)

r"""Text generation: train a recurrent language model on your text, and serve it.

    python recipes/text_generation.py --data my_novel.txt --name novel
    python recipes/text_generation.py --dataset shakespeare --tokenizer character --units 512 \
        --embedding_dim 128 --dropout 0.25 --learning_rate 0.004 --epochs 8 --name shakespeare
    python recipes/text_generation.py --from_preset saved_models/novel --data sequel.txt --name sequel

Without `--data` and `--dataset` it trains on the reference text inside Python, in minutes on two cores. The
second command reaches 2.08 bits per character on the last tenth of tiny Shakespeare in 9 minutes.

It writes to `<output>/<name>/`: `<version>/`, a SavedModel for TF Serving; `preset/`, for `--from_preset` and
`textrnn.CausalLM.from_preset`; and `report/`, with the options, metrics, learning curve and samples.
"""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from textrnn.cli.options import (
    DataOptions,
    ModelOptions,
    OutputOptions,
    TokenizerKind,
    TrainingOptions,
    option,
)
from textrnn.cli.recipes import run_recipe
from textrnn.errors import expect
from textrnn.types import (
    Fraction,
    ModelName,
    NonNegativeInt,
    NonNegativeNumber,
    PositiveInt,
    PositiveNumber,
    Probability,
    SplitFraction,
)


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, TrainingOptions, ModelOptions, DataOptions):
    """Options of this recipe, in addition to those that all recipes share."""

    data: dict[str, PositiveInt] | Path | None = option(
        None, "Your text: a file, or a folder; in a YAML file also several, each with how often to read it"
    )
    dataset: Literal["shakespeare", "wikitext-2", "ptb"] | None = option(None, "Public text instead")
    include: str | None = option(None, "Names of the files to read in a folder, such as '*.txt'", "Data")
    document: Literal["file", "line", "blank_line", "form_feed"] = option(
        "file", "A text is a file, a line (names), or a part between blank lines or form feeds", "Data"
    )
    held_out: SplitFraction = option(
        0.1, "Fraction for validation: the end of the text, or some documents of ten or more"
    )
    tokenizer: TokenizerKind | None = option(None, "Kind of token (default: by the size of the text)")
    extend_vocabulary: NonNegativeInt = option(
        0, "Subwords of the text to add to the vocabulary of a trained model", "Model"
    )
    dropout: Fraction | None = option(
        None, "Dropout on the inputs and outputs of layers (default: 0.2, or by size for --from_preset)"
    )
    ar: NonNegativeNumber = option(0.0, "Activation regularization; 2 in AWD-LSTM (alpha)", "Model")
    tar: NonNegativeNumber = option(0.0, "Temporal activation regularization; 1 in AWD-LSTM (beta)", "Model")
    last_units: PositiveInt | None = option(None, "Units of the last layer (default: as units)", "Model")
    input_dropout: Fraction | None = option(None, "Dropout on the inputs (default: as dropout)", "Model")
    output_dropout: Fraction | None = option(None, "Dropout on the outputs (default: as dropout)", "Model")
    temperature: NonNegativeNumber | None = option(None, "Temperature (default: 0.8, or as saved)", "Model")
    top_k: NonNegativeInt | None = option(None, "Sample from the top k tokens (default: 0, all)", "Model")
    top_p: Probability | None = option(None, "Nucleus sampling probability (default: 1, all)", "Model")
    max_new_tokens: NonNegativeInt = option(100, "Maximum number of tokens in a sample", "Model")
    batch_size: PositiveInt | None = option(None, "Sequences per batch (default: by the size of the text)")
    epochs: PositiveInt | None = option(None, "Number of epochs (default: by the size of the text)")
    learning_rate: PositiveNumber | None = option(
        None, "Peak learning rate (default: 0.003, or 0.001 for --from_preset)"
    )
    sequence_length: PositiveInt = option(64, "Steps of truncated backpropagation", "Training")
    variable_length: bool = option(False, "Draw the length of each window, as AWD-LSTM does", "Training")
    optimizer: Literal["adam", "sgd"] = option("adam", "Optimizer", "Training")
    schedule: Literal["cosine", "slanted_triangular", "constant"] = option(
        "cosine", "Learning rate: warm-up and cosine decay, that of ULMFiT, or constant", "Training"
    )
    layer_rate_factor: PositiveNumber = option(
        1.0, "By how much lower the rate of a layer is than that of the next one; 2.6 in ULMFiT", "Training"
    )
    unfreeze_epochs: NonNegativeInt = option(
        0, "Train the last layer first, and one more after so many epochs; 0 for all at once", "Training"
    )
    patience: PositiveInt | None = option(
        None, "Epochs to wait for a lower validation loss (default: 2 for --from_preset)", "Training"
    )
    compare_with_scratch: bool = option(
        False, "Also train a new model for as long as adapting took", "Training"
    )
    weight_decay: NonNegativeNumber = option(0.0, "Weight decay, times the learning rate", "Training")
    average_steps: Literal["none", "ema", "nt_asgd"] = option(
        "none", "Average the weights of steps, always or when the loss stops improving", "Training"
    )
    restart_probability: Fraction = option(0.05, "Probability of restarting from an empty state", "Training")
    sample_prompt: str | None = option(
        None, "Prompt of samples (default: from the validation text)", "Training"
    )
    cache: NonNegativeInt = option(0, "Also evaluate with a neural cache of so many tokens", "Output")
    cached_generation: bool = option(False, "Generate with this cache, when served too", "Output")
    dynamic_evaluation: bool = option(False, "Also evaluate while learning from the text", "Output")
    name: ModelName = "text_generation"

    def __post_init__(self):
        super().__post_init__()
        expect(
            self.from_preset or not self.compare_with_scratch, "--compare_with_scratch: give --from_preset"
        )
        expect(self.from_preset or not self.extend_vocabulary, "--extend_vocabulary: give --from_preset")
        expect(self.cache or not self.cached_generation, "--cached_generation: give the --cache, such as 500")


def main(options: Options):
    """Train, evaluate, report and export."""
    import keras

    import textrnn
    from textrnn import files, training
    from textrnn.cli.checkpoints import checkpoint_of
    from textrnn.data import sources
    from textrnn.data.stored_texts import count_characters
    from textrnn.data.token_streams import token_stream
    from textrnn.data.windows import evaluation_windows, mean_length
    from textrnn.errors import warn
    from textrnn.export import publish
    from textrnn.presets import in_weight_precision, load_preset, save_preset
    from textrnn.reporting.report import save_report
    from textrnn.tasks.execution import execution_of
    from textrnn.text_generation import adaptation, evaluation, report, signatures
    from textrnn.text_generation.adaptive_evaluation import adaptive_scores
    from textrnn.text_generation.prompts import sample_prompt
    from textrnn.text_generation.variants import extend_vocabulary, with_dropout

    options.check()
    keras.utils.set_random_seed(options.seed)
    folder = options.folder

    # === Data and model ===
    texts = sources.load_texts(
        options.data,
        options.dataset,
        options.held_out,
        document=options.document,
        seed=options.seed,
        encoding=options.encoding,
        include=options.include,
    )
    sources.describe(texts)
    options, warnings = by_size(options, texts)
    checkpoint = checkpoint_of(options, texts.fingerprint)
    given = {name: getattr(options, name) for name in ("temperature", "top_k", "top_p")}
    sampling = {name: value for name, value in given.items() if value is not None}
    if options.from_preset:
        lm = load_preset(options.from_preset, textrnn.CausalLM, dtype=options.precision)
        lm = extend_vocabulary(lm, texts.train, options.extend_vocabulary)
        lm = with_dropout(lm, dropout=options.dropout)
        warnings += adaptation.vocabulary_warnings(
            lm.preprocessor.tokenizer, texts.train, options.from_preset
        )
        saved = textrnn.RowSampler.like(lm.default_sampler).get_config()
        lm.default_sampler = textrnn.RowSampler(**saved | sampling)
    else:
        lm = new_model(options, texts.train, textrnn.RowSampler(**{"temperature": 0.8} | sampling))
    tokenizer = lm.preprocessor.tokenizer
    train_stream = token_stream(tokenizer, texts.train, "training text")
    validation_stream = token_stream(tokenizer, texts.validation, "validation text")
    train = lm.preprocessor.windows(
        train_stream,
        options.batch_size,
        options.sequence_length,
        options.restart_probability,
        seed=options.seed,
        origin=texts.name,
        variable_length=options.variable_length,
        few_lengths=execution_of(lm).xla,
    )
    validation = evaluation_windows(validation_stream, evaluation.ROWS, evaluation.STEPS, origin=texts.name)
    characters = count_characters(texts.validation)
    print(
        f"{len(train_stream):,} training tokens, {len(validation_stream):,} validation tokens; "
        f"vocabulary of {tokenizer.vocabulary_size():,}; {lm.count_params():,} weights"
    )
    print(execution_of(lm), flush=True)
    for warning in warnings:
        warn(warning)

    # For the preset, the SavedModel and two checkpoints
    files.expect_space(folder, 44 * lm.count_params())

    # === Training: truncated backpropagation, with states carried from window to window ===
    groups = lm.layer_groups
    lm.compile(make_optimizer(options, groups, steps=len(train), few_lengths=execution_of(lm).xla))
    prompt = options.sample_prompt
    if prompt is None:
        prompt = sample_prompt(texts.validation)
    complete = signatures.text_completer(lm)

    def sample(epoch=0):
        return complete(prompt, max_new_tokens=options.max_new_tokens, seed=options.seed + epoch)

    tokens_per_step = options.batch_size * mean_length(options.sequence_length, options.variable_length)
    if not checkpoint.found:
        files.set_aside(folder / "report")
    samples = training.SampleText(sample, folder / "report" / "samples.txt")
    callbacks: list = [
        training.Evaluate(
            evaluation.validation_metrics(lm, validation, characters),
            every=max(2000, 2 * len(validation)),  # batches: not too much time is spent on a long text
        ),
        samples,
    ]
    if options.patience:
        callbacks.append(keras.callbacks.EarlyStopping("val_loss", patience=options.patience))
    if options.unfreeze_epochs:
        callbacks.append(training.GradualUnfreezing(groups, options.unfreeze_epochs))
    if options.tensorboard:
        callbacks.append(training.TensorBoard(options.tensorboard, lambda _: {"sample": samples.latest}))
    result = training.fit(
        lm,
        train,
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
    save_preset(lm, folder)  # before anything else can fail
    trained, lm = lm, in_weight_precision(lm)

    # === Evaluation and report, with the best weights ===
    score = evaluation.score_language_model(lm, validation, characters)
    print(f"validation: {score}")
    adapted = adapted_model(options, texts, result, score) if options.from_preset else None
    by_source = evaluation.score_parts(lm, texts.validation) if isinstance(options.data, dict) else {}
    for name, part in by_source.items():
        print(f"  {name}: {part.bits_per_character:.3f} bits per character")
    adaptive, cache = adaptive_scores(
        lm, validation, validation_stream, train_stream, characters, options.cache, options.dynamic_evaluation
    )
    if options.cached_generation:
        trained.neural_cache = lm.neural_cache = cache
        save_preset(trained, folder, replace=True)
        complete = signatures.text_completer(lm)
    save_report(
        folder / "report",
        options=options,
        metrics=report.closing_metrics(result, score, by_source, adapted) | adaptive,
        history=result.history,
        seed=options.seed,
    )

    # === SavedModel ===
    if options.precision != "float32":
        complete = signatures.text_completer(lm)  # as it is exported
    print(f"\n{sample()}\n")
    ask = f"generate {folder} --prompt {shlex.quote(prompt)}"
    publish(
        lm, folder, result, ask,
        dtype=options.export_dtype, max_new_tokens=options.max_new_tokens, warmup_prompts=[prompt],
    )  # fmt: skip
    checkpoint.remove()


def by_size(options, texts):
    """Return the options with those that depend on the size of the text, and warnings about a small one."""
    from textrnn.data.stored_texts import count_characters
    from textrnn.text_generation.defaults import defaults_for, small_text_warning

    characters = count_characters(texts.train)
    defaults = defaults_for(characters, continued=options.from_preset is not None)._asdict()
    chosen = {name: value for name, value in defaults.items() if value and getattr(options, name) is None}
    if chosen:
        print(
            f"for {characters:,} characters: "
            + ", ".join(f"--{name} {value}" for name, value in chosen.items())
        )
    if options.from_preset:
        chosen.setdefault("patience", options.patience or 2)
    warnings = [] if options.from_preset else small_text_warning(characters)
    return replace(options, **chosen), warnings


def new_model(options, texts, sampler):
    """Make a model, with a tokenizer trained on these texts."""
    import textrnn
    from textrnn.tokenizers import train_tokenizer

    tokenizer = train_tokenizer(options.tokenizer, texts, options.vocabulary_size)
    units = [options.units] * (options.layers - 1) + [options.last_units or options.units]
    backbone = textrnn.RecurrentBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        activation_regularization=options.ar,
        temporal_activation_regularization=options.tar,
        input_dropout=options.input_dropout,
        output_dropout=options.output_dropout,
        dtype=options.precision,
        **options.backbone_arguments() | {"units": units},
    )
    return textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(tokenizer), sampler)


def adapted_model(options, texts, result, score):
    """Print whether adapting a trained model helped, and return the figures."""
    from textrnn.text_generation import adaptation

    scratch = None
    if options.compare_with_scratch:
        print("training a new model for the same time ...", flush=True)
        scratch = adaptation.score_from_scratch(
            lambda found, text: new_model(
                replace(options, tokenizer=found.tokenizer, dropout=found.dropout, vocabulary_size=None),
                text, None,
            ),
            texts, result.seconds, options.sequence_length, options.seed,
        ).bits_per_character  # fmt: skip
    # Ctrl-C may come before the first evaluation.
    before, *_ = [*result.history.get("val_bits_per_character", []), score.bits_per_character]
    found = adaptation.Adaptation(before, score.bits_per_character, scratch)
    print(found)
    for sentence in adaptation.advice(found, result.history, result.best_epoch):
        print(sentence)
    return found


def make_optimizer(options, groups, steps, few_lengths):
    """Make the optimizer, with the learning rate of each of `steps` updates per epoch and group of layers."""
    from textrnn import training
    from textrnn.data.windows import relative_lengths

    rate = options.learning_rate
    if options.schedule == "cosine":
        rate = training.warmup_cosine(rate, steps=steps * options.epochs)
    if options.schedule == "slanted_triangular":
        rate = training.SlantedTriangular(rate, steps=steps * options.epochs)
    if options.variable_length:
        rate = training.ScaledByStep(
            rate, relative_lengths(steps, options.sequence_length, options.seed, options.epochs, few_lengths)
        )
    optimizer = {"adam": training.DiscriminativeAdam, "sgd": training.DiscriminativeSGD}[options.optimizer]
    return optimizer(
        rate,
        rates=training.discriminative_rates(groups, options.layer_rate_factor),
        weight_decay=options.weight_decay or None,
        global_clipnorm=options.clipnorm,
    )


if __name__ == "__main__":
    run_recipe(main, Options, __doc__)

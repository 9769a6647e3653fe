r"""Sentiment analysis: train a recurrent classifier on labelled texts, explain it, and serve it.

    python recipes/sentiment.py --data reviews.csv --name reviews
    python recipes/sentiment.py --data folder_with_a_folder_per_class --name topics
    python recipes/sentiment.py --data tweets.jsonl --text_column body --label_column mood --name moods
    python recipes/sentiment.py --from_preset saved_models/reviews --data more_reviews.csv --name reviews
    python recipes/sentiment.py --from_preset saved_models/novel --data reviews.csv --name reviews

The last command starts from a language model (ULMFiT). So do others if the texts are few and there is a
starter model of their language, unless --from_scratch is given.

Without `--data` and `--dataset` it trains on 1,296 short reviews written for this project, in a minute.

It writes to `<output>/<name>/`: `<version>/`, a SavedModel for TF Serving; `preset/`, for `--from_preset` and
`textrnn.TextClassifier.from_preset`; and `report/`, with the options, metrics, plots and explanations.
"""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from textrnn.cli.options import DataOptions, ModelOptions, OutputOptions, TrainingOptions, option
from textrnn.cli.recipes import run_recipe
from textrnn.errors import expect, warn
from textrnn.types import Fraction, HeldOutFraction, ModelName, NonNegativeInt, PositiveInt, PositiveNumber


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, TrainingOptions, ModelOptions, DataOptions):
    """Options of this recipe, in addition to those that all recipes share."""

    data: Path | None = option(
        None, "Your texts: a table, such as reviews.csv, or a folder with one per class"
    )
    dataset: Literal["sst2", "imdb"] | None = option(None, "Public texts instead of --data")
    held_out: HeldOutFraction = option(0.1, "Fraction for validation, and for the test if there is none")
    test_data: Path | None = option(None, "Texts of the test set, as --data (default: from --data)", "Data")
    text_column: str = option("text", "Column with the texts: its name, or its number from 1", "Data")
    label_column: str = option("label", "Column with the labels", "Data")
    no_header: bool = option(False, "The first row of the table has no names of columns", "Data")
    document: Literal["file", "line", "blank_line"] = option(
        "file", "A text of a folder is a file, a line, or a part between blank lines", "Data"
    )
    include: str | None = option(None, "Names of the files to read in a folder, such as '*.txt'", "Data")
    unlabelled: Path | None = option(
        None, "More texts without labels, for the language model: lines, a table or a folder", "Data"
    )
    from_preset: Path | None = option(
        None,
        "Start from a trained classifier, or from a language model; keeps its tokenizer, cell and sizes "
        "(default: a starter model of the language of few texts)",
        "Model",
    )
    from_scratch: bool = option(False, "Start from random weights, not from a starter model", "Model")
    lowercase: bool = option(True, "Ignore case", "Model")
    max_tokens: PositiveInt = option(512, "Maximum number of tokens of a text; the rest is cut", "Model")
    units: PositiveInt = option(64, "Units of each direction of a recurrent layer")
    embedding_dim: PositiveInt = option(64, "Size of a token vector")
    pooling: Literal["max", "mean", "last", "attention", "concat"] = option(
        "max", "Pooling over the steps", "Model"
    )
    ngrams: NonNegativeInt = option(
        2, "Longest word n-grams of the linear part; 0 for no linear part", "Model"
    )
    ngram_buckets: PositiveInt = option(2**18, "Maximum number of n-grams with a weight", "Model")
    dropout: Fraction = 0.5
    embedding_dropout: Fraction = 0.2
    class_weights: Literal["balanced", "none"] = option("none", "Weights of the classes", "Training")
    label_smoothing: Fraction = option(0.0, "Probability spread over all classes", "Training")
    batch_size: PositiveInt | None = option(None, "Texts per batch (default: by the number of texts)")
    epochs: PositiveInt | None = option(None, "Maximum number of epochs (default: by the number of texts)")
    patience: PositiveInt | None = option(
        None, "Epochs to wait for a lower validation loss (default: by the number of texts)", "Training"
    )
    learning_rate: PositiveNumber | None = option(
        None, "Peak learning rate (default: 0.002, or 0.004 from a language model)"
    )
    layer_rate_factor: PositiveNumber | None = option(
        None, "By how much lower the rate of a layer is than that of the next one (default: 1, or 2.6)",
        "Training",
    )  # fmt: skip
    unfreeze_epochs: NonNegativeInt | None = option(
        None, "Train the last layer first, and one more after so many epochs (default: 0, or 1)", "Training"
    )
    adapt_epochs: NonNegativeInt | None = option(
        None, "Epochs of a language model on the texts before (default: by the number of texts)", "Training"
    )
    name: ModelName = "sentiment"

    def __post_init__(self):
        super().__post_init__()
        expect(
            not (self.from_preset and self.from_scratch), "--from_preset, --from_scratch: give one of them"
        )


def main(options: Options):
    """Train, calibrate, evaluate, explain, report and export."""
    import keras
    import numpy as np
    from sklearn.utils.class_weight import compute_sample_weight

    import textrnn
    from textrnn import files, training
    from textrnn.classification import baseline, evaluation, report
    from textrnn.classification.calibration import calibrate
    from textrnn.classification.fitting import fit_linear_part
    from textrnn.cli.checkpoints import checkpoint_of
    from textrnn.data import batching, labelled, sources
    from textrnn.data.records import fingerprint
    from textrnn.export import publish
    from textrnn.presets import in_weight_precision, save_preset
    from textrnn.reporting.report import save_report
    from textrnn.tasks.execution import execution_of
    from textrnn.training.losses import TokenCrossentropy

    options.check()
    keras.utils.set_random_seed(options.seed)
    folder = options.folder

    # === Data and model ===
    examples = sources.load_labelled_texts(
        options.data, options.dataset, options.held_out, test_data=options.test_data,
        text_column=options.text_column, label_column=options.label_column, seed=options.seed,
        encoding=options.encoding, include=options.include, no_header=options.no_header,
        document=options.document,
    )  # fmt: skip
    sources.describe(examples)
    splits = (examples.train, examples.validation, examples.test)
    train, validation, test = ([e.text for e in split] for split in splits)
    options, task = with_defaults(options, train)
    unlabelled = unlabelled_texts(options)
    data = fingerprint([examples.fingerprint, fingerprint(unlabelled)])
    checkpoint = checkpoint_of(options, data)
    labels = labelled.check_classes(examples.train, min_examples=1)
    if task is None:
        classifier = new_model(options, labels, train)
    elif task is textrnn.CausalLM:
        adapting = checkpoint_of(options, data, "checkpoint_of_adapting")
        classifier = adapted_model(
            options, labels, train + validation + unlabelled, adapting, checkpoint.found
        )
    else:
        classifier = load_model(options, labels)
    labels = classifier.labels  # in the model's order; it may know more
    train_targets, validation_targets, test_targets = (
        np.array([labels.index(e.label) for e in split], "int32") for split in splits
    )
    print(f"training texts: {report.class_counts(train_targets, labels)}")

    # === Baseline ===
    # It has no epoch to choose, and may learn from the validation texts, too, as the linear part does.
    all_texts, all_targets = train + validation, np.concatenate([train_targets, validation_targets])
    weights = all_weights = None
    if options.class_weights == "balanced":
        weights, all_weights = (
            compute_sample_weight("balanced", targets).astype("float32")
            for targets in (train_targets, all_targets)
        )
    baseline_score = baseline.score_tfidf_baseline(
        all_texts, all_targets, test, test_targets, len(labels), all_weights
    )
    features = baseline.tfidf_features(all_texts)
    print(f"{'TF-IDF of ' + features + ':':31} {baseline_score}", flush=True)

    # === Batches ===
    preprocessor = classifier.preprocessor
    tokens, validation_tokens = preprocessor.encode(train), preprocessor.encode(validation)
    origins = [e.origin for e in examples.train]
    if warning := report.truncation_warning(origins, tokens, preprocessor.sequence_length):
        warn(warning)
    execution = execution_of(classifier)
    batches = batching.text_batches(
        tokens, train_targets, options.batch_size, weights, seed=options.seed, few_lengths=execution.xla
    )
    validation_batches = batching.text_batches(
        validation_tokens, validation_targets, 64, shuffle=False, few_lengths=execution.xla
    )
    print(
        f"vocabulary of {preprocessor.tokenizer.vocabulary_size():,}; {np.mean([*map(len, tokens)]):.0f} "
        f"tokens per text; {classifier.backbone.count_params():,} weights in the encoder"
    )
    print(execution, flush=True)

    # For the preset, the SavedModel and two checkpoints, and twice for the n-grams
    files.expect_space(folder, 44 * classifier.count_params() + 8 * options.ngram_buckets * len(labels))

    # === Training ===
    schedule = training.warmup_cosine(options.learning_rate, steps=len(batches) * options.epochs)
    groups = classifier.layer_groups
    classifier.compile(
        training.DiscriminativeAdam(
            schedule,
            rates=training.discriminative_rates(groups, options.layer_rate_factor),
            global_clipnorm=options.clipnorm,
        ),
        TokenCrossentropy(options.label_smoothing),
        metrics=[],
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )
    if not checkpoint.found:
        files.set_aside(folder / "report")
    callbacks: list = [keras.callbacks.EarlyStopping(patience=options.patience)]
    if options.unfreeze_epochs:
        callbacks.append(training.GradualUnfreezing(groups, options.unfreeze_epochs))
    if options.tensorboard:
        callbacks.append(training.TensorBoard(options.tensorboard))
    result = training.fit(
        classifier,
        batches,
        epochs=options.epochs,
        validation_data=validation_batches,
        callbacks=callbacks,
        progress=training.ProgressBar("text", options.batch_size),
        evaluate_first=task is textrnn.TextClassifier,
        checkpoint=checkpoint,
        log=folder / "report" / "log.txt",
    )

    if not training.disband():
        return  # the chief goes on alone

    # === N-grams and calibration ===
    classifier = in_weight_precision(classifier)
    linear_logits = None
    if options.ngrams:
        linear_logits = fit_linear_part(
            classifier, (train, train_targets), (validation, validation_targets), all_weights,
            words=options.ngrams, max_features=options.ngram_buckets, seed=options.seed,
        )  # fmt: skip
    calibration = calibrate(classifier, validation, validation_targets, linear_logits=linear_logits)
    save_preset(classifier, folder)

    # === Evaluation and report ===
    probabilities = evaluation.predict_probabilities(classifier, test)
    score = evaluation.score_predictions(test_targets, probabilities)
    parts = {
        name: evaluation.score_predictions(test_targets, predicted)
        for name, predicted in calibration.part_probabilities(classifier, test).items()
    }
    for name, part_score in parts.items():
        print(f"{name + ' alone:':31} {part_score}")
    print(f"this model:                     {score}")
    metrics = report.closing_metrics(classifier, result, score, parts, baseline_score, features)
    save_report(
        folder / "report", options=options, metrics=metrics, history=result.history, seed=options.seed
    )
    print(report.save_test_report(folder / "report", classifier, test, test_targets, probabilities))

    # === SavedModel ===
    ask = f"explain {folder} {shlex.quote(report.example_text(test))}"
    publish(classifier, folder, result, ask, dtype=options.export_dtype, warmup_prompts=test[:1])
    checkpoint.remove()


def with_defaults(options, texts):
    """Choose what to start from, and options by the number of texts.

    Returns:
        The options, and the class of the preset to start from; None for random weights.
    """
    import textrnn
    from textrnn.classification.defaults import defaults_for
    from textrnn.classification.from_language_model import starting_point
    from textrnn.presets import preset_task

    preset = options.from_preset
    if preset is None and not options.from_scratch:
        preset, reason = starting_point(texts, textrnn.CausalLM)
        print(f"starting from {reason}")
    task = None if preset is None else preset_task(preset)
    expect(
        task in (None, textrnn.CausalLM, textrnn.TextClassifier),
        f"{preset} is a preset of a {task and task.__name__}: give that of a classifier or language model",
    )
    expect(
        task is textrnn.CausalLM or not options.unlabelled,
        "--unlabelled: texts without labels are for a language model: give one with --from_preset",
    )
    defaults = defaults_for(len(texts), task is textrnn.CausalLM)._asdict()
    chosen = {name: value for name, value in defaults.items() if getattr(options, name) is None}
    return replace(options, from_preset=preset, **chosen), task


def new_model(options, labels, texts):
    """Make a classifier, with a tokenizer trained on these texts."""
    import textrnn
    from textrnn.tokenizers import train_tokenizer

    texts = [text.lower() if options.lowercase else text for text in texts]
    tokenizer = train_tokenizer(options.tokenizer, texts, options.vocabulary_size)
    return textrnn.TextClassifier(
        textrnn.RecurrentEncoder(
            tokenizer.vocabulary_size(), dtype=options.precision, **options.backbone_arguments()
        ),
        labels,
        textrnn.TextClassifierPreprocessor(tokenizer, options.max_tokens, options.lowercase),
        options.pooling,
        dropout=options.dropout,
    )


def unlabelled_texts(options):
    """Read the texts of a folder, the lines of a file, or a column of a table."""
    from textrnn.data.documents import read_documents
    from textrnn.serving.texts import given_texts

    path = options.unlabelled
    if path is None:
        return []
    if path.is_dir():
        return [text for _, text in read_documents(path, options.encoding, options.include)]
    return list(given_texts(file=path, encoding=options.encoding).texts)


def adapted_model(options, labels, texts, checkpoint, adapted):
    """Adapt a language model to texts, and make a classifier from it (ULMFiT).

    Nothing is trained if that is done, since the checkpoint of the classifier has all weights.
    """
    import textrnn
    from textrnn.classification.from_language_model import adapt_to_texts, classifier_from
    from textrnn.presets import load_preset

    lm = load_preset(options.from_preset, textrnn.CausalLM, dtype=options.precision)
    if options.adapt_epochs and not adapted:
        print(f"adapting {options.from_preset} to {len(texts):,} texts ...", flush=True)
        adapt_to_texts(lm, texts, options.adapt_epochs, seed=options.seed, checkpoint=checkpoint)
        checkpoint.remove()
    return classifier_from(
        lm, labels, options.max_tokens, options.dropout, embedding_dropout=options.embedding_dropout,
        recurrent_dropout=options.recurrent_dropout, weight_drop=options.weight_drop, zoneout=options.zoneout,
    )  # fmt: skip


def load_model(options, labels):
    """Load a trained classifier, with a new output layer if it does not know all labels."""
    import textrnn
    from textrnn.classification.relabel import relabel
    from textrnn.presets import load_preset

    known = load_preset(options.from_preset, textrnn.TextClassifier, dtype=options.precision)
    classifier = relabel(known, labels)
    if classifier is not known:
        print(
            f"the labels {', '.join(labels)} are not those of {options.from_preset} "
            f"({', '.join(known.labels)}): its encoder gets a new output layer",
            flush=True,
        )
    return classifier


if __name__ == "__main__":
    run_recipe(main, Options, __doc__)

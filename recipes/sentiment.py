r"""Sentiment analysis: train a recurrent classifier on labelled texts, explain it, and serve it.

    python recipes/sentiment.py --data reviews.csv --name reviews
    python recipes/sentiment.py --data folder_with_a_folder_per_class --name topics
    python recipes/sentiment.py --data tweets.jsonl --text_column body --label_column mood --name moods
    python recipes/sentiment.py --from_preset saved_models/reviews --data more_reviews.csv --name reviews
    python recipes/sentiment.py --from_preset english --data reviews.csv --name reviews

The last command starts from a language model (ULMFiT). Without `--from_preset`, fewer than 300 texts start
from a starter model of their language if there is one, unless `--from_scratch` is given.

Without `--data` and `--dataset` it trains on 1,296 short reviews written for this project, in a minute.

It writes to `<output>/<name>/`: `<version>/`, a SavedModel for TF Serving; `preset/`, for `--from_preset` and
`textrnn.TextClassifier.from_preset`; and `report/`, with the options, metrics, plots and explanations.
"""

from dataclasses import dataclass

from textrnn.classification.options import ClassificationOptions, LabelledTextOptions
from textrnn.cli.recipes import run_recipe
from textrnn.types import ModelName


@dataclass(frozen=True, kw_only=True)
class Options(ClassificationOptions):
    """Options of this recipe. For one of your own, add a field with `textrnn.options.option`."""

    name: ModelName = "sentiment"


def main(options: Options):
    """Train, calibrate, evaluate, explain, report and export."""
    import keras
    import numpy as np

    import textrnn
    from textrnn import files, presets, training
    from textrnn.classification import baseline, calibration, evaluation, report
    from textrnn.classification.fitting import fit_linear_part
    from textrnn.classification.from_language_model import unlabelled_texts
    from textrnn.classification.learned_texts import are_learned, load_learned, save_learned, warn_if_learned
    from textrnn.classification.new_classifier import new_classifier
    from textrnn.classification.relabel import load_relabelled
    from textrnn.classification.start import find_start
    from textrnn.cli.checkpoints import checkpoint_of
    from textrnn.data import batching, labelled_splits, records, sources
    from textrnn.export import publish
    from textrnn.reporting.report import begin_report, save_report
    from textrnn.tasks.execution import execution_of
    from textrnn.training.losses import TokenCrossentropy

    options.check()
    keras.utils.set_random_seed(options.seed)
    folder = options.folder

    # === Data, and options that depend on it ===
    examples = sources.load_labelled_texts(**options.only(LabelledTextOptions), seed=options.seed)
    sources.describe(examples)
    splits = (examples.train, examples.validation, examples.test)
    train, validation, test = ([e.text for e in split] for split in splits)
    labels = labelled_splits.check_classes(examples.train, min_examples=1)
    preset, start = find_start(train, labels, **options.start_arguments())
    learned = load_learned(preset)
    warn_if_learned(learned, validation, test, preset)
    options = options.starting_from(preset, start is textrnn.CausalLM, len(train))
    unlabelled = unlabelled_texts(
        options.unlabelled, options.encoding, options.include, options.text_column, options.no_header
    )
    data = records.fingerprint([examples.fingerprint, records.fingerprint(unlabelled)])
    checkpoint = checkpoint_of(options, data)
    checkpoint_of_adapting = checkpoint_of(options, data, "checkpoint_of_adapting")

    # === Model ===
    earlier_weight = 0.0
    if start is None:
        classifier = new_classifier(train, labels, **options.classifier_arguments(), dtype=options.precision)
    elif start is textrnn.CausalLM:
        texts = [] if checkpoint.found else train + validation + unlabelled
        classifier = adapted_model(options, labels, texts, checkpoint_of_adapting)
    else:
        classifier, earlier_weight = load_relabelled(
            preset, labels, options.max_tokens, options.ngrams > 0, dtype=options.precision
        )
    labels = classifier.labels  # in the model's order; it may know more
    targets, validation_targets, test_targets = (
        np.array([labels.index(e.label) for e in split], "int32") for split in splits
    )
    print(f"training texts: {report.class_counts(targets, labels)}")

    # === Baseline: it has no epoch to choose, and so may learn from the validation texts, too ===
    all_texts, all_targets = train + validation, np.concatenate([targets, validation_targets])
    all_weights = options.sample_weight(all_targets)
    baseline_score = baseline.score_tfidf_baseline(
        all_texts, all_targets, test, test_targets, len(labels), all_weights
    )
    features = baseline.tfidf_features(all_texts)
    print(f"{'TF-IDF of ' + features + ':':31} {baseline_score}", flush=True)

    # === Batches ===
    few_lengths = execution_of(classifier).xla
    tokens, validation_tokens = map(classifier.preprocessor.encode, (train, validation))
    weights, validation_weights = (None, None) if all_weights is None else np.split(all_weights, [len(train)])
    batches = batching.text_batches(
        tokens, targets, options.batch_size, weights, seed=options.seed, few_lengths=few_lengths
    )
    validation_batches = batching.text_batches(
        validation_tokens, validation_targets, 64, validation_weights, shuffle=False, few_lengths=few_lengths
    )
    report.describe_training(classifier, [e.origin for e in examples.train], tokens)

    # === Training ===
    # For the preset, the SavedModel and two checkpoints, and twice for the n-grams
    files.expect_space(folder, 44 * classifier.count_params() + 8 * options.ngram_buckets * len(labels))
    rate = training.warmup_cosine(options.learning_rate, steps=len(batches) * options.epochs)
    groups = classifier.layer_groups
    classifier.compile(
        training.discriminative_optimizer(groups, rate, options.layer_rate_factor, clipnorm=options.clipnorm),
        TokenCrossentropy(options.label_smoothing),
        metrics=[],
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )
    callbacks = [
        keras.callbacks.EarlyStopping(patience=options.patience),
        training.GradualUnfreezing(groups, options.unfreeze_epochs),
    ]
    if options.tensorboard:
        callbacks.append(training.TensorBoard(options.tensorboard))
    if not checkpoint.found:
        begin_report(folder / "report", options)
    result = training.fit(
        classifier,
        batches,
        epochs=options.epochs,
        validation_data=validation_batches,
        callbacks=callbacks,
        progress=training.ProgressBar("text", options.batch_size),
        evaluate_first=start is textrnn.TextClassifier,
        checkpoint=checkpoint,
        log=folder / "report" / "log.txt",
    )
    if not training.disband():
        return  # the chief goes on alone

    # === N-grams and calibration ===
    classifier = presets.in_weight_precision(classifier)
    linear_logits = fit_linear_part(
        classifier, (train, targets), (validation, validation_targets),
        all_weights, options.ngrams, options.ngram_buckets, options.seed,
        learned=are_learned(all_texts, learned),
    )  # fmt: skip
    calibrated = calibration.calibrate(
        classifier, validation, validation_targets, validation_weights, linear_logits, earlier_weight
    )
    saved = presets.save_preset(classifier, folder, preset)  # before anything else can fail
    save_learned(saved, all_texts, learned)

    # === Evaluation and report ===
    probabilities = evaluation.predict_probabilities(classifier, test)
    score = evaluation.score_predictions(test_targets, probabilities)
    parts = calibrated.score_parts(classifier, test, test_targets)
    for name, part_score in parts.items():
        print(f"{name + ' alone:':31} {part_score}")
    print(f"{'this model:':31} {score}")
    report.describe_weight(calibrated, len(validation))
    metrics = report.closing_metrics(classifier, result, score, parts, baseline_score, features)
    save_report(
        folder / "report", options=options, metrics=metrics, history=result.history, seed=options.seed
    )
    print(report.save_test_report(folder / "report", classifier, test, test_targets, probabilities))

    # === SavedModel ===
    ask = ["explain", folder, report.example_text(test)]
    publish(classifier, folder, result, ask, dtype=options.export_dtype, warmup_prompts=test[:1])
    presets.replace_start(saved)
    checkpoint.remove()
    checkpoint_of_adapting.remove()


def adapted_model(options, labels, texts, checkpoint):
    """Adapt a language model to texts, and make a classifier from it (ULMFiT)."""
    from textrnn.classification.from_language_model import adapt_to_texts, classifier_from
    from textrnn.presets import load_preset

    lm = load_preset(options.from_preset, dtype=options.precision)
    if options.adapt_epochs and texts:
        print(f"adapting {options.from_preset} to {len(texts):,} texts ...", flush=True)
        adapt_to_texts(lm, texts, options.adapt_epochs, seed=options.seed, checkpoint=checkpoint)
    return classifier_from(lm, labels, options.max_tokens, **options.regularization())


if __name__ == "__main__":
    run_recipe(main, Options, __doc__)

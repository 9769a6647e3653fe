r"""Sentiment analysis: train a recurrent classifier on your labelled texts, look at why, and serve it.

    python recipes/sentiment.py --data reviews.csv --name reviews
    python recipes/sentiment.py --data folder_with_a_folder_per_class --name topics
    python recipes/sentiment.py --data tweets.jsonl --text_column body --label_column mood --name moods
    python recipes/sentiment.py --from_preset saved_models/reviews --data more_reviews.csv --name reviews

Without `--data` and `--dataset` it trains on 1,296 short reviews written for this project, in a minute.

It leaves, in `<output>/<name>/`: `<version>/`, a SavedModel for TF Serving; `preset/`, for `--from_preset`
and `textrnn.TextClassifier.from_preset`; and `report/`, with the options, scores, pictures and explanations.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from textrnn.cli import recipes
from textrnn.errors import InputError


@dataclass(frozen=True)
class Options:
    """What to train on, what to train, and how.

    Args:
        data: Your labelled texts: a .csv, .tsv or .jsonl file, or a folder with a folder for each class.
        dataset: A public set instead of your own: sst2 or imdb.
        test_data: Labelled texts to measure on, as data; a part of data is kept back for that if left out.
        text_column: The column with the texts.
        label_column: The column with the labels.
        held_out: The part of the texts that is kept back to choose the best epoch and to calibrate; as much
            again is kept back to measure on, if there is no other part for that.
        from_preset: Go on training from a classifier of an earlier run (saved_models/NAME). The flags from
            tokenizer to embedding_dropout are then that model's, and not used; only a cell class of your own
            has to be named again. Its n-grams stay as they are. If there are labels that it does not know, it
            keeps what it has learnt of texts, and learns all labels anew.
        tokenizer: What a token is: sentencepiece (pieces of words), word, character or byte.
        vocabulary_size: How many different tokens; chosen by the size of the text if left out.
        lowercase: Whether upper and lower case are the same.
        max_tokens: Texts are cut after this many tokens.
        cell: The recurrent cell: a name (`textrnn cells` lists them), or module:attribute for a GateSpec or a
            cell class of your own in module.py.
        units: The width of each direction of a recurrent layer.
        layers: How many recurrent layers.
        embedding_dim: The width of the token vectors.
        pooling: How the outputs of all steps become one: max, mean, last or attention.
        ngrams: Beside the network, a linear classifier reads runs of so many tokens at the most; 0 for none.
        ngram_buckets: How many of these runs it tells apart.
        dropout: The fraction of each layer's inputs, and of what is pooled, to drop while training.
        recurrent_dropout: The fraction of the recurrent state to drop while training.
        weight_drop: The fraction of the recurrent weights to drop while training.
        zoneout: How likely a unit of the recurrent state keeps its old value while training.
        embedding_dropout: The fraction of the vocabulary to drop while training: whole tokens, for a batch.
        class_weights: Whether rare classes count as much as frequent ones: balanced, which finds more of
            their texts and gives them too high a probability, or none.
        label_smoothing: The part of the targets' probability that is spread over all classes.
        batch_size: How many texts of about one length are trained on side by side.
        epochs: How often the texts are read at the most.
        patience: Training ends after this many epochs that made the held-out loss no better.
        learning_rate: The highest learning rate; it warms up and then falls to zero.
        clipnorm: Gradients are scaled down to this global norm.
        seed: For the parts, the initial weights and dropout.
        name: The model's name, for its folder and its address.
        output: The folder of all models.
    """

    data: Path | None = None
    dataset: str | None = None
    test_data: Path | None = None
    text_column: str = "text"
    label_column: str = "label"
    held_out: float = 0.1
    from_preset: Path | None = None
    tokenizer: str = "sentencepiece"
    vocabulary_size: int | None = None
    lowercase: bool = True
    max_tokens: int = 512
    cell: str = "lstm"
    units: int = 64
    layers: int = 1
    embedding_dim: int = 64
    pooling: str = "max"
    ngrams: int = 3
    ngram_buckets: int = 2**18
    dropout: float = 0.5
    recurrent_dropout: float = 0.0
    weight_drop: float = 0.0
    zoneout: float = 0.0
    embedding_dropout: float = 0.2
    class_weights: str = "balanced"
    label_smoothing: float = 0.0
    batch_size: int = 32
    epochs: int = 10
    patience: int = 3
    learning_rate: float = 2e-3
    clipnorm: float = 1.0
    seed: int = 0
    name: str = "sentiment"
    output: Path = Path("saved_models")


def main(options: Options):
    """Trains, calibrates, evaluates, explains, reports and exports."""
    import keras
    import numpy as np

    from textrnn import files, training
    from textrnn.classification import evaluation, report
    from textrnn.classification.calibration import calibrate
    from textrnn.data import batching, labelled
    from textrnn.export import publish
    from textrnn.presets import save_preset
    from textrnn.reporting.report import save_report
    from textrnn.training import losses

    check(options)
    keras.utils.set_random_seed(options.seed)
    folder = options.output / options.name

    # === Data (to train on, to choose and calibrate by, to measure on) and model ===
    train, held_out, test = load_examples(options)
    labels = labelled.check_classes(train)
    classifier = load_model(options, labels) if options.from_preset else new_model(options, labels, train)
    labels = classifier.labels  # in its order, and perhaps more of them
    targets = [np.array([labels.index(e.label) for e in part], "int32") for part in (train, held_out, test)]
    counts = np.bincount(targets[0], minlength=len(labels))
    print(
        f"{len(train):,} texts to train on, {len(held_out):,} held out and {len(test):,} to measure on; "
        + ", ".join(f"{label} {count:,}" for label, count in zip(labels, counts, strict=True)),
        flush=True,
    )

    # === The classifier to beat ===
    texts = [e.text for e in test]
    baseline_score = evaluation.score_tfidf_baseline(
        [e.text for e in train], targets[0], texts, targets[2], len(labels)
    )
    print(f"TF-IDF and logistic regression: {baseline_score}", flush=True)

    # === Batches ===
    tokens = [classifier.preprocessor.encode([e.text for e in part]) for part in (train, held_out)]
    if warning := report.truncation_warning(
        [e.origin for e in train], tokens[0], classifier.preprocessor.sequence_length
    ):
        print(f"note: {warning}", flush=True)
    weights = None
    if options.class_weights == "balanced":
        weights = (len(train) / (np.count_nonzero(counts) * counts[targets[0]])).astype("float32")
    batches = batching.batches_of_like_length(
        tokens[0], targets[0], options.batch_size, weights, seed=options.seed
    )
    validation = batching.batches_of_like_length(tokens[1], targets[1], 64, shuffle=False)
    print(
        f"{classifier.preprocessor.tokenizer.vocabulary_size():,} different tokens, "
        f"{np.mean([len(text) for text in tokens[0]]):.0f} a text; "
        f"{classifier.backbone.count_params():,} weights in the encoder",
        flush=True,
    )

    # === Training ===
    schedule = training.warmup_cosine(options.learning_rate, steps=len(batches) * options.epochs)
    classifier.compile(
        keras.optimizers.Adam(schedule, global_clipnorm=options.clipnorm),
        losses.TokenCrossentropy(options.label_smoothing),
        metrics=[],
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )
    files.set_aside(folder / "report")
    result = training.fit(
        classifier,
        batches,
        epochs=options.epochs,
        validation_data=validation,
        callbacks=[keras.callbacks.EarlyStopping(patience=options.patience)],
        progress=training.ProgressBar("text", options.batch_size),
    )

    # === The n-grams, and calibration on texts that were not trained on ===
    calibration = calibrate(classifier, batches, [e.text for e in held_out], targets[1])
    save_preset(classifier, folder)

    # === Evaluation ===
    probabilities = evaluation.predict_probabilities(classifier, texts)
    score = evaluation.classification_score(targets[2], probabilities)
    parts = {
        name: evaluation.classification_score(targets[2], predicted)
        for name, predicted in calibration.part_probabilities(classifier, texts).items()
    }
    for name, part_score in parts.items():
        print(f"{name + ' alone:':31} {part_score}")
    print(f"this model:                     {score}")
    metrics = report.closing_metrics(classifier, result, score, parts, baseline_score)
    save_report(
        folder / "report", options=options, metrics=metrics, history=result.history, seed=options.seed
    )
    print(report.save_test_report(folder / "report", classifier, texts, targets[2], probabilities))

    # === SavedModel ===
    ask = f"explain {folder} {shlex.quote(min(texts, key=len))}"
    publish(classifier, folder, result, ask, warmup_prompts=texts[:1])


def check(options):
    """Says what cannot be before the long work begins."""
    from textrnn.layers import SequencePooling

    whole = (
        "units", "layers", "embedding_dim", "vocabulary_size", "max_tokens", "batch_size", "epochs",
        "patience", "ngram_buckets",
    )  # fmt: skip
    fractions = (
        "dropout", "recurrent_dropout", "weight_drop", "zoneout", "embedding_dropout", "label_smoothing"
    )  # fmt: skip
    recipes.check_options(options, whole, fractions)
    if not 0 < options.held_out < 0.5:
        raise InputError(f"--held_out {options.held_out}: give a fraction above 0 and below 0.5")
    if options.class_weights not in ("balanced", "none"):
        raise InputError(f"--class_weights {options.class_weights}: give balanced or none")
    if options.ngrams < 0:
        raise InputError(f"--ngrams {options.ngrams}: give 1 or more, or 0 for none")
    SequencePooling(options.pooling)
    recipes.check_cell(options)


def load_examples(options):
    """The texts to train on, to choose and calibrate by, and to measure on."""
    from textrnn.data import datasets, labelled, starter

    def warn(warnings):
        for text in warnings:
            print(f"warning: {text}", flush=True)

    if options.data and options.dataset:
        raise InputError("--data and --dataset: give one of them")
    test = None
    if options.data:
        train, warnings = labelled.read_labelled(options.data, options.text_column, options.label_column)
        warn(warnings)
        labelled.check_classes(train, min_examples=3 if options.test_data is None else 2)
        if options.test_data:
            test, warnings = labelled.read_labelled(
                options.test_data, options.text_column, options.label_column
            )
            warn(warnings)
            labelled.check_known(train, test)
    elif options.dataset:
        found = datasets.load_labelled(options.dataset)
        print(f"{options.dataset}, licence: {found.licence}", *found.files, sep="\n  ")
        train, test = found.train, found.test
    else:
        print("The starter corpus: short reviews written for this project. Give --data for your own texts.")
        train, test = starter.starter_reviews()
    if test is None:
        train, test = labelled.split_examples(train, options.held_out, options.seed)
    train, held_out = labelled.split_examples(train, options.held_out, options.seed)
    warn(labelled.repeated_examples([*train, *held_out], test))
    return train, held_out, test


def new_model(options, labels, examples):
    """A classifier for these texts, with a tokenizer trained on them."""
    from textrnn.classification.backbone import RecurrentEncoder
    from textrnn.classification.preprocessor import TextClassifierPreprocessor
    from textrnn.classification.text_classifier import TextClassifier
    from textrnn.tokenizers import train_tokenizer

    texts = [e.text.lower() if options.lowercase else e.text for e in examples]
    tokenizer = train_tokenizer(options.tokenizer, texts, options.vocabulary_size)
    encoder = RecurrentEncoder(
        vocabulary_size=tokenizer.vocabulary_size(),
        cell=options.cell,
        units=options.units,
        num_layers=options.layers,
        embedding_dim=options.embedding_dim,
        dropout=options.dropout,
        recurrent_dropout=options.recurrent_dropout,
        weight_drop=options.weight_drop,
        zoneout=options.zoneout,
        embedding_dropout=options.embedding_dropout,
    )
    preprocessor = TextClassifierPreprocessor(tokenizer, options.max_tokens, options.lowercase)
    return TextClassifier(
        encoder,
        labels,
        preprocessor,
        options.pooling,
        dropout=options.dropout,
        ngrams=options.ngrams,
        ngram_buckets=options.ngram_buckets,
    )


def load_model(options, labels):
    """The classifier of an earlier run, for these labels."""
    import textrnn
    from textrnn.presets import load_preset

    classifier = load_preset(options.from_preset, textrnn.TextClassifier)
    if set(labels) <= set(classifier.labels):
        return classifier
    print(
        f"the labels {', '.join(labels)} are not those of {options.from_preset} "
        f"({', '.join(classifier.labels)}): its encoder goes on, with a new output layer",
        flush=True,
    )
    renewed = textrnn.TextClassifier(
        classifier.backbone,
        labels,
        classifier.preprocessor,
        classifier.pooling.mode,
        classifier.dropout,
        ngrams=classifier.ngrams,
        ngram_buckets=classifier.ngram_buckets,
    )
    renewed.pooling.set_weights(classifier.pooling.get_weights())
    return renewed


if __name__ == "__main__":
    recipes.run_recipe(main, Options, __doc__)

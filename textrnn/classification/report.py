"""The report of a trained classifier: metrics, figures and explanations of test texts."""

import numpy as np

from textrnn.classification import explanation, plots
from textrnn.classification.calibration import LINEAR
from textrnn.classification.scales import LEAST_TEXTS
from textrnn.errors import warn
from textrnn.tasks.execution import execution_of
from textrnn.tasks.registry import python_functions


def closing_metrics(classifier, result, score, part_scores, baseline_score, baseline_features):
    """Collect what a training run writes to `metrics.json`.

    Args:
        classifier: The trained `textrnn.TextClassifier`.
        result: The `TrainingResult` of `textrnn.training.fit`.
        score: The classifier's `ClassificationScore` on the test set.
        part_scores: A dict from the name of a part to its `ClassificationScore`; may be empty.
        baseline_score: The `ClassificationScore` of the TF-IDF baseline.
        baseline_features: Its features, from `baseline.tfidf_features`.

    Returns:
        A dict for `textrnn.reporting.report.save_report`.
    """
    return {
        "test": vars(score),
        **{f"test_{name}_alone": vars(part_score) for name, part_score in part_scores.items()},
        "tfidf_baseline": vars(baseline_score) | {"features": baseline_features},
        "network_weight": classifier.network_weight,
        "temperature": classifier.temperature,
        **result.metrics("texts"),
    }


def class_counts(targets, labels):
    """Say how many texts each class has, or of more than ten classes how many the smallest and largest have.

    Args:
        targets: Classes, ints `(texts,)`.
        labels: Their names.

    Example:

    >>> import numpy as np
    >>> from textrnn.classification.report import class_counts
    >>> class_counts(np.array([0, 1, 1]), ["bad", "good"])
    '1 bad, 2 good'
    >>> class_counts(np.arange(12) // 2, [f"topic {number}" for number in range(12)])
    '12 of 12 classes, 0 (topic 6) to 2 (topic 0) each'
    """
    counts = np.bincount(targets, minlength=len(labels))
    if len(labels) <= 10:
        return ", ".join(f"{count:,} {label}" for count, label in zip(counts, labels, strict=True))
    few, many = counts.argmin(), counts.argmax()
    return (
        f"{len(targets):,} of {len(labels)} classes, {counts[few]:,} ({labels[few]}) to {counts[many]:,} "
        f"({labels[many]}) each"
    )


def save_test_report(folder, classifier, texts, targets, probabilities):
    """Write the scores of each class, the plots, and explanations of selected test texts.

    Writes `classification.txt`, `classification.png`, `explanations.html` and `explanations.png`.

    Args:
        folder: An existing folder, a `pathlib.Path`.
        classifier: A `textrnn.TextClassifier` with a preprocessor.
        texts: Test texts, a list of str.
        targets: True classes, ints `(texts,)`.
        probabilities: Predicted probabilities `(texts, classes)`.

    Returns:
        The content of `classification.txt`: precision, recall and F1 of each class, a str.
    """
    from sklearn.metrics import classification_report

    labels, predicted = classifier.labels, probabilities.argmax(axis=1)
    found = np.union1d(targets, predicted)
    table = classification_report(
        targets, predicted, labels=found, target_names=[labels[i] for i in found], zero_division=0
    )
    (folder / "classification.txt").write_text(table, encoding="utf-8")
    plots.classification(targets, probabilities, labels, folder / "classification.png")

    explain = explanation.explainer(python_functions(classifier))
    groups = []
    for heading, rows in explanation.select_examples(targets, probabilities).items():
        explained = explain([texts[row] for row in rows])
        true_labels = [labels[targets[row]] for row in rows]
        group = [one._replace(true_label=label) for one, label in zip(explained, true_labels, strict=True)]
        groups.append((heading, group))
    (folder / "explanations.html").write_text(explanation.to_html(groups), encoding="utf-8")
    plots.explanations([(heading, group[:3]) for heading, group in groups], folder / "explanations.png")
    return table


def describe_training(classifier, origins, tokens):
    """Print the size of a model and how its training steps run; warn about texts that are cut.

    Args:
        classifier: A `textrnn.TextClassifier` with a preprocessor.
        origins: Where each training text comes from, a list of str.
        tokens: The tokens of each training text, as the preprocessor encodes them.

    Example:

    >>> import textrnn
    >>> from textrnn.classification.report import describe_training
    >>> preprocessor = textrnn.TextClassifierPreprocessor(textrnn.tokenizers.ByteTokenizer())
    >>> encoder = textrnn.RecurrentEncoder(258, units=4)
    >>> classifier = textrnn.TextClassifier(encoder, ["bad", "good"], preprocessor)
    >>> describe_training(classifier, ["a.csv, line 2"], preprocessor.encode(["dull"]))
    vocabulary of 258; 4 tokens per text; 1,320 weights in the encoder
    strategy: recompute, XLA off (no GPU), float32
    """
    preprocessor = classifier.preprocessor
    if warning := truncation_warning(origins, tokens, preprocessor.sequence_length):
        warn(warning)
    print(
        f"vocabulary of {preprocessor.tokenizer.vocabulary_size():,}; {np.mean([*map(len, tokens)]):.0f} "
        f"tokens per text; {classifier.backbone.count_params():,} weights in the encoder"
    )
    print(execution_of(classifier), flush=True)


def describe_weight(calibrated, texts):
    """Print what weight the network has beside the n-grams; nothing if the model has no n-grams.

    Args:
        calibrated: A `textrnn.classification.calibration.Calibration`.
        texts: Number of validation texts.

    Example:

    >>> from textrnn.classification.calibration import Calibration
    >>> from textrnn.classification.report import describe_weight
    >>> parts = {"network": 1.3, "n-grams": 1.0}
    >>> describe_weight(Calibration(0.0, True, parts), 130)
    the network did not clearly help on the validation texts: its weight is 0, and the model is the n-grams
    alone
    >>> describe_weight(Calibration(0.0, False, parts), 9)
    9 validation texts are too few to judge the network by (at least 25): its weight is 0, and the model is
    the n-grams alone
    >>> describe_weight(Calibration(0.2, False, parts), 9)
    9 validation texts are too few to judge the network by (at least 25): its logits keep their weight of 0.2
    beside those of the n-grams
    >>> describe_weight(Calibration(0.42, True, parts), 130)
    the network helped on the validation texts: its logits have a weight of 0.42 beside those of the n-grams
    """
    parts = set(calibrated.temperatures)
    if not parts:
        return
    weight = calibrated.network_weight
    if not calibrated.judged:
        found = f"{texts} validation texts are too few to judge the network by (at least {LEAST_TEXTS})"
    elif not weight:
        found = "the network did not clearly help on the validation texts"
    elif LINEAR not in parts:
        found = "the n-grams did not help on the validation texts"
    else:
        found = "the network helped on the validation texts"
    if not weight:
        result = "its weight is 0, and the model is the n-grams alone"
    elif LINEAR not in parts:
        result = "their weight is 0, and the model is the network alone"
    else:
        verb = "have a" if calibrated.judged else "keep their"
        result = f"its logits {verb} weight of {weight:.2g} beside those of the n-grams"
    print(f"{found}: {result}", flush=True)


def truncation_warning(origins, tokens, limit):
    """Return a warning about texts that may be longer than the model reads, or None.

    Args:
        origins: Where each text comes from, a list of str.
        tokens: The tokens of each text, cut after `limit`.
        limit: The preprocessor's `sequence_length`.

    Example:

    >>> from textrnn.classification.report import truncation_warning
    >>> truncation_warning(["a.csv, line 2", "a.csv, line 3"], [[5, 6], [5]], limit=2)
    '1 of the training texts has 2 tokens or more and is cut to the first 2 (--max_tokens): a.csv, line 2'
    """
    full = [origin for origin, of_text in zip(origins, tokens, strict=True) if len(of_text) == limit]
    if not full:
        return None
    has, is_cut, first = ("has", "is", "") if len(full) == 1 else ("have", "are", "first ")
    return (
        f"{len(full):,} of the training texts {has} {limit} tokens or more and {is_cut} cut to the first "
        f"{limit} (--max_tokens): {first}{full[0]}"
    )


def example_text(texts, length=60):
    r"""Return a text of about this length on one line, to show how a command is used.

    Args:
        texts: A list of str.
        length: Number of characters.

    Example:

    >>> from textrnn.classification.report import example_text
    >>> example_text(["ok", "The soup was cold,\nbut I would go there again.", "word " * 500])
    'The soup was cold, but I would go there again.'
    """
    lines = [" ".join(text.split()) for text in texts]
    # Quoted in a shell, an apostrophe is hard to read.
    return min(lines, key=lambda line: ("'" in line, abs(len(line) - length)))[: 2 * length]

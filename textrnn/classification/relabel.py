"""Adapting a trained classifier to other labels."""

from textrnn.classification.text_classifier import TextClassifier
from textrnn.presets import load_preset


def relabel(classifier, labels):
    """Adapt a trained classifier to other labels.

    Args:
        classifier: A `textrnn.TextClassifier`.
        labels: A list of str.

    Returns:
        The classifier itself if it knows all labels. Otherwise a new classifier that shares its encoder and
        preprocessor and has its pooling weights, with a new output layer and without a linear part.

    Example:

    >>> import textrnn
    >>> from textrnn.classification.relabel import relabel
    >>> encoder = textrnn.RecurrentEncoder(258, units=4)
    >>> classifier = textrnn.TextClassifier(encoder, ["bad", "good"])
    >>> relabel(classifier, ["good", "bad"]) is classifier
    True
    >>> relabel(classifier, ["angry", "happy"]).backbone is encoder
    True
    """
    if set(labels) <= set(classifier.labels):
        return classifier
    renewed = TextClassifier(
        classifier.backbone,
        labels,
        classifier.preprocessor,
        classifier.pooling.mode,
        classifier.dropout,
        ngrams=classifier.ngrams,
        ngram_buckets=classifier.ngram_buckets,
        name=classifier.name,
    )
    renewed.pooling.set_weights(classifier.pooling.get_weights())
    return renewed


def load_relabelled(preset, labels, max_tokens=None, ngrams=True, **options):
    """Load a classifier and adapt it to labels. If they are new, print that.

    Args:
        preset: As for `textrnn.presets.load_preset`.
        labels: A list of str.
        max_tokens: int. Texts are truncated to this many tokens; None for as many as before.
        ngrams: Whether to keep n-grams, the linear part.
        **options: As for `textrnn.presets.load_preset`.

    Returns:
        The classifier, and the weight of its network relative to n-grams: 0 with a new output layer.

    Example:

    >>> from textrnn.classification.relabel import load_relabelled
    >>> classifier, weight = load_relabelled("sentiment", ["negative", "positive"])
    >>> 0 < weight < 1
    True
    """
    known = load_preset(preset, **options)
    known.preprocessor.sequence_length = max_tokens or known.preprocessor.sequence_length
    if not ngrams:
        known.linear, known.network_weight = None, 1.0
    classifier = relabel(known, labels)
    if classifier is known:
        return classifier, known.network_weight / known.temperature
    print(f"the labels {', '.join(labels)} are not those of {preset}: a new output layer")
    return classifier, 0.0

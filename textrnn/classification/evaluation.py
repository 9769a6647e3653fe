"""Scores, baselines and calibration of classifiers."""

from dataclasses import dataclass

import numpy as np

from textrnn.data.batching import batches_of_like_length


@dataclass(frozen=True)
class ClassificationScore:
    """How well a classifier names the classes of texts, and how well it knows how sure it may be.

    Attributes:
        accuracy: The share of the texts whose most probable class is theirs.
        macro_f1: The mean of F1 over the classes that are right or were said of some text, which counts a
            rare class as much as a frequent one.
        log_loss: Mean negative log-probability of the right class, in nats.
        calibration_error: The mean distance between how sure it is and how often it is right, over ten bins
            of how sure it is, weighted by their texts (expected calibration error, Guo et al. 2017).
        texts: How many texts.

    Example:

    >>> from textrnn.classification.evaluation import classification
    >>> print(classification(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])))
    accuracy 0.667, macro F1 0.667, log loss 0.511, calibration error 0.333 over 3 texts
    """

    accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    texts: int

    def __str__(self):
        return (
            f"accuracy {self.accuracy:.3f}, macro F1 {self.macro_f1:.3f}, log loss {self.log_loss:.3f}, "
            f"calibration error {self.calibration_error:.3f} over {self.texts:,} texts"
        )


def classification(targets, probabilities):
    """Scores the probabilities that a classifier gives to classes.

    Args:
        targets: The right class of each text, ints `(texts,)`.
        probabilities: `(texts, classes)`; each row sums to 1.

    Returns:
        A `ClassificationScore`.
    """
    from sklearn import metrics

    targets, probabilities = np.asarray(targets), np.asarray(probabilities, "float64")
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)  # float32 adds up to nearly 1
    classes = range(probabilities.shape[1])
    chosen = probabilities.argmax(axis=1)
    return ClassificationScore(
        accuracy=float(metrics.accuracy_score(targets, chosen)),
        macro_f1=float(metrics.f1_score(targets, chosen, average="macro", zero_division=0)),
        log_loss=float(metrics.log_loss(targets, probabilities, labels=classes)),
        calibration_error=_calibration_error(chosen == targets, probabilities.max(axis=1)),
        texts=len(targets),
    )


def _calibration_error(right, confidence, bins=10):
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    distances = [abs(right[which == b].sum() - confidence[which == b].sum()) for b in range(bins)]
    return float(sum(distances) / len(right))


def logits_of_texts(classifier, texts, batch_size=64):
    """What a classifier gives for texts, in their order, those of like length side by side.

    Args:
        classifier: A `textrnn.TextClassifier` with a preprocessor.
        texts: A list of str.
        batch_size: How many texts are read at once.

    Returns:
        Float32 `(texts, classes)`.
    """
    tokens = classifier.preprocessor.encode(texts)
    rows = np.arange(len(tokens), dtype="int32")
    logits = np.zeros((len(tokens), len(classifier.labels)), "float32")
    for inputs, places in batches_of_like_length(tokens, rows, batch_size, shuffle=False):
        logits[places.numpy()] = classifier.predict_on_batch(inputs)
    return logits


def fit_scales(parts, targets):
    """What to multiply the logits of several classifiers by, so that their sum gives honest probabilities.

    The factors of least log loss; fit them on texts that were not trained on. Of a single classifier the
    factor changes no decision, only how sure it is: it is 1 / temperature (temperature scaling, Guo et al.
    2017). That a factor is about 1 is believed beforehand, as much as a few texts would say it: ten texts
    that all happen to be right are no reason to be sure of everything.

    Args:
        parts: A list of logits `(texts, classes)`.
        targets: The right class of each text, ints `(texts,)`.

    Returns:
        An array of floats, one for each part, between 0.01 and 20.

    Example: a classifier that is right three times of four may be sure by 3/4, that is by log 3.

    >>> from textrnn.classification.evaluation import fit_scales
    >>> logits, targets = np.array([[4.0, 0.0]] * 4000), np.array([0, 0, 0, 1] * 1000)
    >>> round(float(4 * fit_scales([logits], targets)[0]), 2), round(float(np.log(3)), 2)
    (1.1, 1.1)
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    stacked, targets = np.stack(parts).astype("float64"), np.asarray(targets)
    right = np.eye(stacked.shape[-1])[targets]

    def log_loss(logs):
        scales = np.exp(logs)
        log_p = log_softmax(np.tensordot(scales, stacked, 1), axis=-1)
        slope = scales * (stacked * (np.exp(log_p) - right)).sum(axis=(1, 2))
        return logs @ logs - (log_p * right).sum(), 2 * logs + slope

    bounds = [(np.log(0.01), np.log(20.0))] * len(stacked)
    found = minimize(log_loss, np.zeros(len(stacked)), jac=True, bounds=bounds, method="L-BFGS-B")
    return np.exp(found.x)


def tfidf_baseline(texts, targets, seed=0):
    """The classifier to beat: logistic regression on the weighted words and pairs of words of a text.

    Args:
        texts: A list of str to train on.
        targets: The class of each.
        seed: Of the solver.

    Returns:
        A fitted scikit-learn pipeline of `TfidfVectorizer` and `LogisticRegression`.

    Example:

    >>> from textrnn.classification.evaluation import tfidf_baseline
    >>> tfidf_baseline(["dull", "a joy", "so dull", "joy"], [0, 1, 0, 1]).predict(["what a joy"]).tolist()
    [1]
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # Tokens of one letter count too, and so does punctuation: "!" and "?" say something about a feeling.
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    return make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000, random_state=seed)).fit(
        texts, targets
    )

"""Predictions and scores of classifiers, and a TF-IDF baseline."""

from dataclasses import dataclass

import numpy as np

from textrnn.data.batching import text_batches


@dataclass(frozen=True)
class ClassificationScore:
    """Accuracy and calibration of a classifier on a set of texts.

    Attributes:
        accuracy: Fraction of texts whose most probable class is the true one.
        macro_f1: Mean F1 over the classes that occur among the true or the predicted ones. Rare and frequent
            classes count the same.
        log_loss: Mean negative log-probability of the true class, in nats.
        calibration_error: Expected calibration error (Guo et al. 2017, arXiv 1706.04599): mean difference
            between confidence and accuracy over ten bins of confidence, weighted by their number of texts.
        texts: Number of texts.

    Example:

    >>> from textrnn.classification.evaluation import score_predictions
    >>> print(score_predictions(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])))
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


def score_predictions(targets, probabilities):
    """Score predicted probabilities against the true classes.

    Args:
        targets: True classes, ints `(texts,)`.
        probabilities: Predicted probabilities `(texts, classes)`; each row sums to 1.

    Returns:
        A `ClassificationScore`.
    """
    from sklearn import metrics

    targets, probabilities = np.asarray(targets), np.asarray(probabilities, "float64")
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)  # float32 rows sum to nearly 1
    classes = range(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    return ClassificationScore(
        accuracy=float(metrics.accuracy_score(targets, predicted)),
        macro_f1=float(metrics.f1_score(targets, predicted, average="macro", zero_division=0)),
        log_loss=float(metrics.log_loss(targets, probabilities, labels=classes)),
        calibration_error=_calibration_error(predicted == targets, probabilities.max(axis=1)),
        texts=len(targets),
    )


def _calibration_error(correct, confidence, bins=10):
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    distances = [abs(correct[which == b].sum() - confidence[which == b].sum()) for b in range(bins)]
    return float(sum(distances) / len(correct))


def predict_logits(classifier, texts, batch_size=64, model=None):
    """Predict the logits of texts, batching texts of similar length.

    Args:
        classifier: A `textrnn.TextClassifier` with a preprocessor.
        texts: A list of str.
        batch_size: Number of texts per batch.
        model: A Keras model that replaces the classifier and takes the same inputs, or None.

    Returns:
        float32 `(texts, classes)`, in the order of the texts.
    """
    tokens = classifier.preprocessor.encode(texts)
    rows = np.arange(len(tokens), dtype="int32")
    logits = np.zeros((len(tokens), len(classifier.labels)), "float32")
    if not tokens:
        return logits
    for inputs, places in text_batches(tokens, rows, batch_size, shuffle=False):
        logits[places.numpy()] = (model or classifier).predict_on_batch(inputs)
    return logits


def predict_probabilities(classifier, texts, batch_size=64):
    """Predict the calibrated probabilities of texts.

    Args:
        classifier, texts, batch_size: See `predict_logits`.

    Returns:
        float32 `(texts, classes)`, in the order of the texts.
    """
    return np.asarray(classifier.probabilities(predict_logits(classifier, texts, batch_size)))


def tfidf_baseline(texts, targets, seed=0):
    """Fit logistic regression on the TF-IDF features of words and word pairs.

    Args:
        texts: Training texts, a list of str.
        targets: True classes of the texts.
        seed: Seed of the solver.

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

    # Unlike scikit-learn's default, keep one-letter words and punctuation: "!" and "?" carry sentiment.
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    return make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000, random_state=seed)).fit(
        texts, targets
    )


def score_tfidf_baseline(train_texts, train_targets, texts, targets, classes):
    """Fit `tfidf_baseline` and score it on other texts.

    Args:
        train_texts, train_targets: Training texts and their classes.
        texts, targets: Test texts and their classes.
        classes: Number of classes; those without a training text get a probability of 0.

    Returns:
        A `ClassificationScore`.
    """
    baseline = tfidf_baseline(train_texts, train_targets)
    probabilities = np.zeros((len(texts), classes))
    probabilities[:, baseline.classes_] = baseline.predict_proba(texts)
    return score_predictions(targets, probabilities)

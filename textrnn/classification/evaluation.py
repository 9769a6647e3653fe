"""Predictions and scores of classifiers."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from textrnn.data.batching import text_batches
from textrnn.tasks.tracing import graph_of_model
from textrnn.tokenizers.text import string_tensor


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


def predict_in_batches(function, tokens, batch_size=64):
    """Apply a function to texts in batches of similar length.

    Args:
        function: A function of a dict of `"token_ids"`, int32 `(batch, time)`, and `"padding_mask"`, bool of
            the same shape, that returns a float32 tensor `(batch, ...)`. A `tf.function` is traced once for
            all calls.
        tokens: Token ids of each text, a list of int32 arrays `(tokens,)`.
        batch_size: Number of texts per batch.

    Returns:
        float32 `(texts, ...)`, in the order of the texts.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.classification.evaluation import predict_in_batches
    >>> count = lambda inputs: tf.reduce_sum(tf.cast(inputs["padding_mask"], tf.float32), axis=1)
    >>> predict_in_batches(count, [np.arange(3), np.arange(1), np.arange(2)], batch_size=2).tolist()
    [3.0, 1.0, 2.0]
    """
    batches = text_batches(tokens, np.arange(len(tokens), dtype="int32"), batch_size, shuffle=False)
    # Traced once, for batches of any shape. `keras.Model.predict` traces each model twice, and TensorFlow
    # warns of that if there are a few models.
    if not isinstance(function, tf.types.experimental.PolymorphicFunction):
        function = tf.function(function, autograph=False)
    traced = function.get_concrete_function(batches.element_spec[0])
    results = np.zeros((len(tokens), *traced.output_shapes[1:]), "float32")
    for inputs, rows in batches:
        results[rows.numpy()] = traced(inputs).numpy()
    return results


def predict_network_logits(classifier, texts, batch_size=64):
    """Predict the logits of the network of a classifier.

    Args:
        classifier: A `textrnn.TextClassifier` with a preprocessor.
        texts: A list of str.
        batch_size: Number of texts per batch.

    Returns:
        float32 `(texts, classes)`, in the order of the texts.
    """

    def logits(inputs):
        return classifier(inputs, training=False)

    function = graph_of_model(classifier, logits)
    return predict_in_batches(function, classifier.preprocessor.encode(texts), batch_size)


def predict_linear_logits(classifier, texts):
    """Predict the logits of the linear part of a classifier, float32 `(texts, classes)`."""
    # In a graph, which drops what only attributions need.
    run = graph_of_model(classifier.linear, classifier.linear.call)
    run = run.get_concrete_function(tf.TensorSpec([None], tf.string))
    return run(string_tensor(list(texts))).numpy()


def predict_logits(classifier, texts, batch_size=64):
    """Predict the logits of texts.

    Args:
        classifier, texts, batch_size: See `predict_network_logits`.

    Returns:
        float32 `(texts, classes)`, in the order of the texts.
    """
    if classifier.linear is None:
        return predict_network_logits(classifier, texts, batch_size)
    linear = predict_linear_logits(classifier, texts)
    if not classifier.network_weight:
        return linear
    network = predict_network_logits(classifier, texts, batch_size)
    return np.asarray(classifier.combine(network, linear))


def predict_probabilities(classifier, texts, batch_size=64):
    """Predict the calibrated probabilities of texts.

    Args:
        classifier, texts, batch_size: See `predict_network_logits`.

    Returns:
        float32 `(texts, classes)`, in the order of the texts.
    """
    return np.asarray(classifier.probabilities(predict_logits(classifier, texts, batch_size)))

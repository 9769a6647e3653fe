"""Combining the parts of a trained classifier, and calibrating its probabilities."""

from dataclasses import dataclass, field

import numpy as np

from textrnn.classification.evaluation import (
    predict_linear_logits,
    predict_network_logits,
    score_predictions,
)
from textrnn.classification.scales import LEAST_TEXTS, effective_number, fit_pool, fit_scales

NETWORK, LINEAR = "network", "n-grams"


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` fitted on the validation texts.

    Attributes:
        network_weight: The classifier's new weight of the network; 0 if it does not clearly help.
        judged: Whether the texts were enough to judge the network by. If not, its weight is the earlier one.
        temperatures: The temperature of each part on its own, `"network"` and `"n-grams"`; empty for a
            network alone.
    """

    network_weight: float
    judged: bool = True
    temperatures: dict[str, float] = field(default_factory=dict)

    def part_probabilities(self, classifier, texts, batch_size=64):
        """Predict the probabilities of each part of the classifier on its own.

        Args:
            classifier: The `textrnn.TextClassifier` that was calibrated.
            texts: A list of str.
            batch_size: Number of texts per batch.

        Returns:
            A dict from the name of a part to probabilities `(texts, classes)`.
        """
        from scipy.special import softmax

        if not self.temperatures:
            return {}
        logits = {
            NETWORK: predict_network_logits(classifier, texts, batch_size),
            LINEAR: predict_linear_logits(classifier, texts),
        }
        return {name: softmax(logits[name] / t, axis=1) for name, t in self.temperatures.items()}

    def score_parts(self, classifier, texts, targets):
        """Score each part of the classifier on its own.

        Args:
            classifier, texts: As for `part_probabilities`.
            targets: True classes of the texts, ints `(texts,)`.

        Returns:
            A dict from the name of a part to its `ClassificationScore`.
        """
        return {
            name: score_predictions(targets, predicted)
            for name, predicted in self.part_probabilities(classifier, texts).items()
        }


def calibrate(classifier, texts, targets, sample_weight=None, linear_logits=None, earlier_weight=0.0):
    """Fit the weights of the parts of a trained classifier, and so calibrate its probabilities.

    Call it once after `fit`. For a network alone it fits the temperature, which minimizes the log loss on the
    validation texts. With a linear part, it fits the weight of the network and rescales the linear part; see
    `fit_pool`. The validation texts must not be among those that the network was trained on.

    Args:
        classifier: A trained `textrnn.TextClassifier` with a preprocessor.
        texts: Validation texts, a list of str.
        targets: True classes of the validation texts, ints `(texts,)`.
        sample_weight: Weights of the validation texts `(texts,)`, or None.
        linear_logits: Logits of the validation texts by linear classifiers that were fitted without them,
            `(texts, classes)`: `held_out` of `fit_linear`. Default: those of the classifier's linear part,
            which must then have been fitted without them.
        earlier_weight: The weight that the network keeps if the texts are too few to judge it by: of a
            classifier that is trained further, the one it had; of a new one 0.

    Returns:
        A `Calibration`, which also predicts the probabilities of each part on its own.

    Example:

    >>> import textrnn
    >>> from textrnn.classification.calibration import calibrate
    >>> from textrnn.classification.fitting import fit_linear
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> classifier = textrnn.TextClassifier(
    ...     textrnn.RecurrentEncoder(258, units=4), ["bad", "good"],
    ...     textrnn.TextClassifierPreprocessor(ByteTokenizer()),
    ... )
    >>> texts, targets = ["dull", "a joy", "so dull", "what joy"], np.array([0, 1, 0, 1])
    >>> classifier.linear = fit_linear(texts, targets, classes=2).linear
    >>> calibration = calibrate(classifier, ["dull it is", "joy"], [0, 1])
    >>> calibration.network_weight == classifier.network_weight
    True
    >>> calibration.part_probabilities(classifier, ["dull", "joy"])["n-grams"].argmax(axis=1).tolist()
    [0, 1]
    >>> calibration.score_parts(classifier, ["dull", "joy"], [0, 1])["n-grams"].accuracy
    1.0
    """
    targets = np.asarray(targets)
    network = predict_network_logits(classifier, texts)
    [network_scale] = fit_scales([network], targets, sample_weight)
    if classifier.linear is None:
        classifier.temperature = float(1 / network_scale)
        return Calibration(classifier.network_weight)
    linear = predict_linear_logits(classifier, texts) if linear_logits is None else linear_logits
    linear_scale = 1.0
    if linear_logits is None:
        [linear_scale] = fit_scales([linear], targets, sample_weight)
    known = np.isfinite(linear).all(axis=1)
    weights = (np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight))[known]
    judged = effective_number(weights) >= LEAST_TEXTS
    if judged or not earlier_weight:
        of_network, of_linear = fit_pool(
            network_scale * network[known], linear_scale * linear[known], targets[known], weights
        )
    else:
        of_network = earlier_weight / network_scale
        # Earlier n-grams stay as they are; those of new texts get what the network leaves, and at least half.
        of_linear = 1 / linear_scale if linear_logits is None else max(1 - of_network, 0.5)
    factor = float(of_linear * linear_scale)
    classifier.linear.rescale(factor)
    classifier.network_weight = float(of_network * network_scale)
    classifier.temperature = 1.0
    # The logits of the linear part have just been rescaled.
    temperatures = {NETWORK: float(1 / network_scale)}
    if factor:
        temperatures[LINEAR] = factor / float(linear_scale)
    return Calibration(classifier.network_weight, judged, temperatures)

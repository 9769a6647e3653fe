"""Fitting the n-grams of a trained classifier and calibrating its probabilities."""

from dataclasses import dataclass, field

import numpy as np
from keras import ops

from textrnn.classification.evaluation import predict_in_batches, predict_logits
from textrnn.training.messages import print_message


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` fitted on the validation texts.

    Attributes:
        temperature: The classifier's new temperature.
        part_temperatures: The temperature of each part on its own, `"network"` and `"n-grams"`; empty if the
            n-grams were not fitted now.
    """

    temperature: float
    part_temperatures: dict[str, float] = field(default_factory=dict)

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

        if not self.part_temperatures:
            return {}
        parts = predict_part_logits(classifier, texts, batch_size)
        return {name: softmax(parts[name] / t, axis=1) for name, t in self.part_temperatures.items()}


def calibrate(classifier, batches, texts, targets, sample_weight=None):
    """Fit the n-grams of a trained classifier, then its temperature and the weight of the n-grams.

    Call it once after `fit`. The n-grams are fitted to the training batches (see `NGramLogits.adapt`). The
    temperature and the scale of the n-grams minimize the log loss on the validation texts, so these must not
    be among the training texts. N-grams that are already fitted, such as those of a preset, stay as they are.
    If Ctrl-C interrupts fitting the n-grams, they are switched off and the network is calibrated alone.

    Args:
        classifier: A trained `textrnn.TextClassifier` with a preprocessor.
        batches: The training batches of `textrnn.data.batching.text_batches`.
        texts: Validation texts, a list of str.
        targets: True classes of the validation texts, ints `(texts,)`.
        sample_weight: Weights of the validation texts `(texts,)`, or None.

    Returns:
        A `Calibration`, which also predicts the probabilities of each part on its own.

    Example:

    >>> import textrnn
    >>> from textrnn.classification.calibration import calibrate
    >>> from textrnn.data.batching import text_batches
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> classifier = textrnn.TextClassifier(
    ...     textrnn.RecurrentEncoder(258, units=4), ["bad", "good"],
    ...     textrnn.TextClassifierPreprocessor(ByteTokenizer()), ngrams=3,
    ... )
    >>> texts, targets = ["dull", "a joy", "so dull", "what joy"], np.array([0, 1, 0, 1])

    >>> batches = text_batches(classifier.preprocessor.encode(texts), targets, batch_size=2)
    >>> _ = classifier.fit(batches, verbose=0)
    >>> calibration = calibrate(classifier, batches, ["dull it is", "joy"], [0, 1])

    >>> calibration.temperature == classifier.temperature
    True
    >>> calibration.part_probabilities(classifier, ["dull", "joy"])["n-grams"].argmax(axis=1).tolist()
    [0, 1]
    """
    if not fit_ngrams(classifier, batches):
        [scale] = fit_scales([predict_logits(classifier, texts)], targets, sample_weight)
        classifier.temperature = float(1 / scale)
        return Calibration(classifier.temperature)
    parts = predict_part_logits(classifier, texts)
    network_scale, ngram_scale = fit_scales(list(parts.values()), targets, sample_weight)
    classifier.temperature = float(1 / network_scale)
    classifier.ngram_logits.rescale(ngram_scale / network_scale)
    alone = {
        name: float(1 / fit_scales([logits], targets, sample_weight)[0]) for name, logits in parts.items()
    }
    alone["n-grams"] *= ngram_scale / network_scale  # their logits have just been rescaled
    return Calibration(classifier.temperature, alone)


def fit_ngrams(classifier, batches):
    """Fit the n-grams of a classifier, unless it has none or they are fitted already.

    Args:
        classifier: A `textrnn.TextClassifier`.
        batches: See `NGramLogits.adapt`.

    Returns:
        Whether the n-grams were fitted; False too if Ctrl-C interrupted it, which switches them off.
    """
    ngrams = classifier.ngram_logits
    if ngrams is None or ngrams.adapted:
        return False
    try:
        ngrams.adapt(batches)
    except KeyboardInterrupt:
        print_message("Interrupted while fitting the n-grams: the classifier is the network alone.")
        ngrams.rescale(0.0)
        return False
    return True


def predict_part_logits(classifier, texts, batch_size=64):
    """Predict the logits of the network and of the n-grams, which sum to those of the classifier.

    Args:
        classifier: A `textrnn.TextClassifier` with n-grams.
        texts: A list of str.
        batch_size: Number of texts per batch.

    Returns:
        A dict of `"network"` and `"n-grams"`, each float32 `(texts, classes)`.
    """

    def parts(inputs):
        mask = inputs["padding_mask"]
        hidden = classifier.backbone(inputs, training=False)
        ngrams = classifier.ngram_logits(inputs["token_ids"], mask)
        return ops.stack([classifier.score(hidden, mask, training=False), ngrams], axis=1)

    logits = predict_in_batches(parts, classifier.preprocessor.encode(texts), batch_size)
    return {"network": logits[:, 0], "n-grams": logits[:, 1]}


def fit_scales(parts, targets, sample_weight=None):
    """Fit the factors by which to multiply the logits of classifiers before adding them.

    The factors minimize the log loss of the summed logits. For a single classifier this is temperature
    scaling (Guo et al. 2017, arXiv 1706.04599), with a temperature of 1 / factor. A Gaussian prior on the
    log-factors keeps them near 1, so that a handful of correct predictions does not make a classifier
    certain.

    Args:
        parts: A list of logits, each `(texts, classes)`, of texts that were not trained on.
        targets: True classes, ints `(texts,)`.
        sample_weight: Weights of the texts `(texts,)`, or None.

    Returns:
        One factor for each part, an array of floats between 0.01 and 20.

    Example: three of four predictions are correct, so the calibrated log-odds are log 3.

    >>> from textrnn.classification.calibration import fit_scales
    >>> logits, targets = np.array([[4.0, 0.0]] * 4000), np.array([0, 0, 0, 1] * 1000)
    >>> round(float(4 * fit_scales([logits], targets)[0]), 2), round(float(np.log(3)), 2)
    (1.1, 1.1)
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    stacked, targets = np.stack(parts).astype("float64"), np.asarray(targets)
    weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, "float64")
    one_hot = np.eye(stacked.shape[-1])[targets]

    def objective(log_scales):
        scales = np.exp(log_scales)
        log_p = log_softmax(np.tensordot(scales, stacked, 1), axis=-1)
        gradient = scales * (stacked * weights[:, None] * (np.exp(log_p) - one_hot)).sum(axis=(1, 2))
        return log_scales @ log_scales - (log_p * one_hot).sum(axis=1) @ weights, 2 * log_scales + gradient

    bounds = [(np.log(0.01), np.log(20.0))] * len(stacked)
    found = minimize(objective, np.zeros(len(stacked)), jac=True, bounds=bounds, method="L-BFGS-B")
    return np.exp(found.x)

import functools

import numpy as np
import pytest

from textrnn.classification.backbone import RecurrentEncoder
from textrnn.classification.calibration import calibrate
from textrnn.classification.evaluation import (
    predict_linear_logits,
    predict_logits,
    predict_network_logits,
    predict_probabilities,
    score_predictions,
)
from textrnn.classification.fitting import fit_linear
from textrnn.classification.linear import LinearTextLogits
from textrnn.classification.preprocessor import TextClassifierPreprocessor
from textrnn.classification.scales import fit_pool, fit_scales
from textrnn.classification.text_classifier import TextClassifier
from textrnn.tokenizers import train_tokenizer

TEXTS = ["dull", "a joy", "so dull", "what joy", "dull and long", "joy to see"]
TARGETS = np.array([0, 1, 0, 1, 0, 1])
VALIDATION = ["it is dull", "joy", "dull long joy", "see a joy"], np.array([0, 1, 0, 1])


FIT = functools.cache(lambda: fit_linear(TEXTS, TARGETS, 2).linear)


@functools.cache
def made(linear):
    """A classifier and its first weights. Its graphs are traced once for all tests."""
    tokenizer = train_tokenizer("word", TEXTS)
    encoder = RecurrentEncoder(tokenizer.vocabulary_size(), "gru", units=4)
    part = None
    if linear:
        part = LinearTextLogits.from_config(FIT().get_config())
        part.set_weights(FIT().get_weights())
    classifier = TextClassifier(encoder, ["bad", "good"], TextClassifierPreprocessor(tokenizer), linear=part)
    return classifier, classifier.get_weights()


def untrained(linear=True):
    classifier, weights = made(linear)
    classifier.set_weights(weights)
    classifier.network_weight = classifier.temperature = 1.0
    return classifier


def log_loss(classifier):
    texts, targets = VALIDATION
    return score_predictions(targets, predict_probabilities(classifier, texts)).log_loss


def test_logits_of_the_ensemble_are_those_of_its_parts():
    classifier = untrained()
    classifier.network_weight = 0.5
    parts = predict_network_logits(classifier, TEXTS), predict_linear_logits(classifier, TEXTS)
    np.testing.assert_allclose(predict_logits(classifier, TEXTS), 0.5 * parts[0] + parts[1], atol=1e-6)
    classifier.network_weight = 0.0
    np.testing.assert_array_equal(predict_logits(classifier, TEXTS), parts[1])


def test_a_network_that_knows_nothing_is_left_out():
    classifier = untrained()
    before = classifier.linear.get_weights()
    held_out = predict_linear_logits(classifier, VALIDATION[0])
    calibration = calibrate(classifier, *VALIDATION, linear_logits=held_out)
    assert calibration.network_weight == classifier.network_weight == 0
    assert classifier.temperature == 1
    for old, new in zip(before, classifier.linear.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def kept(times, new, earlier_weight):
    """The weights of network and n-grams after a calibration of validation texts, many times the same."""
    classifier = untrained()
    texts, targets = VALIDATION[0] * times, np.tile(VALIDATION[1], times)
    logits = predict_linear_logits(classifier, texts)
    found = calibrate(classifier, texts, targets, None, logits if new else None, earlier_weight)
    after = predict_linear_logits(classifier, texts)
    assert found.network_weight == classifier.network_weight
    return found.judged, found.network_weight, float(np.linalg.norm(after) / np.linalg.norm(logits))


def test_few_texts_leave_a_network_its_earlier_weight():
    judged, network, linear = kept(1, new=False, earlier_weight=0.3)
    assert (judged, network, linear) == (False, pytest.approx(0.3), pytest.approx(1.0))  # as they were
    judged, network, linear = kept(1, new=True, earlier_weight=0.3)
    assert not judged and network == pytest.approx(0.3) and 0 < linear < 1  # what the network leaves
    judged, network, linear = kept(1, new=True, earlier_weight=50.0)  # the network was alone
    assert (judged, network, linear) == (False, pytest.approx(50.0), pytest.approx(0.5))
    judged, network, _ = kept(30, new=True, earlier_weight=0.3)
    assert judged and network == 0.0


def test_a_network_that_knows_more_is_weighed_as_fit_pool_says():
    classifier = untrained()
    texts, targets = VALIDATION[0] * 30, np.tile(VALIDATION[1], 30)
    held_out = np.zeros((len(texts), 2))
    network = predict_network_logits(classifier, texts)
    kernel, bias = classifier.output_dense.get_weights()
    slopes = np.linalg.lstsq(network - network.mean(0), 4 * np.eye(2)[targets] - 2, rcond=None)[0]
    classifier.output_dense.set_weights([kernel @ slopes, (bias - network.mean(0)) @ slopes])
    network = predict_network_logits(classifier, texts)
    before = classifier.linear.get_weights()
    calibration = calibrate(classifier, texts, targets, linear_logits=held_out)
    [scale] = fit_scales([network], targets)
    of_network, of_linear = fit_pool(scale * network, held_out, targets)
    assert calibration.network_weight == pytest.approx(of_network * scale, rel=1e-3)
    assert calibration.network_weight > 0
    np.testing.assert_allclose(classifier.linear.get_weights()[2], of_linear * before[2], rtol=1e-3)


def test_parts_have_the_temperature_that_fits_each_alone():
    classifier = untrained()
    network, linear = (f(classifier, VALIDATION[0]) for f in (predict_network_logits, predict_linear_logits))
    calibration = calibrate(classifier, *VALIDATION, linear_logits=linear)
    found = calibration.part_probabilities(classifier, VALIDATION[0])
    assert list(found) == ["network", "n-grams"]
    network *= fit_scales([network], VALIDATION[1])[0]
    for logits, probabilities in zip((network, linear), found.values(), strict=True):
        expected = np.exp(logits)
        np.testing.assert_allclose(probabilities, expected / expected.sum(axis=1, keepdims=True), atol=1e-4)


def test_a_classifier_without_a_linear_part_gets_a_temperature():
    classifier = untrained(linear=False)
    before = log_loss(classifier)
    calibration = calibrate(classifier, *VALIDATION)
    assert log_loss(classifier) < before
    assert classifier.temperature != 1
    assert calibration.part_probabilities(classifier, TEXTS) == {}


def test_a_linear_part_of_a_preset_is_calibrated_on_the_validation_texts():
    classifier = untrained()
    classifier.linear.rescale(-100.0)  # overconfident and wrong
    before = log_loss(classifier)
    calibrate(classifier, *VALIDATION)
    assert log_loss(classifier) < before / 2


def test_texts_that_no_fold_held_out_do_not_count():
    classifier = untrained()
    held_out = predict_linear_logits(classifier, VALIDATION[0])
    held_out[1:] = np.nan
    assert np.isfinite(calibrate(classifier, *VALIDATION, linear_logits=held_out).network_weight)
    assert np.isfinite(log_loss(classifier))

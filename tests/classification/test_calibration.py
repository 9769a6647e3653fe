import numpy as np
import pytest

from textrnn.classification.backbone import RecurrentEncoder
from textrnn.classification.calibration import calibrate, fit_scales, predict_part_logits
from textrnn.classification.evaluation import predict_logits, predict_probabilities, score_predictions
from textrnn.classification.ngrams import NGramLogits
from textrnn.classification.preprocessor import TextClassifierPreprocessor
from textrnn.classification.text_classifier import TextClassifier
from textrnn.data.batching import text_batches
from textrnn.tokenizers import train_tokenizer


def sample(texts=20_000, classes=3):
    """Logits, and targets drawn from their softmax: these logits are perfectly calibrated."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(texts, classes)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (probabilities.cumsum(axis=1) > random.random((texts, 1))).argmax(axis=1)
    return logits, probabilities, targets, random


# === Scales ===


def test_temperature_scaling_undoes_overconfidence():
    logits, probabilities, targets, _ = sample()
    overconfident = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    assert score_predictions(targets, probabilities).calibration_error < 0.02
    assert score_predictions(targets, overconfident).calibration_error > 0.1
    assert fit_scales([3 * logits], targets) == pytest.approx([1 / 3], rel=0.05)


def test_better_classifiers_get_higher_weights():
    logits, _, targets, random = sample()
    parts = [0.5 * logits + random.normal(size=logits.shape), -random.normal(size=logits.shape)]
    halves = [logits - parts[0] / 2, parts[0]]
    assert fit_scales(halves, targets) == pytest.approx([1, 0.5], rel=0.1)
    assert fit_scales([logits, parts[1]], targets) == pytest.approx([1, 0.01], abs=0.05)


def test_a_few_correct_predictions_do_not_make_a_classifier_certain():
    logits = np.array([[2.0, 0.0]] * 10)
    [few] = fit_scales([logits], np.zeros(10, int))
    [many] = fit_scales([np.tile(logits, (100, 1))], np.zeros(1000, int))
    assert 1 < few < 2 < many
    both = fit_scales([logits, logits], np.zeros(10, int))
    np.testing.assert_allclose(both[0], both[1], rtol=1e-3)


# === Calibrating a classifier ===

TEXTS = ["dull", "a joy", "so dull", "what joy", "dull and long", "joy to see"]
TARGETS = np.array([0, 1, 0, 1, 0, 1])
VALIDATION = ["it is dull", "joy", "dull long joy", "see a joy"], np.array([0, 1, 0, 1])


def untrained(ngrams=2):
    tokenizer = train_tokenizer("word", TEXTS)
    encoder = RecurrentEncoder(tokenizer.vocabulary_size(), "gru", units=4)
    classifier = TextClassifier(
        encoder, ["bad", "good"], TextClassifierPreprocessor(tokenizer), ngrams=ngrams, ngram_buckets=1024
    )
    return classifier, text_batches(classifier.preprocessor.encode(TEXTS), TARGETS, 2)


def log_loss(classifier):
    texts, targets = VALIDATION
    return score_predictions(targets, predict_probabilities(classifier, texts)).log_loss


def test_calibration_fits_ngrams_and_lowers_the_validation_loss():
    classifier, batches = untrained()
    network = predict_logits(classifier, TEXTS)
    before = log_loss(classifier)
    calibration = calibrate(classifier, batches, *VALIDATION)
    assert classifier.ngram_logits.adapted
    assert calibration.temperature == classifier.temperature != 1
    assert log_loss(classifier) < before
    parts = predict_part_logits(classifier, TEXTS)
    np.testing.assert_allclose(parts["network"], network, atol=1e-6)
    np.testing.assert_allclose(
        parts["network"] + parts["n-grams"], predict_logits(classifier, TEXTS), atol=1e-5
    )


def test_parts_have_the_temperature_that_fits_each_alone():
    classifier, batches = untrained()
    network = predict_logits(classifier, VALIDATION[0])
    classifier.ngram_logits.adapt(batches)
    ngrams = predict_logits(classifier, VALIDATION[0]) - network
    classifier, batches = untrained_again(classifier)
    calibration = calibrate(classifier, batches, *VALIDATION)
    found = calibration.part_probabilities(classifier, VALIDATION[0])
    assert list(found) == ["network", "n-grams"]
    for logits, probabilities in zip((network, ngrams), found.values(), strict=True):
        scaled = np.exp(logits * fit_scales([logits], VALIDATION[1])[0])
        np.testing.assert_allclose(probabilities, scaled / scaled.sum(axis=1, keepdims=True), atol=1e-4)


def untrained_again(classifier):
    """The same classifier, its n-grams unfitted."""
    classifier.ngram_logits.set_weights([0 * weight for weight in classifier.ngram_logits.get_weights()])
    return classifier, text_batches(classifier.preprocessor.encode(TEXTS), TARGETS, 2)


def test_a_classifier_without_ngrams_gets_a_temperature():
    classifier, batches = untrained(ngrams=0)
    before = log_loss(classifier)
    calibration = calibrate(classifier, batches, *VALIDATION)
    assert log_loss(classifier) < before
    assert calibration.part_probabilities(classifier, TEXTS) == {}


def test_fitted_ngrams_stay_as_they_are():
    classifier, batches = untrained()
    classifier.ngram_logits.adapt(batches)
    before = classifier.ngram_logits.get_weights()
    calibration = calibrate(classifier, batches, *VALIDATION)
    for old, new in zip(before, classifier.ngram_logits.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert calibration.part_temperatures == {}


def test_ctrl_c_while_fitting_ngrams_leaves_the_network_alone(monkeypatch, capsys):
    classifier, batches = untrained()
    network = predict_logits(classifier, TEXTS)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(NGramLogits, "adapt", interrupt)
    before = log_loss(classifier)
    calibration = calibrate(classifier, batches, *VALIDATION)
    assert "the classifier is the network alone" in capsys.readouterr().err
    np.testing.assert_array_equal(predict_logits(classifier, TEXTS), network)
    assert log_loss(classifier) < before
    assert calibration.part_temperatures == {}

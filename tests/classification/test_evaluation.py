import numpy as np
import pytest

from textrnn.classification.evaluation import classification, fit_scales


def random_probabilities(texts=200, classes=3):
    random = np.random.default_rng(0)
    logits = random.normal(size=(texts, classes)) * 2
    return logits, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), random


def test_a_classification_score_is_that_of_its_definitions():
    _, probabilities, random = random_probabilities()
    targets = random.integers(0, 3, len(probabilities))
    score, chosen = classification(targets, probabilities), probabilities.argmax(axis=1)
    f1 = []
    for label in range(3):
        hits = ((chosen == label) & (targets == label)).sum()
        f1.append(2 * hits / ((chosen == label).sum() + (targets == label).sum()))
    assert score.accuracy == pytest.approx((chosen == targets).mean())
    assert score.macro_f1 == pytest.approx(np.mean(f1))
    rows = np.arange(len(targets))
    assert score.log_loss == pytest.approx(-np.log(probabilities[rows, targets]).mean())
    assert score.texts == len(targets)


def test_a_calibrated_classifier_has_a_small_calibration_error_and_an_overconfident_one_a_large():
    logits, probabilities, random = random_probabilities(20_000)
    targets = (probabilities.cumsum(axis=1) > random.random((len(probabilities), 1))).argmax(axis=1)
    sure = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    assert classification(targets, probabilities).calibration_error < 0.02
    assert classification(targets, sure).calibration_error > 0.1
    assert fit_scales([3 * logits], targets) == pytest.approx([1 / 3], rel=0.05)


def test_of_several_classifiers_each_counts_as_much_as_it_knows():
    logits, probabilities, random = random_probabilities(20_000)
    targets = (probabilities.cumsum(axis=1) > random.random((len(probabilities), 1))).argmax(axis=1)
    parts = [0.5 * logits + random.normal(size=logits.shape), -random.normal(size=logits.shape)]
    halves = [logits - parts[0] / 2, parts[0]]
    assert fit_scales(halves, targets) == pytest.approx([1, 0.5], rel=0.1)
    assert fit_scales([logits, parts[1]], targets) == pytest.approx([1, 0.01], abs=0.05)


def test_a_few_texts_that_are_all_right_are_no_reason_to_be_sure_of_everything():
    logits = np.array([[2.0, 0.0]] * 10)
    [few] = fit_scales([logits], np.zeros(10, int))
    [many] = fit_scales([np.tile(logits, (100, 1))], np.zeros(1000, int))
    assert 1 < few < 2 < many
    both = fit_scales([logits, logits], np.zeros(10, int))
    np.testing.assert_allclose(both[0], both[1], rtol=1e-3)


def test_a_class_that_no_text_has_matters_only_if_it_is_said():
    score = classification([0, 0], np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3]]))
    assert (score.accuracy, score.macro_f1) == (1, 1)
    score = classification([0, 0], np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]]))
    assert score.macro_f1 == pytest.approx((2 / 3 + 0) / 2)  # of the first and the second, by hand

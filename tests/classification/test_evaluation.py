import numpy as np
import pytest

from textrnn.classification.evaluation import score_predictions, score_tfidf_baseline


def test_scores_match_their_definitions():
    random = np.random.default_rng(0)
    logits = random.normal(size=(200, 3)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = random.integers(0, 3, len(probabilities))
    score, predicted = score_predictions(targets, probabilities), probabilities.argmax(axis=1)
    f1 = []
    for label in range(3):
        hits = ((predicted == label) & (targets == label)).sum()
        f1.append(2 * hits / ((predicted == label).sum() + (targets == label).sum()))
    assert score.accuracy == pytest.approx((predicted == targets).mean())
    assert score.macro_f1 == pytest.approx(np.mean(f1))
    rows = np.arange(len(targets))
    assert score.log_loss == pytest.approx(-np.log(probabilities[rows, targets]).mean())
    assert score.texts == len(targets)


def test_macro_f1_ignores_classes_that_are_neither_true_nor_predicted():
    score = score_predictions([0, 0], np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3]]))
    assert (score.accuracy, score.macro_f1) == (1, 1)
    score = score_predictions([0, 0], np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]]))
    assert score.macro_f1 == pytest.approx((2 / 3 + 0) / 2)  # the first and the second class, by hand


def test_the_baseline_gives_classes_without_training_texts_no_probability():
    score = score_tfidf_baseline(["dull", "a joy"] * 3, [0, 2] * 3, ["so dull", "joy"], [0, 2], classes=3)
    assert (score.accuracy, score.texts) == (1, 2)
    assert np.isfinite(score.log_loss)

"""Logistic regression is that of scikit-learn, with a penalty chosen on held-out texts."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from textrnn.classification import logistic
from textrnn.classification.logistic import MANY, PENALTIES, fit_logistic, folds_of
from textrnn.classification.scales import log_losses


def problem(texts=300, classes=3, noise=1.0):
    random = np.random.default_rng(0)
    features = random.normal(size=(texts, 30)) * (random.random((texts, 30)) < 0.4)
    features /= np.linalg.norm(features, axis=1, keepdims=True).clip(1e-9)
    logits = 4 * features @ random.normal(size=(30, classes)) + noise * random.gumbel(size=(texts, classes))
    return csr_matrix(features), logits.argmax(axis=1)


@pytest.mark.parametrize("classes", [2, 4])
def test_it_is_that_of_scikit_learn(classes):
    features, targets = problem(classes=classes)
    model = fit_logistic(features, targets, classes)
    assert model.penalty in PENALTIES
    for target in range(classes):
        expected = LogisticRegression(C=model.penalty, solver="liblinear", tol=1e-8, max_iter=10_000)
        expected = expected.fit(features, targets == target).decision_function(features)
        found = (model.logits(features) / model.scale)[:, target]
        np.testing.assert_allclose(2 * found if classes == 2 else found, expected, atol=0.1)


def test_the_penalty_suits_the_noise():
    chosen = [fit_logistic(*problem(noise=noise), 3).penalty for noise in (4.0, 0.0)]
    assert chosen[0] < chosen[1]


def test_held_out_logits_are_calibrated_by_the_scale():
    features, targets = problem(1000)
    model = fit_logistic(features, targets, 3)
    losses = [log_losses(factor * model.held_out, targets).mean() for factor in (0.7, 1, 1.3)]
    scaled = log_losses(model.scale * model.held_out, targets).mean()
    assert scaled <= min(losses) + 1e-4


@pytest.mark.parametrize(("texts", "folds"), [(2, 2), (3, 3), (2000, 5), (2001, 3), (MANY + 1, 1)])
def test_every_text_is_held_out_at_most_once(texts, folds):
    found = folds_of(np.arange(texts) % 2)
    assert len(found) == folds
    held_out = np.concatenate([predicted for _, predicted in found])
    assert len(set(held_out)) == len(held_out) == (texts if folds > 1 else 2001)
    for fitted, predicted in found:
        assert not set(fitted) & set(predicted)


@pytest.mark.parametrize("texts", [40, 3 * 2500, MANY + 6000])
def test_copies_of_a_text_are_in_the_same_fold(texts):
    names = [f"text {row // 3}" for row in range(texts)]
    for fitted, predicted in folds_of(np.arange(texts) % 2, texts=names):
        assert {*fitted} | {*predicted} == {*range(texts)}
        assert not {names[row] for row in fitted} & {names[row] for row in predicted}
        assert abs(len(predicted) / texts - (0.2 if texts == 40 else 1 / 3)) < 0.1


def test_classes_of_one_text_are_fitted(monkeypatch):
    features, targets = problem(40)
    targets[0] = 3
    model = fit_logistic(features, targets, 5)
    assert model.logits(features)[0].argmax() == 3
    assert (model.kernel[:, 4] == 0).all() and model.bias[4] == logistic.ABSENT
    assert np.isfinite(model.held_out).all()
    model = fit_logistic(csr_matrix(np.eye(2)), np.array([0, 1]), 2)  # too few texts to hold one out
    assert np.isnan(model.held_out).all() and model.scale == 1

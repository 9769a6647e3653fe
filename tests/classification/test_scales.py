"""Scales calibrate, and an ensemble contains a network only where it clearly helps."""

import functools

import numpy as np
import pytest

from textrnn.classification.evaluation import score_predictions
from textrnn.classification.scales import fit_pool, fit_scales, log_losses


def sample(texts=20_000, classes=3, seed=0):
    """Logits, and targets drawn from their softmax: these logits are perfectly calibrated."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(texts, classes)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (probabilities.cumsum(axis=1) > random.random((texts, 1))).argmax(axis=1)
    return logits, probabilities, targets, random


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


@functools.cache
def parts(texts, seed, noise=(1.0, 1.0)):
    """A network and a linear classifier, each of the true logits and noise, calibrated on many texts."""
    logits, _, targets, random = sample(texts + 1000, seed=seed)
    both = [logits + scale * 2 * random.normal(size=logits.shape) for scale in noise]
    both = [each * fit_scales([each[texts:]], targets[texts:])[0] for each in both]
    return [each[:texts] for each in both], targets[:texts]


@pytest.mark.parametrize("texts", [1, 2, 10, 100])
def test_the_ensemble_is_hardly_worse_than_the_linear_part(texts):
    changes = []
    for seed in range(10):
        (network, linear), targets = parts(texts, seed, noise=(2.0, 1.0))
        of_network, of_linear = fit_pool(network, linear, targets)
        assert of_network >= 0 and of_linear >= 0 and of_network + of_linear > 0
        (network, linear), targets = parts(1000, seed + 1, noise=(2.0, 1.0))
        alone = log_losses(linear, targets).mean()
        changes.append(log_losses(of_network * network + of_linear * linear, targets).mean() / alone - 1)
    assert np.mean(changes) < 0.03


def test_a_network_that_helps_is_used_and_one_that_does_not_is_left_out():
    (network, linear), targets = parts(2000, 0)
    of_network, of_linear = fit_pool(network, linear, targets)
    assert of_network > 0.2 and of_linear > 0.2
    for few in (5, 20):  # texts that vouch for nothing, not even for a network that knows all
        certain = 9 * np.eye(3)[targets[:few]]
        assert fit_pool(certain, 0 * linear[:few], targets[:few]) == (0.0, 1.0)
    assert fit_pool(9 * np.eye(3)[targets[:30]], 0 * linear[:30], targets[:30])[0] > 0
    useless = np.random.default_rng(99).normal(size=network.shape)
    assert fit_pool(useless, linear, targets) == (0.0, 1.0)
    (network, linear), targets = parts(500, 1, noise=(0.0, 4.0))
    assert fit_pool(network, linear, targets)[0] > 0.6


def test_texts_of_weight_0_do_not_count():
    (network, linear), targets = parts(400, 2)
    wrong = np.concatenate([targets, (targets + 1) % 3])
    weights = np.repeat([1.0, 0.0], 400)
    twice = fit_pool(np.tile(network, (2, 1)), np.tile(linear, (2, 1)), wrong, weights)
    assert twice == pytest.approx(fit_pool(network, linear, targets), rel=1e-4)
    assert fit_pool(network[:0], linear[:0], targets[:0]) == (0.0, 1.0)

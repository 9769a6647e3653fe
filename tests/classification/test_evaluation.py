import numpy as np
import pytest
import tensorflow as tf

from textrnn.classification.evaluation import (
    predict_in_batches,
    score_predictions,
)


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


def total_and_largest(inputs):
    ids = tf.where(inputs["padding_mask"], inputs["token_ids"], 0)
    return tf.cast(tf.stack([tf.reduce_sum(ids, 1), tf.reduce_max(ids, 1)], axis=1), tf.float32)


def test_functions_run_on_texts_of_any_number_and_length(caplog):
    caplog.set_level("WARNING", logger="tensorflow")
    texts = [np.arange(n, dtype="int32") for n in (5, 0, 3, 1)]
    for _ in range(6):  # TensorFlow warns of five traces in ten calls of a function
        found = predict_in_batches(total_and_largest, texts, batch_size=3)
        assert found.tolist() == [[10, 4], [0, 0], [3, 2], [0, 0]]
    assert predict_in_batches(total_and_largest, []).shape == (0, 2)
    assert not caplog.records

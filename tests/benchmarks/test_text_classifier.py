"""The classifiers of all contestants do the same work."""

from dataclasses import replace

import numpy as np
import pytest

import text_classifier


def test_classifiers_are_the_same_function_and_padding_changes_nothing():
    work = replace(text_classifier.WORKS[0], **text_classifier.QUICK)
    ours, theirs = text_classifier.textrnn_model(work), text_classifier.keras_model(work)
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    theirs.set_weights(ours.get_weights())
    batches, padded = (text_classifier.make_batches(work, 0, padding) for padding in (False, True))
    assert {x["token_ids"].shape[1] for x, _ in padded} == {work.longest}
    assert sum(x["padding_mask"].size for x, _ in batches) < sum(x["padding_mask"].size for x, _ in padded)
    assert sum(len(y) for _, y in batches) == work.texts
    for (x, y), (wide, same) in zip(batches, padded, strict=True):
        np.testing.assert_array_equal(y, same)
        np.testing.assert_allclose(ours(x), theirs(x), atol=1e-6)
        np.testing.assert_allclose(theirs(wide), theirs(x), atol=1e-6)


@pytest.mark.slow
def test_the_command_measures_every_classifier(run_command):
    report = run_command(text_classifier)
    assert [entry["work"]["task"] for entry in report["results"]] == ["training", "inference"]
    for entry in report["results"]:
        assert [row["contestant"] for row in entry["rows"]] == ["textrnn", "Keras", "Keras, padded"]
        assert all(min(row["texts/s"]) > 0 and len(row["texts/s"]) == 2 for row in entry["rows"])

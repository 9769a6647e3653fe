"""The classifiers of all contestants do the same work."""

from dataclasses import replace

import numpy as np
import pytest
from builders.torch_models import lstm_arrays, with_weights

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


def classifier_like(torch, work, ours, packed):
    """A model of PyTorch with the weights of a `TextClassifier`."""
    import torch_classifier

    embedding, *cells, kernel, bias = ours.get_weights()
    arrays = {"embedding.weight": embedding, "head.weight": kernel.T, "head.bias": bias}
    arrays |= lstm_arrays("lstm", "", cells[:3]) | lstm_arrays("lstm", "_reverse", cells[3:])
    return with_weights(torch, torch_classifier.Classifier(work, packed), arrays)


@pytest.mark.parametrize("packed", [True, False])
def test_the_classifier_in_pytorch_is_the_same_function_and_learns_equally(torch, packed):
    import torch_classifier

    # Without packing, the backward direction starts in the padding, so the models agree on full rows only.
    work = replace(text_classifier.WORKS[0], **text_classifier.QUICK)
    batches = text_classifier.make_batches(work, 0)
    if not packed:
        batches = [({**x, "padding_mask": np.ones_like(x["padding_mask"])}, y) for x, y in batches]
    ours = text_classifier.textrnn_model(work)
    theirs = classifier_like(torch, work, ours, packed)
    pairs = [torch_classifier.to_torch(theirs, *batch) for batch in batches]
    for (x, _), logits in zip(batches, torch_classifier.predictions(theirs, pairs), strict=True):
        np.testing.assert_allclose(ours(x), logits, atol=1e-6)
    train = torch_classifier.training(theirs, pairs)

    def loss_of(batch):
        ours.reset_metrics()
        return ours.train_on_batch(*batch, return_dict=True)["loss"]

    losses = [(np.mean([loss_of(batch) for batch in batches]), train()) for _ in range(4)]
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=1e-4)
    assert losses[-1][1] < losses[0][1] - 0.005


@pytest.mark.slow
def test_the_command_measures_every_classifier(run_command):
    report = run_command(text_classifier)
    assert [entry["work"]["task"] for entry in report["results"]] == ["training", "inference"]
    for entry in report["results"]:
        names, torch = ["textrnn", "Keras", "Keras, padded"], ["PyTorch", "PyTorch, packed"]
        assert [row["contestant"] for row in entry["rows"]] in (names, names + torch)  # if it is installed
        assert all(min(row["texts/s"]) > 0 and len(row["texts/s"]) == 2 for row in entry["rows"])

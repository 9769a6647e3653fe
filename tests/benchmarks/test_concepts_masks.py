"""The measurement of masks: padding, the change that it makes, and the share of it."""

import argparse
import json

import keras
import numpy as np
import pytest

from concepts import masks

TEXTS = [np.array(text, np.int32) for text in ([5, 6, 7], [8], [9, 5, 5, 6, 7])]


def test_a_mask_ends_with_the_text_or_after_some_padding():
    token_ids, mask = masks.padded(TEXTS[:2], 5)
    assert token_ids.tolist() == [[5, 6, 7, 0, 0], [8, 0, 0, 0, 0]]
    assert mask.tolist() == [[True] * 3 + [False] * 2, [True] + [False] * 4]
    assert masks.padded(TEXTS[:2], 5, read=1)[1].sum(axis=1).tolist() == [4, 2]
    assert masks.inputs_of(TEXTS[:2], 5, masked=False)["padding_mask"].all()


def test_changes_are_those_of_the_gru_of_keras():
    model = masks.classifier(argparse.Namespace(vocabulary=10, units=3, rate=0.01))
    found = masks.changes(model, TEXTS, units=3)["last, forwards"]
    reference = keras.layers.GRU(3)
    vectors = np.asarray(model.backbone.token_embedding.embeddings)
    reference.build((None, None, vectors.shape[-1]))
    reference.set_weights(model.backbone.stack.recurrent_layers[0].forward_layer.get_weights()[:3])

    def last(text, padding):
        tokens = [*text, *[0] * padding]
        return np.asarray(reference(vectors[tokens][None]))[0]

    for padding, change in zip(masks.PADDING, found["none"], strict=True):
        expected = [
            np.linalg.norm(last(text, padding) - last(text, 0)) / np.linalg.norm(last(text, 0))
            for text in TEXTS
        ]
        assert change == pytest.approx(np.mean(expected), rel=5e-3)
    assert max(found["mask"]) < 1e-5


@pytest.mark.parametrize(("scheme", "steps"), [("all", 15), ("random", None), ("similar", 11)])
def test_the_share_of_padding_is_that_of_the_schemes(scheme, steps, monkeypatch):
    monkeypatch.setattr(masks, "BATCH", 2)
    batches = [*masks.batches_of(scheme, TEXTS, np.array([0, 1, 0]))]
    read = sum(inputs["padding_mask"].shape.num_elements() for inputs, _ in batches)
    assert sorted(int(label) for _, labels in batches for label in labels) == [0, 0, 1]
    assert steps in (read, None)
    assert masks.padding_share(batches) == pytest.approx(1 - 9 / read)


@pytest.mark.slow
def test_the_command_writes_numbers_and_a_picture(tmp_path, capsys):
    masks.main(["--quick", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "masks.json").read_text("utf-8"))["results"]
    assert results["speed"]["similar"]["padding"] < results["speed"]["all"]["padding"]
    assert (tmp_path / "masks.png").stat().st_size > 10_000
    masks.main(["--draw", "--output", str(tmp_path)])
    assert capsys.readouterr().out == printed

"""The translators of textrnn and PyTorch do the same work."""

from dataclasses import replace

import numpy as np
import pytest
from builders.torch_models import lstm_arrays, with_weights

import translation


def translator_like(torch, work, lm, packed=True):
    """A model of PyTorch with the weights of a `Seq2SeqLM`."""
    import torch_translator

    backbone = lm.backbone
    bidirectional, [dense_h, dense_c] = backbone.encoder.recurrent_layers[0], backbone.decoder.bridge[0]
    both = zip(dense_h.get_weights(), dense_c.get_weights(), strict=True)
    kernel, bias = (np.concatenate(arrays, axis=-1) for arrays in both)
    arrays = {
        "embedding.weight": backbone.target_embedding.get_weights()[0],
        "bridge.weight": kernel.T,
        "bridge.bias": bias,
        "keys.weight": backbone.decoder.attention.get_weights()[0].T,
        "combine.weight": backbone.decoder.combine.get_weights()[0].T,
    }
    for layer, suffix, cell in (
        ("encoder", "", bidirectional.forward_layer.cell),
        ("encoder", "_reverse", bidirectional.backward_layer.cell),
        ("decoder", "", backbone.decoder.stack.cells[0]),
    ):
        arrays |= lstm_arrays(layer, suffix, cell.get_weights())
    return with_weights(torch, torch_translator.Translator(work, translation.START, packed), arrays)


@pytest.mark.parametrize("packed", [True, False])
def test_the_translator_in_pytorch_is_the_same_function_and_learns_equally(torch, packed):
    import torch_translator

    # Without packing, the backward direction starts in the padding, so the models agree on full rows only.
    sizes = {"vocabulary_size": 30, "units": 6, "batch_size": 5, "batches": 2, "dropout": 0.0}
    work = replace(translation.WORKS[0], **sizes)
    batches = translation.make_batches(work, seed=0)
    if not packed:
        full = lambda x: {**x, "encoder_padding_mask": x["encoder_padding_mask"] | True}  # noqa: E731
        batches = batches.map(lambda x, *rest: (full(x), *rest))
    lm = translation.textrnn_model(work)
    model = translator_like(torch, work, lm, packed)
    pairs = [torch_translator.to_torch(model, *batch) for batch in batches]

    for (x, *_), (source, mask, target, _) in zip(batches, pairs, strict=True):
        valid = x["decoder_padding_mask"].numpy()
        theirs = model(source, mask, target).detach().numpy()
        np.testing.assert_allclose(lm(x).numpy()[valid], theirs[valid], atol=1e-6)
    train = torch_translator.training(work, model, pairs)
    ours = lm.fit(batches, epochs=4, verbose=0).history["loss"]
    theirs = [train() for _ in range(4)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert theirs[-1] < theirs[0] - 0.01


def test_the_translator_in_keras_is_the_same_function_and_learns_equally():
    import keras_translator

    sizes = {"vocabulary_size": 30, "units": 6, "batch_size": 5, "batches": 2, "dropout": 0.0}
    work = replace(translation.WORKS[0], **sizes)
    batches = translation.make_batches(work, seed=0)
    lm = translation.textrnn_model(work)
    model = translation.compiled(keras_translator.make_translator(work), work)
    backbone = lm.backbone
    bidirectional, bridge = backbone.encoder.recurrent_layers[0], backbone.decoder.bridge[0]
    for name, parts in {
        "embedding": [backbone.target_embedding],
        "encoder": [bidirectional.forward_layer.cell, bidirectional.backward_layer.cell],
        "bridge_h": [bridge[0]],
        "bridge_c": [bridge[1]],
        "decoder": [backbone.decoder.stack.cells[0]],
        "keys": [backbone.decoder.attention],
        "combine": [backbone.decoder.combine],
    }.items():
        model.get_layer(name).set_weights([weight for part in parts for weight in part.get_weights()])
    assert model.count_params() == lm.count_params()
    pairs = zip([*batches], translation.keras_batches(batches), strict=True)  # the list fills the cache
    for (x, *_), (given, *_) in pairs:
        valid = x["decoder_padding_mask"].numpy()
        np.testing.assert_allclose(lm(x).numpy()[valid], model(given).numpy()[valid], atol=1e-6)
    ours, theirs = (
        trained.fit(data, epochs=4, shuffle=False, verbose=0).history["loss"]
        for trained, data in ((lm, batches), (model, translation.keras_batches(batches)))
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert theirs[-1] < theirs[0] - 0.01


@pytest.mark.parametrize("beams", [1, 3])
def test_the_searches_in_pytorch_find_the_same_texts(torch, beams):
    import torch_translator

    sizes = {"units": 6, "batch_size": 8, "batches": 3, "new_tokens": 11}  # too short for repetitions
    work = replace(translation.WORKS[2], **sizes, vocabulary_size=12, beams=beams)
    lm = translation.textrnn_model(work)
    model = translator_like(torch, work, lm).eval()
    batches, end, all_lengths = translation.make_batches(work, seed=0), work.vocabulary_size - 1, []
    work = replace(work, end=end)
    our_search = translation.textrnn_search(work, lm)
    their_search = torch_translator.beam_search if beams > 1 else torch_translator.greedy
    for batch in batches:
        ours, lengths = our_search(batch[0]["encoder_token_ids"], batch[0]["encoder_padding_mask"])
        source, mask, *_ = torch_translator.to_torch(model, *batch)
        theirs = their_search(work, model, source, mask).numpy()
        theirs = np.pad(theirs, ((0, 0), (0, ours.shape[1] - theirs.shape[1])))
        np.testing.assert_array_equal(ours, np.where(theirs == end, 0, theirs))
        all_lengths += [*lengths.numpy()]
    assert min(all_lengths) < 11 == max(all_lengths)  # some ended, and some did not


@pytest.mark.slow
def test_the_command_measures_every_translator(run_command):
    report = run_command(translation, "--torch_threads", "1")
    assert [entry["work"]["task"] for entry in report["results"]] == ["training", "greedy", "beam"]
    for entry in report["results"]:
        names = [row["contestant"] for row in entry["rows"]]
        ours = ["textrnn"] + ["Keras"] * (entry["work"]["task"] == "training")
        assert names in (ours, [*ours, "PyTorch", "PyTorch, packed"])  # if it is installed
        assert all(min(row["sentences/s"]) > 0 and len(row["sentences/s"]) == 2 for row in entry["rows"])
        assert max(entry["weights"].values()) <= 1.01 * min(entry["weights"].values())

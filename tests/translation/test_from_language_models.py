"""Translators whose encoder and decoder start from language models."""

import numpy as np
import pytest

import textrnn
from textrnn.presets import save_preset
from textrnn.tokenizers import SentencePieceTokenizer
from textrnn.translation.from_language_models import backbone_from, load_language_models


def make_lm(vocabulary_size, **arguments):
    return textrnn.CausalLM(textrnn.RecurrentBackbone(vocabulary_size, **arguments))


@pytest.mark.parametrize(
    ("of_source", "of_target"),
    [
        ({"units": 6}, {"units": 6}),
        ({"units": 5, "embedding_dim": 4}, {"units": 6, "embedding_dim": 4}),
        ({"units": 5, "embedding_dim": 3}, {"units": 6, "embedding_dim": 4}),
        ({"units": 5, "num_layers": 2}, {"units": 6, "num_layers": 2, "residual": True}),
        ({"units": 5, "tie_embeddings": False}, {"units": 6, "tie_embeddings": False}),
    ],
)
def test_the_decoder_begins_as_the_target_model_and_the_encoder_reads_as_the_source_model(
    of_source, of_target
):
    source, target = make_lm(12, **of_source), make_lm(9, **of_target)
    backbone = backbone_from(source, target, attention="dot")
    ids, mask = np.array([[3, 5, 2, 7]]), np.ones((1, 4), bool)
    _, states = backbone.encode(ids, mask)
    _, [own, *_] = source.backbone.run(ids, source.backbone.get_initial_states(1))
    np.testing.assert_allclose(states[0][: len(own)], own, atol=1e-6)
    # Without the encoder's states and without memory, the output is that of the language model after tanh.
    memory = np.zeros((1, 2, 2 * source.backbone.units), "float32")
    outputs, _, _ = backbone.run(ids, target.backbone.get_initial_states(1), memory, np.ones((1, 2), bool))
    expected, _ = target.backbone.run(ids, target.backbone.get_initial_states(1))
    np.testing.assert_allclose(outputs, np.tanh(expected), atol=1e-5)
    logits = backbone.target_embedding(expected, reverse=True)
    np.testing.assert_allclose(logits, target.backbone.token_embedding(expected, reverse=True), atol=1e-5)


def test_a_source_model_alone_can_share_its_vocabulary():
    source = make_lm(12, units=6, embedding_dim=4)
    for sizes in ((None, None), (12, None)):
        backbone = backbone_from(source, vocabulary_sizes=sizes)
        assert backbone.source_embedding is backbone.target_embedding
        assert (backbone.vocabulary_size, backbone.embedding_dim) == (12, 4)


def test_one_side_may_start_from_random_weights():
    source = make_lm(12, units=6, embedding_dim=4, cell="gru")
    backbone = backbone_from(
        source, vocabulary_sizes=(None, 9), units=3, decoder_units=5, decoder_cell="lstm"
    )
    assert (backbone.units, backbone.decoder_units) == (6, 5)
    assert (backbone.source_embedding_dim, backbone.embedding_dim) == (4, 5)
    assert (backbone.vocabulary_size, backbone.target_vocabulary_size) == (12, 9)
    np.testing.assert_array_equal(
        backbone.source_embedding.embeddings, source.backbone.token_embedding.embeddings
    )


@pytest.mark.parametrize(
    ("models", "arguments", "message"),
    [
        (({"units": 4}, {"units": 4, "num_layers": 2}), {}, "have 1 and 2 layers"),
        (({"units": [4, 6], "num_layers": 2}, None), {}, r"have \[4, 6\] units"),
        (({"units": 4}, None), {"input_feeding": True}, "input_feeding: the layers of a language model"),
    ],
)
def test_models_that_do_not_fit_are_refused(models, arguments, message):
    models = [given and make_lm(9, **given) for given in models]
    with pytest.raises(textrnn.InputError, match=message):
        backbone_from(*models, vocabulary_sizes=(9, 9), **arguments)


def test_texts_in_another_language_than_that_of_their_model_are_noticed(tmp_path, capsys, monkeypatch):
    english = ["The night was clear and cold, and the boats lay in the harbour."] * 20
    greek = ["Η γάτα κάθεται στο χαλί, και ο σκύλος κοιμάται δίπλα της."] * 20
    tokenizer = SentencePieceTokenizer.train(english)
    lm = make_lm(tokenizer.vocabulary_size(), units=4)
    preset = save_preset(textrnn.CausalLM(lm.backbone, textrnn.CausalLMPreprocessor(tokenizer)), tmp_path)
    source, target = load_language_models((preset, None), (english, greek), "float32")
    assert type(source) is textrnn.CausalLM and target is None
    assert capsys.readouterr().err == ""
    load_language_models((preset, preset), (english, greek))
    error = capsys.readouterr().err
    assert "the text fits the vocabulary of" in error and error.count("Give --") == 1
    assert "Give --decoder_from a model of the language of these texts, or leave it out" in error
    monkeypatch.setattr("textrnn.presets.closest.closest_starter", lambda texts, task: ("greek", 1.0))
    load_language_models((preset, preset), (english, greek))
    assert "The starter model greek fits better: give --decoder_from greek" in capsys.readouterr().err

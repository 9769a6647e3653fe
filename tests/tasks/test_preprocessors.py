"""Preprocessors and tokenizers as KerasHub uses its own: in data sets, for one text, from presets."""

import keras_hub
import numpy as np
import pytest
import tensorflow as tf

import textrnn
from textrnn.tokenizers import ByteTokenizer, WordTokenizer

TEXTS = ["a", "bcd", ""]


def make_backbones():
    return [
        textrnn.RecurrentBackbone(258, units=4),
        textrnn.RecurrentEncoder(258, units=4),
        textrnn.RecurrentSeq2Seq(258, units=4),
    ]


def make_preprocessors():
    return {
        "text generation": textrnn.CausalLMPreprocessor(ByteTokenizer(), sequence_length=6),
        "classification": textrnn.TextClassifierPreprocessor(ByteTokenizer(), sequence_length=6),
        "translation": textrnn.Seq2SeqLMPreprocessor(
            ByteTokenizer(), encoder_sequence_length=5, decoder_sequence_length=7
        ),
    }


PREPROCESSORS = make_preprocessors()
LENGTHS = {
    "encoder_token_ids": 5,
    "encoder_padding_mask": 5,
    "decoder_token_ids": 7,
    "decoder_padding_mask": 7,
}


def inputs_of(task):
    return {"encoder_text": TEXTS, "decoder_text": TEXTS[::-1]} if task == "translation" else TEXTS


@pytest.mark.parametrize("task", PREPROCESSORS)
def test_texts_can_be_mapped_one_by_one_and_batched(task):
    dataset = tf.data.Dataset.from_tensor_slices(inputs_of(task)).map(PREPROCESSORS[task]).batch(3)
    [batch] = dataset
    x = batch[0] if isinstance(batch, tuple) else batch
    assert {name: value.shape[1] for name, value in x.items()} == {name: LENGTHS.get(name, 6) for name in x}
    together = PREPROCESSORS[task](inputs_of(task))
    padded = together[0] if isinstance(together, tuple) else together
    for name, value in padded.items():
        width = value.shape[1]
        np.testing.assert_array_equal(x[name][:, :width], value)
        assert not ("mask" in name and np.any(x[name][:, width:]))


def test_a_batch_is_padded_to_the_length_that_is_asked_for():
    assert PREPROCESSORS["classification"](TEXTS, sequence_length=9)["token_ids"].shape == (3, 9)
    assert PREPROCESSORS["classification"](TEXTS, sequence_length=2)["padding_mask"].numpy().sum() == 1 + 2
    x, y, weights = PREPROCESSORS["translation"](
        inputs_of("translation"), encoder_sequence_length=3, sequence_length=2
    )
    assert x["encoder_token_ids"].shape == (3, 3)
    assert x["decoder_token_ids"].shape == y.shape == weights.shape == (3, 2)
    assert x["encoder_token_ids"].numpy()[1].tolist() == [100, 101, 1]  # cut, with its end token


@pytest.mark.parametrize("task", ["text generation", "translation"])
def test_one_text_is_prepared_and_read_without_a_batch(task):
    preprocessor = PREPROCESSORS[task]
    text = {"encoder_text": "ab", "decoder_text": "c"} if task == "translation" else "c"
    one = preprocessor.generate_preprocess(text)
    assert {value.shape.rank for value in one.values()} == {1}
    assert preprocessor.generate_postprocess(one) == "c"
    batch = {name: value[None] for name, value in one.items()}
    assert preprocessor.generate_postprocess(batch) == ["c"]


def test_kerashub_loads_the_tokenizer_of_a_preset(tmp_path):
    tokenizer = WordTokenizer.train(["the cat sat"])
    for backbone in make_backbones():
        folder = str(tmp_path / type(backbone).__name__)
        backbone.save_to_preset(folder)
        tokenizer.save_to_preset(folder)
        loaded = keras_hub.models.Tokenizer.from_preset(folder)
        assert type(loaded) is WordTokenizer and loaded.get_vocabulary() == tokenizer.get_vocabulary()


def test_half_surrogate_pairs_in_texts_of_tasks_are_replaced():
    texts, repaired = ["cut \ud83d", "caf\udce9"], ["cut \ufffd", "caf\ufffd"]
    preprocessor = textrnn.TextClassifierPreprocessor(ByteTokenizer(), 16)
    classifier = textrnn.TextClassifier(textrnn.RecurrentEncoder(258, units=4), ["bad", "good"], preprocessor)
    np.testing.assert_array_equal(
        classifier.predict(texts, verbose=0), classifier.predict(repaired, verbose=0)
    )
    history = classifier.fit(texts, np.array([0, 1]), epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    lm = textrnn.CausalLM(
        textrnn.RecurrentBackbone(258, units=4), textrnn.CausalLMPreprocessor(ByteTokenizer())
    )
    assert lm.generate(texts, max_length=9) == lm.generate(repaired, max_length=9)

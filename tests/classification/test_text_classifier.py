"""A classifier is a KerasHub task: strings in, scores out, presets, and independent rows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from textrnn.classification.backbone import RecurrentEncoder
from textrnn.classification.fitting import fit_linear_part
from textrnn.classification.preprocessor import TextClassifierPreprocessor
from textrnn.classification.text_classifier import TextClassifier
from textrnn.errors import InputError
from textrnn.layers.pooling import POOLINGS
from textrnn.tokenizers import ByteTokenizer, train_tokenizer

TEXTS = ["good good", "bad", "so bad that it is bad", "good"]
TARGETS = np.array([1, 0, 0, 1])


def make_classifier(tokenizer=None, cell="gru", pooling="mean", labels=("bad", "good"), ngrams=0, **options):
    tokenizer = tokenizer or ByteTokenizer()
    encoder = RecurrentEncoder(tokenizer.vocabulary_size(), cell, units=6, **options)
    return TextClassifier(encoder, labels, TextClassifierPreprocessor(tokenizer), pooling, ngrams=ngrams)


@pytest.mark.parametrize(
    "pooling", [pytest.param(p, marks=[] if p == "attention" else pytest.mark.slow) for p in POOLINGS]
)
def test_a_classifier_learns_from_strings(pooling):
    layers = 2 if pooling == "mean" else 1
    classifier = make_classifier(
        train_tokenizer("word", TEXTS), pooling=pooling, num_layers=layers, dropout=0.1
    )
    classifier.compile(keras.optimizers.Adam(0.05))
    classifier.fit(TEXTS, TARGETS, epochs=30, verbose=0)
    assert classifier.predict(TEXTS, verbose=0).argmax(axis=1).tolist() == TARGETS.tolist()


def test_scores_do_not_depend_on_other_texts():
    classifier = make_classifier(cell="lstm", num_layers=2)
    together = classifier.predict([*TEXTS, ""], verbose=0)
    alone = np.concatenate([classifier(classifier.preprocessor([text])) for text in [*TEXTS, ""]])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_probabilities_sum_to_one_and_are_calibrated_by_the_temperature():
    classifier = make_classifier(labels=("a", "b", "c"))
    logits = classifier.predict(TEXTS, verbose=0)
    warm, classifier.temperature = np.asarray(classifier.probabilities(logits)), 2.0
    np.testing.assert_allclose(warm.sum(axis=1), 1, atol=1e-6)
    expected = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.probabilities(logits), expected, atol=1e-6)


def test_the_logits_of_token_ngrams_of_earlier_models_are_added_to_those_of_the_network(tmp_path):
    tokenizer = train_tokenizer("word", TEXTS)
    classifier = make_classifier(tokenizer, ngrams=2)
    network = classifier.predict(TEXTS, verbose=0)
    random = np.random.default_rng(0)
    shapes = [weight.shape for weight in classifier.ngram_logits.weights]
    classifier.ngram_logits.set_weights([random.uniform(1, 3, shape).astype("float32") for shape in shapes])
    inputs = classifier.preprocessor(TEXTS)
    of_ngrams = classifier.ngram_logits(inputs["token_ids"], inputs["padding_mask"])
    together = classifier.predict(TEXTS, verbose=0)
    np.testing.assert_allclose(together, network + of_ngrams, atol=1e-5)
    classifier.save_to_preset(str(tmp_path / "preset"))
    loaded = TextClassifier.from_preset(str(tmp_path / "preset"))
    assert loaded.get_config() == classifier.get_config()
    np.testing.assert_allclose(loaded.predict(TEXTS, verbose=0), together, atol=1e-6)
    classifier.compile(keras.optimizers.Adam(0.05))
    kernel = classifier.ngram_logits.get_weights()[0]
    classifier.fit(TEXTS, TARGETS, verbose=0)
    np.testing.assert_array_equal(
        classifier.ngram_logits.get_weights()[0], kernel
    )  # not trained by gradients


@pytest.mark.parametrize("cell", ["lstm", pytest.param("min_gru", marks=pytest.mark.slow)])
def test_a_preset_has_the_same_outputs(cell, tmp_path):
    classifier = make_classifier(cell=cell, pooling="attention", dropout=0.2, zoneout=0.1)
    classifier.temperature = 1.7
    classifier.fit(TEXTS, TARGETS, verbose=0)
    classifier.save_to_preset(str(tmp_path / "preset"))
    loaded = TextClassifier.from_preset(str(tmp_path / "preset"))
    assert (loaded.labels, loaded.temperature) == (["bad", "good"], 1.7)
    assert loaded.get_config() == classifier.get_config()
    np.testing.assert_allclose(
        loaded.predict(TEXTS, verbose=0), classifier.predict(TEXTS, verbose=0), atol=1e-6
    )
    classifier.fit(TEXTS, TARGETS, verbose=0)  # training goes on after saving


def test_batches_are_as_wide_as_their_longest_text_and_truncated():
    preprocessor = TextClassifierPreprocessor(ByteTokenizer(), sequence_length=5, lowercase=True)
    inputs = preprocessor(["aé", "", "ABCDEFG"])
    assert inputs["token_ids"].shape == (3, 5)
    assert tf.reduce_sum(tf.cast(inputs["padding_mask"], tf.int32), 1).numpy().tolist() == [3, 0, 5]
    assert preprocessor([""])["token_ids"].shape == (1, 1)
    one, batch = preprocessor("ABC"), preprocessor(["abc"], sequence_length=5)  # one text is padded
    np.testing.assert_array_equal(one["token_ids"], batch["token_ids"][0])
    _, y, w = preprocessor(["a"], [1], [0.5])
    assert (y, w) == ([1], [0.5])


def test_a_very_long_text_is_classified():
    classifier = make_classifier()
    assert classifier.predict(["word " * 100_000], verbose=0).shape == (1, 2)


@pytest.mark.parametrize("labels", [["one"], ["a", "a"]])
def test_labels_are_two_or_more_different_ones(labels):
    with pytest.raises(InputError, match="two or more different classes"):
        make_classifier(labels=labels)


def test_read_runs_the_encoder_on_token_vectors():
    encoder = RecurrentEncoder(9, "lstm", units=4, num_layers=2, embedding_dim=3)
    x = {
        "token_ids": np.array([[3, 4, 5], [6, 7, 0]]),
        "padding_mask": np.array([[1, 1, 1], [1, 1, 0]], bool),
    }
    vectors = encoder.token_embedding(x["token_ids"])
    np.testing.assert_allclose(encoder.read(vectors, x["padding_mask"]), encoder(x), atol=1e-6)
    assert encoder(x).shape == (2, 3, 8)


def test_training_is_that_of_the_network_whatever_its_weight_is():
    classifier = make_classifier(train_tokenizer("word", TEXTS))
    start, trained = classifier.get_weights(), []
    for network_weight in (1.0, 0.0):
        if not network_weight:
            fit_linear_part(classifier, (TEXTS, TARGETS), (TEXTS, TARGETS), None, 1)
            assert classifier.linear is not None
        classifier.network_weight = network_weight
        for weight, value in zip(classifier.trainable_variables, start, strict=True):
            weight.assign(value)
        classifier.compile(keras.optimizers.Adam(0.05))
        classifier.fit(TEXTS, TARGETS, epochs=2, verbose=0, shuffle=False)
        trained.append([np.asarray(weight) for weight in classifier.trainable_variables])
    for alone, beside, value in zip(*trained, start, strict=True):
        np.testing.assert_allclose(alone, beside, atol=1e-6)
        assert not np.allclose(alone, value, atol=1e-3)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ("ab", {}, "labels is 'ab': give a list of names"),
        (["a", "b"], {"temperature": 0}, "temperature is 0: give a number above 0"),
        (["a", "b"], {"temperature": "1"}, "temperature is '1': give a number above 0"),
        (["a", "b"], {"network_weight": -1}, "network_weight is -1: give a number of at least 0"),
    ],
)
def test_labels_and_weights_that_are_none_are_refused(labels, options, message):
    with pytest.raises(InputError, match=message):
        TextClassifier(RecurrentEncoder(9, units=4), labels, **options)

"""Classifiers that start from a language model: what they keep of it."""

import signal

import keras
import numpy as np
import pytest
from builders.language_models import make_lm

import textrnn
from textrnn.classification.from_language_model import (
    adapt_to_texts,
    classifier_from,
    encoder_from,
    unlabelled_texts,
)
from textrnn.training import Checkpoint

ENGLISH = [f"The night was clear and cold, and {n} boats lay in the harbour." for n in range(60)]


@pytest.mark.parametrize("residual", [False, True])
def test_the_encoder_gives_the_outputs_of_the_language_model(residual):
    lm = textrnn.CausalLM(textrnn.RecurrentBackbone(20, units=[6, 6], num_layers=2, residual=residual))
    tokens = np.random.default_rng(0).integers(2, 20, (2, 5))
    inputs = {"token_ids": tokens, "padding_mask": np.ones((2, 5), bool)}
    np.testing.assert_allclose(encoder_from(lm)(inputs), lm.backbone(inputs), atol=1e-6)


def test_layers_of_different_width_are_refused():
    lm = textrnn.CausalLM(textrnn.RecurrentBackbone(20, units=[4, 6], num_layers=2))
    with pytest.raises(
        textrnn.InputError, match=r"\[4, 6\] units: a classifier starts from one whose layers"
    ):
        encoder_from(lm)


def test_a_classifier_reads_texts_as_the_language_model_does():
    lm = make_lm("byte")
    classifier = classifier_from(lm, ["bad", "good"], max_tokens=4)
    assert classifier.preprocessor.tokenizer is lm.preprocessor.tokenizer
    assert [tokens.tolist() for tokens in classifier.preprocessor.encode(["Abcdef"])] == [
        lm.preprocessor.tokenizer("Abcd").numpy().tolist()
    ]


def test_texts_that_were_adapted_to_are_not_read_again(tmp_path):
    first, again = make_lm("byte"), make_lm("byte")
    for lm in (first, again):
        adapt_to_texts(lm, ENGLISH, 2, sequence_length=16, checkpoint=Checkpoint(tmp_path, 10.0, {"run": 1}))
    assert again.optimizer.iterations == first.optimizer.iterations > 0
    for new, old in zip(again.weights, first.weights, strict=True):
        np.testing.assert_array_equal(new, old)


def test_adapting_lowers_the_loss_on_the_texts():
    lm = make_lm("byte")
    before = lm.evaluate(ENGLISH, verbose=0, return_dict=True)["loss"]
    assert adapt_to_texts(lm, ENGLISH, epochs=2, learning_rate=0.01, sequence_length=16) >= 20
    assert lm.evaluate(ENGLISH, verbose=0, return_dict=True)["loss"] < before


def test_ctrl_c_while_adapting_ends_the_run():
    interrupt = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: signal.raise_signal(signal.SIGINT)
    )
    with pytest.raises(KeyboardInterrupt):
        adapt_to_texts(make_lm("byte"), ENGLISH, 2, sequence_length=16, callbacks=[interrupt])


def test_more_texts_are_in_the_column_that_the_labelled_ones_are_in(tmp_path):
    (tmp_path / "more.jsonl").write_text('{"id": 1, "body": "So dull."}\n')
    (tmp_path / "more.csv").write_text("1,So dull.\n2,A joy.\n")
    (tmp_path / "more.txt").write_text("So dull.\n")
    assert unlabelled_texts(tmp_path / "more.jsonl", text_column="body") == ["So dull."]
    assert unlabelled_texts(tmp_path / "more.csv", text_column="2", no_header=True) == ["So dull.", "A joy."]
    assert unlabelled_texts(tmp_path / "more.txt", text_column="body", no_header=True) == ["So dull."]
    with pytest.raises(textrnn.InputError, match="there is no 'text' among the columns 'id', 'body'"):
        unlabelled_texts(tmp_path / "more.jsonl")

"""A language model with any cell trains, is saved, loaded and served."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from builders.eagerly import functions_run_eagerly
from builders.exporting import export_unchecked

import textrnn
from textrnn import presets
from textrnn.cells import PUBLISHED, describe, find_cell
from textrnn.data.windows import stream, windows
from textrnn.serving.saved_model import load_signatures
from textrnn.text_generation.signatures import text_completer
from textrnn.tokenizers import encode_documents, train_tokenizer

TEXT = "the cat sat on the mat. the dog ate the cat's hat, and that was that.\n"

TRAINED = {
    "lstm_ln": "layer normalization",
    "slstm": "a stabilizer, states that do not start at zero",
    "rg_lru": "a linear recurrence",
}
"""Cells that stand for all others here, with what is special about them. Others run in `make test-slow`."""

SERVED = ["lstm_ln", "rg_lru"]
"""Cells whose exports are loaded: one that runs step by step, one that runs in parallel."""


def by_name(representative):
    """Every cell; those that are not representative are slow."""
    return pytest.mark.parametrize(
        "name", [pytest.param(n, marks=[] if n in representative else pytest.mark.slow) for n in PUBLISHED]
    )


def make_lm(name):
    tokenizer = train_tokenizer("character", [TEXT])
    by_matrix = describe.kind(find_cell(name)) == "S"
    backbone = textrnn.RecurrentBackbone(
        tokenizer.vocabulary_size(),
        cell=name,
        units=8,
        embedding_dim=12,
        recurrent_dropout=0.1 if by_matrix else 0.0,
        zoneout=0.1,
    )
    return textrnn.CausalLM(
        backbone, textrnn.CausalLMPreprocessor(tokenizer), sampler=textrnn.RowSampler(temperature=0)
    )


@by_name(TRAINED)
def test_a_model_trains_and_its_preset_has_the_same_outputs(name, tmp_path):
    lm = make_lm(name)
    tokenizer, variables = lm.preprocessor.tokenizer, lm.backbone.trainable_variables
    tokens = stream(encode_documents(tokenizer, [TEXT] * 20), tokenizer.end_token_id)
    lm.compile(keras.optimizers.Adam(0.005, global_clipnorm=1.0))
    before = [np.array(w) for w in variables]
    losses = lm.fit(windows(tokens, batch_size=4, sequence_length=16), epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    assert all((np.array(w) != b).any() for w, b in zip(variables, before, strict=True))

    loaded = presets.load_preset(presets.save_preset(lm, tmp_path))
    x = {"token_ids": tokens[:10].reshape(2, 5), "padding_mask": np.ones((2, 5), bool)}
    np.testing.assert_array_equal(loaded(x), lm(x))


@by_name(SERVED)
def test_an_exported_model_generates_the_text_of_python(name, tmp_path):
    lm = make_lm(name)
    export_unchecked(lm, tmp_path, only=("serving_default", "step"), max_new_tokens=8)
    served = load_signatures(tmp_path)["serving_default"](text=tf.constant(["the c", ""]))["text"]
    with functions_run_eagerly():
        assert served.numpy()[0].decode() == text_completer(lm)("the c", max_new_tokens=8)

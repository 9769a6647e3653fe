"""Every cell by name is a language model that trains, is saved, loaded, and served."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import textrnn
from textrnn import export
from textrnn.cells import PUBLISHED
from textrnn.data.batching import stream, windows
from textrnn.serving.saved_model import load_signatures
from textrnn.signatures import text_completer
from textrnn.tokenizers import encode_documents, train_tokenizer

TEXT = "the cat sat on the mat. the dog ate the cat's hat, and that was that.\n"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_cell_trains_is_saved_and_served(name, tmp_path, monkeypatch):
    tokenizer = train_tokenizer("character", [TEXT])
    backbone = textrnn.RecurrentBackbone(
        tokenizer.vocabulary_size(), cell=name, units=8, embedding_dim=12, recurrent_dropout=0.1, zoneout=0.1
    )
    lm = textrnn.CausalLM(
        backbone, textrnn.CausalLMPreprocessor(tokenizer), sampler=textrnn.RowSampler(temperature=0)
    )
    tokens = stream(encode_documents(tokenizer, [TEXT] * 20), tokenizer.end_token_id)
    lm.compile(keras.optimizers.Adam(0.005, global_clipnorm=1.0))
    before = [np.array(w) for w in backbone.trainable_variables]
    losses = lm.fit(windows(tokens, batch_size=4, sequence_length=16), epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    assert all((np.array(w) != b).any() for w, b in zip(backbone.trainable_variables, before, strict=True))

    answer = text_completer(lm)("the c", max_new_tokens=8)
    loaded = export.load_preset(export.save_preset(lm, tmp_path))
    # That a fresh process loads an export has its own tests.
    monkeypatch.setattr(export, "check_in_fresh_process", lambda path: None)
    export.export(loaded, tmp_path, max_new_tokens=8)
    served = load_signatures(tmp_path)["serving_default"](text=tf.constant(["the c", ""]))["text"]
    assert served.numpy()[0].decode() == answer

"""What all tokenizers do: shapes, vocabularies, use in graphs, presets."""

import json
import os
from pathlib import Path

import keras
import keras_hub
import pytest
import tensorflow as tf

from textrnn import InputError
from textrnn.data.documents import Document
from textrnn.tokenizers import (
    TOKENIZERS,
    CharacterTokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    WordTokenizer,
    train_tokenizer,
)


def test_one_string_gives_a_tensor_and_a_batch_a_ragged_tensor(tokenizer):
    batch = tokenizer(["the rose", "", "red"])
    assert isinstance(batch, tf.RaggedTensor)
    assert batch.dtype == tf.int32
    assert batch.shape.as_list() == [3, None]
    assert batch[0].numpy().tolist() == tokenizer("the rose").numpy().tolist()
    assert tokenizer.tokenize([]).shape.as_list() == [0, None]
    with pytest.raises(InputError, match=r"strings of shape \(1, 1\)"):
        tokenizer.tokenize([["a"]])


def test_detokenize_accepts_lists_arrays_and_dense_and_ragged_tensors(tokenizer):
    ids = tokenizer(["the rose", "red"])
    for form in (ids, ids.to_list(), ids.to_tensor(), ids.to_tensor().numpy(), tf.cast(ids, tf.int64)):
        assert tokenizer.detokenize(form).numpy().tolist() == [b"the rose", b"red"]
    for form in (ids[0], ids[0].numpy(), ids[0].numpy().tolist()):
        assert tokenizer.detokenize(form).numpy() == b"the rose"
    assert tokenizer.detokenize([]).numpy() == b""
    with pytest.raises(InputError, match=r"ids of shape \(\): give"):
        tokenizer.detokenize(3)


def test_detokenize_removes_padding_and_end_tokens(tokenizer):
    ids = tokenizer("the rose").numpy().tolist()
    assert tokenizer.detokenize([[1, *ids, 1, 0, 0], [0, 1, 0]]).numpy().tolist() == [b"the rose", b""]


def test_detokenize_removes_ids_outside_the_vocabulary(tokenizer):
    ids, size = tokenizer("the rose").numpy().tolist(), tokenizer.vocabulary_size()
    rows = tf.constant([[-1, *ids, size], [size, -7, 2**31 - 1, *[0] * (len(ids) - 1)]])
    assert tokenizer.detokenize(rows).numpy().tolist() == [b"the rose", b""]


def test_tokens_and_ids_correspond(tokenizer):
    vocabulary = tokenizer.get_vocabulary()
    assert len(vocabulary) == tokenizer.vocabulary_size()
    assert vocabulary[:2] == ["<pad>", "</s>"]
    assert tokenizer.pad_token_id == 0
    assert tokenizer.start_token_id == tokenizer.end_token_id == 1
    assert [tokenizer.token_to_id(token) for token in vocabulary] == list(range(len(vocabulary)))
    assert [tokenizer.id_to_token(id) for id in range(len(vocabulary))] == vocabulary
    assert tokenizer.special_tokens == [vocabulary[id] for id in tokenizer.special_token_ids]
    assert 1 not in tokenizer.suppressed_token_ids
    for id in (-1, len(vocabulary)):
        with pytest.raises(InputError, match="ids range from 0 to"):
            tokenizer.id_to_token(id)


def test_tokenizers_work_in_tf_data_and_tf_function(tokenizer):
    expected = tokenizer(["the rose", "red"])
    dataset = tf.data.Dataset.from_tensor_slices(["the rose", "red"])
    assert [ids.numpy().tolist() for ids in dataset.map(tokenizer)] == expected.to_list()
    assert next(iter(dataset.batch(2).map(tokenizer))).to_list() == expected.to_list()
    round_trip = tf.function(lambda texts: tokenizer.detokenize(tokenizer.tokenize(texts)))
    assert round_trip(tf.constant(["the rose", "red"])).numpy().tolist() == [b"the rose", b"red"]


def test_setting_a_seed_keeps_the_vocabulary(tokenizer):
    """Setting a seed clears TensorFlow's kernel cache, and with it the resources that kernels own."""
    round_trip = tf.function(lambda texts: tokenizer.detokenize(tokenizer.tokenize(texts)))
    for seed in range(2):
        assert round_trip(tf.constant(["the rose"])).numpy().tolist() == [b"the rose"]
        assert tokenizer.detokenize(tokenizer("red")).numpy() == b"red"
        keras.utils.set_random_seed(seed)


@pytest.mark.parametrize("kind", sorted(TOKENIZERS))
def test_training_is_deterministic(trained, kind, rose):
    again = train_tokenizer(kind, [Document("rose.txt", rose)])
    assert again.get_vocabulary() == trained[kind].get_vocabulary()
    assert getattr(again, "proto", None) == getattr(trained[kind], "proto", None)


def test_preset_round_trip(tokenizer, tmp_path):
    tokenizer.save_to_preset(str(tmp_path))
    assert json.loads((tmp_path / "tokenizer.json").read_text())["registered_name"].startswith("textrnn>")
    loaded = Tokenizer.from_preset(str(tmp_path))
    assert type(loaded) is type(tokenizer)
    assert loaded.get_vocabulary() == tokenizer.get_vocabulary()
    assert loaded("the rose").numpy().tolist() == tokenizer("the rose").numpy().tolist()


@keras.saving.register_keras_serializable(package="textrnn_tests")
class TinyBackbone(keras_hub.models.Backbone):
    def __init__(self, dtype=None, **kwargs):
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        super().__init__(token_ids, keras.layers.Embedding(3, 2)(token_ids), dtype=dtype, **kwargs)


@keras.saving.register_keras_serializable(package="textrnn_tests")
class TinyPreprocessor(keras_hub.models.Preprocessor):
    backbone_cls = TinyBackbone
    tokenizer_cls = Tokenizer

    def __init__(self, tokenizer, **kwargs):
        super().__init__(**kwargs)
        self.tokenizer = tokenizer


def test_a_tokenizer_loads_with_a_kerashub_preprocessor(tokenizer, tmp_path):
    TinyPreprocessor(tokenizer).save_to_preset(str(tmp_path))
    Path(tmp_path, "config.json").write_text(json.dumps(keras.saving.serialize_keras_object(TinyBackbone())))
    loaded = TinyPreprocessor.from_preset(str(tmp_path)).tokenizer
    assert loaded("the rose").numpy().tolist() == tokenizer("the rose").numpy().tolist()


def test_a_tokenizer_is_restored_from_its_config_and_assets(tokenizer, tmp_path):
    tokenizer.save_assets(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == tokenizer.file_assets
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(tokenizer))
    loaded.load_assets(str(tmp_path))
    assert loaded.name == tokenizer.name
    assert loaded.get_vocabulary() == tokenizer.get_vocabulary()


def test_from_preset_refuses_another_class(trained, tmp_path):
    trained["byte"].save_to_preset(str(tmp_path))
    with pytest.raises(InputError, match="contains a ByteTokenizer, not a WordTokenizer"):
        WordTokenizer.from_preset(str(tmp_path))


@pytest.mark.parametrize("cls", [SentencePieceTokenizer, CharacterTokenizer, WordTokenizer])
def test_using_a_tokenizer_without_a_vocabulary_says_how_to_get_one(cls):
    tokenizer = cls()
    for use in (
        lambda: tokenizer("a"),
        lambda: tokenizer.detokenize([3]),
        lambda: tokenizer.id_to_token(0),
        tokenizer.vocabulary_size,
        tokenizer.get_vocabulary,
    ):
        with pytest.raises(InputError, match=rf"{cls.__name__} has no vocabulary: .*train\(documents\)"):
            use()

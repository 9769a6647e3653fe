"""Laws of the tokenizers, alone, in presets and in SavedModels."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from textrnn import InputError
from textrnn.data.datasets import load_text
from textrnn.data.documents import Document
from textrnn.tokenizers import (
    TOKENIZERS,
    ByteTokenizer,
    CharacterTokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    WordTokenizer,
    encode_documents,
    encoding,
    sentencepiece,
    train_tokenizer,
    valid_utf8,
)
from textrnn.tokenizers.text import chunks

DATA = Path(os.environ.get("TEXTRNN_DATA", Path(__file__).parents[3] / "shared" / "data"))
KINDS = sorted(TOKENIZERS)
LOSSLESS = ["byte", "character", "sentencepiece"]
TEXT = "\n".join(
    [
        "The rose is red , the violet's blue,",
        "  the honey's sweet, and so are you.",
        "",
        "Thou art my love and I am thine;",
        "\tI drew thee to my Valentine:",
        "the lot was cast and then I drew,",
        "and fortune said it shou'd be you.\n",
    ]
    * 3
)
AWKWARD = [
    *("", " ", "  ", "\n", "\n\n", " \n ", "\t", "\r\n", "\0", "a\0b", "▁", "a▁ ▁b", "▁▁", "▅", "⁇"),
    *("\x10", "\x100", "\x101", "\x10▁1", "</s>", "<s>", "<unk>", "<pad>", "<0x0A>", "\ufffd", "\ufeffa"),
    *(" leading", "trailing ", "é", "e\u0301", "ﬁ", "Å", "👩‍👩‍👧", "\U0010ffff", "\ue000", "日本語", "שלום"),
]


@pytest.fixture(scope="module")
def trained():
    return {kind: train_tokenizer(kind, [Document("rose.txt", TEXT)]) for kind in KINDS}


@pytest.mark.parametrize("kind", LOSSLESS)
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.one_of(st.text(), st.sampled_from(AWKWARD), st.text("▁\x10 01\n\ta")), max_size=8))
def test_detokenize_undoes_tokenize(trained, kind, texts):
    tokenizer = trained[kind]
    restored = tokenizer.detokenize(tokenizer.tokenize(texts)).numpy()
    assert [text.decode() for text in restored] == texts


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize("text", AWKWARD, ids=ascii)
def test_awkward_text_is_kept(trained, kind, text):
    ids = trained[kind].tokenize(text)
    assert ids.dtype == tf.int32
    assert not set(ids.numpy()) & set(trained[kind].special_token_ids)
    assert trained[kind].detokenize(ids).numpy().decode() == text


@given(st.lists(st.binary(), max_size=5))
@settings(max_examples=40, deadline=None)
def test_bytes_are_kept_even_if_they_are_not_utf8(strings):
    tokenizer = ByteTokenizer()
    ids = tokenizer.tokenize(strings)
    assert ids.to_list() == [[byte + 2 for byte in string] for string in strings]
    assert tokenizer.detokenize(ids).numpy().tolist() == strings


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_completion_by_itself_keeps_its_leading_space(trained, kind):
    tokenizer = trained[kind]
    prompt, completion = tokenizer.tokenize("the rose"), tokenizer.tokenize(" is  red")
    assert tokenizer.detokenize(completion).numpy() == b" is  red"
    assert tokenizer.detokenize(tf.concat([prompt, completion], 0)).numpy() == b"the rose is  red"


@pytest.mark.parametrize("kind", KINDS)
class TestContract:
    def test_shapes(self, trained, kind):
        tokenizer = trained[kind]
        batch = tokenizer(["the rose", "", "red"])
        assert isinstance(batch, tf.RaggedTensor)
        assert batch.dtype == tf.int32
        assert batch.shape.as_list() == [3, None]
        assert batch[0].numpy().tolist() == tokenizer("the rose").numpy().tolist()
        assert tokenizer.tokenize([]).shape.as_list() == [0, None]
        with pytest.raises(InputError, match=r"strings of shape \(1, 1\)"):
            tokenizer.tokenize([["a"]])

    def test_detokenize_takes_every_form_of_ids(self, trained, kind):
        tokenizer = trained[kind]
        ids = tokenizer(["the rose", "red"])
        for form in (ids, ids.to_list(), ids.to_tensor(), ids.to_tensor().numpy(), tf.cast(ids, tf.int64)):
            assert tokenizer.detokenize(form).numpy().tolist() == [b"the rose", b"red"]
        for form in (ids[0], ids[0].numpy(), ids[0].numpy().tolist()):
            assert tokenizer.detokenize(form).numpy() == b"the rose"
        assert tokenizer.detokenize([]).numpy() == b""
        with pytest.raises(InputError, match="give"):
            tokenizer.detokenize(3)

    def test_padding_and_end_are_left_out(self, trained, kind):
        tokenizer = trained[kind]
        ids = tokenizer("the rose").numpy().tolist()
        assert tokenizer.detokenize([[1, *ids, 1, 0, 0], [0, 1, 0]]).numpy().tolist() == [b"the rose", b""]

    def test_vocabulary(self, trained, kind):
        tokenizer = trained[kind]
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

    def test_works_in_tf_data_and_tf_function(self, trained, kind):
        tokenizer = trained[kind]
        expected = tokenizer(["the rose", "red"])
        dataset = tf.data.Dataset.from_tensor_slices(["the rose", "red"])
        assert [ids.numpy().tolist() for ids in dataset.map(tokenizer)] == expected.to_list()
        assert next(iter(dataset.batch(2).map(tokenizer))).to_list() == expected.to_list()
        round_trip = tf.function(lambda texts: tokenizer.detokenize(tokenizer.tokenize(texts)))
        assert round_trip(tf.constant(["the rose", "red"])).numpy().tolist() == [b"the rose", b"red"]

    def test_setting_a_seed_does_not_lose_the_vocabulary(self, kind):
        """TensorFlow empties its cache of kernels then, and with it the resources that are theirs."""
        tokenizer = train_tokenizer(kind, [TEXT])
        round_trip = tf.function(lambda texts: tokenizer.detokenize(tokenizer.tokenize(texts)))
        for seed in range(2):
            assert round_trip(tf.constant(["the rose"])).numpy().tolist() == [b"the rose"]
            assert tokenizer.detokenize(tokenizer("red")).numpy() == b"red"
            keras.utils.set_random_seed(seed)

    def test_training_is_deterministic(self, kind):
        first, second = (train_tokenizer(kind, [Document("rose.txt", TEXT)]) for _ in range(2))
        assert first.get_vocabulary() == second.get_vocabulary()
        assert getattr(first, "proto", None) == getattr(second, "proto", None)

    def test_preset_round_trip(self, trained, kind, tmp_path):
        trained[kind].save_to_preset(str(tmp_path))
        assert json.loads((tmp_path / "tokenizer.json").read_text())["registered_name"].startswith("textrnn>")
        loaded = Tokenizer.from_preset(str(tmp_path))
        assert type(loaded) is type(trained[kind])
        assert loaded.get_vocabulary() == trained[kind].get_vocabulary()
        assert loaded("the rose").numpy().tolist() == trained[kind]("the rose").numpy().tolist()

    def test_loads_with_a_kerashub_preprocessor(self, trained, kind, tmp_path):
        TinyPreprocessor(trained[kind]).save_to_preset(str(tmp_path))
        Path(tmp_path, "config.json").write_text(
            json.dumps(keras.saving.serialize_keras_object(TinyBackbone()))
        )
        loaded = TinyPreprocessor.from_preset(str(tmp_path)).tokenizer
        assert loaded("the rose").numpy().tolist() == trained[kind]("the rose").numpy().tolist()

    def test_is_made_from_its_config_and_completed_by_its_assets(self, trained, kind, tmp_path):
        trained[kind].save_assets(str(tmp_path))
        assert sorted(os.listdir(tmp_path)) == trained[kind].file_assets
        tokenizer = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(trained[kind]))
        tokenizer.load_assets(str(tmp_path))
        assert tokenizer.name == trained[kind].name
        assert tokenizer.get_vocabulary() == trained[kind].get_vocabulary()

    def test_documents_are_encoded_as_one_text_would_be(self, trained, kind, monkeypatch):
        documents = [Document("a", TEXT), Document("b", ""), Document("c", "the rose\n"), "red"]
        whole = [trained[kind](text).numpy() for text in (TEXT, "", "the rose\n", "red")]
        monkeypatch.setattr(encoding, "chunks", lambda text, _: chunks(text, 50))
        for expected, ids in zip(whole, encode_documents(trained[kind], documents), strict=True):
            assert ids.dtype == np.int32
            np.testing.assert_array_equal(ids, expected)

    def test_encoding_nothing(self, trained, kind):
        assert encode_documents(trained[kind], []) == []


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


def test_from_preset_refuses_another_kind(trained, tmp_path):
    trained["byte"].save_to_preset(str(tmp_path))
    with pytest.raises(InputError, match="contains a ByteTokenizer, not a WordTokenizer"):
        WordTokenizer.from_preset(str(tmp_path))


@pytest.mark.parametrize("cls", [SentencePieceTokenizer, CharacterTokenizer, WordTokenizer])
def test_without_a_vocabulary_the_error_says_how_to_get_one(cls):
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


FRESH_PROCESS = """
import sys
import tensorflow as tf
import tensorflow_text

for folder in sys.argv[1:]:
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    tf.random.set_seed(1)
    print(serve(tf.constant([b"  the rose\\n", "\u2581 \u00e9".encode(), b""]))["text"].numpy().tolist())
assert not {"keras_hub", "sentencepiece", "textrnn"} & set(sys.modules)
"""


def export_by_tensorflow(tokenizer, endpoint, signature, folder):
    module = tf.Module()
    module.tokenizer = tokenizer
    module.serve = tf.function(endpoint, input_signature=signature)
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})


def export_by_keras(tokenizer, endpoint, signature, folder):
    archive = keras.export.ExportArchive()
    archive.track(tokenizer)
    archive.add_endpoint("serving_default", endpoint, signature)
    archive.write_out(folder, verbose=False)


def round_trip(tokenizer):
    return lambda text: {"text": tokenizer.detokenize(tokenizer.tokenize(text))}


def test_an_export_runs_where_there_is_only_tensorflow_and_its_text_ops(trained, tmp_path):
    signature = [tf.TensorSpec([None], tf.string, name="text")]
    folders, expected = [], []
    for kind in KINDS:
        endpoint = round_trip(trained[kind])
        for export in (export_by_tensorflow, export_by_keras):
            folders.append(str(tmp_path / kind / export.__name__))
            export(trained[kind], endpoint, signature, folders[-1])
            expected.append(str(endpoint(["  the rose\n", "▁ é", ""])["text"].numpy().tolist()))
    command = [sys.executable, "-c", FRESH_PROCESS, *folders]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == expected


class TestSentencePiece:
    def test_a_newline_is_always_a_token_of_its_own(self, trained):
        for kind in ("sentencepiece", "character"):
            vocabulary = trained[kind].get_vocabulary()
            assert [token for token in vocabulary if "\n" in token] == ["\n"]

    def test_subwords_are_learnt(self, trained):
        assert {"▁the", "▁drew"} <= set(trained["sentencepiece"].get_vocabulary())

    def test_characters_are_single(self, trained):
        tokenizer = trained["character"]
        assert len(tokenizer(TEXT)) == len(TEXT)
        assert set(tokenizer.get_vocabulary()[260:]) == set(TEXT.replace(" ", "▁")) - {"\n"}

    def test_the_default_size_shrinks_to_the_text(self, trained):
        assert 260 < trained["sentencepiece"].vocabulary_size() < 8000

    @pytest.mark.parametrize(("kind", "size"), [("sentencepiece", 295), ("character", 280)])
    def test_a_size_that_fits_is_kept(self, kind, size):
        assert train_tokenizer(kind, [TEXT], size).vocabulary_size() == size

    @pytest.mark.parametrize("kind", ["sentencepiece", "character"])
    def test_a_size_too_large_says_what_fits_and_that_fits(self, kind):
        with pytest.raises(
            InputError, match="vocabulary_size=9999 does not fit this text: give at most"
        ) as error:
            train_tokenizer(kind, [TEXT], 9999)
        fits = int(str(error.value).split("at most ")[1].split(",")[0])
        assert train_tokenizer(kind, [TEXT], fits).vocabulary_size() == fits

    @pytest.mark.parametrize("kind", ["sentencepiece", "character"])
    def test_a_size_too_small_says_what_fits_and_that_fits(self, kind):
        with pytest.raises(
            InputError, match="vocabulary_size=100 does not fit this text: give at least"
        ) as error:
            train_tokenizer(kind, [TEXT], 100)
        fits = int(str(error.value).split("at least ")[1].split(",")[0])
        assert train_tokenizer(kind, [TEXT], fits).vocabulary_size() == fits

    @pytest.mark.parametrize("texts", [[], [""], ["▅"]])
    def test_no_text_is_refused(self, texts):
        with pytest.raises(InputError, match="no text to train a tokenizer on"):
            SentencePieceTokenizer.train(texts)

    def test_text_with_characters_that_the_trainer_reserves_is_learnt_from(self):
        assert "▁drew" in SentencePieceTokenizer.train([f"▅{TEXT}▅"]).get_vocabulary()

    def test_very_long_lines_are_learnt_from(self):
        assert "▁drew" in SentencePieceTokenizer.train([TEXT.replace("\n", " ") * 200]).get_vocabulary()

    def test_long_texts_are_sampled(self, monkeypatch):
        monkeypatch.setattr(sentencepiece, "MAX_TRAINING_CHARACTERS", 10_000)
        tokenizer = CharacterTokenizer.train(["a" * 40_000, "b" * 40_000])
        assert tokenizer.get_vocabulary()[-2:] == ["a", "b"]

    @pytest.mark.parametrize("kind", ["sentencepiece", "character"])
    def test_broken_utf8_becomes_the_replacement_character(self, trained, kind):
        tokenizer = trained[kind]
        assert tokenizer.detokenize(tokenizer(b"a\xff\xc3b")).numpy().decode() == "a\ufffd\ufffdb"
        half = tokenizer("é")[:-1] if kind == "sentencepiece" else tokenizer("日")[:-1]
        assert "\ufffd" in tokenizer.detokenize(half).numpy().decode()


class TestWord:
    def test_order_is_by_frequency_then_alphabet(self):
        tokenizer = WordTokenizer.train(["b a a\nc b a \n d"])
        assert tokenizer.get_vocabulary() == ["<pad>", "</s>", "<unk>", "a", "\n", "b", "c", "d"]

    def test_size_caps_the_vocabulary(self):
        assert WordTokenizer.train(["b a a"], 4).get_vocabulary() == ["<pad>", "</s>", "<unk>", "a"]
        with pytest.raises(InputError, match="leaves no room for words"):
            WordTokenizer.train(["b a a"], 3)

    def test_special_tokens_in_the_text_are_unknown_words(self):
        tokenizer = WordTokenizer.train(["a </s> <pad> <unk> a"])
        assert tokenizer.get_vocabulary() == ["<pad>", "</s>", "<unk>", "a"]
        assert tokenizer("<pad> </s> <unk> a b").numpy().tolist() == [2, 2, 2, 3, 2]

    def test_newlines_are_words_and_spaces_are_not_kept(self):
        tokenizer = WordTokenizer.train(["a b \n"])
        newline = tokenizer.token_to_id("\n")
        a, b = tokenizer.token_to_id("a"), tokenizer.token_to_id("b")
        assert tokenizer("\n  a\tb\n\nb").numpy().tolist() == [newline, a, b, newline, newline, b]
        assert tokenizer.detokenize(tokenizer("\n  a\tb\n\nb")).numpy() == b"\na b\n\nb"

    def test_only_ascii_whitespace_parts_words(self):
        tokenizer = WordTokenizer.train(["a\u00a0b c\u2009d"])
        assert tokenizer.get_vocabulary()[3:] == ["a\u00a0b", "c\u2009d"]
        assert tokenizer("a\u00a0b").numpy().tolist() == [3]

    def test_a_vocabulary_must_begin_with_the_special_tokens(self):
        for vocabulary in (["a", "b"], ["<pad>", "</s>", "<unk>", "a", "a"]):
            with pytest.raises(InputError, match="must start with <pad>, </s>, <unk>"):
                WordTokenizer(vocabulary)

    @pytest.mark.parametrize(
        ("name", "train_tokens", "validation_tokens", "types"),
        [("wikitext-2", 2_088_628, 217_646, 33_278), ("ptb", 929_589, 73_760, 10_000)],
    )
    def test_counts_are_those_of_the_literature(
        self, name, train_tokens, validation_tokens, types, monkeypatch
    ):
        if not (DATA / name).is_dir():
            pytest.skip(f"{name} is not in TEXTRNN_DATA ({DATA})")
        monkeypatch.setenv("TEXTRNN_DATA", str(DATA))
        dataset = load_text(name)
        tokenizer = train_tokenizer("word", dataset.train)
        assert tokenizer.vocabulary_size() == types + 2  # padding and end of text
        assert [len(ids) for ids in encode_documents(tokenizer, dataset.train)] == [train_tokens]
        [validation] = encode_documents(tokenizer, dataset.validation)
        assert len(validation) == validation_tokens
        assert validation.min() >= 2


def test_an_unknown_kind_lists_the_known():
    with pytest.raises(InputError, match="'bpe': choose one of sentencepiece, character, byte, word"):
        train_tokenizer("bpe", [TEXT])


def test_bytes_have_one_size():
    assert train_tokenizer("byte", [], 258).vocabulary_size() == 258
    with pytest.raises(InputError, match="always has 258"):
        train_tokenizer("byte", [], 300)


@pytest.mark.parametrize("text", ["one line\n" * 99, "a b " * 99, "x" * 99, "\n" * 99, " " * 99, "", "short"])
def test_chunks_are_the_text_in_pieces(text):
    pieces = list(chunks(text, 20))
    assert "".join(pieces) == text
    assert all(0 < len(chunk) <= 20 for chunk in pieces)


def test_chunks_end_at_newlines_where_there_are_any():
    assert list(chunks("one two\nthree four\nfive", 12)) == ["one two\n", "three four\n", "five"]


@given(st.lists(st.one_of(st.text(), st.sampled_from(AWKWARD)).map(str.encode), max_size=5))
@settings(max_examples=50, deadline=None)
def test_valid_utf8_keeps_what_is_valid(strings):
    assert valid_utf8(tf.constant(strings, tf.string)).numpy().tolist() == strings


@given(st.binary())
@settings(max_examples=50, deadline=None)
def test_valid_utf8_is_always_valid(string):
    text = valid_utf8(string).numpy().decode()
    assert text == string.decode(errors="replace") or "\ufffd" in text

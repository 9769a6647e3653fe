"""The SentencePiece tokenizers: what they learn, sizes, invalid UTF-8, messages."""

import pytest

from textrnn import InputError
from textrnn.tokenizers import SentencePieceTokenizer, train_tokenizer

BOTH = pytest.mark.parametrize("kind", ["sentencepiece", "character"])


@BOTH
def test_a_newline_is_always_a_token_of_its_own(trained, kind):
    vocabulary = trained[kind].get_vocabulary()
    assert [token for token in vocabulary if "\n" in token] == ["\n"]


def test_subwords_are_learned(trained):
    assert {"▁the", "▁drew"} <= set(trained["sentencepiece"].get_vocabulary())


def test_the_default_size_is_limited_by_the_text(trained):
    assert 260 < trained["sentencepiece"].vocabulary_size() < 8000


@pytest.mark.parametrize(("kind", "size"), [("sentencepiece", 295), ("character", 280)])
def test_a_size_that_fits_is_kept(rose, kind, size):
    assert train_tokenizer(kind, [rose], size).vocabulary_size() == size


@pytest.mark.parametrize(("size", "limit"), [(9999, "at most"), (100, "at least")])
@BOTH
def test_a_size_that_does_not_fit_is_refused_with_one_that_does(rose, kind, size, limit):
    message = rf"vocabulary_size={size} does not fit this text: give {limit} \d+,"
    with pytest.raises(InputError, match=message) as error:
        train_tokenizer(kind, [rose], size)
    fitting = int(str(error.value).split(f"{limit} ")[1].split(",")[0])
    assert train_tokenizer(kind, [rose], fitting).vocabulary_size() == fitting


@pytest.mark.parametrize("texts", [[], [""], ["▅"]])
def test_no_text_is_refused(texts):
    with pytest.raises(InputError, match="no text to train a tokenizer on"):
        SentencePieceTokenizer.train(texts)


def test_texts_with_a_character_that_the_trainer_reserves_are_not_skipped(rose):
    assert "▁drew" in SentencePieceTokenizer.train([f"▅{rose}▅"]).get_vocabulary()


def test_very_long_lines_are_not_skipped(rose):
    one_line = rose.replace("\n", " ") * 40
    assert len(one_line) > 20_000
    assert "▁drew" in SentencePieceTokenizer.train([one_line]).get_vocabulary()


@BOTH
def test_invalid_utf8_becomes_the_replacement_character(trained, kind):
    tokenizer = trained[kind]
    assert tokenizer.detokenize(tokenizer(b"a\xff\xc3b")).numpy().decode() == "a\ufffd\ufffdb"
    half = tokenizer("é")[:-1] if kind == "sentencepiece" else tokenizer("日")[:-1]
    assert "\ufffd" in tokenizer.detokenize(half).numpy().decode()


def test_nothing_is_printed(rose, capfd):
    tokenizer = SentencePieceTokenizer.train([rose, "other text"])
    SentencePieceTokenizer(tokenizer.proto)("the rose")
    assert capfd.readouterr() == ("", "")

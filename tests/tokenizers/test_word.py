"""The word tokenizer: order and size of the vocabulary, special tokens, whitespace, known counts."""

import os
from pathlib import Path

import pytest

from textrnn import InputError
from textrnn.data.datasets import load_text
from textrnn.tokenizers import WordTokenizer, encode_documents, train_tokenizer

DATA = Path(os.environ.get("TEXTRNN_DATA", Path(__file__).parents[3] / "shared" / "data"))


def test_the_vocabulary_is_sorted_by_frequency_then_alphabet():
    tokenizer = WordTokenizer.train(["b a a\nc b a \n d"])
    assert tokenizer.get_vocabulary() == ["<pad>", "</s>", "<unk>", "a", "\n", "b", "c", "d"]


def test_a_size_limits_the_vocabulary():
    assert WordTokenizer.train(["b a a"], 4).get_vocabulary() == ["<pad>", "</s>", "<unk>", "a"]
    with pytest.raises(InputError, match="leaves no room for words"):
        WordTokenizer.train(["b a a"], 3)


def test_special_tokens_in_the_text_are_unknown_words_and_named_in_a_warning(capsys):
    WordTokenizer.train(["a <unk> b"])
    assert capsys.readouterr().err == ""
    tokenizer = WordTokenizer.train(["a </s> <pad> <unk> a </s>"])
    warnings = capsys.readouterr().err.splitlines()
    assert [line.split(". ")[0] for line in warnings] == [
        "warning: words of the text that are <pad>: 1",
        "warning: words of the text that are </s>: 2",
    ]
    assert tokenizer.get_vocabulary() == ["<pad>", "</s>", "<unk>", "a"]
    assert tokenizer("<pad> </s> <unk> a b").numpy().tolist() == [2, 2, 2, 3, 2]


def test_newlines_are_words_and_spaces_are_not_kept():
    tokenizer = WordTokenizer.train(["a b \n"])
    newline = tokenizer.token_to_id("\n")
    a, b = tokenizer.token_to_id("a"), tokenizer.token_to_id("b")
    assert tokenizer("\n  a\tb\n\nb").numpy().tolist() == [newline, a, b, newline, newline, b]
    assert tokenizer.detokenize(tokenizer("\n  a\tb\n\nb")).numpy() == b"\na b\n\nb"


def test_only_ascii_whitespace_separates_words():
    tokenizer = WordTokenizer.train(["a\u00a0b c\u2009d"])
    assert tokenizer.get_vocabulary()[3:] == ["a\u00a0b", "c\u2009d"]
    assert tokenizer("a\u00a0b").numpy().tolist() == [3]


def test_a_vocabulary_must_start_with_the_special_tokens_and_have_no_duplicates():
    for vocabulary in (["a", "b"], ["<pad>", "</s>", "<unk>", "a", "a"]):
        with pytest.raises(InputError, match="must start with <pad>, </s>, <unk> and have no duplicates"):
            WordTokenizer(vocabulary)


@pytest.mark.parametrize(
    ("name", "train_tokens", "validation_tokens", "types"),
    [("wikitext-2", 2_088_628, 217_646, 33_278), ("ptb", 929_589, 73_760, 10_000)],
)
def test_token_counts_are_those_of_the_literature(name, train_tokens, validation_tokens, types, monkeypatch):
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


def test_the_span_of_a_word_is_its_place_in_the_text():
    tokenizer = WordTokenizer.train(["the cat"])
    text = " the\u00a0dog \n\n\tcat\x1e \x1e"
    found = [text[start:end] for start, end in tokenizer.spans(text)]
    assert found == ["the\u00a0dog", "\n", "\n", "cat\x1e", "\x1e"]
    assert len(found) == len(tokenizer.tokenize(text))
    assert tokenizer.spans("").shape == (0, 2)

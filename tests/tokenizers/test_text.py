"""Chunks of long texts, invalid UTF-8, and lower case."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from textrnn.tokenizers import ByteTokenizer, encode_documents, lowercased, train_tokenizer, valid_utf8
from textrnn.tokenizers.text import chunks, document_chunks, evenly_sampled, string_tensor

SAMPLES = ["\0", "a\0b", "\ufffd", "\ufeffa", "\U0010ffff", "\ue000", "日本語", "e\u0301"]


class Blocks:
    """A document that is read in parts."""

    def __init__(self, parts):
        self.parts, self.text = parts, "".join(parts)

    def blocks(self):
        return iter(self.parts)


@given(st.lists(st.text("ab \n", max_size=30), max_size=6), st.integers(2, 20))
def test_chunks_of_a_document_in_parts_are_those_of_its_text(parts, size):
    assert list(document_chunks(Blocks(parts), size)) == list(chunks("".join(parts), size))


@given(st.lists(st.text("ab \n", max_size=40), max_size=6), st.integers(1, 60))
def test_an_even_sample_is_every_nth_chunk(texts, maximum):
    sample, characters = evenly_sampled(map(str, texts), 5, maximum)
    every = -(-characters // maximum) or 1
    assert list(sample) == [chunk for text in texts for chunk in chunks(text, 5)][::every]
    assert characters == sum(map(len, texts))


@pytest.mark.parametrize("text", ["one line\n" * 99, "a b " * 99, "x" * 99, "\n" * 99, " " * 99, "", "short"])
def test_chunks_concatenate_to_the_text(text):
    pieces = list(chunks(text, 20))
    assert "".join(pieces) == text
    assert all(0 < len(chunk) <= 20 for chunk in pieces)


def test_chunks_end_at_newlines_where_possible():
    assert list(chunks("one two\nthree four\nfive", 12)) == ["one two\n", "three four\n", "five"]


@given(st.lists(st.one_of(st.text(), st.sampled_from(SAMPLES)).map(str.encode), max_size=5))
@settings(max_examples=50, deadline=None)
def test_valid_utf8_keeps_valid_strings(strings):
    assert valid_utf8(tf.constant(strings, tf.string)).numpy().tolist() == strings


@given(st.binary())
@settings(max_examples=50, deadline=None)
def test_valid_utf8_is_always_valid(string):
    text = valid_utf8(string).numpy().decode()
    assert text == string.decode(errors="replace") or "\ufffd" in text


def test_half_surrogate_pairs_are_tokenized_as_the_replacement_character():
    texts = ["cut \ud83d", "whole", "\udcff"]
    repaired = ["cut \ufffd", "whole", "\ufffd"]
    assert string_tensor(texts).numpy().tolist() == [text.encode() for text in repaired]
    assert string_tensor(texts[0]).numpy().decode() == repaired[0]
    assert string_tensor((b"\xff", "\udcff")).numpy().tolist() == [b"\xff", "\ufffd".encode()]
    tokenize = ByteTokenizer().tokenize
    assert tokenize(texts).to_list() == tokenize(repaired).to_list()
    assert tokenize(texts[2]).numpy().tolist() == tokenize(repaired[2]).numpy().tolist()


@pytest.mark.parametrize("kind", ["word", "character", "sentencepiece", "byte"])
def test_tokenizers_are_trained_on_texts_with_half_surrogate_pairs(kind):
    texts = ["a b c d e f g h " * 20, "cut \ud83d"]
    trained = [train_tokenizer(kind, texts), train_tokenizer(kind, [texts[0], "cut \ufffd"])]
    assert trained[0].get_vocabulary() == trained[1].get_vocabulary()
    assert [ids.tolist() for ids in encode_documents(trained[0], texts)] == [
        trained[1].tokenize(text).numpy().tolist() for text in (texts[0], "cut \ufffd")
    ]


CAPITALS = [
    "I LIKED IT, İSTANBUL",
    "ΟΔΟΣ, Σ",
    "GRÜẞE",
    "I\u0300 J\u0301 Į\u0303 ÌÍĨ",
    "Ｆｕｌｌ ＷＩＤＴＨ",
    "ҐРАТИ",
    "",
]


def test_lower_case_is_that_of_python():
    assert [text.decode() for text in lowercased(CAPITALS).numpy()] == [text.lower() for text in CAPITALS]


@pytest.mark.parametrize("language", ["tr_TR.UTF-8", "lt_LT.UTF-8"])
def test_lower_case_does_not_depend_on_the_language_of_the_machine(language):
    code = (
        "import sys; from textrnn.tokenizers import lowercased; "
        "sys.stdout.buffer.write(b'|'.join(lowercased(sys.argv[1:]).numpy()))"
    )
    run = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code, *CAPITALS],
        env={**os.environ, "LC_ALL": language},
        capture_output=True,
        check=True,
    )
    assert run.stdout.decode() == "|".join(CAPITALS).lower()

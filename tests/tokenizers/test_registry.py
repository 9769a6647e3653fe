"""Tokenizers by name."""

import pytest

from textrnn import InputError
from textrnn.tokenizers import TOKENIZERS, train_tokenizer


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_name_gives_its_class(trained, kind):
    assert type(trained[kind]) is TOKENIZERS[kind]


def test_an_unknown_name_lists_the_known():
    with pytest.raises(InputError, match="'bpe': choose one of sentencepiece, character, byte, word"):
        train_tokenizer("bpe", ["text"])

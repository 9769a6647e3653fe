"""The byte tokenizer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textrnn import InputError
from textrnn.tokenizers import ByteTokenizer, train_tokenizer


@given(st.lists(st.binary(), max_size=5))
@settings(max_examples=40, deadline=None)
def test_any_bytes_are_kept(strings):
    tokenizer = ByteTokenizer()
    ids = tokenizer.tokenize(strings)
    assert ids.to_list() == [[byte + 2 for byte in string] for string in strings]
    assert tokenizer.detokenize(ids).numpy().tolist() == strings


def test_the_vocabulary_has_one_size():
    assert train_tokenizer("byte", [], 258).vocabulary_size() == 258
    with pytest.raises(InputError, match="always has 258"):
        train_tokenizer("byte", [], 300)

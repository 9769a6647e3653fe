"""The law of the lossless tokenizers: detokenize(tokenize(text)) == text."""

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

LOSSLESS = ["byte", "character", "sentencepiece"]
AWKWARD = [
    *("", " ", "  ", "\n", "\n\n", " \n ", "\t", "\r\n", "\0", "a\0b", "▁", "a▁ ▁b", "▁▁", "▅", "⁇"),
    *("\x10", "\x100", "\x101", "\x10▁1", "</s>", "<s>", "<unk>", "<pad>", "<0x0A>", "\ufffd", "\ufeffa"),
    *(" leading", "trailing ", "é", "e\u0301", "ﬁ", "Å", "👩‍👩‍👧", "\U0010ffff", "\ue000", "日本語", "שלום"),
]


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


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_completion_keeps_its_leading_space(trained, kind):
    tokenizer = trained[kind]
    prompt, completion = tokenizer.tokenize("the rose"), tokenizer.tokenize(" is  red")
    assert tokenizer.detokenize(completion).numpy() == b" is  red"
    assert tokenizer.detokenize(tf.concat([prompt, completion], 0)).numpy() == b"the rose is  red"

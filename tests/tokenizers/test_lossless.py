"""The law of the lossless tokenizers: detokenize(tokenize(text)) == text."""

import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textrnn.tokenizers import SentencePieceTokenizer, train_tokenizer

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


RARE = " \n\t▁\x10▅0é你"
"""Characters that a training text may lack, or have once in thousands."""


@pytest.mark.parametrize("kind", ["character", "sentencepiece"])
@settings(max_examples=25, deadline=None)
@given(
    alphabet=st.text("ab好▁ \x101\n", min_size=1, max_size=4).filter(lambda text: text.strip(" \n▁\x10")),
    rare=st.sampled_from([*RARE, ""]),
    text=st.text(f"{RARE}ab好1", max_size=12),
)
@example("abcab\n", "", "a b")
@example("你好", " ", "你 好 b")
def test_no_character_of_the_training_text_is_needed(kind, alphabet, rare, text):
    corpus = alphabet * 300 + rare + alphabet * 300
    tokenizer = train_tokenizer(kind, [corpus])
    restored = tokenizer.detokenize(tokenizer.tokenize([text, corpus])).numpy()
    assert [string.decode() for string in restored] == [text, corpus]


@pytest.mark.parametrize("kind", ["character", "sentencepiece"])
def test_a_space_is_one_token_even_if_the_training_text_has_none(kind):
    tokenizer = train_tokenizer(kind, ["abcab\n" * 50])
    assert [tokenizer.id_to_token(id) for id in tokenizer("a b").numpy()] == ["a", "▁", "b"]


def test_a_space_outside_the_vocabulary_is_kept():
    """Models trained before the space was required, or with few characters, encode it as bytes."""
    alphabet = "".join(chr(ord("a") + i) for i in range(20))
    tokenizer = train_tokenizer("character", [alphabet * 50 + " "], vocabulary_size=270)
    assert "▁" not in tokenizer.get_vocabulary()
    assert tokenizer.detokenize(tokenizer("a b ▁")).numpy().decode() == "a b ▁"
    assert isinstance(tokenizer, SentencePieceTokenizer)


@pytest.mark.parametrize("kind", LOSSLESS)
@settings(max_examples=40, deadline=None)
@given(text=st.one_of(st.text(), st.sampled_from(AWKWARD), st.text("▁\x10 01é\n\ta")))
def test_the_first_tokens_spell_the_text_up_to_the_end_of_their_spans(trained, kind, text):
    tokenizer = trained[kind]
    ids = tokenizer.tokenize(text).numpy()
    spans = tokenizer.spans(text).tolist()
    assert len(spans) == len(ids)
    starts, ends = [start for start, _ in spans] + [len(text)], [0, *(end for _, end in spans)]
    for index, (end, start) in enumerate(zip(ends, starts, strict=True)):
        if end == start:  # no character is cut in two
            assert tokenizer.detokenize(ids[:index]).numpy().decode() == text[:end]
        else:
            assert start == end - 1


@pytest.mark.parametrize("kind", LOSSLESS)
def test_the_bytes_of_a_character_have_its_span(trained, kind):
    assert trained[kind].spans("a\U0010ffffb").tolist() == [[0, 1], *[[1, 2]] * 4, [2, 3]]

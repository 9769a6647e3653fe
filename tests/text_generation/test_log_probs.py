"""Log-probabilities of texts agree with evaluation, and do not depend on how texts are read."""

import numpy as np
import pytest
from builders.language_models import make_lm

import textrnn
from textrnn.data.token_streams import token_stream
from textrnn.data.windows import evaluation_windows
from textrnn.text_generation import log_probs as module
from textrnn.text_generation.evaluation import score_language_model
from textrnn.tokenizers import TOKENIZERS, ByteTokenizer

TEXTS = ["the cat sat", "", "the naïve dog \n ate", " the hat.\n", "that"]


@pytest.fixture(params=sorted(TOKENIZERS))
def lm(request):
    return make_lm(request.param)


def test_perplexity_is_that_of_evaluation(lm):
    stream = token_stream(lm.preprocessor.tokenizer, TEXTS[2:3])
    score = score_language_model(lm, evaluation_windows(stream, 1, 4), characters=len(TEXTS[2]))
    found = lm.log_probs(TEXTS[2])
    assert len(found.log_probs) == score.tokens
    assert -found.log_probs.mean() == pytest.approx(score.loss, rel=1e-6)


def test_each_is_the_log_softmax_of_the_token_that_follows(lm):
    texts = ["the cat", "that was that"]
    x, targets, _ = lm.preprocessor(texts)
    logits = np.asarray(lm(x), "float64")
    expected = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    for row, found in enumerate(lm.log_probs(texts)):
        steps = np.arange(len(found.token_ids))
        assert found.token_ids.tolist() == np.asarray(targets)[row, : len(steps)].tolist()
        np.testing.assert_allclose(found.log_probs, expected[row, steps, found.token_ids], rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 3])
def test_texts_do_not_depend_on_each_other_nor_on_the_parts_in_which_they_are_read(lm, monkeypatch, steps):
    whole = lm.log_probs(TEXTS)
    monkeypatch.setattr(module, "STEPS", steps)
    for text, found, again in zip(TEXTS, whole, lm.log_probs(TEXTS, batch_size=2), strict=True):
        np.testing.assert_allclose(again.log_probs, found.log_probs, rtol=1e-5)
        np.testing.assert_allclose(lm.log_probs(text).log_probs, found.log_probs, rtol=1e-5)


def test_without_the_end_token_the_others_are_as_they_were(lm):
    for whole, found in zip(lm.log_probs(TEXTS), lm.log_probs(TEXTS, end=False), strict=True):
        assert found.token_ids.tolist() == whole.token_ids[:-1].tolist()
        assert len(found.spans) == len(found.log_probs) == len(found.token_ids)
        np.testing.assert_allclose(found.log_probs, whole.log_probs[:-1], rtol=1e-5)


def test_the_probability_of_a_text_is_that_of_its_beginning_times_that_of_the_rest_given_it():
    lm = make_lm("byte")
    whole = lm.log_probs("the cat sat").log_probs
    beginning = lm.log_probs("the cat", end=False).log_probs
    rest = lm.log_probs(" sat", prompts="the cat").log_probs
    np.testing.assert_allclose(np.concatenate([beginning, rest]), whole, rtol=1e-5)
    assert lm.log_probs([" sat", "the"], prompts=["the cat", ""])[0].log_probs.tolist() == pytest.approx(
        rest.tolist(), rel=1e-5
    )


def test_words_have_the_probability_of_their_tokens_and_of_the_whitespace_before_them():
    lm = make_lm("byte")
    found = lm.log_probs(" né  ab ")
    bytes_of_words = [found.log_probs[:4], found.log_probs[4:8]]
    assert found.words() == [
        ("né", pytest.approx(bytes_of_words[0].sum())),
        ("ab", pytest.approx(bytes_of_words[1].sum())),
    ]
    assert lm.log_probs(" ").words() == []


def test_words_add_up_to_the_text(lm):
    found = lm.log_probs("the naïve dog\n ate", end=False)
    words = found.words()
    assert [word for word, _ in words] == ["the", "naïve", "dog", "ate"]
    assert sum(log_prob for _, log_prob in words) == pytest.approx(found.log_probs.sum())


def test_half_surrogate_pairs_are_read_as_everywhere():
    lm = make_lm("byte")
    assert lm.log_probs("cut \ud83d").text == "cut \ufffd"


def test_no_texts_have_no_log_probs():
    assert make_lm("byte").log_probs([]) == []


def test_half_precision_runs_and_sums_in_double():
    backbone = textrnn.RecurrentBackbone(258, units=8, dtype="mixed_bfloat16")
    lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(ByteTokenizer()))
    found = lm.log_probs("ab").log_probs
    assert found.dtype == "float64"
    assert np.isfinite(found).all()


def test_invalid_arguments_are_refused():
    lm = make_lm("byte")
    with pytest.raises(textrnn.InputError, match="1 prompts for 2 texts"):
        lm.log_probs(["a", "b"], prompts=["c"])
    with pytest.raises(textrnn.InputError, match="no preprocessor"):
        textrnn.CausalLM(lm.backbone).log_probs("a")
    without = textrnn.CausalLM(
        lm.backbone, textrnn.CausalLMPreprocessor(ByteTokenizer(), add_start_token=False)
    )
    with pytest.raises(textrnn.InputError, match="give prompts"):
        without.log_probs("a")
    assert len(without.log_probs("a", prompts="b").log_probs) == 2


def test_the_graph_is_traced_once_for_texts_of_many_lengths(lm, monkeypatch):
    lm.log_probs(["a", "a b c"]), lm.log_probs("a longer text"), lm.log_probs("a text")
    monkeypatch.setattr(type(lm.backbone), "run", None)  # what a trace would call
    assert np.isfinite(lm.log_probs("another one").log_probs).all()


def test_one_prompt_may_be_that_of_all_texts(lm):
    one = [found.log_probs.tolist() for found in lm.log_probs(["the", "cat"], prompts="sat")]
    assert one == [found.log_probs.tolist() for found in lm.log_probs(["the", "cat"], prompts=["sat", "sat"])]
    with pytest.raises(textrnn.InputError, match=r"one text and prompts=\['the'\]: give one prompt, a str"):
        lm.log_probs("cat", prompts=["the"])


def test_bytes_are_one_text_and_a_batch_has_rows():
    lm = make_lm("byte")
    np.testing.assert_array_equal(lm.log_probs(b"abc").log_probs, lm.log_probs("abc").log_probs)
    with pytest.raises(textrnn.InputError, match="batch_size is 0: give a positive integer"):
        lm.log_probs(["abc"], batch_size=0)


def test_arguments_of_generate_that_are_none_or_no_number():
    lm = make_lm("byte")
    assert lm.generate("a", stop=None, max_length=5) == lm.generate("a", max_length=5)
    with pytest.raises(textrnn.InputError, match="max_length is '8': give a number of tokens"):
        lm.generate("a", max_length="8")

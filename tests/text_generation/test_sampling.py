"""Warnings of prompts that a model does not know."""

import pytest
import tensorflow as tf

from textrnn.text_generation.sampling import Settings, make_sampler

UNLIKE = "is unlike the texts that the model was trained on, so the answer may be meaningless\n"


def continuing(**more):
    """A model that knows no word "x" and adds an exclamation mark."""

    def generate(text, **settings):
        known = tf.strings.regex_replace(text, r"\bx\b", "<unk>")
        return {"text": known + "!", "completion": tf.fill(tf.shape(text), "!")} | more

    return make_sampler(generate)


@pytest.mark.parametrize("samples", [1, 2])
def test_an_unfamiliar_prompt_is_named_once(samples, capsys):
    sample = continuing(unfamiliar=tf.fill([samples], True))
    for temperature in (0.0, 1.0):
        assert sample("a b", Settings(samples, temperature=temperature)) == ["a b!"] * samples
    assert capsys.readouterr().err == f"warning: prompt 'a b' {UNLIKE}"
    sample("c" * 100, Settings(samples))
    assert capsys.readouterr().err == f"warning: prompt '{'c' * 80}...' {UNLIKE}"


def test_unknown_words_are_the_better_warning(capsys):
    assert continuing(unfamiliar=tf.constant([True]))("a x", Settings()) == ["a <unk>!"]
    assert capsys.readouterr().err == (
        "warning: prompt 'a x': the model does not know 1 of its words, read as <unk>\n"
    )


def test_a_stop_text_may_begin_with_the_space_before_the_first_word():
    def generate(text, **settings):
        return {"text": text + " c d", "completion": tf.constant(["c d"])}

    assert make_sampler(generate)("a b", Settings(stop=(" c",))) == ["a b"]
    assert make_sampler(generate)("a b", Settings(stop=(" ",))) == ["a b"]
    assert make_sampler(generate)("a b", Settings(stop=("b",))) == ["a b c d"]


@pytest.mark.parametrize("more", [{}, {"unfamiliar": tf.constant([False])}])
def test_a_familiar_prompt_and_a_model_that_cannot_tell_give_no_warning(more, capsys):
    continuing(**more)("a b", Settings())
    assert capsys.readouterr().err == ""

"""Vocabularies know which texts are unlike those that they were learned from."""

import pytest
import tensorflow as tf

from textrnn.data import sources
from textrnn.tokenizers import ByteTokenizer, CharacterTokenizer, SentencePieceTokenizer, WordTokenizer

ELSEWHERE = [
    "The dog sleeps.",
    "I would like a cup of coffee, please.",
    "Привет, мир",
    "WHERE IS THE STATION?",
]


@pytest.fixture(scope="module")
def pairs():
    return sources.load_pairs(None, None, 0.05)


def test_subwords_know_what_they_were_learned_from(pairs):
    texts = [text for pair in pairs.train[::4] for text in (pair.source, pair.target)]
    tokenizer = SentencePieceTokenizer.train(texts)
    held_out = tokenizer.is_unfamiliar([pair.source for pair in pairs.test]).numpy()
    assert held_out.mean() < 0.01
    reviews = [example.text for example in sources.load_labelled_texts(None, None, 0.1).test]
    assert tokenizer.is_unfamiliar(reviews).numpy().mean() > 0.99
    assert tokenizer.is_unfamiliar([*ELSEWHERE, "", "\n"]).numpy().tolist() == [True] * 4 + [False] * 2


def test_characters_know_their_script(pairs):
    tokenizer = CharacterTokenizer.train([pair.source for pair in pairs.train[::10]])
    assert tokenizer.is_unfamiliar(["thirteen minutes", "Привет, мир"]).numpy().tolist() == [False, True]


@pytest.mark.parametrize("kind", [SentencePieceTokenizer, CharacterTokenizer])
@pytest.mark.parametrize("text", ["a", "   ", "ab", "aaab"])
def test_the_vocabulary_of_a_toy_text_knows_that_text_alone(kind, text):
    found = kind.train([text]).is_unfamiliar([text, "", "Привет, мир"])
    assert found.numpy().tolist() == [False, False, True]


def test_words_are_known_or_unknown_and_bytes_are_known():
    tokenizer = WordTokenizer.train(["the cat sat"])
    texts = ["the cat ran", "the dog ran", "", "a"]
    assert tokenizer.is_unfamiliar(texts).numpy().tolist() == [False, True, False, True]
    assert not ByteTokenizer().is_unfamiliar(ELSEWHERE).numpy().any()


def test_it_runs_in_a_graph(pairs):
    tokenizer = SentencePieceTokenizer.train([pair.source for pair in pairs.train[::10]])
    run = tf.function(tokenizer.is_unfamiliar, [tf.TensorSpec([None], tf.string)], autograph=False)
    assert run(tf.constant(ELSEWHERE[:1])).numpy().tolist() == [True]


def test_surprisal_is_relative_to_the_training_text():
    text = "The cat sat on the mat, and the dog slept beside it all night.\n"
    tokenizer = SentencePieceTokenizer.train([text * 20])
    same, other, empty = tokenizer.relative_surprisal([text, "Привет, мир", ""]).numpy()
    assert 0.5 < same < 1.5 and other > 2.5 and empty == 0
    assert ByteTokenizer().relative_surprisal([text, ""]).numpy().tolist() == [1, 1]

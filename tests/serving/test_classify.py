"""Batch classification: order, batches, and reading ahead."""

import itertools
import threading

import pytest
import tensorflow as tf

from textrnn.serving.classify import classified


class Classifier:
    """Predicts the first letter of a text, scores its length, and records the batches."""

    def __init__(self):
        self.batches = []

    def __call__(self, text):
        self.batches.append([line.decode() for line in text.numpy()])
        length = tf.cast(tf.strings.length(text), tf.float32)
        return {"label": tf.strings.substr(text, 0, 1), "scores": tf.stack([-length, length], axis=1)}


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_answers_come_in_order(batch_size):
    texts = [f"{chr(97 + i % 26)}{'x' * (i * 7 % 11)}" for i in range(50)]
    answers = list(classified(Classifier(), texts, batch_size))
    assert answers == [(text[0], len(text), False) for text in texts]


def test_a_model_says_which_texts_are_unfamiliar():
    def with_x(text):
        return Classifier()(text) | {"unfamiliar": tf.constant([b"x" in one for one in text.numpy()])}

    assert [answer.unfamiliar for answer in classified(with_x, ["a dog", "xx", "x"])] == [False, True, True]


def test_texts_are_answered_as_they_are_and_half_surrogates_replaced():
    classifier = Classifier()
    list(classified(classifier, ["a\r", "b\udcff", "", "c"]))
    assert classifier.batches == [["a\r", "b\ufffd", "", "c"]]


def test_batches_are_limited_in_texts_and_in_characters():
    classifier = Classifier()
    list(classified(classifier, ["12345"] * 4 + ["1"] * 5, batch_size=3, batch_characters=10))
    assert sorted(map(len, classifier.batches)) == [2, 2, 2, 3]


def test_an_endless_input_is_read_a_few_batches_ahead():
    read = itertools.count()
    answers = classified(Classifier(), (str(next(read)) for _ in itertools.repeat(None)), 10)
    assert next(answers) == ("0", 1.0, False)
    assert next(read) <= 31
    answers.close()
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


def test_empty_input_and_errors_of_the_model():
    assert list(classified(Classifier(), [])) == []

    def broken(text):
        raise ValueError("broken model")

    with pytest.raises(ValueError, match="broken model"):
        list(classified(broken, ["a"] * 10, 1))

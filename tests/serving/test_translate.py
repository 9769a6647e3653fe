"""Translating many texts: their order, what is odd about them, and what a file may hold."""

import gzip
import io

import numpy as np
import pytest
import tensorflow as tf

import textrnn
from textrnn.serving.translate import lines_of, translated

KNOWN = set("abcdefghijklmnopqrstuvwxyz ")


def shouting(text, num_beams, length_penalty, max_new_tokens):
    """A signature that answers in capitals, cut where it should be, and spells what it has not learnt."""
    texts = [one.decode() for one in text.numpy()]
    spelt = [
        [c.encode() if c in KNOWN else b"<0x%02X>" % b for c in one for b in c.encode()] for one in texts
    ]
    limits = [len(one) if most < 0 else most for one, most in zip(texts, max_new_tokens.numpy(), strict=True)]
    made = [one.upper()[:most] for one, most in zip(texts, limits, strict=True)]
    width, steps = max(map(len, spelt)), max(map(len, made))
    return {
        "text": tf.constant([[one, ""] for one in made]),
        "scores": tf.constant([[-0.5, -1e9]] * len(texts)),
        "tokens": tf.constant([[[*one, *[""] * (steps - len(one))]] for one in made]),
        "attention": tf.zeros([len(texts), 2, steps, width]),
        "source_tokens": tf.constant([[*one, *[b""] * (width - len(one))] for one in spelt]),
        "truncated": tf.constant([len(one) > 20 for one in texts]),
        "unfinished": tf.constant([[len(a) < len(b), False] for a, b in zip(made, texts, strict=True)]),
    }


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_answers_come_in_the_order_of_the_texts(batch_size):
    texts = ["long and longer", "a", "four", "", "two", "b"]
    found = list(translated(shouting, texts, batch_size, batches_at_once=2))
    assert [answer.n_best for answer in found] == [[(text.upper(), -0.5)] for text in texts]
    assert [len(answer.attention) for answer in found] == list(map(len, texts))
    assert not any(answer.remarks for answer in found)


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("x" * 30, "longer than the model reads"),
        ("a dog \udcff runs", "not all UTF-8"),
        ("мы a", "characters that the model has not learnt"),
        ("a dog runs", "cut off, as it is as long as allowed"),
    ],
)
def test_what_is_odd_is_remarked_on(text, remark):
    most = 5 if remark.startswith("cut") else -1
    [answer] = translated(shouting, [text], max_new_tokens=most)
    [said] = answer.remarks
    assert remark in said


def test_a_model_of_bytes_has_learnt_all_characters():
    def of_bytes(text, **parameters):
        found = shouting(text, **parameters)
        return found | {"tokens": tf.constant([[[b"<0xD0>", b"<0xBC>"]]])}

    [answer] = translated(of_bytes, ["мы"])
    assert answer.remarks == []


def test_lines_of_a_file_are_texts():
    file = b"\xef\xbb\xbfone\r\ntwo\xff\n\n\xef\xbb\xbfthree"
    expected = ["one", "two\ufffd", "", "\ufeffthree"]  # a mark within a file is a character
    assert list(lines_of(io.BytesIO(file))) == expected
    assert list(lines_of(io.BytesIO(gzip.compress(file)), "texts.gz")) == expected


@pytest.mark.parametrize("file", [b"no archive", gzip.compress(bytes(np.arange(200, dtype="uint8")))[:-9]])
def test_a_file_that_is_not_what_its_name_says_is_refused(file):
    with pytest.raises(textrnn.InputError, match=r"texts.gz cannot be unpacked .* expected a .gz file"):
        list(lines_of(io.BytesIO(file), "texts.gz"))

"""Batch translation: order and warnings."""

import pytest
import tensorflow as tf

from textrnn.serving.translate import translated

KNOWN = set("abcdefghijklmnopqrstuvwxyz ")


def shouting(text, num_beams, length_penalty, max_new_tokens):
    """A signature that answers in capitals, up to the maximum length, and spells unknown letters in bytes."""
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
def test_answers_come_in_order(batch_size):
    texts = ["long and longer", "a", "four", "", "two", "b"]
    found = list(translated(shouting, texts, batch_size, batches_at_once=2))
    assert [answer.n_best for answer in found] == [[(text.upper(), -0.5)] for text in texts]
    assert [len(answer.attention) for answer in found] == list(map(len, texts))
    assert not any(answer.warnings for answer in found)


def test_long_texts_are_in_batches_of_their_own():
    sizes = []

    def counting(text, **parameters):
        sizes.append(len(text))
        return shouting(text, **parameters)

    found = list(translated(counting, ["a" * 9, "b", "c" * 30, "d" * 10, "e"], batch_characters=20))
    assert sizes == [2, 2, 1] and [len(answer.source_tokens) for answer in found] == [9, 1, 30, 10, 1]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("x" * 30, "longer than the model reads"),
        ("мы a", "characters that the model was not trained on"),
        ("a dog runs", "reached the maximum length"),
    ],
)
def test_warnings(text, warning):
    most = 5 if warning.startswith("reached") else -1
    [answer] = translated(shouting, [text], max_new_tokens=most)
    [found] = answer.warnings
    assert warning in found


def test_a_translation_with_fewer_sentences_than_the_text_has_a_warning():
    def first_sentence(text, **parameters):
        firsts = [[one.decode().split(". ")[0]] for one in text.numpy()]
        return shouting(text, **parameters) | {
            "text": tf.constant(firsts),
            "scores": tf.fill([len(firsts), 1], -0.5),
        }

    texts = ["it is so. no", "It is. So", "Mr. Li came", "the 3. of may", "so it is."]
    found = [answer.warnings for answer in translated(first_sentence, texts)]
    [warning] = {text for warnings in found for text in warnings}
    assert warning == "has more sentences than its translation: give one sentence per text"
    assert [len(warnings) for warnings in found] == [1, 1, 0, 0, 0]

    def joined(text, **parameters):
        return first_sentence(text, **parameters) | {"sentences": tf.constant([2] * len(text))}

    assert [answer.warnings for answer in translated(joined, texts[:2])] == [[], []]


def test_a_model_says_which_texts_are_unfamiliar():
    def unfamiliar(text, **parameters):
        return shouting(text, **parameters) | {
            "unfamiliar": tf.constant([b"x" in one for one in text.numpy()])
        }

    found = [answer.warnings for answer in translated(unfamiliar, ["a dog", "xx"])]
    assert found == [
        [],
        ["is unlike the texts that the model was trained on, so the answer may be meaningless"],
    ]


def test_byte_models_know_all_characters():
    def of_bytes(text, **parameters):
        found = shouting(text, **parameters)
        return found | {"tokens": tf.constant([[[b"<0xD0>", b"<0xBC>"]]])}

    [answer] = translated(of_bytes, ["мы"])
    assert answer.warnings == []


@pytest.mark.parametrize("text", ["a dog \udcff runs", "a dog \ud83d runs"])
def test_half_surrogate_pairs_are_replaced(text):
    [answer] = translated(shouting, [text])
    assert answer.n_best == [("A DOG \ufffd RUNS", -0.5)]

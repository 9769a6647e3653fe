"""The token n-grams of earlier models follow their formula, and ignore padding."""

import itertools
import math
from collections import Counter

import keras
import numpy as np
import pytest
from keras import ops

from textrnn.classification.ngrams import NGramLogits
from textrnn.errors import InputError

BUCKETS = 2**20  # enough for these n-grams not to collide


def padded(texts):
    width = max(map(len, texts))
    ids = np.array([[*text, *[0] * (width - len(text))] for text in texts], "int32")
    return ids, np.array([[True] * len(text) + [False] * (width - len(text)) for text in texts])


def corpus(classes=2, count=60):
    """Texts without repeated n-grams, for which scikit-learn's norm equals ours."""
    random = np.random.default_rng(0)
    texts = [random.permutation(12)[: random.integers(3, 9)] + 3 for _ in range(count)]
    return texts, np.array([text[0] % classes for text in texts], "int32")


def loaded(classes=2, length=3):
    """A layer with random weights, and texts."""
    texts, targets = corpus(classes)
    layer = NGramLogits(classes, length, BUCKETS)
    layer.build()
    random = np.random.default_rng(1)
    shapes = [weight.shape for weight in layer.weights]
    layer.set_weights([random.uniform(1, 3, shape).astype("float32") for shape in shapes])
    return layer, texts, targets, *padded(texts)


def test_repeated_ngrams_follow_the_formula():
    layer, *_ = loaded()
    text = [3, 4, 3, 4, 3, 99]  # 99 occurs in no training text
    kernel, frequency, bias = layer.get_weights()
    ids, mask = padded([text])
    buckets = {
        tuple(text[start : start + n]): int(ops.convert_to_numpy(rows)[0, start])
        for n, (rows, _) in enumerate(layer.ngrams(ids, mask), start=1)
        for start in range(len(text) - n + 1)
    }
    counts = Counter(tuple(text[start : start + n]) for n in (1, 2, 3) for start in range(len(text) - n + 1))
    total = sum(count * frequency[buckets[g]] * kernel[buckets[g]] for g, count in counts.items())
    squares = sum(count * frequency[buckets[g]] ** 2 for g, count in counts.items())
    np.testing.assert_allclose(layer(ids, mask)[0], total / math.sqrt(squares) + bias, rtol=1e-4)


def test_the_terms_of_tokens_sum_to_the_logits():
    layer, _, _, ids, mask = loaded()
    of_tokens = ops.convert_to_numpy(layer.of_tokens(ids, mask))
    np.testing.assert_allclose(of_tokens.sum(axis=1) + layer.get_weights()[2], layer(ids, mask), atol=1e-5)
    assert (of_tokens[~mask] == 0).all()


def test_logits_do_not_depend_on_padding_or_other_rows():
    layer, texts, _, ids, mask = loaded()
    for row in range(5):
        alone = layer(*padded([texts[row]]))
        np.testing.assert_allclose(alone[0], layer(ids, mask)[row], atol=1e-6)
    nothing = layer(np.zeros((1, 4), "int32"), np.zeros((1, 4), "bool"))
    np.testing.assert_allclose(nothing[0], layer.get_weights()[2])  # an empty text has only the bias


def test_different_ngrams_have_different_buckets():
    layer = NGramLogits(2, 3, 2**30)  # not built, since the weights would take 12 GB
    texts = list(itertools.product(range(12), repeat=3))
    ids, mask = padded(texts)
    found = [ops.convert_to_numpy(rows)[:, 0].tolist() for rows, _ in layer.ngrams(ids, mask)]
    assert [len(set(of_length)) for of_length in found] == [12, 12**2, 12**3]
    assert min(map(min, found)) >= 0


def test_buckets_are_filled_evenly():
    layer = NGramLogits(2, 2, 64)
    ids, mask = padded(list(itertools.product(range(100), repeat=2)))
    counts = np.bincount(ops.convert_to_numpy(layer.ngrams(ids, mask)[1][0])[:, 0], minlength=64)
    expected = 10_000 / 64
    assert ((counts - expected) ** 2 / expected).sum() < 120  # χ² with 63 degrees of freedom, p = 1e-5


def test_saving_keeps_the_weights(tmp_path):
    layer, _, _, ids, mask = loaded()
    inputs = [keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="bool")]
    keras.Model(inputs, layer(*inputs)).save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again([ids, mask]), layer(ids, mask), atol=1e-6)


@pytest.mark.parametrize("options", [{"classes": 1}, {"length": 0}, {"buckets": 0}])
def test_invalid_arguments_are_refused(options):
    with pytest.raises(InputError, match="expected 2 classes or more"):
        NGramLogits(**{"classes": 2, **options})

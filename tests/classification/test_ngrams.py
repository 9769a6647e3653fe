"""The n-gram classifier equals scikit-learn's TF-IDF pipeline, and ignores padding."""

import itertools
import math
from collections import Counter

import keras
import numpy as np
import pytest
from keras import ops
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

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


def adapted(classes=2, length=3, **options):
    texts, targets = corpus(classes)
    layer = NGramLogits(classes, length, BUCKETS)
    ids, mask = padded(texts)
    layer.adapt([({"token_ids": ids, "padding_mask": mask}, targets, *options.pop("weights", ()))], **options)
    return layer, texts, targets, ids, mask


@pytest.mark.parametrize("classes", [2, 3])
def test_it_equals_logistic_regression_on_tf_idf_features(classes):
    layer, texts, targets, ids, mask = adapted(classes)
    words = [" ".join(f"w{token}" for token in text) for text in texts]
    features = TfidfVectorizer(ngram_range=(1, 3)).fit_transform(words)
    expected = LogisticRegression(C=4, max_iter=300).fit(features, targets).predict_log_proba(features)
    found = ops.convert_to_numpy(ops.log_softmax(layer(ids, mask)))
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_repeated_ngrams_follow_the_formula():
    layer, *_ = adapted()
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
    layer, _, _, ids, mask = adapted()
    of_tokens = ops.convert_to_numpy(layer.of_tokens(ids, mask))
    np.testing.assert_allclose(of_tokens.sum(axis=1) + layer.get_weights()[2], layer(ids, mask), atol=1e-5)
    assert (of_tokens[~mask] == 0).all()


def test_logits_do_not_depend_on_padding_or_other_rows():
    layer, texts, _, ids, mask = adapted()
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


def test_sample_weights_equal_repetitions():
    texts, targets = corpus()
    ids, mask = padded(texts)
    twice = np.where(targets == 1, 2.0, 1.0).astype("float32")
    weighed = adapted(weights=[twice])[0]
    layer = NGramLogits(2, 3, BUCKETS)
    layer.build()
    rows = np.repeat(np.arange(len(texts)), twice.astype(int))
    layer.adapt([({"token_ids": ids[rows], "padding_mask": mask[rows]}, targets[rows])])
    # Document frequencies differ, so only nearly: both favour the class with weight 2.
    both = [ops.convert_to_numpy(ops.softmax(each(ids, mask)))[:, 1] for each in (weighed, layer)]
    assert np.abs(both[0] - both[1]).max() < 0.05
    assert both[0].mean() > ops.convert_to_numpy(ops.softmax(adapted()[0](ids, mask)))[:, 1].mean() + 0.05


def test_a_class_without_texts_gets_no_weights():
    texts, targets = corpus(2)
    ids, mask = padded(texts)
    layer = NGramLogits(3, 2, BUCKETS)
    layer.adapt([({"token_ids": ids, "padding_mask": mask}, 2 * targets)])
    assert (ops.convert_to_numpy(layer(ids, mask))[:, 1] == 0).all()
    assert (ops.convert_to_numpy(layer(ids, mask)).argmax(axis=1) == 2 * targets).mean() > 0.9


def test_logits_are_zero_before_adapt_and_can_be_rescaled():
    ids, mask = padded(corpus()[0])
    assert (ops.convert_to_numpy(NGramLogits(2)(ids, mask)) == 0).all()
    layer, _, _, ids, mask = adapted()
    before = ops.convert_to_numpy(layer(ids, mask))
    layer.rescale(0.5)
    np.testing.assert_allclose(layer(ids, mask), before / 2, rtol=1e-5)
    assert layer.adapted
    assert not layer.trainable_weights


def test_saving_keeps_the_weights(tmp_path):
    layer, _, _, ids, mask = adapted()
    inputs = [keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="bool")]
    keras.Model(inputs, layer(*inputs)).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded([ids, mask]), layer(ids, mask), atol=1e-6)


@pytest.mark.parametrize("targets", [[], [1, 1]])
def test_one_class_is_refused(targets):
    batches = [({"token_ids": np.ones((1, 3), "int32"), "padding_mask": np.ones((1, 3), "bool")}, [target])
               for target in targets]  # fmt: skip
    with pytest.raises(InputError, match="fewer than two classes"):
        NGramLogits(2).adapt(batches)


@pytest.mark.parametrize("options", [{"classes": 1}, {"length": 0}, {"buckets": 0}])
def test_invalid_arguments_are_refused(options):
    with pytest.raises(InputError, match="expected 2 classes or more"):
        NGramLogits(**{"classes": 2, **options})

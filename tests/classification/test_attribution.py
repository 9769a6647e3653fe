"""Attributions sum to the change of the log-odds, and words are those of the text."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from textrnn.classification.attribution import as_written, attributions_of, log_odds, words_of
from textrnn.classification.backbone import RecurrentEncoder
from textrnn.classification.fitting import fit_linear
from textrnn.classification.ngrams import NGramLogits
from textrnn.classification.text_classifier import TextClassifier
from textrnn.layers.pooling import POOLINGS
from textrnn.tokenizers import ByteTokenizer, train_tokenizer


def random_ngrams(classifier):
    """Give the token n-grams of an earlier model small random weights."""
    random = np.random.default_rng(2)
    shapes = [weight.shape for weight in classifier.ngram_logits.weights]
    classifier.ngram_logits.set_weights([random.uniform(0, 0.5, shape) for shape in shapes])


def decisive(pooling="mean", cell="lstm", classes=2, ngrams=0, num_layers=1):
    """Returns a classifier for which token 3 means class 1, token 4 class 0, and other tokens nothing."""
    labels = [f"class {i}" for i in range(classes)]
    encoder = RecurrentEncoder(9, cell, units=8, num_layers=num_layers)
    classifier = TextClassifier(encoder, labels, pooling=pooling, ngrams=ngrams)
    vectors = np.zeros((9, 8), "float32")
    vectors[3] = np.random.default_rng(0).normal(size=8)
    vectors[4] = -vectors[3]
    encoder.token_embedding.set_weights([vectors])
    token_ids, mask = tf.constant([[3, 5], [4, 5]]), tf.ones([2, 2], tf.bool)
    pooled = classifier.pooling(encoder({"token_ids": token_ids, "padding_mask": mask}), mask=mask)
    kernel, bias = classifier.output_dense.get_weights()
    kernel[:, 1] = 20 * (pooled[0] - pooled[1])
    kernel[:, 0] = -kernel[:, 1]
    classifier.output_dense.set_weights([kernel, bias])
    if ngrams:
        random_ngrams(classifier)
    return classifier


@pytest.mark.parametrize(
    ("pooling", "cell", "ngrams", "num_layers"),
    [
        *((pooling, "gru", 0, 1) for pooling in POOLINGS),
        ("mean", "min_gru", 0, 1),
        pytest.param("max", "lstm", 2, 2, marks=pytest.mark.slow),
    ],
)
def test_attributions_sum_to_the_difference_of_the_log_odds(pooling, cell, ngrams, num_layers):
    classifier = decisive(pooling, cell, ngrams=ngrams, num_layers=num_layers)
    token_ids = tf.constant([[5, 3, 6, 7], [4, 8, 0, 0]])
    mask, target = tf.constant([[True] * 4, [True, True, False, False]]), tf.constant([1, 0])
    run = tf.function(lambda *args: attributions_of(classifier, *args), autograph=False)
    attributions, _, difference = run(token_ids, mask, target)
    np.testing.assert_allclose(tf.reduce_sum(attributions, 1), difference, rtol=0.05)
    assert (attributions.numpy()[~mask.numpy()] == 0).all()
    assert attributions.numpy().argmax(axis=1).tolist() == [1, 0]  # tokens 3 and 4


def test_few_tokens_are_computed_at_a_time(monkeypatch):
    classifier = decisive()
    token_ids = tf.constant([[5, 3, 6, 7], [4, 8, 0, 0], [3, 3, 0, 0], [7, 6, 5, 4], [8, 0, 0, 0]])
    given = token_ids, token_ids > 0, tf.constant([1, 0, 0, 1, 0])
    expected, read, sizes = attributions_of(classifier, *given), classifier.backbone.read, []
    monkeypatch.setattr("textrnn.classification.attribution.TOKENS", 8)
    monkeypatch.setattr(
        classifier.backbone,
        "read",
        lambda x, *a, **k: sizes.append(x.shape[0] * x.shape[1]) or read(x, *a, **k),
    )
    found = attributions_of(classifier, *given)
    assert max(sizes) <= 2 * 8  # at the end, each text and zeros in its place
    for part, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, other, atol=1e-5)


def test_the_difference_is_between_the_text_and_zero_vectors():
    classifier = decisive(classes=3)
    token_ids, mask = tf.constant([[5, 3, 6]]), tf.ones([1, 3], tf.bool)
    _, _, difference = attributions_of(classifier, token_ids, mask, tf.constant([1]), steps=1)
    probabilities = np.asarray(keras.ops.softmax(classifier({"token_ids": token_ids, "padding_mask": mask})))[
        0
    ]
    nothing = classifier.backbone.read(tf.zeros([1, 3, 8]), mask)
    empty = np.asarray(keras.ops.softmax(classifier.score(nothing, mask)))[0]
    odds = [np.log(p[1] / (1 - p[1])) for p in (probabilities, empty)]
    np.testing.assert_allclose(difference, [odds[0] - odds[1]], rtol=1e-4)


def test_the_logits_of_ngrams_are_attributed_to_their_tokens():
    classifier = decisive(ngrams=2)
    classifier.output_dense.set_weights([0 * weight for weight in classifier.output_dense.get_weights()])
    token_ids, mask = tf.constant([[5, 3, 6, 7]]), tf.ones([1, 4], tf.bool)
    run = tf.function(lambda *args: attributions_of(classifier, *args), autograph=False)
    attributions, _, difference = run(token_ids, mask, tf.constant([1]))
    of_tokens = classifier.ngram_logits.of_tokens(token_ids, mask)
    np.testing.assert_allclose(attributions, of_tokens[..., 1] - of_tokens[..., 0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(difference, tf.reduce_sum(attributions, axis=1), rtol=1e-3)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)])
def test_attributions_sum_to_the_difference_in_half_precision(dtype):
    encoder = RecurrentEncoder(9, "gru", units=8, dtype=dtype)
    classifier = TextClassifier(encoder, ["a", "b", "c"], pooling="mean", ngrams=2)
    token_ids, mask = (
        tf.constant([[5, 3, 6, 7], [4, 3, 0, 0]]),
        tf.constant([[True] * 4, [True] * 2 + [False] * 2]),
    )
    random_ngrams(classifier)
    run = tf.function(lambda *args: attributions_of(classifier, *args), autograph=False)
    attributions, _, difference = run(token_ids, mask, tf.constant([0, 1]))
    np.testing.assert_allclose(tf.reduce_sum(attributions, axis=1), difference, rtol=0.1, atol=0.01)


def test_the_logits_of_the_linear_part_have_a_direction_of_their_own():
    classifier = decisive()
    classifier.linear = fit_linear(["good", "bad"] * 3, np.array([1, 0] * 3), 2).linear
    classifier.network_weight = 0.0
    logits = classifier.linear(tf.constant(["good day", "bad"]))
    token_ids, mask, target = tf.constant([[5, 3], [4, 4]]), tf.ones([2, 2], tf.bool), tf.constant([1, 1])
    found = attributions_of(classifier, token_ids, mask, target, logits, steps=32)
    # With two classes, the log-odds are the difference of the logits.
    np.testing.assert_allclose(found.directions, [[-1, 1], [-1, 1]], rtol=1e-3)
    np.testing.assert_allclose(found.of_tokens, 0, atol=1e-6)
    without_bias = (logits - classifier.linear.bias).numpy()
    np.testing.assert_allclose(found.difference, without_bias[:, 1] - without_bias[:, 0], rtol=1e-4)


def test_a_network_of_weight_0_does_not_run(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("the network runs")

    classifier = decisive(ngrams=2)
    classifier.linear = fit_linear(["good", "bad"] * 3, np.array([1, 0] * 3), 2).linear
    classifier.network_weight = 0.0
    logits = classifier.linear(tf.constant(["good day", "bad"]))
    token_ids, mask, target = tf.constant([[5, 3], [4, 0]]), tf.constant([[True] * 2, [True, False]]), [1, 0]
    for layer in (RecurrentEncoder, NGramLogits, keras.layers.Embedding):
        monkeypatch.setattr(layer, "read" if layer is RecurrentEncoder else "call", fail)
    found = attributions_of(classifier, token_ids, mask, tf.constant(target), logits)
    assert found.of_tokens.shape == (2, 2) and not found.of_tokens.numpy().any()
    without_bias = (logits - classifier.linear.bias).numpy()
    attributed = (found.directions.numpy() * without_bias).sum(axis=1)
    np.testing.assert_allclose(found.difference, attributed, rtol=1e-4)
    assert np.abs(attributed).min() > 0.1


def test_log_odds_of_three_classes():
    logits = tf.constant([[1.0, 2.0, 3.0]])
    p = np.exp([1.0, 2, 3]) / np.exp([1.0, 2, 3]).sum()
    np.testing.assert_allclose(log_odds(logits, tf.constant([1])), [np.log(p[1] / (1 - p[1]))], rtol=1e-5)


TEXTS = ["so  dull,\nreally", "", " a", "good "]
TOKENIZERS = {
    "byte": ByteTokenizer(),
    "sentencepiece": train_tokenizer("sentencepiece", ["so dull, really so dull", "a good dull text"] * 5),
    "character": train_tokenizer("character", ["so dull, really so dull"]),
    "word": train_tokenizer("word", ["so dull,\nreally so dull", "a good text"]),
}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_words_are_those_of_the_text(kind):
    tokenizer = TOKENIZERS[kind]
    words, positions = words_of(tokenizer, tokenizer(TEXTS))
    found = [[word.decode() for word in row] for row in words.to_list()]
    if kind == "word":
        assert [[word for word in row if word] for row in found] == [
            ["so", "dull,", "really"],
            [],
            ["a"],
            ["good"],
        ]
    else:
        assert found == [["so", "dull,", "really"], [], ["a"], ["good"]]
    for row, of_tokens in zip(found, positions.to_list(), strict=True):
        assert sorted(set(of_tokens)) == list(range(len(row)))
        assert of_tokens == sorted(of_tokens)


@given(st.lists(st.text(alphabet="ab é\n", max_size=12), min_size=1, max_size=4))
def test_words_equal_those_of_split(texts):
    tokenizer = TOKENIZERS["byte"]
    words, _ = words_of(tokenizer, tokenizer(texts))
    assert [[w.decode() for w in row if w] for row in words.to_list()] == [text.split() for text in texts]


CHINESE = "我用Netflix看 Movies，Very好！"


@pytest.mark.parametrize("kind", ["byte", "character"])
def test_scripts_without_spaces_have_a_word_for_each_character(kind):
    tokenizer = train_tokenizer(kind, [CHINESE, "とても美味しい", "ฉันที่นี่ so"])
    expected = {
        CHINESE: ["我", "用", "Netflix", "看", "Movies", "，", "Very", "好", "！"],
        "とても美味しい": list("とても美味しい"),
        "ฉันที่นี่ so": ["ฉั", "น", "ที่", "นี่", "so"],  # marks stay with their consonant
        "서울에 가요": ["서울에", "가요"],  # Korean has spaces
    }
    words, positions = words_of(tokenizer, tokenizer(list(expected)))
    assert [[word.decode() for word in row] for row in words.to_list()[:3]] == list(expected.values())[:3]
    assert len(words.to_list()[3]) == 2
    for row, of_tokens in zip(words.to_list(), positions.to_list(), strict=True):
        assert sorted(set(of_tokens)) == list(range(len(row)))


def test_the_pieces_of_a_script_without_spaces_are_words():
    words = ["很好", "喜欢", "难吃", "餐厅", "服务", "我们"]
    order = np.random.default_rng(0).integers(0, len(words), (200, 6))
    tokenizer = train_tokenizer("sentencepiece", ["".join(words[i] for i in row) for row in order])
    text = "我们喜欢餐厅服务难吃"
    [tokens] = tokenizer([text]).to_list()
    pieces = [
        piece.decode() for piece in tokenizer.detokenize(tf.ragged.constant([[i] for i in tokens])).numpy()
    ]
    assert max(map(len, pieces)) > 1
    words, _ = words_of(tokenizer, tokenizer([text]))
    assert [word.decode() for word in words.to_list()[0]] == pieces


def test_the_case_of_words_beside_a_script_without_spaces_is_restored():
    tokenizer = TOKENIZERS["byte"]
    words, _ = words_of(tokenizer, tokenizer([CHINESE.lower()]))
    restored = as_written([CHINESE], words, tokenizer, lowercase=True).to_list()[0]
    assert [word.decode() for word in restored] == [
        "我",
        "用",
        "Netflix",
        "看",
        "Movies",
        "，",
        "Very",
        "好",
        "！",
    ]


def test_characters_split_into_bytes_are_whole_in_words():
    tokenizer = TOKENIZERS["sentencepiece"]
    words, _ = words_of(tokenizer, tokenizer(["ein Überlanger naïver 🙂 Text"]))
    assert [word.decode() for word in words.to_list()[0]] == ["ein", "Überlanger", "naïver", "🙂", "Text"]


@functools.cache
def restore(kind, tokens, lowercase):
    """Compiles what `written` runs."""
    tokenizer = TOKENIZERS[kind]

    def words(texts):
        read = tokenizer(tf.strings.lower(texts, "utf-8") if lowercase else texts)[:, :tokens]
        return as_written(texts, words_of(tokenizer, read)[0], tokenizer, lowercase)

    return tf.function(words, [tf.TensorSpec([None], tf.string)], autograph=False)


def written(kind, texts, tokens=None, lowercase=True):
    """The restored words of texts, lowercased and truncated to `tokens`."""
    rows = restore(kind, tokens, lowercase)(tf.constant(texts, tf.string))
    return [[word.decode("utf-8", "replace") for word in row if word] for row in rows.to_list()]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_words_are_spelled_as_in_the_text(kind):
    texts = ["So  DULL,\nReally unHeard of\n", "", " A", "  ", "ÜBER İstanbul ΟΔΟΣ so"]
    assert written(kind, texts) == [
        ["So", "DULL,", "Really", "unHeard", "of"],
        [],
        ["A"],
        [],
        ["ÜBER", "İstanbul", "ΟΔΟΣ", "so"],
    ]
    assert written(kind, []) == []


@pytest.mark.parametrize(
    ("kind", "tokens", "expected"),
    [
        ("byte", 5, ["So", "DU"]),
        ("byte", 1, ["S"]),
        ("character", 7, ["So", "DULL"]),
        ("word", 2, ["So", "DULL"]),
    ],
)
def test_words_of_truncated_texts_are_spelled_as_in_the_text(kind, tokens, expected):
    assert written(kind, ["So DULL really"], tokens) == [expected]


def test_cut_characters_and_invalid_bytes_stay_as_they_are():
    assert written("byte", ["Da é"], 4) == [["Da", "\ufffd"]]
    assert written("byte", [b"Bad \xff X\xc3 Y"])[0][::3] == ["Bad", "Y"]
    assert written("byte", [b"Bad \xff"], lowercase=False) == [["Bad", "\ufffd"]]


@given(st.lists(st.text(alphabet="aB É\n\x0b\u00a0İ", max_size=12), min_size=1, max_size=4))
def test_only_the_case_of_words_changes(texts):
    low = [text.lower() for text in texts]
    for kind in ("byte", "sentencepiece"):
        tokenizer = TOKENIZERS[kind]
        read, _ = words_of(tokenizer, tokenizer(tf.strings.lower(texts, "utf-8")))
        found = written(kind, texts)
        assert [[w.lower() for w in row] for row in found] == [
            [w.decode() for w in row if w] for row in read.to_list()
        ]
        plain = [text for text in low if not set(text) & set("\x0b\u00a0\u0307")]
        for row, text, lowered in zip(found, texts, low, strict=True):
            if lowered in plain:
                assert row == text.split()

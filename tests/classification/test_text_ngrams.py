"""N-grams from strings are those of scikit-learn, and know the characters that they cover."""

from collections import Counter

import numpy as np
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from textrnn.classification.text_ngrams import HASHES, characters_of, text_ngrams

RUN = tf.function(text_ngrams, [tf.TensorSpec([None], tf.string)], autograph=False)
WORDS = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]").build_analyzer()
CHARACTERS = CountVectorizer(analyzer="char_wb", ngram_range=(2, 5)).build_analyzer()


def hashed(strings, kind):
    return tf.strings.to_hash_bucket_fast(strings, HASHES).numpy() + kind * HASHES if strings else []


def covered(text, row, found):
    """The characters of a text that each of its n-grams covers, by hash."""
    text = "".join(text.lower().split())
    rows = found.rows.numpy() == row
    assert found.lengths.numpy()[row] == len(text)
    places = zip(
        *(each.numpy()[rows].tolist() for each in (found.hashes, found.starts, found.ends)), strict=True
    )
    return Counter((number, text[start:end]) for number, start, end in places)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="ab Éß.,!_\n\t\u00a0\x1c٣Ж😀", max_size=20), max_size=4))
@example(["So  dull, not good!", "", "x", "I'd go; e.g. to 3.5 cafés — \u2028 ÜBER_alles"])
def test_they_are_those_of_scikit_learn(texts):
    found = RUN(tf.constant(texts, tf.string))
    for row, text in enumerate(texts):
        expected = Counter()
        for kind, analyzer in enumerate((WORDS, CHARACTERS)):
            ngrams = analyzer(text)
            expected.update(
                zip(map(int, hashed(ngrams, kind)), ("".join(g.split()) for g in ngrams), strict=True)
            )
        assert covered(text, row, found) == expected
    assert characters_of(tf.constant(texts, tf.string)).numpy().tolist() == found.lengths.numpy().tolist()


def test_words_of_scripts_without_spaces_are_characters_and_marks_belong_to_words():
    def words(text):
        found = text_ngrams(tf.constant([text]), words=(1, 1), characters=(1, 0))
        return [text[start:end] for start, end in zip(found.starts.numpy(), found.ends.numpy(), strict=True)]

    assert words("太难吃了ok！") == ["太", "难", "吃", "了", "ok", "！"]
    assert words("नमस्ते") == ["नमस्ते"]


def test_sizes_are_arguments():
    texts = tf.constant(["one two three"])
    found = text_ngrams(texts, words=(1, 3), characters=(1, 0))
    assert len(found.rows) == 6
    assert len(text_ngrams(texts, words=(1, 0), characters=(3, 3)).rows) == 3 + 3 + 5


def test_invalid_bytes_are_read_as_the_replacement_character():
    bad, good = (text_ngrams(tf.constant([text])) for text in (b"caf\xe9 \xff", "caf\ufffd \ufffd".encode()))
    np.testing.assert_array_equal(bad.hashes, good.hashes)

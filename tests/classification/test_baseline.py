"""The baseline is scikit-learn's TF-IDF with logistic regression."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from textrnn.classification.baseline import CharacterTfidf, score_tfidf_baseline, tfidf_features

TEXT = st.text(alphabet="ab é,\n\u00a0İ2", max_size=15)


@settings(max_examples=30, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=5), st.lists(TEXT, min_size=1, max_size=3))
def test_characters_within_words_are_those_of_scikit_learn(texts, others):
    texts = [*texts, "a word"]
    expected = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True).fit(texts)
    found = CharacterTfidf((2, 5)).fit(texts)
    for given_texts in (texts, others):
        np.testing.assert_allclose(
            found.transform(given_texts).toarray(), expected.transform(given_texts).toarray(), atol=1e-6
        )
    np.testing.assert_allclose(
        CharacterTfidf((2, 5)).fit_transform(texts).toarray(), expected.transform(texts).toarray(), atol=1e-6
    )


def test_the_baseline_gives_classes_without_training_texts_no_probability():
    score = score_tfidf_baseline(["dull", "a joy"] * 3, [0, 2] * 3, ["so dull", "joy"], [0, 2], classes=3)
    assert (score.accuracy, score.texts) == (1, 2)
    assert np.isfinite(score.log_loss)


def test_the_baseline_reads_characters_where_texts_have_no_spaces():
    good, bad = ("很好吃", "好喝", "菜好吃极了"), ("太难吃了", "难喝", "真的难吃")
    texts, targets = [*good, *bad] * 3, ([1] * 3 + [0] * 3) * 3
    assert tfidf_features(texts) == "characters"
    score = score_tfidf_baseline(texts, targets, ["这里好吃", "汤很难喝"], [1, 0], classes=2)
    assert score.accuracy == 1  # words would be unknown
    assert tfidf_features(["I like 北京 a lot", "서울에 가요"]) == "words and characters"

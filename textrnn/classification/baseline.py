"""The baseline of a classifier: logistic regression on TF-IDF features, by scikit-learn."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from textrnn.classification.evaluation import score_predictions
from textrnn.classification.logistic import fit_logistic, folds_of
from textrnn.unspaced import mostly_unspaced


class CharacterTfidf(TransformerMixin, BaseEstimator):
    """TF-IDF of characters within words, faster than `TfidfVectorizer` where words repeat.

    It equals `TfidfVectorizer(analyzer="char_wb", sublinear_tf=True, ngram_range=ngram_range)`. The n-grams
    of a text are those of its words, so they are found once for each different word.

    Args:
        ngram_range: The least and the greatest number of characters.

    Example:

    >>> from textrnn.classification.baseline import CharacterTfidf
    >>> CharacterTfidf((2, 3)).fit_transform(["so", "so so dull"]).shape
    (2, 14)
    """

    def __init__(self, ngram_range=(2, 5)):
        self.ngram_range = ngram_range

    def fit(self, texts, y=None):
        """Learn the n-grams and their document frequencies; returns the vectorizer."""
        self.fit_transform(texts)
        return self

    def fit_transform(self, texts, y=None):
        """Learn the n-grams, and return the features of the same texts, `(texts, n-grams)`."""
        from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

        self.within_ = CountVectorizer(analyzer="char_wb", ngram_range=self.ngram_range, dtype=np.float32)
        words, counts = _words(texts)
        counts = counts @ self.within_.fit_transform(words)
        self.tfidf_ = TfidfTransformer(sublinear_tf=True)
        return self.tfidf_.fit_transform(counts)

    def transform(self, texts):
        """Return the features of texts, `(texts, n-grams)`."""
        words, counts = _words(texts)
        return self.tfidf_.transform(counts @ self.within_.transform(words))


def _words(texts):
    """Return the different words of texts, and their counts `(texts, words)`."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(analyzer=lambda text: text.lower().split() or [""], dtype=np.float32)
    counts = vectorizer.fit_transform(texts)
    return vectorizer.get_feature_names_out(), counts


def tfidf_features(texts):
    """Choose TF-IDF features: `"words and characters"`, or `"characters"` for scripts without spaces.

    Args:
        texts: Training texts, a list of str.

    Example:

    >>> from textrnn.classification.baseline import tfidf_features
    >>> tfidf_features(["dull", "a joy"]), tfidf_features(["太难吃了", "我喜欢"])
    ('words and characters', 'characters')
    """
    return "characters" if mostly_unspaced(texts) else "words and characters"


def tfidf_vectorizer(features):
    """Return the scikit-learn vectorizer of features that `tfidf_features` names.

    They are words and pairs of words with 2 to 5 characters within words, or 1 to 4 characters.

    Example:

    >>> from textrnn.classification.baseline import tfidf_vectorizer
    >>> tfidf_vectorizer("characters").fit_transform(["ab"]).shape
    (1, 3)
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    if features == "characters":
        return TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True)
    # Unlike scikit-learn's default, keep one-letter words and punctuation: "!" and "?" carry sentiment.
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", sublinear_tf=True)
    return make_union(words, CharacterTfidf((2, 5)))


def score_tfidf_baseline(train_texts, train_targets, texts, targets, classes, sample_weight=None):
    """Fit logistic regression on TF-IDF features, and score it on other texts.

    Its penalty is chosen by cross-validation, and its probabilities are calibrated; see `fit_logistic`.

    Args:
        train_texts, train_targets: Training texts and their classes.
        texts, targets: Test texts and their classes.
        classes: Number of classes.
        sample_weight: Weights of the training texts, or None.

    Returns:
        A `ClassificationScore`.

    Example:

    >>> from textrnn.classification.baseline import score_tfidf_baseline
    >>> texts, targets = ["dull", "a joy", "so dull", "joy"], [0, 1, 0, 1]
    >>> score_tfidf_baseline(texts, targets, ["what a joy"], [1], classes=2).accuracy
    1.0
    """
    from scipy.special import softmax

    vectorizer = tfidf_vectorizer(tfidf_features(train_texts))
    features, folds = vectorizer.fit_transform(train_texts), folds_of(train_targets, texts=train_texts)
    model = fit_logistic(features, train_targets, classes, sample_weight, folds)
    return score_predictions(targets, softmax(model.logits(vectorizer.transform(texts)), axis=1))

"""The classifier as a scikit-learn estimator."""

import random
from contextlib import contextmanager

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from textrnn import training
from textrnn.classification import evaluation
from textrnn.classification.backbone import RecurrentEncoder
from textrnn.classification.calibration import calibrate
from textrnn.classification.preprocessor import TextClassifierPreprocessor
from textrnn.classification.text_classifier import TextClassifier
from textrnn.data.batching import text_batches
from textrnn.errors import InputError
from textrnn.tokenizers import train_tokenizer


class RecurrentTextClassifier(ClassifierMixin, BaseEstimator):
    """A recurrent text classifier for scikit-learn's pipelines, cross-validation and searches.

    The estimator trains the same model as the sentiment recipe: a bidirectional recurrent network, ensembled
    with a linear n-gram classifier and calibrated on a validation set. Its tokenizer is trained in `fit`, on
    the training texts alone, so that no information leaks between the folds of a cross-validation.

    Args:
        cell, units, num_layers, embedding_dim: As for `textrnn.RecurrentEncoder`.
        dropout: float. Dropout rate of the inputs of each layer and of the pooled features.
        pooling: As for `textrnn.TextClassifier`.
        tokenizer, vocabulary_size: As for `textrnn.tokenizers.train_tokenizer`.
        lowercase: bool. Whether to lowercase the texts.
        max_tokens: int. Texts are truncated to this many tokens.
        epochs: int. Maximum number of epochs; the weights of the epoch with the lowest validation loss are
            kept.
        batch_size: int. Number of texts per batch.
        learning_rate: float. Peak learning rate of Adam, after a warm-up and before a cosine decay.
        seed: int, `numpy.random.RandomState` or None. Seeds the split, the initial weights and dropout.
        ngrams: int. Length of the longest n-grams; 0 for the network alone.
        ngram_buckets: int. Number of hash buckets of the n-grams.
        validation_fraction: float. Fraction of each class set aside to choose the epoch and to calibrate;
            at least one text of each class that has two or more.

    Attributes:
        classes_: The labels, sorted, `(classes,)`.
        model_: The fitted `textrnn.TextClassifier`.

    Example:

    >>> from sklearn.model_selection import cross_val_score
    >>> from textrnn import RecurrentTextClassifier
    >>> texts, labels = ["dull", "a joy", "so dull", "joy"] * 6, ["bad", "good"] * 12
    >>> estimator = RecurrentTextClassifier("gru", units=8, tokenizer="word", epochs=3, learning_rate=0.05)
    >>> [float(score) for score in cross_val_score(estimator, texts, labels, cv=2)]
    [1.0, 1.0]
    """

    def __init__(
        self,
        cell="lstm",
        units=64,
        num_layers=1,
        embedding_dim=None,
        dropout=0.2,
        pooling="max",
        tokenizer="sentencepiece",
        vocabulary_size=None,
        lowercase=True,
        max_tokens=512,
        epochs=5,
        batch_size=32,
        learning_rate=2e-3,
        seed=0,
        ngrams=3,
        ngram_buckets=2**18,
        validation_fraction=0.1,
    ):
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.embedding_dim = embedding_dim
        self.dropout = dropout
        self.pooling = pooling
        self.tokenizer = tokenizer
        self.vocabulary_size = vocabulary_size
        self.lowercase = lowercase
        self.max_tokens = max_tokens
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self.ngrams = ngrams
        self.ngram_buckets = ngram_buckets
        self.validation_fraction = validation_fraction

    def fit(self, X, y, sample_weight=None):
        """Fit the classifier.

        Args:
            X: Texts, a sequence of str.
            y: Labels `(texts,)`.
            sample_weight: Weights `(texts,)`, or None.

        Returns:
            The estimator.

        Raises:
            InputError: If `X` holds anything but str, if there are fewer than two classes, or if
                `validation_fraction` is not between 0 and 1.
            ValueError: If lengths differ or `y` holds no class labels.
        """
        texts = _check_texts(X)
        check_classification_targets(y)
        check_consistent_length(texts, y, sample_weight)
        self.classes_, targets = np.unique(column_or_1d(y), return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(f"all {len(texts)} texts have the same label: expected two classes or more")
        if not 0 < self.validation_fraction < 1:
            raise InputError(
                f"validation_fraction is {self.validation_fraction}: expected more than 0 and less than 1"
            )
        weights = np.ones(len(texts)) if sample_weight is None else np.asarray(sample_weight)
        seed = int(check_random_state(self.seed).randint(np.iinfo(np.int32).max))
        validation = _stratified_rows(targets, self.validation_fraction, seed)
        with _keras_seed(seed):
            self._fit(texts, targets.astype("int32"), weights.astype("float32"), validation, seed)
        return self

    def _fit(self, texts, targets, weights, validation, seed):
        """Train and calibrate; `validation` is a bool mask `(texts,)`."""
        train = ~validation
        train_texts, validation_texts = (
            [text for text, chosen in zip(texts, mask, strict=True) if chosen] for mask in (train, validation)
        )
        self.model_ = self._make_model(train_texts)
        encode = self.model_.preprocessor.encode
        batches = text_batches(
            encode(train_texts), targets[train], self.batch_size, weights[train], seed=seed
        )
        schedule = training.warmup_cosine(self.learning_rate, steps=len(batches) * self.epochs)
        self.model_.compile(keras.optimizers.Adam(schedule, global_clipnorm=1.0), metrics=[])
        validation_batches = None
        if validation_texts:
            validation_batches = text_batches(
                encode(validation_texts), targets[validation], 64, weights[validation], shuffle=False
            )
        self.model_.fit(
            batches,
            epochs=self.epochs,
            validation_data=validation_batches,
            callbacks=[training.BestWeights()],
            verbose=0,
        )
        calibrate(self.model_, batches, validation_texts, targets[validation], weights[validation])

    def _make_model(self, texts):
        """Return an untrained model, with a tokenizer trained on the texts."""
        texts = [text.lower() for text in texts] if self.lowercase else texts
        tokenizer = train_tokenizer(self.tokenizer, texts, self.vocabulary_size)
        encoder = RecurrentEncoder(
            tokenizer.vocabulary_size(),
            self.cell,
            self.units,
            self.num_layers,
            self.embedding_dim,
            dropout=self.dropout,
        )
        return TextClassifier(
            encoder,
            self.classes_,
            TextClassifierPreprocessor(tokenizer, self.max_tokens, self.lowercase),
            self.pooling,
            self.dropout,
            ngrams=self.ngrams,
            ngram_buckets=self.ngram_buckets,
        )

    def predict_proba(self, X):
        """Predict calibrated probabilities.

        Args:
            X: Texts, a sequence of str.

        Returns:
            float64 `(texts, classes)`, in the order of `classes_`.
        """
        check_is_fitted(self)
        probabilities = evaluation.predict_probabilities(self.model_, _check_texts(X), self.batch_size)
        probabilities = probabilities.astype("float64")
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def predict(self, X):
        """Predict labels.

        Args:
            X: Texts, a sequence of str.

        Returns:
            Labels `(texts,)`.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _check_texts(X):
    if isinstance(X, str):
        raise InputError(f"expected a sequence of texts, got the str {X[:40]!r}: put it in a list")
    texts = list(X)
    for text in texts:
        if not isinstance(text, str):
            raise InputError(f"expected texts, got {text!r}: give a sequence of str")
    return texts


def _stratified_rows(targets, fraction, seed):
    """Draw a fraction of each class, at least one text and never all; a bool mask `(texts,)`."""
    generator = np.random.default_rng(seed)
    mask = np.zeros(len(targets), bool)
    for target in np.unique(targets):
        rows = generator.permutation(np.flatnonzero(targets == target))
        mask[rows[: min(max(1, round(fraction * len(rows))), len(rows) - 1)]] = True
    return mask


@contextmanager
def _keras_seed(seed):
    """Seed the layers made inside, and restore the global generator that Keras draws their seeds from."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)

"""The classifier as a scikit-learn estimator, for its tools: cross-validation, searches, pipelines."""

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from textrnn import training
from textrnn.classification import evaluation
from textrnn.classification.backbone import RecurrentEncoder
from textrnn.classification.preprocessor import TextClassifierPreprocessor
from textrnn.classification.text_classifier import TextClassifier
from textrnn.data.batching import batches_of_like_length
from textrnn.errors import InputError
from textrnn.tokenizers import train_tokenizer


class RecurrentTextClassifier(ClassifierMixin, BaseEstimator):
    """A recurrent text classifier that scikit-learn's tools can fit, score, clone and search over.

    It is the network alone, without n-grams beside it. It learns its tokenizer from the texts that it is
    fitted on, so that no fold of a cross-validation knows the words of another.

    Args:
        cell, units, num_layers, embedding_dim, dropout: as for `textrnn.RecurrentEncoder`; `dropout` is that
            of what is pooled, too.
        pooling: as for `textrnn.TextClassifier`.
        tokenizer, vocabulary_size: as for `textrnn.tokenizers.train_tokenizer`.
        lowercase: whether upper and lower case are the same.
        max_tokens: texts are cut after this many tokens.
        epochs, batch_size, learning_rate: of the training, by Adam with a warm-up and a falling rate.
        seed: an int, for everything that is drawn.

    Attributes:
        classes_: the labels, sorted.
        model_: the `textrnn.TextClassifier`, after `fit`.

    Example:
    >>> from sklearn.model_selection import cross_val_score
    >>> from textrnn.classification.estimator import RecurrentTextClassifier
    >>> texts, labels = ["dull", "a joy", "so dull", "joy"] * 6, ["bad", "good"] * 12
    >>> estimator = RecurrentTextClassifier("gru", units=8, tokenizer="word", epochs=8, learning_rate=0.05)
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

    def fit(self, X, y, sample_weight=None):
        """Trains on texts and their labels.

        Args:
            X: a sequence of str.
            y: the label of each.
            sample_weight: how much each counts, or None.

        Raises:
            InputError: for what are no texts, and for a single class.
        """
        texts = _texts(X)
        self.classes_, targets = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(f"all texts ({len(texts)}) are of one class: give some of a second one")
        keras.utils.set_random_seed(self.seed)
        learnt_from = [text.lower() for text in texts] if self.lowercase else texts
        tokenizer = train_tokenizer(self.tokenizer, learnt_from, self.vocabulary_size)
        encoder = RecurrentEncoder(
            tokenizer.vocabulary_size(),
            self.cell,
            self.units,
            self.num_layers,
            self.embedding_dim,
            dropout=self.dropout,
        )
        preprocessor = TextClassifierPreprocessor(tokenizer, self.max_tokens, self.lowercase)
        self.model_ = TextClassifier(encoder, self.classes_, preprocessor, self.pooling, self.dropout)
        weights = None if sample_weight is None else np.asarray(sample_weight, "float32")
        batches = batches_of_like_length(
            preprocessor.encode(texts), targets.astype("int32"), self.batch_size, weights, seed=self.seed
        )
        schedule = training.warmup_cosine(self.learning_rate, steps=len(batches) * self.epochs)
        self.model_.compile(keras.optimizers.Adam(schedule, global_clipnorm=1.0), metrics=[])
        self.model_.fit(batches, epochs=self.epochs, verbose=0)
        return self

    def predict_proba(self, X):
        """The probability of each class of `classes_` for each text, `(texts, classes)`."""
        check_is_fitted(self)
        logits = evaluation.predict_logits(self.model_, _texts(X), self.batch_size)
        probabilities = keras.ops.convert_to_numpy(self.model_.probabilities(logits)).astype("float64")
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def predict(self, X):
        """The most probable label of each text."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


def _texts(given):
    texts = list(given)
    for text in texts:
        if not isinstance(text, str):
            raise InputError(f"expected texts, found {text!r}: give a list of str")
    return texts

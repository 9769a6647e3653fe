"""The classifier as a scikit-learn estimator."""

import math
import os
import random
from collections.abc import Mapping, Set
from contextlib import contextmanager
from inspect import signature
from io import StringIO
from numbers import Real
from typing import Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from textrnn.startup import native_messages_hidden

with native_messages_hidden():  # in a worker of joblib, this module is the first to load TensorFlow
    import textrnn
    from textrnn import training
from textrnn.classification import evaluation
from textrnn.classification.calibration import calibrate
from textrnn.classification.defaults import Defaults, defaults_for
from textrnn.classification.fitting import add_linear_part
from textrnn.classification.from_language_model import adapt_to_texts, classifier_from
from textrnn.classification.new_classifier import new_classifier
from textrnn.classification.start import warn_if_unfamiliar
from textrnn.data.batching import text_batches
from textrnn.data.labelled_splits import held_out_rows, validation_fraction
from textrnn.errors import InputError, expect
from textrnn.presets import load_preset
from textrnn.private import check_sample_weight
from textrnn.tasks.execution import execution_of
from textrnn.types import (
    Fraction,
    NonNegativeInt,
    PositiveInt,
    PositiveNumber,
    SplitFraction,
    conforms,
    expected,
)


class RecurrentTextClassifier(ClassifierMixin, BaseEstimator):
    """A recurrent text classifier for scikit-learn's pipelines, cross-validation and searches.

    The estimator trains the same model as the sentiment recipe: a bidirectional recurrent network, ensembled
    with a linear n-gram classifier and calibrated on a validation set. Its tokenizer is trained in `fit`, on
    the training texts alone, so that no information leaks between the folds of a cross-validation. With a
    `preset`, the network is that of a language model, which is first adapted to the training texts (ULMFiT).

    Args:
        cell, units, num_layers, embedding_dim: As for `textrnn.RecurrentEncoder`.
        dropout: float. Dropout rate of the inputs of each layer and of the pooled features.
        pooling: As for `textrnn.TextClassifier`.
        tokenizer, vocabulary_size: As for `textrnn.tokenizers.train_tokenizer`.
        lowercase: bool. Whether to lowercase the texts.
        max_tokens: int. Texts are truncated to this many tokens.
        epochs: int. Maximum number of epochs; the weights of the epoch with the lowest validation loss are
            kept. None for 5, or with a `preset` by the number of texts.
        batch_size: int. Number of texts per batch; None for 32, or with a `preset` by the number of texts.
        learning_rate: float. Peak learning rate of Adam, after a warm-up and before a cosine decay; None for
            0.002, or with a `preset` by the number of texts.
        seed: int, `numpy.random.RandomState` or None. Seeds the split, the initial weights and dropout; None
            gives other ones in every `fit`.
        ngrams: int. Length of the longest n-grams of words of the linear part; 0 for the network alone.
        ngram_buckets: int. Maximum number of n-grams with a weight.
        validation_fraction: float. Fraction of each class set aside to choose the epoch and to calibrate;
            at least one text of each class that has two or more. None for a tenth, or 30 of fewer than 300
            texts, up to 0.3.
        preset: The name or the folder of a language model to start from, such as `"english"`, a str or path;
            `cell`, `units`, `num_layers`, `embedding_dim`, `pooling`, `tokenizer`, `vocabulary_size` and
            `lowercase` then have no effect. None for random weights.
        class_weight: `"balanced"`, a dict from labels to weights, or None for equal ones, as for classifiers
            of scikit-learn. Multiplied with the `sample_weight` of `fit`.

    Attributes:
        classes_: The labels, sorted, `(classes,)`.
        model_: The fitted `textrnn.TextClassifier`.

    Example:

    >>> from textrnn import RecurrentTextClassifier
    >>> texts, labels = ["dull", "a joy", "so dull", "joy"] * 6, ["bad", "good"] * 12
    >>> estimator = RecurrentTextClassifier("gru", units=8, tokenizer="word", epochs=3, learning_rate=0.05)
    >>> estimator.fit(texts, labels).predict(["what joy"]).tolist()
    ['good']
    """

    def __init__(
        self,
        cell="lstm",
        units: PositiveInt = 64,
        num_layers: PositiveInt = 1,
        embedding_dim: PositiveInt | None = None,
        dropout: Fraction = 0.2,
        pooling: Literal["max", "mean", "last", "attention", "concat"] = "max",
        tokenizer: Literal["sentencepiece", "word", "character", "byte"] = "sentencepiece",
        vocabulary_size: PositiveInt | None = None,
        lowercase: bool = True,
        max_tokens: PositiveInt = 512,
        epochs: PositiveInt | None = None,
        batch_size: PositiveInt | None = None,
        learning_rate: PositiveNumber | None = None,
        seed=0,
        ngrams: NonNegativeInt = 2,
        ngram_buckets: PositiveInt = 2**18,
        validation_fraction: SplitFraction | None = None,
        preset: str | None = None,
        class_weight=None,
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
        self.preset = preset
        self.class_weight = class_weight

    def fit(self, X, y, sample_weight=None):
        """Fit the classifier. If that fails or is interrupted, the estimator stays as it was.

        Args:
            X: Texts, a sequence of str: a list, an array or a column of a table.
            y: Labels `(texts,)`: str, ints or bools, also in an array of objects or a nullable column of
                pandas.
            sample_weight: Weights of 0 or more `(texts,)`, or None.

        Returns:
            The estimator.

        Raises:
            InputError: If an argument of the constructor is invalid, if `X` holds anything but str or blank
                texts alone, or if there are fewer than two classes.
            ValueError: If lengths differ, if `y` holds no class labels, or if a weight is negative or not
                finite, or if `class_weight` does not fit the labels.
        """
        _check_arguments(self)
        texts = _check_texts(X)
        expect(any(map(str.strip, texts)), "all texts are blank: give texts with words")
        classes, targets = _check_labels(y)
        check_consistent_length(texts, targets)
        weights = check_sample_weight(sample_weight, texts)
        weights = weights * compute_sample_weight(self.class_weight, classes[targets])
        seed = _draw_seed(self.seed)
        fraction = self.validation_fraction
        fraction = validation_fraction(len(texts)) if fraction is None else fraction
        validation = _validation_rows(texts, targets, weights, fraction, seed)
        with _keras_seed(seed):
            model = self._fit(
                texts, classes, targets.astype("int32"), weights.astype("float32"), validation, seed
            )
        self.classes_, self.model_ = classes, model  # not before everything has succeeded
        return self

    def _fit(self, texts, classes, targets, weights, validation, seed):
        """Return a trained and calibrated model; `validation` is a bool mask `(texts,)`."""
        train = ~validation
        train_texts, validation_texts = (
            [text for text, chosen in zip(texts, mask, strict=True) if chosen] for mask in (train, validation)
        )
        plan = self._plan(len(train_texts))
        model = self._make_model(train_texts, classes, plan, seed)
        encode, few_lengths = model.preprocessor.encode, execution_of(model).xla
        batches = text_batches(
            encode(train_texts), targets[train], plan.batch_size, weights[train], seed=seed,
            few_lengths=few_lengths,
        )  # fmt: skip
        schedule = training.warmup_cosine(plan.learning_rate, steps=len(batches) * plan.epochs)
        groups = model.layer_groups
        model.compile(training.discriminative_optimizer(groups, schedule, plan.layer_rate_factor), metrics=[])
        callbacks = [training.BestWeights(), training.GradualUnfreezing(groups, plan.unfreeze_epochs)]
        validation_batches = None
        if validation_texts:
            validation_batches = text_batches(
                encode(validation_texts), targets[validation], 64, weights[validation], shuffle=False,
                few_lengths=few_lengths,
            )  # fmt: skip
        model.fit(
            batches,
            epochs=plan.epochs,
            validation_data=validation_batches,
            callbacks=callbacks,
            verbose=0,
        )
        linear_logits = add_linear_part(
            model, (train_texts, targets[train]), (validation_texts, targets[validation]),
            np.concatenate([weights[train], weights[validation]]),
            words=self.ngrams, max_features=self.ngram_buckets, seed=seed,
        )  # fmt: skip
        if model.linear is None or validation_texts:
            calibrate(model, validation_texts, targets[validation], weights[validation], linear_logits)
        else:
            model.network_weight = 0.0  # nothing shows that it helps
        return model

    def _plan(self, texts):
        """Return how to train on a number of texts, a `Defaults`."""
        plan = Defaults(epochs=5) if self.preset is None else defaults_for(texts, from_language_model=True)
        given = {name: getattr(self, name) for name in ("epochs", "batch_size", "learning_rate")}
        return plan._replace(**{name: value for name, value in given.items() if value is not None})

    def _make_model(self, texts, classes, plan, seed):
        """Return a model to be trained: with a tokenizer of these texts, or of an adapted language model."""
        if self.preset is not None:
            lm = load_preset(self.preset, textrnn.CausalLM)
            warn_if_unfamiliar(lm.preprocessor.tokenizer, texts, self.preset, "`preset`")
            adapt_to_texts(
                lm, texts, plan.adapt_epochs, seed=seed, progress=training.ProgressBar(file=StringIO())
            )
            return classifier_from(lm, classes, self.max_tokens, self.dropout)
        return new_classifier(
            texts,
            classes,
            self.tokenizer,
            self.vocabulary_size,
            self.lowercase,
            self.max_tokens,
            self.pooling,
            self.dropout,
            cell=self.cell,
            units=self.units,
            num_layers=self.num_layers,
            embedding_dim=self.embedding_dim,
        )

    def predict_proba(self, X):
        """Predict calibrated probabilities.

        Args:
            X: Texts, a sequence of str.

        Returns:
            float64 `(texts, classes)`, in the order of `classes_`.
        """
        check_is_fitted(self)
        probabilities = evaluation.predict_probabilities(self.model_, _check_texts(X), self.batch_size or 32)
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
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def _check_arguments(estimator):
    """Check the arguments of the constructor, which scikit-learn only stores there."""
    for name, parameter in signature(type(estimator)).parameters.items():
        value, annotation = getattr(estimator, name), parameter.annotation
        value = value.item() if isinstance(value, np.generic) else value  # a grid may be an array
        value = os.fspath(value) if isinstance(value, os.PathLike) else value  # as a preset may be
        if annotation is not parameter.empty:
            expect(conforms(value, annotation), f"{name} is {value!r}: expected {expected(annotation)}")


def _check_texts(X):
    if isinstance(X, (str, bytes, Mapping, Set)) or not hasattr(X, "__iter__"):
        raise InputError(
            f"expected a sequence of texts, got the {type(X).__name__} {str(X)[:40]!r}: put texts in a list"
        )
    shape = getattr(X, "shape", (0,))
    if len(shape) != 1:
        raise InputError(
            f"expected a sequence of texts, got a {type(X).__name__} of shape {tuple(shape)}: give one "
            "column of it, such as X['text'] or X[:, 0]"
        )
    texts = list(X)
    if others := [row for row, text in enumerate(texts) if not isinstance(text, str)]:
        first = texts[others[0]]
        advice = "give a sequence of str"
        if isinstance(first, bytes):
            advice = "decode bytes first"
        elif _is_missing(first):
            advice = "leave out missing texts, or fill them with ''"
        raise InputError(f"expected texts, got {first!r}{_places(others)}: {advice}")
    return texts


def _is_missing(value):
    return str(value) in ("None", "nan", "NaN", "NaT", "<NA>")  # as NumPy and pandas print them


def _places(rows):
    """Say where values are, for a message."""
    return f" at position {rows[0]:,}" + (f" and {len(rows) - 1:,} more" if len(rows) > 1 else "")


def _check_labels(y):
    """Return the classes, sorted, and the class of each text, an int array `(texts,)`."""
    expect(y is not None, "y is None: give a label for each text")
    # As objects, since NumPy makes str of a list of str and NaN.
    given = np.asarray(y, dtype=object)
    labels = list(given.flat)
    if others := [row for row, label in enumerate(labels) if not _is_label(label)]:
        label = labels[others[0]]
        advice = "leave out texts without a label" if _is_missing(label) else "give a str, an int or a bool"
        raise InputError(f"y has the label {label!r}{_places(others)}: {advice}")
    kinds = {isinstance(label, str) for label in labels}
    expect(len(kinds) < 2, "y has both str and numbers: give labels of one kind")
    dtype = getattr(y, "dtype", None)
    if (
        dtype is not None
        and kinds == {False}
        and (dtype == np.dtype(object) or not isinstance(dtype, np.dtype))
    ):
        # NumPy makes floats of nullable columns of pandas, and scikit-learn takes no numbers as objects.
        y = np.array(labels).reshape(given.shape)
    check_classification_targets(y)
    classes, targets = np.unique(column_or_1d(y, warn=True), return_inverse=True)
    expect(len(classes) > 1, f"all {len(labels)} texts have the same label: expected two classes or more")
    return classes, targets


def _is_label(value):
    return isinstance(value, (str, np.bool_)) or (isinstance(value, Real) and not math.isnan(value))


def _draw_seed(seed):
    # scikit-learn takes None as NumPy's global generator, which an estimator need not change.
    generator = check_random_state(np.random.RandomState() if seed is None else seed)
    return int(generator.randint(np.iinfo(np.int32).max))


def _validation_rows(texts, targets, weights, fraction, seed):
    """Draw a fraction of each class, at least one text and never all; a bool mask `(texts,)`.

    Texts of weight 0 are not drawn, since they tell nothing about the loss.
    """
    rows = np.flatnonzero(weights > 0)
    chosen = held_out_rows(targets[rows].tolist(), [texts[row] for row in rows], fraction, seed)
    return np.isin(np.arange(len(texts)), rows[sorted(chosen)])


@contextmanager
def _keras_seed(seed):
    """Seed the layers made inside, and restore the global generator that Keras draws their seeds from."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)

"""Fitting the linear part of a classifier to texts."""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from textrnn.classification.evaluation import predict_linear_logits
from textrnn.classification.linear import LinearTextLogits, counted, find, tfidf, weighted_sum
from textrnn.classification.logistic import MANY, fit_logistic, folds_of
from textrnn.classification.scales import fit_pool, fit_scales, log_losses
from textrnn.classification.text_ngrams import text_ngrams
from textrnn.errors import InputError
from textrnn.tokenizers.text import string_tensor
from textrnn.training.messages import print_message


class LinearFit(NamedTuple):
    """What `fit_linear` returns.

    Attributes:
        linear: The fitted `LinearTextLogits`. Its logits are calibrated.
        held_out: The calibrated logits of each text from a classifier that was fitted without it, float32
            `(texts, classes)`; NaN for texts that no fold held out.
        penalty: The chosen inverse strength of the penalty, scikit-learn's `C`.
    """

    linear: LinearTextLogits
    held_out: np.ndarray
    penalty: float


def fit_linear(texts, targets, classes, sample_weight=None, folds=None, words=2, max_features=2**18, seed=0):
    """Fit a linear classifier of n-grams of words, and of 2 to 5 characters within words.

    The same graph function computes the n-grams here and in an export. The penalty is chosen by
    cross-validation (`textrnn.classification.logistic`).

    Args:
        texts: A list of str.
        targets: Classes, ints `(texts,)`.
        classes: Number of classes.
        sample_weight: Weights `(texts,)`, or None.
        folds: Pairs of row numbers, to fit and to predict; None for those of `folds_of`, where copies of a
            text stay together.
        words: int. Length of the longest n-grams of words.
        max_features: int. Only so many n-grams get a weight, those that most texts have.
        seed: Seed of the folds and the solver.

    Returns:
        A `LinearFit`.

    Raises:
        InputError: If the targets hold fewer than two classes, or if the texts hold no words.

    Example:

    >>> import numpy as np
    >>> from textrnn.classification.fitting import fit_linear
    >>> fit = fit_linear(["dull", "a joy", "so dull", "joy"], np.array([0, 1, 0, 1]), classes=2)
    >>> fit.held_out.shape, fit.linear.features
    ((4, 2), 39)
    """
    if len(np.unique(targets)) < 2:
        raise InputError(
            "cannot fit n-grams to texts of fewer than two classes: give texts of two classes or more"
        )
    sizes = (1, words), (2, 5)
    rows, hashes, counts = _counted(texts, *sizes)
    if not len(rows):
        raise InputError("cannot fit n-grams to texts without words: give texts with words, or ngrams=0")
    known, documents = np.unique(hashes, return_counts=True)
    if len(known) > max_features:
        known, documents = _most_frequent(known, documents, max_features)
    frequency = (np.log((1 + len(texts)) / (1 + documents)) + 1).astype("float32")
    features = _features(rows, hashes, counts, known, frequency, len(texts))
    folds = folds_of(targets, seed, texts) if folds is None else folds
    model = fit_logistic(features, targets, classes, sample_weight, folds, seed)
    linear = LinearTextLogits(classes, len(known), *sizes, name="linear")
    linear.set_weights([known, frequency, model.kernel, model.bias])
    linear.rescale(model.scale)
    return LinearFit(linear, (model.scale * model.held_out).astype("float32"), model.penalty)


def add_linear_part(
    classifier, train, validation, sample_weight=None, words=2, max_features=2**18, seed=0, learned=None
):
    """Give a classifier a linear part, fitted to training and validation texts.

    What a linear part that it has, from earlier texts, predicts of texts that are new to it tells what is
    made of it: it is kept, replaced by a new one, or summed with that (see `shares_of`). Of n-grams of other
    sizes there is no sum, and the better part is used alone. If no text is new to it, it is replaced.

    Args:
        classifier: A `textrnn.TextClassifier`, whose `linear` is set.
        train, validation: Pairs of a list of str and their classes, ints `(texts,)`.
        sample_weight: Weights of the training texts and then of the validation texts, or None.
        words: As for `fit_linear`; with 0, the classifier stays as it is.
        max_features, seed: See `fit_linear`.
        learned: Bools, for the training texts and then the validation texts: those that an earlier linear
            part was fitted to, so that they do not say how well it predicts. None if there are none.

    Returns:
        Logits of the validation texts by classifiers that were fitted without them, for `calibrate`. None if
        the earlier part is kept alone, or if fewer than two classes have texts with words.

    Example:

    >>> import numpy as np, textrnn
    >>> from textrnn.classification.fitting import add_linear_part
    >>> classifier = textrnn.TextClassifier(textrnn.RecurrentEncoder(258, units=4), ["bad", "good"])
    >>> train, validation = (["dull", "a joy", "so dull", "joy"], [0, 1, 0, 1]), (["what a joy"], [1])
    >>> add_linear_part(classifier, train, validation).shape, classifier.linear is None
    ((1, 2), False)
    """
    texts, targets = [*train[0], *validation[0]], np.array([*train[1], *validation[1]], "int32")
    counting = np.array([bool(text.strip()) for text in texts])
    counting &= True if sample_weight is None else np.asarray(sample_weight) > 0
    if not words or len(np.unique(targets[counting])) < 2:
        return None
    split, folds = len(train[0]), None
    if len(texts) > MANY and len(validation[0]):
        folds = [(np.arange(split), np.arange(split, len(texts)))]
    fit = fit_linear(texts, targets, len(classifier.labels), sample_weight, folds, words, max_features, seed)
    if classifier.linear is not None:
        judging = counting & ~np.array([False] if learned is None else learned)
        fit = _beside_earlier(classifier, fit, texts, targets, counting, judging, sample_weight)
        if fit is None:
            return None
    classifier.linear = fit.linear
    return fit.held_out[split:]


def fit_linear_part(classifier, *args, **kwargs):
    """Call `add_linear_part` in a recipe, which goes on after Ctrl-C with the network that it has trained.

    Args:
        classifier, *args, **kwargs: As for `add_linear_part`.

    Returns:
        What that returns. After Ctrl-C None; the classifier is then as before.
    """
    try:
        return add_linear_part(classifier, *args, **kwargs)
    except KeyboardInterrupt:
        earlier = "network alone" if classifier.linear is None else "network with its earlier n-grams"
        print_message(f"Interrupted while fitting the n-grams: the classifier is the {earlier}.")
        return None


def _beside_earlier(classifier, fit, texts, targets, counting, judging, sample_weight):
    """Return the fit that replaces the linear part of a classifier; None to keep that alone.

    Args:
        classifier, texts, targets, sample_weight: As in `add_linear_part`.
        fit: The `LinearFit` of the texts.
        counting, judging: Which texts count, and which of them are new to the earlier part, bools.
    """
    earlier, present = classifier.linear, np.unique(targets[counting])
    new = _without_verdict(fit, present)
    rows = np.flatnonzero(judging & np.isfinite(fit.held_out).all(axis=1))
    logits = np.full_like(fit.held_out, np.nan)
    logits[rows] = predict_linear_logits(classifier, [texts[row] for row in rows])
    of_earlier, of_new = shares_of(
        logits[np.ix_(rows, present)],
        new.held_out[np.ix_(rows, present)],
        np.searchsorted(present, targets[rows]),
        None if sample_weight is None else np.asarray(sample_weight)[rows],
        summable=_same_ngrams(earlier, new.linear),
    )
    if not of_new:
        return None
    if not of_earlier:
        return fit
    linear = weighted_sum([(earlier, of_earlier), (new.linear, of_new)])
    return fit._replace(linear=linear, held_out=of_earlier * logits + of_new * new.held_out)


def _without_verdict(fit, present):
    """A fit that says nothing of classes without texts: their logit is the mean of the present ones."""
    absent = ~np.isin(np.arange(fit.linear.classes), present)
    hashes, frequency, kernel, bias = fit.linear.get_weights()
    linear, held_out = LinearTextLogits.from_config(fit.linear.get_config()), fit.held_out.copy()
    for logits in (kernel, bias[np.newaxis], held_out):
        logits[:, absent] = logits[:, present].mean(axis=1, keepdims=True)
    linear.set_weights([hashes, frequency, kernel, bias])
    return fit._replace(linear=linear, held_out=held_out)


def shares_of(earlier, new, targets, sample_weight=None, summable=True):
    """Return the factors of the logits of an earlier classifier and of a new one in their sum.

    Both count alike, unless the log loss is clearly lower otherwise (see `fit_pool`). An earlier classifier
    whose log loss is not below that of guessing is left out.

    Args:
        earlier: Logits `(texts, classes)`, of texts that the classifier was not fitted to.
        new: The same, calibrated.
        targets: True classes, ints `(texts,)`.
        sample_weight: Weights of the texts `(texts,)`, or None.
        summable: Whether they can be summed. Otherwise the better one has the only factor.

    Returns:
        Two floats of 0 or more; 0 and 1 without texts.

    Example: an earlier classifier that knows something, and one that knows nothing.

    >>> import numpy as np
    >>> from textrnn.classification.fitting import shares_of
    >>> targets = np.array([0, 1] * 100)
    >>> one, other = np.eye(2)[targets] + np.random.default_rng(0).normal(size=(2, 200, 2))
    >>> [factor > 0 for factor in shares_of(one, other, targets)]
    [True, True]
    >>> shares_of(-one, other, targets)
    (0.0, 1.0)
    """
    if not len(targets):
        return 0.0, 1.0
    [scale] = fit_scales([earlier], targets, sample_weight)
    calibrated = scale * earlier
    loss, loss_of_new = (
        np.average(log_losses(logits, targets), weights=sample_weight) for logits in (calibrated, new)
    )
    if loss >= np.log(earlier.shape[1]) - 1e-6:
        return 0.0, 1.0
    if not summable:
        return (float(scale), 0.0) if loss < loss_of_new else (0.0, 1.0)
    of_earlier, of_new = fit_pool(calibrated, new, targets, sample_weight, default_share=0.5)
    return float(of_earlier * scale), of_new


def _same_ngrams(*parts):
    """Whether linear parts have n-grams of the same kinds and sizes, as a sum of them must have."""
    kinds = {(type(part), getattr(part, "words", None), getattr(part, "characters", None)) for part in parts}
    return len(kinds) == 1


def _counted(texts, words, characters):
    """Return rows, hashes and counts of the n-grams of each text, NumPy arrays `(n-grams,)`."""
    count, parts = _counter(words, characters), []
    for start in range(0, len(texts), 256):
        rows, *others = (each.numpy() for each in count(string_tensor(list(texts[start : start + 256]))))
        parts.append((rows + start, *others))
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


@functools.cache
def _counter(words, characters):
    """Return a function that counts the n-grams of strings; it is traced once."""
    return tf.function(
        lambda texts: counted(text_ngrams(texts, words, characters)),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )


def _most_frequent(hashes, documents, count):
    """Return the n-grams that most texts have, sorted by their hashes, and their numbers of texts."""
    chosen = np.sort(np.argsort(-documents, kind="stable")[:count])
    return hashes[chosen], documents[chosen]


def _features(rows, hashes, counts, known, frequency, texts):
    """Return the features as a SciPy matrix `(texts, columns)`, computed as `LinearTextLogits` does."""
    from scipy.sparse import csr_matrix

    columns, found = (each.numpy() for each in find(tf.constant(known), tf.constant(hashes)))
    rows, columns, counts = rows[found], columns[found], counts[found]
    values = tfidf(tf.constant(rows), columns, counts, known, frequency, texts).numpy()
    return csr_matrix((values, (rows, columns)), (texts, len(known)))

"""Logistic regression on sparse features, with a penalty chosen by cross-validation."""

import warnings
from typing import NamedTuple

import numpy as np

from textrnn.data.records import collapsed

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
"""Inverse strengths of the L2 penalty to choose from (`C`), in scikit-learn's parametrization."""

MANY = 20_000
"""Number of texts above which a single held-out part replaces cross-validation."""

ABSENT = -10.0
"""The logit of a class without texts."""


class LogisticModel(NamedTuple):
    """A fitted logistic regression.

    Attributes:
        kernel: `(features, classes)`.
        bias: `(classes,)`.
        penalty: The chosen `C`.
        scale: The factor by which to multiply logits, so that their softmax is calibrated.
        held_out: The logits of each text from a model that was fitted without it, `(texts, classes)`, not
            yet scaled; NaN for texts of no fold.
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float
    scale: float
    held_out: np.ndarray

    def logits(self, features):
        """Return the scaled logits of a SciPy matrix `(texts, features)`."""
        return self.scale * (features @ self.kernel + self.bias)


def folds_of(targets, seed=0, texts=None):
    """Split texts for cross-validation, into fewer folds the more there are.

    Args:
        targets: Classes `(texts,)`.
        seed: Seed of the split.
        texts: The texts, strings `(texts,)`. Copies of a text, whatever their whitespace, are in the same
            fold, so that no text is predicted that was learned. Default: all differ.

    Returns:
        A list of pairs of row numbers: to fit and to predict. Up to 2,000 different texts have five folds,
        and up to 20,000 have three. Of more, a tenth is held out once. Without two different
        texts there are no folds.

    Example:

    >>> import numpy as np
    >>> from textrnn.classification.logistic import folds_of
    >>> [len(folds_of(np.arange(n) % 2)) for n in (100, 10_000, 50_000)]
    [5, 3, 1]
    >>> [sorted(predicted.tolist()) for _, predicted in folds_of([0, 1, 0], texts=["dull", "joy", "dull"])]
    [[1], [0, 2]]
    """
    from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold, StratifiedShuffleSplit

    targets = np.asarray(targets)
    numbers: dict = {}
    keys = range(len(targets)) if texts is None else map(collapsed, texts)
    number = np.array([numbers.setdefault(key, len(numbers)) for key in keys])
    _, first = np.unique(number, return_index=True)  # one row for each text
    rarest = np.unique(targets[first], return_counts=True)[1].min()
    if len(first) > MANY:
        kind = StratifiedShuffleSplit if rarest > 1 else ShuffleSplit
        splitter = kind(1, test_size=0.1, random_state=seed)
    elif len(first) > 1:
        count = min(5 if len(first) <= 2000 else 3, len(first))
        kind = StratifiedKFold if rarest >= count else KFold
        splitter = kind(count, shuffle=True, random_state=seed)
    else:
        return []
    folds = splitter.split(first, targets[first])
    return [tuple(np.flatnonzero(np.isin(number, part)) for part in fold) for fold in folds]


def fit_logistic(features, targets, classes, sample_weight=None, folds=None, seed=0):
    """Fit logistic regression, with the penalty of the lowest log loss on held-out texts.

    It is one-vs-rest for more than two classes, fitted by dual coordinate descent (liblinear), which takes
    far less time on sparse features than L-BFGS, and converges. The log loss is that of calibrated logits.
    Penalties are tried from the strongest on, until the log loss rises.

    Args:
        features: A SciPy matrix `(texts, features)`.
        targets: Classes, ints `(texts,)`, at least two different ones.
        classes: Number of classes.
        sample_weight: Weights `(texts,)`, or None.
        folds: See `folds_of`, the default.
        seed: Seed of the split and the solver.

    Returns:
        A `LogisticModel`.

    Example:

    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> from textrnn.classification.logistic import fit_logistic
    >>> features, targets = csr_matrix(np.eye(2)[[0, 1] * 10]), np.array([0, 1] * 10)
    >>> fit_logistic(features, targets, classes=2).logits(features).argmax(axis=1)[:4].tolist()
    [0, 1, 0, 1]
    """
    from textrnn.classification.scales import fit_scales, log_losses

    targets = np.asarray(targets)
    weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, "float64")
    features, used = features.tocsr().astype("float64"), weights > 0
    folds = folds_of(targets, seed) if folds is None else folds
    best = None
    for penalty in PENALTIES:
        held_out = np.full((len(targets), classes), np.nan)
        for fitted, predicted in folds:
            rows = fitted[used[fitted]]
            if len(np.unique(targets[rows])) < 2:
                continue
            kernel, bias = _fit(features[rows], targets[rows], classes, weights[rows], penalty, seed)
            held_out[predicted] = features[predicted] @ kernel + bias
        known = np.isfinite(held_out[:, 0]) & used
        if not known.any():  # too few texts to hold out any
            best = best or (np.inf, PENALTIES[1], 1.0, held_out)
            break
        logits, of_known = held_out[known], weights[known]
        [scale] = fit_scales([logits], targets[known], of_known)
        loss = np.average(log_losses(scale * logits, targets[known]), weights=of_known)
        if best and loss > best[0]:
            break
        best = (loss, penalty, float(scale), held_out)
    assert best is not None  # there is a penalty to choose
    _, penalty, scale, held_out = best
    kernel, bias = _fit(features[used], targets[used], classes, weights[used], penalty, seed)
    return LogisticModel(kernel, bias, penalty, scale, held_out)


def _fit(features, targets, classes, weights, penalty, seed):
    """Return the kernel `(features, classes)` and the bias `(classes,)`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    present = np.unique(targets)
    kernel, bias = np.zeros((features.shape[1], classes), "float32"), np.full(classes, ABSENT)
    for target in present[1:] if len(present) == 2 else present:
        solver = LogisticRegression(
            C=penalty, solver="liblinear", dual=True, tol=0.1, max_iter=1000, random_state=seed
        )
        with warnings.catch_warnings():
            # Weak penalties may need many steps, and cross-validation judges what has been reached.
            warnings.simplefilter("ignore", ConvergenceWarning)
            solver.fit(features, targets == target, weights)
        kernel[:, target], bias[target] = solver.coef_[0], solver.intercept_[0]
    if len(present) == 2:
        first, second = present
        kernel[:, second], bias[second] = kernel[:, second] / 2, bias[second] / 2
        kernel[:, first], bias[first] = -kernel[:, second], -bias[second]
    return kernel, bias

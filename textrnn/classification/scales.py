"""Factors for the logits of classifiers: calibration, and the weights of an ensemble of two."""

import numpy as np

SHARES = np.linspace(0, 1, 11)
"""Shares of the network that `fit_pool` chooses from."""

LEAST_TEXTS = 25
"""Fewer validation texts than these do not tell whether a network helps: its epoch was chosen by them, too.

On ten, a network that was right for 0.695 of 5,000 reviews looked better than n-grams that were for 0.769.
"""


def fit_scales(parts, targets, sample_weight=None):
    """Fit the factors by which to multiply the logits of classifiers before adding them.

    The factors minimize the log loss of the summed logits. For a single classifier this is temperature
    scaling (Guo et al. 2017, arXiv 1706.04599), with a temperature of 1 / factor. A Gaussian prior on the
    log-factors keeps them near 1, so that a handful of correct predictions does not make a classifier
    certain.

    Args:
        parts: A list of logits, each `(texts, classes)`, of texts that were not trained on.
        targets: True classes, ints `(texts,)`.
        sample_weight: Weights of the texts `(texts,)`, or None.

    Returns:
        One factor for each part, an array of floats between 0.01 and 20.

    Example: three of four predictions are correct, so the calibrated log-odds are log 3.

    >>> from textrnn.classification.scales import fit_scales
    >>> logits, targets = np.array([[4.0, 0.0]] * 4000), np.array([0, 0, 0, 1] * 1000)
    >>> round(float(4 * fit_scales([logits], targets)[0]), 2), round(float(np.log(3)), 2)
    (1.1, 1.1)
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    stacked, targets = np.stack(parts).astype("float64"), np.asarray(targets)
    weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, "float64")
    one_hot = np.eye(stacked.shape[-1])[targets]

    def objective(log_scales):
        scales = np.exp(log_scales)
        log_p = log_softmax(np.tensordot(scales, stacked, 1), axis=-1)
        gradient = scales * (stacked * weights[:, None] * (np.exp(log_p) - one_hot)).sum(axis=(1, 2))
        return log_scales @ log_scales - (log_p * one_hot).sum(axis=1) @ weights, 2 * log_scales + gradient

    bounds = [(np.log(0.01), np.log(20.0))] * len(stacked)
    found = minimize(objective, np.zeros(len(stacked)), jac=True, bounds=bounds, method="L-BFGS-B")
    return np.exp(found.x)


def log_losses(logits, targets):
    """Return the negative log-probability of the true class of each text, in nats, `(texts,)`.

    Args:
        logits: `(texts, classes)`.
        targets: True classes, ints `(texts,)`.

    Example:

    >>> import numpy as np
    >>> from textrnn.classification.scales import log_losses
    >>> log_losses(np.log([[0.25, 0.75]]), [1]).round(3).tolist()
    [0.288]
    """
    from scipy.special import log_softmax

    return -log_softmax(np.asarray(logits, "float64"), axis=1)[np.arange(len(targets)), targets]


def effective_number(weights):
    """Return how many texts of equal weights tell as much as texts of these weights.

    Example:

    >>> from textrnn.classification.scales import effective_number
    >>> effective_number([2.0, 2.0, 0.0])
    2.0
    """
    weights = np.asarray(weights, "float64")
    return float(weights.sum() ** 2 / max((weights**2).sum(), 1e-9))


def fit_pool(network, linear, targets, sample_weight=None, default_share=0.0):
    """Fit the factors of a network and of a linear classifier, before their logits are added.

    Both classifiers are calibrated. Their ensemble is a weighted mean of the logits, calibrated again. Its
    share of the network is the default one, unless the lowest log loss is two standard errors below that of
    it, where the error is that of the difference. Then it is the share nearest to the default one whose log
    loss is within one standard error of the lowest (the one-standard-error rule of Breiman et al. 1984). For
    few texts, errors are widened by Student's distribution, and fewer than `LEAST_TEXTS` do not change the
    share. So a network that does not clearly help gets a share of 0.

    Args:
        network, linear: Calibrated logits, each `(texts, classes)`, of texts that were not trained on.
        targets: True classes, ints `(texts,)`.
        sample_weight: Weights of the texts `(texts,)`, or None.
        default_share: The share of the network unless the texts clearly tell otherwise.

    Returns:
        The factors of `network` and of `linear`, floats of 0 or more.

    Example: a network that knows nothing beside a linear classifier that is right.

    >>> import numpy as np
    >>> from textrnn.classification.scales import fit_pool
    >>> targets = np.array([0, 1] * 50)
    >>> linear, network = 3 * np.eye(2)[targets], np.random.default_rng(0).normal(size=(100, 2))
    >>> fit_pool(network, linear, targets)
    (0.0, 1.0)
    """
    weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, "float64")
    texts = effective_number(weights)
    few = texts < LEAST_TEXTS
    shares = np.array([default_share]) if few else np.unique([*SHARES, default_share])
    factors, found = [], []
    for share in shares:
        pooled = share * network + (1 - share) * linear
        [scale] = fit_scales([pooled], targets, weights)
        factors.append((float(scale * share), float(scale * (1 - share))))
        found.append(log_losses(scale * pooled, targets))
    chosen = 0 if few else _chosen(np.array(found), abs(shares - default_share), weights, texts)
    # The linear classifier alone was calibrated on more texts than these.
    return factors[chosen] if shares[chosen] else (0.0, 1.0)


def _chosen(losses, distances, weights, texts):
    """The index of the share whose log losses, a row for each share, are chosen by the rule of `fit_pool`."""
    from scipy.stats import norm, t

    best = np.average(losses, axis=1, weights=weights).argmin()
    differences = losses - losses[best]
    means = np.average(differences, axis=1, weights=weights)
    variances = np.average((differences - means[:, None]) ** 2, axis=1, weights=weights)
    errors = np.sqrt(variances / (texts - 1))
    one, two = (t.ppf(norm.cdf(wide), texts - 1) for wide in (1, 2))
    allowed = (distances == 0) & (means <= two * errors) | (means <= one * errors)
    return int(np.where(allowed, distances, np.inf).argmin())

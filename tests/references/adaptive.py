"""NumPy references of the neural cache and of dynamic evaluation, one token at a time."""

import numpy as np


def softmax(x):
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def cached_distribution(hidden, tokens, logits, window, theta, share, suppressed=()):
    """The mixture after the last of `tokens`: Grave et al. 2017, equations 3 to 5.

    Args:
        hidden: `(time, features)`, float64.
        tokens: `(time,)`, the tokens that were read.
        logits: `(vocabulary,)`, the model's after the last token.
    """
    model = softmax(logits)
    pairs = [(hidden[i], tokens[i + 1]) for i in range(len(tokens) - 1)][-window:]
    pairs = [(h, token) for h, token in pairs if token not in suppressed]
    if not pairs:
        return model
    weights = softmax(np.array([theta * h @ hidden[-1] for h, _ in pairs]))
    cache = np.zeros_like(model)
    for weight, (_, token) in zip(weights, pairs, strict=True):
        cache[token] += weight
    return (1 - share) * model + share * cache


def dynamic_update(weights, trained, gradients, rms, learning_rate, decay, epsilon):
    """The RMS rule with global prior of Krause et al. 2018, equations 5 to 8."""
    mean = np.mean([r.mean() for r in rms])
    return [
        w - learning_rate * g / (r + epsilon) + np.minimum(decay * r / mean, 1.0) * (w0 - w)
        for w, w0, g, r in zip(weights, trained, gradients, rms, strict=True)
    ]

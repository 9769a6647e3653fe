"""Scores of a language model that adapts to the text while it is evaluated."""

from textrnn.text_generation.cached_evaluation import choose_neural_cache
from textrnn.text_generation.dynamic_evaluation import choose_dynamic_evaluation, gradient_rms


def adaptive_scores(lm, windows, cache=0, dynamic_evaluation=False):
    """Evaluate with a neural cache and by dynamic evaluation, and print the scores.

    Their parameters are chosen on the validation text, as in the papers.

    Args:
        lm: A `textrnn.CausalLM`, whose weights do not change.
        windows: `TextWindows` of the training and the validation text.
        cache: Number of hidden vectors in the cache; 0 for none.
        dynamic_evaluation: Whether to evaluate so. It takes about as long as an epoch on a text of ten times
            the size.

    Returns:
        `(metrics, neural_cache)`: a dict for `metrics.json`, and the `NeuralCache` or None.

    Example:

    >>> from textrnn.data.windows import evaluation_windows
    >>> from textrnn.text_generation.adaptive_evaluation import adaptive_scores
    >>> from textrnn.text_generation.text_windows import TextWindows
    >>> lm = textrnn.CausalLM(textrnn.RecurrentBackbone(vocabulary_size=10, units=4))
    >>> tokens = np.arange(60) % 7
    >>> windows = TextWindows(None, evaluation_windows(tokens, 1, 20), tokens, tokens, characters=60)
    >>> adaptive_scores(lm, windows)
    ({}, None)
    """
    metrics: dict = {}
    chosen = None
    if cache:
        chosen, score = choose_neural_cache(lm, windows.validation, windows.characters, cache)
        print(f"with a neural cache (theta {chosen.theta:g}, share {chosen.share:g}): {score}", flush=True)
        metrics |= _metrics("cached", score) | {"cache": chosen.get_config()}
    if dynamic_evaluation:
        rms = gradient_rms(lm, windows.train_tokens)
        dynamic = choose_dynamic_evaluation(lm, windows.validation_tokens, rms)
        score = dynamic.score(lm, windows.validation_tokens, windows.characters, rms)
        how = f"learning rate {dynamic.learning_rate:g}, decay {dynamic.decay:g}"
        print(f"by dynamic evaluation ({how}): {score}", flush=True)
        parameters = {"learning_rate": dynamic.learning_rate, "decay": dynamic.decay}
        metrics |= _metrics("dynamic", score) | {"dynamic_evaluation": parameters}
    return metrics, chosen


def _metrics(name, score):
    return {
        f"{name}_loss": score.loss,
        f"{name}_perplexity": score.perplexity,
        f"{name}_bits_per_character": score.bits_per_character,
    }

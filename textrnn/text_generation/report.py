"""The report of a trained language model."""


def closing_metrics(result, score):
    """Collect the metrics that a training run writes to `metrics.json`.

    Args:
        result: The `TrainingResult` of `textrnn.training.fit`.
        score: The `LanguageModelScore` on the validation text.

    Returns:
        A dict for `textrnn.reporting.report.save_report`.
    """
    return {
        "held_out_loss": score.loss,
        "held_out_perplexity": score.perplexity,
        "held_out_bits_per_character": score.bits_per_character,
        **result.metrics("tokens"),
    }

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
        "best_epoch": result.best_epoch,
        "stopped": result.stopped,
        "training_seconds": result.seconds,
        "training_tokens_per_second": result.items_per_second,
    }

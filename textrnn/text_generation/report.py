"""The report of a trained language model."""


def closing_metrics(result, score, by_source=None, adapted=None):
    """Collect the metrics that a training run writes to `metrics.json`.

    Args:
        result: The `TrainingResult` of `textrnn.training.fit`.
        score: The `LanguageModelScore` on the validation text.
        by_source: The scores on each source of a mixture, a dict by name.
        adapted: Of a model that was adapted, a `textrnn.text_generation.adaptation.Adaptation`.

    Returns:
        A dict for `textrnn.reporting.report.save_report`.
    """
    return {
        "held_out_loss": score.loss,
        "held_out_perplexity": score.perplexity,
        "held_out_bits_per_character": score.bits_per_character,
        **{
            f"held_out_bits_per_character of {name}": part.bits_per_character
            for name, part in (by_source or {}).items()
        },
        **(adapted.metrics() if adapted else {}),
        **result.metrics("tokens"),
    }

"""The report of a trained language model."""

from textrnn.tasks.execution import execution_of


def describe_training(lm, windows):
    """Print the sizes of a text and of a model, and how its training steps run.

    Args:
        lm: A `textrnn.CausalLM` with a preprocessor.
        windows: `textrnn.text_generation.text_windows.TextWindows`.

    Example:

    >>> import textrnn
    >>> from textrnn.data.documents import Document
    >>> from textrnn.data.sources import Splits
    >>> from textrnn.text_generation.report import describe_training
    >>> from textrnn.text_generation.text_windows import text_windows
    >>> preprocessor = textrnn.CausalLMPreprocessor(textrnn.tokenizers.ByteTokenizer())
    >>> lm = textrnn.CausalLM(textrnn.RecurrentBackbone(258, units=4), preprocessor)
    >>> texts = Splits([Document("a.txt", "to be or not to be " * 9)], [Document("b.txt", "to be")])
    >>> describe_training(lm, text_windows(lm, texts, batch_size=2, sequence_length=8))
    173 training tokens, 7 validation tokens; vocabulary of 258; ... weights
    strategy: recompute, XLA off (no GPU), float32
    """
    print(
        f"{len(windows.train_tokens):,} training tokens, {len(windows.validation_tokens):,} validation "
        f"tokens; vocabulary of {lm.preprocessor.tokenizer.vocabulary_size():,}; "
        f"{lm.count_params():,} weights"
    )
    print(execution_of(lm), flush=True)


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

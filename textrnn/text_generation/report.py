"""The report of a trained language model."""

import numpy as np

from textrnn.errors import warn
from textrnn.tasks.execution import execution_of

UNKNOWN_WORDS = 0.1
"""Share of unknown words above which scores mislead. WikiText-2 and Penn Treebank have half as many."""


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
    for warning in unknown_word_warnings(lm.preprocessor.tokenizer, windows.validation_tokens):
        warn(warning)


def unknown_word_warnings(tokenizer, validation_tokens):
    """Return a warning if a large part of the validation text are words that a tokenizer does not know.

    Args:
        tokenizer: One of `textrnn.tokenizers`.
        validation_tokens: The token stream, of which the first million is looked at.

    Example:

    >>> from textrnn.text_generation.report import unknown_word_warnings
    >>> from textrnn.tokenizers import WordTokenizer
    >>> tokenizer = WordTokenizer.train(["e4 e5 Nf3 Nc6 Bb5"])
    >>> unknown_word_warnings(tokenizer, tokenizer("e4 e5 Bb5 Nf6"))[0][:57]
    '25% of the validation tokens are <unk>, words that are no'
    """
    unknown = getattr(tokenizer, "unk_token_id", None)
    tokens = np.asarray(validation_tokens[:1_000_000])
    if unknown is None or not len(tokens) or (share := np.mean(tokens == unknown)) < UNKNOWN_WORDS:
        return []
    warning = (
        f"{share:.0%} of the validation tokens are <unk>, words that are not in the vocabulary: the scores "
        "do not pay for spelling them, and look too good. Give more text, or another --tokenizer"
    )
    return [warning]


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

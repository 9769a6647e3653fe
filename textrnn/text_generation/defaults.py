"""Defaults of the recipe by the size of the text."""

from collections.abc import Iterable
from typing import NamedTuple


class Defaults(NamedTuple):
    """What a text of a size is trained with.

    Attributes:
        tokenizer: The kind of tokenizer; None for that of a trained model.
        batch_size: Rows per batch: few for a small text, so that an epoch has enough steps.
        epochs: Maximum number of epochs.
        learning_rate: The highest learning rate.
        dropout: Dropout of the inputs and outputs of layers.
    """

    tokenizer: str | None
    batch_size: int
    epochs: int
    learning_rate: float = 0.003
    dropout: float = 0.2


BY_SIZE = (
    (0, Defaults("character", 4, 40)),
    (10_000, Defaults("character", 8, 40)),
    (60_000, Defaults("character", 16, 20)),
    (300_000, Defaults("sentencepiece", 32, 10)),
)
"""Minimum number of characters of the training text, and the defaults from there on."""

ADAPTING = (
    (0, Defaults(None, 4, 5, 0.0005, 0.1)),
    (60_000, Defaults(None, 8, 5, 0.0005, 0.1)),
    (300_000, Defaults(None, 16, 5, 0.001, 0.1)),
    (3_000_000, Defaults(None, 32, 4, 0.001, 0.1)),
)
"""The same for a trained model.

Chosen with the starter model `english` on 50,000 characters of speeches, whose validation part came to 1.459
bits per character. Twice the rate gave 1.470, with dropout 0.2 1.479, with 0.4 1.489. Ten epochs of that
rate with dropout 0.2 gave 1.479 after the first and 1.585 after the last. Larger texts were not compared.
"""

LARGE_VOCABULARY, SAMPLED = 20_000, 4096
"""Size above which the training loss samples tokens of the vocabulary, and how many."""

SMALL_TEXT = 100_000
"""Number of characters below which a new model learns words, but few sentences."""


LITTLE_TEXT = 20_000
"""Number of characters below which a trained model hardly learns from a text.

With batches of 4 rows of 64 tokens, an epoch has few updates, and a tenth of the text, about a page, has to
tell which epoch is the best. Chosen so, not measured.
"""


def defaults_for(characters: int, continued: bool = False) -> Defaults:
    """Return the defaults for a training text.

    Args:
        characters: The size of the text.
        continued: Whether a trained model is adapted, with few epochs at a low rate.

    Example:

    >>> from textrnn.text_generation.defaults import defaults_for
    >>> defaults_for(30_000)
    Defaults(tokenizer='character', batch_size=8, epochs=40, learning_rate=0.003, dropout=0.2)
    """
    table = ADAPTING if continued else BY_SIZE
    return [defaults for minimum, defaults in table if characters >= minimum][-1]


def small_text_warning(characters: int, continued: bool = False, documents: Iterable = ()) -> list[str]:
    """Return a warning if a text is too small to train a model, otherwise nothing.

    It names the starter model of the language of the text, if there is one.

    Args:
        characters: The size of the training text.
        continued: Whether a trained model is adapted, which needs less text than random weights.
        documents: The training text, of which the first documents are looked at.

    Example:

    >>> from textrnn.text_generation.defaults import small_text_warning
    >>> small_text_warning(30_000)[0][:60]
    'the training text has 30,000 characters, too few for a model'
    >>> small_text_warning(30_000, continued=True)
    []
    """
    found = f"the training text has {characters:,} characters, "
    if continued and characters < LITTLE_TEXT:
        warning = (
            f"{found}which can hardly teach a language model: expect little change, and scores that say "
            f"little. Give {LITTLE_TEXT:,} or more"
        )
        return [warning]
    if not continued and characters < SMALL_TEXT:
        advice = _instead_of_random_weights(documents)
        return [f"{found}too few for a model that starts from random weights: {advice}"]
    return []


def _instead_of_random_weights(documents):
    """Say what to expect of random weights, and from which model a text can continue."""
    from textrnn.presets import closest_starter
    from textrnn.text_generation.causal_lm import CausalLM
    from textrnn.tokenizers.text import beginnings_of

    starter, _ = closest_starter(beginnings_of(documents), CausalLM)
    if starter:
        return (
            "expect words, but few sentences. Give more text, or continue from the starter model of its "
            f"language: --from_preset {starter}"
        )
    return (
        "expect little more than what is frequent in it. Give more text, or continue from a trained model "
        "with --from_preset, your own or a starter model (`textrnn models` lists them)"
    )


def sampled_softmax(vocabulary_size: int, given: int | None = None) -> int:
    """Return how many tokens the training loss samples, 0 for all, and print it if nothing was given.

    Args:
        vocabulary_size: Number of tokens.
        given: What was asked for, or None.

    Example:

    >>> from textrnn.text_generation.defaults import sampled_softmax
    >>> sampled_softmax(50_000)
    for a vocabulary of 50,000: --sampled_softmax 4096
    4096
    >>> sampled_softmax(8000), sampled_softmax(50_000, given=0)
    (0, 0)
    """
    if given is not None:
        return given
    if vocabulary_size <= LARGE_VOCABULARY:
        return 0
    print(f"for a vocabulary of {vocabulary_size:,}: --sampled_softmax {SAMPLED}")
    return SAMPLED

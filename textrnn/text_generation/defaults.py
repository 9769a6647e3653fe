"""Defaults of the recipe by the size of the text."""

from typing import NamedTuple


class Defaults(NamedTuple):
    """What a text of a size is trained with.

    Attributes:
        tokenizer: The kind of tokenizer; None for that of a trained model.
        batch_size: Rows per batch: few for a small text, so that an epoch has enough steps.
        epochs: Number of epochs.
    """

    tokenizer: str | None
    batch_size: int
    epochs: int


BY_SIZE = (
    (0, Defaults("character", 4, 40)),
    (10_000, Defaults("character", 8, 40)),
    (60_000, Defaults("character", 16, 20)),
    (300_000, Defaults("sentencepiece", 32, 10)),
)
"""Minimum number of characters of the training text, and the defaults from there on."""

SMALL_TEXT = 100_000
"""Number of characters below which a new model learns words, but few sentences."""


def defaults_for(characters: int, continued: bool = False) -> Defaults:
    """Return the defaults for a training text.

    Args:
        characters: The size of the text.
        continued: Whether training continues with a trained model, which needs few epochs.

    Example:

    >>> from textrnn.text_generation.defaults import defaults_for
    >>> defaults_for(30_000)
    Defaults(tokenizer='character', batch_size=8, epochs=40)
    """
    found = [defaults for minimum, defaults in BY_SIZE if characters >= minimum][-1]
    return Defaults(None, found.batch_size, 10) if continued else found


def small_text_warning(characters: int) -> list[str]:
    """Return a warning if a text is too small to train a model from random weights, otherwise nothing.

    Example:

    >>> from textrnn.text_generation.defaults import small_text_warning
    >>> small_text_warning(30_000)[0][:60]
    'the training text has 30,000 characters, too few for a model'
    """
    if characters >= SMALL_TEXT:
        return []
    warning = (
        f"the training text has {characters:,} characters, too few for a model that starts from random "
        "weights: expect words, but few sentences. Give more text, or continue from a trained "
        "model with --from_preset"
    )
    return [warning]

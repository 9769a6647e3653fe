"""The score of a language model: loss, perplexity and bits per character."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LanguageModelScore:
    """The score of a language model on a validation text.

    Perplexity depends on the tokenizer. Bits per character do not, so they compare models with different
    tokenizers on the same text.

    Attributes:
        loss: Mean negative log-likelihood, in nats per token.
        perplexity: `exp(loss)`, per token.
        bits_per_character: Negative log-likelihood of the text in bits, divided by its number of characters.
        tokens: The number (total weight) of the tokens that were predicted.

    Example:

    >>> from textrnn.text_generation.score import LanguageModelScore
    >>> print(LanguageModelScore(loss=1.25, perplexity=3.49, bits_per_character=0.58, tokens=1200))
    loss 1.2500, perplexity 3.49, 0.580 bits per character over 1,200 tokens
    """

    loss: float
    perplexity: float
    bits_per_character: float
    tokens: float

    def __str__(self):
        return (
            f"loss {self.loss:.4f}, perplexity {self.perplexity:,.2f}, "
            f"{self.bits_per_character:.3f} bits per character over {self.tokens:,.0f} tokens"
        )


def score_of(nats: float, tokens: float, characters: int) -> LanguageModelScore:
    """Return the score of a text from its negative log-likelihood in nats.

    Args:
        nats: The sum over all tokens.
        tokens: Their number (total weight), above 0.
        characters: The number of characters of the text.

    Example:

    >>> from textrnn.text_generation.score import score_of
    >>> round(score_of(nats=6.93147, tokens=5, characters=10).perplexity, 3)
    4.0
    """
    loss = nats / tokens
    return LanguageModelScore(
        loss=loss,
        perplexity=math.exp(loss) if loss < 700 else math.inf,
        bits_per_character=nats / math.log(2) / characters,
        tokens=tokens,
    )

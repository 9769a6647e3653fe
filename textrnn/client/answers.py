"""The answers of a client that are more than a text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Classification:
    """The class of a text.

    Attributes:
        label: The most probable label.
        probabilities: The probability of each label, a dict.
        unfamiliar: Whether the text is unlike those that the vocabulary was learned from.

    Example:

    >>> from textrnn.client import Classification
    >>> Classification("good", {"bad": 0.25, "good": 0.75}).probability
    0.75
    """

    label: str
    probabilities: dict[str, float]
    unfamiliar: bool = False

    @property
    def probability(self) -> float:
        """The probability of the label."""
        return self.probabilities[self.label]


@dataclass(frozen=True)
class Explanation:
    """What each word of a text adds to the log-odds of its label.

    Attributes:
        label: The predicted label.
        words: The words, as in the text.
        weights: What each word adds. They sum to `total`.
        total: The difference to the log-odds of a text without words.
        attention: The share of the attention of each word, or None if the model pools in another way.

    Example:

    >>> from textrnn.client import Explanation
    >>> found = Explanation("good", ["a", "joy"], [0.1, 2.3], 2.4)
    >>> max(zip(found.weights, found.words))
    (2.3, 'joy')
    """

    label: str
    words: list[str]
    weights: list[float]
    total: float
    attention: list[float] | None = None


@dataclass(frozen=True)
class Candidate:
    """One of the n-best translations of a text.

    Attributes:
        text: The translation.
        score: Its score; higher is better.
        tokens: Its tokens.
        attention: For each of its tokens, the attention weights of the source tokens.
        unfinished: Whether it was cut off at the maximum length.
    """

    text: str
    score: float
    tokens: list[str]
    attention: list[list[float]]
    unfinished: bool


@dataclass(frozen=True)
class Translation:
    """The n-best translations of a text.

    Attributes:
        candidates: The `Candidate`s, best first.
        source_tokens: The tokens of the text.
        truncated: Whether the text is longer than the model reads.
        unfamiliar: Whether the text is unlike those that the vocabulary was learned from.
    """

    candidates: list[Candidate]
    source_tokens: list[str]
    truncated: bool
    unfamiliar: bool

    @property
    def text(self) -> str:
        """The best translation.

        Example:

        >>> from textrnn.client import Translation
        >>> Translation([], [], truncated=False, unfamiliar=False).text
        ''
        """
        return self.candidates[0].text if self.candidates else ""

"""Small corpora that make every recipe run with no download."""

from pathlib import Path
from pydoc_data.topics import topics

from textrnn.data.documents import Document
from textrnn.data.labelled import Example, read_labelled
from textrnn.data.starter.phrases import starter_phrases

__all__ = ["starter_phrases", "starter_reviews", "starter_text"]


def starter_text() -> list[Document]:
    """The starter corpus of text generation: the reference text that ships inside Python itself.

    About half a million characters of English prose with tables and code: the topics behind `help("...")`.
    The text differs a little from one version of Python to the next, and so do figures measured on it.

    Returns:
        One `Document` for each topic, sorted by the topic's name.

    Example:
    >>> from textrnn.data.starter import starter_text
    >>> starter_text()[0].origin
    'pydoc_data.topics/assert'
    """
    return [Document(f"pydoc_data.topics/{name}", topics[name]) for name in sorted(topics)]


def starter_reviews() -> tuple[list[Example], list[Example]]:
    """The starter corpus of sentiment analysis: 1,620 short reviews written for this project.

    Of films, meals, trips, trades and things, half of them positive and half negative, from five words to
    fifty-four, and not all of them plain: many speak by negation, contrast, irony or understatement.

    Returns:
        The 1,296 to train on, and the 324 to measure on, which are the same ones always.

    Example:
    >>> from textrnn.data.starter import starter_reviews
    >>> train, test = starter_reviews()
    >>> len(train), len(test), sorted({example.label for example in test})
    (1296, 324, ['negative', 'positive'])
    """
    folder = Path(__file__).parent
    train, test = (read_labelled(folder / f"reviews.{part}.tsv").examples for part in ("train", "test"))
    return train, test

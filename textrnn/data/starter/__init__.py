"""Starter corpora: small data sets on which the recipes run without a download."""

from pathlib import Path
from pydoc_data.topics import topics

from textrnn.data.documents import Document
from textrnn.data.labelled import Example, read_labelled
from textrnn.data.starter.phrases import starter_phrases

__all__ = ["starter_phrases", "starter_reviews", "starter_text"]


def starter_text() -> list[Document]:
    """Return the starter corpus of text generation: the reference text that ships with Python.

    About half a million characters of English prose with tables and code, which `help("...")` shows by topic.
    The text differs slightly between versions of Python, and so do results measured on it.

    Returns:
        One `Document` per topic, sorted by topic.

    Example:

    >>> from textrnn.data.starter import starter_text
    >>> starter_text()[0].origin
    'pydoc_data.topics/assert'
    """
    return [Document(f"pydoc_data.topics/{name}", topics[name]) for name in sorted(topics)]


def starter_reviews() -> tuple[list[Example], list[Example]]:
    """Return the starter corpus of sentiment analysis: 1,620 short reviews written for this project.

    Reviews of films, meals, trips, services and products, half positive and half negative, of 5 to 54 words.
    Many use negation, contrast, irony or understatement.

    Returns:
        The 1,296 training examples and the 324 test examples. The split is fixed.

    Example:

    >>> from textrnn.data.starter import starter_reviews
    >>> train, test = starter_reviews()
    >>> len(train), len(test), sorted({example.label for example in test})
    (1296, 324, ['negative', 'positive'])
    """
    folder = Path(__file__).parent
    train, test = (read_labelled(folder / f"reviews.{split}.tsv").examples for split in ("train", "test"))
    return train, test

"""Small corpora that make every recipe run with no download."""

from pydoc_data.topics import topics

from textrnn.data.files import Document


def starter_text() -> list[Document]:
    """The starter corpus of text generation: the reference text that ships inside Python itself.

    About half a million characters of English prose with tables and code: the topics behind `help("...")`.
    The text differs a little from one version of Python to the next, and so do figures measured on it.

    Returns:
        One `Document` for each topic, sorted by the topic's name.

    Example:
    >>> from textrnn.data.starter import starter_text
    >>> starter_text()[0].source
    'pydoc_data.topics/assert'
    """
    return [Document(f"pydoc_data.topics/{name}", topics[name]) for name in sorted(topics)]

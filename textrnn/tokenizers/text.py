"""Text before tokenization: documents, chunks of long texts, invalid UTF-8, lower case."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

import tensorflow as tf

from textrnn.unicode import well_formed


class Document(Protocol):
    """Any object with a `text` attribute, such as `textrnn.data.documents.Document`."""

    @property
    def text(self) -> str:
        """The text."""


def text_of(document: Document | str) -> str:
    """Return the text of a document, or the string itself, without half surrogate pairs."""
    return well_formed(document if isinstance(document, str) else document.text)


def chunks(text: str, size: int) -> Iterator[str]:
    r"""Split a text into chunks of at most `size` characters.

    Splits after a newline where possible, otherwise at a space, otherwise anywhere.

    Args:
        text: The text.
        size: Maximum number of characters per chunk.

    Yields:
        Chunks that concatenate to the text.

    Example:

    >>> from textrnn.tokenizers.text import chunks
    >>> list(chunks("one two\nthree four\nfive", 12))
    ['one two\n', 'three four\n', 'five']
    """
    start = 0
    while len(text) - start > size:
        end = text.rfind("\n", start, start + size) + 1 or text.rfind(" ", start + 1, start + size)
        end = end if end > start else start + size
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def blocks_of(document: Document | str) -> Iterable[str]:
    """Return the text of a document in parts: those of its method `blocks` if it has one, or all at once."""
    return document.blocks() if hasattr(document, "blocks") else [text_of(document)]


def beginnings_of(documents: Iterable[Document | str]) -> Iterator[str]:
    """Yield the text of each document, or its first part if it has several.

    Example:

    >>> from textrnn.tokenizers.text import beginnings_of
    >>> list(beginnings_of(["one two", "three"]))
    ['one two', 'three']
    """
    for document in documents:
        yield next(iter(blocks_of(document)), "")


def document_chunks(document: Document | str, size: int) -> Iterator[str]:
    r"""Split a document as `chunks` splits its text, without reading all of a long one.

    Example:

    >>> from textrnn.tokenizers.text import document_chunks
    >>> list(document_chunks("one two\nthree four\nfive", 12))
    ['one two\n', 'three four\n', 'five']
    """
    rest = ""
    for block in blocks_of(document):
        *found, rest = chunks(rest + block, size) if rest or block else [""]
        yield from found
    if rest:
        yield rest


def evenly_sampled(documents: Iterable[Document | str], size: int, maximum: int) -> tuple[Iterator[str], int]:
    """Sample documents: all their chunks, or every second, third, ... of them.

    Args:
        documents: The documents. They are read twice.
        size: Maximum number of characters per chunk.
        maximum: Number of characters above which chunks are left out.

    Returns:
        The chunks, and the number of characters of all documents.

    Example:

    >>> from textrnn.tokenizers.text import evenly_sampled
    >>> sample, characters = evenly_sampled(["a b c d e f"], size=2, maximum=6)
    >>> list(sample), characters
    (['a', ' c', ' e'], 11)
    """
    if isinstance(documents, Iterator):
        documents = list(documents)
    characters = sum(len(block) for document in documents for block in blocks_of(document))
    every = -(-characters // maximum) or 1
    parts = (part for document in documents for part in document_chunks(document, size))
    return islice(parts, 0, None, every), characters


def string_tensor(texts) -> tf.Tensor:
    r"""Convert texts to a string tensor.

    Args:
        texts: A str or bytes, a list of them, or a tensor or array of strings. Half surrogate pairs in str,
            which UTF-8 cannot encode, are replaced by U+FFFD.

    Example:

    >>> from textrnn.tokenizers.text import string_tensor
    >>> string_tensor(["cut \ud83d"]).numpy()[0].decode()
    'cut \ufffd'
    """
    try:
        return tf.convert_to_tensor(texts, tf.string)
    except ValueError:  # of which UnicodeEncodeError is one
        return tf.convert_to_tensor(valid_strings(texts), tf.string)


def valid_strings(structure):
    r"""Replace half surrogate pairs by U+FFFD in the str of lists, tuples and dicts. Other values stay.

    Example:

    >>> from textrnn.tokenizers.text import valid_strings
    >>> valid_strings({"text": ["cut \ud83d", b"bytes"]}) == {"text": ["cut \ufffd", b"bytes"]}
    True
    """
    return tf.nest.map_structure(
        lambda value: well_formed(value) if isinstance(value, str) else value, structure
    )


def valid_utf8(strings) -> tf.Tensor:
    r"""Replace invalid UTF-8 by U+FFFD, so that strings can be encoded as JSON.

    Args:
        strings: Strings of any shape.

    Returns:
        A string tensor of the same shape. Valid strings are unchanged.

    Example:

    >>> from textrnn.tokenizers import valid_utf8
    >>> valid_utf8([b"caf\xc3", b"ok"]).numpy()[0].decode()
    'caf\ufffd'
    """
    return tf.strings.unicode_transcode(strings, "UTF-8", "UTF-8", errors="replace", replacement_char=0xFFFD)


def without_cut_character(strings) -> tf.Tensor:
    r"""Remove what is left of a character at the end of generated texts, which a limit of tokens may cut.

    Args:
        strings: Strings of any shape, as `valid_utf8` returns them: the bytes of a part of a character are
            up to three U+FFFD.

    Returns:
        A string tensor of the same shape.

    Example:

    >>> from textrnn.tokenizers.text import valid_utf8, without_cut_character
    >>> without_cut_character(valid_utf8([b"caf\xc3", b"ok"])).numpy().tolist()
    [b'caf', b'ok']
    """
    return tf.strings.regex_replace(strings, r"\x{FFFD}{1,3}\z", "")


_LOCAL = {"I": "i", "İ": "i\u0307", "J": "j", "Į": "į", "Ì": "ì", "Í": "í", "Ĩ": "ĩ"}
"""Capitals that Turkish, Azerbaijani or Lithuanian lower in another way than Unicode does by default."""


def lowercased(strings) -> tf.Tensor:
    """Lowercase strings inside the graph, as `str.lower` does.

    `tf.strings.lower` alone follows the language of the machine, so that a server in Turkey would read "I" as
    "ı" where the model has learned "i".

    Args:
        strings: Valid UTF-8, of any shape.

    Returns:
        A string tensor of the same shape.

    Example:

    >>> from textrnn.tokenizers.text import lowercased
    >>> lowercased(["ISTANBUL", "ΟΔΟΣ"]).numpy().astype("S").tolist() == [b"istanbul", "οδος".encode()]
    True
    """
    for capital, small in _LOCAL.items():
        strings = tf.strings.regex_replace(strings, capital, small)
    return tf.strings.lower(strings, encoding="utf-8")

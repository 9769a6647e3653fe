"""Texts before they are tokens: pieces of long ones, broken UTF-8."""

from collections.abc import Iterator
from typing import Protocol

import tensorflow as tf


class Document(Protocol):
    """Anything with a `text`, such as `textrnn.data.files.Document`."""

    @property
    def text(self) -> str:
        """The text."""


def valid_utf8(strings) -> tf.Tensor:
    r"""Replaces broken UTF-8 by U+FFFD, as JSON needs; other strings stay as they are.

    Args:
        strings: strings of any shape.

    Example:
    >>> from textrnn.tokenizers import valid_utf8
    >>> valid_utf8([b"caf\xc3", b"ok"]).numpy()[0].decode()
    'caf\ufffd'
    """
    return tf.strings.unicode_transcode(strings, "UTF-8", "UTF-8", errors="replace", replacement_char=0xFFFD)


def text_of(document: Document | str) -> str:
    return document if isinstance(document, str) else document.text


def chunks(text: str, size: int) -> Iterator[str]:
    """Cuts a text into pieces of at most `size` characters, at newlines, else spaces, else anywhere."""
    start = 0
    while len(text) - start > size:
        end = text.rfind("\n", start, start + size) + 1 or text.rfind(" ", start + 1, start + size)
        end = end if end > start else start + size
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]

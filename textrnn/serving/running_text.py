"""The text of tokens that come a few at a time, as a stream sends it."""

from collections.abc import Sequence

import numpy as np

REPLACEMENT = "\ufffd"
INCOMPLETE = 3
"""Most bytes of a character whose last one is missing."""


class RunningText:
    r"""A text whose tokens come a few at a time.

    The last tokens are decoded again with the following ones, since a character may take several tokens, and
    a tokenizer of words needs some context.

    Args:
        stop: Texts before which the text ends.

    Attributes:
        tokens: Its tokens so far.

    Example:

    >>> from textrnn.serving.running_text import RunningText
    >>> def detokenize(token_ids):
    ...     return bytes(token_ids).decode("utf-8", "replace")
    >>> text = RunningText(stop=["!"])
    >>> for tokens in (b"na\xc3", b"\xafve! no"):
    ...     text.tokens += tokens
    ...     print(text.take(*map(detokenize, text.undecoded()), None))
    ('na', None)
    ('ïve', 'stop')
    """

    def __init__(self, stop: Sequence[str] = ()):
        self.tokens: list[int] = []
        self._stop = tuple(stop)
        self._start = 0  # the token from which on text is decoded again
        self._known = 0  # the number of characters from there on that are known
        self._whole = 0  # the number of tokens after which no character was incomplete
        self._text = ""  # not yet sent, since it may be the beginning of a stop text

    def undecoded(self) -> tuple[list[int], list[int]]:
        """Two lists of tokens, to be detokenized for `take`."""
        return self.tokens[self._start :], self.tokens[self._whole :]

    def take(self, text: str, last: str, reason: str | None) -> tuple[str, str | None]:
        """Return the new text, as far as it is certain, and why the text has ended.

        Args:
            text, last: The texts of the two lists of `undecoded`.
            reason: Why no more tokens come, or None if they do.

        Returns:
            The new text, and `reason`, or `"stop"` if a stop text has come.
        """
        # An incomplete character is up to three bytes at the end; bytes before them are invalid.
        open_ = min(INCOMPLETE, len(text) - len(text.rstrip(REPLACEMENT)))
        certain = len(text) - open_  # at the end of the text, it stays incomplete, and is left out
        self._text += text[self._known : certain]
        self._known = max(self._known, certain)
        if not open_:  # a tokenizer of words needs some context, and no more
            self._start, self._known, self._whole = self._whole, len(last), len(self.tokens)
        cut = min((at for stop in self._stop if (at := self._text.find(stop)) >= 0), default=None)
        if cut is not None:
            self._text, reason = self._text[:cut], "stop"
        held = 0 if reason else _held_back(self._text, self._stop)
        sent, self._text = self._text[: len(self._text) - held], self._text[len(self._text) - held :]
        return sent, reason


def _held_back(text: str, stops: tuple[str, ...]) -> int:
    """How many of the last characters of a text may be the beginning of a stop text."""
    sizes = (n for stop in stops for n in range(1, min(len(stop), len(text) + 1)) if text.endswith(stop[:n]))
    return max(sizes, default=0)


def padded(lists: Sequence[Sequence[int]]) -> np.ndarray:
    """Lists of tokens as int32 `(lists, tokens)`, with zeros after the shorter ones.

    Example:

    >>> from textrnn.serving.running_text import padded
    >>> padded([[5], [6, 7]]).tolist()
    [[5, 0], [6, 7]]
    """
    array = np.zeros((len(lists), max(1, *map(len, lists))), np.int32)
    for row, tokens in zip(array, lists, strict=True):
        row[: len(tokens)] = tokens
    return array

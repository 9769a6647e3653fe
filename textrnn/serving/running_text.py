"""The text of tokens that come a few at a time, as a stream sends it."""

import copy
from collections.abc import Sequence

import numpy as np

REPLACEMENT = "\ufffd"
INCOMPLETE = 3
"""Most bytes of a character whose last one is missing."""


class RunningText:
    r"""A text whose tokens come a few at a time.

    New tokens are decoded behind earlier ones, since a character may take several tokens, and a tokenizer of
    words puts a space between two of them.

    Args:
        last_token: The last token of the prompt.
        after_space: Whether the prompt ends in a space. A tokenizer of words adds none then.
        stop: Texts before which the text ends. If several occur, the first one counts.

    Attributes:
        tokens: The last token of the prompt, and those of the text so far.

    Example:

    >>> from textrnn.serving.running_text import RunningText
    >>> def detokenize(token_ids):
    ...     return bytes(token_ids).decode("utf-8", "replace")
    >>> text = RunningText(ord(" "), stop=["!"])
    >>> for tokens in (b"na\xc3", b"\xafve! no"):
    ...     text.tokens += tokens
    ...     print(text.take(*map(detokenize, text.undecoded()), None))
    ('na', None)
    ('ïve', 'stop')
    """

    def __init__(self, last_token: int, stop: Sequence[str] = (), after_space: bool = False):
        self.tokens = [last_token]
        self._after_space = after_space
        self._stop = tuple(stop)
        self._start = 0  # the token from which on text is decoded again
        self._whole = 1  # the number of tokens whose text is known, and ended in no incomplete character
        self._known = 0  # the number of characters after them that are known
        self._text = ""  # not yet sent, since it may be the beginning of a stop text

    @property
    def count(self) -> int:
        """The number of tokens of the text so far."""
        return len(self.tokens) - 1

    def first(self, count: int) -> "RunningText":
        """The same text with only so many of its tokens, for `take`, as if the others had not come yet."""
        text = copy.copy(self)
        text.tokens = self.tokens[: count + 1]
        return text

    def undecoded(self) -> tuple[list[int], list[int]]:
        """Two lists of tokens, to be detokenized for `take`."""
        return self.tokens[self._start : self._whole], self.tokens[self._start :]

    def take(self, before: str, text: str, reason: str | None) -> tuple[str, str | None]:
        """Return the new text, as far as it is certain, and why the text has ended.

        Args:
            before, text: The texts of the two lists of `undecoded`.
            reason: Why no more tokens come, or None if they do.

        Returns:
            The new text, and `reason`, or `"stop"` if a stop text has come.
        """
        # An incomplete character is up to three bytes at the end; bytes before them are invalid. At the end
        # of the text it stays incomplete, and is left out.
        open_ = min(INCOMPLETE, len(text) - len(text.rstrip(REPLACEMENT)))
        known = len(before) + self._known
        certain = max(known, len(text) - open_)
        new = text[known:certain]
        if new and self._after_space:
            new = new.removeprefix(" ") if before and before[-1] != " " else new
            self._after_space = False
        self._text += new
        self._known = certain - len(before)
        if not open_:
            self._start, self._whole, self._known = self._whole, len(self.tokens), 0
        held = 0 if reason else _held_back(self._text, self._stop)
        cut = min((at for stop in self._stop if (at := self._text.find(stop)) >= 0), default=None)
        if cut is not None and cut <= len(self._text) - held:  # otherwise another one may begin before it
            self._text, reason, held = self._text[:cut], "stop", 0
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

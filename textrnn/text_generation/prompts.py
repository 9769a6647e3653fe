"""Prompts of samples, and where texts end."""

import re
from collections.abc import Iterable

from textrnn.errors import InputError
from textrnn.serving.running_text import INCOMPLETE, REPLACEMENT

_AFTER_CUT = re.compile(r" \S|[,;:.!?…)»”’、，。！？]")
"""How a line begins after a cut, beside lower case; not by the indentation of code."""

_SENTENCE_END = re.compile(r"([.!?…][\"')»”’]*\s+|[。！？])(?=\S)")


def sample_prompt(documents: Iterable) -> str:
    r"""Return the first words of a line, for samples during training.

    Args:
        documents: Validation documents, objects with a `text`. The first line of a text is passed over, since
            a split may have cut it. If it is the only one, and begins in mid-sentence, so is that sentence.

    Returns:
        At most four words and at most half of the line, with its own spaces, or half of a line whose first
        word is longer; "" if there is no text.

    Example:

    >>> from textrnn.data.documents import Document
    >>> from textrnn.text_generation.prompts import sample_prompt
    >>> sample_prompt([Document("a", "s end.\n******\n  The  cat sat on the mat, and the dog beside it.\n")])
    '  The  cat sat on'
    >>> sample_prompt([Document("names.txt, line 7", "Isabella")])
    'Isab'
    >>> sample_prompt([Document("a", " on the mat. The cat sat beside it, and looked at the dog.")])
    'The cat sat beside'
    >>> sample_prompt([Document("games.txt, line 7", "e4 e5 Nf3 Nc6")])
    'e4 e5'
    """
    from textrnn.tokenizers.text import beginnings_of  # loads TensorFlow, which the command line does later

    start = next(beginnings_of(documents), "")
    lines = [line for line in start.split("\n") if line.strip()]
    lines = [line for line in lines if any(map(str.isalpha, line))] or lines  # no rulers, if possible
    if not lines:
        return ""
    line = lines[1] if len(lines) > 1 else _from_sentence(lines[0])
    half = -(-len(line) // 2)
    ends = [word.end() for word in re.finditer(r"\S+", line) if word.end() <= half]
    return line[: ends[:4][-1] if ends else half]


def _from_sentence(line):
    """Return a line without the rest of a sentence with which it begins, or the blank, after a cut."""
    if not (_AFTER_CUT.match(line) or line[:1].islower()):
        return line
    end = _SENTENCE_END.search(line)
    return line[end.end() :] if end else line.removeprefix(" ")


def cut_at(text: str, stops: Iterable[str], start: int = 0) -> str:
    r"""Cut a text before the first of the stop texts.

    Args:
        text: A prompt and its continuation.
        stops: Texts, none of them empty.
        start: Where the continuation begins. What stands before is never cut.

    Returns:
        The text up to the first stop text, or all of it.

    Raises:
        InputError: If a stop text is empty.

    Example:

    >>> from textrnn.text_generation.prompts import cut_at
    >>> cut_at("Q: why?\nA: because.\nQ: what?", ["\n", "Q:"], start=len("Q: why?\nA:"))
    'Q: why?\nA: because.'
    """
    ends = []
    for stop in stops:
        if not stop:
            raise InputError("a stop text is empty: give the text before which samples end")
        if (found := text.find(stop, start)) >= 0:
            ends.append(found)
    return text[: min(ends)] if ends else text


def without_cut_character(text: str, start: int = 0) -> str:
    r"""Remove what is left of a character at the end of a generated text, which a limit of tokens may cut.

    `textrnn.tokenizers.without_cut_character` does it in a graph.

    Args:
        text: A prompt and its continuation.
        start: Where the continuation begins. What stands before is never removed.

    Returns:
        The text without up to three U+FFFD at the end of the continuation.

    Example:

    >>> from textrnn.text_generation.prompts import without_cut_character
    >>> without_cut_character(b"caf\xc3".decode(errors="replace"))
    'caf'
    """
    least = max(start, len(text) - INCOMPLETE)
    return text[:least] + text[least:].rstrip(REPLACEMENT)

"""Scripts without spaces between words, such as Chinese, Japanese and Thai."""

import re

UNSPACED = (
    "\u0e00-\u0fff"  # Thai, Lao, Tibetan
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u2e80-\u2fff\u3001-\u312f\u31a0-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese, Japanese
    "\uff01-\uff9f"  # full-width punctuation and letters, half-width kana
)
"""Characters of these scripts and their punctuation, for a character class of a regular expression."""

_FIRST, _LAST = re.compile(f"[{UNSPACED}]"), re.compile(f"[{UNSPACED}]$")
_HAN = re.compile("[\u3005\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def mostly_unspaced(texts):
    """Return whether most characters of the texts belong to scripts without spaces.

    Args:
        texts: A list of str; about a thousand of them are sampled.

    Example:

    >>> from textrnn.unspaced import mostly_unspaced
    >>> mostly_unspaced(["我喜欢 Python", "太难吃了"]), mostly_unspaced(["I like 北京"])
    (True, False)
    """
    sample = ["".join(text.split()) for text in texts[:: max(1, len(texts) // 1000)]]
    return 2 * sum(len(_FIRST.findall(text)) for text in sample) > sum(map(len, sample))


def mostly_chinese(texts):
    """Return whether most characters of texts of a script without spaces are Chinese, and hardly any kana.

    Args:
        texts: A list of str; about a thousand of them are sampled.

    Example:

    >>> from textrnn.unspaced import mostly_chinese
    >>> mostly_chinese(["狗在跑。"]), mostly_chinese(["犬が走る。"]), mostly_chinese(["สุนัขวิ่ง"])
    (True, False, False)
    """
    sample = "".join(texts[:: max(1, len(texts) // 1000)])
    letters = [letter for letter in _FIRST.findall(sample) if letter.isalpha()]
    return 10 * len(_HAN.findall(sample)) > 9 * len(letters)


def lengths_of(texts):
    """Return the unit in which texts are measured, and their numbers of it.

    Args:
        texts: A list of str.

    Returns:
        `"words"`, or `"characters"` for scripts without spaces, and a list of int.

    Example:

    >>> from textrnn.unspaced import lengths_of
    >>> lengths_of(["A dog runs."]), lengths_of(["狗在跑。"])
    (('words', [3]), ('characters', [4]))
    """
    if mostly_unspaced(texts):
        return "characters", [len("".join(text.split())) for text in texts]
    return "words", [len(text.split()) for text in texts]


def separators(words, text=""):
    """Return what stands before each word: a space or nothing.

    It is what the text has there. Before words that are not found in it, it is a space, but for the first
    word and beside unspaced scripts.

    Args:
        words: A list of str.
        text: The text of these words, if it is known.

    Example:

    >>> from textrnn.unspaced import separators
    >>> separators(["so", "dull", "太", "难吃"])
    ['', ' ', '', '']
    >>> separators(["太", "难吃"], "太 难吃")
    ['', ' ']
    """
    spaces, end = [], 0
    for before, word in zip(["", *words], words, strict=False):
        start = text.find(word, end) if word else -1
        if start >= 0:
            spaced = text[start - 1 : start].isspace()
            end = start + len(word)
        else:
            spaced = not _LAST.search(before) and not _FIRST.match(word)
        spaces.append(" " if before and spaced else "")
    return spaces

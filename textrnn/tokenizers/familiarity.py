"""How familiar a text is to a trained vocabulary: whether both are in the same language."""

from collections.abc import Callable, Iterable

import numpy as np

OTHER_LANGUAGE = 1.7
"""Typical relative surprisal above which a text is in another language than the vocabulary.

In 33 sources of English, French, German and Spanish, the median line has 0.9 to 1.2 with the vocabulary of
its language, and 1.8 to 2.7 with the three others. All 652 groups of 20 lines were judged rightly. By the
share of tokens that are bytes, with the best threshold, a fifth of them were not, since English has few
characters that other vocabularies lack.
"""

ALLOWANCE = 10.0
"""A text of n characters is unfamiliar if its relative surprisal exceeds `OTHER_LANGUAGE + ALLOWANCE / n`.

One rare word can cost as much as ten characters. Of lines of 20 characters or more, a vocabulary of their
language calls 0 to 3 % unfamiliar in 23 of 25 sources (7 and 8 % where they hold many names and addresses),
and one of another language 70 to 100 %, but 54 % of Spanish sentences with the French vocabulary. Shorter
lines are judged less well. `benchmarks/unfamiliar.py` prints all these shares.
"""

ANY_LANGUAGE = r"https?://\S+|[\x{2000}-\x{206F}\p{So}\p{Sk}\x{FE0F}]+"
"""What texts in any language may have, as a regular expression of RE2: addresses, typographic quotes and
dashes, emoji. A vocabulary without them spells them in bytes, of which an emoji takes 4 to 20."""

SAMPLE_LINES = 500
"""Number of lines that are looked at."""

LINE_CHARACTERS, SHORTEST = 200, 20
"""Lines are looked at up to one length, and from the other on."""


def sample_lines(texts: Iterable[str]) -> list[str]:
    r"""Return the first lines of some texts. Those that are too short to tell a language are joined.

    Example:

    >>> from textrnn.tokenizers.familiarity import sample_lines
    >>> sample_lines(["short\nA line that is long enough.\n", "too short\n", "as well"])
    ['A line that is long enough.', 'short too short as well']
    """
    lines: list[str] = []
    short = ""
    for text in texts:
        for part in text[:100_000].split("\n"):
            line = part[:LINE_CHARACTERS].strip()
            if len(line) < SHORTEST:
                short = f"{short} {line}".strip()
                line, short = (short, "") if len(short) >= SHORTEST else ("", short)
            if line:
                lines.append(line)
            if len(lines) == SAMPLE_LINES:
                return lines
    return lines


def typical_surprisal(tokenizer, lines: list[str]) -> float:
    r"""Return the median of `tokenizer.relative_surprisal`; infinity without lines.

    Args:
        tokenizer: One of `textrnn.tokenizers`.
        lines: Lines, or short texts.

    Example:

    >>> from textrnn.tokenizers import SentencePieceTokenizer
    >>> from textrnn.tokenizers.familiarity import OTHER_LANGUAGE, typical_surprisal
    >>> english = SentencePieceTokenizer.train(["The cat sat on the mat, and the dog beside it.\n"] * 9)
    >>> typical_surprisal(english, ["The dog sat on the mat."]) < OTHER_LANGUAGE
    True
    >>> typical_surprisal(english, ["Η γάτα κάθεται στο χαλί."]) > OTHER_LANGUAGE
    True
    """
    return float(np.median(tokenizer.relative_surprisal(lines))) if lines else float("inf")


def unfamiliar_text_warnings(
    tokenizer, texts: Iterable[str], name, advice: Callable[[list[str]], str]
) -> list[str]:
    r"""Return a warning if texts are in another language than those that a tokenizer was trained on.

    Args:
        tokenizer: One of `textrnn.tokenizers`.
        texts: The texts, of which the first ones are looked at.
        name: The name of the model.
        advice: A function of lines of the texts that says what to do, a sentence without its full stop. It is
            called only for a warning.

    Example:

    >>> from textrnn.tokenizers import SentencePieceTokenizer
    >>> from textrnn.tokenizers.familiarity import unfamiliar_text_warnings
    >>> english = SentencePieceTokenizer.train(["The cat sat on the mat, and the dog beside it.\n"] * 9)
    >>> greek = ["Η γάτα κάθεται στο χαλί."]
    >>> [warning] = unfamiliar_text_warnings(english, greek, "english", lambda lines: "Leave it out")
    >>> warning[:52]
    'the text fits the vocabulary of english badly: most '
    """
    lines = sample_lines(texts)
    surprisal = typical_surprisal(tokenizer, lines)
    if not lines or surprisal < OTHER_LANGUAGE:
        return []
    ids = tokenizer.tokenize(lines).values.numpy()
    share = np.mean(np.isin(ids, tokenizer.byte_token_ids))
    spelled = f", and {share:.0%} of their tokens are bytes" if share >= 0.005 else ""
    warning = (
        f"the text fits the vocabulary of {name} badly: most lines take {surprisal:.1f} times the bits per "
        f"character of its own training text{spelled}. {advice(lines)}"
    )
    return [warning]

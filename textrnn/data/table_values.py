"""Table values as text: the spelling of numbers, and missing values."""

import datetime
import math
import numbers
from collections.abc import Iterable
from typing import Any

from textrnn.errors import is_integer, is_number

MISSING = frozenset(["", "nan", "n/a", "n.a.", "#n/a", "<na>", "null"])
"""Spellings of a missing value in any case. `None` is not one of them: it may be the name of a class."""


def is_missing(value: Any) -> bool:
    """Return whether a value of a table is missing: None, NaN, `NA`, or a str in `MISSING`.

    Example:

    >>> from textrnn.data.table_values import is_missing
    >>> [is_missing(value) for value in (None, float("nan"), " ", "N/A", "None", 0)]
    [True, True, True, True, False, False]
    """
    if isinstance(value, str):
        value = value.strip()
        return value == "NA" or value.casefold() in MISSING  # in lower case it is a word
    return value is None or (isinstance(value, numbers.Real) and math.isnan(value))


def spelled(value: Any) -> str:
    """Spell a value of a table. Numbers that are equal are spelled alike.

    Args:
        value: A str, a number, a bool, or a date, time or duration.

    Raises:
        TypeError: For a list, a dict or another value that is not text.

    Example:

    >>> from textrnn.data.table_values import spelled
    >>> [spelled(value) for value in (1, 1.0, 1.5, True, "a")]
    ['1', '1', '1.5', 'true', 'a']
    """
    if isinstance(value, str):
        return value
    if is_integer(value):
        return str(int(value))
    if is_number(value) and math.isfinite(value):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
        return str(value)
    if type(value).__name__.startswith("bool"):  # or numpy's
        return str(value).lower()  # as in JSON and most tables
    raise TypeError(f"{value!r} is not a text or a number")


def in_order(labels: Iterable[str]) -> list[str]:
    """Sort labels: numerically if all of them are numbers, otherwise as str.

    Example:

    >>> from textrnn.data.table_values import in_order
    >>> in_order({"10", "2", "1"}), in_order({"10", "2", "good"})
    (['1', '2', '10'], ['10', '2', 'good'])
    """
    labels = list(labels)
    try:
        ranks = {label: float(label) for label in labels}
    except ValueError:
        return sorted(labels)
    if any(map(math.isnan, ranks.values())):  # a word, which has no place among numbers
        return sorted(labels)
    return sorted(labels, key=lambda label: (ranks[label], label))

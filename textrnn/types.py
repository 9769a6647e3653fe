"""Types of options: ranges and names that jsonargparse checks, in flags and YAML files."""

import types
from math import inf
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, get_args, get_origin

if TYPE_CHECKING:
    PositiveInt: TypeAlias = int
    NonNegativeInt: TypeAlias = int
    Seed: TypeAlias = int
    LongSeed: TypeAlias = int
    Beams: TypeAlias = int
    MaxNewTokens: TypeAlias = int
    SampleLength: TypeAlias = int
    Port: TypeAlias = int
    PositiveNumber: TypeAlias = float
    NonNegativeNumber: TypeAlias = float
    Fraction: TypeAlias = float
    SplitFraction: TypeAlias = float
    HeldOutFraction: TypeAlias = float
    Probability: TypeAlias = float
    LengthPenalty: TypeAlias = float
    ModelName: TypeAlias = str
else:
    from jsonargparse.typing import (
        NonNegativeInt,
        OpenUnitInterval,
        PositiveInt,
        restricted_number_type,
        restricted_string_type,
    )

    def _number(name, base, expected, low, high):
        return restricted_number_type(name, base, [low, high], docstring=expected)

    SplitFraction = OpenUnitInterval
    Seed = _number("Seed", int, "an integer from 0 to 2147483647", (">=", 0), ("<", 2**31))
    LongSeed = _number("LongSeed", int, "an integer from 0 to 2**63 - 1", (">=", 0), ("<", 2**63))
    Beams = _number("Beams", int, "an integer from 1 to 32", (">=", 1), ("<=", 32))
    MaxNewTokens = _number("MaxNewTokens", int, "an integer from 0 to 1024", (">=", 0), ("<=", 1024))
    SampleLength = _number("SampleLength", int, "an integer from 0 to 4096", (">=", 0), ("<=", 4096))
    Port = _number("Port", int, "an integer from 0 to 65535", (">=", 0), ("<=", 65535))
    PositiveNumber = _number("PositiveNumber", float, "a number above 0", (">", 0), ("<", inf))
    NonNegativeNumber = _number("NonNegativeNumber", float, "a number of at least 0", (">=", 0), ("<", inf))
    Fraction = _number("Fraction", float, "a number of at least 0 and below 1", (">=", 0), ("<", 1))
    HeldOutFraction = _number(
        "HeldOutFraction", float, "a number above 0 and below 0.5", (">", 0), ("<", 0.5)
    )
    Probability = _number("Probability", float, "a number above 0 and at most 1", (">", 0), ("<=", 1))
    LengthPenalty = _number("LengthPenalty", float, "a number from 0 to 10", (">=", 0), ("<=", 10))
    ModelName = restricted_string_type(
        "ModelName",
        r"[A-Za-z0-9][A-Za-z0-9._-]*\Z",
        docstring="letters, digits, '.', '_' and '-', since it is part of a URL",
    )

_EXPECTED: dict[Any, str] = {
    PositiveInt: "an integer of at least 1",
    NonNegativeInt: "an integer of at least 0",
    SplitFraction: "a number above 0 and below 1",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    Path: "a path",
}


def expected(annotation: Any) -> str:
    """Describe the values that an option accepts.

    Args:
        annotation: A type of this module, a plain type, a `Literal`, or one of them or None or a dict.

    Example:

    >>> from typing import Literal
    >>> from textrnn.types import Fraction, expected
    >>> expected(Fraction | None)
    'a number of at least 0 and below 1'
    >>> expected(Literal["max", "mean", "last"])
    'max, mean or last'
    """
    kind = single_type(annotation)
    if get_origin(kind) is Literal:
        *names, last = map(str, get_args(kind))
        return f"{', '.join(names)} or {last}" if names else last
    found = _EXPECTED.get(kind) or kind.__doc__
    for mapping in get_args(annotation):
        if get_origin(mapping) is dict:  # "a path, or several, each with an integer of at least 1"
            found += f", or several, each with {expected(get_args(mapping)[1])}"
    return found


def conforms(value: Any, annotation: Any) -> bool:
    """Whether an argument of a Python function is among the values that an option accepts.

    Unlike an option on the command line, it is not text to be parsed: "3" is not an integer.

    Args:
        value: The argument.
        annotation: As for `expected`.

    Example:

    >>> from textrnn.types import PositiveInt, conforms
    >>> conforms(3, PositiveInt), conforms("3", PositiveInt), conforms(0, PositiveInt)
    (True, False, False)
    >>> conforms(None, PositiveInt | None)
    True
    """
    kind = single_type(annotation)
    if value is None:
        return kind is not annotation
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if kind is bool or not issubclass(kind, (int, float)):
        return isinstance(value, kind)
    if isinstance(value, bool) or not isinstance(value, Integral if issubclass(kind, int) else Real):
        return False
    try:
        kind(value)
    except ValueError:
        return False
    return True


def single_type(annotation: Any) -> Any:
    """The type of a value on the command line: without `| None`, and without the dict of a YAML file.

    Example:

    >>> from textrnn.types import single_type
    >>> single_type(float | None), single_type(dict[str, int] | float | None)
    (<class 'float'>, <class 'float'>)
    """
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = get_args(annotation)
        [annotation] = [kind for kind in kinds if kind is not type(None) and get_origin(kind) is not dict]
    return annotation


def plain(value: Any) -> Any:
    """Convert a number or string of one of these types to Python's own type.

    Example:

    >>> from textrnn.types import Fraction, plain
    >>> type(Fraction(0.5)) is float, type(plain(Fraction(0.5))) is float
    (False, True)
    """
    return next((kind(value) for kind in (bool, int, float, str) if isinstance(value, kind)), value)

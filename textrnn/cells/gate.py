"""Learned gates as data: what a gate reads, its activation, and ties between gates."""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import NamedTuple, TypeVar

from textrnn.errors import InputError, unknown_argument

ROLES = ("input", "forget", "reset", "candidate", "output")
"""The roles of gates, in the order of their blocks in a cell's weights (Keras's order for LSTM and GRU)."""

SOURCES = {
    "input": "W·x: the input through a matrix",
    "previous input": "V·x(t−1): the previous input through a matrix; with `input`, a causal convolution",
    "raw input": "x itself, or P·x where the input is not `units` wide",
    "state": "U·h: the output of the previous step through a matrix",
    "modulated state": "U·m with m = (W·x) ⊙ (U·h), in place of U·h",
    "gates": "R·i + R·f + ...: every learned gate of the previous step, each through a matrix",
    "memory": "p ⊙ c: a peephole; the output gate reads c at t, the others at t−1",
}
"""What a gate can read. All except `gates` also accept an activation: `"tanh(state)"`."""

INPUT_SOURCES = ("input", "raw input")
STATE_SOURCES = ("state", "modulated state")
INPUT_PRODUCTS = ("input", "previous input")
RECURRENT_PRODUCTS = (*STATE_SOURCES, "gates")

COMMON_ACTIVATIONS = frozenset(
    {
        *("elu", "exponential", "gelu", "hard_sigmoid", "leaky_relu", "linear", "mish", "relu", "selu"),
        *("sigmoid", "silu", "softplus", "softsign", "swish", "tanh"),
    }
)
"""Elementwise activations of Keras that are known without importing it, so that declaring a gate is fast."""

_Declared = TypeVar("_Declared")

_TIE = re.compile(
    r"\s*(?P<complement>1\s*-)?\s*(?P<role>\w+)\s*(\(\s*s\s*(?P<shift>[+-]\s*\d+(\.\d*)?([eE][+-]?\d+)?)\s*\))?\s*"
)
_READ = re.compile(r"\s*((?P<activation>\w+)\s*\(\s*(?P<inner>[\w ]*?)\s*\)|(?P<source>[\w ]*?))\s*")


class Read(NamedTuple):
    """One thing a gate reads: a source, and the activation applied to it, if any."""

    source: str
    activation: str | None = None

    def __str__(self):
        return f"{self.activation}({self.source})" if self.activation else self.source


class Tie(NamedTuple):
    """A part tied to a gate: equal to it or to one minus it, with its pre-activation shifted by a number."""

    role: str
    complement: bool = False
    shift: float = 0.0

    def __str__(self):
        number = repr(abs(self.shift)).removesuffix(".0")
        shift = f"(s {'-' if self.shift < 0 else '+'} {number})" if self.shift else ""
        return ("1 - " if self.complement else "") + self.role + shift


def parse_read(term: str) -> Read:
    """Parse what a gate reads: `"tanh(state)"` gives `Read("state", "tanh")`.

    Raises:
        InputError: If the source is not in `SOURCES`, or Keras does not know the activation.

    Example:

    >>> from textrnn.cells.gate import parse_read
    >>> parse_read("memory")
    Read(source='memory', activation=None)
    """
    match = _READ.fullmatch(term) if isinstance(term, str) else None
    source = None if match is None else match["inner"] if match["activation"] else match["source"]
    if match is None or source not in SOURCES:
        wrong = term if source is None else source
        raise InputError(
            f"a gate cannot read {wrong!r}: use any of {', '.join(SOURCES)}, "
            "or an activation of one, such as 'tanh(state)'"
        )
    if match["activation"] is None:
        return Read(source)
    check_activation(match["activation"])
    if source == "gates":
        raise InputError(f"'gates' takes no activation: write 'gates' instead of {term!r}")
    return Read(source, match["activation"])


def parse_tie(tie: str) -> Tie:
    """Parse a tie: `"1 - input"` gives `Tie("input", complement=True)`.

    Raises:
        InputError: If the string is not a tie.

    Example:

    >>> from textrnn.cells.gate import parse_tie
    >>> parse_tie("1 - forget(s - 0.5)")
    Tie(role='forget', complement=True, shift=-0.5)
    """
    match = _TIE.fullmatch(tie)
    if match is None:
        raise InputError(
            f"cannot read the tie {tie!r}: write the name of a gate, such as 'forget', one minus it, "
            "'1 - forget', or either with a shifted pre-activation s, '1 - forget(s - 1)'"
        )
    shift = float(re.sub(r"\s", "", match["shift"])) if match["shift"] else 0.0
    return Tie(match["role"], match["complement"] is not None, shift)


def check_activation(name: str) -> None:
    """Check that Keras knows an activation.

    Raises:
        InputError: If it does not, or if `name` is a function, which cannot be saved as JSON.

    Example:

    >>> from textrnn.cells.gate import check_activation
    >>> check_activation("tanh")
    """
    if isinstance(name, str) and name in COMMON_ACTIVATIONS:
        return
    import keras

    try:
        if not isinstance(name, str):
            raise ValueError
        keras.activations.get(name)
    except ValueError:
        raise InputError(
            f"unknown activation {name!r}: give the name of one in keras.activations, such as 'tanh'"
        ) from None


def check_names(cls: type, names: Iterable[str], what: str) -> None:
    """Check that arguments are fields of a dataclass.

    Args:
        cls: The dataclass.
        names: The names of arguments.
        what: What takes these arguments, for the message.

    Raises:
        InputError: For an unknown name. The message suggests one, or lists all.

    Example:

    >>> from textrnn.cells.gate import Gate, check_names
    >>> check_names(Gate, ["read"], "this gate")
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: this gate has no argument 'read': did you mean 'reads'?
    """
    known = [entry.name for entry in fields(cls)]  # type: ignore[arg-type]
    for name in names:
        if name not in known:
            raise unknown_argument(what, name, known)


def refusing_unknown_names(cls: type[_Declared]) -> type[_Declared]:
    """Decorate a dataclass so that its constructor refuses unknown arguments by `check_names`.

    Python's own error does not say which ones there are.
    """
    construct = cls.__init__

    @functools.wraps(construct)
    def checked(self, *args, **kwargs):
        check_names(cls, kwargs, cls.__name__)
        construct(self, *args, **kwargs)

    cls.__init__ = checked  # type: ignore[method-assign]
    return cls


@refusing_unknown_names
@dataclass(frozen=True)
class Gate:
    """A learned gate: `activation(sum of what it reads + bias)`.

    Args:
        activation: The name of a Keras activation.
        reads: One or more of `"input"` (W·x), `"state"` (U·h, with the output h at t−1), `"memory"` (p ⊙ c, a
            peephole), `"previous input"`, `"raw input"`, `"modulated state"` and `"gates"`; see `SOURCES`.
            Gates read the memory at t−1, except that the output gate reads it at t (Gers & Schmidhuber 2000).
            `"tanh(state)"` is U·tanh(h). Any activation can be applied to any source except `"gates"`.

    Raises:
        InputError: For an unknown argument, activation or source, a source given twice, or a gate that reads
            nothing. Whether an activation preserves shape is checked when a cell is created.

    Example:

    >>> import textrnn
    >>> textrnn.Gate(reads=("input", "tanh(state)", "memory"))
    Gate(activation='sigmoid', reads=('input', 'tanh(state)', 'memory'))
    """

    activation: str = "sigmoid"
    reads: tuple[str, ...] | str = ("input", "state")

    def __post_init__(self):
        check_activation(self.activation)
        if not isinstance(self.reads, Iterable):
            raise InputError(
                f"reads is {self.reads!r}: give one or more sources, such as 'input' or ('input', 'state')"
            )
        given = (self.reads,) if isinstance(self.reads, str) else tuple(self.reads)
        reads = sorted(
            {parse_read(term) for term in given}, key=lambda read: list(SOURCES).index(read.source)
        )
        if not reads:
            raise InputError("this gate reads nothing: give a source to read, or a number instead of a Gate")
        _check_sources([read.source for read in reads])
        object.__setattr__(self, "reads", tuple(map(str, reads)))

    @property
    def sources(self) -> dict[str, str | None]:
        """The sources it reads, each with the activation applied to it, or None."""
        return {read.source: read.activation for read in map(parse_read, self.reads)}


def _check_sources(sources):
    twice = {source for source in sources if sources.count(source) > 1}
    if twice:
        raise InputError(f"a gate reads {min(twice)!r} in two ways: choose one")
    if set(STATE_SOURCES) <= set(sources):
        raise InputError("a gate reads both 'state' and 'modulated state': choose one")

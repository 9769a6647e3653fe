"""Gated architectures as data: which gates there are, what each reads, and which are tied or constant."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from numbers import Real
from typing import Any, NamedTuple

import keras

from textrnn.errors import InputError

ROLES = ("input", "forget", "reset", "candidate", "output")
"""The parts a gate can play, in the order of their blocks in a cell's weights: Keras's for LSTM and GRU."""

SOURCES = {
    "input": "W·x, the input through a matrix",
    "previous input": "V·x, with the input at t−1: together with `input` a causal convolution of width 2",
    "raw input": "x itself, or P·x where the input is not `units` wide",
    "state": "U·h, with the output h at t−1, through a matrix",
    "modulated state": "U·m, with m = (W·x) ⊙ (U·h), the state modulated by the input, in place of h",
    "gates": "R·i + R·f + ..., with every learned gate at t−1, each through a matrix",
    "memory": "p ⊙ c, elementwise (a peephole); the output gate reads c as it is at t, others at t−1",
}
"""What a gate can read, and how. An activation may stand around any but the gates: `"tanh(state)"`."""

INPUT_SOURCES = ("input", "raw input")
STATE_SOURCES = ("state", "modulated state")
INPUT_PRODUCTS = ("input", "previous input")
RECURRENT_PRODUCTS = (*STATE_SOURCES, "gates")

_TIE = re.compile(
    r"\s*(?P<complement>1\s*-)?\s*(?P<role>\w+)\s*(\(\s*s\s*(?P<shift>[+-]\s*\d+(\.\d*)?([eE][+-]?\d+)?)\s*\))?\s*"
)
_READ = re.compile(r"\s*((?P<activation>\w+)\s*\(\s*(?P<inner>[\w ]*?)\s*\)|(?P<source>[\w ]*?))\s*")


class Read(NamedTuple):
    """One term of what a gate reads: a source, and the activation around it."""

    source: str
    activation: str | None = None

    def __str__(self):
        return f"{self.activation}({self.source})" if self.activation else self.source


class Tie(NamedTuple):
    """What ties a part to a gate: its value, or one minus it, with its pre-activation shifted."""

    role: str
    complement: bool = False
    shift: float = 0.0

    def __str__(self):
        shift = f"(s {'-' if self.shift < 0 else '+'} {abs(self.shift):g})" if self.shift else ""
        return ("1 - " if self.complement else "") + self.role + shift


def parse_read(term: str) -> Read:
    """`"tanh(state)"` -> `Read("state", "tanh")`.

    Raises:
        InputError: for a source that is not in `SOURCES` or an activation that Keras does not know.

    Example:
    >>> from textrnn.cells.spec import parse_read
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
    _check_activation(match["activation"])
    if source == "gates":
        raise InputError(f"a gate reads the gates as they are: write 'gates' in place of {term!r}")
    return Read(source, match["activation"])


def parse_tie(tie: str) -> Tie:
    """`"1 - input"` -> `Tie("input", complement=True)`.

    Raises:
        InputError: for what is no tie.

    Example:
    >>> from textrnn.cells.spec import parse_tie
    >>> parse_tie("1 - forget(s - 0.5)")
    Tie(role='forget', complement=True, shift=-0.5)
    """
    match = _TIE.fullmatch(tie)
    if match is None:
        raise InputError(
            f"cannot read the tie {tie!r}: write the name of a gate, '1 - ' and the name, or, with what its "
            "activation is applied to shifted, '1 - forget(s - 1)'"
        )
    shift = float(re.sub(r"\s", "", match["shift"])) if match["shift"] else 0.0
    return Tie(match["role"], match["complement"] is not None, shift)


def _check_activation(name):
    # Keras's activations are looked up by name alone: a function could not be written to JSON.
    try:
        if not isinstance(name, str):
            raise ValueError
        keras.activations.get(name)
    except ValueError:
        raise InputError(
            f"unknown activation {name!r}: name one of keras.activations, such as 'tanh'"
        ) from None


def _check_reads(sources):
    twice = {source for source in sources if sources.count(source) > 1}
    if twice:
        raise InputError(f"a gate reads {min(twice)!r} in two ways: choose one of them")
    if set(STATE_SOURCES) <= set(sources):
        raise InputError("a gate reads both 'state' and 'modulated state': leave one of them out")


@dataclass(frozen=True)
class Gate:
    """A learned gate: `activation(sum of what it reads + bias)`.

    Args:
        activation: the name of a Keras activation.
        reads: any of `SOURCES`: `"input"` (W·x), `"state"` (U·h, where h is the output at t−1), `"memory"`
            (p⊙c, elementwise: a peephole), `"previous input"`, `"raw input"`, `"modulated state"` and
            `"gates"`. The memory is that of t−1; the output gate, which acts after the memory has changed,
            reads it as it is at t (Gers & Schmidhuber 2000). `"tanh(state)"` is U·tanh(h), and so for any
            activation and any source but the gates.

    Raises:
        InputError: for an activation that Keras does not know, a source that is not in `SOURCES`, the same
            one twice, or a gate that reads nothing. That the activation gives one value for each it takes
            is checked where a cell is made, since it has to be run for that.

    Example:
    >>> import textrnn
    >>> textrnn.Gate(reads=("input", "tanh(state)", "memory"))
    Gate(activation='sigmoid', reads=('input', 'tanh(state)', 'memory'))
    """

    activation: str = "sigmoid"
    reads: tuple[str, ...] | str = ("input", "state")

    def __post_init__(self):
        _check_activation(self.activation)
        if not isinstance(self.reads, Iterable):
            raise InputError(
                f"reads is {self.reads!r}: give what the gate reads, such as 'input' or ('input', 'state')"
            )
        given = (self.reads,) if isinstance(self.reads, str) else tuple(self.reads)
        reads = sorted(
            {parse_read(term) for term in given}, key=lambda read: list(SOURCES).index(read.source)
        )
        if not reads:
            raise InputError("a gate that reads nothing is constant: write a number in its place")
        _check_reads([read.source for read in reads])
        object.__setattr__(self, "reads", tuple(map(str, reads)))

    @property
    def sources(self) -> dict[str, str | None]:
        """What it reads: the source, and the activation around it or None."""
        return {read.source: read.activation for read in map(parse_read, self.reads)}


@dataclass(frozen=True)
class GateSpec:
    """A gated recurrent architecture, declared.

    With x the input, h the output and c the memory, one step is

        c = forget ⊙ c + input ⊙ candidate
        h = output ⊙ output_activation(c)

    where without a separate memory h = c. The candidate is a learned `Gate`; every other part is a `Gate`,
    a number, or a string that ties it to another: `"input"`; `"1 - input"`; or `"1 - forget(s - 1)"`, where s
    is what that gate's activation is applied to. A tie to a number is stored as the number it comes to. The
    reset multiplies what the candidate reads of the state. A part that a model lacks is the number that has
    no effect, and that is its default; so `GateSpec()` is the simple recurrent network
    h = tanh(Wx + Uh + b).

    From the declaration follow the states (`states`), how a step depends on the one before (`kind`), and the
    equations that `textrnn cells NAME` prints.

    Args:
        candidate: what is written to the memory.
        forget: how much of the memory is kept.
        input: how much of the candidate is written.
        output: how much of a separate memory is shown.
        reset: how much of the state the candidate sees.
        separate_memory: whether the memory c is a second state beside h.
        reset_after: whether the reset acts after the candidate's recurrent matrix, r⊙(Uh + b′), which has a
            bias of its own as in cuDNN, rather than before it, U(r⊙h).
        output_activation: the name of the Keras activation between a separate memory and the output.
        layer_norm: whether to normalise what gates read through matrices (Ba et al. 2016, Layer
            normalization), with gains and shifts. What a gate reads of the input is summed and normalised,
            LN(W·x(t) + V·x(t−1)), and so is what it reads of the step before, LN(U·h + R·i + R·f + ...),
            where h may be the modulated state; each for all gates together, as one vector, but for a
            candidate whose state is reset before its matrix, which waits for the reset and is normalised
            apart. A separate memory is shown as LN(c). Not normalised are biases, peepholes, the raw input,
            and the factors of a modulated state. The state of a previous input is V·x as it is.
        name: what to call it.
        source: where it was published. Two specs that compute the same are equal whatever these two say.

    Raises:
        InputError: for a spec that contradicts itself; the message says what to change.

    Example: coupled gates (Greff et al. 2017), from the LSTM.

    >>> import dataclasses, textrnn
    >>> from textrnn.cells import gate_spec
    >>> cifg = dataclasses.replace(gate_spec("lstm"), name="cifg", forget="1 - input")
    >>> textrnn.GateSpec.from_config(cifg.get_config()) == cifg
    True
    >>> cifg.kind, cifg.states
    ('S', ('state', 'memory'))
    >>> textrnn.GateSpec(output=textrnn.Gate())
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: output has no memory to gate: set separate_memory=True, or leave output out
    """

    candidate: Gate = Gate("tanh")
    forget: Gate | float | str = 0.0
    input: Gate | float | str = 1.0
    output: Gate | float | str = 1.0
    reset: Gate | float | str = 1.0
    separate_memory: bool = False
    reset_after: bool = False
    output_activation: str = "linear"
    layer_norm: bool = False
    name: str = field(default="custom", compare=False)
    source: str = field(default="", compare=False)

    def __post_init__(self):
        for name in ("separate_memory", "reset_after", "layer_norm"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is {getattr(self, name)!r}: give True or False")
        for name in ("name", "source"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} is {getattr(self, name)!r}: give a string")
        for role in ROLES:
            object.__setattr__(self, role, _normalised(role, getattr(self, role)))
        _check_activation(self.output_activation)
        _check_ties(self)
        for role in ROLES:
            object.__setattr__(self, role, _resolved(self, role))
        _check_use(self)

    @property
    def learned(self) -> tuple[str, ...]:
        """The roles that are learned gates, in the order of their weights."""
        return tuple(role for role in ROLES if isinstance(getattr(self, role), Gate))

    @property
    def gates(self) -> tuple[str, ...]:
        """The learned roles but the candidate: what `"gates"` reads."""
        return tuple(role for role in self.learned if role != "candidate")

    def reading(self, *sources: str) -> tuple[str, ...]:
        """The learned roles that read any of the sources, in the order of their weights.

        Example:
        >>> from textrnn.cells import gate_spec
        >>> gate_spec("lstm").reading("state")
        ('input', 'forget', 'candidate', 'output')
        """
        return tuple(role for role in self.learned if set(sources) & set(getattr(self, role).sources))

    @property
    def states(self) -> tuple[str, ...]:
        """What one step hands to the next: `"state"` (h) where something reads it or it is the memory,
        a separate `"memory"` (c), and as `"gate/<role>"` and `"previous/<role>"` what was read at t−1 of the
        gates and of the input."""
        is_read = not self.separate_memory or self.reading(*STATE_SOURCES)
        return (
            *(["state"] if is_read else []),
            *(["memory"] if self.separate_memory else []),
            *(f"gate/{role}" for role in (self.gates if self.reading("gates") else ())),
            *(f"previous/{role}" for role in self.reading("previous input")),
        )

    @property
    def kind(self) -> str:
        """How a step depends on the one before.

        `"S"`, sequential: something reads the state or the gates of t−1 through a matrix. `"D"`, diagonal:
        only elementwise feedback. `"P"`, parallel: what is kept and written depends on the input alone, and
        the update is linear in the memory, so that a parallel scan computes it.

        Example:
        >>> from textrnn.cells import gate_spec
        >>> [gate_spec(name).kind for name in ("gru", "indrnn", "min_gru")]
        ['S', 'D', 'P']
        """
        if self.reading(*RECURRENT_PRODUCTS):
            return "S"
        return "D" if set(self.reading("memory")) - {"output"} else "P"

    def get_config(self) -> dict[str, Any]:
        """A dictionary that JSON can hold, from which `from_config` makes an equal spec."""
        # Lists rather than tuples, so that what JSON gives back is the same.
        parts = asdict(self)
        return {k: v | {"reads": list(v["reads"])} if isinstance(v, dict) else v for k, v in parts.items()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "GateSpec":
        """The spec that `get_config` described; parts that are left out keep their defaults.

        Raises:
            InputError: for an entry that no spec or no gate has.
        """
        _check_entries(cls, config, "a gate spec")
        parts = dict(config)
        for key, value in config.items():
            if isinstance(value, Mapping):
                _check_entries(Gate, value, f"{key}, a gate,")
                parts[key] = Gate(**value)
        return cls(**parts)


def _check_entries(cls, config, what):
    known = [entry.name for entry in fields(cls)]
    unknown = [key for key in config if key not in known]
    if unknown:
        raise InputError(f"{what} has no entry {unknown[0]!r}: use any of {', '.join(known)}")


def _normalised(role, part):
    """The part with numbers as floats and ties in one spelling."""
    if isinstance(part, Gate):
        return part
    if role == "candidate":
        raise InputError(f"candidate is {part!r}: it is what is learned, so give a Gate")
    if isinstance(part, str):
        return str(parse_tie(part))
    if isinstance(part, Real) and not isinstance(part, bool) and math.isfinite(part):
        return float(part)
    raise InputError(f"{role} is {part!r}: give a Gate, a number, or a tie such as '1 - input'")


def _resolved(spec, role):
    """The part, or the number that its ties come to."""
    part = getattr(spec, role)
    if not isinstance(part, str):
        return part
    tie = parse_tie(part)
    value = _resolved(spec, tie.role)
    if not isinstance(value, float):
        return part
    return 1.0 - value if tie.complement else value


def _check_ties(spec):
    ties = {role: parse_tie(part) for role in ROLES if isinstance(part := getattr(spec, role), str)}
    for role, tie in ties.items():
        other = tie.role
        if other not in ROLES or other in (role, "candidate"):
            others = ", ".join(r for r in ROLES if r not in (role, "candidate"))
            problem = f"{other!r}, which is no gate" if other not in (role, "candidate") else f"{other!r}"
            raise InputError(f"{role} is tied to {problem}: tie it to one of {others}")
        path = [role]
        while path[-1] in ties:
            path.append(ties[path[-1]].role)
            if path[-1] in path[:-1]:
                raise InputError(
                    f"{' -> '.join(path)} is a circle of ties: make one of them a Gate or a number"
                )
        if tie.shift and not isinstance(getattr(spec, other), Gate):
            raise InputError(
                f"{role} shifts what the activation of {other} is applied to, but {other} is "
                f"{getattr(spec, other)!r}: make it a Gate, or leave the shift out"
            )
        end = getattr(spec, path[-1])
        if path[-1] == "output" and isinstance(end, Gate) and "memory" in end.sources:
            raise InputError(
                f"{role} is tied to output, which reads the memory that {role} helps to form: "
                "leave 'memory' out of what output reads, or tie it the other way round"
            )


def _check_use(spec):
    if not spec.reading(*INPUT_SOURCES):
        raise InputError("nothing reads the input: add 'input' to what the candidate reads")
    if spec.reading("gates") and not spec.gates:
        raise InputError("there are no gates to read: add a gate, or leave 'gates' out of what is read")
    if spec.input == 0.0:
        raise InputError(
            "input is 0, so nothing is written and the memory stays 0: make input, or what it is tied to, "
            "a Gate or another number"
        )
    if not spec.separate_memory and spec.output != 1.0:
        raise InputError("output has no memory to gate: set separate_memory=True, or leave output out")
    if not spec.separate_memory and spec.output_activation != "linear":
        raise InputError(
            "output_activation stands between memory and output: set separate_memory=True, or leave it out"
        )
    if spec.reset != 1.0 and not set(STATE_SOURCES) & set(spec.candidate.sources):
        raise InputError(
            "reset has no state to gate: add 'state' to what the candidate reads, or leave reset out"
        )
    if spec.output == 0.0:
        raise InputError(
            "output is 0, so nothing of the memory is shown: make output, or what it is tied to, a Gate or "
            "another number"
        )
    if spec.reset == 0.0:
        raise InputError(
            "reset is 0, so the candidate sees nothing of the state: leave the state out of what it reads, "
            "or make reset, or what it is tied to, a Gate or another number"
        )
    if spec.reset_after and spec.reset == 1.0:
        raise InputError(
            "reset_after says where a reset gate acts: add a reset gate, or leave reset_after out"
        )
    if (
        spec.layer_norm
        and not spec.separate_memory
        and not spec.reading(*INPUT_PRODUCTS, *RECURRENT_PRODUCTS)
    ):
        raise InputError(
            "layer_norm has nothing to normalise, since no gate reads anything through a matrix: add 'input' "
            "to what the candidate reads, or leave layer_norm out"
        )
    if spec.layer_norm and spec.reset_after and "gates" in spec.candidate.sources:
        raise InputError(
            "layer_norm takes the state and the gates that the candidate reads together, but reset_after "
            "resets the state alone: leave one of these two out, or 'gates' out of what the candidate reads"
        )

"""Gated architectures as data: which gates there are, what each reads, and which are tied or constant."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import keras

from textrnn.errors import InputError

ROLES = ("input", "forget", "reset", "candidate", "output")
"""The parts a gate can play, in the order of their blocks in a cell's weights: Keras's for LSTM and GRU."""

SOURCES = ("input", "state", "memory")
"""What a gate can read: input and state each through a matrix, the memory elementwise (a peephole)."""

_TIE = re.compile(r"\s*(?P<complement>1\s*-)?\s*(?P<role>\w+)\s*")


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


@dataclass(frozen=True)
class Gate:
    """A learned gate: `activation(sum of what it reads + bias)`.

    Args:
        activation: the name of a Keras activation.
        reads: any of `"input"` (W·x), `"state"` (U·h, where h is the output at t−1) and `"memory"` (p⊙c,
            elementwise: a peephole). The memory is that of t−1; the output gate, which acts after the
            memory has changed, reads it as it is at t (Gers & Schmidhuber 2000).

    Raises:
        InputError: for an activation that Keras does not know, a source that is not in `SOURCES`, or a
            gate that reads nothing.

    Example:
    >>> import textrnn
    >>> textrnn.Gate(reads=("input", "state", "memory"))
    Gate(activation='sigmoid', reads=('input', 'state', 'memory'))
    """

    activation: str = "sigmoid"
    reads: tuple[str, ...] = ("input", "state")

    def __post_init__(self):
        _check_activation(self.activation)
        reads = (self.reads,) if isinstance(self.reads, str) else tuple(self.reads)
        unknown = [source for source in reads if source not in SOURCES]
        if unknown:
            raise InputError(f"a gate cannot read {unknown[0]!r}: use any of {', '.join(SOURCES)}")
        if not reads:
            raise InputError("a gate that reads nothing is constant: write a number in its place")
        object.__setattr__(self, "reads", tuple(source for source in SOURCES if source in reads))


@dataclass(frozen=True)
class GateSpec:
    """A gated recurrent architecture, declared.

    With x the input, h the output and c the memory, one step is

        c = forget ⊙ c + input ⊙ candidate
        h = output ⊙ output_activation(c)

    where without a separate memory h = c. The candidate is a learned `Gate`; every other part is a `Gate`,
    a number, or a string that ties it to another part: `"input"`, or `"1 - input"`. The reset multiplies what
    the candidate reads of the state. A part that a model lacks is the number that has no effect, and that is
    its default; so `GateSpec()` is the simple recurrent network h = tanh(Wx + Uh + b).

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
        name: what to call it.
        equation, source: documentation; two specs that compute the same are equal whatever these say.

    Raises:
        InputError: for a spec that contradicts itself; the message says what to change.

    Example: coupled gates (Greff et al. 2017), from the LSTM.

    >>> import dataclasses, textrnn
    >>> from textrnn.cells import gate_spec
    >>> cifg = dataclasses.replace(gate_spec("lstm"), name="cifg", forget="1 - input")
    >>> textrnn.GateSpec.from_config(cifg.get_config()) == cifg
    True
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
    name: str = field(default="custom", compare=False)
    equation: str = field(default="", compare=False)
    source: str = field(default="", compare=False)

    def __post_init__(self):
        for role in ROLES:
            object.__setattr__(self, role, _normalised(role, getattr(self, role)))
        _check_activation(self.output_activation)
        _check_ties(self)
        _check_use(self)

    @property
    def learned(self) -> tuple[str, ...]:
        """The roles that are learned gates, in the order of their weights."""
        return tuple(role for role in ROLES if isinstance(getattr(self, role), Gate))

    def reading(self, source: str) -> tuple[str, ...]:
        """The learned roles that read `source`, in the order of their weights.

        Example:
        >>> from textrnn.cells import gate_spec
        >>> gate_spec("lstm").reading("state")
        ('input', 'forget', 'candidate', 'output')
        """
        return tuple(role for role in self.learned if source in getattr(self, role).reads)

    def get_config(self) -> dict[str, Any]:
        """A dictionary that JSON can hold, from which `from_config` makes an equal spec."""
        # Lists rather than tuples, so that what JSON gives back is the same.
        parts = asdict(self)
        return {k: v | {"reads": list(v["reads"])} if isinstance(v, dict) else v for k, v in parts.items()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "GateSpec":
        """The spec that `get_config` described; parts that are left out keep their defaults.

        Raises:
            InputError: for an entry that no spec has.
        """
        known = [entry.name for entry in fields(cls)]
        unknown = [key for key in config if key not in known]
        if unknown:
            raise InputError(f"a gate spec has no entry {unknown[0]!r}: use any of {', '.join(known)}")
        parts: dict[str, Any] = {k: Gate(**v) if isinstance(v, Mapping) else v for k, v in config.items()}
        return cls(**parts)


def parse_tie(tie: str) -> tuple[bool, str]:
    """`"1 - input"` -> `(True, "input")`: whether it is the complement, and of which role.

    Example:
    >>> from textrnn.cells.spec import parse_tie
    >>> parse_tie("input")
    (False, 'input')
    """
    match = _TIE.fullmatch(tie)
    if match is None:
        raise InputError(f"cannot read the tie {tie!r}: write the name of a gate, or '1 - ' and the name")
    return match["complement"] is not None, match["role"]


def gate_spec(name: str) -> GateSpec:
    """The named spec.

    Raises:
        InputError: for a name that is not in `GATE_SPECS`.

    Example:
    >>> from textrnn.cells import gate_spec
    >>> gate_spec("gru").equation
    'r,z = σ(Wx + b + Uh + b′); h̃ = tanh(Wx + b + r⊙(Uh + b′)); h = z⊙h + (1−z)⊙h̃'
    """
    if name not in GATE_SPECS:
        raise InputError(
            f"there is no cell called {name!r}: use one of {', '.join(GATE_SPECS)}, or a GateSpec"
        )
    return GATE_SPECS[name]


def _normalised(role, part):
    """The part with numbers as floats and ties in one spelling."""
    if isinstance(part, Gate):
        return part
    if role == "candidate":
        raise InputError(f"candidate is {part!r}: it is what is learned, so give a Gate")
    if isinstance(part, str):
        complement, other = parse_tie(part)
        return f"1 - {other}" if complement else other
    if isinstance(part, (int, float)) and not isinstance(part, bool) and math.isfinite(part):
        return float(part)
    raise InputError(f"{role} is {part!r}: give a Gate, a number, or a tie such as '1 - input'")


def _check_ties(spec):
    ties = {role: parse_tie(part)[1] for role in ROLES if isinstance(part := getattr(spec, role), str)}
    for role, other in ties.items():
        if other not in ROLES or other in (role, "candidate"):
            others = ", ".join(r for r in ROLES if r not in (role, "candidate"))
            problem = f"{other!r}, which is no gate" if other not in (role, "candidate") else f"{other!r}"
            raise InputError(f"{role} is tied to {problem}: tie it to one of {others}")
        path = [role]
        while path[-1] in ties:
            path.append(ties[path[-1]])
            if path[-1] in path[:-1]:
                raise InputError(
                    f"{' -> '.join(path)} is a circle of ties: make one of them a Gate or a number"
                )
        end = getattr(spec, path[-1])
        if path[-1] == "output" and isinstance(end, Gate) and "memory" in end.reads:
            raise InputError(
                f"{role} is tied to output, which reads the memory that {role} helps to form: "
                "leave 'memory' out of what output reads, or tie it the other way round"
            )


def _check_use(spec):
    if not spec.reading("input"):
        raise InputError("nothing reads the input: add 'input' to what the candidate reads")
    if spec.forget == 0.0 and spec.input == 0.0:
        raise InputError("with forget and input both 0 the memory stays 0: make one of them a Gate or 1")
    if not spec.separate_memory and spec.output != 1.0:
        raise InputError("output has no memory to gate: set separate_memory=True, or leave output out")
    if not spec.separate_memory and spec.output_activation != "linear":
        raise InputError(
            "output_activation stands between memory and output: set separate_memory=True, or leave it out"
        )
    if spec.reset != 1.0 and "state" not in spec.candidate.reads:
        raise InputError(
            "reset has no state to gate: add 'state' to what the candidate reads, or leave reset out"
        )
    if spec.reset_after and spec.reset == 1.0:
        raise InputError(
            "reset_after says where a reset gate acts: add a reset gate, or leave reset_after out"
        )


GATE_SPECS = {
    spec.name: spec
    for spec in (
        GateSpec(
            name="simple",
            equation="h = tanh(Wx + Uh + b)",
            source="Elman 1990, Finding structure in time",
        ),
        GateSpec(
            name="lstm",
            forget=Gate(),
            input=Gate(),
            output=Gate(),
            separate_memory=True,
            output_activation="tanh",
            equation="i,f,o = σ(Wx + Uh + b); g = tanh(Wx + Uh + b); c = f⊙c + i⊙g; h = o⊙tanh(c)",
            source="Hochreiter & Schmidhuber 1997, Long short-term memory; forget gate: Gers et al. 2000",
        ),
        GateSpec(
            name="gru",
            forget=Gate(),
            input="1 - forget",
            reset=Gate(),
            reset_after=True,
            equation="r,z = σ(Wx + b + Uh + b′); h̃ = tanh(Wx + b + r⊙(Uh + b′)); h = z⊙h + (1−z)⊙h̃",
            source="Cho et al. 2014, Learning phrase representations (arXiv:1406.1078v1); biases as in cuDNN",
        ),
    )
}
"""The named specs, each with its equation and source."""

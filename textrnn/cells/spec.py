"""Gated architectures as data: which parts are learned gates, which are constant, and which are tied."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from textrnn.cells.gate import (
    INPUT_PRODUCTS,
    INPUT_SOURCES,
    RECURRENT_PRODUCTS,
    ROLES,
    STATE_SOURCES,
    Gate,
    check_activation,
    check_names,
    parse_tie,
    refusing_unknown_names,
)
from textrnn.errors import InputError, is_number

__all__ = ["Gate", "GateSpec"]


@refusing_unknown_names
@dataclass(frozen=True)
class GateSpec:
    """A declaration of a gated recurrent architecture.

    With input x, output h and memory c, one step is

        c = forget ⊙ c + input ⊙ candidate
        h = output ⊙ output_activation(c)

    Without a separate memory, c is h. The candidate is always a learned `Gate`. Each other part is one of:

    - a learned `Gate`;
    - a number. The default of each part is the number that has no effect;
    - a tie to another part: `"input"`, `"1 - input"`, or `"1 - forget(s - 1)"`, where s is the pre-activation
      of that gate. A tie to a number becomes that number.

    So `GateSpec()` is the simple recurrent network h = tanh(Wx + Uh + b). The states (`states`), the kind of
    recurrence (`kind`), the weights and the equations that `textrnn cells NAME` prints follow from the
    declaration.

    Args:
        candidate: What is written to the memory.
        forget: How much of the memory is kept.
        input: How much of the candidate is written.
        output: How much of a separate memory is output.
        reset: How much of the state the candidate reads.
        separate_memory: Whether the memory c is a state of its own beside h.
        reset_after: Whether the reset is applied after the recurrent matrix of the candidate, r ⊙ (Uh + b′),
            with a second bias as in cuDNN. By default it is applied before, U(r ⊙ h).
        output_activation: The name of the Keras activation between a separate memory and the output.
        layer_norm: Whether to layer-normalize, with gains and shifts, what gates read through matrices (Ba
            et al. 2016, Layer normalization), and a separate memory where it is output, LN(c). The terms of
            the input, LN(W·x(t) + V·x(t−1)), and those of the previous step, LN(U·h + R·i + R·f + ...), are
            normalized separately, each over all gates as one vector. A candidate whose state is reset before
            its matrix is normalized on its own. Biases, peepholes, the raw input and the two factors of a
            modulated state are not normalized.
        name: The name of the architecture.
        source: Where it was published. `name` and `source` are ignored when specs are compared.

    Raises:
        InputError: For an unknown part, and for a spec that contradicts itself.

    Example: an LSTM with coupled gates (Greff et al. 2017).

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
    textrnn.errors.InputError: output needs a separate memory: set separate_memory=True, or remove output
    """

    candidate: Gate = Gate("tanh")  # noqa: RUF009  a Gate is immutable
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
            object.__setattr__(self, role, _normalized(role, getattr(self, role)))
        check_activation(self.output_activation)
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
        """The learned roles other than the candidate."""
        return tuple(role for role in self.learned if role != "candidate")

    def reading(self, *sources: str) -> tuple[str, ...]:
        """Return the learned roles that read any of the sources, in the order of their weights.

        Example:

        >>> from textrnn.cells import gate_spec
        >>> gate_spec("lstm").reading("state")
        ('input', 'forget', 'candidate', 'output')
        """
        return tuple(role for role in self.learned if set(sources) & set(getattr(self, role).sources))

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states, in their order.

        `"state"` (h) if a gate reads it or it is the memory; `"memory"` (c) if it is separate;
        `"gate/<role>"` if gates read gates; `"previous/<role>"` for each gate that reads the previous input.
        """
        is_read = not self.separate_memory or self.reading(*STATE_SOURCES)
        return (
            *(["state"] if is_read else []),
            *(["memory"] if self.separate_memory else []),
            *(f"gate/{role}" for role in (self.gates if self.reading("gates") else ())),
            *(f"previous/{role}" for role in self.reading("previous input")),
        )

    @property
    def kind(self) -> str:
        """How a step depends on the previous one.

        `"S"`, sequential: a gate reads the state or the gates at t−1 through a matrix. `"D"`, diagonal: the
        feedback is elementwise. `"P"`, parallel: the update is linear in the memory, with coefficients that
        depend on the input alone, so a parallel scan can compute it.

        Example:

        >>> from textrnn.cells import gate_spec
        >>> [gate_spec(name).kind for name in ("gru", "indrnn", "min_gru")]
        ['S', 'D', 'P']
        """
        if self.reading(*RECURRENT_PRODUCTS):
            return "S"
        return "D" if set(self.reading("memory")) - {"output"} else "P"

    def get_config(self) -> dict[str, Any]:
        """Return a JSON-serialisable dictionary from which `from_config` makes an equal spec."""
        # Lists instead of tuples, so that the config is unchanged by JSON.
        parts = asdict(self)
        return {k: v | {"reads": list(v["reads"])} if isinstance(v, dict) else v for k, v in parts.items()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "GateSpec":
        """Make a spec from a config of `get_config`. Missing entries take their defaults.

        Raises:
            InputError: For an unknown entry.
        """
        check_names(cls, config, cls.__name__)
        parts = dict(config)
        for key, value in config.items():
            if isinstance(value, Mapping):
                check_names(Gate, value, f"the gate {key}")
                parts[key] = Gate(**value)
        return cls(**parts)


def _normalized(role, part):
    """Return the part with numbers as floats and ties in their canonical spelling."""
    if isinstance(part, Gate):
        return part
    if role == "candidate":
        raise InputError(f"candidate is {part!r}: the candidate is always learned, so give a Gate")
    if isinstance(part, str):
        return str(parse_tie(part))
    if is_number(part) and math.isfinite(part):
        return float(part)
    raise InputError(f"{role} is {part!r}: give a Gate, a number, or a tie such as '1 - input'")


def _resolved(spec, role):
    """Return the part, or the number to which its ties lead."""
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
            problem = f"{other!r}" if other in (role, "candidate") else f"{other!r}, which is not a gate"
            raise InputError(f"{role} is tied to {problem}: tie it to one of {others}")
        path = [role]
        while path[-1] in ties:
            path.append(ties[path[-1]].role)
            if path[-1] in path[:-1]:
                raise InputError(f"the ties {' -> '.join(path)} form a cycle: make one a Gate or a number")
        if tie.shift and not isinstance(getattr(spec, other), Gate):
            raise InputError(
                f"{role} shifts the pre-activation of {other}, but {other} is {getattr(spec, other)!r}: make "
                f"{other} a Gate, or remove the shift"
            )
        end = getattr(spec, path[-1])
        if path[-1] == "output" and isinstance(end, Gate) and "memory" in end.sources:
            raise InputError(
                f"{role} is tied to output, but output reads the memory, which is computed from {role}: "
                "remove 'memory' from what output reads, or tie output to a part instead"
            )


def _check_use(spec):
    if not spec.reading(*INPUT_SOURCES):
        raise InputError("no gate reads the input: add 'input' to what the candidate reads")
    if spec.reading("gates") and not spec.gates:
        raise InputError("there are no gates to read: add a gate, or remove 'gates' from reads")
    if spec.input == 0.0:
        raise InputError(
            "input is 0, so the memory is always 0: make input, or the part it is tied to, a Gate or another "
            "number"
        )
    if not spec.separate_memory and spec.output != 1.0:
        raise InputError("output needs a separate memory: set separate_memory=True, or remove output")
    if not spec.separate_memory and spec.output_activation != "linear":
        raise InputError(
            "output_activation needs a separate memory: set separate_memory=True, or remove output_activation"
        )
    if spec.reset != 1.0 and not set(STATE_SOURCES) & set(spec.candidate.sources):
        raise InputError(
            "reset has no effect, since the candidate does not read the state: add 'state' to what the "
            "candidate reads, or remove reset"
        )
    if spec.output == 0.0:
        raise InputError(
            "output is 0, so the cell always outputs 0: make output, or the part it is tied to, a Gate or "
            "another number"
        )
    if spec.reset == 0.0:
        raise InputError(
            "reset is 0, so the candidate never reads the state: remove the state from what the candidate "
            "reads, or make reset, or the part it is tied to, a Gate or another number"
        )
    if spec.reset_after and spec.reset == 1.0:
        raise InputError("reset_after needs a reset gate: add reset=Gate(), or remove reset_after")
    if (
        spec.layer_norm
        and not spec.separate_memory
        and not spec.reading(*INPUT_PRODUCTS, *RECURRENT_PRODUCTS)
    ):
        raise InputError(
            "layer_norm has no effect, since no gate reads anything through a matrix: add 'input' to what "
            "the candidate reads, or remove layer_norm"
        )
    if spec.layer_norm and spec.reset_after and "gates" in spec.candidate.sources:
        raise InputError(
            "layer_norm normalizes the state and the gates that the candidate reads together, but "
            "reset_after resets only the state: remove one of these two, or 'gates' from what the candidate "
            "reads"
        )

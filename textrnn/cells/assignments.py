"""The meaning of a `GateSpec`: an ordered list of assignments, printed as equations and run as code."""

import functools
from dataclasses import dataclass

from textrnn.cells.expressions import (
    CombinedBias,
    Delayed,
    Expression,
    LayerNorm,
    LayerNormGroup,
    Name,
    Number,
    OfInput,
    OneMinus,
    Product,
    RawInput,
    Sum,
    Times,
    Update,
    Weight,
    activation,
    times,
    walk,
)
from textrnn.cells.gate import (
    INPUT_PRODUCTS,
    INPUT_SOURCES,
    RECURRENT_PRODUCTS,
    ROLES,
    Gate,
    parse_tie,
)
from textrnn.cells.spec import GateSpec

LETTERS = {"input": "i", "forget": "f", "reset": "r", "candidate": "g", "output": "o"}
"""The names of gates in equations."""

X, X_BEFORE, H_BEFORE = Name("x"), Name("x", -1), Name("h", -1)

SHAPES = {
    "kernel": "mn",
    "recurrent_kernel": "nn",
    "bias": "n",
    "recurrent_bias": "n",
    "peephole": "n",
    "previous_kernel": "mn",
    "projection_kernel": "mn",
    "modulation_kernel": "mn",
    "modulation_recurrent_kernel": "nn",
    "gate_kernel": "nn",
    **{f"{place}_{name}": "n" for place in ("input", "recurrent", "memory") for name in ("gain", "shift")},
}
"""The weights of a `GatedCell` in their order: name -> shape of one block, for m features and n units."""


@dataclass(frozen=True)
class Assignment:
    """One equation."""

    name: Name
    value: Expression

    def __str__(self):
        return f"{self.name} = {self.value}"


@functools.cache
def assignments(spec: GateSpec, use_bias: bool = True) -> tuple[Assignment, ...]:
    r"""Return what one step of a spec computes, in an order in which it can be computed.

    Args:
        spec: The declaration.
        use_bias: Whether gates have biases.

    Example:

    >>> from textrnn.cells import gate_spec
    >>> from textrnn.cells.assignments import assignments
    >>> print(*assignments(gate_spec("mgu")), sep="\n")
    iₜ = σ(W_i xₜ + U_i hₜ₋₁ + b_i)
    gₜ = tanh(W_g xₜ + U_g (iₜ ⊙ hₜ₋₁) + b_g)
    hₜ = (1 − iₜ) ⊙ hₜ₋₁ + iₜ ⊙ gₜ
    """
    return tuple(_Builder(spec, use_bias).assignments())


@functools.cache
def projections(spec: GateSpec, use_bias: bool = True) -> tuple[OfInput | Delayed, ...]:
    """Return the parts that depend on the input alone, in the order in which `project_inputs` returns them.

    Example:

    >>> from textrnn.cells import gate_spec
    >>> from textrnn.cells.assignments import projections
    >>> [str(projection) for projection in projections(gate_spec("ugrnn"))]
    ['W_f xₜ + b_f', 'W_g xₜ + b_g']
    """
    parts = [part for line in assignments(spec, use_bias) for part in walk(line)]
    found = {part.name.symbol: part for part in parts if isinstance(part, OfInput | Delayed)}
    places = (*ROLES, *_each("raw"), "modulation", *_each("previous"))
    return tuple(found[place] for place in places if place in found)


@functools.cache
def step_weights(spec: GateSpec, use_bias: bool = True) -> tuple[Weight | CombinedBias, ...]:
    """Return the weights that a step uses elementwise. Those that `project_inputs` uses are not included.

    Example:

    >>> from textrnn.cells import gate_spec
    >>> from textrnn.cells.assignments import step_weights
    >>> [weight.key for weight in step_weights(gate_spec("lstm_peephole"))]
    ['peephole/input', 'peephole/forget', 'peephole/output']
    """
    lines = assignments(spec, use_bias)
    parts = [part for line in lines for part in walk(line, (OfInput, Delayed, CombinedBias))]
    found = dict.fromkeys(part for part in parts if isinstance(part, Weight | CombinedBias))
    return tuple(part for part in found if isinstance(part, CombinedBias) or SHAPES[part.name] == "n")


@functools.cache
def weight_blocks(spec: GateSpec, use_bias: bool = True) -> dict[str, tuple[str, ...]]:
    """Return the weights of a spec, in their order: name -> the names of its blocks, in their order.

    Example:

    >>> from textrnn.cells import gate_spec
    >>> from textrnn.cells.assignments import weight_blocks
    >>> weight_blocks(gate_spec("lstm_nig"))["peephole"]
    ('forget', 'output')
    """
    parts = [part for line in assignments(spec, use_bias) for part in walk(line)]
    found = [part for part in parts if isinstance(part, Weight)]
    blocks = {name: {weight.block for weight in found if weight.name == name} for name in SHAPES}
    return {name: tuple(sorted(of_name, key=_order)) for name, of_name in blocks.items() if of_name}


def symbol(state: str) -> str:
    """Return the name that assignments use for one of `GateSpec.states`.

    Example:

    >>> from textrnn.cells.assignments import symbol
    >>> [symbol(state) for state in ("state", "memory", "gate/input", "previous/forget")]
    ['h', 'c', 'i', 'previous/forget']
    """
    kind, _, role = state.partition("/")
    return {"state": "h", "memory": "c"}.get(kind) or (LETTERS[role] if kind == "gate" else state)


def _order(block):
    return [ROLES.index(part) for part in block.split("/") if part in ROLES]


def _each(place):
    return [f"{place}/{role}" for role in ROLES]


class _Builder:
    """Builds the assignments of a spec."""

    def __init__(self, spec, use_bias):
        self.spec, self.use_bias = spec, use_bias
        self.memory = "c" if spec.separate_memory else "h"
        # A normalization that includes the previous input cannot be computed before the loop over time.
        self.normalizes_in_step = spec.layer_norm and bool(spec.reading("previous input"))
        ties = [parse_tie(part) for role in ROLES if isinstance(part := getattr(spec, role), str)]
        shifted = dict.fromkeys(tie.role for tie in ties if tie.shift)
        self.pre_activations = {role: Name("s" + "′" * count) for count, role in enumerate(shifted)}
        self.groups = {}
        if spec.layer_norm:
            self.groups = {
                "input": self.group("input", spec.reading(*INPUT_PRODUCTS)),
                # A product that waits for the reset gate is normalized on its own.
                "recurrent": self.group(
                    "recurrent",
                    [role for role in spec.reading(*RECURRENT_PRODUCTS) if not self.is_reset_before(role)],
                ),
                "memory": self.group("memory", ["memory"]),
            }

    def assignments(self):
        spec = self.spec
        if spec.reading("modulated state"):
            of_input = Product(Weight("W_m", "modulation_kernel", "modulation"), X)
            of_state = Product(Weight("U_m", "modulation_recurrent_kernel", "modulation"), H_BEFORE)
            yield Assignment(Name("m"), Times(OfInput(Name("modulation"), of_input), of_state))
        output_is_last = "output" in spec.reading("memory")
        for role in spec.gates:
            if role != "output" or not output_is_last:
                yield from self.gate(role)
        written = Name(LETTERS["candidate"])
        if spec.forget == 0.0 and spec.input == 1.0:
            written = self.activated("candidate", self.pre_activation("candidate"))
        else:
            yield from self.gate("candidate")
        update = Update(self.value("forget"), Name(self.memory, -1), times(self.value("input"), written))
        yield Assignment(Name(self.memory), update)
        if output_is_last:
            yield from self.gate("output")
        if spec.separate_memory:
            shown = self.normalized("memory", "memory") if spec.layer_norm else Name("c")
            shown = activation(spec.output_activation, shown)
            yield Assignment(Name("h"), times(self.value("output"), shown))

    def gate(self, role):
        """Yield the assignment of a learned gate, after that of a pre-activation that a tie shifts."""
        pre_activation = self.pre_activation(role)
        if role in self.pre_activations:
            yield Assignment(self.pre_activations[role], pre_activation)
            pre_activation = self.pre_activations[role]
        yield Assignment(Name(LETTERS[role]), self.activated(role, pre_activation))

    def activated(self, role, pre_activation):
        return activation(getattr(self.spec, role).activation, pre_activation)

    def value(self, role):
        """The value of a part: a gate's name, a number, or what it is tied to."""
        part = getattr(self.spec, role)
        if isinstance(part, Gate):
            return Name(LETTERS[role])
        if isinstance(part, float):
            return Number(part)
        tie = parse_tie(part)
        value = self.value(tie.role)
        if tie.shift:
            value = self.activated(tie.role, Sum((self.pre_activations[tie.role], Number(tie.shift))))
        return OneMinus(value) if tie.complement else value

    def pre_activation(self, role):
        """What the activation of a gate is applied to."""
        spec = self.spec
        normalized = spec.layer_norm and role in spec.reading(*INPUT_PRODUCTS)
        of_input = [self.normalized("input", role)] if normalized else self.of_input(role)
        biases = self.biases(role)
        if self.normalizes_in_step:
            terms = of_input + [OfInput(Name(f"raw/{role}"), term) for term in self.raw_input(role)]
        elif role in spec.reading(*INPUT_SOURCES):
            alone = (*of_input, *self.raw_input(role), *biases)
            terms, biases = [OfInput(Name(role), Sum(alone)), *self.previous_input(role)], []
        else:
            terms = self.previous_input(role)
        return Sum((*terms, *self.of_state(role), *self.peephole(role), *biases))

    def of_input(self, role):
        return self.product("W", "kernel", role, "input", X)

    def previous_input(self, role):
        products = self.product("V", "previous_kernel", role, "previous input", X_BEFORE)
        return [Delayed(Name(f"previous/{role}", -1), product) for product in products]

    def raw_input(self, role):
        sources = getattr(self.spec, role).sources
        raw = RawInput(Weight("P", "projection_kernel", "projection"))
        return [activation(sources["raw input"], raw)] if "raw input" in sources else []

    def convolved(self, role):
        """What a gate reads of the input through matrices, before it is normalized."""
        of_input = self.of_input(role)
        if self.normalizes_in_step:
            of_input = [OfInput(Name(role), product) for product in of_input]
        return [*of_input, *self.previous_input(role)]

    def of_state(self, role):
        """What a gate reads of the previous step through matrices, normalized and reset."""
        spec = self.spec
        terms = self.recurrent_products(role)
        if spec.layer_norm and terms:
            terms = [self.normalized("recurrent", role)]
        if role == "candidate" and spec.reset_after:
            first, *others = terms
            biases = [self.weight("b′", "recurrent_bias", role)] if self.use_bias else []
            terms = [times(self.value("reset"), Sum((first, *biases))), *others]
        return terms

    def recurrent_products(self, role):
        sources = getattr(self.spec, role).sources
        terms = []
        for source, state in (("state", H_BEFORE), ("modulated state", Name("m"))):
            vector = times(self.value("reset"), state) if self.is_reset_before(role) else state
            terms += self.product("U", "recurrent_kernel", role, source, vector)
        if "gates" in sources:
            letter = LETTERS[role]
            products = [
                Product(
                    Weight(f"R_{letter}{LETTERS[gate]}", "gate_kernel", f"{role}/{gate}"),
                    Name(LETTERS[gate], -1),
                )
                for gate in self.spec.gates
            ]
            terms.append(Sum(tuple(products)))
        return terms

    def peephole(self, role):
        sources = getattr(self.spec, role).sources
        if "memory" not in sources:
            return []
        memory = Name(self.memory, 0 if role == "output" else -1)
        return [Times(self.weight("p", "peephole", role), activation(sources["memory"], memory))]

    def biases(self, role):
        if not self.use_bias:
            return []
        bias = self.weight("b", "bias", role)
        if not self.spec.reset_after or role == "candidate":
            return [bias]
        return [CombinedBias(bias, self.weight("b′", "recurrent_bias", role))]

    def is_reset_before(self, role):
        """Whether the reset acts on what the recurrent kernel of the gate multiplies."""
        return role == "candidate" and self.spec.reset != 1.0 and not self.spec.reset_after

    def product(self, letter, name, role, source, vector):
        """The product with a kernel of a gate, if the gate reads that source."""
        sources = getattr(self.spec, role).sources
        kernel = self.weight(letter, name, role)
        return [Product(kernel, activation(sources[source], vector))] if source in sources else []

    def weight(self, letter, name, role):
        subscript = f"_{LETTERS[role]}" if len(self.spec.learned) > 1 else ""
        return Weight(letter + subscript, name, role)

    def normalized(self, place, role):
        """What a gate reads at a place, normalized together with what others read there."""
        group = self.groups[place]
        if role not in group.roles:
            group = self.group(place, [role])
        return LayerNorm(group, group.roles.index(role))

    def group(self, place, roles):
        """The values of these roles at a place, to be normalized together."""
        values = {
            "input": self.convolved,
            "recurrent": self.recurrent_products,
            "memory": lambda _: (Name("c"),),
        }[place]
        return LayerNormGroup(
            tuple(roles),
            tuple(Sum(tuple(values(role))) for role in roles),
            tuple(Weight("", f"{place}_gain", role) for role in roles),
            tuple(Weight("", f"{place}_shift", role) for role in roles),
        )

"""What there is to say of a cell, derived from its declaration: equations, states, parameters, a page."""

import inspect
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields

from textrnn.cells.base import Cell
from textrnn.cells.gated import GatedCell
from textrnn.cells.published import PUBLISHED
from textrnn.cells.registry import CellType, cell_names, find_cell
from textrnn.cells.spec import INPUT_PRODUCTS, RECURRENT_PRODUCTS, Gate, GateSpec, parse_tie
from textrnn.errors import InputError

KINDS = {
    "S": "sequential: a step reads the one before through a matrix",
    "D": "diagonal: a step reads the one before elementwise",
    "P": "parallel: linear in the state, by coefficients of the input alone: a parallel scan can compute it",
}

_LETTERS = {"input": "i", "forget": "f", "reset": "r", "candidate": "g", "output": "o"}
_SYMBOLS = {"sigmoid": "σ"}
_STATES = {"state": "h", "memory": "c", "normaliser": "n", "stabiliser": "m"}
_UPDATES = ("step", "coefficients", "read_out")
"""What a class overrides to compute something else than the class it is derived from."""


def equations(cell: CellType) -> tuple[str, ...]:
    r"""The lines of one step, to be read by people.

    Args:
        cell: a `GateSpec`, from which they are derived; or a class. Of a class they are its `equations`;
            without these the first line of its own docstring; and where it computes what a `GatedCell` does,
            those of the spec that it makes.

    Example:
    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.describe import equations
    >>> print(*equations(find_cell("mgu")), sep="\n")
    iₜ = σ(W_i xₜ + U_i hₜ₋₁ + b_i)
    gₜ = tanh(W_g xₜ + U_g (iₜ ⊙ hₜ₋₁) + b_g)
    hₜ = (1 − iₜ) ⊙ hₜ₋₁ + iₜ ⊙ gₜ
    """
    if isinstance(cell, GateSpec):
        return tuple(_Writer(cell).lines())
    docstring = ""
    for base in cell.__mro__:
        if base is GatedCell:
            return equations(_built(cell, 4, 4).spec)
        own = vars(base)
        if own.get("equations"):
            return tuple(own["equations"])
        docstring = docstring or inspect.cleandoc(own.get("__doc__") or "")
        # What classes further up say is not what this one computes.
        if "equations" in own or any(name in own for name in _UPDATES):
            break
    return (
        docstring.partition("\n")[0] or f"no equations: begin the docstring of {cell.__name__} with them",
    )


def one_line(lines: Sequence[str]) -> str:
    """Equations in the short form of papers, to be read from left to right: a name stands for its value at t
    once it is computed, and before that for its value at t−1. What is formed alike, each with weights of
    its own, is written once.

    Example:
    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.describe import equations, one_line
    >>> one_line(equations(find_cell("lstm")))
    'i,f,o = σ(Wx + Uh + b); g = tanh(Wx + Uh + b); c = f⊙c + i⊙g; h = o⊙tanh(c)'
    """
    alike: dict[str, list[str]] = {}
    for line in lines:
        left, equals, right = line.partition(" = ")
        # With the times: an output gate that reads the new memory is not like gates that read the old.
        key, name = (re.sub(r"_\w+", "", right), left.replace("ₜ", "")) if equals else (line, "")
        alike.setdefault(key, []).append(name)
    short, computed = [], {"x"}
    for right, names in alike.items():
        short.append(f"{','.join(names)} = {_shortened(right, computed)}" if any(names) else right)
        computed.update(names)
    return "; ".join(short)


def _shortened(right, computed):
    right = re.sub(
        r"([^\W\d_]+?′?)ₜ₋₁", lambda found: found[1] + "(t−1)" * (found[1] in computed), right
    ).replace("ₜ", "")
    # Wx and Uh, but U tanh(h)
    return re.sub(r"(?<=\b[WUVR]) (?=\(|\w\b(?!\())| (?=⊙)|(?<=⊙) ", "", right)


def states(cell: CellType) -> tuple[str, ...]:
    """The states in their order, as short as in equations; `V_f x` is what the gate f will read of this x at
    the next step.

    It is the order of `initial_state`, of what `return_state` gives, and of the served states_0, ...

    Example:
    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.describe import states
    >>> states(find_cell("lstm")), states(find_cell("qrnn"))
    (('h', 'c'), ('c', 'V_f x', 'V_g x', 'V_o x'))
    """
    return tuple(_state_symbols(cell).values())


def kind(cell: CellType) -> str:
    """`"S"`, `"D"` or `"P"`: see `KINDS`.

    Example:
    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.describe import kind
    >>> kind(find_cell("sru"))
    'D'
    """
    return cell.kind if isinstance(cell, GateSpec) else _built(cell, 4, 4).kind


# Features and units; primes, so that each dimension of a weight tells which it is a multiple of.
_DIFFERENT = (53, 59)


def count_parameters(cell: CellType, features: int, units: int) -> int:
    """How many weights the cell has, for inputs `(batch, features)`.

    Example:
    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.describe import count_parameters
    >>> count_parameters(find_cell("lstm"), features=3, units=5)
    180
    """
    return _built(cell, features, units).count_params()


def parameters(cell: CellType) -> str:
    """How many weights the cell has, as a formula: m features, n units.

    Example:
    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.describe import parameters
    >>> parameters(find_cell("lstm_peephole"))
    '4mn + 4n² + 7n'
    """
    return _formula(_weights_by_dimension(cell, *_DIFFERENT))


def declaration(spec: GateSpec) -> str:
    """The Python expression that makes the spec: what differs from `GateSpec()`.

    Example:
    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.describe import declaration
    >>> declaration(find_cell("ugrnn"))
    "GateSpec(forget=Gate(), input='1 - forget')"
    """
    return _expression(spec)


def table() -> str:
    """All cells, two lines each: what is derived from each, and its equations in short.

    Example:
    >>> from textrnn.cells.describe import table
    >>> print(table())  # doctest: +ELLIPSIS
    name                 kind states                   parameters           paper
    simple               S    h                        mn + n² + n          Elman 1990
        h = tanh(Wx + Uh + b)
    ...
    """
    row = "{:<20} {:<4} {:<24} {:<20} {}".format
    lines = [row("name", "kind", "states", "parameters", "paper")]
    for name in cell_names():
        cell = find_cell(name)
        lines.append(row(name, kind(cell), ", ".join(states(cell)), parameters(cell), _authors(cell)))
        lines += textwrap.wrap(
            one_line(equations(cell)), 110, initial_indent="    ", subsequent_indent="      "
        )
    return "\n".join([*lines, "", *_legend()])


def sheet(reference: str, features: int = 128, units: int = 256) -> str:
    """One cell in full.

    Args:
        reference: a name, or `"module:attribute"`.
        features, units: for the number of parameters.

    Example:
    >>> from textrnn.cells.describe import sheet
    >>> print(sheet("ugrnn"))  # doctest: +NORMALIZE_WHITESPACE
    ugrnn
    <BLANKLINE>
      fₜ = σ(W_f xₜ + U_f hₜ₋₁ + b_f)
      gₜ = tanh(W_g xₜ + U_g hₜ₋₁ + b_g)
      hₜ = fₜ ⊙ hₜ₋₁ + (1 − fₜ) ⊙ gₜ
    <BLANKLINE>
    kind         S, sequential: a step reads the one before through a matrix
    states       h (state)
    parameters   2mn + 2n² + 2n; 197,120 with m = 128 features, n = 256 units
    declaration  GateSpec(forget=Gate(), input='1 - forget')
    paper        Collins et al. 2017, Capacity and trainability in recurrent neural networks
    """
    cell = find_cell(reference)
    named = (
        name if name == symbol else f"{symbol} ({name})" for name, symbol in _state_symbols(cell).items()
    )
    count = f"{count_parameters(cell, features, units):,} with m = {features} features, n = {units} units"
    entries = {
        "kind": f"{kind(cell)}, {KINDS[kind(cell)]}",
        "states": ", ".join(named),
        "parameters": f"{parameters(cell)}{_where_equal(cell)}; {count}",
        **_what_it_is(cell),
        "paper": _source(cell),
    }
    width = 110 - 13
    lines = [reference, "", *(f"  {line}" for line in equations(cell)), ""]
    for name, text in entries.items():
        if text:
            lines += textwrap.wrap(text, width, initial_indent=f"{name:<13}", subsequent_indent=" " * 13)
    return "\n".join(lines)


def page() -> str:
    """The reference page of all published cells, in Markdown: `docs/cells.md`.

    Example:
    >>> from textrnn.cells.describe import page
    >>> page().splitlines()[0]
    '# The cells'
    """
    lines = [
        "# The cells",
        "",
        "Generated from their declarations by `make docs`; do not edit. `GatedCell(units, name)` makes each",
        "of them, `--cell name` trains it in every recipe.",
        "",
        *(f"{line}  " for line in _legend()),
        "",
        "| name | kind | states | parameters | equations | paper |",
        "|---|---|---|---|---|---|",
    ]
    for name, cell in PUBLISHED.items():
        short = one_line(equations(cell)).replace("|", "\\|")
        row = (f"[`{name}`](#{name})", kind(cell), ", ".join(states(cell)), parameters(cell), short)
        lines.append(f"| {' | '.join([*row, _authors(cell)])} |")
    for name, cell in PUBLISHED.items():
        made = "".join(f"\n    {text}\n" for text in _what_it_is(cell).values())
        lines += ["", f"## {name}", "", _source(cell), ""]
        lines += [f"    {line}" for line in equations(cell)]
        lines += ["", "Declared as" if isinstance(cell, GateSpec) else "A class of its own:", made.rstrip()]
    return "\n".join([*lines, ""])


def _legend():
    return [
        *(f"{letter}  {meaning}" for letter, meaning in KINDS.items()),
        "States: in the order of initial_state and of the served states_0, states_1, ...; V_f x is what the",
        "gate f will read of this x at the next step.",
        "Parameters: m features, n units. Where a cell uses x itself and m is not n, x goes through a kernel",
        "of mn weights first, which the formula counts.",
        "Equations: x input, h output, c memory, ⊙ elementwise; each gate has weights of its own. Read from",
        "left to right: a name stands for its value at t once it is computed, before that for that at t−1.",
    ]


def _built(cell, features, units) -> Cell:
    try:
        made = GatedCell(units, cell) if isinstance(cell, GateSpec) else cell(units)
        made.build((None, features))
    except TypeError as error:
        raise InputError(f"{cell.__name__}(units) cannot be made: {error}") from error
    return made


def _state_symbols(cell) -> dict[str, str]:
    """By name of a state how equations call it, in the order of the states."""
    if isinstance(cell, GateSpec):
        return {name: _Writer(cell).state(name) for name in cell.states}
    made = _built(cell, 4, 4)
    names, of_spec = made.state_names, made.spec.states if isinstance(made, GatedCell) else ()
    if len(of_spec) == len(names):
        return _state_symbols(made.spec)
    return {name: _STATES.get(name, name) for name in names}


def _weights_by_dimension(cell, features, units):
    """`{"mn": 2, "n": 3}` for 2·features·units + 3·units weights."""
    total: Counter[str] = Counter()
    for weight in _built(cell, features, units).weights:
        factor, letters = 1, ""
        for size in weight.shape:
            letter, unit = next(
                ((s, u) for s, u in (("n", units), ("m", features)) if size % u == 0), ("", 1)
            )
            factor, letters = factor * (size // unit), letters + letter
        total["".join(sorted(letters))] += factor
    return total


def _formula(total):
    order = sorted(total, key=lambda letters: (-len(letters), letters))
    return " + ".join(f"{'' if total[t] == 1 else total[t]}{t.replace('nn', 'n²')}" for t in order)


def _where_equal(cell):
    """The formula where m = n, if it is not that for m and n with n in the place of m."""
    replaced: Counter[str] = Counter()
    for letters, count in _weights_by_dimension(cell, *_DIFFERENT).items():
        replaced[letters.replace("m", "n")] += count
    units = _DIFFERENT[-1]
    equal = _weights_by_dimension(cell, units, units)
    return "" if equal == replaced else f" ({_formula(equal)} where m = n)"


def _source(cell):
    return getattr(cell, "source", "")


def _authors(cell):
    """`Elman 1990` of the whole reference."""
    match = re.match(r".*?\d{4}", _source(cell))
    return match[0] if match else ""


def _what_it_is(cell):
    if isinstance(cell, GateSpec):
        return {"declaration": declaration(cell)}
    return {"class": f"{cell.__module__}.{cell.__name__}"}


def _expression(part):
    """A `Gate` or `GateSpec` as Python would write it, without what is the default."""
    if not isinstance(part, Gate | GateSpec):
        return repr(part)
    default = type(part)()
    given = [
        f"{entry.name}={_expression(getattr(part, entry.name))}"
        for entry in fields(part)
        if entry.compare and getattr(part, entry.name) != getattr(default, entry.name)
    ]
    return f"{type(part).__name__}({', '.join(given)})"


class _Writer:
    """Writes the equations of a spec."""

    def __init__(self, spec):
        self.spec = spec
        self.memory = "c" if spec.separate_memory else "h"
        ties = [parse_tie(part) for role in _LETTERS if isinstance(part := getattr(spec, role), str)]
        self.shifted = {tie.role for tie in ties if tie.shift}

    def lines(self):
        """In the order in which they can be computed."""
        spec, memory = self.spec, self.memory
        if spec.reading("modulated state"):
            yield "mₜ = (W_m xₜ) ⊙ (U_m hₜ₋₁)"
        output_is_last = "output" in spec.reading("memory")
        for role in spec.gates:
            if role != "output" or not output_is_last:
                yield from self.gate(role)
        kept = spec.forget != 0.0
        only_candidate = not kept and spec.input == 1.0
        if not only_candidate:
            yield from self.gate("candidate")
        candidate = self.formula("candidate") if only_candidate else "gₜ"
        parts = [(self.value("forget"), f"{memory}ₜ₋₁")] * kept + [(self.value("input"), candidate)]
        yield f"{memory}ₜ = {' + '.join(_times(gate, value) for gate, value in parts)}"
        if output_is_last:
            yield from self.gate("output")
        if spec.separate_memory:
            shown = "LN(cₜ)" if spec.layer_norm else "cₜ"
            yield f"hₜ = {_times(self.value('output'), _applied(spec.output_activation, shown))}"

    def gate(self, role):
        """The line or two of a learned gate."""
        letter = _LETTERS[role]
        if role in self.shifted:
            yield f"sₜ = {self.sum(role)}"
            yield f"{letter}ₜ = {_applied(getattr(self.spec, role).activation, 'sₜ')}"
        else:
            yield f"{letter}ₜ = {self.formula(role)}"

    def formula(self, role):
        return _applied(getattr(self.spec, role).activation, self.sum(role))

    def value(self, role):
        """What multiplies: a gate's letter, a number, or what it is tied to."""
        part = getattr(self.spec, role)
        if isinstance(part, Gate):
            return f"{_LETTERS[role]}ₜ"
        if isinstance(part, float):
            return f"{part:g}"
        tie = parse_tie(part)
        value = self.value(tie.role)
        if tie.shift:
            shifted = f"sₜ {'−' if tie.shift < 0 else '+'} {abs(tie.shift):g}"
            value = _applied(getattr(self.spec, tie.role).activation, shifted)
        return f"(1 − {value})" if tie.complement else value

    def state(self, name):
        """The symbol of one of the spec's states."""
        what, _, role = name.partition("/")
        if what == "previous":
            return self.previous(role, "x")
        return _LETTERS[role] if what == "gate" else _STATES[what]

    def sum(self, role):
        """What the activation of a gate is applied to."""
        spec, letter = self.spec, self.subscript(role)
        memory = f"{self.memory}ₜ" if role == "output" else f"{self.memory}ₜ₋₁"
        write = {
            "input": lambda a: [f"W{letter} {_applied(a, 'xₜ')}"],
            "previous input": lambda a: [self.previous(role, "xₜ₋₁")],
            "raw input": lambda a: [_applied(a, "xₜ")],
            "state": lambda a: [self.recurrent(role, a, "hₜ₋₁")],
            "modulated state": lambda a: [self.recurrent(role, a, "mₜ")],
            "gates": lambda a: [f"R{letter}{_LETTERS[other]} {_LETTERS[other]}ₜ₋₁" for other in spec.gates],
            "memory": lambda a: [f"p{letter} ⊙ {_applied(a, memory)}"],
        }
        read = getattr(spec, role).sources

        def terms(*sources):
            return [term for source in sources if source in read for term in write[source](read[source])]

        recurrent = self.normed(terms(*RECURRENT_PRODUCTS))
        if role == "candidate" and spec.reset_after:
            state, *others = recurrent
            recurrent = [f"{self.value('reset')} ⊙ ({state} + b′{letter})", *others]
        of_input = [*self.normed(terms(*INPUT_PRODUCTS)), *terms("raw input")]
        return " + ".join([*of_input, *recurrent, *terms("memory"), f"b{letter}"])

    def subscript(self, role):
        return f"_{_LETTERS[role]}" if len(self.spec.learned) > 1 else ""

    def previous(self, role, vector):
        activation = getattr(self.spec, role).sources["previous input"]
        return f"V{self.subscript(role)} {_applied(activation, vector)}"

    def recurrent(self, role, activation, vector):
        if role == "candidate" and self.spec.reset != 1.0 and not self.spec.reset_after:
            vector = f"({_times(self.value('reset'), vector)})"
        return f"U{self.subscript(role)} {_applied(activation, vector)}"

    def normed(self, products):
        """The terms, or the one that their sum is once normalised."""
        return [f"LN({' + '.join(products)})"] if self.spec.layer_norm and products else products


def _applied(activation, text):
    if activation in (None, "linear"):
        return text
    text = text[1:-1] if re.fullmatch(r"\([^()]*\)", text) else text
    return f"{_SYMBOLS.get(activation, activation)}({text})"


def _times(gate, value):
    if gate == "1":
        return value
    return f"{gate} ⊙ {value}" if re.search(r"ₜ", gate) else f"{gate} {value}"

"""Descriptions of cells, derived from their declarations: `textrnn cells` and `docs/cells.md`."""

import re
import textwrap
from collections import Counter
from dataclasses import fields

from textrnn.cells.assignments import SHAPES, weight_blocks
from textrnn.cells.class_cell import ClassCell
from textrnn.cells.equations import built, equations, one_line, small, state_symbols, states
from textrnn.cells.gate import Gate
from textrnn.cells.published import PUBLISHED
from textrnn.cells.registry import Registered, cell_names, look_up
from textrnn.cells.spec import GateSpec
from textrnn.errors import InputError

__all__ = [
    "KINDS",
    "count_parameters",
    "declaration",
    "equations",
    "kind",
    "one_line",
    "page",
    "parameters",
    "sheet",
    "states",
    "table",
]

KINDS = {
    "S": "sequential: a step reads the previous one through a matrix",
    "D": "diagonal: a step reads the previous one elementwise",
    "P": "parallel: linear in the state, with coefficients of the input alone, so a scan can compute it",
}

PRIMES = 53, 59
"""Features and units: prime numbers, so that each dimension of a weight shows which of them it multiplies."""

NO_FORMULA = "no formula"


def kind(cell: Registered) -> str:
    """Return the kind of recurrence: `"S"`, `"D"` or `"P"`, see `KINDS`.

    Example:

    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.describe import kind
    >>> kind(find_cell("sru"))
    'D'
    """
    return cell.kind if isinstance(cell, GateSpec | ClassCell) else small(cell).kind


def count_parameters(cell: Registered, features: int, units: int) -> int:
    """Return the number of weights for inputs `(batch, features)`.

    Example:

    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.describe import count_parameters
    >>> count_parameters(find_cell("lstm"), features=3, units=5)
    180
    """
    if isinstance(cell, GateSpec | ClassCell):
        count = _weights_by_shape(cell, equal=features == units)
        return sum(n * features ** shape.count("m") * units ** shape.count("n") for shape, n in count.items())
    return built(cell, features, units).count_params()


def parameters(cell: Registered) -> str:
    """Return the number of weights as a formula, for m features and n units.

    A class that takes only multiples of a number as units, such as that of its heads, has none.

    Example:

    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.describe import parameters
    >>> parameters(find_cell("lstm_peephole"))
    '4mn + 4n² + 7n'
    """
    try:
        return _formula(_weights_by_shape(cell))
    except InputError:
        return NO_FORMULA


def declaration(spec: GateSpec) -> str:
    """Return the Python expression that makes the spec.

    Example:

    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.describe import declaration
    >>> declaration(find_cell("ugrnn"))
    "GateSpec(forget=Gate(), input='1 - forget')"
    """
    return _expression(spec)


def table() -> str:
    """Return a table of all cells: a row for each, and its equations in short.

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
        cell = look_up(name)
        lines.append(row(name, kind(cell), ", ".join(states(cell)), parameters(cell), _authors(cell)))
        lines += textwrap.wrap(
            one_line(equations(cell)), 110, initial_indent="    ", subsequent_indent="      "
        )
    return "\n".join([*lines, "", *_legend()])


def sheet(reference: str, features: int = 128, units: int = 256) -> str:
    """Return the full description of one cell.

    Args:
        reference: A name, or `"module:attribute"`.
        features, units: The sizes for which to count the parameters.

    Example:

    >>> from textrnn.cells.describe import sheet
    >>> print(sheet("ugrnn"))  # doctest: +NORMALIZE_WHITESPACE
    ugrnn
    <BLANKLINE>
      fₜ = σ(W_f xₜ + U_f hₜ₋₁ + b_f)
      gₜ = tanh(W_g xₜ + U_g hₜ₋₁ + b_g)
      hₜ = fₜ ⊙ hₜ₋₁ + (1 − fₜ) ⊙ gₜ
    <BLANKLINE>
    kind         S, sequential: a step reads the previous one through a matrix
    states       h (state)
    parameters   2mn + 2n² + 2n; 197,120 with m = 128 features, n = 256 units
    declaration  GateSpec(forget=Gate(), input='1 - forget')
    paper        Collins et al. 2017, Capacity and trainability in recurrent neural networks
    """
    cell = look_up(reference)
    named = (name if name == symbol else f"{symbol} ({name})" for name, symbol in state_symbols(cell).items())
    count = f"{count_parameters(cell, features, units):,} with m = {features} features, n = {units} units"
    entries = {
        "kind": f"{kind(cell)}, {KINDS[kind(cell)]}",
        "states": ", ".join(named),
        "parameters": f"{parameters(cell)}{_where_equal(cell)}; {count}",
        **_origin(cell),
        "paper": _source(cell),
    }
    width = 110 - 13
    lines = [reference, "", *(f"  {line}" for line in equations(cell)), ""]
    for name, text in entries.items():
        if text:
            lines += textwrap.wrap(text, width, initial_indent=f"{name:<13}", subsequent_indent=" " * 13)
    return "\n".join(lines)


def page() -> str:
    """Return the reference page of all published cells, in Markdown: `docs/cells.md`.

    Example:

    >>> from textrnn.cells.describe import page
    >>> page().splitlines()[0]
    '# The cells'
    """
    lines = [
        "# The cells",
        "",
        "Generated from the declarations by `make docs`; do not edit. `GatedCell(units, name)` creates a",
        "cell, and `--cell name` trains it in any recipe.",
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
        origin = "".join(f"\n    {text}\n" for text in _origin(cell).values())
        lines += ["", f"## {name}", "", _source(cell), ""]
        lines += [f"    {line}" for line in equations(cell)]
        title = "Declared as" if isinstance(cell, GateSpec) else "Implemented by the class"
        lines += ["", title, origin.rstrip()]
    return "\n".join([*lines, ""])


def _legend():
    return [
        *(f"{letter}  {meaning}" for letter, meaning in KINDS.items()),
        "States: in the order of initial_state and of states_0, states_1, ... of a served model. V_f x is",
        "the part of this input that gate f reads at the next step.",
        "Parameters: m features, n units. A cell that uses x itself multiplies it by a kernel of mn weights",
        "if m is not n. The formula includes this kernel.",
        "Equations: x input, h output, c memory, ⊙ elementwise product. Each gate has its own weights. Read",
        "them from left to right: a name is the value at t once it is computed, and at t−1 before that.",
    ]


def _weights_by_shape(cell, equal=False):
    """Return `{"mn": 2, "n": 3}` for 2mn + 3n weights; `equal` for m = n, where m is written n."""
    total: Counter[str] = Counter()
    if isinstance(cell, GateSpec | ClassCell):
        weights = cell.weights if isinstance(cell, ClassCell) else _weights(cell)
        for name, (count, shape) in weights.items():
            if not (equal and name == "projection_kernel"):
                total[shape.replace("m", "n") if equal else shape] += count
        return total
    features, units = (PRIMES[1], PRIMES[1]) if equal else PRIMES
    for weight in built(cell, features, units).weights:
        factor, letters = 1, ""
        for size in weight.shape:
            letter, unit = next(
                ((s, u) for s, u in (("n", units), ("m", features)) if size % u == 0), ("", 1)
            )
            factor, letters = factor * (size // unit), letters + letter
        total["".join(sorted(letters))] += factor
    return total


def _weights(spec):
    return {name: (len(blocks), SHAPES[name]) for name, blocks in weight_blocks(spec).items()}


def _formula(total):
    order = sorted(total, key=lambda letters: (-len(letters), letters))
    return " + ".join(f"{'' if total[t] == 1 else total[t]}{t.replace('nn', 'n²')}" for t in order)


def _where_equal(cell):
    """Return the formula for m = n, if it is not the general one with n in place of m."""
    if parameters(cell) == NO_FORMULA:
        return ""
    replaced: Counter[str] = Counter()
    for shape, count in _weights_by_shape(cell).items():
        replaced[shape.replace("m", "n")] += count
    equal = _weights_by_shape(cell, equal=True)
    return "" if equal == replaced else f" ({_formula(equal)} where m = n)"


def _source(cell):
    return getattr(cell, "source", "")


def _authors(cell):
    """Return the start of the reference up to the year: `Elman 1990`."""
    match = re.match(r".*?\d{4}", _source(cell))
    return match[0] if match else ""


def _origin(cell):
    if isinstance(cell, GateSpec):
        return {"declaration": declaration(cell)}
    name = cell.class_name if isinstance(cell, ClassCell) else f"{cell.__module__}.{cell.__name__}"
    return {"class": name}


def _expression(part):
    """Return a `Gate` or `GateSpec` as Python code, without the defaults."""
    if not isinstance(part, Gate | GateSpec):
        return repr(part)
    default = type(part)()
    given = [
        f"{entry.name}={_expression(getattr(part, entry.name))}"
        for entry in fields(part)
        if entry.compare and getattr(part, entry.name) != getattr(default, entry.name)
    ]
    return f"{type(part).__name__}({', '.join(given)})"

"""The equations and the states of a cell as text."""

import inspect
import re
from collections.abc import Sequence
from contextlib import suppress

from textrnn.cells.assignments import assignments, projections, symbol
from textrnn.cells.class_cell import ClassCell
from textrnn.cells.expressions import Delayed
from textrnn.cells.registry import Registered
from textrnn.cells.spec import GateSpec
from textrnn.errors import InputError

SYMBOLS = {"state": "h", "memory": "c", "normalizer": "n", "stabilizer": "m"}
"""How equations call the states of classes."""

_UPDATES = ("step", "coefficients", "read_out")
"""The methods with which a class computes something else than the class it is derived from."""


def equations(cell: Registered) -> tuple[str, ...]:
    r"""Return the equations of one step, one string each.

    Args:
        cell: A `GateSpec`, a row of `PUBLISHED`, or a class. The equations of a class are its `equations`; or
            the first line of its docstring; or, if it computes what `GatedCell` does, those of its spec.

    Example:

    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.equations import equations
    >>> print(*equations(find_cell("mgu")), sep="\n")
    iₜ = σ(W_i xₜ + U_i hₜ₋₁ + b_i)
    gₜ = tanh(W_g xₜ + U_g (iₜ ⊙ hₜ₋₁) + b_g)
    hₜ = (1 − iₜ) ⊙ hₜ₋₁ + iₜ ⊙ gₜ
    """
    if isinstance(cell, GateSpec):
        return tuple(map(str, assignments(cell)))
    if isinstance(cell, ClassCell):
        return cell.equations
    from textrnn.cells.gated import GatedCell

    docstring = ""
    for base in cell.__mro__:
        if base is GatedCell:
            return equations(small(cell).spec)
        own = vars(base)
        if own.get("equations"):
            return tuple(own["equations"])
        docstring = docstring or inspect.cleandoc(own.get("__doc__") or "")
        # The docstrings of its base classes do not describe what this class computes.
        if "equations" in own or any(name in own for name in _UPDATES):
            break
    return (
        docstring.partition("\n")[0] or f"no equations: begin the docstring of {cell.__name__} with them",
    )


def one_line(lines: Sequence[str]) -> str:
    """Return equations in the short form of papers.

    Read them from left to right: a name is the value at t once it is computed, and the value at t−1 before
    that. Equations of the same form, each with its own weights, are written once.

    Example:

    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.equations import equations, one_line
    >>> one_line(equations(find_cell("lstm")))
    'i,f,o = σ(Wx + Uh + b); g = tanh(Wx + Uh + b); c = f⊙c + i⊙g; h = o⊙tanh(c)'
    """
    alike: dict[str, list[str]] = {}
    for line in lines:
        left, equals, right = line.partition(" = ")
        # The key keeps the times: a gate that reads the new memory differs from one that reads the old.
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


def states(cell: Registered) -> tuple[str, ...]:
    """Return the symbols of the states, in the order of `initial_state`, `return_state` and served states.

    The state `V_f x` is the part of this input that gate f reads at the next step.

    Example:

    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.equations import states
    >>> states(find_cell("lstm")), states(find_cell("qrnn"))
    (('h', 'c'), ('c', 'V_f x', 'V_g x', 'V_o x'))
    """
    return tuple(state_symbols(cell).values())


def state_symbols(cell: Registered) -> dict[str, str]:
    """Return the symbol of each state by its name, in the order of the states.

    Example:

    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.equations import state_symbols
    >>> state_symbols(find_cell("lstm"))
    {'state': 'h', 'memory': 'c'}
    """
    if isinstance(cell, GateSpec):
        delayed = {p.name.symbol: str(p) for p in projections(cell) if isinstance(p, Delayed)}
        return {name: delayed.get(name, symbol(name)).replace("ₜ₋₁", "") for name in cell.states}
    if isinstance(cell, ClassCell):
        names = cell.states
    else:
        from textrnn.cells.gated import GatedCell

        made = small(cell)
        names = made.state_names
        if isinstance(made, GatedCell) and len(made.spec.states) == len(names):
            return state_symbols(made.spec)
    return {name: SYMBOLS.get(name, name) for name in names}


def built(cell: type, features: int, units: int):
    """Return an instance of a class, built for inputs `(batch, features)`.

    Raises:
        InputError: If it cannot be called with `units` alone.

    Example:

    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.equations import built
    >>> built(find_cell("min_lstm"), 3, 4).units
    4
    """
    try:
        made = cell(units)
        made.build((None, features))
    except TypeError as error:
        raise InputError(f"{cell.__name__}(units) failed: {error}") from error
    return made


def small(cell: type):
    """Return a small built instance of a class, which may take only multiples of a number as its units.

    Example:

    >>> from textrnn.cells import find_cell
    >>> from textrnn.cells.equations import small
    >>> small(find_cell("min_lstm")).units
    4
    """
    for units in (4, 8):
        with suppress(InputError):
            return built(cell, 4, units)
    return built(cell, 4, 24)

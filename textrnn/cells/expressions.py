"""Expressions in the equations of a cell. An expression prints itself and computes itself.

`str(expression)` is its text in printed equations, and `expression.run(scope)` is its value, a tensor. The
scope holds the values of names and the operations that need Keras; see `textrnn.cells.scope.Scope`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any


class Expression:
    """The right-hand side of an equation, or a part of it."""

    def run(self, scope) -> Any:
        """Return the value: a tensor, or a float for a `Number`."""
        raise NotImplementedError

    def added_to(self, total, scope) -> Any:
        """Return `total` plus the value."""
        return total + self.run(scope)


@dataclass(frozen=True)
class Name(Expression):
    """A variable at step t, or at t−1 if `time` is −1."""

    symbol: str
    time: int = 0

    def __str__(self):
        return self.symbol + ("ₜ₋₁" if self.time else "ₜ")

    def run(self, scope):
        return scope[self]


@dataclass(frozen=True)
class Number(Expression):
    """A constant."""

    value: float

    def __str__(self):
        return f"{self.value:g}"

    def run(self, scope):
        return self.value


@dataclass(frozen=True)
class Weight(Expression):
    """One block of a weight of the cell.

    Args:
        symbol: Its symbol in equations.
        name: The attribute of the cell that holds the weight.
        block: The name of the block, in most cases the role of a gate.
    """

    symbol: str
    name: str
    block: str

    def __str__(self):
        return self.symbol

    @property
    def key(self) -> str:
        """A name that is unique among all blocks of all weights."""
        only_block = self.name == "recurrent_bias" or self.name.startswith("memory_")
        return self.name if only_block else f"{self.name}/{self.block}"

    def run(self, scope):
        return scope.weights[self.key]


@dataclass(frozen=True)
class CombinedBias(Expression):
    """The sum of the two biases of a gate, computed once before the loop over time."""

    own: Weight
    recurrent: Weight

    def __str__(self):
        return f"{self.own} + {self.recurrent}"

    @property
    def key(self) -> str:
        """The name of the sum among the weights of a step: that of the first bias."""
        return self.own.key

    def run(self, scope):
        return scope.weights[self.key]


@dataclass(frozen=True)
class Product(Expression):
    """The product of a kernel with a value."""

    kernel: Weight
    value: Expression

    def __str__(self):
        return f"{self.kernel} {_operand(self.value)}"

    def run(self, scope):
        return scope.multiply(self.kernel, self.value.run(scope))

    def added_to(self, total, scope):
        # One call, so that one tensor is kept for the gradient instead of two.
        return scope.multiply(self.kernel, self.value.run(scope), total)


@dataclass(frozen=True)
class RawInput(Expression):
    """The input itself, through `kernel` where it is not `units` wide."""

    kernel: Weight

    def __str__(self):
        return "xₜ"

    def run(self, scope):
        return scope[self]


@dataclass(frozen=True)
class Activation(Expression):
    """An activation of a value."""

    name: str
    value: Expression

    def __str__(self):
        return f"{'σ' if self.name == 'sigmoid' else self.name}({self.value})"

    def run(self, scope):
        return scope.activate(self.name, self.value.run(scope))


@dataclass(frozen=True)
class Sum(Expression):
    """A sum, printed with its biases last."""

    terms: tuple[Expression, ...]

    def __str__(self):
        first, *others = sorted(self.flat(), key=lambda term: isinstance(term, Weight | CombinedBias))
        return f"{first}" + "".join(
            f" − {-term.value:g}" if isinstance(term, Number) and term.value < 0 else f" + {term}"
            for term in others
        )

    def flat(self) -> Iterator[Expression]:
        """Yield the terms, with nested sums expanded."""
        for term in self.terms:
            inner = term.value if isinstance(term, OfInput) else term
            if isinstance(inner, Sum):
                yield from inner.flat()
            else:
                yield inner

    def run(self, scope):
        first, *others = self.terms
        total = first.run(scope)
        for term in others:
            total = term.added_to(total, scope)
        return total


@dataclass(frozen=True)
class Times(Expression):
    """An elementwise product."""

    left: Expression
    right: Expression

    def __str__(self):
        dot = " " if isinstance(self.left, Number) else " ⊙ "
        return _operand(self.left) + dot + _operand(self.right)

    def run(self, scope):
        return self.left.run(scope) * self.right.run(scope)


@dataclass(frozen=True)
class OneMinus(Expression):
    """One minus a value."""

    value: Expression

    def __str__(self):
        return f"(1 − {self.value})"

    def run(self, scope):
        return 1.0 - self.value.run(scope)


@dataclass(frozen=True)
class Update(Expression):
    """The new memory, `kept ⊙ memory + written`. A scan uses `kept` and `written` as coefficients."""

    kept: Expression
    memory: Name
    written: Expression

    def __str__(self):
        if self.kept == Number(0.0):
            return f"{self.written}"
        return f"{times(self.kept, self.memory)} + {self.written}"

    def run(self, scope):
        if self.kept == Number(0.0):
            return self.written.run(scope)
        return times(self.kept, self.memory).run(scope) + self.written.run(scope)


@dataclass(frozen=True, eq=False)
class LayerNormGroup(Expression):
    """Values that are normalized together, as one vector, and each one's gain and shift.

    Its own value is the list of the normalized values.
    """

    roles: tuple[str, ...]
    values: tuple[Expression, ...]
    gains: tuple[Weight, ...]
    shifts: tuple[Weight, ...]

    def run(self, scope):
        values, gains, shifts = (
            [part.run(scope) for part in parts] for parts in (self.values, self.gains, self.shifts)
        )
        return scope.layer_normalize(values, gains, shifts)


@dataclass(frozen=True)
class LayerNorm(Expression):
    """One value of a group that is layer-normalized."""

    group: LayerNormGroup
    index: int

    def __str__(self):
        return f"LN({self.group.values[self.index]})"

    def run(self, scope):
        return scope[self.group][self.index]


@dataclass(frozen=True)
class OfInput(Expression):
    """A part that depends on the input at t alone, computed for all steps before the loop over time."""

    name: Name
    value: Expression

    def __str__(self):
        return f"{self.value}"

    def run(self, scope):
        return scope[self.name]


@dataclass(frozen=True)
class Delayed(Expression):
    """A part that depends on the input at t−1 alone. Its value was computed at t−1 and is a state."""

    name: Name
    value: Expression

    def __str__(self):
        return f"{self.value}"

    def run(self, scope):
        return scope[self.name]


def times(gate: Expression, value: Expression) -> Expression:
    """Return the elementwise product, or just the value if the gate is 1."""
    return value if gate == Number(1.0) else Times(gate, value)


def activation(name: str | None, value: Expression) -> Expression:
    """Return the activation of the value, or just the value if there is no activation."""
    return value if name in (None, "linear") else Activation(name, value)


def walk(expression: Any, closed: tuple[type, ...] = ()) -> Iterator[Expression]:
    """Yield an expression and everything in it, but nothing inside expressions of the `closed` types.

    Example:

    >>> from textrnn.cells.expressions import Name, OneMinus, walk
    >>> [str(part) for part in walk(OneMinus(Name("f")))]
    ['(1 − fₜ)', 'fₜ']
    """
    if isinstance(expression, Expression):
        yield expression
    if isinstance(expression, closed):
        return
    for entry in fields(expression):
        value = getattr(expression, entry.name)
        for part in value if isinstance(value, tuple) else (value,):
            if is_dataclass(part):
                yield from walk(part, closed)


def _operand(expression):
    """Return the text of a factor, in parentheses if it needs them."""
    inner = expression.value if isinstance(expression, OfInput) else expression
    return f"({inner})" if isinstance(inner, Sum | Product | Times) else f"{inner}"

"""The scope in which the expressions of a cell are computed: values of names, and operations of Keras."""

from collections.abc import Callable, Mapping, Sequence

import keras
from keras import ops

from textrnn.cells.expressions import Expression, Name
from textrnn.tensors import Tensor, at_least_float32

EPSILON = 1e-5
"""Added to the variance in layer normalization."""


class Scope(dict):
    """The values of names, `Name` -> tensor. A missing value is computed from its definition on first use.

    Args:
        known: The values that are given.
        definitions: The expressions of names that can be computed.
        multiply: `multiply(kernel, x)` multiplies x by a kernel. A third argument is added to the product.
        weights: The weights that are used elementwise, by `Weight.key`.
    """

    def __init__(
        self,
        known: Mapping[Expression, Tensor],
        definitions: Mapping[Name, Expression],
        multiply: Callable[..., Tensor],
        weights: Mapping[str, Tensor],
    ):
        super().__init__(known)
        self.definitions, self.multiply, self.weights = definitions, multiply, weights

    def __missing__(self, key):
        value = self[key] = self.definitions.get(key, key).run(self)
        return value

    def activate(self, name: str, x: Tensor) -> Tensor:
        """Apply an activation to x."""
        return activate(name, x)

    def layer_normalize(
        self, values: Sequence[Tensor], gains: Sequence[Tensor], shifts: Sequence[Tensor]
    ) -> list[Tensor]:
        """Layer-normalize all values as one vector, in float32 or wider."""
        dtype, count = values[0].dtype, len(values)
        exact = [ops.cast(value, at_least_float32(value)) for value in values]
        mean = sum_of([ops.mean(value, axis=-1, keepdims=True) for value in exact]) / count
        centred = [value - mean for value in exact]
        squares = [ops.mean(ops.square(value), axis=-1, keepdims=True) for value in centred]
        scale = ops.rsqrt(sum_of(squares) / count + EPSILON)
        return [
            ops.cast(value * scale, dtype) * gain + shift
            for value, gain, shift in zip(centred, gains, shifts, strict=True)
        ]


def activate(name: str | None, x: Tensor) -> Tensor:
    """Apply the activation of that name to x. None is the identity."""
    return x if name in (None, "linear") else keras.activations.get(name)(x)


def sum_of(terms: Sequence[Tensor]) -> Tensor:
    """Return the sum of tensors, without adding a zero."""
    return sum(terms[1:], terms[0])

"""The cell contract: the mathematics of one step, without time, masks, batching or speed."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from textrnn import private
from textrnn.cells.products import Dot, dot_with, look_up
from textrnn.tensors import Tensor, at_least_float32, is_float


class Cell(keras.layers.Layer, abc.ABC):
    """Base class of recurrent cells, which separates what depends on the input alone from the recurrence.

    A subclass defines

    - `state_size`, a list with the size of each state, and `output_size`, an int;
    - `project_inputs(x)`: everything that depends on the input alone. A layer computes it once for the whole
      sequence, with a few large matrix products;
    - `step(projected, states, dot, weights)`: one step, written as in its paper;
    - `recurrent_kernels` and, if it has any, `elementwise_weights`: what `dot` and `weights` refer to.

    `call` is derived from these, so the cell also works in `keras.layers.RNN`. `step` must be pure and
    deterministic, and must multiply by recurrent matrices only through `dot`. This lets a layer keep or
    recompute a product, apply dropout to its factors, and compute the gradients of kernels after the loop.

    Whatever else `step` reads, such as a topic vector or the memory of an attention, must be among the
    `elementwise_weights`. Set it as an attribute of the cell before a call, return it from that property, and
    read it from the `weights` that `step` is given. Then it has a gradient with every strategy.

    `states` is always a list, also for a single state.

    Example:

    >>> import keras, numpy as np, textrnn
    >>> class Decay(textrnn.Cell):
    ...     "h = tanh(Wx + Uh) / 2"
    ...     state_size = [3]
    ...     output_size = 3
    ...     def build(self, input_shape):
    ...         self.kernel = self.add_weight(shape=(input_shape[-1], 3), name="kernel")
    ...         self.recurrent_kernel = self.add_weight(shape=(3, 3), name="recurrent_kernel")
    ...     @property
    ...     def recurrent_kernels(self):
    ...         return {"state": keras.ops.convert_to_tensor(self.recurrent_kernel)}
    ...     def project_inputs(self, x):
    ...         return (keras.ops.matmul(x, self.kernel),)
    ...     def step(self, projected, states, dot, weights):
    ...         h = keras.ops.tanh(dot("state", states[0], projected[0])) / 2
    ...         return h, [h]
    >>> textrnn.Recurrent(Decay(), return_sequences=True)(np.ones((2, 5, 4))).shape == (2, 5, 3)
    True
    """

    @property
    @abc.abstractmethod
    def state_size(self) -> list[int]:
        """The sizes of the states."""

    @property
    @abc.abstractmethod
    def output_size(self) -> int:
        """The size of the output."""

    def call(self, inputs: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Compute one step.

        Args:
            inputs: `(batch, features)`.
            states: One tensor `(batch, n)` for each n in `state_size`.

        Returns:
            The output `(batch, output_size)` and the new states.
        """
        return self.stepper()(inputs, states)

    def stepper(
        self, vectors: Tensor | None = None
    ) -> Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, list[Tensor]]]:
        """Return `call` as a function that has already read the weights, for a custom loop such as decoding.

        Reading the weights splits the kernels by gate, which takes longer than a step of one row. An export
        stores them split.

        Args:
            vectors: `(n, features)`. If given, the inputs of a step are rows of it, integers `(batch,)`. All
                vectors are projected at once, before the first step.
        """
        with private.autocast_to(self.compute_dtype):
            project, dot = self.projector(), dot_with(_read(self.recurrent_kernels))
            project = project if vectors is None else look_up(project, vectors)
            weights = _read(self.elementwise_weights)

        def step(inputs, states):
            with private.autocast_to(self.compute_dtype):
                output, new_states = self.step(project(inputs), list(states), dot, weights)
            return output, list(new_states)

        return step

    def projector(self) -> Callable[[Tensor], tuple[Tensor, ...]]:
        """Return `project_inputs` as a function, which may have already read the weights."""
        return self.project_inputs

    @abc.abstractmethod
    def project_inputs(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute everything that depends on the input alone.

        Args:
            x: One step `(batch, features)`, or a whole sequence `(time, batch, features)`.

        Returns:
            A tuple of tensors `(..., n)`. They are separate, since slicing one large tensor inside the loop
            over time takes longer than the arithmetic.
        """

    @abc.abstractmethod
    def step(
        self,
        projected: Sequence[Tensor],
        states: Sequence[Tensor],
        dot: Dot,
        weights: Mapping[str, Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        """Compute one step from projected inputs.

        Args:
            projected: The results of `project_inputs`, each `(batch, n)`.
            states: As for `call`.
            dot: `dot(name, x)` multiplies x by `recurrent_kernels[name]`; `dot(name, x, plus)` adds `plus`.
            weights: `elementwise_weights`. Other entries are to be ignored.

        Returns:
            The output `(batch, output_size)` and the new states.
        """

    @property
    @abc.abstractmethod
    def recurrent_kernels(self) -> dict[str, Tensor]:
        """The matrices of `dot`, one for each gate: name -> `(n, m)`."""

    @property
    def elementwise_weights(self) -> dict[str, Tensor]:
        """What `step` reads besides its other arguments: name -> tensor.

        Weights `(n,)`, such as peepholes and gains, and tensors of any shape that are set before a call.
        """
        return {}

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the states, in the order of `state_size`. Default: `state`, `state_1`, ..."""
        return tuple(f"state_{index}" if index else "state" for index in range(len(self.state_size)))

    @property
    def zoneout_groups(self) -> list[int | None]:
        """The group of each state: states in a group share a zoneout mask, and None excludes a state.

        By default each state is its own group.
        """
        return list(range(len(self.state_size)))

    def average_states(
        self, old: Sequence[Tensor], new: Sequence[Tensor], rates: Sequence[float]
    ) -> list[Tensor]:
        """Return the expected states under zoneout, which inference uses.

        By default each state is averaged separately. A cell whose states belong together overrides this.

        Args:
            old: The states before a step.
            new: The states after it.
            rates: For each state the probability that a unit keeps its old value, equal within a group.

        Returns:
            The expected states.
        """
        return [z * o + (1 - z) * n if z else n for o, n, z in zip(old, new, rates, strict=True)]

    @property
    def kind(self) -> str:
        """How the new states depend on the old ones, for a built cell.

        `"S"`, sequential: through a matrix. `"D"`, diagonal: elementwise. `"P"`, parallel: linearly, with
        coefficients that depend on the input alone, so a parallel scan can compute it.
        """
        return "S" if self.recurrent_kernels else "D"

    def get_initial_state(self, batch_size: Any = None) -> list[Tensor]:
        """Return zeros `(batch_size, n)` for each n in `state_size`, in the compute dtype of the cell."""
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]

    def compute_output_shape(self, input_shape):
        """Return the shapes of the results of `call`."""
        batch = input_shape[0]
        return (batch, self.output_size), [(batch, size) for size in self.state_size]


class LinearCell(Cell):
    """Base class of cells with a linear update: c(t) = a(t) ⊙ c(t−1) + b(t).

    A subclass defines, besides `state_size`, `output_size` and `project_inputs`,

    - `coefficients(projected, weights)`: a and b, which depend on the input alone;
    - `read_out(projected, memory, weights)`, if the output is not the memory itself;
    - `delayed`, if they also depend on the previous input.

    `step` and the scan over all steps are derived from these. Both functions accept one step and whole
    sequences. The states are the memory and the delayed projections.

    Example:

    >>> import keras, numpy as np, textrnn
    >>> class Average(textrnn.cells.LinearCell):
    ...     "c = 0.9 c + 0.1 x"
    ...     def __init__(self, units, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.state_size, self.output_size = [units], units
    ...     state_size = output_size = None
    ...     def project_inputs(self, x):
    ...         return (x,)
    ...     def coefficients(self, projected, weights):
    ...         return 0.9 * keras.ops.ones_like(projected[0]), 0.1 * projected[0]
    >>> float(textrnn.Recurrent(Average(1))(np.ones((1, 2, 1)))[0, 0]), Average(1).kind
    (0.1899999976158142, 'P')
    """

    delayed: Sequence[int] = ()
    """The indices of the projections that `coefficients` and `read_out` receive from the previous step. These
    projections are states."""

    @property
    def kind(self) -> str:
        """`"P"`, or `"D"` if a subclass overrides `step` or `average_states`, which may not be linear."""
        own = type(self)
        is_linear = own.step is LinearCell.step and own.average_states is Cell.average_states
        return "P" if is_linear else super().kind

    @property
    def zoneout_groups(self) -> list[int | None]:
        """One group for the memory; None for delayed projections."""
        return [0, *(None for _ in self.delayed)]

    @property
    def recurrent_kernels(self) -> dict[str, Tensor]:
        """Empty: nothing reads the state through a matrix."""
        return {}

    @abc.abstractmethod
    def coefficients(
        self, projected: Sequence[Tensor], weights: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the coefficients of the update.

        Args:
            projected: The results of `project_inputs` for one step `(batch, n)` or for all
                `(time, batch, n)`; those at `delayed` are of the previous step. Steps and scans cast them to
                float32 or wider.
            weights: `elementwise_weights`.

        Returns:
            a and b, each with the leading dimensions of `projected` and the size of the state.
        """

    def read_out(self, projected: Sequence[Tensor], memory: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Return the output for the new memory. By default it is the memory itself."""
        return memory

    def step(self, projected, states, dot, weights):
        """Compute one step: c = a ⊙ c + b, and the output."""
        memory, *before = states
        seen = list(projected)
        for index, x in zip(self.delayed, before, strict=True):
            seen[index] = x
        exact = at_least_float32(memory)
        kept, written = coefficients_in(exact, self, seen, weights)
        memory = ops.cast(kept * ops.cast(memory, exact) + written, memory.dtype)
        return self.read_out(seen, memory, weights), [memory, *(projected[index] for index in self.delayed)]


def _read(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The present values of variables, and tensors as they are."""
    return {name: ops.convert_to_tensor(value) for name, value in weights.items()}


def output_size_of(cell: Any) -> int:
    """Return the size of the output of any Keras cell, which is that of its first state by default.

    Example:

    >>> import keras
    >>> from textrnn.cells.base import output_size_of
    >>> output_size_of(keras.layers.LSTMCell(4))
    4
    """
    size = getattr(cell, "output_size", None)
    return keras.tree.flatten(cell.state_size)[0] if size is None else size


def coefficients_in(
    dtype: str, cell: Any, projected: Sequence[Tensor], weights: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the `coefficients` of a cell of kind P in a dtype: in half precision, one close to 1 would be 1.

    Args:
        dtype: At least float32.
        cell: A cell with the methods of `LinearCell`.
        projected, weights: As for its `coefficients`. They are cast before: a projection may be the logarithm
            of a coefficient.
    """
    weights = {name: ops.cast(w, dtype) if is_float(w) else w for name, w in weights.items()}
    return cell.coefficients([ops.cast(x, dtype) for x in projected], weights)

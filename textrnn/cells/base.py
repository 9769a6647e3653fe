"""The cell contract: the mathematics of one step, which knows nothing of time, masks, batching or speed."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

Tensor = Any
"""A tensor of whichever backend Keras runs on."""

Dot = Callable[..., Tensor]
"""`dot(name, x)`: x `(batch, n)` times the recurrent kernel of that name `(n, m)`; gives `(batch, m)`.
`dot(name, x, plus)` adds a tensor of that shape: a strategy then keeps the sum instead of both terms."""


class Cell(keras.layers.Layer, abc.ABC):
    """Base class of recurrent cells that say what depends on the input alone and what on the state.

    A subclass defines

    - `state_size`, a list of ints, one for each state, and `output_size`, an int;
    - `project_inputs(x)`: everything that depends on the input alone. A layer runs it once for a whole
      sequence, as a few large matrix products;
    - `step(projected, states, dot, weights)`: one step, written as its paper writes it;
    - `recurrent_kernels` and, where it has any, `elementwise_weights`: what `dot` and `weights` stand for.

    `call`, and with it Keras's contract for cells, is derived from these: the cell also works in
    `keras.layers.RNN`, one step at a time. `step` must be pure and deterministic, and `dot` the only way in
    which it multiplies by a recurrent matrix: then whoever runs the cell over time may keep a product or
    recompute it, drop out what is multiplied, and take the kernels' gradients out of the loop.

    A single state is a list of one: `states` is a list everywhere.

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
        """The size of each state."""

    @property
    @abc.abstractmethod
    def output_size(self) -> int:
        """The size of the output."""

    def call(self, inputs: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """One step of time.

        Args:
            inputs: `(batch, features)`.
            states: one tensor `(batch, n)` for each n of `state_size`.

        Returns:
            The output `(batch, output_size)` and the new states.
        """
        return self.stepper()(inputs, states)

    def stepper(self) -> Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, list[Tensor]]]:
        """`call` as a function that has read the weights already: for loops of one's own, such as decoding.

        Reading them splits the kernels by gate, which costs more than a step of one row.
        """
        project, dot = self.projector(), dot_with(self.recurrent_kernels)
        weights = self.elementwise_weights

        def step(inputs, states):
            output, new_states = self.step(project(inputs), list(states), dot, weights)
            return output, list(new_states)

        return step

    def projector(self) -> Callable[[Tensor], tuple[Tensor, ...]]:
        """`project_inputs` as a function that has read the weights already, if the cell gains by that."""
        return self.project_inputs

    @abc.abstractmethod
    def project_inputs(self, x: Tensor) -> tuple[Tensor, ...]:
        """Everything that depends on the input alone.

        Args:
            x: `(..., features)`; with one leading dimension a step of a batch, with two a whole sequence.

        Returns:
            A tuple of tensors `(..., n)`. Separate tensors, since slicing one large tensor inside the loop
            over time costs more than the loop's arithmetic.
        """

    @abc.abstractmethod
    def step(
        self,
        projected: Sequence[Tensor],
        states: Sequence[Tensor],
        dot: Dot,
        weights: Mapping[str, Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        """One step of time, from projected inputs.

        Args:
            projected: what `project_inputs` gave, each of shape `(batch, n)`.
            states: as for `call`.
            dot: `dot(name, x)` multiplies x by `recurrent_kernels[name]`; `dot(name, x, plus)` adds to that.
            weights: `elementwise_weights`, perhaps with other entries, which a cell leaves alone.

        Returns:
            The output `(batch, output_size)` and the new states.
        """

    @property
    @abc.abstractmethod
    def recurrent_kernels(self) -> dict[str, Tensor]:
        """The matrices that `dot` multiplies by: name -> `(n, m)`, one for each gate."""

    @property
    def elementwise_weights(self) -> dict[str, Tensor]:
        """The weights of `step` that are not matrices (peepholes, a normalisation's gain): name -> `(n,)`."""
        return {}

    @property
    def state_names(self) -> tuple[str, ...]:
        """What each state is, in the order of `state_size`: by default `state`, `state_1`, ..."""
        return tuple(f"state_{index}" if index else "state" for index in range(len(self.state_size)))

    @property
    def zoneout_groups(self) -> list[int | None]:
        """For each state the group whose zoneout mask it shares, or None where keeping an old value would
        make no sense. By default every state is a group of its own, in the order of the states."""
        return list(range(len(self.state_size)))

    def average_states(
        self, old: Sequence[Tensor], new: Sequence[Tensor], rates: Sequence[float]
    ) -> list[Tensor]:
        """What is expected of the states where a unit keeps its old value with a given probability.

        Zoneout asks this in inference. By default each state is averaged on its own; a cell whose states only
        make sense together says how they are.

        Args:
            old: the states before a step.
            new: the states after it.
            rates: the probability of each state, the same within a group of `zoneout_groups`.

        Returns:
            The expected states.
        """
        return [z * o + (1 - z) * n if z else n for o, n, z in zip(old, new, rates, strict=True)]

    @property
    def kind(self) -> str:
        """How the states of one step depend on those before, derived from the built cell.

        `"S"`, sequential: through a matrix. `"D"`, diagonal: elementwise. `"P"`, parallel: linearly, with
        coefficients that depend on the input alone, so that a parallel scan can compute it.
        """
        return "S" if self.recurrent_kernels else "D"

    def get_initial_state(self, batch_size: Any = None) -> list[Tensor]:
        """Zeros `(batch_size, n)` for each n of `state_size`, in the cell's compute dtype."""
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]

    def compute_output_shape(self, input_shape):
        """The shapes of what `call` returns."""
        batch = input_shape[0]
        return (batch, self.output_size), [(batch, size) for size in self.state_size]


class LinearCell(Cell):
    """Base class of cells whose memory is linear in itself: c(t) = a(t) ⊙ c(t−1) + b(t).

    A subclass defines, besides `state_size`, `output_size` and `project_inputs`,

    - `coefficients(projected, weights)`: a and b, which depend on the input alone;
    - `read_out(projected, memory, weights)` where the output is not the memory itself;
    - `delayed`, where they also depend on the input of the step before.

    `step` is derived from these, and so is the scan, which runs all steps at once: both functions work on one
    step and on whole sequences. The states are the memory and what is delayed.

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
    """The indices of what `coefficients` and `read_out` see of the step before in the place of this one:
    these projections are states."""

    @property
    def kind(self) -> str:
        """`"P"`; of a subclass with its own `step` or `average_states`, which need not be linear, `"D"`."""
        own = type(self)
        is_linear = own.step is LinearCell.step and own.average_states is Cell.average_states
        return "P" if is_linear else super().kind

    @property
    def zoneout_groups(self) -> list[int | None]:
        """The memory alone: what is delayed belongs to the input."""
        return [0, *(None for _ in self.delayed)]

    @property
    def recurrent_kernels(self) -> dict[str, Tensor]:
        """None: nothing reads the state through a matrix."""
        return {}

    @abc.abstractmethod
    def coefficients(
        self, projected: Sequence[Tensor], weights: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The coefficients of the update.

        Args:
            projected: what `project_inputs` gave, of one step `(batch, n)` or of all `(time, batch, n)`;
                those at `delayed` of the step before. A scan hands them over in float32 at the least.
            weights: `elementwise_weights`.

        Returns:
            a and b, each with the leading dimensions of `projected` and the size of the state.
        """

    def read_out(self, projected: Sequence[Tensor], memory: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """The output from the new memory; by default the memory itself."""
        return memory

    def step(self, projected, states, dot, weights):
        """One step: c = a ⊙ c + b, and what is read out of it."""
        memory, *before = states
        seen = list(projected)
        for index, x in zip(self.delayed, before, strict=True):
            seen[index] = x
        kept, written = self.coefficients(seen, weights)
        memory = kept * memory + written
        return self.read_out(seen, memory, weights), [memory, *(projected[index] for index in self.delayed)]


def dot_with(kernels: Mapping[str, Tensor]) -> Dot:
    """The plain `dot`: the products with these kernels, name -> `(n, m)`.

    Example:
    >>> from keras import ops
    >>> from textrnn.cells.base import dot_with
    >>> dot = dot_with({"state": 2 * ops.eye(2)})
    >>> [[float(value) for value in row] for row in dot("state", ops.ones((1, 2)), ops.ones((1, 2)))]
    [[3.0, 3.0]]
    """

    def dot(name, x, plus=None):
        product = ops.matmul(x, kernels[name])
        return product if plus is None else product + plus

    return dot


def at_least_float32(x: Tensor) -> str:
    """The dtype in which to accumulate tensors like x: half precision loses small terms and factors near 1.

    (Not Keras's `result_type` with float32, which on JAX is float32 for float64 too.)

    Example:
    >>> from keras import ops
    >>> from textrnn.cells.base import at_least_float32
    >>> at_least_float32(ops.ones(1, "bfloat16")), at_least_float32(ops.ones(1, "float32"))
    ('float32', 'float32')
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def project(x: Tensor, kernel: Tensor) -> Tensor:
    """Multiplies x `(..., n)` by a kernel `(n, m)`, as one matrix product whatever the leading dimensions.

    A batched product of `(time, batch, n)` with a matrix is slower, and its gradient much more so.

    Example:
    >>> from keras import ops
    >>> from textrnn.cells.base import project
    >>> project(ops.ones((5, 2, 3)), ops.ones((3, 4))).shape == (5, 2, 4)
    True
    """
    *leading, features = ops.shape(x)
    if len(leading) == 1:
        return ops.matmul(x, kernel)
    product = ops.matmul(ops.reshape(x, (-1, features)), kernel)
    return ops.reshape(product, (*leading, kernel.shape[-1]))

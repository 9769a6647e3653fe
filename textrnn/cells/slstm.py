"""sLSTM: the LSTM with exponential gates, a normalizer, and heads."""

import math
from typing import ClassVar

import keras
import numpy as np
from keras import ops

from textrnn.cells.published import SLSTM
from textrnn.cells.weights import WeightedCell, affine, check_size, gate_by_gate
from textrnn.errors import InputError

ROLES = ("input", "forget", "candidate", "output")

INITIAL_STABILISER = -3e4
"""The initial value of m. It is below all pre-activations, so that the first step writes with weight 1 and
the initial memory has weight 0; and finite, also in float16, since −∞ − (−∞) is NaN."""


@keras.saving.register_keras_serializable("textrnn")
class SLSTMCell(WeightedCell):
    """The scalar LSTM of xLSTM: an exponential input gate, and a memory that is a weighted average.

        ĩ = Wx + Uh + b, f = σ(Wx + Uh + b), z = tanh(Wx + Uh + b), o = σ(Wx + Uh + b)
        m = max(log f + m, ĩ)
        i′ = exp(ĩ − m), f′ = exp(log f + m(t−1) − m)
        c = f′ ⊙ c + i′ ⊙ z
        n = f′ ⊙ n + i′
        h = o ⊙ c / n

    m keeps the exponentials in range and does not change c/n. U is block-diagonal: the units of each of the
    `num_heads` heads read only one another.

    Weights, in blocks of `units` columns in the order input, forget, candidate, output: `kernel`
    `(features, 4 * units)`; `recurrent_kernel` `(units / num_heads, 4 * units)`, with the heads side by side
    in each block; `bias` `(4 * units,)`. With one head they have the shapes of an LSTM. The states are h, c
    and n, which start at 0, and m, which starts at `INITIAL_STABILISER`.

    Source: Beck et al. 2024, xLSTM: Extended long short-term memory.

    Args:
        units: The size of the output and of each state.
        num_heads: The number of heads, a divisor of `units`.
        use_bias: Whether gates have biases.
        **kwargs: `kernel_initializer` ("glorot_uniform"); `recurrent_initializer` ("orthogonal", applied to
            each head of each gate separately); `bias_initializer` ("zeros"; the biases of the forget gate
            start at values spaced evenly from 3 to 6 in each head); the regularizers and constraints of each;
            and the arguments of `keras.layers.Layer`.

    Raises:
        InputError: If `units` or `num_heads` is not a positive integer, or `units` is not a multiple of
            `num_heads`.

    Example:

    >>> import numpy as np
    >>> from textrnn.cells.slstm import SLSTMCell
    >>> cell = SLSTMCell(8, num_heads=2)
    >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape == (2, 8), len(states), cell.kind
    (True, 4, 'S')
    """

    equations = SLSTM.equations
    source = SLSTM.source
    state_names = SLSTM.states
    initializers: ClassVar = {"kernel": "glorot_uniform", "recurrent": "orthogonal", "bias": "zeros"}

    def __init__(self, units: int, num_heads: int = 1, **kwargs):
        super().__init__(units, **kwargs)
        self.num_heads = check_size("num_heads", num_heads)
        if self.units % self.num_heads:
            raise InputError(
                f"units is {self.units}, not a multiple of num_heads, which is {self.num_heads}: change one"
            )

    @property
    def state_size(self) -> list[int]:
        """h, c, n and m."""
        return [self.units] * 4

    @property
    def zoneout_groups(self):
        """One group for h, and one for c, n and m, which belong together."""
        return [0, 1, 1, 1]

    def average_states(self, old, new, rates):
        """Average h, and c·exp(m) and n·exp(m), which c and n stand for; the new m is a common scale."""
        h, *_ = super().average_states(old[:1], new[:1], rates[:1])
        rate = rates[1]
        if not rate:
            return [h, *new[1:]]
        before, after = old[3] + math.log(rate), new[3] + math.log(1 - rate)
        m = ops.maximum(before, after)
        kept, written = ops.exp(before - m), ops.exp(after - m)
        c, n = (kept * o + written * w for o, w in zip(old[1:3], new[1:3], strict=True))
        return [h, c, n, m]

    def get_initial_state(self, batch_size=None):
        """Return zeros for h, c and n, and `INITIAL_STABILISER` for m, each `(batch_size, units)`."""
        *zeros, m = super().get_initial_state(batch_size)
        return [*zeros, ops.full_like(m, INITIAL_STABILISER)]

    def build(self, input_shape):
        """Create the weights for inputs `(batch, features)`."""
        columns = self.units * len(ROLES)
        self.kernel = self.new_weight("kernel", "kernel", (input_shape[-1], columns))
        self.recurrent_kernel = self.new_weight(
            "recurrent",
            "recurrent_kernel",
            (self.units // self.num_heads, columns),
            gate_by_gate(self.recurrent_initializer, len(ROLES) * self.num_heads),
        )
        self.bias = self.new_weight("bias", "bias", (columns,), self._initial_bias) if self.use_bias else None

    def projector(self):
        """Return `project_inputs`, which gives W·x + b of each gate, `(..., units)`, in their order."""
        kernels, biases = self.blocks(self.kernel, ROLES), self.blocks(self.bias, ROLES)

        def project_inputs(x):
            return tuple(affine(ops.cast(x, self.compute_dtype), kernels, biases).values())

        return project_inputs

    def step(self, projected, states, dot, weights):
        """Compute one step: the equations of the class."""
        h, c, n, m = states
        heads = ops.split(h, self.num_heads, axis=-1)

        def gate(role, x):
            if self.num_heads == 1:
                return dot(f"{role}/0", h, x)
            return x + ops.concatenate([dot(f"{role}/{k}", part) for k, part in enumerate(heads)], axis=-1)

        i, f, z, o = (gate(role, x) for role, x in zip(ROLES, projected, strict=True))
        log_f = ops.log_sigmoid(f)
        before, m = m, ops.maximum(log_f + m, i)
        written = ops.exp(i - m)
        # The difference of the stabilizers first: a large m swallows a small log f in half precision.
        kept = ops.exp(log_f + (before - m))
        c = kept * c + written * ops.tanh(z)
        n = kept * n + written
        h = ops.sigmoid(o) * c / n
        return h, [h, c, n, m]

    @property
    def recurrent_kernels(self):
        """The block `(units / num_heads, units / num_heads)` of U for each gate and head, `<role>/<head>`."""
        # As fast as one dense product a gate on TensorFlow, and faster with XLA and on JAX.
        names = [f"{role}/{head}" for role in ROLES for head in range(self.num_heads)]
        return self.blocks(self.recurrent_kernel, names)

    def get_config(self):
        """Return the constructor's arguments."""
        return super().get_config() | {"num_heads": self.num_heads}

    def _initial_bias(self, shape, dtype=None):
        # xLSTM's "small_init". Its other choice depends on the depth of the layer, unknown to a cell.
        forget = np.tile(np.linspace(3.0, 6.0, self.units // self.num_heads), self.num_heads)
        first, _, *others = ops.split(self.bias_initializer(shape, dtype=dtype), len(ROLES))
        return ops.concatenate([first, ops.cast(forget, first.dtype), *others])

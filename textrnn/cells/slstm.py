"""sLSTM: the LSTM with exponential gates, a normaliser, and heads."""

import math
from typing import ClassVar

import keras
import numpy as np
from keras import ops

from textrnn.cells.weights import WeightedCell, affine, check_size, gate_by_gate
from textrnn.errors import InputError

ROLES = ("input", "forget", "candidate", "output")

INITIAL_STABILISER = -3e4
"""Where m starts: below every pre-activation, so that the first step writes with weight 1 and what was
before has weight 0. Finite, and so in float16 too: −∞ − (−∞) would be NaN."""


@keras.saving.register_keras_serializable("textrnn")
class SLSTMCell(WeightedCell):
    """The scalar LSTM of xLSTM: an exponential input gate, and an average of what was written as memory.

        ĩ = Wx + Uh + b, f = σ(Wx + Uh + b), z = tanh(Wx + Uh + b), o = σ(Wx + Uh + b)
        m = max(log f + m, ĩ)
        i′ = exp(ĩ − m), f′ = exp(log f + m(t−1) − m)
        c = f′ ⊙ c + i′ ⊙ z
        n = f′ ⊙ n + i′
        h = o ⊙ c / n

    m only keeps the exponentials in range: c/n is the same whatever it is. U is block-diagonal: each of
    `num_heads` parts of the units mixes with itself alone.

    Weights, in blocks of `units` columns in the order input, forget, candidate, output: `kernel`
    `(features, 4 * units)`; `recurrent_kernel` `(units / num_heads, 4 * units)`, in each block the heads from
    left to right; `bias` `(4 * units,)`. With one head they have the shapes of an LSTM's. The states are
    h, c, n and m, the first three 0 at first and the last `INITIAL_STABILISER`.

    Source: Beck et al. 2024, xLSTM: Extended long short-term memory.

    Args:
        units: the size of the output and of each state.
        num_heads: how many parts the units have; a divisor of `units`.
        use_bias: whether gates have biases.
        **kwargs: `kernel_initializer` ("glorot_uniform"), `recurrent_initializer` ("orthogonal", for each
            block of each gate on its own), `bias_initializer` ("zeros"; the forget gate's biases start at 3
            to 6 in equal steps across each head), the regularizers and constraints of each, and the
            arguments of `keras.layers.Layer`.

    Raises:
        InputError: for `units` that is not a positive whole number, or not a multiple of `num_heads`.

    Example:
    >>> import numpy as np
    >>> from textrnn.cells.slstm import SLSTMCell
    >>> cell = SLSTMCell(8, num_heads=2)
    >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape == (2, 8), len(states), cell.kind
    (True, 4, 'S')
    """

    equations = (
        "ĩₜ = W_i xₜ + U_i hₜ₋₁ + b_i",
        "fₜ = σ(W_f xₜ + U_f hₜ₋₁ + b_f)",
        "zₜ = tanh(W_z xₜ + U_z hₜ₋₁ + b_z)",
        "oₜ = σ(W_o xₜ + U_o hₜ₋₁ + b_o)",
        "mₜ = max(log fₜ + mₜ₋₁, ĩₜ)",
        "i′ₜ = exp(ĩₜ − mₜ)",
        "f′ₜ = exp(log fₜ + mₜ₋₁ − mₜ)",
        "cₜ = f′ₜ ⊙ cₜ₋₁ + i′ₜ ⊙ zₜ",
        "nₜ = f′ₜ ⊙ nₜ₋₁ + i′ₜ",
        "hₜ = oₜ ⊙ cₜ / nₜ",
    )
    source = "Beck et al. 2024, xLSTM: Extended long short-term memory"
    state_names = ("state", "memory", "normaliser", "stabiliser")
    initializers: ClassVar = {"kernel": "glorot_uniform", "recurrent": "orthogonal", "bias": "zeros"}

    def __init__(self, units: int, num_heads: int = 1, **kwargs):
        super().__init__(units, **kwargs)
        self.num_heads = check_size("num_heads", num_heads)
        if self.units % self.num_heads:
            raise InputError(
                f"units is {self.units}, which {self.num_heads} heads cannot share: give a multiple"
            )

    @property
    def state_size(self) -> list[int]:
        """h, c, n and m."""
        return [self.units] * 4

    @property
    def zoneout_groups(self):
        """c, n and m only make sense together."""
        return [0, 1, 1, 1]

    def average_states(self, old, new, rates):
        """What c and n stand for, c·exp(m) and n·exp(m), is averaged; m is the scale of the result."""
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
        """h, c and n: zeros; m: `INITIAL_STABILISER`. Each `(batch_size, units)`."""
        *zeros, m = super().get_initial_state(batch_size)
        return [*zeros, ops.full_like(m, INITIAL_STABILISER)]

    def build(self, input_shape):
        """Makes the weights for inputs `(batch, features)`."""
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
        """`project_inputs`: W·x + b of each gate, `(..., units)`, in the order of their weights."""
        kernels, biases = self.blocks(self.kernel, ROLES), self.blocks(self.bias, ROLES)

        def project_inputs(x):
            return tuple(affine(ops.cast(x, self.compute_dtype), kernels, biases).values())

        return project_inputs

    def step(self, projected, states, dot, weights):
        """One step: see the class."""
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
        # The difference of the stabilisers first: a large m swallows a small log f in half precision.
        kept = ops.exp(log_f + (before - m))
        c = kept * c + written * ops.tanh(z)
        n = kept * n + written
        h = ops.sigmoid(o) * c / n
        return h, [h, c, n, m]

    @property
    def recurrent_kernels(self):
        """`<role>/<head>`: the block `(units / num_heads, units / num_heads)` of U of that gate and head."""
        # Blocks, rather than the block-diagonal matrices `(units, units)` made of them: forward and backward
        # with 4 heads of 64 units on 2 cores, 64 steps of 32 rows, take 49 ms (dense: 49) on TensorFlow, 40
        # (51) with XLA, 48 (63) on JAX.
        names = [f"{role}/{head}" for role in ROLES for head in range(self.num_heads)]
        return self.blocks(self.recurrent_kernel, names)

    def get_config(self):
        """The constructor's arguments, as JSON can hold them."""
        return super().get_config() | {"num_heads": self.num_heads}

    def _initial_bias(self, shape, dtype=None):
        # xLSTM's code offers this start ("small_init") and one that depends on how deep in the network the
        # cell is, which a cell does not know.
        forget = np.tile(np.linspace(3.0, 6.0, self.units // self.num_heads), self.num_heads)
        first, _, *others = ops.split(self.bias_initializer(shape, dtype=dtype), len(ROLES))
        return ops.concatenate([first, ops.cast(forget, first.dtype), *others])

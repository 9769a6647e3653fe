"""SRU: elementwise gates without a recurrent matrix, and a highway connection."""

import math
from typing import ClassVar

import keras
from keras import ops

from textrnn.cells.products import project
from textrnn.cells.published import SRU
from textrnn.cells.weights import WeightedCell, affine

GATES = ("forget", "reset")
ROLES = (*GATES, "candidate")


@keras.saving.register_keras_serializable("textrnn")
class SRUCell(WeightedCell):
    """The simple recurrent unit: gates that read the memory elementwise, and a highway for the input.

        f = σ(Wx + v ⊙ c + b), r = σ(Wx + v ⊙ c + b)
        c = f ⊙ c + (1 − f) ⊙ Wx
        h = r ⊙ c + (1 − r) ⊙ αx

    Both gates read the memory at t−1. α = √(1 + 2e^b), with b the `highway_bias`, preserves the variance of
    the input in a stack of SRUs.

    Weights, in blocks of `units` columns: `kernel` `(features, 3 * units)` of f, r and the candidate; `bias`
    and `peephole` (v) `(2 * units,)` of f and r. If `features` is not `units`, x is W′x in the last equation,
    with `projection_kernel` `(features, units)`. The state is the memory c.

    Source: Lei et al. 2018, Simple recurrent units for highly parallelizable recurrence.

    Args:
        units: The size of the output and of the state.
        highway_bias: The initial bias of r. If negative, more of the input passes at first.
        use_bias: Whether gates have biases.
        **kwargs: `kernel_initializer` ("lecun_uniform": the paper's ±√(3/features)), `peephole_initializer`
            (uniform, of variance 1/2), `bias_initializer` (of f; "zeros"), the regularizers and constraints
            of each, and the arguments of `keras.layers.Layer`.

    Raises:
        InputError: If `units` is not a positive integer.

    Example:

    >>> import numpy as np
    >>> from textrnn.cells.sru import SRUCell
    >>> cell = SRUCell(8)
    >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape == (2, 8), len(states), cell.kind
    (True, 1, 'D')
    """

    equations = SRU.equations
    source = SRU.source
    state_names = SRU.states
    initializers: ClassVar = {
        "kernel": "lecun_uniform",
        # As in the authors' implementation. The paper does not say.
        "peephole": {
            "class_name": "RandomUniform",
            "config": {"minval": -math.sqrt(1.5), "maxval": math.sqrt(1.5)},
        },
        "bias": "zeros",
    }

    def __init__(self, units: int, highway_bias: float = 0.0, **kwargs):
        super().__init__(units, **kwargs)
        self.highway_bias = float(highway_bias)

    def build(self, input_shape):
        """Create the weights for inputs `(batch, features)`."""
        features, gates = input_shape[-1], self.units * len(GATES)
        self.kernel = self.new_weight("kernel", "kernel", (features, self.units * len(ROLES)))
        self.bias = self.new_weight("bias", "bias", (gates,), self._initial_bias) if self.use_bias else None
        self.peephole = self.new_weight("peephole", "peephole", (gates,))
        self.projection_kernel = self.new_projection(features)

    def projector(self):
        """Return `project_inputs`, which gives W·x + b of f and of r, W·x, and αx, each `(..., units)`."""
        kernels, biases = self.blocks(self.kernel, ROLES), self.blocks(self.bias, GATES)
        projection = self.blocks(self.projection_kernel, ["highway"])
        # A constant that depends on the initial bias, not on the learned one.
        scale = math.sqrt(1 + 2 * math.exp(self.highway_bias))

        def project_inputs(x):
            x = ops.cast(x, self.compute_dtype)
            highway = project(x, projection["highway"]) if projection else x
            return *affine(x, kernels, biases).values(), scale * highway

        return project_inputs

    def step(self, projected, states, dot, weights):
        """Compute one step: the equations of the class."""
        forget, reset, candidate, highway = projected
        (memory,) = states
        f = ops.sigmoid(forget + weights["peephole/forget"] * memory)
        r = ops.sigmoid(reset + weights["peephole/reset"] * memory)
        memory = f * memory + (1 - f) * candidate
        return r * memory + (1 - r) * highway, [memory]

    @property
    def recurrent_kernels(self):
        """Empty: no gate reads the state through a matrix."""
        return {}

    @property
    def elementwise_weights(self):
        """The vectors v `(units,)`: `peephole/forget` and `peephole/reset`."""
        peepholes = self.blocks(self.peephole, GATES)
        return {f"peephole/{role}": weight for role, weight in peepholes.items()}

    def get_config(self):
        """Return the constructor's arguments."""
        return super().get_config() | {"highway_bias": self.highway_bias}

    def _initial_bias(self, shape, dtype=None):
        forget = self.bias_initializer((self.units,), dtype=dtype)
        return ops.concatenate([forget, ops.full_like(forget, self.highway_bias)])

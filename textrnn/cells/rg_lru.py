"""RG-LRU: the recurrence of Griffin and RecurrentGemma."""

from typing import ClassVar

import keras
from keras import ops

from textrnn.cells.base import LinearCell
from textrnn.cells.products import project
from textrnn.cells.published import RG_LRU
from textrnn.cells.weights import WeightedCell, affine, drawn_exactly

ROLES = ("input", "forget")
SHARPNESS = 8.0
"""The constant c of the paper: with r = 1, a step decays as SHARPNESS steps with σ(Λ)."""


@keras.saving.register_keras_serializable("textrnn")
class RGLRUCell(WeightedCell, LinearCell):
    """The real-gated linear recurrent unit: a leaky sum of gated inputs, with a gate on the leak.

        i = σ(Wx + b), r = σ(Wx + b)
        a = σ(Λ)^(8r)
        h = a ⊙ h + √(1 − a²) ⊙ (i ⊙ x)

    Weights: `kernel` `(features, 2 * units)` and `bias` `(2 * units,)`, with one block of `units` columns for
    each of the gates i and r; and Λ, the `decay_logit` `(units,)`, drawn so that σ(Λ)^8 is uniform in
    [0.9, 0.999]. If `features` is not `units`, x is W′x in the last equation, with `projection_kernel`
    `(features, units)`. The state is the output h.

    Source: De et al. 2024, Griffin: Mixing gated linear recurrences with local attention for efficient
    language models.

    Args:
        units: The size of the output and of the state.
        use_bias: Whether gates have biases.
        **kwargs: `kernel_initializer` ("lecun_normal"), `bias_initializer` ("zeros"), the regularizers and
            constraints of both, and the arguments of `keras.layers.Layer`.

    Raises:
        InputError: If `units` is not a positive integer.

    Example:

    >>> import numpy as np
    >>> from textrnn.cells.rg_lru import RGLRUCell
    >>> cell = RGLRUCell(8)
    >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape == (2, 8), len(states), cell.kind
    (True, 1, 'P')
    """

    equations = RG_LRU.equations
    source = RG_LRU.source
    initializers: ClassVar = {"kernel": "lecun_normal", "bias": "zeros"}

    def build(self, input_shape):
        """Create the weights for inputs `(batch, features)`."""
        features, columns = input_shape[-1], self.units * len(ROLES)
        self.kernel = self.new_weight("kernel", "kernel", (features, columns))
        self.bias = self.new_weight("bias", "bias", (columns,)) if self.use_bias else None
        self.decay_logit = self.add_weight(
            shape=(self.units,),
            name="decay_logit",
            initializer=drawn_exactly(_initial_decay_logit),
            autocast=False,
        )
        self.projection_kernel = self.new_projection(features)

    def projector(self):
        """Return `project_inputs`, which gives log a and i ⊙ x, each `(..., units)`."""
        kernels, biases = self.blocks(self.kernel, ROLES), self.blocks(self.bias, ROLES)
        projection = self.blocks(self.projection_kernel, ["input"])
        # In the dtype of the variable: in half precision softplus(−Λ) ≈ e^−Λ would be inaccurate.
        log_decay = ops.cast(-SHARPNESS * ops.softplus(-self.decay_logit.value), self.compute_dtype)

        def project_inputs(x):
            x = ops.cast(x, self.compute_dtype)
            gates = affine(x, kernels, biases)
            written = project(x, projection["input"]) if projection else x
            return log_decay * ops.sigmoid(gates["forget"]), ops.sigmoid(gates["input"]) * written

        return project_inputs

    def coefficients(self, projected, weights):
        """Return a and √(1−a²) ⊙ i ⊙ x, in the dtype of `projected`.

        The first projection is log a instead of a, so that it can be cast to a wider dtype first: an a close
        to 1 rounds to 1 in half precision.
        """
        log_decay, written = projected
        return ops.exp(log_decay), _root(-ops.expm1(2.0 * log_decay)) * written


def _root(x):
    """Return √x, with a gradient of 0 at 0 instead of infinity."""
    # The inner `where` avoids an infinite gradient in the branch that is not taken, which would give NaN.
    positive = x > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, x, ops.ones_like(x))), ops.zeros_like(x))


def _initial_decay_logit(shape, dtype=None):
    """Draw Λ so that σ(Λ)^8 is uniform in [0.9, 0.999], as in the paper. RecurrentGemma's code differs."""
    log_decay = ops.log(keras.initializers.RandomUniform(0.9, 0.999)(shape, dtype=dtype)) / SHARPNESS
    return log_decay - ops.log(-ops.expm1(log_decay))

"""RG-LRU: the recurrence of Griffin and RecurrentGemma."""

from typing import ClassVar

import keras
from keras import ops

from textrnn.cells.base import LinearCell, project
from textrnn.cells.weights import WeightedCell, affine

ROLES = ("input", "forget")
SHARPNESS = 8.0
"""The paper's c: a gate r of 1 forgets as SHARPNESS steps with σ(Λ) do."""


@keras.saving.register_keras_serializable("textrnn")
class RGLRUCell(WeightedCell, LinearCell):
    """The real-gated linear recurrent unit: a leaky sum of gated inputs, whose leak the input can stop.

        i = σ(Wx + b), r = σ(Wx + b)
        a = σ(Λ)^(8r)
        h = a ⊙ h + √(1 − a²) ⊙ (i ⊙ x)

    Weights: `kernel` `(features, 2 * units)` and `bias` `(2 * units,)` of the gates i and r, one block of
    `units` columns each; Λ as `decay_logit` `(units,)`, drawn so that σ(Λ)^8 is uniform in [0.9, 0.999]; and
    `projection_kernel` `(features, units)` only where `features` is not `units`: there x is W′x in the last
    line. The one state is the output h.

    Source: De et al. 2024, Griffin: Mixing gated linear recurrences with local attention for efficient
    language models.

    Args:
        units: the size of the output and of the state.
        use_bias: whether gates have biases.
        **kwargs: `kernel_initializer` ("lecun_normal"), `bias_initializer` ("zeros"), the regularizers and
            constraints of both, and the arguments of `keras.layers.Layer`.

    Raises:
        InputError: for `units` that is not a positive whole number.

    Example:
    >>> import numpy as np
    >>> from textrnn.cells.rg_lru import RGLRUCell
    >>> cell = RGLRUCell(8)
    >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape == (2, 8), len(states), cell.kind
    (True, 1, 'P')
    """

    equations = (
        "iₜ = σ(W_i xₜ + b_i)",
        "rₜ = σ(W_r xₜ + b_r)",
        "aₜ = σ(Λ)^(8 rₜ)",
        "hₜ = aₜ ⊙ hₜ₋₁ + √(1 − aₜ²) ⊙ (iₜ ⊙ xₜ)",
    )
    source = (
        "De et al. 2024, Griffin: Mixing gated linear recurrences with local attention for efficient "
        "language models"
    )
    initializers: ClassVar = {"kernel": "lecun_normal", "bias": "zeros"}

    def build(self, input_shape):
        """Makes the weights for inputs `(batch, features)`."""
        features, columns = input_shape[-1], self.units * len(ROLES)
        self.kernel = self.new_weight("kernel", "kernel", (features, columns))
        self.bias = self.new_weight("bias", "bias", (columns,)) if self.use_bias else None
        self.decay_logit = self.add_weight(
            shape=(self.units,), name="decay_logit", initializer=_initial_decay_logit, autocast=False
        )
        self.projection_kernel = self.new_projection(features)

    def projector(self):
        """`project_inputs`: log a, and i ⊙ x, each `(..., units)`."""
        kernels, biases = self.blocks(self.kernel, ROLES), self.blocks(self.bias, ROLES)
        projection = self.blocks(self.projection_kernel, ["input"])
        # In the weight's own dtype: half precision would lose Λ, whose softplus is about e^−Λ.
        log_decay = ops.cast(-SHARPNESS * ops.softplus(-self.decay_logit.value), self.compute_dtype)

        def project_inputs(x):
            x = ops.cast(x, self.compute_dtype)
            gates = affine(x, kernels, biases)
            written = project(x, projection["input"]) if projection else x
            return log_decay * ops.sigmoid(gates["forget"]), ops.sigmoid(gates["input"]) * written

        return project_inputs

    def coefficients(self, projected, weights):
        """a, and √(1−a²) ⊙ i ⊙ x, in the dtype of `projected`.

        The first projection is log a rather than a, so that whoever accumulates in another dtype than the
        compute dtype can cast before: an a close to 1 is 1 in half precision.
        """
        log_decay, written = projected
        return ops.exp(log_decay), _root(-ops.expm1(2.0 * log_decay)) * written


def _root(x):
    """√x, whose gradient at 0 is 0 rather than infinite."""
    # Two `where`: infinity would come back as NaN from the branch that is not taken.
    positive = x > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, x, ops.ones_like(x))), ops.zeros_like(x))


def _initial_decay_logit(shape, dtype=None):
    """Λ such that σ(Λ)^8 is uniform in [0.9, 0.999], as the paper writes. (RecurrentGemma draws σ(Λ) itself
    from that range, with a uniform square, and keeps −Λ.)"""
    log_decay = ops.log(keras.initializers.RandomUniform(0.9, 0.999)(shape, dtype=dtype)) / SHARPNESS
    return log_decay - ops.log(-ops.expm1(log_decay))

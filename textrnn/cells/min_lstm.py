"""minLSTM: an LSTM whose gates read the input alone."""

import keras
from keras import ops

from textrnn.cells.base import LinearCell
from textrnn.cells.weights import WeightedCell, affine

ROLES = ("input", "forget", "candidate")


@keras.saving.register_keras_serializable("textrnn")
class MinLSTMCell(WeightedCell, LinearCell):
    """The minLSTM with a linear candidate: gates of the input alone, which sum to 1.

        f = σ(Wx + b), i = σ(Wx + b)
        h = f/(f+i) ⊙ h + i/(f+i) ⊙ (Wx + b)

    Weights, in blocks of `units` columns in the order input, forget, candidate: `kernel`
    `(features, 3 * units)` and `bias` `(3 * units,)`. The one state is the output h.

    Source: Feng et al. 2024, Were RNNs all we needed?

    Args:
        units: the size of the output and of the state.
        use_bias: whether gates have biases.
        **kwargs: `kernel_initializer` ("glorot_uniform"), `bias_initializer` ("zeros"), the regularizers and
            constraints of both, and the arguments of `keras.layers.Layer`.

    Raises:
        InputError: for `units` that is not a positive whole number.

    Example:
    >>> import numpy as np
    >>> from textrnn.cells.min_lstm import MinLSTMCell
    >>> cell = MinLSTMCell(8)
    >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape == (2, 8), len(states), cell.kind
    (True, 1, 'P')
    """

    equations = (
        "iₜ = σ(W_i xₜ + b_i)",
        "fₜ = σ(W_f xₜ + b_f)",
        "hₜ = fₜ / (fₜ + iₜ) ⊙ hₜ₋₁ + iₜ / (fₜ + iₜ) ⊙ (W_h xₜ + b_h)",
    )
    source = "Feng et al. 2024, Were RNNs all we needed?"

    def build(self, input_shape):
        """Makes the weights for inputs `(batch, features)`."""
        columns = self.units * len(ROLES)
        self.kernel = self.new_weight("kernel", "kernel", (input_shape[-1], columns))
        self.bias = self.new_weight("bias", "bias", (columns,)) if self.use_bias else None

    def projector(self):
        """`project_inputs`: the logit of f/(f+i), and the candidate, each `(..., units)`."""
        kernels, biases = self.blocks(self.kernel, ROLES), self.blocks(self.bias, ROLES)

        def project_inputs(x):
            gates = affine(ops.cast(x, self.compute_dtype), kernels, biases)
            # log(f/i): where both gates are closed, f/(f+i) itself would be 0/0.
            logit = ops.log_sigmoid(gates["forget"]) - ops.log_sigmoid(gates["input"])
            return logit, gates["candidate"]

        return project_inputs

    def coefficients(self, projected, weights):
        """f/(f+i), and i/(f+i) ⊙ candidate."""
        logit, candidate = projected
        return ops.sigmoid(logit), ops.sigmoid(-logit) * candidate

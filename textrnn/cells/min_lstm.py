"""minLSTM: an LSTM whose gates read only the input."""

import keras
from keras import ops

from textrnn.cells.base import LinearCell
from textrnn.cells.published import MIN_LSTM
from textrnn.cells.weights import WeightedCell, affine

ROLES = ("input", "forget", "candidate")


@keras.saving.register_keras_serializable("textrnn")
class MinLSTMCell(WeightedCell, LinearCell):
    """The minLSTM with a linear candidate: gates that read only the input and sum to 1.

        f = σ(Wx + b), i = σ(Wx + b)
        h = f/(f+i) ⊙ h + i/(f+i) ⊙ (Wx + b)

    Weights, in blocks of `units` columns in the order input, forget, candidate: `kernel`
    `(features, 3 * units)` and `bias` `(3 * units,)`. The state is the output h.

    Source: Feng et al. 2024, Were RNNs all we needed?

    Args:
        units: The size of the output and of the state.
        use_bias: Whether gates have biases.
        **kwargs: `kernel_initializer` ("glorot_uniform"), `bias_initializer` ("zeros"), the regularizers and
            constraints of both, and the arguments of `keras.layers.Layer`.

    Raises:
        InputError: If `units` is not a positive integer.

    Example:

    >>> import numpy as np
    >>> from textrnn.cells.min_lstm import MinLSTMCell
    >>> cell = MinLSTMCell(8)
    >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape == (2, 8), len(states), cell.kind
    (True, 1, 'P')
    """

    equations = MIN_LSTM.equations
    source = MIN_LSTM.source

    def build(self, input_shape):
        """Create the weights for inputs `(batch, features)`."""
        columns = self.units * len(ROLES)
        self.kernel = self.new_weight("kernel", "kernel", (input_shape[-1], columns))
        self.bias = self.new_weight("bias", "bias", (columns,)) if self.use_bias else None

    def projector(self):
        """Return `project_inputs`, which gives the logit of f/(f+i) and the candidate, `(..., units)`."""
        kernels, biases = self.blocks(self.kernel, ROLES), self.blocks(self.bias, ROLES)

        def project_inputs(x):
            gates = affine(ops.cast(x, self.compute_dtype), kernels, biases)
            # The logit is log(f/i). If both gates are closed, f/(f+i) itself is 0/0.
            logit = ops.log_sigmoid(gates["forget"]) - ops.log_sigmoid(gates["input"])
            return logit, gates["candidate"]

        return project_inputs

    def coefficients(self, projected, weights):
        """Return f/(f+i) and i/(f+i) ⊙ candidate."""
        logit, candidate = projected
        return ops.sigmoid(logit), ops.sigmoid(-logit) * candidate

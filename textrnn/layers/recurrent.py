"""A cell over time."""

import keras
from keras import ops

from textrnn.cells.base import Cell
from textrnn.errors import InputError
from textrnn.layers.dropout import check_rate, drop_recurrent, locked_mask
from textrnn.layers.strategies import recur, resolve


@keras.saving.register_keras_serializable("textrnn")
class Recurrent(keras.layers.RNN):
    """Runs a cell over a sequence: `keras.layers.RNN`, faster for cells that keep the contract of `Cell`.

    It behaves as `keras.layers.RNN` in every option and inside `keras.layers.Bidirectional`. At a masked step
    the states stay as they are, and the output is the one before it (zeros where there is none, on every
    backend) or, with `zero_output_for_mask`, zeros. Cells of Keras's contract alone run in Keras's loop.

    Args:
        cell: a `Cell`, or any Keras cell.
        return_sequences: whether to return the output of every step, rather than of the last.
        return_state: whether to return the last states too.
        go_backwards: whether to run from the last step to the first; outputs are in the order of running.
        stateful: whether a batch starts from the states at which the last one ended.
        strategy: how to run the recurrence, `"loop"`, `"recompute"` (a custom gradient that takes the
            kernels' gradients out of the loop), or `"auto"` for the fastest: see `textrnn.layers.strategies`.
        dropout: the fraction of the inputs' features to drop in training, the same ones at every step.
        recurrent_dropout: the fraction to drop in training of what the recurrent kernels multiply: the same
            units at every step, drawn for each kernel on its own (Gal & Ghahramani 2016, A theoretically
            grounded application of dropout in recurrent neural networks).
        seed: an int, for dropout.
        **kwargs: of `keras.layers.RNN` (`unroll`, `zero_output_for_mask`, `name`, ...). `dtype` is the cell's
            unless given.

    Call arguments:
        sequences: `(batch, time, features)`, with at least one step.
        initial_state: a list of tensors `(batch, n)`, one for each n of the cell's `state_size`.
        mask: `(batch, time)`, True where a step is valid.
        training: whether to drop.

    Returns:
        The outputs `(batch, time, output_size)`, or the last one `(batch, output_size)`; with
        `return_state`, followed by the states.

    Raises:
        InputError: for an unknown strategy, a rate outside [0, 1), recurrent dropout of a cell that is not a
            `Cell` and so does its own recurrent products, or sequences without steps.

    Example:
    >>> import numpy as np, textrnn
    >>> layer = textrnn.Recurrent(textrnn.GatedCell(8, "gru"), return_sequences=True)
    >>> layer(np.ones((2, 5, 3))).shape == (2, 5, 8)
    True
    """

    def __init__(
        self,
        cell,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        strategy="auto",
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        if isinstance(cell, keras.layers.Layer):
            kwargs.setdefault("dtype", cell.dtype_policy)
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            **kwargs,
        )
        resolve(strategy)  # refuses unknown names now rather than at the first call
        self.strategy = strategy
        self.dropout = check_rate("dropout", dropout)
        self.recurrent_dropout = check_rate("recurrent_dropout", recurrent_dropout)
        if self.recurrent_dropout and not isinstance(self.cell, Cell):
            raise InputError(
                f"recurrent_dropout is {recurrent_dropout}, but {type(self.cell).__name__} does its own "
                "recurrent products: use a textrnn cell, or the cell's own recurrent_dropout if it has one"
            )
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def resolved_strategy(self) -> str:
        """The strategy that runs in training: `strategy`, with "auto" resolved."""
        return resolve(self.strategy)

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """The recurrence; `keras.layers.RNN.call` does everything around it.

        Args:
            sequences: `(batch, time, features)`.
            initial_state: the states to start from.
            mask: `(batch, time)`, alone or in a list with masks of other inputs, or None.
            training: whether to drop.

        Returns:
            The last output, the outputs in the order of running, and the last states.
        """
        if mask is not None:
            mask = keras.tree.flatten(mask)[0]
        batch_size = ops.shape(sequences)[0]
        if training and self.dropout:
            kept = locked_mask(
                batch_size, sequences.shape[-1], self.dropout, sequences.dtype, self.seed_generator
            )
            sequences = sequences * ops.expand_dims(kept, 1)
        cell = self.cell
        if not isinstance(cell, Cell):
            return super().inner_loop(sequences, initial_state, mask, training=training)

        # The inputs are turned to time-major, rather than the larger projections.
        inputs = self._in_running_order(ops.cast(sequences, cell.compute_dtype))
        if mask is not None:
            mask = self._in_running_order(ops.expand_dims(ops.cast(mask, "bool"), -1))
        step, kernels, weights = cell.step, cell.recurrent_kernels, cell.elementwise_weights
        if training and self.recurrent_dropout:
            step, weights = drop_recurrent(
                step, kernels, weights, batch_size, self.recurrent_dropout, self.seed_generator
            )
        last_output, outputs, states = recur(
            resolve(self.strategy, bool(training)),
            step,
            cell.project_inputs(inputs),
            initial_state,
            kernels,
            weights,
            mask,
            first_output=ops.zeros((batch_size, cell.output_size), dtype=cell.compute_dtype),
            zero_output_for_mask=self.zero_output_for_mask,
            return_all_outputs=self.return_sequences,
            unroll=self.unroll,
        )
        # `RNN.call` casts the outputs even where it does not return them.
        outputs = ops.expand_dims(last_output, 1) if outputs is None else ops.swapaxes(outputs, 0, 1)
        return last_output, outputs, states

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "strategy": self.strategy,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }

    def _in_running_order(self, x):
        """`(batch, time, ...)` -> `(time, batch, ...)`, with the step that runs first in front."""
        x = ops.swapaxes(x, 0, 1)
        return ops.flip(x, axis=0) if self.go_backwards else x

"""A cell over time."""

import keras
from keras import ops

from textrnn.cells.base import Cell, Tensor
from textrnn.errors import InputError
from textrnn.layers.dropout import check_rate, drop_recurrent, drop_weights, locked_mask
from textrnn.layers.linear import recur_linearly
from textrnn.layers.strategies import recur, resolve
from textrnn.layers.zoneout import check_zoneout, expect_zoneout, noise_name, zone_out, zoneout_rates

_BACKWARDS = 1_000_003  # what a layer that runs backwards adds to its seed


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
            kernels' gradients out of the loop), `"scan"` (for linear cells: everything but the recurrence
            itself at all steps at once), or `"auto"` for the fastest: see `textrnn.layers.strategies`.
        dropout: the fraction of the inputs' features to drop in training. It is locked (variational)
            dropout: one mask for each sequence, shared by all its steps (Gal & Ghahramani 2016; Merity et
            al. 2018).
        recurrent_dropout: the fraction to drop in training of what the recurrent kernels multiply: the same
            units at every step, drawn for each kernel on its own (Gal & Ghahramani 2016, A theoretically
            grounded application of dropout in recurrent neural networks).
        weight_drop: the fraction to drop in training of the recurrent kernels' entries: the same ones at
            every step and in every row of the batch (Merity et al. 2018, Regularizing and optimizing LSTM
            language models).
        zoneout: the probability that in training a unit of a state keeps its old value, drawn anew at every
            step; in inference a state becomes what is expected of it (Krueger et al. 2017, Zoneout). One
            rate, or one for each group of the cell's `zoneout_groups` in the order of its states: for a cell
            with the states h and c, `[0.05, 0.5]` is 0.5 for c. An output that is a state of the cell is
            that state after zoneout.
        seed: an int, for all that is drawn. A layer with `go_backwards` draws other noise than one without:
            so do the two directions of `keras.layers.Bidirectional`, which have one seed.
        **kwargs: of `keras.layers.RNN` (`unroll`, `zero_output_for_mask`, `name`, ...). `dtype` is the cell's
            unless given.

    Call arguments:
        sequences: `(batch, time, features)`, with at least one step.
        initial_state: a list of tensors `(batch, n)`, one for each n of the cell's `state_size`.
        mask: `(batch, time)`, True where a step is valid.
        training: whether to drop and to zone out.

    Returns:
        The outputs `(batch, time, output_size)`, or the last one `(batch, output_size)`; with
        `return_state`, followed by the states.

    Raises:
        InputError: for an unknown strategy, a rate outside [0, 1), more or fewer zoneout rates than groups,
            recurrent dropout, weight drop or zoneout of a cell that is not a `Cell` and so cannot be taken
            apart, when it is built for recurrent dropout or weight drop of a cell without recurrent
            matrices, or for sequences without steps.

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
        weight_drop=0.0,
        zoneout=0.0,
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
        resolve(
            strategy, kind="P"
        )  # refuses unknown names now; whether it suits the cell, once that is built
        self.strategy = strategy
        self.dropout = check_rate("dropout", dropout)
        self.recurrent_dropout = check_rate("recurrent_dropout", recurrent_dropout)
        self.weight_drop = check_rate("weight_drop", weight_drop)
        self.zoneout = check_zoneout(zoneout)
        if not isinstance(self.cell, Cell):
            self._refuse_options_of_our_cells()
        self._zoneout_rates = zoneout_rates(self.zoneout, self._zoneout_groups)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(_seed_of_direction(seed, go_backwards))

    def build(self, sequences_shape, initial_state_shape=None):
        """Builds the cell for sequences `(batch, time, features)`."""
        super().build(sequences_shape, initial_state_shape)
        resolve(self.strategy, self._kind)
        if isinstance(self.cell, Cell):
            self._refuse_options_of_recurrent_kernels()

    def reset_state(self):
        """Puts a stateful layer back to the cell's initial states, which need not be zeros."""
        if self.states is None:
            return
        states = keras.tree.flatten(self.states)
        initial = keras.tree.flatten(self.get_initial_state(states[0].shape[0]))
        for state, value in zip(states, initial, strict=True):
            state.assign(value)

    @property
    def resolved_strategy(self) -> str:
        """The strategy that runs in training: `strategy`, with "auto" resolved. (Keras's cells always run in
        Keras's loop, and unrolled layers in a loop.)"""
        if self.unroll or not isinstance(self.cell, Cell):
            return "loop"
        return resolve(self.strategy, self._kind)

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """The recurrence; `keras.layers.RNN.call` does everything around it.

        Args:
            sequences: `(batch, time, features)`.
            initial_state: the states to start from.
            mask: `(batch, time)`, alone or in a list with masks of other inputs, or None.
            training: whether to drop and to zone out.

        Returns:
            The last output, the outputs in the order of running, and the last states.
        """
        if mask is not None:
            mask = keras.tree.flatten(mask)[0]
        cell = self.cell
        if not isinstance(cell, Cell):
            if training and self.dropout:
                kept = self._locked_mask(ops.shape(sequences)[0], sequences)
                sequences = sequences * ops.expand_dims(kept, 1)
            return super().inner_loop(sequences, initial_state, mask, training=training)

        # The inputs are turned to time-major, rather than the larger projections; and before anything else is
        # done to them, even asking for their shape: so a compiler sees that this undoes what a layer below
        # did last, and does neither.
        inputs = self._in_running_order(sequences)
        steps, batch_size, _ = ops.shape(inputs)
        if training and self.dropout:
            inputs = inputs * self._locked_mask(batch_size, inputs)
        inputs = ops.cast(inputs, cell.compute_dtype)
        if mask is not None:
            mask = self._in_running_order(ops.expand_dims(ops.cast(mask, "bool"), -1))
        step, kernels, weights, noise = self._regularized(training, steps, batch_size)
        strategy = resolve(self.strategy, self._kind, bool(training))
        first_output = ops.zeros((batch_size, cell.output_size), dtype=cell.compute_dtype)
        if strategy == "scan" and not self.unroll:
            group = self._zoneout_groups[0]
            outputs, states = recur_linearly(
                cell,
                cell.project_inputs(inputs),
                initial_state,
                weights,
                noise.get(noise_name(group)) if training else self._zoneout_rates.get(group),
                mask,
                first_output,
                self.zero_output_for_mask,
            )
            last_output = outputs[-1]
            outputs = outputs if self.return_sequences else None
        else:
            last_output, outputs, states = recur(
                "loop" if self.unroll else strategy,
                step,
                cell.project_inputs(inputs),
                initial_state,
                kernels,
                weights,
                noise,
                mask,
                first_output,
                zero_output_for_mask=self.zero_output_for_mask,
                return_all_outputs=self.return_sequences,
                unroll=self.unroll,
            )
        # `RNN.call` casts the outputs even where it does not return them.
        outputs = ops.expand_dims(last_output, 1) if outputs is None else ops.swapaxes(outputs, 0, 1)
        return last_output, outputs, states

    def stepper(self):
        """One step of time, as in inference, for loops over time of one's own, such as decoding.

        Returns:
            A function `(inputs, states) -> (output, new_states)` that has read the weights already: it takes
            `(batch, features)` and a list of states, and gives what `call` does for a sequence of one step.
        """
        cell = self.cell
        if isinstance(cell, Cell):
            return self._expecting_zoneout(cell.stepper())

        def step(inputs, states):
            output, new_states = cell(inputs, list(states))
            return output, list(new_states) if keras.tree.is_nested(new_states) else [new_states]

        return step

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "strategy": self.strategy,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "weight_drop": self.weight_drop,
            "zoneout": self.zoneout,
            "seed": self.seed,
        }

    def _locked_mask(self, batch_size, x):
        return locked_mask(batch_size, x.shape[-1], self.dropout, x.dtype, self.seed_generator)

    def _regularized(self, training, steps, batch_size):
        """The cell's step, kernels and weights, noisy in training; and the noise of each step."""
        cell, seed = self.cell, self.seed_generator
        step, kernels, weights = cell.step, cell.recurrent_kernels, cell.elementwise_weights
        if not training:
            return self._expecting_zoneout(step), kernels, weights, {}
        noise: dict[str, Tensor] = {}
        if self.recurrent_dropout:
            step, weights = drop_recurrent(step, kernels, weights, batch_size, self.recurrent_dropout, seed)
        if self.weight_drop:
            kernels = drop_weights(kernels, self.weight_drop, seed)
        if self._zoneout_rates:
            step, noise = zone_out(
                step, self._zoneout_rates, self._zoneout_groups, cell.state_size, steps, batch_size, seed
            )
        return step, kernels, weights, noise

    def _expecting_zoneout(self, step):
        if not self._zoneout_rates:
            return step
        return expect_zoneout(step, self.cell.average_states, self._zoneout_rates, self._zoneout_groups)

    @property
    def _kind(self):
        return self.cell.kind if isinstance(self.cell, Cell) else "S"

    @property
    def _zoneout_groups(self):
        return self.cell.zoneout_groups if isinstance(self.cell, Cell) else []

    def _refuse_options_of_our_cells(self):
        for name in ("recurrent_dropout", "weight_drop", "zoneout"):
            if value := getattr(self, name):
                raise InputError(
                    f"{name} is {value}, but {type(self.cell).__name__} does not keep the contract of "
                    f"textrnn.Cell: use a cell that does, or the cell's own {name} if it has one"
                )

    def _refuse_options_of_recurrent_kernels(self):
        for name in ("recurrent_dropout", "weight_drop"):
            if (value := getattr(self, name)) and not self.cell.recurrent_kernels:
                spec = getattr(self.cell, "spec", None)
                cell = getattr(spec, "name", type(self.cell).__name__)
                raise InputError(
                    f"{name} is {value}, but the cell {cell} has no recurrent matrices to drop from: "
                    "use dropout or zoneout instead"
                )

    def _in_running_order(self, x):
        """`(batch, time, ...)` -> `(time, batch, ...)`, with the step that runs first in front."""
        x = ops.swapaxes(x, 0, 1)
        return ops.flip(x, axis=0) if self.go_backwards else x


def _seed_of_direction(seed, go_backwards):
    """The seed of a layer's noise: `keras.layers.Bidirectional` gives one to both of its layers, and the same
    masks in both directions would drop the same features twice."""
    return (seed + _BACKWARDS) % 2**31 if go_backwards and seed is not None else seed

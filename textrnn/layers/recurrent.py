"""`Recurrent`, the layer that runs a cell over time."""

import functools
from collections.abc import Callable

import keras
from keras import ops

from textrnn import private
from textrnn.cells.base import Cell
from textrnn.cells.products import look_up
from textrnn.errors import InputError
from textrnn.layers.checks import (
    expect_cell,
    expect_fusible,
    expect_kernels,
    expect_mask,
    expect_options_of_keras_cells,
    expect_sequences,
    expect_states,
)
from textrnn.layers.dropout import check_rate, drop_recurrent, drop_weights, locked_mask
from textrnn.layers.fused import fused_architecture, has_kernel, recur_fused
from textrnn.layers.linear import last_step, recur_linearly
from textrnn.layers.segments import check_segments, run_in_segments
from textrnn.layers.strategies import recur, resolve
from textrnn.layers.zoneout import check_zoneout, expect_zoneout, noise_name, zone_out, zoneout_rates
from textrnn.tensors import Tensor

_BACKWARDS = 1_000_003  # added to the seed of a layer that runs backwards


@keras.saving.register_keras_serializable("textrnn")
class Recurrent(keras.layers.RNN):
    """`keras.layers.RNN` with faster loops for cells that subclass `textrnn.Cell`, and with regularization.

    All options work as in `keras.layers.RNN`, also inside `keras.layers.Bidirectional`. A masked step keeps
    the states and repeats the previous output, which is zero before the first valid step. With
    `zero_output_for_mask` its output is zero. Cells that do not subclass `textrnn.Cell` run in Keras's loop.
    `tf.GradientTape.batch_jacobian` needs a persistent tape and `experimental_use_pfor=False` with the
    strategy `"recompute"`, and in a `tf.function` also with `"loop"`.

    Args:
        cell: A `Cell`, or any Keras cell.
        return_sequences: Whether to return the outputs of all steps, or only the last.
        return_state: Whether to also return the last states.
        go_backwards: Whether to run from the last step to the first. Outputs are in the order in which the
            steps run.
        stateful: Whether the initial states of a batch are the last states of the previous batch.
        strategy: How to run the recurrence. `"loop"` is a plain loop. `"recompute"` has a custom gradient
            that computes the kernels' gradients outside the loop. `"scan"`, for linear cells, computes all
            but the recurrence itself for all steps at once. `"fused"`, for cells that are exactly Keras's
            LSTM or GRU, runs cuDNN's kernel on a GPU and the choice of `"auto"` elsewhere. `"auto"` chooses
            the fastest, see `textrnn.layers.strategies`.
        dropout: Fraction of the input features to drop in training. This is locked (variational) dropout: one
            mask per sequence, shared by all steps (Gal & Ghahramani 2016; Merity et al. 2018).
        recurrent_dropout: Fraction of the inputs of each recurrent kernel to drop in training, with one mask
            per sequence and kernel, shared by all steps (Gal & Ghahramani 2016, A theoretically grounded
            application of dropout in recurrent neural networks).
        weight_drop: Fraction of the recurrent kernels' entries to drop in training, with one mask per batch
            (Merity et al. 2018, Regularizing and optimizing LSTM language models).
        zoneout: Probability that a unit of a state keeps its old value at a step of training. In inference,
            a state is the expectation of that (Krueger et al. 2017, Zoneout). One rate for all states, or one
            for each group of the cell's `zoneout_groups`, in the order of its states. For a cell with the
            states h and c, `[0.05, 0.5]` means 0.5 for c. An output that is a state of the cell is that
            state after zoneout.
        segments: Number of parts of a sequence, at whose boundaries training keeps the states. The steps of
            a part run again in the backward pass, so a long sequence takes less memory and more time (Gruslys
            et al. 2016, Memory-efficient backpropagation through time).
        seed: An int that seeds all masks. A layer with `go_backwards` draws other masks than one without, and
            so do the two directions of `keras.layers.Bidirectional`, which share a seed.
        **kwargs: Arguments of `keras.layers.RNN` (`unroll`, `zero_output_for_mask`, `name`, ...). The default
            `dtype` is the cell's.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: A list of tensors `(batch, n)`, one for each n of the cell's `state_size`.
        mask: `(batch, time)`, True where a step is valid. The default is the mask that an earlier layer gave
            `sequences`.
        training: Whether to apply dropout, weight drop and zoneout.

    Returns:
        The outputs `(batch, time, output_size)`, or the last one `(batch, output_size)`. With
        `return_state`, the states follow. Without any step, the outputs of all steps are empty, the last
        output is zero, and the states are the initial ones.

    Raises:
        InputError: If the cell is a name, the sequences, the mask or the initial states have shapes that do
            not fit, the strategy is unknown, a rate is not in [0, 1), the number of zoneout rates or of
            segments is wrong, the cell is no `textrnn.Cell` and `recurrent_dropout`, `weight_drop`, `zoneout`
            or `segments` is set, the cell has no recurrent matrices and `recurrent_dropout` or `weight_drop`
            is set, the strategy does not suit the cell or, for `"fused"`, the other options (the last two
            raised by `build`).

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
        segments=1,
        seed=None,
        **kwargs,
    ):
        expect_cell(cell)
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
        resolve(strategy, kind="P")  # raises for unknown names; `build` checks that it suits the cell
        self.strategy = strategy
        self.dropout = check_rate("dropout", dropout)
        self.recurrent_dropout = check_rate("recurrent_dropout", recurrent_dropout)
        self.weight_drop = check_rate("weight_drop", weight_drop)
        self.zoneout = check_zoneout(zoneout)
        self.segments = check_segments(segments)
        if not isinstance(self.cell, Cell):
            expect_options_of_keras_cells(self)
        self._zoneout_rates = zoneout_rates(self.zoneout, self._zoneout_groups)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(_seed_of_direction(seed, go_backwards))

    def build(self, sequences_shape, initial_state_shape=None):
        """Build the cell for sequences `(batch, time, features)`."""
        expect_sequences(sequences_shape)
        super().build(sequences_shape, initial_state_shape)
        resolve(self.strategy, self._kind)
        if isinstance(self.cell, Cell):
            expect_kernels(self)
        if self.strategy == "fused":
            expect_fusible(self)
        if keras.backend.backend() == "tensorflow" and self.resolved_strategy == "fused":
            self.supports_jit = False  # as Keras's own LSTM: XLA has no such kernel

    def reset_state(self):
        """Reset a stateful layer to the cell's initial states, which need not be zeros."""
        if self.states is None:
            return
        states = keras.tree.flatten(self.states)
        initial = keras.tree.flatten(self.get_initial_state(states[0].shape[0]))
        for state, value in zip(states, initial, strict=True):
            state.assign(value)

    @property
    def resolved_strategy(self) -> str:
        """The strategy that runs in training on this machine, with "auto" resolved.

        It is "loop" for unrolled layers and for cells that do not subclass `textrnn.Cell`.
        """
        return self._resolved(training=True)

    def _resolved(self, training, masked=False):
        if self.unroll or not isinstance(self.cell, Cell):
            return "loop"
        fused = self.strategy in ("auto", "fused") and not self._changes_the_step
        found = fused and has_kernel(fused_architecture(self.cell), masked, self.cell.compute_dtype)
        return resolve(self.strategy, self._kind, training, found)

    @property
    def _changes_the_step(self):
        """Whether options change a step in a way that no kernel has."""
        return bool(self.unroll or self.recurrent_dropout or self._zoneout_rates)

    def call(self, sequences, initial_state=None, mask=None, training=False, sequences_mask=None):
        """Run the cell over the sequences. The class docstring has the shapes.

        With an `initial_state`, Keras passes the mask of `sequences` as `sequences_mask`.
        """
        mask = sequences_mask if mask is None else mask
        expect_sequences(sequences.shape)
        expect_mask(mask, sequences.shape)
        expect_states(initial_state, self.state_size)
        initial_state = _for_each_row(initial_state, sequences)
        if sequences.shape[1] != 0:
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        # One masked step is like no step, and RNN.call wants a step.
        result = super().call(
            ops.pad(sequences, [[0, 0], [0, 1], [0, 0]]),
            initial_state=initial_state,
            mask=ops.zeros((ops.shape(sequences)[0], 1), "bool"),
            training=training,
        )
        if not self.return_sequences:
            return result
        outputs, *states = result if self.return_state else [result]
        return (outputs[:, :0], *states) if self.return_state else outputs[:, :0]

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """Run the recurrence. `keras.layers.RNN.call` calls this method and does the rest.

        Args:
            sequences: `(batch, time, features)`.
            initial_state: The initial states.
            mask: `(batch, time)`, alone or first in a list with the masks of other inputs, or None.
            training: Whether to apply dropout, weight drop and zoneout.

        Returns:
            The last output, the outputs in the order in which the steps ran, and the last states.
        """
        if mask is not None:
            mask = keras.tree.flatten(mask)[0]
        cell = self.cell
        if not isinstance(cell, Cell):
            if training and self.dropout:
                sequences = ops.cast(sequences, self.compute_dtype)
                kept = self._locked_mask(ops.shape(sequences)[0], sequences)
                sequences = sequences * ops.expand_dims(kept, 1)
            return super().inner_loop(sequences, initial_state, mask, training=training)

        # Transpose the inputs, not the larger projections, and before anything else reads them, even their
        # shape. Then a compiler cancels this transpose against the last one of the layer below.
        inputs = ops.cast(self._in_running_order(sequences), cell.compute_dtype)
        if training and self.dropout:
            inputs = inputs * self._locked_mask(ops.shape(inputs)[1], inputs)
        return self._recur(cell.project_inputs, inputs, initial_state, mask, training)

    def _recur(self, project, inputs, initial_state, mask, training):
        """`inner_loop` with time-major inputs, from which `project` computes what a step needs of them."""
        cell = self.cell
        steps, batch_size = ops.shape(inputs)[:2]
        if mask is not None:
            mask = self._in_running_order(ops.expand_dims(ops.cast(mask, "bool"), -1))
        step, kernels, weights, noise = self._regularized(training, steps, batch_size)
        first_output = ops.zeros((batch_size, cell.output_size), dtype=cell.compute_dtype)
        run: Callable = functools.partial(
            self._run, self._resolved(bool(training), mask is not None), project, step, training
        )
        if training and self.segments > 1:
            run = run_in_segments(run, self.segments)
        last_output, outputs, states = run(
            inputs, list(initial_state), first_output, kernels, weights, noise, mask
        )
        # `RNN.call` casts the outputs even if it does not return them.
        outputs = ops.expand_dims(last_output, 1) if outputs is None else ops.swapaxes(outputs, 0, 1)
        return last_output, outputs, states

    def _run(
        self, strategy, project, step, training, inputs, states, first_output, kernels, weights, noise, mask
    ):
        """Run the recurrence over time-major inputs; return the last output, all or None, and the states."""
        cell, outputs = self.cell, None
        if strategy == "fused":
            outputs, states = recur_fused(
                cell, inputs, states, kernels, mask, first_output, self.zero_output_for_mask
            )
        elif strategy == "scan":
            group = self._zoneout_groups[0]
            outputs, states = recur_linearly(
                cell,
                project(inputs),
                states,
                weights,
                noise.get(noise_name(group)) if training else self._zoneout_rates.get(group),
                mask,
                first_output,
                self.zero_output_for_mask,
            )
        else:
            return recur(
                strategy,
                step,
                project(inputs),
                states,
                kernels,
                weights,
                noise,
                mask,
                first_output,
                zero_output_for_mask=self.zero_output_for_mask,
                return_all_outputs=self.return_sequences,
                unroll=self.unroll,
            )
        return last_step(outputs, first_output), outputs if self.return_sequences else None, states

    def look_up(self, rows, vectors, initial_state, mask=None, training=False):
        """Run the cell over the sequences `vectors[rows]`, as `call` does.

        The cell projects each vector once, and the results are looked up, which takes less time if there are
        more rows than vectors. With dropout of inputs or segments in training, and for the strategy
        `"fused"`, the vectors are looked up instead. The layer has to be built. The states of a stateful
        layer stay as they are.

        Args:
            rows: Integers, `(batch, time)`.
            vectors: `(n, features)`.
            initial_state: A list of tensors `(batch, n)`.
            mask, training: As for `call`.

        Returns:
            What `call` returns.

        Example:

        >>> import numpy as np, textrnn
        >>> layer = textrnn.Recurrent(textrnn.GatedCell(8, "gru"), return_sequences=True)
        >>> layer.build((None, None, 3))
        >>> rows, vectors = np.array([[1, 0, 1, 1]]), np.eye(2, 3)
        >>> outputs = layer.look_up(rows, vectors, layer.get_initial_state(1))
        >>> bool(np.allclose(outputs, layer(vectors[rows]), atol=1e-6))
        True
        """
        cell = self.cell
        if rows.shape[1] == 0 or not self._projects_vectors(bool(training), mask is not None):
            sequences = ops.take(vectors, rows, axis=0)
            return self(sequences, initial_state=initial_state, mask=mask, training=training)
        with private.autocast_to(cell.compute_dtype):
            project = look_up(cell.project_inputs, ops.cast(vectors, cell.compute_dtype))
            initial_state = [ops.cast(state, cell.compute_dtype) for state in initial_state]
            rows = self._in_running_order(rows)
            last_output, outputs, states = self._recur(project, rows, initial_state, mask, training)
        output = outputs if self.return_sequences else last_output
        return (output, *states) if self.return_state else output

    def _projects_vectors(self, training, masked):
        """Whether `look_up` can project vectors instead of inputs."""
        changed = training and (self.dropout or self.segments > 1)
        return isinstance(self.cell, Cell) and not changed and self._resolved(training, masked) != "fused"

    def stepper(self, vectors=None):
        """One step in inference mode, as a function for loops such as decoding.

        Args:
            vectors: `(n, features)`. If given, the inputs of a step are rows of it, integers `(batch,)`; see
                `look_up`.

        Returns:
            A function `(inputs, states) -> (output, new_states)`. It takes `(batch, features)` and a list of
            states, and returns what `call` returns for a sequence of one step. It reads the weights once,
            when it is made.
        """
        cell = self.cell
        if isinstance(cell, Cell):
            return self._expecting_zoneout(cell.stepper(vectors))

        def step(inputs, states):
            inputs = inputs if vectors is None else ops.take(vectors, inputs, axis=0)
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
            "segments": self.segments,
            "seed": self.seed,
        }

    def _locked_mask(self, batch_size, x):
        return locked_mask(batch_size, x.shape[-1], self.dropout, x.dtype, self.seed_generator)

    def _regularized(self, training, steps, batch_size):
        """The cell's step, kernels and weights with regularization applied, and the masks of each step."""
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

    def _in_running_order(self, x):
        """`(batch, time, ...)` -> `(time, batch, ...)`, in the order in which the steps run."""
        x = ops.swapaxes(x, 0, 1)
        return ops.flip(x, axis=0) if self.go_backwards else x


def _seed_of_direction(seed, go_backwards):
    """The seed of a layer's masks, different for the two directions of `keras.layers.Bidirectional`.

    Those have the same `seed`, and with equal masks they would drop the same features.
    """
    return (seed + _BACKWARDS) % 2**31 if go_backwards and seed is not None else seed


def _for_each_row(states, sequences):
    """Give states of one row to each sequence, as the loops of `keras.layers.RNN` do.

    Raises:
        InputError: If there is another number of rows.
    """
    batch = sequences.shape[0]

    def spread(state):
        rows = state.shape[0]
        if rows == 1 and batch != 1:
            return ops.broadcast_to(state, (ops.shape(sequences)[0], *state.shape[1:]))
        if None not in (rows, batch) and rows != batch:
            raise InputError(f"initial_state has {rows} rows for {batch} sequences: give as many, or one")
        return state

    return None if states is None else keras.tree.map_structure(spread, states)

"""Stacks of recurrent layers, in one direction and in both."""

import abc
import types

import keras
from keras import ops

from textrnn.cells.base import output_size_of
from textrnn.errors import InputError
from textrnn.layers.checks import expect_cell
from textrnn.layers.dropout import check_rate
from textrnn.layers.recurrent import Recurrent
from textrnn.layers.zoneout import check_zoneout


class _Stack(keras.layers.Layer, abc.ABC):
    """The common parts of both stacks: a layer for each cell, and the options of all layers."""

    def __init__(
        self,
        cells,
        dropout=0.0,
        recurrent_dropout=0.0,
        weight_drop=0.0,
        zoneout=0.0,
        strategy="auto",
        segments=1,
        seed=None,
        residual=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(cells, keras.layers.Layer | str):
            raise InputError(f"cells is {cells!r}: give a list with a cell for each layer")
        cells = list(cells)
        for cell in cells:
            expect_cell(cell)
        if not cells:
            raise InputError("cells is empty: give at least one cell")
        if len({id(cell) for cell in cells}) < len(cells):
            raise InputError(
                "cells has the same cell twice, so that layers would share weights: make a cell for each "
                'layer, such as [textrnn.GatedCell(8, "lstm") for _ in range(2)]'
            )
        widths = [output_size_of(cell) for cell in cells]
        if residual and len(set(widths)) > 1:
            raise InputError(
                f"residual with layers of {widths} units: inputs are added to outputs, so give layers of the "
                "same width"
            )
        self.residual = residual
        self.dropout = check_rate("dropout", dropout)
        self.recurrent_dropout = check_rate("recurrent_dropout", recurrent_dropout)
        self.weight_drop = check_rate("weight_drop", weight_drop)
        self.zoneout = check_zoneout(zoneout)
        self.strategy = strategy
        self.segments = segments
        self.seed = seed
        self.supports_masking = True
        layers = [
            Recurrent(
                cell,
                return_sequences=True,
                return_state=True,
                strategy=strategy,
                segments=segments,
                dropout=dropout if index else 0.0,
                recurrent_dropout=recurrent_dropout,
                weight_drop=weight_drop,
                zoneout=zoneout,
                seed=None if seed is None else seed + index,
                name=f"recurrent_{index}",
            )
            for index, cell in enumerate(cells)
        ]
        self.recurrent_layers = [self._in_directions(layer, index) for index, layer in enumerate(layers)]
        # In a namespace, which Keras does not search for layers: a bidirectional layer copies its cell, so
        # these are never built, and `quantize` refuses what is not built.
        self._given = types.SimpleNamespace(cells=[layer.cell for layer in layers])

    @abc.abstractmethod
    def _in_directions(self, layer, index):
        """The layer that runs a `Recurrent` in the directions of the stack."""

    @property
    def cells(self):
        """The list of cells, the lowest first. Directions of a `BidirectionalStack` have copies of them."""
        return self._given.cells

    @property
    @abc.abstractmethod
    def state_size(self):
        """For each layer, the list of the sizes of its states."""

    def build(self, sequences_shape):
        """Build each layer for the outputs of the layer below."""
        shape = sequences_shape
        for layer in self.recurrent_layers:
            layer.build(shape)
            layer.built = True
            shape, *_ = layer.compute_output_shape(shape)

    def connect(self, inputs, outputs):
        """The outputs of a layer that is not the lowest, with its inputs added if the stack is residual."""
        return ops.add(inputs, outputs) if self.residual else outputs

    def compute_mask(self, sequences, previous_mask=None):
        """The mask of the inputs for the outputs, and None for the states."""
        return [previous_mask, keras.tree.map_structure(lambda _: None, self.state_size)]

    def compute_output_shape(self, sequences_shape):
        """The shapes of the results of `call`."""
        batch, time, _ = sequences_shape
        top = self.recurrent_layers[-1].compute_output_shape(sequences_shape)[0]
        states = [[(batch, size) for size in sizes] for sizes in self.state_size]
        return (batch, time, top[-1]), states

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "cells": [keras.saving.serialize_keras_object(cell) for cell in self.cells],
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "weight_drop": self.weight_drop,
            "zoneout": self.zoneout,
            "strategy": self.strategy,
            "segments": self.segments,
            "seed": self.seed,
            "residual": self.residual,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Make a stack from the result of `get_config`."""
        return cls(**with_cells(config, custom_objects))


def with_cells(config, custom_objects=None):
    """Return the config of a layer with its `"cells"` deserialized."""
    cells = [
        keras.saving.deserialize_keras_object(cell, custom_objects=custom_objects) for cell in config["cells"]
    ]
    return {**config, "cells": cells}


@keras.saving.register_keras_serializable("textrnn")
class RecurrentStack(_Stack):
    """Recurrent layers on top of each other, which take and return the states of all layers.

    A language model passes the states from one window of a long text to the next, and `step` continues from
    them token by token with the same weights.

    Args:
        cells: A list of cells, the lowest first. Each becomes a `Recurrent` in `recurrent_layers`.
        dropout: Fraction of features to drop between layers in training, with one mask per sequence as in
            `Recurrent`. The inputs of the lowest layer and the outputs of the highest are not dropped.
        recurrent_dropout, weight_drop, zoneout: As for `Recurrent`, in each layer.
        strategy, segments: As for `Recurrent`, in each layer.
        seed: An int that seeds all masks. Each layer draws its own.
        residual: Whether to add the inputs of each layer but the lowest, before dropout, to its outputs
            (Wu et al. 2016, arXiv 1609.08144, section 3.1).
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_states: States that an earlier call returned. The default is `get_initial_states`.
        mask: `(batch, time)`, True where a step is valid. The default is the mask that an earlier layer gave
            `sequences`.
        training: Whether to apply dropout, weight drop and zoneout.

    Returns:
        `(outputs, states)`: the outputs of the highest layer `(batch, time, units)`, and for each layer the
        list of its last states, each `(batch, n)`.

    Raises:
        InputError: If `cells` is no list of cells or empty, a cell occurs twice, layers of a residual stack
            differ in width, or `Recurrent` raises it.

    Example:

    >>> import numpy as np, textrnn
    >>> stack = textrnn.RecurrentStack([textrnn.GatedCell(8, "lstm"), textrnn.GatedCell(4, "gru")])
    >>> outputs, states = stack(np.ones((2, 5, 3)))
    >>> outputs.shape == (2, 5, 4), [len(layer) for layer in states]
    (True, [2, 1])
    >>> output, states = stack.step(np.ones((2, 3)), states)
    >>> output.shape == (2, 4)
    True
    """

    def _in_directions(self, layer, index):
        return layer

    @property
    def state_size(self):
        """For each layer, the list of the sizes of its states."""
        return [layer.state_size for layer in self.recurrent_layers]

    def build(self, sequences_shape, initial_states_shape=None):
        """Build each layer for the outputs of the layer below."""
        super().build(sequences_shape)

    def compute_output_shape(self, sequences_shape, initial_states_shape=None):
        """The shapes of the results of `call`."""
        return super().compute_output_shape(sequences_shape)

    def call(self, sequences, initial_states=None, mask=None, training=False, sequences_mask=None):
        """Run the layers. The class docstring has the shapes.

        With `initial_states`, Keras passes the mask of `sequences` as `sequences_mask`.
        """
        mask = sequences_mask if mask is None else mask
        if initial_states is None:
            initial_states = self.get_initial_states(ops.shape(sequences)[0])
        options = {"mask": mask, "training": training}
        lowest = self.recurrent_layers[0](sequences, initial_state=list(initial_states[0]), **options)
        return self._run_above(lowest, initial_states, options)

    def look_up(self, rows, vectors, initial_states, mask=None, training=False):
        """Run the layers over the sequences `vectors[rows]`; see `Recurrent.look_up`.

        Args:
            rows: Integers, `(batch, time)`.
            vectors: `(n, features)`.
            initial_states, mask, training: As for `call`.

        Returns:
            What `call` returns.
        """
        options = {"mask": mask, "training": training}
        lowest = self.recurrent_layers[0].look_up(rows, vectors, list(initial_states[0]), **options)
        return self._run_above(lowest, initial_states, options)

    def _run_above(self, lowest, initial_states, options):
        """Run all layers but the lowest, whose outputs and states are given."""
        sequences, *last = lowest
        states = [last]
        for layer, initial_state in zip(self.recurrent_layers[1:], initial_states[1:], strict=True):
            outputs, *last = layer(sequences, initial_state=list(initial_state), **options)
            sequences = self.connect(sequences, outputs)
            states.append(last)
        return sequences, states

    def step(self, inputs, states):
        """Run one step in inference mode. The result is that of `call` for a sequence of one step.

        Args:
            inputs: `(batch, features)`.
            states: States as `call` returns them.

        Returns:
            `(output, states)`: `(batch, units)`, and the new states.
        """
        return self.stepper()(inputs, states)

    def stepper(self, vectors=None):
        """`step` as a function that reads the weights once, when it is made, for loops such as decoding.

        Args:
            vectors: `(n, features)`. If given, the inputs of a step are rows of it, integers `(batch,)`; see
                `Recurrent.look_up`.
        """
        lowest, *others = self.recurrent_layers
        step_lowest, *step_others = [lowest.stepper(vectors), *(layer.stepper() for layer in others)]

        def step(inputs, states):
            inputs, new = step_lowest(inputs, states[0])
            new_states = [new]
            for step_layer, state in zip(step_others, states[1:], strict=True):
                outputs, new = step_layer(inputs, state)
                inputs = self.connect(inputs, outputs)
                new_states.append(new)
            return inputs, new_states

        return step

    def get_initial_states(self, batch_size):
        """Initial states, in the form that `call` takes and returns."""
        return [layer.get_initial_state(batch_size) for layer in self.recurrent_layers]


@keras.saving.register_keras_serializable("textrnn")
class BidirectionalStack(_Stack):
    """Bidirectional recurrent layers on top of each other.

    Each layer reads the outputs of both directions of the layer below.

    Args:
        cells: A list of cells, the lowest first. Each direction of a layer gets its own copy of the cell.
        dropout, recurrent_dropout, weight_drop, zoneout, strategy, segments, seed, residual: As for
            `RecurrentStack`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, time, features)`.
        mask: `(batch, time)`, True where a step is valid.
        training: Whether to apply dropout, weight drop and zoneout.

    Returns:
        `(outputs, states)`: the forward and backward outputs of the highest layer, concatenated,
        `(batch, time, 2 * units)`, and for each layer the list of the last states of both directions, forward
        first, each `(batch, n)`.

    Raises:
        InputError: As `RecurrentStack` does.

    Example:

    >>> import numpy as np, textrnn
    >>> from textrnn.layers import BidirectionalStack
    >>> outputs, states = BidirectionalStack([textrnn.GatedCell(8, "lstm")])(np.ones((2, 5, 3)))
    >>> outputs.shape == (2, 5, 16), len(states[0])
    (True, 4)
    """

    def _in_directions(self, layer, index):
        return keras.layers.Bidirectional(layer, dtype=self.dtype_policy, name=f"bidirectional_{index}")

    @property
    def state_size(self):
        """For each layer, the list of the sizes of its states, the forward direction first."""
        return [2 * list(layer.forward_layer.state_size) for layer in self.recurrent_layers]

    def call(self, sequences, mask=None, training=False):
        """Run the layers. The class docstring has the shapes."""
        states = []
        for index, layer in enumerate(self.recurrent_layers):
            outputs, *last = layer(sequences, mask=mask, training=training)
            sequences = self.connect(sequences, outputs) if index else outputs
            states.append(last)
        return sequences, states

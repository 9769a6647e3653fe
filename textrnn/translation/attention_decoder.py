"""A recurrent decoder that attends to what an encoder made of a sequence."""

import itertools

import keras
import numpy as np
from keras import ops

from textrnn.errors import InputError
from textrnn.layers.attention import GlobalAttention
from textrnn.layers.backend import fold, stack_outputs
from textrnn.layers.dropout import locked_mask
from textrnn.layers.stack import RecurrentStack


@keras.saving.register_keras_serializable("textrnn")
class AttentionDecoder(keras.layers.Layer):
    """Recurrent layers, attention after the highest, and what both say together.

    The outputs h of the highest layer are the queries of the attention; h̃ = tanh(W [h; context]) is what
    comes out (Luong et al. 2015, arXiv 1508.04025). So under teacher forcing the layers run over the whole
    sequence at once. With `input_feeding` the last h̃ is read with the next input, and everything goes step by
    step.

    Args:
        cells: a list of cells, the lowest first.
        output_dim: the width of h̃.
        attention: one of `textrnn.layers.attention.SCORES`. Dot products of vectors of different widths are
            taken with the memory mapped to the width of the queries.
        input_feeding: whether a step reads the h̃ of the last one too.
        dropout: the fraction of features to drop between layers in training, the same at all steps.
        recurrent_dropout, weight_drop, zoneout: as for `RecurrentStack`; not with `input_feeding`.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, steps, features)`.
        memory: `(batch, time, memory_features)`.
        encoder_states: the last states of an encoder's layers, a list of lists of `(batch, n)`, from which
            learnt linear maps make the states to start from: each layer's from those of the encoder's layer
            at its height. States that do not start at zero keep the values that their cell gives them.
        initial_states: the states to start from instead, as an earlier call returned them.
        memory_mask: `(batch, time)`, True where a step of the memory is valid.
        mask: `(batch, steps)`, True where a step of `sequences` is.
        training: whether to drop and to zone out.

    Returns:
        `(outputs, weights, states)`: `(batch, steps, output_dim)`, the weights of attention
        `(batch, steps, time)`, and the last states.

    Raises:
        InputError: for what `RecurrentStack` and `GlobalAttention` refuse, and for `input_feeding` with
            noise inside the recurrence.

    Example:
    >>> import numpy as np, textrnn
    >>> from textrnn.translation.attention_decoder import AttentionDecoder
    >>> decoder = AttentionDecoder([textrnn.GatedCell(8, "gru")], output_dim=6)
    >>> outputs, weights, states = decoder(np.ones((2, 5, 3)), np.ones((2, 7, 16)))
    >>> outputs.shape == (2, 5, 6), weights.shape == (2, 5, 7)
    (True, True)
    """

    def __init__(
        self,
        cells,
        output_dim,
        attention="scaled_general",
        input_feeding=False,
        dropout=0.0,
        recurrent_dropout=0.0,
        weight_drop=0.0,
        zoneout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        noise = {"recurrent_dropout": recurrent_dropout, "weight_drop": weight_drop, "zoneout": zoneout}
        if input_feeding and any(np.any(rate) for rate in noise.values()):
            raise InputError(
                f"input_feeding with {', '.join(f'{k}={v}' for k, v in noise.items() if np.any(v))}: "
                "it goes step by step, without noise inside the recurrence; use dropout"
            )
        self.output_dim = output_dim
        self.input_feeding = input_feeding
        self.stack = RecurrentStack(cells, dropout=dropout, **noise, dtype=self.dtype_policy, name="stack")
        self.attention = GlobalAttention(attention, dtype=self.dtype_policy, name="attention")
        self.combine = keras.layers.Dense(
            output_dim, activation="tanh", use_bias=False, dtype=self.dtype_policy, name="combine"
        )
        self.memory_projection = None
        self.bridge: list[list] = []

    def build(self, sequences_shape, memory_shape, encoder_states_shape=None, initial_states_shape=None):
        """Builds the layers, and the bridge if there is an encoder."""
        batch, steps, features = sequences_shape
        self.stack.build((batch, steps, features + self.output_dim * self.input_feeding))
        self.stack.built = True
        width = self.stack.cells[-1].output_size
        memory_width = memory_shape[-1]
        if self.attention.score in ("dot", "scaled_dot") and memory_width != width:
            self.memory_projection = self._linear(memory_width, width, "memory_projection", use_bias=False)
            memory_width = width
        self.attention.build((batch, steps, width), (*memory_shape[:-1], memory_width))
        self.attention.built = True
        self.combine.build((batch, steps, width + memory_width))
        if encoder_states_shape is not None:
            self.bridge = self._bridge([[shape[-1] for shape in states] for states in encoder_states_shape])

    def _linear(self, inputs, outputs, name, **kwargs):
        layer = keras.layers.Dense(outputs, dtype=self.dtype_policy, name=name, **kwargs)
        layer.build((None, inputs))
        return layer

    def _bridge(self, encoder_sizes):
        """For each layer and each of its states a linear map, or None where the cell's own value stays."""
        bridge = []
        for index, states in enumerate(self.stack.get_initial_states(1)):
            features = sum(encoder_sizes[min(index, len(encoder_sizes) - 1)])
            bridge.append(
                [
                    None
                    if np.any(ops.convert_to_numpy(state))
                    else self._linear(features, state.shape[-1], f"bridge_{index}_{number}")
                    for number, state in enumerate(states)
                ]
            )
        return bridge

    def get_initial_states(self, batch_size, encoder_states=None):
        """The states to start from.

        Args:
            batch_size: how many sequences.
            encoder_states: as for a call, or None to start from the cells' own.
        """
        states = self.stack.get_initial_states(batch_size)
        if encoder_states is not None:
            below = [ops.concatenate(list(layer), axis=-1) for layer in encoder_states]
            states = [
                [
                    own if dense is None else ops.cast(dense(below[min(index, len(below) - 1)]), own.dtype)
                    for dense, own in zip(self.bridge[index], layer, strict=True)
                ]
                for index, layer in enumerate(states)
            ]
        if self.input_feeding:
            states = [*states, [ops.zeros((batch_size, self.output_dim), self.compute_dtype)]]
        return states

    def read_memory(self, memory):
        """What attention needs of a memory, computed once: its values and its keys."""
        values = memory if self.memory_projection is None else self.memory_projection(memory)
        return values, self.attention.keys(values)

    def call(
        self,
        sequences,
        memory,
        encoder_states=None,
        initial_states=None,
        memory_mask=None,
        mask=None,
        training=False,
    ):
        """Runs over whole sequences; see the class."""
        if initial_states is None:
            initial_states = self.get_initial_states(ops.shape(sequences)[0], encoder_states)
        values, keys = self.read_memory(memory)
        if self.input_feeding:
            return self._feed(sequences, values, keys, initial_states, memory_mask, mask, training)
        outputs, states = self.stack(sequences, initial_states=initial_states, mask=mask, training=training)
        return *self._attend(outputs, values, keys, memory_mask), states

    def _attend(self, outputs, values, keys, memory_mask):
        context, weights = self.attention(outputs, values, memory_mask=memory_mask, keys=keys)
        return self.combine(ops.concatenate([outputs, context], axis=-1)), weights

    def _feed(self, sequences, values, keys, initial_states, memory_mask, mask, training):
        """Step by step, the last output beside the next input."""
        layers = self.stack.recurrent_layers
        steppers = [layer.stepper() for layer in layers]
        noise = [
            locked_mask(ops.shape(sequences)[0], below.cell.output_size, layer.dropout,
                        self.compute_dtype, layer.seed_generator)
            if training and layer.dropout else None
            for below, layer in itertools.pairwise(layers)
        ]  # fmt: skip

        def body(carry, inputs):
            *states, [fed] = keras.tree.pack_sequence_as(initial_states, carry)
            x, new_states = ops.concatenate([inputs[0], fed], axis=-1), []
            for index, (step, state) in enumerate(zip(steppers, states, strict=True)):
                if index and noise[index - 1] is not None:
                    x = x * noise[index - 1]
                x, new = step(x, state)
                new_states.append(new)
            attended, weights = self._attend(ops.expand_dims(x, 1), values, keys, memory_mask)
            attended, weights = attended[:, 0], weights[:, 0]
            new = keras.tree.flatten([*new_states, [attended]])
            for valid in inputs[1:]:  # at padding nothing changes
                new = [ops.where(valid, n, old) for n, old in zip(new, carry, strict=True)]
            return new, [attended, weights]

        inputs = [ops.swapaxes(ops.cast(sequences, self.compute_dtype), 0, 1)]
        if mask is not None:
            inputs.append(ops.swapaxes(ops.expand_dims(ops.cast(mask, "bool"), -1), 0, 1))
        carry = [ops.convert_to_tensor(state) for state in keras.tree.flatten(initial_states)]
        weights_like = ops.cast(values[:, :, 0], self.attention.variable_dtype)
        last, outputs = fold(body, carry, inputs, [carry[-1], weights_like], differentiated=True)
        outputs, weights = (ops.swapaxes(x, 0, 1) for x in stack_outputs(outputs))
        return outputs, weights, keras.tree.pack_sequence_as(initial_states, last)

    def stepper(self, memory, memory_mask=None):
        """One step of time, as in inference, for a decoding loop.

        Args:
            memory: `(batch, time, memory_features)`.
            memory_mask: `(batch, time)`, or None.

        Returns:
            A function `(inputs, states) -> (output, weights, states)` that has read the weights and the
            memory already. Inputs are `(rows, features)`, where each row of the memory may have several rows,
            one after another, as the hypotheses of a beam are; outputs `(rows, output_dim)`, the weights of
            attention `(rows, time)`.
        """
        values, keys = self.read_memory(memory)
        batch_size, time, _ = ops.shape(values)
        step_stack = self.stack.stepper()

        def step(inputs, states):
            if self.input_feeding:
                *states, [fed] = states
                inputs = ops.concatenate([inputs, fed], axis=-1)
            x, states = step_stack(inputs, states)
            queries = ops.reshape(x, (batch_size, -1, x.shape[-1]))
            attended, weights = self._attend(queries, values, keys, memory_mask)
            attended = ops.reshape(attended, (-1, self.output_dim))
            if self.input_feeding:
                states = [*states, [attended]]
            return attended, ops.reshape(weights, (-1, time)), states

        return step

    def compute_mask(self, *_, **__):
        """None: masks are the caller's to apply."""
        return None

    def get_config(self):
        """The constructor's arguments."""
        stack = self.stack.get_config()
        return super().get_config() | {
            "output_dim": self.output_dim,
            "attention": self.attention.score,
            "input_feeding": self.input_feeding,
            **{
                name: stack[name]
                for name in ("cells", "dropout", "recurrent_dropout", "weight_drop", "zoneout")
            },
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The decoder that `get_config` described."""
        cells = [
            keras.saving.deserialize_keras_object(cell, custom_objects=custom_objects)
            for cell in config["cells"]
        ]
        return cls(**{**config, "cells": cells})

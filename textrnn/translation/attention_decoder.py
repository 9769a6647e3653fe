"""A recurrent decoder with attention."""

import itertools

import keras
import numpy as np
from keras import ops

from textrnn.cells.base import output_size_of
from textrnn.errors import InputError
from textrnn.layers.attention import GlobalAttention
from textrnn.layers.backend import fold, outside_graph, stack_outputs
from textrnn.layers.dropout import locked_mask
from textrnn.layers.stack import RecurrentStack, with_cells
from textrnn.tensors import at_least_float32


@keras.saving.register_keras_serializable("textrnn")
class AttentionDecoder(keras.layers.Layer):
    """A stack of recurrent layers followed by attention (Luong et al. 2015, arXiv 1508.04025).

    The outputs h of the last layer are the queries. The output is h̃ = tanh(W [h; context]). Attention does
    not feed back into the layers, so with teacher forcing they run over the whole sequence at once. With
    `input_feeding` each step also reads the previous h̃, and everything runs step by step.

    Args:
        cells: A list of cells, from the first layer to the last.
        output_dim: int. Width of h̃.
        attention: One of `textrnn.layers.attention.SCORES`. For dot products of different widths, the memory
            is projected to the width of the queries.
        input_feeding: bool. Whether a step also reads the previous h̃.
        dropout: float. Dropout rate between layers, one mask per sequence.
        recurrent_dropout, weight_drop, zoneout: See `RecurrentStack`; not with `input_feeding`.
        strategy: See `RecurrentStack`. With `input_feeding` the decoder runs in a plain loop.
        residual: See `RecurrentStack`.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, steps, features)`.
        memory: `(batch, time, memory_features)`.
        encoder_states: The last states of each encoder layer, a list of lists of `(batch, n)`. Learned linear
            maps of the states of an encoder layer give the initial states of the decoder layer of the same
            index. States that a cell does not initialize with zeros keep their initial values.
        initial_states: Initial states, as an earlier call returned them, instead of `encoder_states`.
        memory_mask: Booleans, `(batch, time)`, True for valid steps of the memory.
        mask: Booleans, `(batch, steps)`, True for valid steps of `sequences`.
        training: bool. Whether to apply dropout and zoneout.

    Returns:
        `(outputs, weights, states)`: `(batch, steps, output_dim)`, attention weights `(batch, steps, time)`,
        and the last states.

    Raises:
        InputError: For `input_feeding` with recurrent dropout, weight drop or zoneout, and as
            `RecurrentStack` and `GlobalAttention` do.

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
        strategy="auto",
        residual=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        noise = {"recurrent_dropout": recurrent_dropout, "weight_drop": weight_drop, "zoneout": zoneout}
        if input_feeding and any(np.any(rate) for rate in noise.values()):
            raise InputError(
                f"input_feeding with {', '.join(f'{k}={v}' for k, v in noise.items() if np.any(v))}: "
                "input feeding has no noise inside the recurrence; use dropout instead"
            )
        self.output_dim = output_dim
        self.input_feeding = input_feeding
        self.stack = RecurrentStack(
            cells, dropout=dropout, **noise, strategy=strategy, residual=residual, dtype=self.dtype_policy,
            name="stack",
        )  # fmt: skip
        if input_feeding:  # of these layers only the steps run, in a loop of their own
            for layer in self.stack.recurrent_layers:
                layer.strategy = "loop"
        self.attention = GlobalAttention(attention, dtype=self.dtype_policy, name="attention")
        self.combine = keras.layers.Dense(
            output_dim, activation="tanh", use_bias=False, dtype=self.dtype_policy, name="combine"
        )
        self.memory_projection = None
        self.bridge: list[list] = []

    def build(self, sequences_shape, memory_shape, encoder_states_shape=None, initial_states_shape=None):
        """Create the weights, and those of the bridge from the encoder if there is one."""
        batch, steps, features = sequences_shape
        self.stack.build((batch, steps, features + self.output_dim * self.input_feeding))
        self.stack.built = True
        width = output_size_of(self.stack.cells[-1])
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
        """A linear map per layer and state, or None where the initial value of the cell stays."""
        bridge = []
        with outside_graph():
            constant = [
                [np.any(ops.convert_to_numpy(s)) for s in layer] for layer in self.stack.get_initial_states(1)
            ]
        for index, states in enumerate(self.stack.get_initial_states(1)):
            features = sum(encoder_sizes[min(index, len(encoder_sizes) - 1)])
            bridge.append(
                [
                    None
                    if constant[index][number]
                    else self._linear(features, state.shape[-1], f"bridge_{index}_{number}")
                    for number, state in enumerate(states)
                ]
            )
        return bridge

    def get_initial_states(self, batch_size, encoder_states=None):
        """Return initial states.

        Args:
            batch_size: int, the number of sequences.
            encoder_states: As for a call, or None for the initial states of the cells.
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
        """Return the values and keys of a memory, to be computed once."""
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
        """Run over whole sequences."""
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
        """Run step by step, with input feeding."""
        layers = self.stack.recurrent_layers
        steppers = [layer.stepper() for layer in layers]
        noise = [
            locked_mask(ops.shape(sequences)[0], output_size_of(below.cell), layer.dropout,
                        self.compute_dtype, layer.seed_generator)
            if training and layer.dropout else None
            for below, layer in itertools.pairwise(layers)
        ]  # fmt: skip

        def body(carry, inputs):
            *states, [fed] = keras.tree.pack_sequence_as(initial_states, carry)
            x, new_states = ops.concatenate([inputs[0], fed], axis=-1), []
            for index, (step, state) in enumerate(zip(steppers, states, strict=True)):
                read = x if not index or noise[index - 1] is None else x * noise[index - 1]
                outputs, new = step(read, state)
                x = self.stack.connect(x, outputs) if index else outputs
                new_states.append(new)
            context, weights = self.attention(
                ops.expand_dims(x, 1), values, memory_mask=memory_mask, keys=keys
            )
            # On two axes: the gradient of a product on three of unknown size is not for XLA.
            attended = self.combine(ops.concatenate([x, context[:, 0]], axis=-1))
            weights = weights[:, 0]
            new = keras.tree.flatten([*new_states, [attended]])
            for valid in inputs[1:]:  # padding changes no state
                new = [ops.where(valid, n, old) for n, old in zip(new, carry, strict=True)]
            return new, [attended, weights]

        inputs = [ops.swapaxes(ops.cast(sequences, self.compute_dtype), 0, 1)]
        if mask is not None:
            inputs.append(ops.swapaxes(ops.expand_dims(ops.cast(mask, "bool"), -1), 0, 1))
        carry = [ops.convert_to_tensor(state) for state in keras.tree.flatten(initial_states)]
        weights_like = ops.cast(values[:, :, 0], at_least_float32(values))
        last, outputs = fold(body, carry, inputs, [carry[-1], weights_like], differentiated=True)
        outputs, weights = (ops.swapaxes(x, 0, 1) for x in stack_outputs(outputs))
        return outputs, weights, keras.tree.pack_sequence_as(initial_states, last)

    def stepper(self, memory, memory_mask=None):
        """Return one step in inference mode, for a decoding loop.

        Args:
            memory: `(batch, time, memory_features)`.
            memory_mask: Booleans, `(batch, time)`, or None.

        Returns:
            A function `(inputs, states) -> (outputs, weights, states)` that holds the weights and the memory.
            Inputs are `(rows, features)`, outputs `(rows, output_dim)` and attention weights `(rows, time)`.
            There may be several consecutive rows per row of the memory, such as the hypotheses of a beam.
        """
        values, keys = self.read_memory(memory)
        batch_size, time, _ = ops.shape(values)
        step_stack = self.stack.stepper()
        values, combine = self._combiner(values)

        def step(inputs, states):
            if self.input_feeding:
                *states, [fed] = states
                inputs = ops.concatenate([inputs, fed], axis=-1)
            x, states = step_stack(inputs, states)
            queries = ops.reshape(x, (batch_size, -1, x.shape[-1]))
            context, weights = self.attention(queries, values, memory_mask=memory_mask, keys=keys)
            attended = combine(x, ops.reshape(context, (-1, values.shape[-1])))
            if self.input_feeding:
                states = [*states, [attended]]
            return attended, ops.reshape(weights, (-1, time)), states

        return step

    def _combiner(self, values):
        """The values to attend to in a loop, and a function of outputs of the stack and their context.

        The context is a sum of values, so these are multiplied by their part of the kernel once.
        """
        if self.combine.quantization_mode:  # with scales for the whole kernel
            return values, lambda x, context: self.combine(ops.concatenate([x, context], axis=-1))
        kernel = ops.cast(self.combine.kernel, self.compute_dtype)
        of_outputs, of_context = kernel[: -values.shape[-1]], kernel[-values.shape[-1] :]
        values = ops.matmul(values, of_context)
        return values, lambda x, context: self.combine.activation(ops.matmul(x, of_outputs) + context)

    def compute_mask(self, *_, **__):
        """Return None: the caller applies masks."""
        return None

    def get_config(self):
        """Return the arguments of the constructor."""
        stack = self.stack.get_config()
        return super().get_config() | {
            "output_dim": self.output_dim,
            "attention": self.attention.score,
            "input_feeding": self.input_feeding,
            **{
                name: stack[name]
                for name in (
                    *("cells", "dropout", "recurrent_dropout", "weight_drop", "zoneout", "strategy"),
                    "residual",
                )
            },
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Create a decoder from the result of `get_config`."""
        return cls(**with_cells(config, custom_objects))

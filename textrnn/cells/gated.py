"""Any `GateSpec` as a Keras cell."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from textrnn.cells.base import Cell, Dot, Tensor, project
from textrnn.cells.spec import Gate, GateSpec, gate_spec, parse_tie
from textrnn.errors import InputError


@keras.saving.register_keras_serializable("textrnn")
class GatedCell(Cell):
    """A recurrent cell made of gates, from its declaration.

    Weights, with one block of `units` columns for each learned gate in the order input, forget, reset,
    candidate, output: `kernel` `(features, blocks)`, `recurrent_kernel` `(units, blocks)`, `bias` `(blocks,)`
    (`(2, blocks)` where a reset acts after the matrix: a second bias belongs to the recurrent product) and
    `peephole` `(blocks,)`. Each has blocks for those gates that use it, and is absent where none does. For
    `simple`, `lstm` and `gru` they are Keras's: `set_weights(keras_cell.get_weights())` works both ways.

    Args:
        units: the size of the output and of each state.
        spec: a `GateSpec`, the name of one (`"simple"`, `"lstm"`, `"gru"`), or what its `get_config` gave.
        use_bias: whether gates have biases.
        unit_forget_bias: whether the bias of a learned forget gate over a separate memory starts at 1
            (Gers et al. 2000; Jozefowicz et al. 2015).
        kernel_initializer, recurrent_initializer, bias_initializer, peephole_initializer: the recurrent and
            peephole initializers draw each gate on its own: `"orthogonal"` makes every matrix orthogonal.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: as for Keras's cells.
        kernel_constraint, recurrent_constraint, bias_constraint: as for Keras's cells.
        **kwargs: of `keras.layers.Layer` (`name`, `dtype`, ...).

    Raises:
        InputError: for an unknown name, or `units` that is not a positive int.

    Example:
    >>> import numpy as np, textrnn
    >>> cell = textrnn.GatedCell(8, "lstm")
    >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape == (2, 8) and len(states) == 2
    True
    """

    def __init__(
        self,
        units: int,
        spec: GateSpec | str | Mapping[str, Any] = "lstm",
        use_bias: bool = True,
        unit_forget_bias: bool = True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        peephole_initializer="glorot_uniform",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        if not isinstance(units, (int, np.integer)) or isinstance(units, bool) or units <= 0:
            raise InputError(f"units is {units!r}: give a positive whole number")
        super().__init__(**kwargs)
        self.units = int(units)
        self.spec = _as_spec(spec)
        self.use_bias = use_bias
        self.unit_forget_bias = unit_forget_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.peephole_initializer = keras.initializers.get(peephole_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.kernel = self.recurrent_kernel = self.bias = self.peephole = None

    @property
    def state_size(self) -> list[int]:
        """The output, and after it a separate memory."""
        return [self.units] * (2 if self.spec.separate_memory else 1)

    @property
    def output_size(self) -> int:
        """`units`."""
        return self.units

    def build(self, input_shape):
        """Makes the weights for inputs `(batch, features)`."""
        spec, units = self.spec, self.units
        # Variables are cast where they are read, not by Keras's autocast: a layer over time reads them
        # outside this layer's `call`, where another layer's policy would be in force.
        self.kernel = self.add_weight(
            shape=(input_shape[-1], units * len(spec.reading("input"))),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            autocast=False,
        )
        if readers := len(spec.reading("state")):
            self.recurrent_kernel = self.add_weight(
                shape=(units, units * readers),
                name="recurrent_kernel",
                initializer=_gate_by_gate(self.recurrent_initializer, readers),
                regularizer=self.recurrent_regularizer,
                constraint=self.recurrent_constraint,
                autocast=False,
            )
        if self.use_bias:
            blocks = units * len(spec.learned)
            self.bias = self.add_weight(
                shape=(2, blocks) if spec.reset_after else (blocks,),
                name="bias",
                initializer=self._initial_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                autocast=False,
            )
        if readers := len(spec.reading("memory")):
            self.peephole = self.add_weight(
                shape=(units * readers,),
                name="peephole",
                initializer=_gate_by_gate(self.peephole_initializer, readers),
                autocast=False,
            )

    def project_inputs(self, x: Tensor) -> tuple[Tensor, ...]:
        """W·x + b for each gate that reads the input, in the order of their weights.

        Args:
            x: `(..., features)`.

        Returns:
            A tensor `(..., units)` for each of those gates.
        """
        return self.projector()(x)

    def projector(self):
        """`project_inputs`, with the kernel and bias split by gate already."""
        biases = self._biases()
        kernels = self._blocks(self.kernel, self.spec.reading("input"))

        def project_inputs(x):
            x = ops.cast(x, self.compute_dtype)
            products = {role: project(x, kernel) for role, kernel in kernels.items()}
            return tuple(p + biases[role] if role in biases else p for role, p in products.items())

        return project_inputs

    def step(
        self,
        projected: Sequence[Tensor],
        states: Sequence[Tensor],
        dot: Dot,
        weights: Mapping[str, Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        """One step, as `GateSpec` writes it.

        Args:
            projected: what `project_inputs` gave, each `(batch, units)`.
            states: h and, with a separate memory, c: each `(batch, units)`.
            dot: `dot(role, x)` multiplies by the recurrent kernel of that gate.
            weights: `elementwise_weights`.

        Returns:
            The output h `(batch, units)` and the new states.
        """
        spec = self.spec
        state, memory = states[0], states[-1]
        inputs = dict(zip(spec.reading("input"), projected, strict=True))
        gates: dict[str, Tensor | float] = {}

        def recurrent(role):
            if role != "candidate" or spec.reset == 1.0:
                return dot(role, state)
            if not spec.reset_after:
                return dot(role, _gated(gate("reset"), state))
            product = dot(role, state)
            if "recurrent_bias" in weights:
                product = product + weights["recurrent_bias"]
            return _gated(gate("reset"), product)

        def learned(role):
            declared = getattr(spec, role)
            terms = [inputs[role]] if role in inputs else []
            if "state" in declared.reads:
                terms.append(recurrent(role))
            if "memory" in declared.reads:
                terms.append(weights[f"peephole/{role}"] * memory)
            if f"bias/{role}" in weights:
                terms.append(weights[f"bias/{role}"])
            return keras.activations.get(declared.activation)(sum(terms[1:], terms[0]))

        def gate(role):
            if role not in gates:
                declared = getattr(spec, role)
                if isinstance(declared, Gate):
                    gates[role] = learned(role)
                elif isinstance(declared, str):
                    complement, other = parse_tie(declared)
                    gates[role] = 1.0 - gate(other) if complement else gate(other)
                else:
                    gates[role] = declared
            return gates[role]

        parts = [(gate("forget"), memory), (gate("input"), learned("candidate"))]
        kept, *written = [_gated(g, value) for g, value in parts if not _is_zero(g)]
        memory = sum(written, kept)
        if not spec.separate_memory:
            return memory, [memory]
        # Only now: what the output gate reads of the memory is the new one.
        shown = keras.activations.get(spec.output_activation)(memory)
        output = _gated(gate("output"), shown)
        return output, [output, memory]

    @property
    def recurrent_kernels(self) -> dict[str, Tensor]:
        """For each gate that reads the state, by role: U `(units, units)`."""
        return self._blocks(self.recurrent_kernel, self.spec.reading("state"))

    @property
    def elementwise_weights(self) -> dict[str, Tensor]:
        """Each `(units,)`: `peephole/<role>`; `bias/<role>` of gates that do not read the input; and
        `recurrent_bias`, which the candidate adds to its recurrent product before a reset."""
        spec = self.spec
        peepholes = self._blocks(self.peephole, spec.reading("memory"))
        biases = self._biases()
        weights = {f"peephole/{role}": weight for role, weight in peepholes.items()}
        weights |= {
            f"bias/{role}": bias for role, bias in biases.items() if role not in spec.reading("input")
        }
        if self.bias is not None and spec.reset_after:
            weights["recurrent_bias"] = self._blocks(self.bias[1], spec.learned)["candidate"]
        return weights

    def get_config(self):
        """The constructor's arguments, as JSON can hold them."""
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "units": self.units,
            "spec": self.spec.get_config(),
            "use_bias": self.use_bias,
            "unit_forget_bias": self.unit_forget_bias,
            "kernel_initializer": serialize(self.kernel_initializer),
            "recurrent_initializer": serialize(self.recurrent_initializer),
            "bias_initializer": serialize(self.bias_initializer),
            "peephole_initializer": serialize(self.peephole_initializer),
            "kernel_regularizer": serialize(self.kernel_regularizer),
            "recurrent_regularizer": serialize(self.recurrent_regularizer),
            "bias_regularizer": serialize(self.bias_regularizer),
            "kernel_constraint": serialize(self.kernel_constraint),
            "recurrent_constraint": serialize(self.recurrent_constraint),
            "bias_constraint": serialize(self.bias_constraint),
        }

    def _blocks(self, weight, roles):
        """The weight in compute dtype, split along its last axis into one contiguous block a role."""
        if weight is None:
            return {}
        blocks = ops.split(ops.cast(weight, self.compute_dtype), len(roles), axis=-1)
        return dict(zip(roles, blocks, strict=True))

    def _biases(self):
        """The bias `(units,)` of each learned gate; where the recurrent product has a bias that no reset
        comes between, the two are one."""
        if self.bias is None:
            return {}
        if not self.spec.reset_after:
            return self._blocks(self.bias, self.spec.learned)
        own, recurrent = (self._blocks(self.bias[row], self.spec.learned) for row in (0, 1))
        return {role: b if role == "candidate" else b + recurrent[role] for role, b in own.items()}

    def _initial_bias(self, shape, dtype=None):
        bias = self.bias_initializer(shape, dtype=dtype)
        spec = self.spec
        if not (self.unit_forget_bias and spec.separate_memory and "forget" in spec.learned):
            return bias
        start = self.units * spec.learned.index("forget")
        is_forget = np.zeros(shape, bool)
        np.atleast_2d(is_forget)[0, start : start + self.units] = True
        return ops.where(is_forget, ops.ones_like(bias), bias)


def _as_spec(spec):
    if isinstance(spec, GateSpec):
        return spec
    if isinstance(spec, str):
        return gate_spec(spec)
    if isinstance(spec, Mapping):
        return GateSpec.from_config(spec)
    raise InputError(f"spec is {spec!r}: give a GateSpec or the name of one")


def _gated(gate, value):
    """The product of the two, with no work for a gate that is constantly 1."""
    return value if isinstance(gate, float) and gate == 1.0 else gate * value


def _is_zero(gate):
    return isinstance(gate, float) and gate == 0.0


def _gate_by_gate(initializer, count):
    """An initializer that draws `count` equal blocks of the last axis independently of one another."""

    def initialize(shape, dtype=None):
        *leading, last = shape
        block = (*leading, last // count)
        return ops.concatenate(
            [_reseeded(initializer, index)(block, dtype=dtype) for index in range(count)], axis=-1
        )

    return initialize


def _reseeded(initializer, index):
    """The initializer for the block of that index: Keras's give the same values whenever they are called."""
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    seed = config.get("seed")
    if index == 0 or "seed" not in config or isinstance(seed, dict):  # a generator moves on by itself
        return initializer
    return initializer.__class__.from_config(config | {"seed": None if seed is None else seed + index})

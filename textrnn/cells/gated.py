"""Any `GateSpec` as a Keras cell."""

import abc
import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

# Imported for Keras to know these cells, so that saved models with them load.
from textrnn.cells import min_lstm, rg_lru, slstm, sru  # noqa: F401
from textrnn.cells.assignments import (
    SHAPES,
    X_BEFORE,
    X,
    assignments,
    projections,
    step_weights,
    symbol,
    weight_blocks,
)
from textrnn.cells.base import Cell
from textrnn.cells.expressions import (
    Activation,
    CombinedBias,
    Delayed,
    Expression,
    Name,
    RawInput,
    Update,
    Weight,
    walk,
)
from textrnn.cells.gate import COMMON_ACTIVATIONS
from textrnn.cells.initial_bias import check_chrono, opened
from textrnn.cells.products import Dot, project
from textrnn.cells.registry import find_cell
from textrnn.cells.scope import Scope, activate
from textrnn.cells.spec import GateSpec
from textrnn.cells.weights import WeightedCell, gate_by_gate
from textrnn.errors import InputError
from textrnn.tensors import Tensor

FAMILIES = {
    "kernel": "kernel",
    "previous_kernel": "kernel",
    "modulation_kernel": "kernel",
    "recurrent_kernel": "recurrent",
    "modulation_recurrent_kernel": "recurrent",
    "gate_kernel": "recurrent",
    "peephole": "peephole",
    "bias": "bias",
}
"""The weights that have an initializer, a regularizer and a constraint: name -> the family they come from."""


class _ByName(abc.ABCMeta):
    """Lets `GatedCell(units, name)` return a cell of another class.

    A metaclass, since `GatedCell` has to stay a class that users subclass, and `__new__` would initialize a
    named subclass of `GatedCell` a second time.
    """

    @property
    def __signature__(cls):
        """The signature of `__init__`, which `__call__` would hide."""
        of_init = inspect.signature(cls.__init__)  # type: ignore[misc]
        return of_init.replace(parameters=[*of_init.parameters.values()][1:])

    def __call__(cls, *args, **kwargs):
        spec = args[1] if len(args) > 1 else kwargs.get("spec", "lstm")
        cell = find_cell(spec) if cls is GatedCell else None
        if not isinstance(cell, type):
            return super().__call__(*args, **kwargs)
        options = dict(cls.__signature__.bind_partial(*args, **kwargs).arguments)
        options |= options.pop("kwargs", {})
        options.pop("spec")
        units = [options.pop("units")] if args else []  # the class may have another name for it
        return cell(*units, **_options_of(cell, options))


@keras.saving.register_keras_serializable("textrnn")
class GatedCell(WeightedCell, metaclass=_ByName):
    """A recurrent cell made of gates, from a declaration.

    `GatedCell(units, name)` creates any cell that `textrnn cells` lists. A few of them are classes of their
    own, since no `GateSpec` expresses them: the call then returns an instance of that class.

    A subclass can override `step` to give the weights of a spec another update. Its `projected` starts with
    W·x + b for each role in `spec.reading("input", "raw input")`, for most specs all of `spec.learned`, in
    the order input, forget, reset, candidate, output (for the LSTM i, f, g, o). `projector` describes the
    rest.

    The weights have one block of `units` columns for each learned gate that uses them, in the order input,
    forget, reset, candidate, output. A weight that no gate uses is None.

    - `kernel` `(features, blocks)`, `recurrent_kernel` `(units, blocks)`, `peephole` `(blocks,)`.
    - `bias` `(blocks,)`, or `(2, blocks)` if the reset is applied after the matrix: the second row belongs to
      the recurrent product.
    - `previous_kernel` `(features, blocks)`, for the previous input.
    - `projection_kernel` `(features, units)`, if a gate reads the raw input and it is not `units` wide.
    - `modulation_kernel` `(features, units)` and `modulation_recurrent_kernel` `(units, units)`, for a
      modulated state.
    - `gate_kernel` `(units, blocks)`, with a block for each pair of a gate that reads and one that is read.
    - the gains and shifts of layer normalization.

    The weights of `simple`, `lstm` and `gru` are those of Keras's cells: `set_weights` and `get_weights` copy
    them both ways.

    Args:
        units: The size of the output and of each state.
        spec: A `GateSpec`, the name of a cell, `"module:attribute"`, or a config of `GateSpec.get_config`.
        unit_forget_bias: Whether the bias of a learned forget gate starts at 1, if the memory is separate
            (Gers et al. 2000; Jozefowicz et al. 2015).
        chrono: The number of steps T that the longest dependencies span, for chrono initialization (Tallec &
            Ollivier 2018, Can recurrent neural networks warp time?), which replaces the unit forget bias. The
            bias of a learned forget gate starts at log(u) with u uniform in [1, T − 1], and that of a learned
            input gate at −log(u). Both must be sigmoids.
        **kwargs: `use_bias` (True); `kernel_initializer` ("glorot_uniform"); `recurrent_initializer`
            ("orthogonal", applied to each gate separately); `bias_initializer` ("zeros");
            `peephole_initializer` (by default uniform in [0, 1] for a candidate, as in Li et al. 2018, and
            Glorot uniform for gates); the regularizers and constraints of each, such as `kernel_regularizer`;
            and the arguments of `keras.layers.Layer` (`name`, `dtype`, ...).

    Raises:
        InputError: If the name is unknown; if `units` is not a positive integer; if an activation changes the
            shape of its input; or if `chrono` does not fit the cell, because it has no biases, learns neither
            an input nor a forget gate, ties the forget gate to the input gate, or is a class.

    Example:

    >>> import numpy as np, textrnn
    >>> cell = textrnn.GatedCell(8, "lstm")
    >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape == (2, 8) and len(states) == 2
    True
    """

    initializers: ClassVar = {
        "kernel": "glorot_uniform",
        "recurrent": "orthogonal",
        "bias": "zeros",
        "peephole": None,
    }

    def __init__(
        self,
        units: int,
        spec: GateSpec | str | Mapping[str, Any] = "lstm",
        unit_forget_bias: bool = True,
        chrono: int | None = None,
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        self.spec = _declared(spec)
        _check_activations(self.spec)
        self.unit_forget_bias = unit_forget_bias
        self.chrono = check_chrono(chrono, self.spec, self.use_bias)
        for name in SHAPES:
            if name != "recurrent_bias":  # the second row of `bias`
                setattr(self, name, None)

    @property
    def state_size(self) -> list[int]:
        """`units` for each state of the spec."""
        return [self.units] * len(self.spec.states)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the spec's states."""
        return self.spec.states

    @property
    def kind(self) -> str:
        """The kind of the spec. A subclass that overrides `step` or `average_states` is `"S"` or `"D"`."""
        own = type(self)
        is_declared = own.step is GatedCell.step and own.average_states is Cell.average_states
        if is_declared or self.spec.kind == "S":  # which needs no built cell
            return self.spec.kind
        return super().kind

    @property
    def zoneout_groups(self) -> list[int | None]:
        """One group each for the output and a separate memory; None for the other states."""
        memories = [name for name in self.spec.states if name in ("state", "memory")]
        return [memories.index(name) if name in memories else None for name in self.spec.states]

    def build(self, input_shape):
        """Create the weights for inputs `(batch, features)`."""
        features = input_shape[-1]
        for name, blocks in weight_blocks(self.spec, self.use_bias).items():
            if name == "projection_kernel":
                self.projection_kernel = self.new_projection(features)
            elif name != "recurrent_bias":
                setattr(self, name, self._new_blocks(name, len(blocks), features))

    def _new_blocks(self, name, count, features):
        rows = {"mn": (features,), "nn": (self.units,), "n": ()}[SHAPES[name]]
        if name == "bias" and self.spec.reset_after:
            rows = (2,)
        shape = (*rows, self.units * count)
        if name not in FAMILIES:  # a gain or a shift
            initializer = "ones" if name.endswith("gain") else "zeros"
            return self.add_weight(shape=shape, name=name, initializer=initializer, autocast=False)
        initializers = {"bias": self._initial_bias, "peephole": self._initial_peephole}
        family = FAMILIES[name]
        if family == "recurrent":
            initializers[name] = gate_by_gate(self.recurrent_initializer, count)
        return self.new_weight(family, name, shape, initializers.get(name))

    def projector(self):
        """Return `project_inputs` as a function that has already split the weights by gate.

        It returns tensors `(..., units)`, for each gate in the order of the weights:

        - for each gate that reads the input or the raw input, the sum of both and of the bias;
        - for a modulated state, W·x;
        - for each gate that reads the previous input, what it reads of this one at the next step.

        If layer normalization includes the previous input, the sums are replaced by W·x for each gate that
        reads the input, followed by what each gate reads of the raw input.
        """
        computed = projections(self.spec, self.use_bias)
        parts = [part for projection in computed for part in walk(projection, (CombinedBias,))]
        weights = self._values(part for part in parts if isinstance(part, Weight | CombinedBias))
        raw = next((part for part in parts if isinstance(part, RawInput)), None)

        def multiply(kernel, x, plus=None):
            product = project(x, weights[kernel.key])
            return product if plus is None else product + plus

        def project_inputs(x):
            x = ops.cast(x, self.compute_dtype)
            known: dict[Expression, Tensor] = {X: x, X_BEFORE: x}
            if raw:
                known[raw] = multiply(raw.kernel, x) if raw.kernel.key in weights else x
            scope = Scope(known, {}, multiply, weights)
            return tuple(projection.value.run(scope) for projection in computed)

        return project_inputs

    def step(
        self,
        projected: Sequence[Tensor],
        states: Sequence[Tensor],
        dot: Dot,
        weights: Mapping[str, Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        """Compute one step: the assignments of the spec, in their order.

        Args:
            projected: The result of `project_inputs`, each `(batch, units)`.
            states: The states in the order of the spec, each `(batch, units)`.
            dot: `dot(role, x)` multiplies by the recurrent kernel of that gate, `dot("modulation", x)` by the
                one of the modulated state, `dot("role/other", x)` by the one with which a gate reads another.
                A third argument is added to the product.
            weights: `elementwise_weights`.

        Returns:
            The output h `(batch, units)` and the new states.
        """
        symbols = [symbol(state) for state in self.spec.states]
        before = {Name(name, -1): state for name, state in zip(symbols, states, strict=True)}
        scope = self._scope(projected, before, dot, weights)
        for line in assignments(self.spec, self.use_bias):
            scope[line.name] = line.value.run(scope)
        return scope[Name("h")], [scope[Name(name)] for name in symbols]

    def _scope(self, projected, known, dot, weights, definitions=()):
        """Where a step is computed: with its projections, and the names that are known before it."""

        def multiply(kernel, x, plus=None):
            return dot(kernel.block, x) if plus is None else dot(kernel.block, x, plus)

        of_input = zip(projections(self.spec, self.use_bias), projected, strict=True)
        known |= {Name(projection.name.symbol): x for projection, x in of_input}
        return Scope(known, dict(definitions), multiply, weights)

    @property
    def delayed(self) -> list[int]:
        """As in `LinearCell`: the last projections, one for each gate that reads the previous input."""
        count = len(self.spec.reading("previous input"))
        return list(range(-count, 0))

    def coefficients(
        self, projected: Sequence[Tensor], weights: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """As in `LinearCell`, for a cell of kind P: the forget gate, and input ⊙ candidate."""
        scope = self._linear_scope(projected, {}, weights)
        update = next(
            line.value for line in assignments(self.spec, self.use_bias) if isinstance(line.value, Update)
        )
        written, kept = update.written.run(scope), update.kept.run(scope)
        return ops.full_like(written, kept) if isinstance(kept, float) else kept, written

    def read_out(self, projected: Sequence[Tensor], memory: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """As in `LinearCell`, for a cell of kind P: the output, which may be the memory itself."""
        name = Name("c" if self.spec.separate_memory else "h")
        return self._linear_scope(projected, {name: memory}, weights)[Name("h")]

    def _linear_scope(self, projected, known, weights):
        names = [part.name for part in projections(self.spec, self.use_bias) if isinstance(part, Delayed)]
        known |= {name: projected[index] for name, index in zip(names, self.delayed, strict=True)}
        definitions = [(line.name, line.value) for line in assignments(self.spec, self.use_bias)]
        return self._scope(projected, known, None, weights, definitions)

    @property
    def recurrent_kernels(self) -> dict[str, Tensor]:
        """The recurrent kernels, each `(units, units)`.

        One for each gate that reads the state, by role; `modulation`; and `role/other` for gates that read
        gates.
        """
        blocks = weight_blocks(self.spec, self.use_bias)
        names = [name for name in blocks if SHAPES[name] == "nn"]
        return {
            block: kernel
            for name in names
            for block, kernel in self.blocks(getattr(self, name), blocks[name]).items()
        }

    @property
    def elementwise_weights(self) -> dict[str, Tensor]:
        """The weights of `step` that are not matrices, each `(units,)`.

        - `peephole/<role>`;
        - `bias/<role>`, for gates whose projection does not include the bias;
        - `recurrent_bias`, which the candidate adds to its recurrent product before a reset;
        - `recurrent_gain/<role>`, `recurrent_shift/<role>`, `memory_gain` and `memory_shift` of layer
          normalization, and `input_gain/<role>` and `input_shift/<role>` if it includes the previous input.
        """
        return self._values(step_weights(self.spec, self.use_bias))

    def _values(self, parts):
        """The values of weights by their keys, each weight split into its blocks once."""
        blocks = weight_blocks(self.spec, self.use_bias)
        split: dict[str, dict[str, Tensor]] = {}

        def value(weight):
            if weight.name not in split:
                split[weight.name] = self.blocks(self._stored(weight.name), blocks[weight.name])
            return split[weight.name][weight.block]

        return {
            part.key: value(part) if isinstance(part, Weight) else value(part.own) + value(part.recurrent)
            for part in dict.fromkeys(parts)
            if isinstance(part, CombinedBias) or self._stored(part.name) is not None
        }

    def _stored(self, name):
        if self.spec.reset_after and name in ("bias", "recurrent_bias"):
            return self.bias[0 if name == "bias" else 1]
        return getattr(self, name)

    def _initial_peephole(self, shape, dtype=None):
        roles = self.spec.reading("memory")
        if self.peephole_initializer is not None:
            return gate_by_gate(self.peephole_initializer, len(roles))(shape, dtype=dtype)
        glorot, uniform = keras.initializers.GlorotUniform, keras.initializers.RandomUniform
        drawn = [uniform(0.0, 1.0) if role == "candidate" else glorot() for role in roles]
        return ops.concatenate([draw((self.units,), dtype=dtype) for draw in drawn])

    def _initial_bias(self, shape, dtype=None):
        bias = self.bias_initializer(shape, dtype=dtype)
        return opened(self.spec, bias, self.unit_forget_bias, self.chrono)

    def get_config(self):
        """Return the constructor's arguments."""
        return super().get_config() | {
            "spec": self.spec.get_config(),
            "unit_forget_bias": self.unit_forget_bias,
            "chrono": self.chrono,
        }


def _declared(spec) -> GateSpec:
    found = find_cell(spec)
    if isinstance(found, GateSpec):
        return found
    raise InputError(f"spec is the class {found.__name__}: give a GateSpec, or the name of one")


def _options_of(cell, options):
    """The options with which to call a class that was named in `GatedCell(units, name, ...)`."""
    own = inspect.signature(GatedCell.__init__).parameters
    names = {"unit_forget_bias", "chrono"}
    taken = {name for base in cell.__mro__ for name in inspect.signature(base.__init__).parameters}
    foreign = [name for name in options if name in names - taken]
    for name in foreign:
        if options[name] != own[name].default:
            raise InputError(f"the cell {cell.__name__} has no argument {name}: remove it")
    return {name: value for name, value in options.items() if name not in foreign}


def _check_activations(spec):
    """Refuse activations that change the shape of their input. Keras can tell only by running them."""
    parts = [part for line in assignments(spec) for part in walk(line)]
    for name in sorted({part.name for part in parts if isinstance(part, Activation)} - COMMON_ACTIVATIONS):
        if not _keeps_shape(name):
            raise InputError(
                f"{spec.name} uses the activation {name!r}, which changes the shape of its input: use an "
                "elementwise one, such as 'tanh'"
            )


@functools.cache
def _keeps_shape(activation):
    try:
        return tuple(activate(activation, ops.zeros((2, 4))).shape) == (2, 4)
    except TypeError:  # the activation has required arguments
        return False

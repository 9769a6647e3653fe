"""Any `GateSpec` as a Keras cell."""

import abc
import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from textrnn.cells.base import Dot, Tensor, at_least_float32, project
from textrnn.cells.registry import find_cell
from textrnn.cells.spec import (
    INPUT_PRODUCTS,
    INPUT_SOURCES,
    RECURRENT_PRODUCTS,
    STATE_SOURCES,
    Gate,
    GateSpec,
    parse_tie,
)
from textrnn.cells.weights import WeightedCell, gate_by_gate
from textrnn.errors import InputError

_EPSILON = 1e-5  # of the variance in layer normalisation


class _ByName(abc.ABCMeta):
    """Lets `GatedCell(units, name)` make the cell of that name, also where it is of another class.

    Not `__new__`: after it Python would initialise a subclass of `GatedCell` a second time.
    """

    @property
    def __signature__(cls):
        """That of `__init__`, which `__call__` would hide."""
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
        units = [options.pop("units")] if args else []  # the class may call its first argument otherwise
        return cell(*units, **_options_of(cell, options))


@keras.saving.register_keras_serializable("textrnn")
class GatedCell(WeightedCell, metaclass=_ByName):
    """A recurrent cell made of gates, from its declaration.

    `GatedCell(units, name)` makes every cell that `textrnn cells` lists. The few that no declaration
    expresses are classes of their own, and are what the call then returns. A subclass that overrides `step`
    has the weights of a declaration and an update of its own: its `projected` begins with W·x + b of each
    role in `spec.reading("input", "raw input")`, for most cells all of `spec.learned`, both in the order
    input, forget, reset, candidate, output (for the LSTM i, f, g, o); `projector` says what else there is.

    Weights, with one block of `units` columns for each learned gate in the order input, forget, reset,
    candidate, output: `kernel` `(features, blocks)`, `recurrent_kernel` `(units, blocks)`, `bias` `(blocks,)`
    (`(2, blocks)` where a reset acts after the matrix: a second bias belongs to the recurrent product) and
    `peephole` `(blocks,)`. Each has blocks for those gates that use it, and is absent where none does. For
    `simple`, `lstm` and `gru` they are Keras's: `set_weights(keras_cell.get_weights())` works both ways.
    After them come those of rarer sources: `previous_kernel` `(features, blocks)`; `projection_kernel`
    `(features, units)`, where the raw input is not `units` wide; `modulation_kernel` `(features, units)`
    and `modulation_recurrent_kernel` `(units, units)`; `gate_kernel`, a block for each gate that reads and
    each that is read; and the gains and shifts of layer normalisation.

    Args:
        units: the size of the output and of each state.
        spec: a `GateSpec`; the name of a cell; `"module:attribute"`; or what `GateSpec.get_config` gave.
        unit_forget_bias: whether the bias of a learned forget gate over a separate memory starts at 1
            (Gers et al. 2000; Jozefowicz et al. 2015).
        chrono: how many steps the longest dependencies span, for chrono initialisation (Tallec & Ollivier
            2018, Can recurrent neural networks warp time?) in the place of a unit forget bias: that of a
            learned forget gate starts at log(u) with u uniform in [1, chrono − 1], and that of a learned
            input gate at −log(u). Both must be sigmoids; classes of their own take none.
        **kwargs: `use_bias` (True), whether gates have biases; `kernel_initializer` ("glorot_uniform"),
            `recurrent_initializer` ("orthogonal", each gate on its own), `bias_initializer` ("zeros") and
            `peephole_initializer` (by default a candidate's, which is the whole recurrence of an
            independently recurrent network, is uniform in [0, 1] as in Li et al. 2018, and those of gates are
            Glorot's); `kernel_regularizer`, `kernel_constraint` and so on; and the arguments of
            `keras.layers.Layer` (`name`, `dtype`, ...).

    Raises:
        InputError: for an unknown name; `units` that is not a positive int; an activation that changes the
            shape of what it is applied to; and chrono initialisation without biases, of a spec that learns
            neither what it keeps nor what it writes or that forgets as it writes, or of a class.

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
        _check_shapes(self.spec)
        self.unit_forget_bias = unit_forget_bias
        self.chrono = _check_chrono(chrono, self.spec, self.use_bias)
        self.kernel = self.recurrent_kernel = self.bias = self.peephole = None
        self.previous_kernel = self.projection_kernel = self.gate_kernel = None
        self.modulation_kernel = self.modulation_recurrent_kernel = None
        self.input_gain = self.input_shift = self.recurrent_gain = self.recurrent_shift = None
        self.memory_gain = self.memory_shift = None

    @property
    def state_size(self) -> list[int]:
        """`units` for each of the spec's states."""
        return [self.units] * len(self.spec.states)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Those of the spec."""
        return self.spec.states

    @property
    def kind(self) -> str:
        """The spec's; of a subclass with a `step` of its own, which may do more with what it gets, `"S"` or
        `"D"`."""
        if type(self).step is GatedCell.step or self.spec.kind == "S":  # which needs no built cell
            return self.spec.kind
        return super().kind

    @property
    def zoneout_groups(self) -> list[int | None]:
        """The output and a separate memory, each on its own; what else is carried is no memory."""
        memories = [name for name in self.spec.states if name in ("state", "memory")]
        return [memories.index(name) if name in memories else None for name in self.spec.states]

    def build(self, input_shape):
        """Makes the weights for inputs `(batch, features)`."""
        spec, units, features = self.spec, self.units, input_shape[-1]
        by_input, by_state = spec.reading("input"), spec.reading(*STATE_SOURCES)
        peepholes, gates_of_gates = spec.reading("memory"), self._gate_pairs

        def add(name, family, rows, blocks, initializer=None):
            if blocks:
                shape = (*rows, units * blocks)
                setattr(self, name, self.new_weight(family, name, shape, initializer))

        def recurrent(blocks):
            return gate_by_gate(self.recurrent_initializer, blocks)

        add("kernel", "kernel", (features,), len(by_input))
        add("recurrent_kernel", "recurrent", (units,), len(by_state), recurrent(len(by_state)))
        if self.use_bias:
            rows = (2,) if spec.reset_after else ()
            add("bias", "bias", rows, len(spec.learned), self._initial_bias)
        add("peephole", "peephole", (), len(peepholes), self._initial_peephole)
        add("previous_kernel", "kernel", (features,), len(spec.reading("previous input")))
        if spec.reading("raw input"):
            self.projection_kernel = self.new_projection(features)
        if spec.reading("modulated state"):
            add("modulation_kernel", "kernel", (features,), 1)
            add("modulation_recurrent_kernel", "recurrent", (units,), 1)
        add("gate_kernel", "recurrent", (units,), len(gates_of_gates), recurrent(len(gates_of_gates)))
        if spec.layer_norm:
            shown = 1 if spec.separate_memory else 0
            of_input, recurring = spec.reading(*INPUT_PRODUCTS), spec.reading(*RECURRENT_PRODUCTS)
            for place, blocks in (("input", len(of_input)), ("recurrent", len(recurring)), ("memory", shown)):
                for name, initializer in ((f"{place}_gain", "ones"), (f"{place}_shift", "zeros")):
                    if blocks:
                        weight = self.add_weight(
                            shape=(units * blocks,), name=name, initializer=initializer, autocast=False
                        )
                        setattr(self, name, weight)

    def projector(self):
        """`project_inputs`, with the kernels and bias split by gate already.

        It gives, each `(..., units)`: for each gate that reads the input or the raw input, the sum of these
        and the bias; for a modulated state, W·x; and for each gate that reads the previous input, what it
        will read of this one. Where layer normalisation has to wait for the previous input, there is in the
        place of the sums W·x for each gate that reads the input, and then what each reads of the raw input.
        """
        spec, waits = self.spec, _normalises_in_step(self.spec)
        biases = {} if waits else self._biases()
        kernels = self.blocks(self.kernel, spec.reading("input"))
        previous = self.blocks(self.previous_kernel, spec.reading("previous input"))
        gains, shifts = (
            self.blocks(weight, spec.reading(*INPUT_PRODUCTS))
            for weight in (self.input_gain, self.input_shift)
        )
        projection, modulation = (
            None if weight is None else ops.cast(weight, self.compute_dtype)
            for weight in (self.projection_kernel, self.modulation_kernel)
        )

        raw_readers = spec.reading("raw input")

        def project_inputs(x):
            x = ops.cast(x, self.compute_dtype)

            def vector(role, source):
                return _activated(getattr(spec, role).sources[source], x)

            products = {role: project(vector(role, "input"), kernel) for role, kernel in kernels.items()}
            if products and spec.layer_norm and not waits:
                products = _layer_normalised(products, gains, shifts)
            raw = x if projection is None else project(x, projection)
            raws = {role: _activated(getattr(spec, role).sources["raw input"], raw) for role in raw_readers}
            if waits:
                sums = [*products.values(), *raws.values()]
            else:
                sums = _sums(spec.reading(*INPUT_SOURCES), products, raws, biases).values()
            modulated = () if modulation is None else (project(x, modulation),)
            upcoming = [project(vector(role, "previous input"), kernel) for role, kernel in previous.items()]
            return (*sums, *modulated, *upcoming)

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
            states: those that the spec names, each `(batch, units)`.
            dot: `dot(role, x)` multiplies by the recurrent kernel of that gate, `dot("modulation", x)` by
                that of the modulated state, `dot("role/other", x)` by that with which a gate reads another;
                each adds a third argument if there is one.
            weights: `elementwise_weights`.

        Returns:
            The output h `(batch, units)` and the new states.
        """
        return _Step(self.spec, projected, states, dot, weights).run()

    @property
    def delayed(self) -> list[int]:
        """As in `LinearCell`: what gates will read of this input at the next step, the last projections."""
        count = len(self.spec.reading("previous input"))
        return list(range(-count, 0))

    def coefficients(
        self, projected: Sequence[Tensor], weights: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """As in `LinearCell`, of a cell of kind P: the forget gate, and input ⊙ candidate."""
        step = self._linear_step(projected, None, weights)
        written = _gated(step.gate("input"), step.gate("candidate"))
        kept = step.gate("forget")
        return ops.full_like(written, kept) if isinstance(kept, float) else kept, written

    def read_out(self, projected: Sequence[Tensor], memory: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """As in `LinearCell`, of a cell of kind P: the output, which may be the memory itself."""
        return self._linear_step(projected, memory, weights).output()

    def _linear_step(self, projected, memory, weights):
        delayed = [projected[index] for index in self.delayed]
        return _Step(self.spec, projected, [memory, *delayed], None, weights)

    @property
    def recurrent_kernels(self) -> dict[str, Tensor]:
        """Each `(units, units)`: by gate that reads the state, `modulation`, and `role/other` of gates."""
        kernels = self.blocks(self.recurrent_kernel, self.spec.reading(*STATE_SOURCES))
        if self.modulation_recurrent_kernel is not None:
            kernels["modulation"] = ops.cast(self.modulation_recurrent_kernel, self.compute_dtype)
        return kernels | self.blocks(self.gate_kernel, self._gate_pairs)

    @property
    def elementwise_weights(self) -> dict[str, Tensor]:
        """Each `(units,)`: `peephole/<role>`; `bias/<role>` of gates whose projection has none;
        `recurrent_bias`, which the candidate adds to its recurrent product before a reset; and of layer
        normalisation `recurrent_gain/<role>`, `recurrent_shift/<role>`, `memory_gain`, `memory_shift` and,
        where that of the input waits for the previous one, `input_gain/<role>` and `input_shift/<role>`."""
        spec = self.spec
        peepholes = self.blocks(self.peephole, spec.reading("memory"))
        waits = _normalises_in_step(spec)
        projected = () if waits else spec.reading(*INPUT_SOURCES)
        weights = {f"peephole/{role}": weight for role, weight in peepholes.items()}
        weights |= {f"bias/{role}": bias for role, bias in self._biases().items() if role not in projected}
        if self.bias is not None and spec.reset_after:
            weights["recurrent_bias"] = self.blocks(self.bias[1], spec.learned)["candidate"]
        normalised = {"recurrent": RECURRENT_PRODUCTS} | ({"input": INPUT_PRODUCTS} if waits else {})
        for place, sources in normalised.items():
            for name in (f"{place}_gain", f"{place}_shift"):
                blocks = self.blocks(getattr(self, name), spec.reading(*sources))
                weights |= {f"{name}/{role}": block for role, block in blocks.items()}
        for name in ("memory_gain", "memory_shift"):
            if getattr(self, name) is not None:
                weights[name] = ops.cast(getattr(self, name), self.compute_dtype)
        return weights

    def get_config(self):
        """The constructor's arguments, as JSON can hold them."""
        return super().get_config() | {
            "spec": self.spec.get_config(),
            "unit_forget_bias": self.unit_forget_bias,
            "chrono": self.chrono,
        }

    @property
    def _gate_pairs(self):
        """`reader/read` for each gate that a gate reads."""
        return [f"{role}/{other}" for role in self.spec.reading("gates") for other in self.spec.gates]

    def _biases(self):
        """The bias `(units,)` of each learned gate; where the recurrent product has a bias that no reset
        comes between, the two are one."""
        if self.bias is None:
            return {}
        if not self.spec.reset_after:
            return self.blocks(self.bias, self.spec.learned)
        own, recurrent = (self.blocks(self.bias[row], self.spec.learned) for row in (0, 1))
        return {role: b if role == "candidate" else b + recurrent[role] for role, b in own.items()}

    def _initial_peephole(self, shape, dtype=None):
        roles = self.spec.reading("memory")
        if self.peephole_initializer is not None:
            return gate_by_gate(self.peephole_initializer, len(roles))(shape, dtype=dtype)
        glorot, uniform = keras.initializers.GlorotUniform, keras.initializers.RandomUniform
        drawn = [uniform(0.0, 1.0) if role == "candidate" else glorot() for role in roles]
        return ops.concatenate([draw((self.units,), dtype=dtype) for draw in drawn])

    def _initial_bias(self, shape, dtype=None):
        bias = self.bias_initializer(shape, dtype=dtype)
        if self.chrono is not None:
            span = keras.initializers.RandomUniform(1.0, self.chrono - 1.0)((self.units,), dtype=dtype)
            opens = {"forget": ops.log(span), "input": -ops.log(span)}
        elif self.unit_forget_bias and self.spec.separate_memory:
            opens = {"forget": ops.ones((self.units,), dtype=dtype)}
        else:
            return bias
        row = bias[0] if self.spec.reset_after else bias
        blocks = dict(zip(self.spec.learned, ops.split(row, len(self.spec.learned)), strict=True))
        row = ops.concatenate([opens.get(role, block) for role, block in blocks.items()])
        return ops.stack([row, bias[1]]) if self.spec.reset_after else row


class _Step:
    """One step of a spec, each gate computed when something first asks for it.

    Args are those of `GatedCell.step`.
    """

    def __init__(self, spec, projected, states, dot, weights):
        self.spec, self.dot, self.weights = spec, dot, weights
        self.before = dict(zip(spec.states, states, strict=True))
        projections = iter(projected)
        waits, read_before = _normalises_in_step(spec), spec.reading("previous input")
        products = {role: next(projections) for role in (spec.reading("input") if waits else ())}
        summed = ("raw input",) if waits else INPUT_SOURCES
        sums = {role: next(projections) for role in spec.reading(*summed)}
        modulation = next(projections) if spec.reading("modulated state") else None
        self.previous = {f"previous/{role}": next(projections) for role in read_before}
        convolved = {role: self.before[f"previous/{role}"] for role in read_before}
        if waits:
            convolved = _sums(spec.reading(*INPUT_PRODUCTS), products, convolved)
            convolved = self.normalised("input", convolved)
        self.inputs = _sums(spec.reading(*INPUT_SOURCES, "previous input"), sums, convolved)
        self.state = self.before.get("state")
        self.memory = self.before["memory"] if spec.separate_memory else self.state
        self.modulated = None if modulation is None else modulation * dot("modulation", self.state)
        self.sums: dict[str, Tensor] = {}
        self.gates: dict[str, Tensor | float] = {}
        # All that multiply at once are normalised together; a state that is reset first comes later.
        self.products: dict[str, Tensor] = {}
        self.with_input: set[str] = set()
        self.of_gates: dict[str, Tensor] = {}
        self.multiply([role for role in spec.reading(*RECURRENT_PRODUCTS) if not self.is_reset_before(role)])

    def run(self):
        """The output and the new states."""
        parts = {role: self.gate(role) for role in ("forget", "input")}
        values = {"forget": self.memory, "input": self.gate("candidate")}
        self.memory = _sum([_gated(g, values[role]) for role, g in parts.items() if not _is_zero(g)])
        output = self.output()
        after = self.previous | {"state": output, "memory": self.memory}
        after |= {f"gate/{role}": self.gate(role) for role in self.spec.gates}
        return output, [after[name] for name in self.spec.states]

    def output(self):
        """What is read out of the memory, which must be the new one: an output gate may read it too."""
        if not self.spec.separate_memory:
            return self.memory
        return _gated(self.gate("output"), _activated(self.spec.output_activation, self.shown_memory()))

    def gate(self, role):
        """The value of a part of the spec: a tensor, or a number."""
        if role not in self.gates:
            declared = getattr(self.spec, role)
            if isinstance(declared, Gate):
                declared = _activated(declared.activation, self.sum(role))
            elif isinstance(declared, str):
                declared = self.tied(parse_tie(declared))
            self.gates[role] = declared
        return self.gates[role]

    def tied(self, tie):
        """The value of a part that is tied to another."""
        value = self.gate(tie.role)
        if tie.shift:
            value = _activated(getattr(self.spec, tie.role).activation, self.sum(tie.role) + tie.shift)
        return 1.0 - value if tie.complement else value

    def sum(self, role):
        """What the activation of a learned gate is applied to."""
        if role not in self.sums:
            sources, weights = getattr(self.spec, role).sources, self.weights
            terms = self.recurrent(role) if set(RECURRENT_PRODUCTS) & set(sources) else []
            if role in self.inputs and role not in self.with_input:
                terms.append(self.inputs[role])
            if "memory" in sources:
                terms.append(weights[f"peephole/{role}"] * _activated(sources["memory"], self.memory))
            if f"bias/{role}" in weights:
                terms.append(weights[f"bias/{role}"])
            self.sums[role] = _sum(terms)
        return self.sums[role]

    def recurrent(self, role):
        """The terms that a gate reads of the step before through matrices."""
        if role not in self.products and role not in self.of_gates:
            self.multiply([role])
        terms = []
        if role in self.products:
            terms.append(self.reset_after(role, self.products[role]))
        if role in self.of_gates:
            terms.append(self.of_gates[role])
        return terms

    def reset_after(self, role, product):
        """The product, of the candidate after a reset that comes after its matrix."""
        if role != "candidate" or not self.spec.reset_after:
            return product
        if "recurrent_bias" in self.weights:
            product = product + self.weights["recurrent_bias"]
        return _gated(self.gate("reset"), product)

    def multiply(self, roles):
        """Makes the recurrent products of these gates."""
        states, gates = (set(self.spec.reading(*sources)) for sources in (STATE_SOURCES, ("gates",)))
        products = {role: self.product(role) for role in roles if role in states}
        of_gates = {
            role: _sum(
                [self.dot(f"{role}/{other}", self.before[f"gate/{other}"]) for other in self.spec.gates]
            )
            for role in roles
            if role in gates
        }
        if self.spec.layer_norm and roles:
            products, of_gates = self.normalised("recurrent", _sums(roles, products, of_gates)), {}
        self.products |= products
        self.of_gates |= of_gates

    def product(self, role):
        """What the recurrent kernel of a gate gives, plus what the gate reads of the input unless something
        comes between the two: a strategy then keeps one tensor instead of two."""
        apart = self.spec.layer_norm or (role == "candidate" and self.spec.reset_after)
        if apart or role not in self.inputs:
            return self.dot(role, self.multiplied(role))
        self.with_input.add(role)
        return self.dot(role, self.multiplied(role), self.inputs[role])

    def normalised(self, place, values):
        """The values by role, layer-normalised as one."""
        gains, shifts = (
            {role: self.weights[f"{place}_{name}/{role}"] for role in values} for name in ("gain", "shift")
        )
        return _layer_normalised(values, gains, shifts)

    def multiplied(self, role):
        """What the recurrent kernel of a gate multiplies."""
        sources = getattr(self.spec, role).sources
        source = _state_source(sources)
        vector = self.state if source == "state" else self.modulated
        if self.is_reset_before(role):
            vector = _gated(self.gate("reset"), vector)
        return _activated(sources[source], vector)

    def is_reset_before(self, role):
        """Whether the reset acts on what the recurrent kernel of the gate multiplies."""
        return role == "candidate" and self.spec.reset != 1.0 and not self.spec.reset_after

    def shown_memory(self):
        """The separate memory, normalised if the spec says so."""
        if not self.spec.layer_norm:
            return self.memory
        gains, shifts = ({"memory": self.weights[f"memory_{name}"]} for name in ("gain", "shift"))
        return _layer_normalised({"memory": self.memory}, gains, shifts)["memory"]


def _state_source(sources):
    """The one of `STATE_SOURCES` among these, or None."""
    return next((source for source in STATE_SOURCES if source in sources), None)


def _declared(spec) -> GateSpec:
    found = find_cell(spec)
    if isinstance(found, GateSpec):
        return found
    raise InputError(f"spec is the class {found.__name__}: give a GateSpec, or the name of one")


def _options_of(cell, options):
    """The options for the constructor of a class that `GatedCell` was asked for by name."""
    own = inspect.signature(GatedCell.__init__).parameters
    names = {"unit_forget_bias", "chrono"}
    taken = {name for base in cell.__mro__ for name in inspect.signature(base.__init__).parameters}
    foreign = [name for name in options if name in names - taken]
    for name in foreign:
        if options[name] != own[name].default:
            raise InputError(f"the class {cell.__name__} takes no {name}: leave it out")
    return {name: value for name, value in options.items() if name not in foreign}


def _normalises_in_step(spec):
    """Whether layer normalisation of the input is left to the step, which knows that of t−1."""
    return spec.layer_norm and bool(spec.reading("previous input"))


def _check_shapes(spec):
    """Refuses activations that are not elementwise in shape; Keras can tell only by running them."""
    gates = [getattr(spec, role) for role in spec.learned]
    names = {gate.activation for gate in gates} | {name for gate in gates for name in gate.sources.values()}
    for name in sorted((names | {spec.output_activation}) - {None, "linear"}):
        if not _keeps_shape(name):
            raise InputError(
                f"{spec.name} uses the activation {name!r}, which does not give a value for each that it "
                "takes: use another of keras.activations, such as 'tanh'"
            )


@functools.cache
def _keeps_shape(activation):
    try:
        return tuple(_activated(activation, ops.zeros((2, 4))).shape) == (2, 4)
    except TypeError:  # it has other arguments that it must be given
        return False


def _check_chrono(chrono, spec, use_bias):
    if chrono is None:
        return None
    if not isinstance(chrono, (int, np.integer)) or isinstance(chrono, bool) or chrono < 3:
        raise InputError(f"chrono is {chrono!r}: give the number of steps that dependencies span, 3 or more")
    if not use_bias:
        raise InputError("chrono sets biases, but use_bias is False: leave one of the two out")
    opened = [role for role in ("forget", "input") if role in spec.learned]
    if not opened:
        raise InputError(
            f"chrono sets the biases of the forget and the input gate, and {spec.name} learns neither: "
            "leave it out, or make one of them a Gate"
        )
    for role in opened:
        activation = getattr(spec, role).activation
        if activation != "sigmoid":
            raise InputError(
                f"chrono sets the biases of sigmoids, but {role} of {spec.name} is {activation!r}: "
                "leave chrono out, or make it a sigmoid"
            )
    if _end_of_ties(spec, "forget") == ("input", False):
        raise InputError(
            f"chrono closes the input gate, and {spec.name} keeps as much as it writes: leave chrono out, or "
            "tie forget to '1 - input'"
        )
    return int(chrono)


def _end_of_ties(spec, role):
    """The part that this one is tied to in the end, and whether as one minus it."""
    complement = False
    while isinstance(part := getattr(spec, role), str):
        tie = parse_tie(part)
        role, complement = tie.role, complement != tie.complement
    return role, complement


def _activated(name, x):
    """The activation of that name, if any, of x."""
    return x if name in (None, "linear") else keras.activations.get(name)(x)


def _sum(terms):
    return sum(terms[1:], terms[0])


def _sums(roles, *terms):
    """For each role the sum of those terms (role -> tensor) that have it."""
    return {role: _sum([term[role] for term in terms if role in term]) for role in roles}


def _gated(gate, value):
    """The product of the two, with no work for a gate that is constantly 1."""
    return value if isinstance(gate, float) and gate == 1.0 else gate * value


def _is_zero(gate):
    return isinstance(gate, float) and gate == 0.0


def _layer_normalised(values, gains, shifts):
    """Layer normalisation of all values as if they were one vector, in float32 at the least."""
    first = next(iter(values.values()))
    dtype = first.dtype
    exact = {name: ops.cast(v, at_least_float32(first)) for name, v in values.items()}
    mean = _sum([ops.mean(v, axis=-1, keepdims=True) for v in exact.values()]) / len(exact)
    centred = {name: v - mean for name, v in exact.items()}
    variance = _sum([ops.mean(ops.square(v), axis=-1, keepdims=True) for v in centred.values()]) / len(exact)
    scale = ops.rsqrt(variance + _EPSILON)
    return {name: ops.cast(v * scale, dtype) * gains[name] + shifts[name] for name, v in centred.items()}

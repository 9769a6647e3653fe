"""NumPy references: the published cells, each written as in its paper, and a few other specs.

The steps are written from the equations and do not use the library. They know only the layout of its weights,
whose blocks are named by letters: i input, f forget, r reset, g candidate, o output.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from textrnn.cells import Gate, GateSpec, gate_spec

tanh = np.tanh


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.logaddexp(0, x)


def normalized(x, gain, shift, epsilon=1e-5):
    """Layer normalization over the last axis, with an epsilon, which the paper does not have."""
    return gain * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon) + shift


class Weights:
    """The blocks of a cell's weights by name: `w["peephole"]["i"]`, or `w.p["i"]` for common weights."""

    def __init__(self, blocks: Mapping[str, dict]):
        self.blocks = blocks
        self.W, self.U, self.b, self.p = (
            blocks.get(name, {}) for name in ("kernel", "recurrent_kernel", "bias", "peephole")
        )

    def __getitem__(self, name):
        return self.blocks[name]

    def pre(self, gate, x=None, h=None, c=None):
        """Return Wx + Uh + p⊙c + b, with the terms that are given."""
        total = self.b[gate]
        if x is not None:
            total = total + x @ self.W[gate]
        if h is not None:
            total = total + h @ self.U[gate]
        if c is not None:
            total = total + self.p[gate] * c
        return total

    def whole(self, name):
        """Return a weight as it is stored."""
        return np.concatenate(list(self[name].values()), axis=-1)

    def normalized(self, place, x):
        """Layer-normalize all gates as one vector, with the gain and shift of a place."""
        return normalized(x, self.whole(f"{place}_gain"), self.whole(f"{place}_shift"))

    def at_width_of_units(self, x):
        """Return W′x if the widths differ, else x."""
        return x @ self["projection_kernel"]["x"] if "projection_kernel" in self.blocks else x


def normal(rng, shape):
    return rng.normal(size=shape)


def fractions(rng, shape):
    return rng.uniform(0.1, 0.9, size=shape)


def positive(rng, shape):
    return rng.uniform(0.5, 2.0, size=shape)


@dataclasses.dataclass(frozen=True)
class State:
    """A state: its initial value, and how to draw values that it could have later."""

    initial: float = 0.0
    draw: Callable = normal


@dataclasses.dataclass(frozen=True)
class Reference:
    """A cell in NumPy, and the layout of the library's weights for it.

    Args:
        name: Its name in the tests.
        cell: What `GatedCell(units, cell)` accepts, the name of a published architecture or a spec.
        step: A function `(weights, x, states) -> (output, states)`.
        layout: The weights in the order of `get_weights()`, each with the names of its blocks of `units`
            along the last axis. A `projection_kernel` exists only if the widths of input and units differ.
        states: The states in their order.
    """

    name: str
    cell: str | GateSpec
    step: Callable
    layout: Mapping[str, Sequence[str]]
    states: tuple[State, ...] = (State(),)

    def names(self, features, units):
        """Return the names of the weights of a cell with these widths."""
        return [name for name in self.layout if name != "projection_kernel" or features != units]

    def unpack(self, weights):
        """Return the arrays of a cell's `get_weights()`, in float64, by name and block."""
        features, units = len(weights[0]), weights[0].shape[-1] // len(self.layout["kernel"])
        blocks = {}
        for name, array in zip(self.names(features, units), weights, strict=True):
            split = np.split(np.asarray(array, "float64"), len(self.layout[name]), axis=-1)
            blocks[name] = dict(zip(self.layout[name], split, strict=True))
        return Weights(blocks)

    def initial_states(self, batch, units):
        """Return the initial states, each `(batch, units)`."""
        return [np.full((batch, units), state.initial) for state in self.states]

    def random_states(self, rng, batch, units):
        """Draw states `(batch, units)` that the cell could have."""
        return [state.draw(rng, (batch, units)) for state in self.states]

    def run(self, weights, x, states=None, mask=None):
        """Run over x `(batch, time, features)`: return outputs `(batch, time, units)` and the last states.

        A masked step keeps the states and repeats the previous output, which is 0 at first.
        """
        w = self.unpack(weights)
        units = w.W[self.layout["kernel"][0]].shape[-1]
        states = self.initial_states(len(x), units) if states is None else states
        outputs, output = [], np.zeros((len(x), units))
        for t in range(x.shape[1]):
            new_output, new_states = self.step(w, np.asarray(x[:, t], "float64"), states)
            valid = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
            output = np.where(valid, new_output, output)
            states = [np.where(valid, new, old) for new, old in zip(new_states, states, strict=True)]
            outputs.append(output)
        return np.stack(outputs, 1), states


# The steps -----------------------------------------------------------------------------------------------


def simple(w, x, states):
    (h,) = states
    h = tanh(w.pre("g", x, h))
    return h, [h]


def lstm(w, x, states):
    h, c = states
    i, f, o = (sigmoid(w.pre(gate, x, h)) for gate in "ifo")
    c = f * c + i * tanh(w.pre("g", x, h))
    h = o * tanh(c)
    return h, [h, c]


def lstm_cifg_without_peepholes(w, x, states):
    h, c = states
    i, o = (sigmoid(w.pre(gate, x, h)) for gate in "io")
    c = (1 - i) * c + i * tanh(w.pre("g", x, h))
    h = o * tanh(c)
    return h, [h, c]


def lstm_peephole(w, x, states, i=None, f=None, o=None, g=tanh, show=tanh):
    h, old = states
    i = sigmoid(w.pre("i", x, h, old)) if i is None else i
    f = sigmoid(w.pre("f", x, h, old)) if f is None else f
    c = f * old + i * g(w.pre("g", x, h))
    o = sigmoid(w.pre("o", x, h, c)) if o is None else o
    h = o * show(c)
    return h, [h, c]


def lstm_cifg(w, x, states):
    h, old = states
    i = sigmoid(w.pre("i", x, h, old))
    return lstm_peephole(w, x, states, i=i, f=1 - i)


def lstm_fgr(w, x, states):
    h, old, *gates = states

    def recurrence(reader):
        """Return R_i i + R_f f + R_o o, with the gates at t−1."""
        kernels = w["gate_kernel"]
        return sum(gate @ kernels[reader + source] for source, gate in zip("ifo", gates, strict=True))

    i = sigmoid(w.pre("i", x, h, old) + recurrence("i"))
    f = sigmoid(w.pre("f", x, h, old) + recurrence("f"))
    c = f * old + i * tanh(w.pre("g", x, h))
    o = sigmoid(w.pre("o", x, h, c) + recurrence("o"))
    h = o * tanh(c)
    return h, [h, c, i, f, o]


def lstm_ln(w, x, states):
    h, c = states
    # One mean and variance for all four gates together (equation 20 of the paper).
    total = (
        w.normalized("input", x @ w.whole("kernel"))
        + w.normalized("recurrent", h @ w.whole("recurrent_kernel"))
        + w.whole("bias")
    )
    i, f, g, o = np.split(total, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(w.normalized("memory", c))
    return h, [h, c]


def lstm_fgr_ln(w, x, states):
    """The products of gates and of the state are normalized together; peepholes are not."""
    h, old, *gates = states
    kernels = w["gate_kernel"]
    of_gates = {
        reader: sum(gate @ kernels[reader + source] for source, gate in zip("ifo", gates, strict=True))
        for reader in "ifo"
    }
    of_gates["g"] = np.zeros_like(h)
    recurrent = h @ w.whole("recurrent_kernel") + np.concatenate([of_gates[gate] for gate in "ifgo"], axis=-1)
    total = (
        w.normalized("input", x @ w.whole("kernel")) + w.normalized("recurrent", recurrent) + w.whole("bias")
    )
    i, f, g, o = np.split(total, 4, axis=-1)
    i, f = sigmoid(i + w.p["i"] * old), sigmoid(f + w.p["f"] * old)
    c = f * old + i * tanh(g)
    o = sigmoid(o + w.p["o"] * c)
    h = o * tanh(w.normalized("memory", c))
    return h, [h, c, i, f, o]


def gru(w, x, states):
    (h,) = states
    z = sigmoid(x @ w.W["f"] + w.b["f"][0] + h @ w.U["f"] + w.b["f"][1])
    r = sigmoid(x @ w.W["r"] + w.b["r"][0] + h @ w.U["r"] + w.b["r"][1])
    candidate = tanh(x @ w.W["g"] + w.b["g"][0] + r * (h @ w.U["g"] + w.b["g"][1]))
    h = z * h + (1 - z) * candidate
    return h, [h]


def gru_ln(w, x, states):
    """The bias of the recurrent product is added after its normalization and before the reset."""
    (h,) = states
    own, recurrent = w.whole("bias")
    xz, xr, xg = np.split(w.normalized("input", x @ w.whole("kernel")) + own, 3, axis=-1)
    hz, hr, hg = np.split(w.normalized("recurrent", h @ w.whole("recurrent_kernel")) + recurrent, 3, axis=-1)
    z, r = sigmoid(xz + hz), sigmoid(xr + hr)
    h = z * h + (1 - z) * tanh(xg + r * hg)
    return h, [h]


def gru_reset_before(w, x, states):
    (h,) = states
    z, r = sigmoid(w.pre("f", x, h)), sigmoid(w.pre("r", x, h))
    h = z * h + (1 - z) * tanh(w.pre("g", x, r * h))
    return h, [h]


def mgu(w, x, states):
    (h,) = states
    f = sigmoid(w.pre("i", x, h))
    h = (1 - f) * h + f * tanh(w.pre("g", x, f * h))
    return h, [h]


def ugrnn(w, x, states):
    (h,) = states
    g = sigmoid(w.pre("f", x, h))
    h = g * h + (1 - g) * tanh(w.pre("g", x, h))
    return h, [h]


def janet(w, x, states, beta=1.0):
    (c,) = states
    s = w.pre("f", x, c)
    c = sigmoid(s) * c + (1 - sigmoid(s - beta)) * tanh(w.pre("g", x, c))
    return c, [c]


def mut1(w, x, states):
    (h,) = states
    z = sigmoid(w.pre("i", x))
    r = sigmoid(w.pre("r", x, h))
    h = tanh((r * h) @ w.U["g"] + tanh(w.at_width_of_units(x)) + w.b["g"]) * z + h * (1 - z)
    return h, [h]


def mut2(w, x, states):
    (h,) = states
    z = sigmoid(w.pre("i", x, h))
    r = sigmoid(w.at_width_of_units(x) + h @ w.U["r"] + w.b["r"])
    h = tanh((r * h) @ w.U["g"] + x @ w.W["g"] + w.b["g"]) * z + h * (1 - z)
    return h, [h]


def mut3(w, x, states):
    (h,) = states
    z = sigmoid(w.pre("i", x, tanh(h)))
    r = sigmoid(w.pre("r", x, h))
    h = tanh((r * h) @ w.U["g"] + x @ w.W["g"] + w.b["g"]) * z + h * (1 - z)
    return h, [h]


def multiplicative_lstm(w, x, states):
    h, c = states
    m = (x @ w["modulation_kernel"]["m"]) * (h @ w["modulation_recurrent_kernel"]["m"])
    return lstm(w, x, [m, c])


def multiplicative_lstm_ln(w, x, states):
    h, c = states
    m = (x @ w["modulation_kernel"]["m"]) * (h @ w["modulation_recurrent_kernel"]["m"])
    return lstm_ln(w, x, [m, c])


def slstm(w, x, states):
    h, c, n, m = states
    log_forget = -softplus(-w.pre("f", x, h))  # log σ
    log_input = w.pre("i", x, h)
    stabilizer = np.maximum(log_forget + m, log_input)
    i, f = np.exp(log_input - stabilizer), np.exp(log_forget + m - stabilizer)
    c = f * c + i * tanh(w.pre("g", x, h))
    n = f * n + i
    h = sigmoid(w.pre("o", x, h)) * c / n
    return h, [h, c, n, stabilizer]


def slstm_without_stabilizer(w, x):
    """The sLSTM over a sequence `(batch, time, features)`, with i = exp(ĩ), which can overflow."""
    units = w.U["i"].shape[-1]
    h, c, n = (np.zeros((len(x), units)) for _ in "hcn")
    outputs = []
    for t in range(x.shape[1]):
        i, f, z, o = (w.pre(gate, x[:, t], h) for gate in "ifgo")
        c = sigmoid(f) * c + np.exp(i) * tanh(z)
        n = sigmoid(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        outputs.append(h)
    return np.stack(outputs, axis=1)


def indrnn(w, x, states):
    (h,) = states
    h = np.maximum(w.pre("g", x, c=h), 0)
    return h, [h]


def sru(w, x, states):
    (old,) = states
    f, r = (sigmoid(w.pre(gate, x, c=old)) for gate in "fr")
    c = f * old + (1 - f) * (x @ w.W["g"])
    # α = √(1 + 2e^b) with b = 0. The authors' code scales the initial W′ instead.
    h = r * c + (1 - r) * np.sqrt(3) * w.at_width_of_units(x)
    return h, [c]


def qrnn(w, x, states):
    """The width-2 convolutions step by step: the states after c are W′x(t−1) of each gate."""
    c, *previous = states
    f, g, o = (w.pre(gate, x) + before for gate, before in zip("fgo", previous, strict=True))
    c = sigmoid(f) * c + (1 - sigmoid(f)) * tanh(g)
    return sigmoid(o) * c, [c, *(x @ w["previous_kernel"][gate] for gate in "fgo")]


def qrnn_ln(w, x, states):
    """The three width-2 convolutions are normalized together; the states are not normalized."""
    c, *previous = states
    convolved = x @ w.whole("kernel") + np.concatenate(previous, axis=-1)
    f, g, o = np.split(w.normalized("input", convolved) + w.whole("bias"), 3, axis=-1)
    c = sigmoid(f) * c + (1 - sigmoid(f)) * tanh(g)
    h = sigmoid(o) * w.normalized("memory", c)
    return h, [c, *(x @ w["previous_kernel"][gate] for gate in "fgo")]


def qrnn_as_convolution(w, x):
    """The QRNN over a sequence `(batch, time, features)`: causal convolutions and fo-pooling."""
    padded = np.pad(x, ((0, 0), (1, 0), (0, 0)))

    def convolved(gate):
        taps = np.stack([w["previous_kernel"][gate], w.W[gate]])
        return sum(padded[:, k : k + x.shape[1]] @ taps[k] for k in (0, 1)) + w.b[gate]

    z, f, o = tanh(convolved("g")), sigmoid(convolved("f")), sigmoid(convolved("o"))
    c, outputs = np.zeros_like(z[:, 0]), []
    for t in range(x.shape[1]):
        c = f[:, t] * c + (1 - f[:, t]) * z[:, t]
        outputs.append(o[:, t] * c)
    return np.stack(outputs, axis=1)


def min_gru(w, x, states):
    (h,) = states
    z = sigmoid(w.pre("i", x))
    h = (1 - z) * h + z * w.pre("g", x)
    return h, [h]


def min_lstm(w, x, states):
    (h,) = states
    f, i = sigmoid(w.pre("f", x)), sigmoid(w.pre("i", x))
    h = f / (f + i) * h + i / (f + i) * w.pre("g", x)
    return h, [h]


def rg_lru(w, x, states):
    (h,) = states
    r, i = sigmoid(w.pre("f", x)), sigmoid(w.pre("i", x))
    a = sigmoid(w["decay_logit"]["a"]) ** (8 * r)
    h = a * h + np.sqrt(1 - a**2) * (i * w.at_width_of_units(x))
    return h, [h]


def leaky(w, x, states):
    (h,) = states
    h = 0.75 * h + 0.25 * tanh(w.pre("g", x, h))
    return h, [h]


def state_gated(w, x, states):
    """Not published: forget and candidate read only the state, reset and output only the input."""
    h, c = states
    f = sigmoid(h @ w.U["f"] + w.b["f"].sum(0))
    r, o = (sigmoid(x @ w.W[gate] + w.b[gate].sum(0)) for gate in "ro")
    c = f * c + tanh(r * (h @ w.U["g"] + w.b["g"][1]) + w.b["g"][0])
    h = o * c
    return h, [h, c]


# Layouts of weights ------------------------------------------------------------------------------------


def _layout(letters, peephole="", **more):
    """A kernel, a recurrent kernel and a bias for each gate, and more weights."""
    layout = {"kernel": letters, "recurrent_kernel": letters, "bias": letters}
    return layout | ({"peephole": peephole} if peephole else {}) | more


def _of_input(letters, **more):
    """A kernel and a bias for each gate."""
    return {"kernel": letters, "bias": letters, **more}


H = State()
HC = (State(), State())
GATE = State(draw=fractions)


def _gains(letters, *places, memory=False):
    """The gains and shifts of layer normalization."""
    blocks = {place: letters for place in places} | ({"memory": "c"} if memory else {})
    return {f"{place}_{name}": block for place, block in blocks.items() for name in ("gain", "shift")}


NORMALISATION = _gains("ifgo", "input", "recurrent", memory=True)
GATES_OF_GATES = [reader + source for reader in "ifo" for source in "ifo"]
PROJECTION = {"projection_kernel": "x"}


def _greff(name, letters="ifgo", peephole="ifo", step=lstm_peephole, **parts):
    run = (lambda w, x, states: step(w, x, states, **parts)) if parts else step
    return Reference(name, name, run, _layout(letters, peephole), HC)


def _normalized(name, step, layout, states=(H,)):
    """A published cell with layer normalization added."""
    spec = dataclasses.replace(gate_spec(name), layer_norm=True, name=f"{name}_ln")
    return Reference(spec.name, spec, step, layout, states)


def _published(name, step, layout, states=(H,)):
    return Reference(name, name, step, layout, states)


_REFERENCES = [
    _published("simple", simple, _layout("g")),
    _published("lstm", lstm, _layout("ifgo"), HC),
    _greff("lstm_peephole"),
    _greff("lstm_nig", "fgo", "fo", i=1),
    _greff("lstm_nfg", "igo", "io", f=1),
    _greff("lstm_nog", "ifg", "if", o=1),
    _greff("lstm_niaf", g=lambda a: a),
    _greff("lstm_noaf", show=lambda a: a),
    _greff("lstm_cifg", "igo", "io", lstm_cifg),
    _published(
        "lstm_fgr",
        lstm_fgr,
        _layout("ifgo", "ifo", gate_kernel=GATES_OF_GATES),
        (*HC, GATE, GATE, GATE),
    ),
    _published("lstm_ln", lstm_ln, _layout("ifgo", **NORMALISATION), HC),
    _published("gru", gru, _layout("frg")),
    _published("gru_reset_before", gru_reset_before, _layout("frg")),
    _published("mgu", mgu, _layout("ig")),
    _published("ugrnn", ugrnn, _layout("fg")),
    _published("janet", janet, _layout("fg")),
    _published("mut1", mut1, {"kernel": "ir", "recurrent_kernel": "rg", "bias": "irg"} | PROJECTION),
    _published("mut2", mut2, {"kernel": "ig", "recurrent_kernel": "irg", "bias": "irg"} | PROJECTION),
    _published("mut3", mut3, _layout("irg")),
    _published(
        "multiplicative_lstm",
        multiplicative_lstm,
        _layout("ifgo", modulation_kernel="m", modulation_recurrent_kernel="m"),
        HC,
    ),
    _published("slstm", slstm, _layout("ifgo"), (H, H, State(draw=positive), State(-3e4, normal))),
    _published("indrnn", indrnn, _of_input("g", peephole="g")),
    _published("sru", sru, {"kernel": "frg", "bias": "fr", "peephole": "fr"} | PROJECTION),
    _published("qrnn", qrnn, _of_input("fgo", previous_kernel="fgo"), (H, H, H, H)),
    _published("min_gru", min_gru, _of_input("ig")),
    _published("min_lstm", min_lstm, _of_input("ifg")),
    _published("rg_lru", rg_lru, _of_input("if", decay_logit="a") | PROJECTION),
    Reference(
        "coupled",
        GateSpec(
            name="coupled",
            forget="1 - input",
            input=Gate(),
            output=Gate(),
            separate_memory=True,
            output_activation="tanh",
        ),
        lstm_cifg_without_peepholes,
        _layout("igo"),
        HC,
    ),
    Reference("leaky", GateSpec(name="leaky", forget=0.75, input=0.25), leaky, _layout("g")),
    Reference(
        "state_gated",
        GateSpec(
            name="state_gated",
            candidate=Gate("tanh", reads="state"),
            forget=Gate(reads="state"),
            reset=Gate(reads="input"),
            output=Gate(reads="input"),
            separate_memory=True,
            reset_after=True,
        ),
        state_gated,
        {"kernel": "ro", "recurrent_kernel": "fg", "bias": "frgo"},
        HC,
    ),
]
REFERENCES = {reference.name: reference for reference in _REFERENCES}
"""Name -> reference, for every architecture in the tests of laws."""

# Separate, since finite differences cannot check them on every backend: normalizing a memory of few units
# magnifies errors, and Keras's mean and tanh on JAX have the errors of float32 also in float64.
NORMALISED = {
    reference.name: reference
    for reference in (
        _normalized(
            "lstm_fgr",
            lstm_fgr_ln,
            _layout("ifgo", "ifo", gate_kernel=GATES_OF_GATES, **NORMALISATION),
            (*HC, GATE, GATE, GATE),
        ),
        _normalized("gru", gru_ln, _layout("frg", **_gains("frg", "input", "recurrent"))),
        _normalized(
            "multiplicative_lstm",
            multiplicative_lstm_ln,
            _layout("ifgo", modulation_kernel="m", modulation_recurrent_kernel="m", **NORMALISATION),
            HC,
        ),
        _normalized(
            "qrnn",
            qrnn_ln,
            _of_input("fgo", previous_kernel="fgo", **_gains("fgo", "input", memory=True)),
            (H, H, H, H),
        ),
    )
}
"""Name -> reference, for published architectures with layer normalization."""

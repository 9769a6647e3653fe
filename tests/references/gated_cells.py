"""Gated cells in NumPy, each as its paper writes it, beside the spec that declares it.

The steps are written out from the equations and use nothing of the library; the layout of the weights is
spelled as letters (i input, f forget, r reset, g candidate, o output).
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from textrnn.cells import Gate, GateSpec, gate_spec


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


tanh = np.tanh


@dataclasses.dataclass(frozen=True)
class Weights:
    """By letter of the gate: input kernels W, recurrent kernels U, biases b and b2, peepholes p."""

    W: dict
    U: dict
    b: dict
    b2: dict
    p: dict

    def pre(self, gate, x, h=None, c=None):
        """Wx + Uh + p⊙c + b, of those terms that are there."""
        total = x @ self.W[gate] + self.b[gate]
        if h is not None:
            total = total + h @ self.U[gate]
        if c is not None:
            total = total + self.p[gate] * c
        return total


@dataclasses.dataclass(frozen=True)
class Reference:
    """A step `(w, x, states) -> (output, states)` in NumPy, and the layout of the weights it expects.

    The bias is laid out as the kernel unless said.
    """

    spec: GateSpec
    step: Callable
    kernel: str
    recurrent_kernel: str = ""
    peephole: str = ""
    states: int = 1
    bias: str = ""
    two_biases: bool = False

    def unpack(self, weights):
        """The arrays in the order of a cell's `get_weights()`, by gate."""
        weights = [np.asarray(w, "float64") for w in weights]
        blocks = lambda array, letters: dict(zip(letters, np.split(array, len(letters), -1), strict=True))  # noqa: E731
        W = blocks(weights.pop(0), self.kernel)
        U = blocks(weights.pop(0), self.recurrent_kernel) if self.recurrent_kernel else {}
        bias, letters = weights.pop(0), self.bias or self.kernel
        b = blocks(bias[0] if self.two_biases else bias, letters)
        b2 = blocks(bias[1], letters) if self.two_biases else {}
        p = blocks(weights.pop(0), self.peephole) if self.peephole else {}
        assert not weights
        return Weights(W, U, b, b2, p)

    def run(self, weights, x, states=None, mask=None):
        """X `(batch, time, features)` -> outputs `(batch, time, units)` and the last states.

        A masked step leaves the states alone and repeats the output before it, at first zeros.
        """
        w = self.unpack(weights)
        units = w.W[self.kernel[0]].shape[-1]
        if states is None:
            states = [np.zeros((len(x), units)) for _ in range(self.states)]
        outputs, output = [], np.zeros((len(x), units))
        for t in range(x.shape[1]):
            new_output, new_states = self.step(w, np.asarray(x[:, t], "float64"), states)
            valid = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
            output = np.where(valid, new_output, output)
            states = [np.where(valid, new, old) for new, old in zip(new_states, states, strict=True)]
            outputs.append(output)
        return np.stack(outputs, 1), states


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


def gru(w, x, states):
    (h,) = states
    z = sigmoid(x @ w.W["f"] + w.b["f"] + h @ w.U["f"] + w.b2["f"])
    r = sigmoid(x @ w.W["r"] + w.b["r"] + h @ w.U["r"] + w.b2["r"])
    candidate = tanh(x @ w.W["g"] + w.b["g"] + r * (h @ w.U["g"] + w.b2["g"]))
    h = z * h + (1 - z) * candidate
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


def indrnn(w, x, states):
    (h,) = states
    h = np.maximum(w.pre("g", x, c=h), 0)
    return h, [h]


def min_gru(w, x, states):
    (h,) = states
    z = sigmoid(w.pre("i", x))
    h = (1 - z) * h + z * w.pre("g", x)
    return h, [h]


def leaky(w, x, states):
    (h,) = states
    h = 0.75 * h + 0.25 * tanh(w.pre("g", x, h))
    return h, [h]


def state_gated(w, x, states):
    """No published cell: forget and candidate see only the state, reset and output only the input."""
    h, c = states
    f = sigmoid(h @ w.U["f"] + w.b["f"] + w.b2["f"])
    r = sigmoid(x @ w.W["r"] + w.b["r"] + w.b2["r"])
    o = sigmoid(x @ w.W["o"] + w.b["o"] + w.b2["o"])
    c = f * c + tanh(r * (h @ w.U["g"] + w.b2["g"]) + w.b["g"])
    h = o * c
    return h, [h, c]


GATES = Gate(reads=("input", "state", "memory"))
PEEPHOLE = dataclasses.replace(gate_spec("lstm"), name="", input=GATES, forget=GATES, output=GATES)


def _peephole(name, kernel="ifgo", step=lstm_peephole, peephole="ifo", **changes):
    spec = dataclasses.replace(PEEPHOLE, name=name, **changes)
    return Reference(spec, step, kernel, kernel, peephole, states=2)


_REFERENCES = [
    Reference(gate_spec("simple"), simple, "g", "g"),
    Reference(gate_spec("lstm"), lstm, "ifgo", "ifgo", states=2),
    Reference(gate_spec("gru"), gru, "frg", "frg", two_biases=True),
    Reference(
        dataclasses.replace(gate_spec("lstm"), name="coupled", forget="1 - input"),
        lstm_cifg_without_peepholes,
        "igo",
        "igo",
        states=2,
    ),
    _peephole("lstm_peephole"),
    _peephole("lstm_nig", "fgo", lambda w, x, s: lstm_peephole(w, x, s, i=1), "fo", input=1),
    _peephole("lstm_nfg", "igo", lambda w, x, s: lstm_peephole(w, x, s, f=1), "io", forget=1),
    _peephole("lstm_nog", "ifg", lambda w, x, s: lstm_peephole(w, x, s, o=1), "if", output=1),
    _peephole(
        "lstm_niaf", step=lambda w, x, s: lstm_peephole(w, x, s, g=lambda a: a), candidate=Gate("linear")
    ),
    _peephole(
        "lstm_noaf", step=lambda w, x, s: lstm_peephole(w, x, s, show=lambda a: a), output_activation="linear"
    ),
    _peephole("lstm_cifg", "igo", lstm_cifg, "io", forget="1 - input"),
    Reference(
        dataclasses.replace(gate_spec("gru"), name="gru_reset_before", reset_after=False),
        gru_reset_before,
        "frg",
        "frg",
    ),
    Reference(GateSpec(name="mgu", input=Gate(), forget="1 - input", reset="input"), mgu, "ig", "ig"),
    Reference(GateSpec(name="ugrnn", forget=Gate(), input="1 - forget"), ugrnn, "fg", "fg"),
    Reference(
        GateSpec(name="indrnn", candidate=Gate("relu", reads=("input", "memory"))), indrnn, "g", peephole="g"
    ),
    Reference(
        GateSpec(
            name="min_gru",
            candidate=Gate("linear", reads="input"),
            input=Gate(reads="input"),
            forget="1 - input",
        ),
        min_gru,
        "ig",
    ),
    Reference(GateSpec(name="leaky", forget=0.75, input=0.25), leaky, "g", "g"),
    Reference(
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
        kernel="ro",
        recurrent_kernel="fg",
        bias="frgo",
        two_biases=True,
        states=2,
    ),
]
REFERENCES = {reference.spec.name: reference for reference in _REFERENCES}
"""Name -> reference, for every architecture that a law is tested on."""

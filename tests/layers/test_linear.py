"""Linear recurrences equal their formula, forward and backward, one step at a time and in parallel."""

import keras
import numpy as np
import pytest
from builders.seeds import set_seed
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from references.gradients import TENSORFLOW, assert_close, compiled, value_and_gradients

from textrnn.cells import GatedCell, LinearCell
from textrnn.errors import InputError
from textrnn.layers import Recurrent, linear
from textrnn.layers.linear import linear_recurrence

pytestmark = pytest.mark.usefixtures("without_compilation")


def in_numpy(a, b, initial):
    steps = [initial]
    for a_t, b_t in zip(a, b, strict=True):
        steps.append(a_t * steps[-1] + b_t)
    return np.stack(steps[1:])


def gradients_in_numpy(a, b, initial, d):
    """By the chain rule, from the last step to the first."""
    before = np.concatenate([initial[None], in_numpy(a, b, initial)[:-1]])
    d_a, d_b, d_c = np.zeros_like(a), np.zeros_like(b), np.zeros_like(initial)
    for t in reversed(range(len(a))):
        d_b[t] = d_c + d[t]
        d_a[t], d_c = d_b[t] * before[t], d_b[t] * a[t]
    return d_a, d_b, d_c


def random_recurrence(time, batch=2, units=3):
    random = np.random.default_rng(time)
    a, b, d = random.uniform(0, 1, (time, batch, units)), *random.normal(size=(2, time, batch, units))
    return [x.astype("float32") for x in (a, b, random.normal(size=(batch, units)), d)]


@pytest.mark.parametrize("parallel", [False, True])
@settings(max_examples=6 if TENSORFLOW else 2)
@given(time=st.integers(1, 20))
def test_values_and_gradients_equal_the_formula(parallel, time):
    a, b, initial, d = random_recurrence(time)

    class Layer(keras.layers.Layer):
        def call(self, a, b, initial):
            return linear_recurrence(a, b, initial, parallel)

    inputs = {"a": a, "b": b, "initial": initial}
    layer = Layer()
    layer(**inputs)  # on JAX only a built layer can be differentiated
    values, gradients, _ = value_and_gradients(layer, inputs, lambda c: ops.sum(c * d))
    assert_close(values, in_numpy(a, b, initial))
    assert_close([gradients[name] for name in inputs], gradients_in_numpy(a, b, initial, d), 1e-4)


@pytest.mark.parametrize("name", ["min_gru", "min_lstm", "qrnn", "rg_lru"])
def test_a_linear_cell_gives_the_same_in_parallel(name, monkeypatch):
    """The parallel scan is what accelerators run."""
    cell = GatedCell(4, name)
    layer = Recurrent(cell, return_sequences=True, return_state=True)
    x = np.random.default_rng(0).normal(size=(3, 7, 2)).astype("float32")
    mask = np.array([[1] * 7, [0, 1, 1, 0, 1, 0, 0], [0] * 7], bool)
    one_by_one = layer(x, mask=mask)
    monkeypatch.setattr(linear, "has_accelerator", lambda: True)
    assert_close(layer(x, mask=mask), one_by_one)


def test_the_strategy_of_a_cell_is_derived_from_its_kind():
    def strategy(name, **options):
        layer = Recurrent(GatedCell(3, name), **options)
        layer.build((None, None, 2))
        return layer.resolved_strategy

    assert [strategy(name) for name in ("lstm", "sru", "qrnn")] == ["recompute", "recompute", "scan"]
    assert strategy("qrnn", strategy="loop") == strategy("qrnn", unroll=True) == "loop"
    assert Recurrent(keras.layers.LSTMCell(3)).resolved_strategy == "loop"
    with pytest.raises(InputError, match=r"kind S and a scan needs .*: use auto, loop or recompute"):
        strategy("lstm", strategy="scan")


def test_a_subclass_that_is_not_linear_is_not_scanned():
    class Squared(GatedCell):
        def step(self, projected, states, dot, weights):
            h = ops.tanh(states[0] * states[0] + projected[0])
            return h, [h]

    layer = Recurrent(Squared(3, "min_gru"))
    layer.build((None, None, 2))
    assert layer.resolved_strategy == "recompute"


def test_half_precision_accumulates_in_float32():
    """In bfloat16 the factor 0.999 would round to 1, and c would stop growing at 256."""
    cell = GatedCell(1, "min_gru", dtype="mixed_bfloat16")
    layer = Recurrent(cell)
    layer.build((None, None, 1))
    kernel, bias = np.zeros((1, 2)), np.array([-6.906755, 1024.0])  # σ = 0.001
    layer.set_weights([kernel, bias])
    with compiled():
        last = ops.convert_to_numpy(layer(np.ones((1, 400, 1), "float32"))).astype("float32").item()
    assert last == pytest.approx(1024 * (1 - 0.999**400), rel=0.02)


class Smoothed(LinearCell):
    """A custom linear cell with a weight that is no matrix and a delayed input."""

    delayed = (0,)

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    state_size = property(lambda self: [self.units, self.units])
    output_size = property(lambda self: self.units)

    def build(self, input_shape):
        self.rate = self.add_weight(shape=(self.units,), name="rate")

    def project_inputs(self, x):
        return (ops.cast(x, self.compute_dtype),)

    @property
    def elementwise_weights(self):
        return {"rate": ops.cast(self.rate, self.compute_dtype)}

    def coefficients(self, projected, weights):
        kept = ops.sigmoid(weights["rate"] + projected[0])
        return kept, (1 - kept) * projected[0]


@pytest.mark.parametrize("options", [{}, {"zoneout": 0.5}], ids=["plain", "zoneout"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_float16", 1e-2)])
def test_scan_and_loop_agree_for_a_custom_linear_cell(dtype, tolerance, options):
    x, outputs = np.random.normal(size=(3, 6, 4)).astype("float32"), []
    for strategy in ("loop", "scan"):
        set_seed(0)
        layer = Recurrent(Smoothed(4, dtype=dtype), return_sequences=True, strategy=strategy, **options)
        outputs.append(layer(x))
    assert_close(outputs[1], outputs[0], tolerance)


def test_a_cell_with_its_own_average_states_is_not_scanned():
    class Own(Smoothed):
        def average_states(self, old, new, rates):
            return new

    assert (Smoothed(3).kind, Own(3).kind) == ("P", "D")

"""The cells that are classes compute their equations, also for extreme numbers."""

import re

import keras
import numpy as np
import pytest
from keras import ops
from references.gated_cells import REFERENCES, qrnn_as_convolution, slstm_without_stabilizer
from references.gradients import assert_close, value_and_gradients

from textrnn.cells import GatedCell, describe
from textrnn.cells.min_lstm import MinLSTMCell
from textrnn.cells.rg_lru import RGLRUCell
from textrnn.cells.slstm import SLSTMCell
from textrnn.cells.sru import SRUCell
from textrnn.errors import InputError
from textrnn.layers import Recurrent
from textrnn.options import ModelOptions

BATCH, UNITS = 3, 6
CELLS = {"slstm": SLSTMCell, "sru": SRUCell, "min_lstm": MinLSTMCell, "rg_lru": RGLRUCell}

every_cell = pytest.mark.parametrize("name", CELLS)
widths = pytest.mark.parametrize("features", [4, UNITS])


def random_cell(cell, features=4, scale=0.7):
    """The cell, built, with random weights."""
    cell.build((None, features))
    cell.set_weights([np.random.normal(size=w.shape, scale=scale) for w in cell.get_weights()])
    return cell


def make_step(name, features=4):
    """The input and the states of one step."""
    rng = np.random.default_rng(1)
    states = REFERENCES[name].random_states(rng, BATCH, UNITS)
    return rng.normal(size=(BATCH, features)).astype("float32"), [s.astype("float32") for s in states]


def numpy(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


@widths
@every_cell
def test_a_step_equals_the_reference(name, features):
    reference, cell = REFERENCES[name], random_cell(CELLS[name](UNITS), features)
    assert [w.name for w in cell.weights] == reference.names(features, UNITS)
    x, states = make_step(name, features)
    expected = reference.step(reference.unpack(cell.get_weights()), x, states)
    assert_close(list(cell(x, states)), list(expected))


@pytest.mark.parametrize("num_heads", [2, 3, UNITS])
def test_heads_are_the_diagonal_blocks_of_the_recurrent_kernel(num_heads):
    reference, cell = REFERENCES["slstm"], random_cell(SLSTMCell(UNITS, num_heads=num_heads))
    size = UNITS // num_heads
    kernel, recurrent_kernel, bias = cell.get_weights()
    dense = np.zeros((UNITS, 4 * UNITS))
    for column in range(4 * UNITS):
        head = column % UNITS // size
        dense[head * size : (head + 1) * size, column] = recurrent_kernel[:, column]
    x, states = make_step("slstm")
    expected = reference.step(reference.unpack([kernel, dense, bias]), x, states)
    assert_close(list(cell(x, states)), list(expected))


def test_the_stabilizer_does_not_change_the_output():
    cell = random_cell(SLSTMCell(UNITS))
    x = np.random.normal(size=(BATCH, 7, 4)).astype("float32")
    expected = slstm_without_stabilizer(REFERENCES["slstm"].unpack(cell.get_weights()), x)
    assert_close(Recurrent(cell, return_sequences=True)(x), expected)


@every_cell
def test_projecting_a_sequence_equals_projecting_its_steps(name):
    cell = random_cell(CELLS[name](UNITS))
    x = np.random.normal(size=(5, BATCH, 4)).astype("float32")
    steps = [cell.project_inputs(step) for step in x]
    assert_close(list(cell.project_inputs(x)), [ops.stack(terms) for terms in zip(*steps, strict=True)])


@every_cell
def test_no_biases_equals_zero_biases(name):
    with_bias, without = random_cell(CELLS[name](UNITS)), CELLS[name](UNITS, use_bias=False)
    without.build((None, 4))
    with_bias.bias.assign(ops.zeros(with_bias.bias.shape))
    without.set_weights([w.numpy() for w in with_bias.weights if w.name != "bias"])
    x, states = make_step(name)
    assert_close(list(without(x, states)), list(with_bias(x, states)))


@pytest.mark.parametrize(("name", "kind"), [("slstm", "S"), ("sru", "D"), ("min_lstm", "P"), ("rg_lru", "P")])
def test_each_cell_has_its_kind(name, kind):
    cell = random_cell(CELLS[name](UNITS))
    assert cell.kind == kind
    assert bool(cell.recurrent_kernels) == (kind == "S")


@every_cell
def test_a_name_gives_an_instance_of_the_class(name):
    assert type(GatedCell(UNITS, name)) is CELLS[name]


@every_cell
def test_a_class_has_equations_and_a_source(name):
    cell = CELLS[name]
    assert all(re.fullmatch(r"\S+ₜ = .+", line) for line in cell.equations)
    assert cell.equations[-1].startswith("hₜ = ")
    assert re.search(r"\b20\d\d\b", cell.source)


OPTIONS = {
    "slstm": {"num_heads": 3, "recurrent_initializer": "glorot_normal", "recurrent_constraint": "unit_norm"},
    "sru": {"highway_bias": -2.0, "peephole_initializer": "zeros", "peephole_regularizer": "l1"},
    "min_lstm": {},
    "rg_lru": {},
}


@every_cell
def test_config_restores_every_argument(name):
    options = OPTIONS[name] | {
        "use_bias": True,
        "kernel_initializer": "he_normal",
        "kernel_regularizer": keras.regularizers.L1(0.5),
        "bias_initializer": "ones",
        "bias_constraint": "non_neg",
        "dtype": "float64",
        "name": "mine",
    }
    cell = CELLS[name](UNITS, **options)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(cell))
    assert type(copy) is CELLS[name]
    assert copy.get_config() == cell.get_config()
    assert set(options) < set(cell.get_config())
    assert copy.kernel_regularizer.l1 == 0.5 and copy.dtype_policy.name == "float64"


@every_cell
def test_regularizers_and_constraints_reach_the_weights(name):
    cell = CELLS[name](UNITS, kernel_regularizer="l2", bias_regularizer="l1", kernel_constraint="non_neg")
    cell.build((None, UNITS))
    assert len(cell.losses) == 2
    assert isinstance(cell.kernel.constraint, keras.constraints.NonNeg)


def test_cells_start_differently_and_a_seed_reproduces_them():
    for name, weight in (("sru", "peephole"), ("rg_lru", "decay_logit"), ("slstm", "recurrent_kernel")):
        starts = []
        for seed in (1, 1, 2):
            keras.utils.set_random_seed(seed)
            for _ in "ab":
                cell = CELLS[name](UNITS)
                cell.build((None, 4))
                starts.append(numpy(getattr(cell, weight)).tobytes())
        first, second, *again = starts
        assert first != second and again[:2] == [first, second] and again[2] != first


def test_each_recurrent_block_of_an_slstm_starts_orthogonal_and_different():
    cell = SLSTMCell(UNITS, num_heads=2)
    cell.build((None, 4))
    blocks = [numpy(kernel) for kernel in cell.recurrent_kernels.values()]
    assert len(blocks) == 4 * 2
    for index, block in enumerate(blocks):
        np.testing.assert_allclose(block @ block.T, np.eye(UNITS // 2), atol=1e-5)
        assert all(np.abs(block - other).max() > 0.01 for other in blocks[:index])


def test_forget_biases_of_an_slstm_start_at_3_to_6_in_each_head():
    cell = SLSTMCell(UNITS, num_heads=2, bias_initializer="ones", dtype="mixed_bfloat16")
    cell.build((None, 4))
    i, f, z, o = np.split(numpy(cell.bias), 4)
    np.testing.assert_allclose(f, [3, 4.5, 6, 3, 4.5, 6])
    np.testing.assert_array_equal([i, z, o], 1)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_the_initial_stabilizer_is_finite_and_has_no_effect(dtype):
    cell = random_cell(SLSTMCell(UNITS, dtype=dtype))
    states = cell.get_initial_state(BATCH)
    assert {keras.backend.standardize_dtype(s.dtype) for s in states} == {cell.compute_dtype}
    *zeros, m = (numpy(s) for s in states)
    assert not np.any(zeros)
    assert np.isfinite(m).all()
    _, (_, c, n, _) = cell(np.ones((BATCH, 4)), states)
    assert (numpy(n) == 1).all() and (np.abs(numpy(c)) <= 1).all()


def test_an_sru_is_initialized_as_in_its_authors_code():
    cell = SRUCell(2000, highway_bias=-3.0)
    cell.build((None, 12))
    kernel, bias, peephole, projection = cell.get_weights()
    for weight, limit in ((kernel, 0.5), (peephole, np.sqrt(1.5)), (projection, 0.5)):  # √(3/12)
        assert 0.99 * limit < weight.max() <= limit and -limit <= weight.min() < -0.99 * limit
    np.testing.assert_allclose(peephole.var(), 0.5, rtol=0.05)
    np.testing.assert_array_equal(bias, np.repeat([0.0, -3.0], 2000))


def test_the_highway_of_an_sru_is_scaled_by_its_initial_bias():
    cell = SRUCell(UNITS, highway_bias=1.0)
    cell.build((None, UNITS))
    x = np.random.normal(size=(BATCH, UNITS)).astype("float32")
    for bias in (1.0, -50.0):
        cell.bias.assign(np.full(2 * UNITS, bias))
        highway = cell.project_inputs(x)[3]
        np.testing.assert_allclose(numpy(highway), x * np.sqrt(1 + 2 * np.e), rtol=1e-5)


def test_the_decay_of_an_rg_lru_starts_uniform():
    cell = RGLRUCell(4000)
    cell.build((None, 4000 // 1000))
    decay = np.sort((1 / (1 + np.exp(-numpy(cell.decay_logit).astype("float64")))) ** 8)
    uniform = np.linspace(0.9, 0.999, 4000)
    # The Kolmogorov-Smirnov statistic, which exceeds 0.026 with probability 0.01.
    assert np.abs(decay - uniform).max() / (0.999 - 0.9) < 0.026
    assert decay[0] >= 0.9 - 1e-6 and decay[-1] <= 0.999 + 1e-6


@pytest.mark.some_cells
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
@every_cell
def test_extreme_inputs_give_finite_values_and_gradients(name, dtype):
    layer = Recurrent(CELLS[name](UNITS, dtype=dtype), return_sequences=True)
    layer.build((None, None, 4))
    x = np.random.choice([-1e3, 0.0, 1e3], size=(4, 6, 4)).astype("float32")
    mask = np.random.uniform(size=(4, 6)) < 0.7
    mask[-1] = False
    inputs = {"sequences": x}
    loss = lambda outputs: ops.mean(ops.cast(outputs, "float32"))  # noqa: E731
    results = value_and_gradients(layer, inputs, loss, mask=mask)
    for result in keras.tree.flatten(results):
        assert np.isfinite(np.asarray(result, "float64")).all()


@pytest.mark.parametrize("bias", [-1e3, 1e3])
@every_cell
def test_extreme_biases_give_finite_values_and_gradients(name, bias):
    cell = random_cell(CELLS[name](UNITS))
    cell.bias.assign(np.full(cell.bias.shape, bias))
    layer = Recurrent(cell, return_sequences=True, return_state=True)
    layer.build((None, None, 4))
    x = np.random.normal(size=(BATCH, 5, 4)).astype("float32")
    loss = lambda outputs: sum(ops.sum(output) for output in outputs)  # noqa: E731
    for result in keras.tree.flatten(value_and_gradients(layer, {"sequences": x}, loss)):
        assert np.isfinite(result).all()


def test_a_padded_row_keeps_the_initial_states_of_an_slstm():
    layer = Recurrent(random_cell(SLSTMCell(UNITS)), return_state=True)
    mask = np.array([[True, True], [False, False]])
    output, *states = layer(np.ones((2, 2, 4)), mask=mask)
    assert_close([s[1:] for s in states], layer.cell.get_initial_state(1), 0)
    assert not numpy(output)[1].any() and numpy(output)[0].any()


def test_two_closed_gates_of_a_min_lstm_weigh_equally():
    cell = random_cell(MinLSTMCell(UNITS))
    x, (h,) = make_step("min_lstm")
    cell.kernel.assign(np.zeros(cell.kernel.shape))
    cell.bias.assign(np.repeat([-500.0, -500.0, 2.0], UNITS))
    output, _ = cell(x, [h])
    np.testing.assert_allclose(numpy(output), (h + 2) / 2, rtol=1e-6)


def test_an_rg_lru_that_keeps_everything_writes_nothing():
    cell = random_cell(RGLRUCell(UNITS), UNITS)
    cell.kernel.assign(np.zeros(cell.kernel.shape))
    cell.bias.assign(np.repeat([0.0, -200.0], UNITS))  # σ(−200) is 0 in float32
    x, (h,) = make_step("rg_lru", UNITS)
    np.testing.assert_array_equal(numpy(cell(x, [h])[0]), h)


@pytest.mark.parametrize(("dtype", "error"), [("mixed_float16", 2e-3), ("mixed_bfloat16", 2e-2)])
def test_the_decay_of_an_rg_lru_is_accurate_in_half_precision(dtype, error):
    cell = random_cell(RGLRUCell(UNITS, dtype=dtype), scale=0.3)
    cell.decay_logit.assign(np.linspace(4, 9, UNITS))
    w = REFERENCES["rg_lru"].unpack(cell.get_weights())
    x = np.random.normal(size=(BATCH, 4))
    log_decay = numpy(cell.project_inputs(x)[0]).astype("float64")
    r = 1 / (1 + np.exp(-w.pre("f", x)))
    decay = (1 / (1 + np.exp(-w["decay_logit"]["a"]))) ** (8 * r)
    # Relative to 1 − a: in bfloat16 a itself would be 1.
    np.testing.assert_allclose(1 - np.exp(log_decay), 1 - decay, rtol=error)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
@every_cell
def test_mixed_precision_equals_float32_within_its_accuracy(name, dtype):
    exact, mixed = random_cell(CELLS[name](UNITS), scale=0.4), CELLS[name](UNITS, dtype=dtype)
    mixed.build((None, 4))
    mixed.set_weights(exact.get_weights())
    x = np.random.normal(size=(BATCH, 8, 4)).astype("float32")
    outputs = Recurrent(mixed, return_sequences=True)(x)
    assert keras.backend.standardize_dtype(outputs.dtype) == mixed.compute_dtype
    assert {keras.backend.standardize_dtype(w.dtype) for w in mixed.weights} == {"float32"}
    assert_close(ops.cast(outputs, "float32"), Recurrent(exact, return_sequences=True)(x), 0.05)


def test_a_qrnn_is_a_convolution_over_time():
    reference, cell = REFERENCES["qrnn"], random_cell(GatedCell(UNITS, "qrnn"))
    x = np.random.normal(size=(BATCH, 7, 4)).astype("float32")
    expected = qrnn_as_convolution(reference.unpack(cell.get_weights()), x)
    assert_close(reference.run(cell.get_weights(), x)[0], expected, 1e-12)
    assert_close(Recurrent(cell, return_sequences=True)(x), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SLSTMCell(6, num_heads=4), "units is 6, not a multiple of num_heads, which is 4"),
        (lambda: SLSTMCell(6, num_heads=0), "num_heads is 0: give a positive integer"),
        (lambda: SRUCell(0), "units is 0: give a positive integer"),
        (lambda: MinLSTMCell(2.5), "units is 2.5: give a positive integer"),
        (lambda: RGLRUCell(True), "units is True: give a positive integer"),
    ],
    ids=["units not divisible by heads", "no heads", "no units", "fractional units", "bool"],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_an_initializer_of_a_missing_weight_is_refused():
    with pytest.raises(ValueError, match="recurrent_initializer"):
        MinLSTMCell(UNITS, recurrent_initializer="zeros")


class Heads(SLSTMCell):
    """A cell whose units are a multiple of 8.

    hₜ = ...
    """

    equations = ("hₜ = ...",)

    def __init__(self, units, num_heads=8, **kwargs):
        super().__init__(units, num_heads, **kwargs)


def test_a_cell_may_take_only_multiples_of_a_number_as_units():
    reference = f"{__name__}:Heads"
    ModelOptions(cell=reference, units=16).check()
    with pytest.raises(InputError, match="units is 12, not a multiple of num_heads, which is 8"):
        ModelOptions(cell=reference, units=12).check()
    text = describe.sheet(reference)
    assert "no formula" in text and "with m = 128 features, n = 256 units" in text


class Averaged(GatedCell):
    """A linear cell that averages its states with zoneout in a way of its own."""

    def average_states(self, old, new, rates):
        return super().average_states(old, new, rates)


def test_a_cell_that_averages_states_in_its_own_way_is_not_run_as_a_scan():
    assert GatedCell(4, "min_gru").kind == "P"
    assert Averaged(4, "min_gru").kind == "D"

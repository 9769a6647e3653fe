"""A gated cell computes one step as its equations say, with the documented weights."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops
from references.gated_cells import NORMALISED, REFERENCES
from references.gradients import assert_close, value_and_gradients

from textrnn.cells import PUBLISHED, Gate, GatedCell, GateSpec, find_cell
from textrnn.errors import InputError
from textrnn.layers import Recurrent
from textrnn.layers.strategies import strategies_of

BATCH, FEATURES, UNITS = 3, 4, 5
STEPS = REFERENCES | NORMALISED
KERAS_CELLS = {
    "simple": keras.layers.SimpleRNNCell,
    "lstm": keras.layers.LSTMCell,
    "gru": keras.layers.GRUCell,
}


def random_cell(spec, **options):
    """A built cell with random weights, including biases."""
    cell = GatedCell(UNITS, spec, **options)
    cell.build((None, FEATURES))
    cell.set_weights([np.random.normal(size=w.shape, scale=0.7) for w in cell.get_weights()])
    return cell


def random_states(name):
    states = STEPS[name].random_states(np.random.default_rng(0), BATCH, UNITS)
    return [state.astype("float32") for state in states]


@pytest.mark.parametrize("name", STEPS)
def test_a_step_equals_the_reference(name):
    reference = STEPS[name]
    cell = random_cell(reference.cell)
    x, states = np.random.normal(size=(BATCH, FEATURES)).astype("float32"), random_states(name)
    output, new_states = cell(x, states)
    expected, expected_states = reference.step(reference.unpack(cell.get_weights()), x, states)
    assert_close([output, new_states], [expected, expected_states])


def test_weights_have_a_block_for_each_gate_that_uses_them():
    for name, reference in STEPS.items():
        for features in (FEATURES, UNITS):  # with and without a projection of the input
            cell = GatedCell(UNITS, reference.cell)
            cell.build((None, features))
            widths = {w.name: w.shape[-1] for w in cell.weights}
            names = reference.names(features, UNITS)
            assert widths == {name: UNITS * len(reference.layout[name]) for name in names}, name
        assert len(cell.state_size) == len(reference.states)


@pytest.mark.parametrize("name", KERAS_CELLS)
@pytest.mark.parametrize("use_bias", [True, False])
def test_weights_copy_to_and_from_keras(name, use_bias):
    ours, theirs = GatedCell(UNITS, name, use_bias=use_bias), KERAS_CELLS[name](UNITS, use_bias=use_bias)
    ours.build((None, FEATURES))
    theirs.build((None, FEATURES))
    assert [(w.name, w.shape) for w in ours.weights] == [(w.name, w.shape) for w in theirs.weights]
    x, states = np.ones((BATCH, FEATURES), "float32"), random_states(name)
    theirs.set_weights([np.random.normal(size=w.shape) for w in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())
    assert_close(ours(x, states), theirs(x, states))
    ours.set_weights([w + 0.1 for w in ours.get_weights()])
    theirs.set_weights(ours.get_weights())
    assert_close(ours(x, states), theirs(x, states))


@pytest.mark.parametrize("name", ["lstm", "gru", "state_gated"])
def test_projecting_a_sequence_equals_projecting_its_steps(name):
    cell = random_cell(REFERENCES[name].cell)
    x = np.random.normal(size=(6, BATCH, FEATURES)).astype("float32")
    whole = cell.project_inputs(ops.convert_to_tensor(x))
    steps = [cell.project_inputs(ops.convert_to_tensor(step)) for step in x]
    assert len(whole) == len(REFERENCES[name].layout["kernel"])
    assert_close(list(whole), [ops.stack(gate) for gate in zip(*steps, strict=True)])


@pytest.mark.parametrize("name", ["lstm", "gru", "state_gated", "lstm_peephole"])
def test_no_biases_equals_zero_biases(name):
    spec = REFERENCES[name].cell
    with_bias, without = random_cell(spec), GatedCell(UNITS, spec, use_bias=False)
    without.build((None, FEATURES))
    with_bias.bias.assign(ops.zeros(with_bias.bias.shape))
    without.set_weights([w.numpy() for w in with_bias.weights if w.name != "bias"])
    x, states = np.ones((BATCH, FEATURES), "float32"), random_states(name)
    assert_close(without(x, states), with_bias(x, states))


def test_the_recurrent_kernel_of_each_gate_starts_orthogonal_and_different():
    for initializer in ("orthogonal", keras.initializers.Orthogonal(seed=1)):
        cell = GatedCell(UNITS, "lstm", recurrent_initializer=initializer)
        cell.build((None, FEATURES))
        kernels = [ops.convert_to_numpy(kernel) for kernel in cell.recurrent_kernels.values()]
        for index, kernel in enumerate(kernels):
            np.testing.assert_allclose(kernel.T @ kernel, np.eye(UNITS), atol=1e-5)
            for other in kernels[:index]:
                assert np.abs(kernel - other).max() > 0.1


def test_a_seeded_initializer_gives_equal_cells():
    weights = []
    for _ in range(2):
        cell = GatedCell(UNITS, "gru", recurrent_initializer=keras.initializers.Orthogonal(seed=7))
        cell.build((None, FEATURES))
        weights.append(ops.convert_to_numpy(cell.recurrent_kernel))
    np.testing.assert_array_equal(*weights)


def test_initializers_without_a_seed_initialize_every_gate():
    generator = keras.initializers.RandomNormal(seed=keras.random.SeedGenerator(3))
    for initializer, distinct in (
        ("zeros", 1),
        (ops.ones, 1),
        (generator, 3),
    ):
        cell = GatedCell(UNITS, "gru", recurrent_initializer=initializer)
        cell.build((None, FEATURES))
        blocks = np.split(ops.convert_to_numpy(cell.recurrent_kernel), 3, axis=-1)
        assert len({block.tobytes() for block in blocks}) == distinct


@pytest.mark.parametrize(
    ("name", "gates"),
    [("simple", "g"), ("lstm", "ifgo"), ("gru", "frg"), ("coupled", "igo"), ("state_gated", "frgo")],
)
def test_the_forget_gate_of_a_separate_memory_starts_open(name, gates):
    for unit_forget_bias in (True, False):
        cell = GatedCell(2, REFERENCES[name].cell, unit_forget_bias=unit_forget_bias)
        cell.build((None, FEATURES))
        bias = ops.convert_to_numpy(cell.bias)
        opens = unit_forget_bias and len(REFERENCES[name].states) == 2
        expected = [float(opens and gate == "f") for gate in gates for _ in range(2)]
        np.testing.assert_array_equal(bias.reshape(-1, bias.shape[-1])[0], expected)
        assert bias.sum() == sum(expected)


def test_config_restores_every_argument():
    options = dict(
        use_bias=True,
        unit_forget_bias=False,
        kernel_initializer="he_normal",
        recurrent_initializer="glorot_normal",
        bias_initializer="ones",
        peephole_initializer="zeros",
        kernel_regularizer="l2",
        recurrent_regularizer=keras.regularizers.L1(0.5),
        bias_regularizer="l1",
        kernel_constraint="max_norm",
        recurrent_constraint="unit_norm",
        bias_constraint="non_neg",
        dtype="float64",
        name="mine",
    )
    cell = GatedCell(UNITS, "lstm_peephole", **options)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(cell))
    assert isinstance(copy, GatedCell)
    assert copy.get_config() == cell.get_config()
    assert copy.spec == cell.spec
    others = {"units", "spec", "trainable", "chrono", "peephole_regularizer", "peephole_constraint"}
    assert set(options) | others == set(cell.get_config())


def test_regularizers_and_constraints_reach_the_weights():
    cell = GatedCell(
        2, "lstm", kernel_regularizer="l2", recurrent_constraint="non_neg", bias_regularizer="l1"
    )
    cell.build((None, 3))
    assert len(cell.losses) == 2
    assert cell.recurrent_kernel.constraint is not None


def test_states_start_at_zero_in_the_compute_dtype():
    states = GatedCell(UNITS, "lstm", dtype="mixed_bfloat16").get_initial_state(batch_size=BATCH)
    assert [s.shape for s in states] == [(BATCH, UNITS)] * 2
    assert {keras.backend.standardize_dtype(s.dtype) for s in states} == {"bfloat16"}
    assert not np.any([ops.convert_to_numpy(ops.cast(s, "float32")) for s in states])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, "lstm"), "units is 0: give a positive integer"),
        ((2.5, "lstm"), "units is 2.5: give a positive integer"),
        ((4, "lstn"), "no cell called 'lstn'; did you mean lstm"),
        ((4, None), "spec is None: give a GateSpec, a subclass of textrnn.Cell, or the name of one"),
        ((4, "simple", True, 8), "chrono initializes .* simple learns neither: remove chrono"),
        ((4, "lstm", True, 2), "chrono is 2: give the number of steps .* at least 3"),
        (
            (4, GateSpec(input=Gate(), forget="input"), True, 8),
            "in custom the forget gate is tied .*: remove chrono, or tie forget to '1 - input'",
        ),
        (
            (4, GateSpec(input=Gate(), forget="1 - reset", reset="1 - input"), True, 8),
            "in custom the forget gate is tied to it",
        ),
        (
            (4, GateSpec(forget=Gate("hard_sigmoid")), True, 8),
            "chrono needs sigmoid gates, but the activation of forget in custom is 'hard_sigmoid'",
        ),
        ((8, "slstm", True, 20), "the cell SLSTMCell has no argument chrono: remove it"),
        ((8, "min_lstm", False), "the cell MinLSTMCell has no argument unit_forget_bias: remove it"),
        ((4, GateSpec(candidate=Gate("glu"))), "custom uses the activation 'glu', which changes the shape"),
        ((4, GateSpec(candidate=Gate("threshold"))), "'threshold', which .*: use an elementwise one"),
        ((4, GateSpec(candidate=Gate("tanh", ("input", "glu(state)")))), "uses the activation 'glu'"),
        ((4, replace(PUBLISHED["lstm"], output_activation="glu")), "lstm uses the activation 'glu'"),
    ],
    ids=range(15),
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        GatedCell(*arguments)


def test_chrono_without_biases_is_refused():
    with pytest.raises(InputError, match="use_bias is False: remove one of the two"):
        GatedCell(4, "lstm", chrono=10, use_bias=False)


def test_a_class_accepts_the_defaults_of_arguments_that_it_lacks():
    assert type(GatedCell(8, "slstm", True, None)) is find_cell("slstm")
    assert type(GatedCell(units=8, spec="slstm", chrono=None)) is find_cell("slstm")
    with pytest.raises(InputError, match="SLSTMCell has no argument chrono"):
        GatedCell(8, spec="slstm", chrono=20)


def test_a_subclass_by_name_accepts_the_arguments_of_a_gated_cell():
    cell = GatedCell(8, Squared, False, 20, use_bias=True, name="mine")
    assert (type(cell), cell.unit_forget_bias, cell.chrono, cell.name) == (Squared, False, 20, "mine")


class Squared(GatedCell):
    """h = tanh(h² + Wx): elementwise, but not linear in the state."""

    def step(self, projected, states, dot, weights):
        """One step."""
        h = ops.tanh(states[0] * states[0] + projected[0])
        return h, [h]


class Renamed(GatedCell):
    """The step of the spec."""


def test_a_custom_step_has_its_own_kind():
    for cell, spec, kind in (
        (GatedCell, "min_gru", "P"),
        (Renamed, "min_gru", "P"),
        (Squared, "min_gru", "D"),
        (Squared, "indrnn", "D"),
        (Squared, "lstm", "S"),
    ):
        made = cell(UNITS, spec)
        assert made.kind == kind
        made.build((None, FEATURES))
        assert made.kind == kind


def test_a_spec_is_declared_in_one_line():
    cell = GatedCell(UNITS, GateSpec(forget=Gate("hard_sigmoid"), input="1 - forget"))
    output, _ = cell(np.ones((BATCH, FEATURES)), cell.get_initial_state(BATCH))
    assert output.shape == (BATCH, UNITS)


def test_the_name_of_a_class_gives_an_instance_that_can_be_saved():
    cell = GatedCell(UNITS, "slstm", num_heads=5, name="mine")
    assert (type(cell), cell.num_heads, cell.name) == (find_cell("slstm"), 5, "mine")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(cell))
    assert copy.get_config() == cell.get_config()


def normalized(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def test_layer_normalization_is_over_all_gates_but_a_reset_candidate():
    """The GRU of Ba et al. 2016 with gains of 1 and shifts of 0."""
    cell = GatedCell(UNITS, replace(PUBLISHED["gru_reset_before"], layer_norm=True))
    cell.build((None, FEATURES))
    x, h = np.random.normal(size=(BATCH, FEATURES)), np.random.normal(size=(BATCH, UNITS))
    kernel, recurrent_kernel = (ops.convert_to_numpy(w) for w in (cell.kernel, cell.recurrent_kernel))
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    of_input = np.split(normalized(x @ kernel), 3, axis=-1)  # forget, reset, candidate
    of_state = np.split(normalized(h @ recurrent_kernel[:, : 2 * UNITS]), 2, axis=-1)
    z, r = (sigmoid(a + b) for a, b in zip(of_input, of_state, strict=False))
    candidate = np.tanh(of_input[2] + normalized((r * h) @ recurrent_kernel[:, 2 * UNITS :]))
    output, _ = cell(x.astype("float32"), [h.astype("float32")])
    assert_close(output, z * h + (1 - z) * candidate)


# One of each structure; `NORMALISED` has four more, with values.
@pytest.mark.parametrize(
    "name", ["simple", "lstm_peephole", "mgu", "janet", "mut1", "mut3", "indrnn", "min_gru"]
)
def test_any_spec_can_be_layer_normalized(name):
    spec = replace(PUBLISHED[name], layer_norm=True)
    cell = GatedCell(UNITS, spec)
    states = [ops.cast(state, "float32") for state in cell.get_initial_state(BATCH)]
    x = np.random.normal(size=(BATCH, FEATURES)).astype("float32")
    output, _ = cell(x, states)
    scaled, _ = cell(x * 100, states)
    assert np.isfinite(ops.convert_to_numpy(output)).all()
    if not spec.reading("raw input"):
        assert_close(scaled, output, 1e-3)  # what is normalized does not depend on the scale


@pytest.mark.parametrize("name", NORMALISED)
def test_layer_normalized_cells_run_and_train_with_every_strategy(name):
    cell = random_cell(NORMALISED[name].cell)
    x = np.random.normal(size=(BATCH, 4, FEATURES)).astype("float32")
    by_strategy = []
    for strategy in strategies_of(cell.kind):
        layer = Recurrent(cell, return_sequences=True, strategy=strategy)
        layer.build(x.shape)
        assert_close(layer(x), NORMALISED[name].run(cell.get_weights(), x)[0], 1e-4)
        loss = lambda outputs: ops.sum(outputs * outputs * np.arange(1.0, UNITS + 1))  # noqa: E731
        by_strategy.append(value_and_gradients(layer, {"sequences": x}, loss)[1:])
    first, *others = by_strategy
    for other in others:
        assert_close(keras.tree.flatten(other), keras.tree.flatten(first), 1e-3)


def test_a_normalized_convolution_does_not_depend_on_the_scale_of_the_input():
    """W·x(t) + V·x(t−1) is normalized as a whole."""
    cell = random_cell(replace(PUBLISHED["qrnn"], layer_norm=True))
    x = np.random.normal(size=(2, BATCH, FEATURES)).astype("float32")
    outputs = []
    for scale in (100, 10000):
        states = cell.get_initial_state(BATCH)
        for step in x:
            output, states = cell(scale * step, states)
        outputs.append(output)
    assert_close(*outputs, 1e-3)


def test_raw_input_and_biases_are_added_after_a_convolution_is_normalized():
    spec = GateSpec(
        candidate=Gate("tanh", ("input", "previous input", "raw input")),
        forget=Gate(reads=("previous input", "raw input")),
        input=Gate(reads="input"),
        layer_norm=True,
    )
    cell = GatedCell(UNITS, spec)
    cell.build((None, UNITS))
    cell.bias.assign(np.random.normal(size=3 * UNITS))
    x, old = np.random.normal(size=(2, BATCH, UNITS))
    h = np.random.normal(size=(BATCH, UNITS))
    previous = old @ ops.convert_to_numpy(cell.previous_kernel)  # forget, candidate
    product = x @ ops.convert_to_numpy(cell.kernel)  # input, candidate
    i, f, g = np.split(  # in the order of the weights
        normalized(
            np.concatenate(
                [
                    product[:, :UNITS],
                    previous[:, :UNITS],
                    product[:, UNITS:] + previous[:, UNITS:],
                ],
                axis=-1,
            )
        )
        + ops.convert_to_numpy(cell.bias),
        3,
        axis=-1,
    )
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    expected = sigmoid(f + x) * h + sigmoid(i) * np.tanh(g + x)
    states = [s.astype("float32") for s in (h, previous[:, :UNITS], previous[:, UNITS:])]
    assert spec.states == ("state", "previous/forget", "previous/candidate")
    assert_close(cell(x.astype("float32"), states)[0], expected)


@pytest.mark.parametrize("name", ["lstm", "gru", "mgu"])
def test_chrono_biases_are_log_uniform(name):
    """Tallec & Ollivier 2018: b_f ~ log U(1, T − 1) and b_i = −b_f."""
    cell = GatedCell(2000, name, chrono=100, recurrent_initializer="zeros")
    cell.build((None, 1))
    bias = ops.convert_to_numpy(cell.bias)
    blocks = dict(
        zip(cell.spec.learned, np.split(np.atleast_2d(bias)[0], len(cell.spec.learned)), strict=True)
    )
    keep = blocks["forget"] if name != "mgu" else -blocks["input"]
    span = np.exp(keep)
    assert span.min() >= 1 - 1e-5 and span.max() <= 99 + 1e-3
    # Uniform on [1, 99]: mean 50, standard deviation 98/√12. Five standard errors.
    assert abs(span.mean() - 50) < 5 * 98 / np.sqrt(12 * 2000)
    assert abs(np.quantile(span, 0.25) - 25.5) < 5 * 98 * np.sqrt(0.25 * 0.75 / 2000)
    if name == "lstm":
        np.testing.assert_allclose(blocks["input"], -blocks["forget"])
    others = [block for role, block in blocks.items() if role not in ("forget", "input")]
    assert not np.any(others)


def test_the_peephole_of_a_candidate_starts_uniform_and_those_of_gates_centred():
    for name, low, mean in (("indrnn", 0.0, 0.5), ("lstm_peephole", -1.0, 0.0)):
        options = {} if name == "indrnn" else {"recurrent_initializer": "zeros"}
        cell = GatedCell(2000, name, **options)
        cell.build((None, 1))
        peephole = ops.convert_to_numpy(cell.peephole)
        assert peephole.min() >= low and peephole.max() <= 1
        assert abs(peephole.mean() - mean) < 5 * peephole.std() / np.sqrt(peephole.size)

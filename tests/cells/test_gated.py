"""A gated cell computes one step as its equation says, from weights laid out as documented."""

import keras
import numpy as np
import pytest
from keras import ops
from references.gated_cells import REFERENCES
from references.gradients import assert_close

from textrnn.cells import Gate, GatedCell, GateSpec
from textrnn.errors import InputError

BATCH, FEATURES, UNITS = 3, 4, 5
KERAS_CELLS = {
    "simple": keras.layers.SimpleRNNCell,
    "lstm": keras.layers.LSTMCell,
    "gru": keras.layers.GRUCell,
}


def random_cell(spec, **options):
    """A built cell all of whose weights, biases too, are random."""
    cell = GatedCell(UNITS, spec, **options)
    cell.build((None, FEATURES))
    cell.set_weights([np.random.normal(size=w.shape, scale=0.7) for w in cell.get_weights()])
    return cell


def random_states(cell):
    return [np.random.normal(size=(BATCH, size)).astype("float32") for size in cell.state_size]


@pytest.mark.parametrize("name", REFERENCES)
def test_a_step_is_the_equation(name):
    reference = REFERENCES[name]
    cell = random_cell(reference.spec)
    x, states = np.random.normal(size=(BATCH, FEATURES)).astype("float32"), random_states(cell)
    output, new_states = cell(x, states)
    expected, expected_states = reference.step(reference.unpack(cell.get_weights()), x, states)
    assert_close([output, new_states], [expected, expected_states])


@pytest.mark.parametrize("name", REFERENCES)
def test_weights_have_a_block_for_each_gate_that_uses_them(name):
    reference, cell = REFERENCES[name], random_cell(REFERENCES[name].spec)
    biases = UNITS * len(reference.bias or reference.kernel)
    expected = {
        "kernel": (FEATURES, UNITS * len(reference.kernel)),
        "recurrent_kernel": (UNITS, UNITS * len(reference.recurrent_kernel)),
        "bias": (2, biases) if reference.two_biases else (biases,),
        "peephole": (UNITS * len(reference.peephole),),
    }
    assert {w.name: w.shape for w in cell.weights} == {k: v for k, v in expected.items() if v[-1]}
    assert [k.shape for k in cell.recurrent_kernels.values()] == [(UNITS, UNITS)] * len(
        reference.recurrent_kernel
    )
    assert len(cell.state_size) == reference.states


@pytest.mark.parametrize("name", KERAS_CELLS)
@pytest.mark.parametrize("use_bias", [True, False])
def test_weights_copy_to_and_from_keras(name, use_bias):
    ours, theirs = GatedCell(UNITS, name, use_bias=use_bias), KERAS_CELLS[name](UNITS, use_bias=use_bias)
    ours.build((None, FEATURES))
    theirs.build((None, FEATURES))
    assert [(w.name, w.shape) for w in ours.weights] == [(w.name, w.shape) for w in theirs.weights]
    x, states = np.ones((BATCH, FEATURES), "float32"), random_states(ours)
    theirs.set_weights([np.random.normal(size=w.shape) for w in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())
    assert_close(ours(x, states), theirs(x, states))
    ours.set_weights([w + 0.1 for w in ours.get_weights()])
    theirs.set_weights(ours.get_weights())
    assert_close(ours(x, states), theirs(x, states))


@pytest.mark.parametrize("name", ["lstm", "gru", "state_gated"])
def test_inputs_project_alike_step_by_step_and_as_a_sequence(name):
    cell = random_cell(REFERENCES[name].spec)
    x = np.random.normal(size=(6, BATCH, FEATURES)).astype("float32")
    whole = cell.project_inputs(ops.convert_to_tensor(x))
    steps = [cell.project_inputs(ops.convert_to_tensor(step)) for step in x]
    assert len(whole) == len(REFERENCES[name].kernel)
    assert_close(list(whole), [ops.stack(gate) for gate in zip(*steps, strict=True)])


@pytest.mark.parametrize("name", ["lstm", "gru", "state_gated", "lstm_peephole"])
def test_without_biases_a_cell_computes_as_with_zeros(name):
    spec = REFERENCES[name].spec
    with_bias, without = random_cell(spec), GatedCell(UNITS, spec, use_bias=False)
    without.build((None, FEATURES))
    with_bias.bias.assign(ops.zeros(with_bias.bias.shape))
    without.set_weights([w.numpy() for w in with_bias.weights if w.name != "bias"])
    x, states = np.ones((BATCH, FEATURES), "float32"), random_states(without)
    assert_close(without(x, states), with_bias(x, states))


def test_recurrent_kernels_start_orthogonal_and_different_for_each_gate():
    for initializer in ("orthogonal", keras.initializers.Orthogonal(seed=1)):
        cell = GatedCell(UNITS, "lstm", recurrent_initializer=initializer)
        cell.build((None, FEATURES))
        kernels = [ops.convert_to_numpy(kernel) for kernel in cell.recurrent_kernels.values()]
        for index, kernel in enumerate(kernels):
            np.testing.assert_allclose(kernel.T @ kernel, np.eye(UNITS), atol=1e-5)
            for other in kernels[:index]:
                assert np.abs(kernel - other).max() > 0.1


def test_a_seeded_initializer_makes_equal_cells():
    weights = []
    for _ in range(2):
        cell = GatedCell(UNITS, "gru", recurrent_initializer=keras.initializers.Orthogonal(seed=7))
        cell.build((None, FEATURES))
        weights.append(ops.convert_to_numpy(cell.recurrent_kernel))
    np.testing.assert_array_equal(*weights)


def test_initializers_without_a_seed_fill_every_gate():
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
def test_a_learned_forget_gate_over_a_separate_memory_starts_open(name, gates):
    for unit_forget_bias in (True, False):
        cell = GatedCell(2, REFERENCES[name].spec, unit_forget_bias=unit_forget_bias)
        cell.build((None, FEATURES))
        bias = ops.convert_to_numpy(cell.bias)
        opens = unit_forget_bias and REFERENCES[name].states == 2
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
    cell = GatedCell(UNITS, REFERENCES["lstm_peephole"].spec, **options)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(cell))
    assert isinstance(copy, GatedCell)
    assert copy.get_config() == cell.get_config()
    assert copy.spec == cell.spec
    assert set(options) | {"units", "spec", "trainable"} == set(cell.get_config())


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
        ((0, "lstm"), "units is 0: give a positive whole number"),
        ((2.5, "lstm"), "units is 2.5: give a positive whole number"),
        ((4, "lstn"), "no cell called 'lstn': use one of simple, lstm, gru"),
        ((4, None), "spec is None: give a GateSpec or the name of one"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        GatedCell(*arguments)


def test_a_cell_of_one_s_own_spec_is_declared_in_a_line():
    cell = GatedCell(UNITS, GateSpec(forget=Gate("hard_sigmoid"), input="1 - forget"))
    output, _ = cell(np.ones((BATCH, FEATURES)), cell.get_initial_state(BATCH))
    assert output.shape == (BATCH, UNITS)

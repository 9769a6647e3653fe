"""A spec is one list of assignments, which is printed as equations and run as a step."""

import keras
import numpy as np
import pytest
from references.gated_cells import NORMALISED, REFERENCES, sigmoid
from references.gradients import assert_close

from textrnn.cells import Gate, GatedCell, GateSpec, describe, find_cell
from textrnn.cells.assignments import assignments, projections, step_weights, weight_blocks
from textrnn.cells.gate import COMMON_ACTIVATIONS

ALL = REFERENCES | NORMALISED
SPECS = {name: spec for name, r in ALL.items() if isinstance(spec := find_cell(r.cell), GateSpec)}
FEATURES, UNITS = 4, 5


@pytest.mark.parametrize("name", SPECS)
def test_the_assignments_list_the_weights_and_projections_of_the_cell(name):
    spec = SPECS[name]
    cell = GatedCell(UNITS, spec)
    cell.build((None, FEATURES))
    layout = {name: len(blocks) for name, blocks in ALL[name].layout.items()}
    blocks = {name: len(blocks) for name, blocks in weight_blocks(spec).items()}
    recurrent_bias = blocks.pop("recurrent_bias", 0)
    assert blocks == layout
    assert [weight.name for weight in cell.weights] == list(blocks)
    assert cell.bias.shape == ((2,) if recurrent_bias else ()) + (UNITS * blocks["bias"],)
    assert len(cell.project_inputs(np.ones((1, FEATURES), "float32"))) == len(projections(spec))
    assert list(cell.elementwise_weights) == [weight.key for weight in step_weights(spec)]


def test_without_biases_the_assignments_have_none():
    assert "bias" not in weight_blocks(SPECS["gru"], use_bias=False)
    assert str(assignments(SPECS["gru"], use_bias=False)[2]) == "gₜ = tanh(W_g xₜ + rₜ ⊙ (U_g hₜ₋₁))"


def test_two_shifted_pre_activations_have_different_names():
    spec = GateSpec(
        forget=Gate(reads="input"),
        input="1 - forget(s - 1)",
        reset=Gate(reads="input"),
        output="reset(s + 0.5)",
        separate_memory=True,
    )
    assert describe.equations(spec) == (
        "sₜ = W_f xₜ + b_f",
        "fₜ = σ(sₜ)",
        "s′ₜ = W_r xₜ + b_r",
        "rₜ = σ(s′ₜ)",
        "gₜ = tanh(W_g xₜ + U_g (rₜ ⊙ hₜ₋₁) + b_g)",
        "cₜ = fₜ ⊙ cₜ₋₁ + (1 − σ(sₜ − 1)) ⊙ gₜ",
        "hₜ = σ(s′ₜ + 0.5) ⊙ cₜ",
    )
    cell = GatedCell(UNITS, spec)
    cell.build((None, FEATURES))
    random = np.random.default_rng(0)
    weights = [random.normal(size=w.shape) for w in cell.get_weights()]
    cell.set_weights(weights)
    x, h, c = (random.normal(size=(2, size)) for size in (FEATURES, UNITS, UNITS))
    kernel, recurrent_kernel, bias = weights
    f, r, g = np.split(x @ kernel + bias, 3, axis=-1)
    g = np.tanh(g + (sigmoid(r) * h) @ recurrent_kernel)
    c_new = sigmoid(f) * c + (1 - sigmoid(f - 1)) * g
    output, _ = cell(x.astype("float32"), [h.astype("float32"), c.astype("float32")])
    assert_close(output, sigmoid(r + 0.5) * c_new)


def test_numbers_are_factors_and_zeros_are_left_out():
    spec = GateSpec(forget=0.0, input=0.5, reset=0.25)
    assert describe.equations(spec) == (
        "gₜ = tanh(W xₜ + U (0.25 hₜ₋₁) + b)",
        "hₜ = 0.5 gₜ",
    )


def test_the_common_activations_are_elementwise_activations_of_keras():
    x = np.linspace(-2, 2, 8, dtype="float32")
    for name in COMMON_ACTIVATIONS:
        activation = keras.activations.get(name)
        one_by_one = keras.ops.concatenate([activation(x[i : i + 1]) for i in range(8)])
        assert_close(keras.ops.reshape(activation(x.reshape(2, 4)), -1), one_by_one)

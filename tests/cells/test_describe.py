"""What is said of a cell follows from its declaration, and agrees with what it computes."""

from pathlib import Path

import numpy as np
import pytest
from references.gated_cells import REFERENCES

from textrnn.cells import PUBLISHED, Gate, GatedCell, GateSpec, cell_names, describe, find_cell

ROOT = Path(__file__).parents[2]


def test_the_reference_page_is_that_of_these_declarations():
    written = (ROOT / "docs" / "cells.md").read_text(encoding="utf-8")
    assert written == describe.page(), "docs/cells.md is not of today: make docs"


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_cell_says_its_equations_and_its_paper(name):
    lines = describe.equations(find_cell(name))
    assert any(line.startswith("hₜ = ") for line in lines)
    assert all(" = " in line for line in lines)
    sheet = describe.sheet(name)
    assert all(line in sheet for line in lines)
    assert find_cell(name).source in " ".join(sheet.split())
    assert name in describe.table()


# Written by hand from the papers, in the letters of this project.
BY_HAND = {
    "simple": ["hₜ = tanh(W xₜ + U hₜ₋₁ + b)"],
    "lstm_nog": [
        "iₜ = σ(W_i xₜ + U_i hₜ₋₁ + p_i ⊙ cₜ₋₁ + b_i)",
        "fₜ = σ(W_f xₜ + U_f hₜ₋₁ + p_f ⊙ cₜ₋₁ + b_f)",
        "gₜ = tanh(W_g xₜ + U_g hₜ₋₁ + b_g)",
        "cₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ",
        "hₜ = tanh(cₜ)",
    ],
    "gru": [
        "fₜ = σ(W_f xₜ + U_f hₜ₋₁ + b_f)",
        "rₜ = σ(W_r xₜ + U_r hₜ₋₁ + b_r)",
        "gₜ = tanh(W_g xₜ + rₜ ⊙ (U_g hₜ₋₁ + b′_g) + b_g)",
        "hₜ = fₜ ⊙ hₜ₋₁ + (1 − fₜ) ⊙ gₜ",
    ],
    "mut1": [
        "iₜ = σ(W_i xₜ + b_i)",
        "rₜ = σ(W_r xₜ + U_r hₜ₋₁ + b_r)",
        "gₜ = tanh(tanh(xₜ) + U_g (rₜ ⊙ hₜ₋₁) + b_g)",
        "hₜ = (1 − iₜ) ⊙ hₜ₋₁ + iₜ ⊙ gₜ",
    ],
    "janet": [
        "sₜ = W_f xₜ + U_f hₜ₋₁ + b_f",
        "fₜ = σ(sₜ)",
        "gₜ = tanh(W_g xₜ + U_g hₜ₋₁ + b_g)",
        "hₜ = fₜ ⊙ hₜ₋₁ + (1 − σ(sₜ − 1)) ⊙ gₜ",
    ],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_equations_are_those_of_the_paper(name):
    assert list(describe.equations(find_cell(name))) == BY_HAND[name]


def test_the_order_of_equations_is_one_in_which_they_can_be_computed():
    lines = describe.equations(find_cell("lstm_peephole"))
    assert [line[0] for line in lines] == list("ifgcoh")
    assert "p_o ⊙ cₜ " in lines[4]


@pytest.mark.parametrize("name", cell_names())
def test_parameters_are_what_a_cell_has(name):
    m, n = 6, 10
    formula = describe.parameters(find_cell(name)).replace("n²", "*n*n").replace("mn", "*m*n")
    formula = " + ".join(term if "*" in term else term.replace("n", "*n") for term in formula.split(" + "))
    terms = [term.lstrip("*") for term in formula.split(" + ")]
    count = sum(np.prod([{"m": m, "n": n}.get(f) or int(f) for f in t.split("*") if f]) for t in terms)
    cell = GatedCell(n, name)
    cell.build((None, m))
    assert count == cell.count_params()
    assert describe.count_parameters(find_cell(name), m, n) == count


@pytest.mark.parametrize("name", REFERENCES)
def test_the_kind_is_how_states_depend_on_states(name):
    """By differences of the independent reference: S mixes units, D does not, P is linear too."""
    reference, units = REFERENCES[name], 3
    cell = GatedCell(units, reference.cell)
    cell.build((None, 4))
    random = np.random.default_rng(0)
    weights = reference.unpack([random.normal(size=w.shape) for w in cell.get_weights()])
    x, states = random.normal(size=(1, 4)), reference.random_states(random, 1, units)
    if name == "slstm":
        states[-1] = np.zeros((1, units))  # so that no part of the maximum is flat
    new = lambda s: np.concatenate(reference.step(weights, x, s)[1], axis=-1)[0]  # noqa: E731
    mixes, bends = False, False
    for state in range(1 if name == "qrnn" else len(states)):  # the others of a QRNN are the input before
        for unit in range(units):
            changed = [s.copy() for s in states]
            changed[state][0, unit] += 0.1
            once = new(changed) - new(states)
            changed[state][0, unit] += 0.1
            twice = new(changed) - new(states)
            others = np.arange(once.size) % units != unit
            mixes |= bool(np.abs(once[others]).max() > 1e-12)
            bends |= bool(np.abs(twice - 2 * once).max() > 1e-9)
    found = "S" if mixes else "D" if bends else "P"
    # A unit that is linear wherever it is not cut off: relu does not bend where it is positive.
    assert found == ("P" if name == "indrnn" else cell.kind)
    assert bool(cell.recurrent_kernels) == (cell.kind == "S")


def test_a_class_without_equations_is_described_by_its_docstring():
    class Mine(PUBLISHED["min_lstm"]):
        """Mine alone."""

        equations = ()

    assert describe.equations(Mine) == ("Mine alone.",)
    assert describe.one_line(describe.equations(Mine)) == "Mine alone."


def test_a_declaration_is_python():
    for name, cell in PUBLISHED.items():
        if isinstance(cell, GateSpec):
            assert eval(describe.declaration(cell), {"Gate": Gate, "GateSpec": GateSpec}) == cell, name

"""What is said of a cell follows from its declaration, and agrees with what it computes."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from references.gated_cells import REFERENCES

import textrnn
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


# By hand: what is normalised together stands in one LN.
NORMALISED = {
    "qrnn": "fₜ = σ(LN(W_f xₜ + V_f xₜ₋₁) + b_f)",
    "lstm_fgr": ("iₜ = σ(LN(W_i xₜ) + LN(U_i hₜ₋₁ + R_ii iₜ₋₁ + R_if fₜ₋₁ + R_io oₜ₋₁) + p_i ⊙ cₜ₋₁ + b_i)"),
    "gru": "gₜ = tanh(LN(W_g xₜ) + rₜ ⊙ (LN(U_g hₜ₋₁) + b′_g) + b_g)",
    "gru_reset_before": "gₜ = tanh(LN(W_g xₜ) + LN(U_g (rₜ ⊙ hₜ₋₁)) + b_g)",
    "mut1": "gₜ = tanh(tanh(xₜ) + LN(U_g (rₜ ⊙ hₜ₋₁)) + b_g)",
}


@pytest.mark.parametrize("name", NORMALISED)
def test_equations_say_what_layer_normalisation_takes_together(name):
    spec = dataclasses.replace(find_cell(name), layer_norm=True)
    assert NORMALISED[name] in describe.equations(spec)


def test_the_order_of_equations_is_one_in_which_they_can_be_computed():
    lines = describe.equations(find_cell("lstm_peephole"))
    assert [line[0] for line in lines] == list("ifgcoh")
    assert "p_o ⊙ cₜ " in lines[4]


# By hand too, read from left to right: what is not computed yet is that of t−1.
SHORT = {
    "lstm": "i,f,o = σ(Wx + Uh + b); g = tanh(Wx + Uh + b); c = f⊙c + i⊙g; h = o⊙tanh(c)",
    "lstm_peephole": (
        "i,f = σ(Wx + Uh + p⊙c + b); g = tanh(Wx + Uh + b); c = f⊙c + i⊙g; "
        "o = σ(Wx + Uh + p⊙c + b); h = o⊙tanh(c)"
    ),
    "lstm_fgr": (
        "i,f = σ(Wx + Uh + Ri + Rf + Ro + p⊙c + b); g = tanh(Wx + Uh + b); c = f⊙c + i⊙g; "
        "o = σ(Wx + Uh + R i(t−1) + R f(t−1) + Ro + p⊙c + b); h = o⊙tanh(c)"
    ),
    "slstm": (
        "ĩ = Wx + Uh + b; f,o = σ(Wx + Uh + b); z = tanh(Wx + Uh + b); m = max(log f + m, ĩ); "
        "i′ = exp(ĩ − m); f′ = exp(log f + m(t−1) − m); c = f′⊙c + i′⊙z; n = f′⊙n + i′; h = o⊙c / n"
    ),
    "sru": "f,r = σ(Wx + v⊙c + b); c = f⊙c + (1 − f)⊙Wx; h = r⊙c + (1 − r)⊙α x",
    "qrnn": ("f,o = σ(Wx + V x(t−1) + b); g = tanh(Wx + V x(t−1) + b); c = f⊙c + (1 − f)⊙g; h = o⊙c"),
}


@pytest.mark.parametrize("name", SHORT)
def test_short_equations_are_true_when_read_from_left_to_right(name):
    assert describe.one_line(describe.equations(find_cell(name))) == SHORT[name]


# In the order in which a step of the cell returns them.
STATES = {
    "simple": ("h",),
    "lstm": ("h", "c"),
    "gru": ("h",),
    "lstm_fgr": ("h", "c", "i", "f", "o"),
    "slstm": ("h", "c", "n", "m"),
    "sru": ("c",),
    "qrnn": ("c", "V_f x", "V_g x", "V_o x"),
    "min_lstm": ("h",),
    "rg_lru": ("h",),
}


@pytest.mark.parametrize("name", STATES)
def test_states_are_in_the_order_of_the_cell(name):
    assert describe.states(find_cell(name)) == STATES[name]


@pytest.mark.parametrize("name", cell_names())
def test_every_state_is_named_once(name):
    cell = GatedCell(4, name)
    found = describe.states(find_cell(name))
    assert len(found) == len(set(found)) == len(cell.state_size) == len(cell.state_names)


def test_a_sheet_says_what_each_state_is():
    assert "states       c (memory), V_f x (previous/forget), " in describe.sheet("qrnn")
    assert "states       h (state), c (memory), n (normaliser), m (stabiliser)\n" in describe.sheet("slstm")


def test_a_source_with_an_activation_is_a_state_with_it():
    spec = GateSpec(candidate=Gate("tanh", reads=("input", "tanh(previous input)")), forget=0.5)
    assert describe.states(spec) == ("h", "V tanh(x)")


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


def test_a_sheet_counts_parameters_where_features_are_units_and_where_not():
    # 4·128·256 + 4·256; only where they differ is there a kernel that brings x to the width of h.
    sru = describe.sheet("sru", features=128, units=256)
    assert "4mn + 4n (3n² + 4n where m = n); 132,096 with m = 128 features, n = 256 units" in sru
    assert "where" not in describe.sheet("lstm")


def test_the_example_of_a_sheet_tells_features_from_units():
    # 4·128·256 + 4·256² + 4·256
    assert "4mn + 4n² + 4n; 394,240 with m = 128 features, n = 256 units" in describe.sheet("lstm")


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
    names = cell.spec.states if isinstance(cell, GatedCell) else cell.state_names
    for state, state_name in enumerate(names):
        if state_name.startswith("previous/"):  # of the input before, not of what was computed
            continue
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


class NoDocstring(GatedCell):
    def step(self, projected, states, dot, weights):
        return super().step(projected, states, dot, weights)


class Documented(NoDocstring):
    """hₜ = half_step(hₜ₋₁)

    And more.
    """


class WiderGRU(GatedCell):
    """A GRU of twice the units."""

    def __init__(self, units, spec="gru", **kwargs):
        super().__init__(2 * units, spec, **kwargs)


class HalfSRU(PUBLISHED["sru"]):
    def step(self, projected, states, dot, weights):
        output, states = super().step(projected, states, dot, weights)
        return output / 2, states


class TwoStates(textrnn.Cell):
    """A cell with two states."""

    project_inputs = recurrent_kernels = step = None

    def __init__(self, units):
        super().__init__()
        self.units = units

    @property
    def state_size(self):
        return [self.units, 1]

    @property
    def output_size(self):
        return self.units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units))


@pytest.mark.parametrize("cell", [NoDocstring, HalfSRU], ids=lambda cell: cell.__name__)
def test_a_step_of_ones_own_without_a_docstring_has_no_equations(cell):
    (line,) = describe.equations(cell)
    assert line == f"no equations: begin the docstring of {cell.__name__} with them"
    assert describe.one_line([line]) == line


def test_a_step_of_ones_own_is_described_by_the_docstring():
    assert describe.equations(Documented) == ("hₜ = half_step(hₜ₋₁)",)


def test_a_subclass_with_the_step_of_its_spec_has_the_equations_and_states_of_it():
    assert list(describe.equations(WiderGRU)) == BY_HAND["gru"]
    assert describe.states(WiderGRU) == ("h",)
    assert describe.states(NoDocstring) == ("h", "c")


def test_a_class_that_names_no_states_has_numbers():
    assert describe.states(TwoStates) == ("h", "state_1")
    assert TwoStates(3).state_names == ("state", "state_1")


def test_a_declaration_is_python():
    for name, cell in PUBLISHED.items():
        if isinstance(cell, GateSpec):
            assert eval(describe.declaration(cell), {"Gate": Gate, "GateSpec": GateSpec}) == cell, name

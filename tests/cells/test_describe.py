"""The description of a cell follows from its declaration and agrees with what it computes."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from references.gated_cells import REFERENCES

import textrnn
from textrnn.cells import PUBLISHED, Gate, GatedCell, GateSpec, cell_names, describe, find_cell
from textrnn.cells.class_cell import ClassCell
from textrnn.cells.registry import look_up
from textrnn.cli.cells import cells
from textrnn.errors import InputError

ROOT = Path(__file__).parents[2]


def test_the_reference_page_is_up_to_date():
    written = (ROOT / "docs" / "cells.md").read_text(encoding="utf-8")
    assert written == describe.page(), "docs/cells.md is out of date: run make docs"


@pytest.mark.parametrize("arguments", [["lstm"], ["slstm"], []], ids=["spec", "class", "table"])
def test_the_command_imports_neither_keras_nor_tensorflow(arguments):
    code = (
        "import sys; from textrnn.cli.commands import main; main(); "
        "sys.exit(', '.join({'keras', 'tensorflow'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "cells", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "hₜ = " in done.stdout or "h = " in done.stdout


MY_CELLS = """
import sys
import textrnn
LEAKY = textrnn.GateSpec(forget=0.9, input=0.1)
class Mine(textrnn.GatedCell):
    "h = mine(h)"
    def step(self, projected, states, dot, weights):
        return super().step(projected, states, dot, weights)
"""


def test_the_command_describes_cells_in_a_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "cells_of_the_command.py").write_text(MY_CELLS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    cells(name="cells_of_the_command:LEAKY")
    assert "hₜ = 0.9 hₜ₋₁ + 0.1 gₜ" in capsys.readouterr().out
    cells(name="cells_of_the_command:Mine")
    assert "  h = mine(h)\n" in capsys.readouterr().out
    with pytest.raises(InputError, match="--markdown prints all cells: remove the name"):
        cells(name="lstm", markdown=True)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_sheet_has_the_equations_and_the_paper(name):
    lines = describe.equations(find_cell(name))
    assert any(line.startswith("hₜ = ") for line in lines)
    assert all(" = " in line for line in lines)
    sheet = describe.sheet(name)
    assert all(line in sheet for line in lines)
    assert find_cell(name).source in " ".join(sheet.split())
    assert name in describe.table()


# Written by hand from the papers, with the letters of this project.
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
        "fₜ = σ(W_f xₜ + U_f hₜ₋₁ + b_f + b′_f)",
        "rₜ = σ(W_r xₜ + U_r hₜ₋₁ + b_r + b′_r)",
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
def test_equations_match_the_paper(name):
    assert list(describe.equations(find_cell(name))) == BY_HAND[name]


# By hand: terms that are normalized together are in one LN.
NORMALISED = {
    "qrnn": "fₜ = σ(LN(W_f xₜ + V_f xₜ₋₁) + b_f)",
    "lstm_fgr": ("iₜ = σ(LN(W_i xₜ) + LN(U_i hₜ₋₁ + R_ii iₜ₋₁ + R_if fₜ₋₁ + R_io oₜ₋₁) + p_i ⊙ cₜ₋₁ + b_i)"),
    "gru": "gₜ = tanh(LN(W_g xₜ) + rₜ ⊙ (LN(U_g hₜ₋₁) + b′_g) + b_g)",
    "gru_reset_before": "gₜ = tanh(LN(W_g xₜ) + LN(U_g (rₜ ⊙ hₜ₋₁)) + b_g)",
    "mut1": "gₜ = tanh(tanh(xₜ) + LN(U_g (rₜ ⊙ hₜ₋₁)) + b_g)",
}


@pytest.mark.parametrize("name", NORMALISED)
def test_equations_show_what_is_normalized_together(name):
    spec = dataclasses.replace(find_cell(name), layer_norm=True)
    assert NORMALISED[name] in describe.equations(spec)


def test_equations_are_in_an_order_in_which_they_can_be_computed():
    lines = describe.equations(find_cell("lstm_peephole"))
    assert [line[0] for line in lines] == list("ifgcoh")
    assert "p_o ⊙ cₜ " in lines[4]


# By hand. Read from left to right: a name that is not computed yet is its value at t−1.
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
def test_short_equations_are_read_from_left_to_right(name):
    assert describe.one_line(describe.equations(find_cell(name))) == SHORT[name]


# In the order in which a step returns them.
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


def test_a_sheet_names_each_state():
    assert "states       c (memory), V_f x (previous/forget), " in describe.sheet("qrnn")
    assert "states       h (state), c (memory), n (normalizer), m (stabilizer)\n" in describe.sheet("slstm")


def test_a_delayed_input_with_an_activation_is_shown_with_it():
    spec = GateSpec(candidate=Gate("tanh", reads=("input", "tanh(previous input)")), forget=0.5)
    assert describe.states(spec) == ("h", "V tanh(x)")


def evaluated(formula, m, n):
    """The value of a formula such as `4mn + n²`."""
    python = re.sub(r"(?<=[\dmn])(?=[mn])", "*", formula.replace("²", "**2"))
    return eval(python, {"m": m, "n": n})


@pytest.mark.parametrize("name", cell_names())
def test_a_description_agrees_with_the_cell(name):
    cell, n = look_up(name), 10
    for m in (6, n):
        made = GatedCell(n, name)
        made.build((None, m))
        assert describe.count_parameters(cell, m, n) == made.count_params()
        if m != n:
            assert evaluated(describe.parameters(cell), m, n) == made.count_params()
    assert describe.kind(cell) == made.kind
    symbols = describe.states(cell)
    assert len(symbols) == len(set(symbols)) == len(made.state_size)
    assert (cell.states if isinstance(cell, ClassCell) else made.spec.states) == made.state_names


@pytest.mark.parametrize("name", [name for name, cell in PUBLISHED.items() if isinstance(cell, ClassCell)])
def test_the_row_of_a_class_lists_its_weights(name):
    m, n = 6, 10
    made = GatedCell(n, name)
    made.build((None, m))
    size = {"mn": m * n, "nn": n * n, "n": n}
    listed = {name: count * size[shape] for name, (count, shape) in PUBLISHED[name].weights.items()}
    assert listed == {weight.name: int(np.prod(weight.shape)) for weight in made.weights}
    assert made.equations == PUBLISHED[name].equations


def test_a_class_of_a_user_is_described_from_an_instance():
    assert describe.parameters(WiderGRU) == "6mn + 12n² + 12n"
    assert describe.count_parameters(WiderGRU, 3, 2) == 3 * (3 * 4 + 4 * 4 + 2 * 4)
    assert describe.kind(WiderGRU) == "S"
    assert describe.parameters(find_cell("sru")) == describe.parameters(look_up("sru"))


def test_a_sheet_has_a_second_formula_if_the_projection_depends_on_the_widths():
    # 4·128·256 + 4·256, including the projection of x from 128 to 256.
    sru = describe.sheet("sru", features=128, units=256)
    assert "4mn + 4n (3n² + 4n where m = n); 132,096 with m = 128 features, n = 256 units" in sru
    assert "where" not in describe.sheet("lstm")


def test_a_sheet_counts_parameters_for_different_features_and_units():
    # 4·128·256 + 4·256² + 4·256
    assert "4mn + 4n² + 4n; 394,240 with m = 128 features, n = 256 units" in describe.sheet("lstm")


@pytest.mark.parametrize("name", REFERENCES)
def test_the_kind_is_how_new_states_depend_on_old_ones(name):
    """By finite differences of the NumPy reference: S mixes units, D does not, P is linear as well."""
    reference, units = REFERENCES[name], 3
    cell = GatedCell(units, reference.cell)
    cell.build((None, 4))
    random = np.random.default_rng(0)
    weights = reference.unpack([random.normal(size=w.shape) for w in cell.get_weights()])
    x, states = random.normal(size=(1, 4)), reference.random_states(random, 1, units)
    if name == "slstm":
        states[-1] = np.zeros((1, units))  # where neither side of the maximum is constant
    new = lambda s: np.concatenate(reference.step(weights, x, s)[1], axis=-1)[0]  # noqa: E731
    mixes, bends = False, False
    names = cell.spec.states if isinstance(cell, GatedCell) else cell.state_names
    for state, state_name in enumerate(names):
        if state_name.startswith("previous/"):  # an input, not a computed state
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
    # relu is linear where it is positive.
    assert found == ("P" if name == "indrnn" else cell.kind)
    assert bool(cell.recurrent_kernels) == (cell.kind == "S")


def test_a_class_without_equations_shows_its_docstring():
    class Mine(find_cell("min_lstm")):
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


class HalfSRU(find_cell("sru")):
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
def test_a_custom_step_without_a_docstring_has_no_equations(cell):
    (line,) = describe.equations(cell)
    assert line == f"no equations: begin the docstring of {cell.__name__} with them"
    assert describe.one_line([line]) == line


def test_a_custom_step_shows_the_docstring():
    assert describe.equations(Documented) == ("hₜ = half_step(hₜ₋₁)",)


def test_a_subclass_that_keeps_step_has_the_equations_and_states_of_its_spec():
    assert list(describe.equations(WiderGRU)) == BY_HAND["gru"]
    assert describe.states(WiderGRU) == ("h",)
    assert describe.states(NoDocstring) == ("h", "c")


def test_states_without_names_are_numbered():
    assert describe.states(TwoStates) == ("h", "state_1")
    assert TwoStates(3).state_names == ("state", "state_1")


def test_a_declaration_is_a_python_expression():
    for name, cell in PUBLISHED.items():
        if isinstance(cell, GateSpec):
            assert eval(describe.declaration(cell), {"Gate": Gate, "GateSpec": GateSpec}) == cell, name

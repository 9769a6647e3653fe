"""Cells are found by name: published ones, registered ones, and those in Python modules."""

import dataclasses
import sys

import keras
import numpy as np
import pytest

import textrnn
from textrnn.cells import PUBLISHED, GateSpec, LinearCell, cell_names, find_cell, register_cell, registry
from textrnn.errors import InputError

LEAKY = GateSpec(forget=0.9, input=0.1)


class Average(LinearCell):
    """c = 0.9 c + 0.1 x"""

    state_size = output_size = None

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.state_size, self.output_size = units, [units], units

    def project_inputs(self, x):
        return (x,)

    def coefficients(self, projected, weights):
        return keras.ops.full_like(projected[0], 0.9), 0.1 * projected[0]

    def get_config(self):
        return super().get_config() | {"units": self.units}


@pytest.fixture(autouse=True)
def _names_of_one_test(monkeypatch):
    monkeypatch.setattr(registry, "_CELLS", dict(registry._CELLS))


class NoKeywords(textrnn.GatedCell):
    def __init__(self, units):
        super().__init__(units)


def test_every_published_cell_is_found_by_name_and_by_its_row():
    assert set(PUBLISHED) <= set(cell_names())
    for name, cell in PUBLISHED.items():
        assert find_cell(name) is find_cell(cell)
        assert find_cell(name) is (cell if isinstance(cell, GateSpec) else cell.load())


def test_a_registered_spec_is_found_by_name():
    spec = register_cell("my_cell", LEAKY)
    assert spec == dataclasses.replace(LEAKY, name="my_cell")
    assert "my_cell" in cell_names()
    assert textrnn.GatedCell(3, "my_cell").spec is spec


def test_registering_a_name_again_replaces_the_cell():
    register_cell("my_cell", LEAKY)
    register_cell("my_cell", GateSpec(forget=0.8, input=0.2))
    assert textrnn.GatedCell(3, "my_cell").spec.forget == 0.8
    register_cell("my_cell", Average)
    assert find_cell("my_cell") is Average


def test_a_registered_class_is_found_by_name_and_can_be_saved():
    register_cell("average", Average)
    cell = textrnn.GatedCell(3, "average", dtype="float64")
    assert isinstance(cell, Average) and cell.compute_dtype == "float64" and cell.kind == "P"
    model = keras.Sequential([keras.Input((None, 3)), textrnn.Recurrent(textrnn.GatedCell(3, "average"))])
    copy = keras.Sequential.from_config(model.get_config())
    x = np.ones((1, 2, 3), "float32")
    np.testing.assert_allclose(copy(x), np.full((1, 3), 0.19), rtol=1e-6)
    np.testing.assert_allclose(model(x), copy(x))


class Bounded(textrnn.GatedCell):
    """A subclass with its own argument, which counts its initializations."""

    made = 0

    def __init__(self, units, bound=1.0, **kwargs):
        super().__init__(units, "gru", **kwargs)
        self.bound, self.made = bound, self.made + 1


def test_a_registered_subclass_keeps_its_arguments_and_is_initialized_once():
    register_cell("bounded", Bounded)
    for cell in (
        Bounded(3, 0.5),
        textrnn.GatedCell(3, "bounded", bound=0.5),
        textrnn.GatedCell(3, spec=Bounded, bound=0.5),
    ):
        assert (type(cell), cell.units, cell.bound, cell.made, cell.spec.name) == (Bounded, 3, 0.5, 1, "gru")
    with pytest.raises(InputError, match="spec is the class SRUCell: give a GateSpec, or the name of one"):
        type("Wrong", (textrnn.GatedCell,), {})(3, "sru")


MY_CELLS = """
import textrnn
LEAKY = textrnn.GateSpec(forget=0.9, input=0.1)
class Mine(textrnn.GatedCell): pass
textrnn.register_cell("by_name", Mine)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with Python files in it."""
    (tmp_path / "cells_of_a_test.py").write_text(MY_CELLS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("cells_of_a_test", None)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("attribute", "name"), [("LEAKY", "custom"), ("Mine", "Mine"), ("by_name", "Mine")])
def test_a_cell_is_found_in_a_file_of_the_current_folder(attribute, name):
    found = find_cell(f"cells_of_a_test:{attribute}")
    assert getattr(found, "__name__", None) == name or found.name == name
    if name == "Mine":  # so that saved models with it load
        assert keras.saving.get_registered_object("cells_of_a_test>Mine") is found


SPEC = "from textrnn import Gate, GateSpec\nright = GateSpec(input=Gate())\n"
BROKEN = {
    "wrong spec beside the right one": (
        f"{SPEC}wrong = GateSpec(\n    input=Gate(reads='reset'))",
        "line 4: a gate cannot read 'reset': use any of",
    ),
    "unknown part": (f"{SPEC}wrong = GateSpec(update=Gate())", "line 3: GateSpec has no argument 'update'"),
    "misspelt name": (f"{SPEC}wrong = GateSpec(input=Gat())", "line 3: NameError: name 'Gat' is not defined"),
    "error in a function": ("def half(x):\n    return x / 0\nhalf(1)", "line 2: ZeroDivisionError: div"),
    "invalid syntax": ("right = 1\ndef :", "line 2: invalid syntax$"),
    "invalid syntax in a string": ("right = 1\neval('1 +')", "line 2: invalid syntax$"),
    "missing module": ("import no_such_module_at_all", "line 1: ModuleNotFoundError: No module named 'no_s"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_error_in_a_module_is_reported_with_its_line(case, folder):
    code, message = BROKEN[case]
    (folder / "broken_cells_of_a_test.py").write_text(code)
    with pytest.raises(InputError, match=f"^broken_cells_of_a_test.py, {message}"):
        find_cell("broken_cells_of_a_test:right")


@pytest.mark.parametrize(
    ("file", "code"), [("helper_of_a_test.py", "\nGat"), ("package_of_a_test/__init__.py", "\nGat")]
)
def test_an_error_in_a_file_that_a_module_needs_is_reported_with_its_line(file, code, folder):
    (folder / "package_of_a_test").mkdir()
    (folder / "package_of_a_test" / "cells.py").write_text("right = 1")
    (folder / "module_of_a_test.py").write_text("import helper_of_a_test")
    (folder / file).write_text(code)
    module = "package_of_a_test.cells" if "/" in file else "module_of_a_test"
    with pytest.raises(InputError, match=f"^{file}, line 2: NameError"):
        find_cell(f"{module}:right")


def test_an_error_outside_of_the_files_of_a_module_is_reported_at_the_call(folder):
    (folder / "broken_cells_of_a_test.py").write_text("import json\n\njson.loads('{')")
    with pytest.raises(
        InputError, match=r"^broken_cells_of_a_test\.py, line 3: json.*Expecting property name"
    ):
        find_cell("broken_cells_of_a_test:right")


WRONG = {
    "unknown name": (
        lambda: find_cell("xyz"),
        "no cell called 'xyz'; the cells are simple, lstm, .*textrnn cells",
    ),
    "misspelt name": (lambda: find_cell("min_lst"), "did you mean min_lstm"),
    "name in capitals": (lambda: find_cell("LSTM"), "did you mean lstm"),
    "relative module": (lambda: find_cell("..:x"), "cannot import '..'"),
    "abstract class": (
        lambda: register_cell("mine", LinearCell),
        "the class LinearCell, which does not define coefficients",
    ),
    "class without dtype": (
        lambda: register_cell("mine", NoKeywords),
        r"NoKeywords, which cannot be called with units and dtype .*define .*\*\*kwargs",
    ),
    "missing module": (
        lambda: find_cell("no_such_module:cell"),
        "cannot import 'no_such_module' .*: write module:name, where module is a file module.py in this",
    ),
    "empty module": (lambda: find_cell(":cell"), "cannot import ''"),
    "missing attribute": (lambda: find_cell("json:cell"), "neither defines nor registers 'cell'"),
    "attribute that is not a cell": (
        lambda: find_cell("json:dumps"),
        "'json:dumps' is <function dumps.*: give a GateSpec",
    ),
    "published name": (lambda: register_cell("lstm", LEAKY), "'lstm' is the name of a published cell"),
    "invalid name": (
        lambda: register_cell("my cell", LEAKY),
        "'my cell' is not a valid name of a cell: use letters, digits and underscores",
    ),
    "class that is not a cell": (lambda: register_cell("mine", dict), "is <class 'dict'>: give a GateSpec"),
    "instance": (
        lambda: register_cell("mine", textrnn.GatedCell(3)),
        "give a GateSpec, a subclass of textrnn.Cell",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_refused(case):
    call, message = WRONG[case]
    with pytest.raises(InputError, match=message):
        call()

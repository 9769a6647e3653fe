"""A `GateSpec` can be saved as JSON, has one canonical form, and refuses contradictions."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from references.gated_cells import REFERENCES

from textrnn.cells import Gate, GateSpec, find_cell, gate_spec
from textrnn.errors import InputError

LSTM = gate_spec("lstm")
GRU = gate_spec("gru")


SPECS = {name: spec for name, r in REFERENCES.items() if isinstance(spec := find_cell(r.cell), GateSpec)}


@pytest.mark.parametrize("name", SPECS)
def test_json_restores_a_spec(name):
    spec = SPECS[name]
    copy = GateSpec.from_config(json.loads(json.dumps(spec.get_config())))
    assert copy == spec
    assert (copy.name, copy.source) == (spec.name, spec.source)


@pytest.mark.parametrize(
    ("spec", "kind", "states"),
    [
        (GateSpec(), "S", ["state"]),
        (LSTM, "S", ["state", "memory"]),
        (GateSpec(candidate=Gate("tanh", "input"), forget=Gate(reads="memory")), "D", ["state"]),
        (GateSpec(candidate=Gate("tanh", "input"), forget=Gate(reads=("input", "memory"))), "D", ["state"]),
        (GateSpec(candidate=Gate("tanh", "input"), forget=Gate(reads="input")), "P", ["state"]),
        (
            GateSpec(
                candidate=Gate("tanh", "input"),
                forget=0.9,
                output=Gate(reads=("input", "memory")),
                separate_memory=True,
            ),
            "P",  # the output gate reads the new memory, so the next step does not depend on it
            ["memory"],
        ),
        (
            GateSpec(candidate=Gate("tanh", ("input", "gates")), forget=Gate(reads="input")),
            "S",
            ["state", "gate/forget"],
        ),
        (
            GateSpec(candidate=Gate("tanh", ("input", "previous input")), forget=0.5),
            "P",
            ["state", "previous/candidate"],
        ),
    ],
    ids=range(8),
)
def test_kind_and_states_follow_from_what_is_read(spec, kind, states):
    assert spec.kind == kind
    assert list(spec.states) == states


def test_ties_are_stored_in_one_spelling():
    for given, written in (
        ("1-forget", "1 - forget"),
        ("forget( s-1 )", "forget(s - 1)"),
        ("1 - forget(s + 0.50)", "1 - forget(s + 0.5)"),
    ):
        assert GateSpec(forget=Gate(), input=given).input == written


def test_specs_that_compute_the_same_are_equal():
    assert replace(LSTM, name="mine", source="me") == LSTM
    assert hash(replace(LSTM, name="mine")) == hash(LSTM)
    assert replace(LSTM, forget="1-input") == replace(LSTM, forget=" 1 - input ")
    assert Gate(reads=("state", "input")) == Gate(reads=("input", "state", "state"))
    assert Gate(reads="tanh( state )") == Gate(reads=("tanh(state)",))
    assert GateSpec(input=1) == GateSpec()
    assert replace(LSTM, forget=1.0) != LSTM


def test_a_partial_config_takes_defaults():
    assert GateSpec.from_config({"forget": {}, "input": "1 - forget"}) == gate_spec("ugrnn")


def test_a_tie_to_a_number_becomes_a_number():
    assert GateSpec(forget=0.75, input="1 - forget") == GateSpec(forget=0.75, input=0.25)
    assert replace(LSTM, forget="1 - input", input=0.25).forget == 0.75
    chain = replace(LSTM, forget="1 - output", input="1 - forget", output=0.5)
    assert (chain.forget, chain.input) == (0.5, 0.5)


def test_numbers_of_all_types_are_stored_as_floats():
    for half in (np.float32(0.5), np.float64(0.5), Fraction(1, 2)):
        spec = GateSpec(forget=half)
        assert spec == GateSpec(forget=0.5)
        assert type(spec.forget) is float
    assert type(GateSpec(forget=np.int64(1)).forget) is float


OF_ANY = "give a Gate, a number, or a tie such as '1 - input'"
NEVER_WRITES = "the memory is always 0: make input, or the part it is tied to, a Gate or another number"
CONTRADICTIONS = {
    "unknown activation": (
        lambda: Gate("tahn"),
        "unknown activation 'tahn': give the name of one in keras.activations",
    ),
    "activation that is a function": (lambda: Gate(abs), "give the name of one in keras.activations"),
    "unknown output activation": (lambda: replace(LSTM, output_activation="x"), "unknown activation 'x'"),
    "unknown source": (lambda: Gate(reads=("input", "stat")), "'stat': use any of input, previous input"),
    "unknown activation of a source": (lambda: Gate(reads="tahn(state)"), "unknown activation 'tahn'"),
    "activation of gates": (
        lambda: Gate(reads="tanh(gates)"),
        "takes no activation: write 'gates' instead of 'tanh\\(gates\\)'",
    ),
    "source that is a number": (lambda: Gate(reads=(1,)), "a gate cannot read 1: use any of"),
    "two ways to read the state": (
        lambda: Gate(reads=("state", "tanh(state)")),
        "reads 'state' in two ways: choose one",
    ),
    "state and modulated state": (
        lambda: Gate(reads=("state", "modulated state")),
        "reads both .*: choose one",
    ),
    "no gates to read": (
        lambda: GateSpec(candidate=Gate("tanh", ("input", "gates"))),
        "no gates to read: add a gate, or remove 'gates' from reads",
    ),
    "shift of a number": (
        lambda: GateSpec(forget=0.5, input="1 - forget(s - 1)"),
        "input shifts the pre-activation of forget, but forget is 0.5: make forget a Gate",
    ),
    "shift of a tie": (
        lambda: GateSpec(forget="1 - reset", input="forget(s + 1)", reset=Gate()),
        "but forget is '1 - reset': make forget a Gate, or remove the shift",
    ),
    "shift that is not a number": (
        lambda: GateSpec(forget=Gate(), input="forget(s - x)"),
        "cannot read the tie",
    ),
    "gate that reads nothing": (lambda: Gate(reads=()), "reads nothing: give a source to read, or a number"),
    "constant candidate": (lambda: GateSpec(candidate=1.0), "candidate is 1.0: .* give a Gate"),
    "part of a wrong type": (lambda: GateSpec(forget=None), f"forget is None: {OF_ANY}"),
    "boolean part": (lambda: GateSpec(input=True), f"input is True: {OF_ANY}"),
    "infinite part": (lambda: GateSpec(forget=float("inf")), f"forget is inf: {OF_ANY}"),
    "unreadable tie": (lambda: GateSpec(forget="2 * input"), "cannot read the tie '2 \\* input'"),
    "unknown tie": (
        lambda: GateSpec(forget="1 - inptu"),
        "forget is tied to 'inptu', which is not a gate: tie it to one of input, reset, output",
    ),
    "tie to the candidate": (lambda: GateSpec(forget="candidate"), "tie it to one of input, reset, output"),
    "tie to itself": (lambda: GateSpec(forget="1 - forget"), "tie it to one of input, reset, output"),
    "cycle of ties": (
        lambda: GateSpec(forget="1 - input", input="reset", reset="forget"),
        "the ties .* -> .* form a cycle: make one a Gate or a number",
    ),
    "tie to a gate that is computed later": (
        lambda: replace(LSTM, input="output", output=Gate(reads=("input", "memory"))),
        "output reads the memory, which is computed from input: remove 'memory' from what output reads",
    ),
    "nothing reads the input": (
        lambda: GateSpec(candidate=Gate(reads="state")),
        "add 'input' to what the candidate reads",
    ),
    "input is zero": (lambda: GateSpec(input=0, forget=Gate()), NEVER_WRITES),
    "input and forget are zero": (lambda: GateSpec(input=0), NEVER_WRITES),
    "input is zero by a tie": (lambda: GateSpec(input="1 - forget", forget=1), NEVER_WRITES),
    "input is zero and forget one": (lambda: GateSpec(input=0.0, forget="1 - input"), NEVER_WRITES),
    "output is zero": (
        lambda: GateSpec(output=0.0, separate_memory=True),
        "the cell always outputs 0: make output, or the part it is tied to, a Gate or another number",
    ),
    "reset is zero": (
        lambda: GateSpec(reset=0.0),
        "never reads the state: remove the state from what .* or make reset, .* another number",
    ),
    "reset is zero by a tie": (
        lambda: GateSpec(reset="1 - input"),
        "never reads the state: remove the state from what the candidate reads",
    ),
    "layer_norm without products": (
        lambda: GateSpec(candidate=Gate(reads=("raw input", "memory")), layer_norm=True),
        "layer_norm has no effect, .*: add 'input' to what the candidate reads, or remove layer_norm",
    ),
    "layer_norm with reset_after and gates": (
        lambda: replace(GRU, candidate=Gate("tanh", ("input", "state", "gates")), layer_norm=True),
        "reset_after resets only the state: remove one of these two, or 'gates'",
    ),
    "reads is None": (lambda: Gate(reads=None), "reads is None: give one or more sources, such as"),
    "reads is a number": (lambda: Gate(reads=3), "reads is 3: give one or more sources, such as"),
    "separate_memory is not a bool": (
        lambda: GateSpec(separate_memory="no"),
        "separate_memory is 'no': give True or False",
    ),
    "reset_after is not a bool": (
        lambda: replace(GRU, reset_after=1),
        "reset_after is 1: give True or False",
    ),
    "layer_norm is not a bool": (
        lambda: GateSpec(layer_norm=None),
        "layer_norm is None: give True or False",
    ),
    "name is not a string": (lambda: GateSpec(name=3), "name is 3: give a string"),
    "source is not a string": (lambda: GateSpec(source=None), "source is None: give a string"),
    "NumPy bool": (lambda: GateSpec(forget=np.bool_(True)), "forget is .*: give a Gate"),
    "unknown entry of a gate": (
        lambda: GateSpec.from_config({"candidate": {"foo": 1}}),
        "the gate candidate has no argument 'foo': use any of activation, reads",
    ),
    "output without a separate memory": (
        lambda: replace(GRU, output=Gate()),
        "output needs a separate memory: set separate_memory=True, or remove output",
    ),
    "output_activation without a separate memory": (
        lambda: replace(GRU, output_activation="tanh"),
        "output_activation needs a separate memory: set .*, or remove output_activation",
    ),
    "reset of a state that the candidate does not read": (
        lambda: replace(GRU, candidate=Gate("tanh", reads="input")),
        "reset has no effect, .*: add 'state' to what the candidate reads, or remove reset",
    ),
    "reset_after without a reset": (
        lambda: replace(LSTM, reset_after=True),
        "reset_after needs a reset gate: add reset=Gate\\(\\), or remove reset_after",
    ),
    "unknown entry": (
        lambda: GateSpec.from_config({"foget": 1.0}),
        "^GateSpec has no argument 'foget': did you mean 'forget'",
    ),
    "unknown part": (
        lambda: GateSpec(update=Gate()),
        "^GateSpec has no argument 'update': use any of candidate, forget, input, output, reset",
    ),
    "misspelt part": (lambda: replace(GRU, rest=Gate()), "no argument 'rest': did you mean 'reset'"),
    "misspelt argument of a gate": (lambda: Gate(read="input"), "Gate has no argument 'read': did you mean"),
    "unknown name": (lambda: gate_spec("lstn"), "no cell called 'lstn'; did you mean lstm"),
    "name of a class": (
        lambda: gate_spec("sru"),
        "sru is not declared by a GateSpec: it is the class textrnn.cells.sru.SRUCell",
    ),
}


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_a_contradiction_is_refused_with_advice(contradiction):
    make, message = CONTRADICTIONS[contradiction]
    with pytest.raises(InputError, match=message):
        make()


def test_the_shift_of_a_tie_is_kept_exactly():
    spec = GateSpec(forget=Gate(), input="1 - forget(s - 0.123456789)")
    assert spec.input == "1 - forget(s - 0.123456789)"
    assert GateSpec(forget=Gate(), input="1 - forget(s + 1.0)").input == "1 - forget(s + 1)"

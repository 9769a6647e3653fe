"""A gate spec is data: it goes to JSON and back, and one that contradicts itself is refused."""

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
def test_a_spec_survives_json(name):
    spec = SPECS[name]
    copy = GateSpec.from_config(json.loads(json.dumps(spec.get_config())))
    assert copy == spec
    assert (copy.name, copy.source) == (spec.name, spec.source)


@pytest.mark.parametrize(
    ("spec", "kind", "states"),
    [
        (GateSpec(), "S", ["state"]),
        (LSTM, "S", ["state", "memory"]),
        (GateSpec(candidate=Gate("tanh", "input"), forget=Gate(reads="memory")), None, None),
        (GateSpec(candidate=Gate("tanh", "input"), forget=Gate(reads=("input", "memory"))), "D", ["state"]),
        (GateSpec(candidate=Gate("tanh", "input"), forget=Gate(reads="input")), "P", ["state"]),
        (
            GateSpec(
                candidate=Gate("tanh", "input"),
                forget=0.9,
                output=Gate(reads=("input", "memory")),
                separate_memory=True,
            ),
            "P",  # the output gate reads the memory when it is known, and hands nothing on
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
    if kind is None:
        assert spec.kind == "D"
        return
    assert spec.kind == kind
    assert list(spec.states) == states


def test_ties_have_one_spelling():
    for given, written in (
        ("1-forget", "1 - forget"),
        ("forget( s-1 )", "forget(s - 1)"),
        ("1 - forget(s + 0.50)", "1 - forget(s + 0.5)"),
    ):
        assert GateSpec(forget=Gate(), input=given).input == written


def test_specs_that_compute_the_same_are_equal_whatever_they_are_called():
    assert replace(LSTM, name="mine", source="me") == LSTM
    assert hash(replace(LSTM, name="mine")) == hash(LSTM)
    assert replace(LSTM, forget="1-input") == replace(LSTM, forget=" 1 - input ")
    assert Gate(reads=("state", "input")) == Gate(reads=("input", "state", "state"))
    assert Gate(reads="tanh( state )") == Gate(reads=("tanh(state)",))
    assert GateSpec(input=1) == GateSpec()
    assert replace(LSTM, forget=1.0) != LSTM


def test_partial_configs_keep_defaults():
    assert GateSpec.from_config({"forget": {}, "input": "1 - forget"}) == gate_spec("ugrnn")


def test_a_tie_to_a_number_is_the_number_it_comes_to():
    assert GateSpec(forget=0.75, input="1 - forget") == GateSpec(forget=0.75, input=0.25)
    assert replace(LSTM, forget="1 - input", input=0.25).forget == 0.75
    chain = replace(LSTM, forget="1 - output", input="1 - forget", output=0.5)
    assert (chain.forget, chain.input) == (0.5, 0.5)


def test_a_number_of_any_type_is_stored_as_a_float():
    for half in (np.float32(0.5), np.float64(0.5), Fraction(1, 2)):
        spec = GateSpec(forget=half)
        assert spec == GateSpec(forget=0.5)
        assert type(spec.forget) is float
    assert type(GateSpec(forget=np.int64(1)).forget) is float


OF_ANY = "give a Gate, a number, or a tie such as '1 - input'"
NEVER_WRITES = "the memory stays 0: make input, or what it is tied to, a Gate or another number"
CONTRADICTIONS = {
    "unknown activation": (lambda: Gate("tahn"), "unknown activation 'tahn': name one of keras.activations"),
    "activation that JSON cannot hold": (lambda: Gate(abs), "name one of keras.activations"),
    "unknown output activation": (lambda: replace(LSTM, output_activation="x"), "unknown activation 'x'"),
    "unknown source": (lambda: Gate(reads=("input", "stat")), "'stat': use any of input, previous input"),
    "unknown activation of a source": (lambda: Gate(reads="tahn(state)"), "unknown activation 'tahn'"),
    "activation of the gates": (
        lambda: Gate(reads="tanh(gates)"),
        "write 'gates' in place of 'tanh\\(gates\\)'",
    ),
    "no word": (lambda: Gate(reads=(1,)), "a gate cannot read 1: use any of"),
    "two ways to read the state": (
        lambda: Gate(reads=("state", "tanh(state)")),
        "reads 'state' in two ways: choose one",
    ),
    "two states": (lambda: Gate(reads=("state", "modulated state")), "reads both .*: leave one of them out"),
    "no gates to read": (
        lambda: GateSpec(candidate=Gate("tanh", ("input", "gates"))),
        "no gates to read: add a gate, or leave 'gates' out",
    ),
    "shift of a number": (
        lambda: GateSpec(forget=0.5, input="1 - forget(s - 1)"),
        "input shifts what the activation of forget is applied to, but forget is 0.5: make it a Gate",
    ),
    "shift of a tie": (
        lambda: GateSpec(forget="1 - reset", input="forget(s + 1)", reset=Gate()),
        "but forget is '1 - reset': make it a Gate, or leave the shift out",
    ),
    "shift that is no number": (
        lambda: GateSpec(forget=Gate(), input="forget(s - x)"),
        "cannot read the tie",
    ),
    "gate that reads nothing": (lambda: Gate(reads=()), "write a number in its place"),
    "candidate that is not learned": (lambda: GateSpec(candidate=1.0), "candidate is 1.0: .* give a Gate"),
    "gate of another type": (lambda: GateSpec(forget=None), f"forget is None: {OF_ANY}"),
    "boolean gate": (lambda: GateSpec(input=True), f"input is True: {OF_ANY}"),
    "infinite gate": (lambda: GateSpec(forget=float("inf")), f"forget is inf: {OF_ANY}"),
    "unreadable tie": (lambda: GateSpec(forget="2 * input"), "cannot read the tie '2 \\* input'"),
    "unknown tie": (
        lambda: GateSpec(forget="1 - inptu"),
        "forget is tied to 'inptu', which is no gate: tie it to one of input, reset, output",
    ),
    "tie to the candidate": (lambda: GateSpec(forget="candidate"), "tie it to one of input, reset, output"),
    "tie to itself": (lambda: GateSpec(forget="1 - forget"), "tie it to one of input, reset, output"),
    "circle of ties": (
        lambda: GateSpec(forget="1 - input", input="reset", reset="forget"),
        "-> .* is a circle of ties: make one of them a Gate or a number",
    ),
    "tie to what comes later": (
        lambda: replace(LSTM, input="output", output=Gate(reads=("input", "memory"))),
        "input is tied to output, which reads the memory that input helps to form: leave 'memory' out",
    ),
    "nothing reads the input": (
        lambda: GateSpec(candidate=Gate(reads="state")),
        "add 'input' to what the candidate reads",
    ),
    "nothing is written": (lambda: GateSpec(input=0, forget=Gate()), NEVER_WRITES),
    "nothing is kept or written": (lambda: GateSpec(input=0), NEVER_WRITES),
    "nothing is written by a tie": (lambda: GateSpec(input="1 - forget", forget=1), NEVER_WRITES),
    "nothing is written while all is kept": (lambda: GateSpec(input=0.0, forget="1 - input"), NEVER_WRITES),
    "nothing is shown": (
        lambda: GateSpec(output=0.0, separate_memory=True),
        "nothing of the memory is shown: make output, or what it is tied to, a Gate or another number",
    ),
    "nothing of the state is seen": (
        lambda: GateSpec(reset=0.0),
        "sees nothing of the state: leave the state out of what it reads, or make reset, .* another number",
    ),
    "nothing of the state is seen by a tie": (
        lambda: GateSpec(reset="1 - input"),
        "sees nothing of the state: leave the state out of what it reads",
    ),
    "layer normalisation of nothing": (
        lambda: GateSpec(candidate=Gate(reads=("raw input", "memory")), layer_norm=True),
        "nothing to normalise, .*: add 'input' to what the candidate reads, or leave layer_norm out",
    ),
    "layer normalisation of what is reset and what is not": (
        lambda: replace(GRU, candidate=Gate("tanh", ("input", "state", "gates")), layer_norm=True),
        "reset_after resets the state alone: leave one of these two out, or 'gates'",
    ),
    "reads that are none": (lambda: Gate(reads=None), "reads is None: give what the gate reads, such as"),
    "reads that are a number": (lambda: Gate(reads=3), "reads is 3: give what the gate reads, such as"),
    "a memory that is no bool": (
        lambda: GateSpec(separate_memory="no"),
        "separate_memory is 'no': give True or False",
    ),
    "a place of a reset that is no bool": (
        lambda: replace(GRU, reset_after=1),
        "reset_after is 1: give True or False",
    ),
    "a normalisation that is no bool": (
        lambda: GateSpec(layer_norm=None),
        "layer_norm is None: give True or False",
    ),
    "a name that is no string": (lambda: GateSpec(name=3), "name is 3: give a string"),
    "a source that is no string": (lambda: GateSpec(source=None), "source is None: give a string"),
    "a number that is a NumPy bool": (lambda: GateSpec(forget=np.bool_(True)), "forget is .*: give a Gate"),
    "unknown entry of a gate": (
        lambda: GateSpec.from_config({"candidate": {"foo": 1}}),
        "candidate, a gate, has no entry 'foo': use any of activation, reads",
    ),
    "output gate without a memory": (
        lambda: replace(GRU, output=Gate()),
        "set separate_memory=True, or leave output out",
    ),
    "output activation without a memory": (
        lambda: replace(GRU, output_activation="tanh"),
        "set separate_memory=True, or leave it out",
    ),
    "reset of a state that is not read": (
        lambda: replace(GRU, candidate=Gate("tanh", reads="input")),
        "add 'state' to what the candidate reads, or leave reset out",
    ),
    "place of a reset that is not there": (
        lambda: replace(LSTM, reset_after=True),
        "add a reset gate, or leave reset_after out",
    ),
    "unknown entry": (
        lambda: GateSpec.from_config({"foget": 1.0}),
        "no entry 'foget': use any of candidate, forget",
    ),
    "unknown name": (lambda: gate_spec("lstn"), "no cell called 'lstn'; did you mean lstm"),
    "name of a class": (
        lambda: gate_spec("sru"),
        "sru has no declaration: it is the class textrnn.cells.sru",
    ),
}


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_a_contradiction_is_refused_with_what_to_change(contradiction):
    make, message = CONTRADICTIONS[contradiction]
    with pytest.raises(InputError, match=message):
        make()

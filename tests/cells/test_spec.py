"""A gate spec is data: it goes to JSON and back, and one that contradicts itself is refused."""

import json
import re
from dataclasses import replace

import pytest
from references.gated_cells import REFERENCES

from textrnn.cells import GATE_SPECS, Gate, GateSpec, gate_spec
from textrnn.errors import InputError

LSTM = gate_spec("lstm")
GRU = gate_spec("gru")


@pytest.mark.parametrize("name", REFERENCES)
def test_a_spec_survives_json(name):
    spec = REFERENCES[name].spec
    copy = GateSpec.from_config(json.loads(json.dumps(spec.get_config())))
    assert copy == spec
    assert (copy.name, copy.equation, copy.source) == (spec.name, spec.equation, spec.source)


@pytest.mark.parametrize("name", GATE_SPECS)
def test_a_named_spec_says_its_equation_and_source(name):
    spec = gate_spec(name)
    assert spec.name == name
    assert "h = " in spec.equation
    assert re.search(r"\b(19|20)\d\d\b", spec.source)


def test_specs_that_compute_the_same_are_equal_whatever_they_are_called():
    assert replace(LSTM, name="mine", source="me") == LSTM
    assert hash(replace(LSTM, name="mine")) == hash(LSTM)
    assert replace(LSTM, forget="1-input") == replace(LSTM, forget=" 1 - input ")
    assert Gate(reads=("state", "input")) == Gate(reads=("input", "state", "state"))
    assert GateSpec(input=1) == GateSpec()
    assert replace(LSTM, forget=1.0) != LSTM


def test_partial_configs_keep_defaults():
    assert GateSpec.from_config({"forget": {}, "input": "1 - forget"}) == REFERENCES["ugrnn"].spec


OF_ANY = "give a Gate, a number, or a tie such as '1 - input'"
CONTRADICTIONS = {
    "unknown activation": (lambda: Gate("tahn"), "unknown activation 'tahn': name one of keras.activations"),
    "activation that JSON cannot hold": (lambda: Gate(abs), "name one of keras.activations"),
    "unknown output activation": (lambda: replace(LSTM, output_activation="x"), "unknown activation 'x'"),
    "unknown source": (lambda: Gate(reads=("input", "stat")), "'stat': use any of input, state, memory"),
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
    "nothing is kept or written": (
        lambda: GateSpec(input=0),
        "the memory stays 0: make one of them a Gate or 1",
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
    "unknown name": (lambda: gate_spec("lstn"), "no cell called 'lstn': use one of simple, lstm, gru"),
}


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_a_contradiction_is_refused_with_what_to_change(contradiction):
    make, message = CONTRADICTIONS[contradiction]
    with pytest.raises(InputError, match=message):
        make()

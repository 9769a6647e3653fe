"""Calls of signatures: pure functions from texts and options to inputs, and from outputs to answers."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from textrnn.client.answers import Candidate, Classification, Explanation, Translation
from textrnn.errors import InputError, ServerError, expect, is_integer, is_number
from textrnn.unicode import well_formed

TYPES: dict[str, Any] = {
    "max_new_tokens": np.int32,
    "temperature": np.float32,
    "top_k": np.int32,
    "top_p": np.float32,
    "seed": np.int64,
    "num_beams": np.int32,
    "length_penalty": np.float32,
}
"""Parameters of signatures. A negative value stands for the model's own."""
TOKENS = (0, 4096)
RANGES: dict[str, dict[str, tuple[int, int]]] = {
    "generate": {"max_new_tokens": TOKENS},
    "translate": {"max_new_tokens": (0, 1024), "num_beams": (1, 32)},
}
"""Smallest and largest values of parameters by signature. A signature itself clips others silently."""


class Call(NamedTuple):
    """A call of a signature.

    Attributes:
        signature: Its name.
        inputs: The inputs by name, arrays or nested lists with the rows first.
        outputs: Names of outputs that the answer is read from.
    """

    signature: str
    inputs: Mapping[str, Any]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """A call, and how its outputs are read.

    Attributes:
        call: The `Call`.
        read: A function from the outputs, by name and as nested lists, to the answers of the rows.
        single: Whether there is one text, rather than a list.
        check: A call that only models of this task answer, where others answer `call` as well; or None.
    """

    call: Call
    read: Callable[[dict[str, list]], list]
    single: bool
    check: Call | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is no text to ask about."""
        return not self.call.inputs["text"]

    def answer(self, outputs: Mapping[str, Any]):
        """The answer: one, or a list.

        Raises:
            InputError: If the model has not the outputs of such a signature.
        """
        missing = [name for name in self.call.outputs if name not in outputs]
        expect(
            not missing,
            f"the signature {self.call.signature} of this model gives {', '.join(outputs)}, and no "
            f"{', '.join(missing)}: ask a model of another task",
        )
        answers = self.read({name: plain(value) for name, value in outputs.items()})
        return answers[0] if self.single else answers


def generate(text: str | Sequence[str], **options) -> Question:
    """Texts with their continuations.

    Example:

    >>> from textrnn.client.calls import generate
    >>> question = generate("It was a", top_k=5)
    >>> question.call.inputs["top_k"].tolist()
    [5]
    >>> question.answer({"text": ["It was a dark night"]})
    'It was a dark night'
    """
    return _question("generate", text, options, lambda found: found["text"], ("text",))


def classify(text: str | Sequence[str]) -> Question:
    """A `Classification` of each text.

    Example:

    >>> from textrnn.client.calls import classify
    >>> row = {"label": ["good"], "labels": [["bad", "good"]], "scores": [[0.2, 0.8]], "unfamiliar": [True]}
    >>> classify("Quelle joie").answer(row).unfamiliar
    True
    """

    def read(found):
        return [
            Classification(
                row["label"],
                dict(zip(row["labels"], row["scores"], strict=True)),
                row.get("unfamiliar", False),  # models exported by an earlier version lack it
            )
            for row in _rows(found)
        ]

    return _question("serving_default", text, {}, read, ("label", "labels", "scores"))


def explain(text: str | Sequence[str]) -> Question:
    """An `Explanation` of each text."""

    def read(found):
        return [_explanation(row) for row in _rows(found)]

    return _question("explain", text, {}, read, ("label", "words", "weights", "total"))


def translate(text: str | Sequence[str], details: bool, **options) -> Question:
    """A translation of each text, or with details a `Translation`.

    Example:

    >>> from textrnn.client.calls import translate
    >>> translate("A dog", details=False, num_beams=None).call.signature
    'serving_default'
    >>> translate("A dog", details=False, num_beams=5).call.signature
    'translate'
    """
    if details:
        names = ("text", "scores", "tokens", "attention", "source_tokens", "unfinished", "truncated")
        return _question(
            "translate", text, options, lambda found: [_translation(row) for row in _rows(found)], names
        )
    if all(value is None for value in options.values()):  # attention is large, so it is not asked for
        question = _question("serving_default", text, {}, lambda found: found["text"], ("text",))
        return replace(question, check=_cheapest_translation())
    return _question("translate", text, options, lambda found: [row[0] for row in found["text"]], ("text",))


def _cheapest_translation() -> Call:
    options = {"num_beams": 1, "length_penalty": None, "max_new_tokens": 0}
    return _question("translate", "", options, list, ("text",)).call


@contextmanager
def missing_signature_named(model: str, call: Call):
    """Context manager that raises an `InputError` where a server says that a model has no such signature.

    Example:

    >>> from textrnn.client.calls import explain, missing_signature_named
    >>> with missing_signature_named("novel", explain("A joy.").call):
    ...     raise textrnn.ServerError('Serving signature name: "explain" not found in signature def')
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: the model novel has no signature explain: ask a model of another task
    """
    try:
        yield
    except ServerError as error:
        if not re.search(rf'signature (name:|key) "{call.signature}" not found', str(error)):  # REST, gRPC
            raise
        raise InputError(
            f"the model {model} has no signature {call.signature}: ask a model of another task"
        ) from None


def column(name: str, value, rows: int, within: tuple[int, int] | None = None) -> np.ndarray:
    """A parameter of a signature as an array `(rows,)`.

    Args:
        name: One of `TYPES`.
        value: A number for all rows, a list with one for each, or None for the model's own.
        rows: How many there are.
        within: The smallest and the largest value of an integer.

    Raises:
        InputError: If it is none of these.

    Example:

    >>> from textrnn.client.calls import column
    >>> column("top_p", 0.5, 2).tolist(), column("seed", [1, None], 2).tolist()
    ([0.5, 0.5], [1, -1])
    """
    values = list(value) if isinstance(value, (Sequence, np.ndarray)) and not _is_text(value) else None
    expect(
        values is None or len(values) == rows,
        f"{name} has {len(values or ())} values for {rows} texts: give one for each, or one for all",
    )
    return np.array([_number(name, one, within) for one in values or [value] * rows], TYPES[name])


def plain(value):
    """An output as nested lists, with bytes as text."""
    if not isinstance(value, np.ndarray):
        return value
    return _decoded(value.tolist()) if value.dtype == object else value.tolist()


def _decoded(value):
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _question(signature, text, options, read, outputs):
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, Sequence) or not all(isinstance(one, str) for one in texts):
        raise InputError(f"text is {text!r:.80}: expected a string, or a list of strings")
    ranges = RANGES.get(signature, {})
    parameters = {name: column(name, value, len(texts), ranges.get(name)) for name, value in options.items()}
    inputs = {"text": [well_formed(one) for one in texts], **parameters}
    return Question(Call(signature, inputs, outputs), read, isinstance(text, str))


def _number(name, value, within):
    if value is None:
        return -1
    if TYPES[name] is np.float32:
        fits = is_number(value) and math.isfinite(value)
        what = "a number"
    else:
        most = np.iinfo(TYPES[name]).max
        low, high = within or (-most, most)
        fits = is_integer(value) and low <= value <= high
        what = f"an integer from {low} to {high}" if within else f"an integer of at most {most}"
    expect(fits, f"{name} is {value!r:.80}: expected {what}, or None")
    return value


def _is_text(value):
    return isinstance(value, (str, bytes))


def _rows(found):
    """The outputs of each row."""
    return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]


def _explanation(row):
    count = max((place for place, word in enumerate(row["words"], start=1) if word), default=0)
    attention = row.get("attention")
    return Explanation(
        row["label"],
        row["words"][:count],
        row["weights"][:count],
        row["total"],
        None if attention is None else attention[:count],
    )


def _translation(row):
    kept = [place for place, token in enumerate(row["source_tokens"]) if token]
    candidates = [
        Candidate(
            text,
            score,
            [token for token in tokens if token],
            [
                [weights[place] for place in kept]
                for token, weights in zip(tokens, attention, strict=True)
                if token
            ],
            unfinished,
        )
        for text, score, tokens, attention, unfinished in zip(
            *(row[name] for name in ("text", "scores", "tokens", "attention", "unfinished")), strict=True
        )
        if score > NO_BEAM
    ]
    source_tokens = [row["source_tokens"][place] for place in kept]
    return Translation(candidates, source_tokens, row["truncated"], row.get("unfamiliar", False))


NO_BEAM = -1e9
"""The score of a row that has fewer beams than others."""

"""A prompt whose text is generated in parts: what a client sends, and in which order."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from textrnn.client.calls import TOKENS, Call, column, plain
from textrnn.errors import expect
from textrnn.serving.running_text import RunningText, padded
from textrnn.unicode import well_formed

TOKENS_PER_CALL = 8
"""Tokens of a call of `advance`, after a first call for one."""


@dataclass(frozen=True)
class Prompt:
    """A prompt whose text is generated in parts.

    Attributes:
        text: The prompt.
        stop: Texts before which the text ends.
        max_new_tokens: Maximum number of tokens.
        options: `temperature`, `top_k`, `top_p` and `seed`; None for the model's own.

    Raises:
        InputError: If any of these is not as it should be.
    """

    text: str
    stop: tuple[str, ...]
    max_new_tokens: int
    options: Mapping[str, Any]

    def __post_init__(self):
        expect(isinstance(self.text, str), f"text is {self.text!r:.80}: expected a string")
        expect(
            all(isinstance(one, str) and one for one in self.stop),
            f"stop is {self.stop!r:.80}: expected strings that are not empty",
        )
        expect(self.max_new_tokens is not None, "max_new_tokens is None: expected an integer")
        column("max_new_tokens", self.max_new_tokens, 1, TOKENS)
        for name, value in self.options.items():
            column(name, value, 1)

    def body(self) -> dict[str, Any]:
        """The JSON object of a request to `:stream` of `textrnn serve`.

        Example:

        >>> from textrnn.client.prompt import Prompt
        >>> Prompt("It was", (), 20, {"top_k": None, "seed": 3}).body()
        {'text': 'It was', 'max_new_tokens': 20, 'seed': 3}
        """
        given = {name: column(name, value, 1).tolist()[0] for name, value in self.options.items()}
        options = {name: value for name, value in given.items() if value >= 0}
        stop = {"stop": [*self.stop]} if self.stop else {}
        text, most = well_formed(self.text), int(self.max_new_tokens)
        return {"text": text, "max_new_tokens": most, **options, **stop}

    def steps(self) -> Generator[Call | str, Any, None]:
        """Generate the text by calls of signatures, as any TF Serving has them.

        Yields:
            A `Call`, for whose outputs the generator waits, or a piece of the text.
        """
        options = {name: column(name, value, 1) for name, value in self.options.items()}
        seed = options.pop("seed")
        inputs = {"text": [well_formed(self.text)], "seed": seed}
        found = yield Call("read", inputs, ("token_ids", "seed"))
        fixed = {"seed": found["seed"], **options}
        [last_token] = plain(found["token_ids"])
        text, reason, most = RunningText(last_token, self.stop, self.text.endswith(" ")), None, 1
        while reason is None and (left := self.max_new_tokens - text.count) > 0:
            carried = {name: x for name, x in found.items() if name.startswith("carried_")}
            inputs = {
                "token_ids": found["token_ids"],
                "index": np.array([text.count], np.int32),
                "steps": np.array([min(most, left)], np.int32),
            }
            found = yield Call("advance", {**fixed, **inputs, **carried}, ("tokens", "count", "finished"))
            [tokens], [count], [finished] = (plain(found[name]) for name in ("tokens", "count", "finished"))
            text.tokens += tokens[:count]
            last = "stop" if finished else "length" if count >= left else None
            decoded = yield Call("detokenize", {"token_ids": padded(text.undecoded())}, ("text",))
            before, whole = plain(decoded["text"])
            piece, reason = text.take(before, whole, last)
            most = TOKENS_PER_CALL
            if piece:
                yield piece


def next_step(steps: Generator[Call | str, Any, None], outputs) -> Call | str | None:
    """Give a generator the outputs of its last call, and return what it yields then; None at its end."""
    try:
        return steps.send(outputs)
    except StopIteration:
        return None

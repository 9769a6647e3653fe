"""Requests for texts, and their answers piece by piece, as JSON objects: the same over REST and gRPC."""

from typing import Any

from textrnn.server.errors import invalid
from textrnn.server.json_tensors import shown
from textrnn.server.streams import Piece

MAX_NEW_TOKENS = 4096
MOST_STOPS, LONGEST_STOP = 64, 1000
"""Stop texts and characters of one: each text is searched for them after each iteration."""


def prompt_settings(body: dict[str, Any], text: str, length: str, default_length: int) -> dict[str, Any]:
    """The arguments of a `Prompt` from the body of a request.

    Args:
        body: The parsed body.
        text, length: The keys of the prompt, and of the maximum number of new tokens.
        default_length: The maximum if the body has none.

    Raises:
        RequestError: If a value is not as it should be.

    Example:

    >>> from textrnn.server.prompts import prompt_settings
    >>> prompt_settings({"text": "It was", "top_p": 0.9, "stop": "."}, "text", "max_new_tokens", 100)["stop"]
    ('.',)
    """
    prompt = body.get(text)
    if not isinstance(prompt, str):
        raise invalid(f"'{text}' key must be a string: a prompt")
    stop = [] if body.get("stop") is None else body["stop"]
    stop = (stop,) if isinstance(stop, str) else tuple(stop) if isinstance(stop, list) else None
    if stop is None or not all(isinstance(one, str) and one for one in stop):
        raise invalid("'stop' key must be a string, or a list of strings that are not empty")
    if len(stop) > MOST_STOPS or any(len(one) > LONGEST_STOP for one in stop):
        raise invalid(
            f"'stop' key: expected at most {MOST_STOPS} strings of at most {LONGEST_STOP} characters"
        )
    settings = {
        "max_new_tokens": number(body, length, int, 0, MAX_NEW_TOKENS, default_length),
        "temperature": number(body, "temperature", float, 0, 1e4, -1.0),
        "top_k": number(body, "top_k", int, 0, 2**31 - 1, -1),
        "top_p": number(body, "top_p", float, 0, 1, -1.0),
        "seed": number(body, "seed", int, 0, 2**63 - 1, -1),
    }
    return settings | {"text": prompt, "stop": stop}


def stream_settings(body: dict[str, Any], others: tuple[str, ...] = ()) -> dict[str, Any]:
    """The arguments of a `Prompt` from a request for a stream.

    Args:
        body: The parsed body.
        others: Further keys that it may have.

    Raises:
        RequestError: If a value is not as it should be, or for a key that is none.

    Example:

    >>> from textrnn.server.prompts import stream_settings
    >>> stream_settings({"text": "It was", "max_tokens": 20})
    Traceback (most recent call last):
    textrnn.server.errors.RequestError: 'max_tokens' key is unknown: expected text, max_new_tokens, temperature, top_k, top_p, seed, stop
    """  # noqa: E501
    known = ("text", "max_new_tokens", "temperature", "top_k", "top_p", "seed", "stop", *others)
    for key in body:
        if key not in known:
            raise invalid(f"{key!r:.80} key is unknown: expected {', '.join(known)}")
    return prompt_settings(body, "text", "max_new_tokens", 100)


def number(body: dict[str, Any], name: str, kind: type, low: float, high: float, default: float) -> Any:
    """A number of the body of a request, or the default if it has none.

    Raises:
        RequestError: If it is not of that kind, `int` or `float`, or out of range.

    Example:

    >>> from textrnn.server.prompts import number
    >>> number({"n": 2, "top_p": None}, "n", int, 1, 128, default=1)
    2
    """
    value = body.get(name)
    if value is None:
        return default
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
    if not fits or (kind is int and not isinstance(value, int)):
        what = "an integer" if kind is int else "a number"
        raise invalid(f"{name} is {shown(value)}: expected {what} from {low} to {high}")
    return kind(value)


def event_of(piece: Piece) -> dict[str, Any]:
    """A piece without an error as an event of a stream.

    Example:

    >>> from textrnn.server.prompts import event_of
    >>> from textrnn.server.streams import Piece
    >>> event_of(Piece(" dark", 3))
    {'text': ' dark', 'tokens': 3, 'finish_reason': None}
    """
    return {"text": piece.text, "tokens": piece.tokens, "finish_reason": piece.reason}

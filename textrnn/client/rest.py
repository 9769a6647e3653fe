"""TF Serving's REST API as a client sees it: pure functions of requests and answers."""

import email.utils
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from textrnn.client.calls import Call
from textrnn.errors import ServerError
from textrnn.serving.codes import code_of


def path_of(model: str, method: str) -> str:
    """The path of a request.

    Example:

    >>> from textrnn.client.rest import path_of
    >>> path_of("novel/versions/2", "predict")
    '/v1/models/novel/versions/2:predict'
    """
    return f"/v1/models/{quote(model)}:{method}"


def body_of(call: Call) -> bytes:
    """The body of a request.

    Example:

    >>> from textrnn.client.calls import Call
    >>> from textrnn.client.rest import body_of
    >>> body_of(Call("read", {"text": ["It was"], "seed": np.array([3])}, ()))
    b'{"signature_name": "read", "inputs": {"text": ["It was"], "seed": [3]}}'
    """
    inputs = {name: x.tolist() if isinstance(x, np.ndarray) else x for name, x in call.inputs.items()}
    return json.dumps({"signature_name": call.signature, "inputs": inputs}).encode()


def outputs_of(call: Call, body: bytes, url: str) -> dict[str, Any]:
    """The outputs of a call from the body of an answer.

    Raises:
        ServerError: If the body is not that of an answer.

    Example:

    >>> from textrnn.client.calls import Call
    >>> from textrnn.client.rest import outputs_of
    >>> outputs_of(Call("serving_default", {}, ("text",)), b'{"outputs": ["Ein Hund"]}', "")
    {'text': ['Ein Hund']}
    """
    outputs = _object(body).get("outputs")
    if isinstance(outputs, list):  # a single output has no name
        return {call.outputs[0] if len(call.outputs) == 1 else "one output": outputs}
    if not isinstance(outputs, dict):
        raise ServerError(f"{url} answered {_text(body)!r:.200}: is it a server of models?", "UNKNOWN")
    return outputs


def error_of(url: str, status: int, headers: Mapping[str, str], body: bytes) -> ServerError:
    """The error of an answer whose status is not 200.

    Example:

    >>> from textrnn.client.rest import error_of
    >>> error_of("http://server:8501", 404, {}, b'{"error": "Servable not found"}')
    ServerError('http://server:8501: Servable not found (NOT_FOUND)')
    """
    message = _object(body).get("error")
    message = message if isinstance(message, str) else _text(body).strip()[:200]
    code = code_of(status)
    message = message or f"HTTP status {status}"
    return ServerError(f"{url}: {message} ({code})", code, _seconds(headers.get("Retry-After", "")))


def stream_error_of(url: str, status: int, headers: Mapping[str, str], body: bytes) -> ServerError:
    """The error of an answer to `:stream`, `UNIMPLEMENTED` if the server does not know this request.

    Example:

    >>> from textrnn.client.rest import stream_error_of
    >>> body = b'{"error": "Malformed request: POST /v1/models/novel:stream"}'
    >>> stream_error_of("http://server:8501", 400, {}, body).code
    'UNIMPLEMENTED'
    """
    error = error_of(url, status, headers, body)
    unknown = status == 400 and "Malformed request" in str(error)
    unknown |= status in (404, 405, 501) and "Servable not found" not in str(error)
    return ServerError(str(error), "UNIMPLEMENTED") if unknown else error


def event_of(line: str, url: str) -> dict[str, Any] | None:
    """The event of a line of server-sent events, or None if the line has none.

    Raises:
        ServerError: If the event is an error.

    Example:

    >>> from textrnn.client.rest import event_of
    >>> event_of('data: {"text": " dark", "tokens": 1, "finish_reason": null}', "")
    {'text': ' dark', 'tokens': 1, 'finish_reason': None}
    """
    if not line.startswith("data:"):
        return None
    event = _object(line.removeprefix("data:").encode())
    if not isinstance(event.get("text"), str):
        raise ServerError(f"{url}: {event.get('error', line)!s:.200} (UNKNOWN)", "UNKNOWN")
    return event


def _object(body: bytes) -> dict[str, Any]:
    """A JSON object, empty if there is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _seconds(retry_after: str) -> float | None:
    """The seconds of a Retry-After header, which has a number or a date.

    Example:

    >>> from textrnn.client.rest import _seconds
    >>> _seconds("2"), _seconds(""), _seconds("Wed, 21 Oct 2015 07:28:00 GMT")
    (2.0, None, 0.0)
    """
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None

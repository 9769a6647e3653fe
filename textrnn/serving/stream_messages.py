"""The messages of streams over gRPC, a method of `textrnn serve` beside TF Serving's: JSON objects."""

import json
from typing import Any

SERVICE, METHOD = "textrnn.Streams", "Stream"
"""Of the method, which takes one message, and answers with one for each piece of a text."""


def to_bytes(message: dict[str, Any]) -> bytes:
    """Serialize a message.

    Example:

    >>> from textrnn.serving.stream_messages import from_bytes, to_bytes
    >>> from_bytes(to_bytes({"text": "na\u00efve"}))
    {'text': 'na\u00efve'}
    """
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")


def from_bytes(data: bytes) -> dict[str, Any]:
    """Parse a message.

    Raises:
        ValueError: If it is none.
    """
    return json.loads(data)

"""The bodies of requests over REST."""

import asyncio
import gzip
import io
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from textrnn.server.errors import RequestError, invalid
from textrnn.server.json_tensors import parse_object

LONG = 2**16
"""Bytes of JSON whose reading or writing other requests would wait for."""

T = TypeVar("T")


class ClientLeft(ClientDisconnect):
    """There is nobody to answer any more."""

    code = "CANCELLED"


class RefusedBody(RequestError):
    """A request whose body the server does not take.

    Args:
        status: The status of the response.
        message: What was wrong.
    """

    http_status = 400  # type: ignore[assignment]

    def __init__(self, status: int, message: str):
        super().__init__("INVALID_ARGUMENT", message)
        self.http_status = status  # type: ignore[misc]


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """Read the body of a request, and unpack it if it is packed by gzip, as TF Serving does.

    Args:
        scope: ASGI's description of the request.
        receive: ASGI's function that gives its parts.
        most: Maximum number of bytes, packed and unpacked.

    Raises:
        RequestError: If it is larger, packed in another way, or damaged.
        ClientLeft: If the client has left, or has taken too long.
    """
    packed = _is_packed(scope)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        parts.append(message.get("body", b""))
        size, more = size + len(parts[-1]), message.get("more_body", False)
        if size > most:
            raise _too_large(most)
    body = b"".join(parts)
    return await asyncio.to_thread(unpacked, body, most) if packed else body


async def read_object(scope: Scope, receive: Receive, most: int) -> dict[str, Any]:
    """Read the JSON object of a request; see `read_body`."""
    body = await read_body(scope, receive, most)
    return await aside(len(body) > LONG, parse_object, body)


async def aside(long: bool, function: Callable[..., T], *args) -> T:
    """Call a function, in a thread if it takes long, so that other requests do not wait for it."""
    return await asyncio.to_thread(function, *args) if long else function(*args)


def unpacked(body: bytes, most: int) -> bytes:
    """Unpack what gzip has packed.

    Args:
        body: The packed bytes.
        most: Maximum number of unpacked bytes.

    Raises:
        RequestError: If there are more, or if the bytes are damaged.

    Example:

    >>> import gzip
    >>> from textrnn.server.bodies import unpacked
    >>> unpacked(gzip.compress(b"{}"), 2)
    b'{}'
    >>> unpacked(gzip.compress(bytes(3)), 2)
    Traceback (most recent call last):
    textrnn.server.bodies.RefusedBody: the request has more than 2 bytes, which the server takes
    """
    try:
        found = gzip.GzipFile(fileobj=io.BytesIO(body)).read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise invalid(f"the body is not what gzip writes, as its Content-Encoding says: {error}") from None
    if len(found) > most:
        raise _too_large(most)
    return found


def _is_packed(scope):
    encodings = [
        encoding.strip().lower()
        for name, value in scope["headers"]
        if name == b"content-encoding"
        for encoding in value.decode("latin-1").split(",")
    ]
    packed = [encoding for encoding in encodings if encoding not in ("", "identity")]
    if packed and packed not in (["gzip"], ["x-gzip"]):
        raise RefusedBody(415, f"Content-Encoding is {', '.join(packed)}: expected gzip, or none")
    return bool(packed)


def _too_large(most):
    return RefusedBody(413, f"the request has more than {most} bytes, which the server takes")

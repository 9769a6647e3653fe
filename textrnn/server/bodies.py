"""The bodies of requests over REST."""

import asyncio
import gzip
import io
import zlib
from collections.abc import Callable
from contextlib import contextmanager
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
    """Read the body of a request, and decompress it if it is compressed with gzip, as TF Serving does.

    Args:
        scope: ASGI's description of the request.
        receive: ASGI's function that gives its parts.
        most: Maximum number of bytes, compressed and decompressed.

    Raises:
        RequestError: If it is larger, compressed in another way, or damaged.
        ClientLeft: If the client has left, or has taken too long.
    """
    compressed = _is_compressed(scope)
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
    return await aside(len(body) > 2**12, decompressed, body, most) if compressed else body


async def read_object(scope: Scope, receive: Receive, most: int) -> dict[str, Any]:
    """Read the JSON object of a request; see `read_body`."""
    body = await read_body(scope, receive, most)
    return await aside(len(body) > LONG, parse_object, body)


@contextmanager
def until_stop():
    """Context manager in which a request may wait: when the server waits no longer, it is told so."""
    try:
        yield
    except asyncio.CancelledError:  # by uvicorn
        raise RequestError("UNAVAILABLE", "the server is shutting down") from None


async def aside(long: bool, function: Callable[..., T], *args) -> T:
    """Call a function, in a thread if it takes long, so that other requests do not wait for it."""
    return await asyncio.to_thread(function, *args) if long else function(*args)


def decompressed(body: bytes, most: int) -> bytes:
    """Decompress what gzip has compressed.

    Args:
        body: The compressed bytes.
        most: Maximum number of decompressed bytes.

    Raises:
        RequestError: If there are more, or if the bytes are damaged.

    Example:

    >>> import gzip
    >>> from textrnn.server.bodies import decompressed
    >>> decompressed(gzip.compress(b"{}"), 2)
    b'{}'
    >>> decompressed(gzip.compress(bytes(3)), 2)
    Traceback (most recent call last):
    textrnn.server.bodies.RefusedBody: the request has more than 2 bytes, which the server takes
    """
    try:
        found = gzip.GzipFile(fileobj=io.BytesIO(body)).read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise invalid(f"the body is not valid gzip data, as its Content-Encoding says: {error}") from None
    if len(found) > most:
        raise _too_large(most)
    return found


def _is_compressed(scope):
    encodings = [
        encoding.strip().lower()
        for name, value in scope["headers"]
        if name == b"content-encoding"
        for encoding in value.decode("latin-1").split(",")
    ]
    used = [encoding for encoding in encodings if encoding not in ("", "identity")]
    if used and used not in (["gzip"], ["x-gzip"]):
        raise RefusedBody(415, f"Content-Encoding is {', '.join(used)}: expected gzip, or none")
    return bool(used)


def _too_large(most):
    return RefusedBody(413, f"the request has more than {most} bytes, which the server takes")

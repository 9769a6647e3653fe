"""HTTP connections: uvicorn's protocol over a parser in C, with what it lacks."""

import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 2**16
"""Maximum size of the head of a request: its first line and its headers."""


class Connection(HttpToolsProtocol):
    """A connection of a client that is closed if the head of a request does not end.

    The head of an answer and its body are sent at once, and errors of HTTP are JSON like all others.
    """

    _head = 0  # bytes received since the last request was complete

    def connection_made(self, transport) -> None:
        """Begin to listen to a client."""
        super().connection_made(Joined(transport, self.loop))  # type: ignore[arg-type]

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is not HTTP."""
        body = json.dumps({"error": msg}).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse what has been received."""
        self._head += len(data)
        super().data_received(data)
        if self._head > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The head of the request has more than {HEAD_BYTES} bytes.")

    def on_headers_complete(self) -> None:
        """Begin to answer a request."""
        super().on_headers_complete()
        self._head = 0

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, which has a limit of its own."""
        super().on_body(body)
        self._head = 0


class Joined:
    """A transport that sends the head of an answer together with the first part of its body.

    uvicorn writes them one after the other: two system calls, and two packets, for which a client wakes
    twice. A head whose body does not follow in the same iteration of the event loop is sent alone.

    Args:
        transport: An `asyncio.Transport`.
        loop: Its event loop.

    Example:

    >>> import asyncio
    >>> from types import SimpleNamespace
    >>> from textrnn.server.http import Joined
    >>> async def send(*parts):
    ...     sent = []
    ...     joined = Joined(SimpleNamespace(write=sent.append), asyncio.get_running_loop())
    ...     for part in parts:
    ...         joined.write(part)
    ...     await asyncio.sleep(0)
    ...     return sent
    >>> asyncio.run(send(b"HTTP/1.1 200 OK", b"{}", b"more"))
    [b'HTTP/1.1 200 OK{}', b'more']
    >>> asyncio.run(send(b"HTTP/1.1 200 OK"))
    [b'HTTP/1.1 200 OK']
    """

    def __init__(self, transport, loop):
        self._transport, self._loop, self._head = transport, loop, b""

    def write(self, data: bytes) -> None:
        """Send data, or keep it if it is a head."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Send what was kept, and close the connection."""
        self._flush()
        self._transport.close()

    def _flush(self):
        if self._head:
            data, self._head = self._head, b""
            self._transport.write(data)

    def __getattr__(self, name):
        return getattr(self._transport, name)

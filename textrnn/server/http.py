"""HTTP connections: uvicorn's protocol over a parser in C, with what it lacks."""

import asyncio
import json
import math

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES = 2**16
"""Maximum size of the head of a request: its first line and its headers."""

IDLE_SECONDS = 60.0
"""How long a client may take to send a request, and to read anything of an answer."""


class Connection(HttpToolsProtocol):
    """A connection of a client that is closed if a request does not end, or if nobody reads the answer.

    The head of an answer and its body are sent at once, and errors of HTTP are JSON like all others.
    """

    seconds = IDLE_SECONDS
    _head = 0  # bytes received since the last request was complete
    _arrived = False  # whether the last request is complete
    _arriving: asyncio.TimerHandle | None = None  # while it is not, or while no request has come yet
    _writing: asyncio.TimerHandle | None = None  # while the client has much to read
    _answering: RequestResponseCycle | None = None  # the last request whose answer has begun

    def connection_made(self, transport) -> None:
        """Begin to listen to a client."""
        super().connection_made(Joined(transport, self.loop))  # type: ignore[arg-type]
        self._arriving = self.loop.call_later(self.seconds, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self.pipeline.clear()
        if self._answering is not None:
            self.cycle = self._answering  # the one to be told, even if another request has arrived
        super().connection_lost(exc)
        for timer in (self._arriving, self._writing):
            if timer:
                timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is not HTTP."""
        self._refuse("400 Bad Request", msg)

    def data_received(self, data: bytes) -> None:
        """Parse what has been received."""
        self._head += len(data)
        self._arrived = False
        super().data_received(data)
        if self._head > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The head of the request has more than {HEAD_BYTES} bytes.")
        if self._arriving is None and not self._arrived:
            self._arriving = self.loop.call_later(self.seconds, self._late)
        elif self._arriving is not None and self._arrived:
            self._arriving.cancel()
            self._arriving = None

    def on_message_begin(self) -> None:
        """Begin with a request."""
        super().on_message_begin()
        self._arrived = False

    def on_headers_complete(self) -> None:
        """Begin to answer a request, once those before it are answered."""
        before = self.cycle
        super().on_headers_complete()
        self._head = 0
        if before is None or before.response_complete:
            self._answering = self.cycle

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        following = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        self._answering = following or self._answering
        self._await_last_reading()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, which has a limit of its own."""
        super().on_body(body)
        self._head = 0

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        super().on_message_complete()
        self._arrived = True

    def pause_writing(self) -> None:
        """Wait until the client has read, but not for ever."""
        super().pause_writing()
        self._await_reading("_writing")

    def resume_writing(self) -> None:
        """Go on, since the client has read."""
        super().resume_writing()
        if self._writing and not self.transport.is_closing():
            self._writing.cancel()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection without requests, once its client has read the last answer."""
        self._await_reading("timeout_keep_alive_task")

    def _await_last_reading(self):
        """Do not wait for ever for the client to read what is left when the connection ends."""
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            if self._writing:
                self._writing.cancel()
            self._await_reading("_writing")

    def _await_reading(self, timer, before=math.inf):
        """End the connection if the client has read nothing since the last look, or if nothing is left."""
        unread = self.transport.get_write_buffer_size()
        if 0 < unread < before:
            setattr(self, timer, self.loop.call_later(self.seconds, self._await_reading, timer, unread))
        else:
            self.transport.abort()

    def _late(self):
        """End a connection whose request does not arrive, unless it is the server that lets it wait."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if self.flow.read_paused or (answering and not self.cycle.more_body):
            self._arriving = self.loop.call_later(self.seconds, self._late)
        elif self._head or (answering and not self.cycle.response_started):
            self._refuse("408 Request Timeout", f"The request did not arrive within {self.seconds:g} s.")
        else:
            self.transport.close()

    def _refuse(self, status, message):
        body = json.dumps({"error": message}).encode()
        head = (
            f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
        self._await_last_reading()


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

"""HTTP connections: uvicorn's protocol over a parser in C, with a limit that it lacks."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 2**16
"""Maximum size of the head of a request: its first line and its headers."""


class Connection(HttpToolsProtocol):
    """A connection of a client that is closed if the head of a request does not end."""

    _head = 0  # bytes received since the last request was complete

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

"""Requests over REST, by httpx."""

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from textrnn.client.address import Address
from textrnn.client.calls import Call
from textrnn.client.rest import body_of, error_of, event_of, outputs_of, path_of, stream_error_of
from textrnn.errors import ServerError

JSON = {"Content-Type": "application/json"}
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=100)
"""As many connections as there are requests at the same time; the server has limits of its own."""


class RestTransport:
    """Sends requests over REST, and waits.

    Args:
        address: The server.
        headers: Headers of each request.
        **options: Further arguments of `httpx.Client`.
    """

    def __init__(self, address: Address, headers: Mapping[str, str], **options):
        self.url = address.url
        self._client = httpx.Client(headers={**JSON, **headers}, limits=LIMITS, **options)
        weakref.finalize(self, self._client.close)  # if nobody calls `close`

    def predict(self, model: str, call: Call, seconds: float) -> dict[str, Any]:
        """The outputs of a call."""
        url, end = self.url + path_of(model, "predict"), time.monotonic() + seconds
        with (
            _errors(self.url, seconds),
            self._client.stream("POST", url, content=body_of(call), timeout=seconds) as response,
        ):
            parts = []
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > end:  # httpx has limits for each part alone
                    raise TimeoutError
        if response.is_error:
            raise error_of(self.url, response.status_code, response.headers, b"".join(parts))
        return outputs_of(call, b"".join(parts), self.url)

    def stream(self, model: str, body: dict[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
        """Open a stream, and return the iterator of its events."""
        with _errors(self.url, seconds):
            request = self._client.build_request(
                "POST", self.url + path_of(model, "stream"), json=body, timeout=seconds
            )
            response = self._client.send(request, stream=True)
            if response.is_success:
                return self._events(response, seconds)
            response.read()
        raise stream_error_of(self.url, response.status_code, response.headers, response.content)

    def _events(self, response, seconds):
        try:
            with _errors(self.url, seconds):
                lines = Lines()
                for part in response.iter_bytes():
                    for line in lines.of(part):
                        if event := event_of(line, self.url):
                            yield event
                            if event.get("finish_reason"):
                                return
        finally:
            response.close()
        raise _cut_off(self.url)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class AsyncRestTransport:
    """Sends requests over REST, and awaits answers.

    Args:
        address: The server.
        headers: Headers of each request.
        **options: Further arguments of `httpx.AsyncClient`.
    """

    def __init__(self, address: Address, headers: Mapping[str, str], **options):
        self.url = address.url
        self._client = httpx.AsyncClient(headers={**JSON, **headers}, limits=LIMITS, **options)

    async def predict(self, model: str, call: Call, seconds: float) -> dict[str, Any]:
        """The outputs of a call."""
        with _errors(self.url, seconds):
            async with asyncio.timeout(seconds):  # httpx has limits for each part alone
                response = await self._client.post(
                    self.url + path_of(model, "predict"), content=body_of(call), timeout=None
                )
        if response.is_error:
            raise error_of(self.url, response.status_code, response.headers, response.content)
        return outputs_of(call, response.content, self.url)

    async def stream(self, model: str, body: dict[str, Any], seconds: float) -> AsyncIterator[dict[str, Any]]:
        """Open a stream, and return the iterator of its events."""
        with _errors(self.url, seconds):
            request = self._client.build_request(
                "POST", self.url + path_of(model, "stream"), json=body, timeout=seconds
            )
            response = await self._client.send(request, stream=True)
            if response.is_success:
                return self._events(response, seconds)
            await response.aread()
        raise stream_error_of(self.url, response.status_code, response.headers, response.content)

    async def _events(self, response, seconds):
        try:
            with _errors(self.url, seconds):
                lines = Lines()
                async for part in response.aiter_bytes():
                    for line in lines.of(part):
                        if event := event_of(line, self.url):
                            yield event
                            if event.get("finish_reason"):
                                return
        finally:
            await response.aclose()
        raise _cut_off(self.url)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class Lines:
    r"""The lines of server-sent events, from the parts in which they arrive.

    They end with a line feed alone. httpx also ends them at other separators of Unicode, which texts have.

    Example:

    >>> from textrnn.client.rest_transports import Lines
    >>> lines = Lines()
    >>> [lines.of(part) for part in (b"data: o", b"ne \xe2\x80", b"\xa8 two\n\nda")]
    [[], [], ['data: one \u2028 two', '']]
    """

    def __init__(self):
        self._rest = b""

    def of(self, part: bytes) -> list[str]:
        """The lines that a part ends."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        return [line.decode("utf-8", "replace").removesuffix("\r") for line in lines]


@contextmanager
def _errors(url, seconds):
    """Raise a `ServerError` for an error of httpx."""
    try:
        yield
    except (httpx.TimeoutException, TimeoutError):
        raise ServerError(
            f"{url} did not answer within {seconds:.3g} s: give a larger timeout", "DEADLINE_EXCEEDED"
        ) from None
    except httpx.TransportError as error:
        raise ServerError(
            f"{url} cannot be reached ({str(error) or type(error).__name__}): start a server, such as "
            "`textrnn serve`, or give its address",
            "UNAVAILABLE",
        ) from None


def _cut_off(url):
    return ServerError(f"{url} ended a stream before the text ended", "UNAVAILABLE")

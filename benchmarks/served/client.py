"""A client of HTTP on one core: connections that are kept, requests that are bytes already, and times.

Client libraries take as long for a request as a small model does, and client and server share the cores here.
"""

import asyncio
import json
import re
import time
from dataclasses import dataclass, field

EVENT = re.compile(rb"data: (\{.*\})")
SECONDS = 60.0
"""How long an answer may take before it counts as failed."""


def post(path, body):
    """The bytes of a request.

    Example:

    >>> from served.client import post
    >>> post("/v1/models/m:predict", {"instances": [1]}).splitlines()[0]
    b'POST /v1/models/m:predict HTTP/1.1'
    """
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


@dataclass
class Load:
    """What a load has measured.

    Attributes:
        latencies: Seconds of each request that was answered.
        failed: The number of requests with another status than 200, or without an answer.
        elapsed: Seconds from the first request to the last answer.
        errors: Why requests failed: the beginnings of answers, or how connections ended.
    """

    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    elapsed: float = 0.0
    errors: list[str] = field(default_factory=list)

    @property
    def rate(self):
        """Requests per second."""
        return len(self.latencies) / self.elapsed

    def percentile(self, percent):
        """A percentile of the latencies in milliseconds; infinity if no request was answered.

        Example:

        >>> from served import Load
        >>> Load([0.001, 0.002, 0.003]).percentile(50)
        2.0
        """
        ordered = sorted(self.latencies)
        place = min(len(ordered) - 1, int(len(ordered) * percent / 100))
        return 1000 * ordered[place] if ordered else float("inf")


class _Connection(asyncio.Protocol):
    """Sends a request as soon as the one before is answered, until a time.

    Args:
        requests: An iterator of bytes, which other connections share.
        until: The time after which no more requests are sent.
        load: The `Load` to add to.
    """

    def __init__(self, requests, until, load):
        self.requests, self.until, self.load = requests, until, load
        self.ended = asyncio.get_running_loop().create_future()
        self.received, self.size, self.open = b"", None, False

    def connection_made(self, transport):
        self.transport = transport
        self._send()

    def _send(self):
        self.open, self.started = True, time.perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data):
        self.received += data
        if self.size is None:
            head, blank, _ = self.received.partition(b"\r\n\r\n")
            if not blank:
                return
            length = re.search(rb"content-length: *(\d+)", head, re.I)
            self.size = len(head) + 4 + int(length[1])
        if len(self.received) >= self.size:
            self._answered(self.received[9:12] == b"200")

    def _answered(self, well):
        now = time.perf_counter()
        if well:
            self.load.latencies.append(now - self.started)
        else:
            self._fail(self.received[:300].decode("utf-8", "replace"))
        self.received, self.size, self.open = b"", None, False
        if now < self.until:
            self._send()
        else:
            self.transport.close()

    def _fail(self, why):
        self.load.failed += 1
        self.load.errors.append(why)

    def connection_lost(self, error):
        if self.open:
            waited = time.perf_counter() - self.started
            self._fail(f"no answer after {waited:.1f} s: {error or 'the connection was closed'}")
        if not self.ended.done():
            self.ended.set_result(None)


def run_load(port, requests, connections, seconds, patience=SECONDS):
    """Send requests over some connections at the same time.

    Args:
        port: The port of the server on this machine.
        requests: An iterator of bytes without an end.
        connections: Their number. Each waits for its answer before it sends the next request.
        seconds: For how long new requests are sent.
        patience: Seconds after which a request without an answer has failed.

    Returns:
        A `Load`.
    """

    async def run():
        loop, load, start = asyncio.get_running_loop(), Load(), time.perf_counter()
        made = [
            await loop.create_connection(
                lambda: _Connection(requests, start + seconds, load), "127.0.0.1", port
            )
            for _ in range(connections)
        ]
        await asyncio.wait([protocol.ended for _, protocol in made], timeout=seconds + patience)
        for transport, protocol in made:
            if not protocol.ended.done():
                transport.abort()
        await asyncio.sleep(0)
        load.elapsed = time.perf_counter() - start
        return load

    return asyncio.run(run())


class _Stream(asyncio.Protocol):
    """Sends a request, and keeps the answer and the times at which its first event and its end came."""

    def __init__(self, request):
        self.request, self.received, self.first, self.end = request, [], None, None
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport, self.start = transport, time.perf_counter()
        transport.write(self.request)

    def data_received(self, data):
        self.received.append(data)
        if self.first is None and b"data: " in data:
            self.first = time.perf_counter()
        if data.endswith(b"0\r\n\r\n"):  # the end of an answer in chunks
            self.end = time.perf_counter()
            self.transport.close()

    def connection_lost(self, error):
        if not self.ended.done():
            self.ended.set_result(None)


def run_streams(port, requests, patience=SECONDS):
    """Send requests for streams at the same time.

    Args:
        port: The port of the server on this machine.
        requests: A list of bytes.
        patience: Seconds after which a stream that has not ended has failed.

    Returns:
        `(tokens, elapsed, firsts, errors)`: the tokens of all streams, the seconds until the last one ended,
        the seconds to the first piece of each, and for each stream that broke off or had an error what came
        last.
    """

    async def run():
        loop, start = asyncio.get_running_loop(), time.perf_counter()
        made = [
            (await loop.create_connection(lambda request=request: _Stream(request), "127.0.0.1", port))[1]
            for request in requests
        ]
        await asyncio.wait([stream.ended for stream in made], timeout=patience)
        tokens, firsts, errors = 0, [], []
        for stream in made:
            stream.transport.abort()
            received = b"".join(stream.received)
            events = EVENT.findall(received)
            last = json.loads(events[-1]) if events else {}
            if stream.end is None or not last.get("finish_reason"):
                errors.append(f"a stream ended with {received[-300:].decode('utf-8', 'replace')!r}")
                continue
            tokens += last["tokens"]
            firsts.append(stream.first - stream.start)
        return tokens, time.perf_counter() - start, firsts, errors

    return asyncio.run(run())

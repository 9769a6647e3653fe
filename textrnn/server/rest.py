"""TF Serving's REST API, as an ASGI application."""

import asyncio
import json
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

import numpy as np
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope

from textrnn.server import examples, json_tensors
from textrnn.server.bodies import LONG, aside, read_body, until_stop
from textrnn.server.errors import RETRY_AFTER, RequestError, invalid
from textrnn.server.metadata import metadata_json, status_json
from textrnn.server.service import Answer, ModelSpec, Service

VERSION = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
CALL = re.compile(rf"/v1/models/(?P<name>[^/:]+){VERSION}:(?P<method>predict|classify|regress)", re.I)
LOOK = re.compile(rf"/v1/models/(?P<name>[^/:]+){VERSION}(?P<metadata>/metadata)?", re.I)

MOST_VALUES = 2**22
"""Values of an answer: seconds of writing JSON, and tens of megabytes."""

LONG_ANSWER = 2**12
"""Values of an answer whose writing other requests would wait for."""

Outputs = Mapping[str, np.ndarray]


def make_app(service: Service, metrics_path: str | None, routes: list[BaseRoute] | None = None) -> ASGIApp:
    """Make the application.

    Args:
        service: The `Service`.
        metrics_path: The path of the metrics, or None for none.
        routes: Further routes; none of them is for calls of TF Serving's API.
    """
    looks = Route("/{path:path}", Looks(service, metrics_path), methods=None)
    return Calls(
        service, Starlette(routes=[*(routes or []), looks], exception_handlers={Exception: _internal})
    )


class Looks:
    """Answers requests about models and for metrics; others are malformed."""

    def __init__(self, service: Service, metrics_path: str | None):
        self.service, self.metrics_path = service, metrics_path

    async def __call__(self, scope, receive, send):
        """The ASGI interface."""
        response = await answered(self._answer(scope["method"], scope["path"]))
        await response(scope, receive, send)

    async def _answer(self, method: str, path: str) -> Response:
        if method in ("GET", "HEAD"):
            if path == self.metrics_path:
                metrics = self.service.metrics
                return Response(metrics.text(), media_type=metrics.content_type)
            if look := LOOK.fullmatch(path):
                return self._look(spec_of(look), bool(look["metadata"]))
        raise invalid(f"Malformed request: {method} {path}")

    def _look(self, spec: ModelSpec, metadata: bool) -> Response:
        of = (spec.name, spec.version, spec.label)
        models = self.service.models
        return _json(metadata_json(models, *of) if metadata else status_json(models.status(*of)))


class Calls:
    """Answers calls of models.

    They come first, since under load a router takes a tenth of the time of a short request.

    Args:
        service: The `Service`.
        others: The application for all other requests.
    """

    def __init__(self, service: Service, others: ASGIApp):
        self.service, self.others = service, others
        self._from_threads: FromThreads | None = None

    async def __call__(self, scope, receive, send):
        """The ASGI interface."""
        call = (
            CALL.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        )
        if call is None:
            with suppress(asyncio.CancelledError):  # the server has stopped, and the client does not read
                await self.others(scope, receive, send)
            return
        try:
            response = await answered(self._answer(call, scope, receive))
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, call: re.Match, scope: Scope, receive: Receive) -> Response:
        spec, method = spec_of(call), call["method"].lower()
        with self.service.timed(spec, method, "REST"), until_stop():
            body = await read_body(scope, receive, self.service.limits.body_bytes)
            answer, written = await aside(len(body) > LONG, getattr(self, f"_{method}"), spec, body)
            await self._ended(answer.future)
            values = sum(array.size for array in answer.outputs.values())
            if values > MOST_VALUES:
                raise invalid(
                    f"the answer has {values} values, and the server writes {MOST_VALUES} as JSON: send "
                    "fewer or shorter rows at a time, or ask over gRPC"
                )
            return _json(await aside(values > LONG_ANSWER, written, answer.outputs))

    async def _ended(self, future):
        """Wait until the outputs are there.

        Raises:
            RequestError: If that takes too long.
        """
        loop, seconds = asyncio.get_running_loop(), self.service.limits.seconds
        if self._from_threads is None or self._from_threads.loop is not loop:
            self._from_threads = FromThreads(loop)
        ended, from_threads = loop.create_future(), self._from_threads
        future.add_done_callback(lambda _: from_threads.call(_set, ended))
        try:
            async with asyncio.timeout(seconds):
                await ended
        except TimeoutError:
            raise RequestError("DEADLINE_EXCEEDED", f"the model took longer than {seconds:g} s") from None
        finally:
            future.cancel()  # nobody waits any more

    # Each begins with a call, and returns its `Answer` and a function that writes its outputs.

    def _predict(self, spec: ModelSpec, body: bytes) -> tuple[Answer, Callable[[Outputs], bytes]]:
        request, calls = json_tensors.parse_object(body), []

        def make_inputs(signature):
            calls.append(json_tensors.parse_predict(request, signature.inputs))
            return calls[0].inputs

        answer = self.service.submit(_with_signature(spec, request), make_inputs)
        return answer, partial(json_tensors.predict_response, columnar=calls[0].columnar)

    def _classify(self, spec: ModelSpec, body: bytes) -> tuple[Answer, Callable[[Outputs], bytes]]:
        rows, answer = self._examples(spec, body, examples.CLASSIFY)

        def written(outputs):
            results = [[[*one] for one in row] for row in examples.classes(outputs, len(rows))]
            return json.dumps({"results": results}, ensure_ascii=False).encode()

        return answer, written

    def _regress(self, spec: ModelSpec, body: bytes) -> tuple[Answer, Callable[[Outputs], bytes]]:
        rows, answer = self._examples(spec, body, examples.REGRESS)

        def written(outputs):
            return json.dumps({"results": examples.regressions(outputs, len(rows))}).encode()

        return answer, written

    def _examples(self, spec, body, method):
        request = json_tensors.parse_object(body)
        rows = examples.parse_examples(request)
        make_inputs = lambda signature: examples.as_input(rows)  # noqa: E731
        return rows, self.service.submit(_with_signature(spec, request), make_inputs, method=method)


def _with_signature(spec, request):
    return spec._replace(signature=json_tensors.signature_name(request))


class FromThreads:
    """Calls functions in an event loop, from other threads.

    To wake a loop takes a system call, in which it takes the interpreter's lock from who wakes it. So it is
    woken once for the many requests of a batch.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self.loop = loop
        self._calls: deque[tuple] = deque()
        self._woken = False

    def call(self, function: Callable, *args) -> None:
        """Let the loop call a function, which must not raise."""
        self._calls.append((function, args))
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the server has stopped
                self.loop.call_soon_threadsafe(self._run)

    def _run(self):
        self._woken = False  # before it looks, so that no call waits for a later one
        while self._calls:
            function, args = self._calls.popleft()
            function(*args)


def _set(future: asyncio.Future) -> None:
    if not future.done():
        future.set_result(None)


async def answered(answer: Awaitable[Response]) -> Response:
    """Return a response, also for an error.

    Raises:
        ClientDisconnect: If there is nobody to answer.
    """
    try:
        return await answer
    except RequestError as error:
        return error_response(error)
    except ClientDisconnect:
        raise
    except Exception as error:
        logging.getLogger(__name__).exception("a request has failed")
        return _error_of(error)


def error_response(error: RequestError) -> Response:
    """The response to a request that failed."""
    status = error.http_status
    headers = {"Retry-After": str(RETRY_AFTER[status])} if status in RETRY_AFTER else None
    body = json.dumps({"error": str(error)}, ensure_ascii=False).encode("utf-8", "replace")
    return Response(body, status, headers, "application/json")


async def _internal(request, error):
    return _error_of(error)


def _error_of(error: Exception) -> Response:
    return error_response(RequestError("INTERNAL", f"{type(error).__name__}: {error}"))


def spec_of(match) -> ModelSpec:
    digits = match["version"]
    if digits is None:
        return ModelSpec(match["name"], None, match["label"])
    if len(digits) > 19 or int(digits) >= 2**63:  # Python reads no more than 4,300 digits
        raise invalid(f"Malformed request: version {digits[:40]} is out of range")
    return ModelSpec(match["name"], int(digits), match["label"])


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")

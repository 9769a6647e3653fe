"""TF Serving's REST API, as an ASGI application."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from textrnn.server import examples, json_tensors
from textrnn.server.errors import RETRY_AFTER, RequestError, invalid
from textrnn.server.metadata import metadata_json, status_json
from textrnn.server.service import ModelSpec, Service

VERSION = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
CALL = re.compile(rf"/v1/models/(?P<name>[^/:]+){VERSION}:(?P<method>predict|classify|regress)", re.I)
LOOK = re.compile(rf"/v1/models/(?P<name>[^/:]+){VERSION}(?P<metadata>/metadata)?", re.I)


def make_app(service: Service, metrics_path: str | None, routes: list[BaseRoute] | None = None) -> Starlette:
    """Make the application.

    Args:
        service: The `Service`.
        metrics_path: The path of the metrics, or None for none.
        routes: Further routes, which come first.
    """
    rest = Rest(service, metrics_path)
    everything = Route("/{path:path}", rest, methods=None)
    return Starlette(routes=[*(routes or []), everything], exception_handlers={Exception: _internal})


class Rest:
    """Answers all requests of TF Serving's API; others are malformed."""

    def __init__(self, service: Service, metrics_path: str | None):
        self.service, self.metrics_path = service, metrics_path

    async def __call__(self, scope, receive, send):
        """The ASGI interface."""
        request = Request(scope, receive)
        try:
            response = await answered(lambda: self._answer(request))
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if request.method == "POST" and (call := CALL.fullmatch(path)):
            spec = spec_of(call)
            method = call["method"].lower()
            with self.service.timed(spec, method, "REST"):
                return await getattr(self, f"_{method}")(spec, await self._body(request))
        if request.method in ("GET", "HEAD"):
            if path == self.metrics_path:
                metrics = self.service.metrics
                return Response(metrics.text(), media_type=metrics.content_type)
            if look := LOOK.fullmatch(path):
                return self._look(spec_of(look), bool(look["metadata"]))
        raise invalid(f"Malformed request: {request.method} {path}")

    async def _body(self, request: Request) -> dict:
        return await read_object(request, self.service.limits.body_bytes)

    async def _run(self, spec, make_inputs, method):
        future = self.service.submit(spec, make_inputs, method=method)
        return await in_time(future, self.service.limits.seconds)

    async def _predict(self, spec: ModelSpec, request: dict) -> Response:
        spec = spec._replace(signature=json_tensors.signature_name(request))
        calls = []

        def make_inputs(signature):
            calls.append(json_tensors.parse_predict(request, signature.inputs))
            return calls[0].inputs

        answer = await self._run(spec, make_inputs, None)
        return _json(json_tensors.predict_response(answer.outputs, calls[0].columnar))

    async def _classify(self, spec: ModelSpec, request: dict) -> Response:
        rows, answer = await self._examples(spec, request, examples.CLASSIFY)
        results = [
            [[label, score] for label, score in row] for row in examples.classes(answer.outputs, len(rows))
        ]
        return _json(json.dumps({"results": results}, ensure_ascii=False).encode())

    async def _regress(self, spec: ModelSpec, request: dict) -> Response:
        rows, answer = await self._examples(spec, request, examples.REGRESS)
        return _json(json.dumps({"results": examples.regressions(answer.outputs, len(rows))}).encode())

    async def _examples(self, spec, request, method):
        spec = spec._replace(signature=json_tensors.signature_name(request))
        rows = examples.parse_examples(request)
        return rows, await self._run(spec, lambda signature: examples.as_input(rows), method)

    def _look(self, spec: ModelSpec, metadata: bool) -> Response:
        of = (spec.name, spec.version, spec.label)
        models = self.service.models
        return _json(metadata_json(models, *of) if metadata else status_json(models.status(*of)))


async def read_object(request: Request, most: int, seconds: float = 60.0) -> dict:
    """Read the JSON object of a request.

    Args:
        request: The request.
        most: Its maximum number of bytes.
        seconds: How long its client may take.

    Raises:
        RequestError: If it is larger, slower, or no JSON object.
    """
    parts: list[bytes] = []

    async def read():
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise BodyTooLarge(f"the request has more than {most} bytes, which the server takes")
            parts.append(part)

    try:
        await asyncio.wait_for(read(), seconds)
    except TimeoutError:
        raise RequestError("DEADLINE_EXCEEDED", f"the request did not arrive within {seconds:g} s") from None
    body = b"".join(parts)
    if len(body) > 2**16:  # other requests do not wait for it
        return await asyncio.to_thread(json_tensors.parse_object, body)
    return json_tensors.parse_object(body)


class BodyTooLarge(RequestError):
    """A request is larger than the server takes."""

    http_status = 413  # type: ignore[assignment]

    def __init__(self, message: str):
        super().__init__("INVALID_ARGUMENT", message)


async def in_time(future, seconds):
    """Wait for a `concurrent.futures.Future`.

    Raises:
        RequestError: After so many seconds.
    """
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
    except TimeoutError:
        raise RequestError("DEADLINE_EXCEEDED", f"the model took longer than {seconds:g} s") from None


async def answered(answer: Callable[[], Awaitable[Response]]) -> Response:
    """Return a response, also for an error."""
    try:
        return await answer()
    except RequestError as error:
        return error_response(error)


def error_response(error: RequestError) -> Response:
    """The response to a request that failed."""
    status = error.http_status
    headers = {"Retry-After": str(RETRY_AFTER[status])} if status in RETRY_AFTER else None
    body = json.dumps({"error": str(error)}, ensure_ascii=False).encode("utf-8", "replace")
    return Response(body, status, headers, "application/json")


async def _internal(request, error):
    return error_response(RequestError("INTERNAL", f"{type(error).__name__}: {error}"))


def spec_of(match) -> ModelSpec:
    version = None if match["version"] is None else int(match["version"])
    if version is not None and version >= 2**63:
        raise invalid(f"Malformed request: version {match['version']} is out of range")
    return ModelSpec(match["name"], version, match["label"])


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")

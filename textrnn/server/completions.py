"""Texts token by token over server-sent events: `:stream` of a model; and OpenAI's completions and models."""

import asyncio
import contextlib
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match, Route

from textrnn.server import json_tensors
from textrnn.server.errors import RETRY_AFTER, RequestError, invalid
from textrnn.server.metadata import list_json
from textrnn.server.prompts import event_of, prompt_settings, stream_settings
from textrnn.server.rest import VERSION, error_response, read_object, spec_of
from textrnn.server.streams import Piece, Prompt, Streams

STREAM = re.compile(rf"/v1/models/(?P<name>[^/:]+){VERSION}:stream", re.I)
COMPLETIONS = re.compile("/v1/completions")
UNSUPPORTED: dict[str, Any] = {
    "n": 1, "best_of": 1, "logprobs": None, "frequency_penalty": 0, "presence_penalty": 0, "suffix": None,
    "logit_bias": {},
}  # fmt: skip
"""Parameters of OpenAI that the server does not have, with the values that change nothing."""


class Pattern(BaseRoute):
    """A route whose path is a regular expression."""

    def __init__(self, pattern: re.Pattern, endpoint: Callable):
        self.pattern, self.endpoint = pattern, endpoint

    def matches(self, scope):
        """Match POST requests of such a path."""
        fits = scope["type"] == "http" and scope["method"] == "POST" and self.pattern.fullmatch(scope["path"])
        return (Match.FULL, {}) if fits else (Match.NONE, {})

    def url_path_for(self, name, /, **path_params):
        """There are no names of routes."""
        raise NotImplementedError

    async def handle(self, scope, receive, send):
        """Answer a request."""
        try:
            response = await self.endpoint(Request(scope, receive))
        except ClientDisconnect:
            return
        await response(scope, receive, send)


def make_routes(streams: Streams, body_bytes: int) -> list[BaseRoute]:
    """The routes of both forms, and of `GET /v1/models`.

    Args:
        streams: The `Streams`.
        body_bytes: Maximum size of a request.
    """

    async def stream(request):
        try:
            body = await read_object(request.receive, body_bytes)
            spec = spec_of(STREAM.fullmatch(request.url.path))
            prompt, pieces = _prompt(stream_settings(body))
            streams.submit(prompt, spec.name, spec.version, spec.label)
        except RequestError as error:
            return error_response(error)
        return _events(_plain(pieces), prompt)

    async def completions(request):
        try:
            body = await read_object(request.receive, body_bytes)
            for key, neutral in UNSUPPORTED.items():
                if body.get(key, neutral) not in (neutral, None):
                    raise invalid(f"{key} is {json_tensors.shown(body[key])}: it is not supported")
            if not isinstance(body.get("model"), str):
                raise invalid("'model' key must be a string: the name of a model")
            prompt, pieces = _prompt(prompt_settings(body, "prompt", "max_tokens", 16))
            version = streams.submit(prompt, body["model"])
        except RequestError as error:
            return _openai_error(error)
        shape = _Completion(body["model"], version, prompt.text if body.get("echo") is True else "")
        if body.get("stream") is True:
            options = body.get("stream_options")
            usage = isinstance(options, dict) and options.get("include_usage") is True
            return _events(shape.chunks(pieces, usage), prompt)
        return await shape.whole(pieces, prompt)

    async def models(request):
        return Response(list_json(streams.models), media_type="application/json")

    return [Pattern(STREAM, stream), Pattern(COMPLETIONS, completions), Route("/v1/models", models)]


def _prompt(settings: dict[str, Any]) -> tuple[Prompt, asyncio.Queue]:
    """A `Prompt`, and the queue of its pieces."""
    pieces: asyncio.Queue[Piece] = asyncio.Queue()
    return Prompt(receiver=(asyncio.get_running_loop(), pieces), emit=_deliver, **settings), pieces


def _deliver(pieces):
    """Put pieces into the queues of their prompts, which all belong to the event loop of the server."""
    (loop, _), _ = pieces[0]

    def put():
        for (_, queue), piece in pieces:
            queue.put_nowait(piece)

    with contextlib.suppress(RuntimeError):  # the server has stopped
        loop.call_soon_threadsafe(put)


def _events(events: AsyncIterator[str], prompt: Prompt) -> StreamingResponse:
    """A response of server-sent events. A client that leaves frees its place."""

    async def lines():
        try:
            async for event in events:
                yield f"data: {event}\n\n"
        finally:
            prompt.cancelled = True

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines(), media_type="text/event-stream", headers=headers)


async def _plain(pieces) -> AsyncIterator[str]:
    while True:
        piece = await pieces.get()
        if piece.error is not None:
            yield json.dumps({"error": str(piece.error)}, ensure_ascii=False)
            return
        yield json.dumps(event_of(piece), ensure_ascii=False)
        if piece.reason:
            return


class _Completion:
    """The shape of OpenAI's completions."""

    def __init__(self, model: str, version: int, echo: str):
        self.echo = echo
        self.common = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": f"version {version}",
        }

    def _with(self, text, reason, **more):
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
        return self.common | {"choices": [choice]} | more

    async def chunks(self, pieces, usage: bool) -> AsyncIterator[str]:
        """The events of a stream; with `usage`, the last one has the number of tokens."""
        if self.echo:
            yield json.dumps(self._with(self.echo, None), ensure_ascii=False)
        while True:
            piece = await pieces.get()
            if piece.error is not None:
                yield json.dumps(_openai_body(piece.error), ensure_ascii=False)
                return
            yield json.dumps(self._with(piece.text, piece.reason), ensure_ascii=False)
            if piece.reason:
                break
        if usage:
            yield json.dumps(self.common | {"choices": [], "usage": _usage(piece)})
        yield "[DONE]"

    async def whole(self, pieces, prompt) -> Response:
        """The response with the whole text."""
        parts = [self.echo]
        try:
            while True:
                piece = await pieces.get()
                if piece.error is not None:
                    return _openai_error(piece.error)
                parts.append(piece.text)
                if piece.reason:
                    break
        finally:
            prompt.cancelled = True
        whole = self._with("".join(parts), piece.reason, usage=_usage(piece))
        body = json.dumps(whole, ensure_ascii=False)
        return Response(body.encode("utf-8", "replace"), media_type="application/json")


def _usage(last: Piece) -> dict:
    return {"completion_tokens": last.tokens}


def _openai_body(error: RequestError) -> dict:
    kind = "invalid_request_error" if error.http_status < 500 else "server_error"
    return {"error": {"message": str(error), "type": kind, "param": None, "code": error.code.lower()}}


def _openai_error(error: RequestError) -> Response:
    status = error.http_status
    headers = {"Retry-After": str(RETRY_AFTER[status])} if status in RETRY_AFTER else None
    body = json.dumps(_openai_body(error), ensure_ascii=False).encode("utf-8", "replace")
    return Response(body, status, headers, "application/json")

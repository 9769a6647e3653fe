"""Texts token by token over server-sent events: `:stream` of a model; and OpenAI's completions and models."""

import asyncio
import contextlib
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive

from textrnn.server import json_tensors
from textrnn.server.bodies import ClientLeft, read_object, until_stop
from textrnn.server.errors import RETRY_AFTER, RequestError, invalid
from textrnn.server.metadata import list_json
from textrnn.server.prompts import event_of, number, prompt_settings, stream_settings
from textrnn.server.rest import VERSION, error_response, spec_of
from textrnn.server.service import ModelSpec, Service
from textrnn.server.streams import Piece, Prompt, Streams

STREAM = re.compile(rf"/v1/models/(?P<name>[^/:]+){VERSION}:stream", re.I)
COMPLETIONS = re.compile("/v1/completions")
CHAT = re.compile("/v1/chat/completions")
UNSUPPORTED: dict[str, Any] = {
    "logprobs": None, "frequency_penalty": 0, "presence_penalty": 0, "suffix": None, "logit_bias": {},
}  # fmt: skip
"""Parameters of OpenAI that the server does not have, with the values that change nothing."""
MOST_TEXTS = 128
"""Texts of one request."""


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


def make_routes(service: Service, streams: Streams) -> list[BaseRoute]:
    """The routes of both forms, and of `GET /v1/models`.

    Args:
        service: The `Service`, which has the limits and counts requests.
        streams: The `Streams`.
    """
    body_bytes = service.limits.body_bytes

    async def stream(request):
        try:
            with contextlib.ExitStack() as opened:
                spec = spec_of(STREAM.fullmatch(request.url.path))
                opened.enter_context(service.timed(spec, "stream", "REST"))
                with until_stop():
                    body = await read_object(request.scope, request.receive, body_bytes)
                [prompt], pieces = _prompts([stream_settings(body)])
                streams.submit(prompt, spec.name, spec.version, spec.label)
                counting = opened.pop_all()
        except RequestError as error:
            return error_response(error)
        return _events(_plain(pieces), [prompt], counting, lambda error: {"error": str(error)})

    async def completions(request):
        try:
            with contextlib.ExitStack() as opened:
                with until_stop():
                    body = await read_object(request.scope, request.receive, body_bytes)
                model = body.get("model")
                spec = ModelSpec(model if isinstance(model, str) else "")
                opened.enter_context(service.timed(spec, "completions", "REST"))
                as_events, shape, pieces = begin(body)
                if not as_events:
                    return await _unless_left(request.receive, shape.whole(pieces))
                counting = opened.pop_all()
        except RequestError as error:
            return _openai_error(error)
        options = body.get("stream_options")
        usage = isinstance(options, dict) and options.get("include_usage") is True
        return _events(shape.chunks(pieces, usage), shape.prompts, counting, _openai_body)

    def begin(body):
        """Begin with the texts of a request for completions."""
        for key, neutral in UNSUPPORTED.items():
            if body.get(key, neutral) not in (neutral, None):
                raise invalid(f"{key} is {json_tensors.shown(body[key])}: it is not supported")
        if not isinstance(body.get("model"), str):
            raise invalid("'model' key must be a string: the name of a model")
        as_events, echo = (_flag(body, key) for key in ("stream", "echo"))
        prompts, pieces = _prompts(_settings_of_texts(body))
        version = _submit_all(streams, prompts, body["model"])
        return as_events, _Completion(body["model"], version, prompts, echo), pieces

    async def chat(request):
        return _openai_error(RequestError("NOT_FOUND", "there is no chat: use /v1/completions"))

    async def models(request):
        return Response(list_json(streams.models), media_type="application/json")

    patterns = [Pattern(STREAM, stream), Pattern(COMPLETIONS, completions), Pattern(CHAT, chat)]
    return [*patterns, Route("/v1/models", models)]


def _settings_of_texts(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The arguments of a `Prompt` for each text of a request: the `n` texts of a prompt come together."""
    several = number(body, "n", int, 1, MOST_TEXTS, 1)
    if body.get("best_of") not in (None, 1, several):
        raise invalid(f"best_of is {json_tensors.shown(body['best_of'])}: it is not supported")
    listed = body.get("prompt")
    listed = listed if isinstance(listed, list) else [listed]
    if not listed or not all(isinstance(one, str) for one in listed):
        raise invalid("'prompt' key must be a string, or a list of strings")
    if len(listed) * several > MOST_TEXTS:
        raise invalid(f"{len(listed)} prompts, n is {several}: expected at most {MOST_TEXTS} texts")
    settings = prompt_settings(body | {"prompt": listed[0]}, "prompt", "max_tokens", 16)
    return [settings | {"text": one, "choice": choice} for one in listed for choice in range(several)]


def _flag(body, key) -> bool:
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{key} is {json_tensors.shown(value)}: expected true or false")
    return bool(value)


def _prompts(settings: list[dict[str, Any]]) -> tuple[list[Prompt], asyncio.Queue]:
    """A `Prompt` for each text, and the queue of their pieces, each with the number of its text."""
    pieces: asyncio.Queue[tuple[int, Piece]] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    prompts = [
        Prompt(receiver=(loop, pieces, index), emit=_deliver, **one) for index, one in enumerate(settings)
    ]
    return prompts, pieces


def _submit_all(streams: Streams, prompts: list[Prompt], model: str) -> int:
    """Begin to generate all texts, or none."""
    version = 0
    try:
        for prompt in prompts:
            version = streams.submit(prompt, model)
    except RequestError:
        _cancel(prompts)
        raise
    return version


def _cancel(prompts: Sequence[Prompt]) -> None:
    for prompt in prompts:
        prompt.cancelled = True


def _deliver(pieces):
    """Put pieces into the queues of their prompts, which all belong to the event loop of the server."""
    (loop, _, _), _ = pieces[0]

    def put():
        for (_, queue, index), piece in pieces:
            queue.put_nowait((index, piece))

    with contextlib.suppress(RuntimeError):  # the server has stopped
        loop.call_soon_threadsafe(put)


async def _unless_left(receive: Receive, answer: Coroutine[Any, Any, Response]) -> Response:
    """Wait for an answer.

    Raises:
        ClientLeft: If the client leaves before; then nobody computes it any more.
    """

    async def left():
        while (await receive())["type"] != "http.disconnect":
            pass

    answering, leaving = asyncio.ensure_future(answer), asyncio.ensure_future(left())
    try:
        with until_stop():
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise ClientLeft
        return answering.result()
    finally:
        leaving.cancel()
        answering.cancel()


def _events(
    events: AsyncIterator[str],
    prompts: Sequence[Prompt],
    counting: contextlib.ExitStack,
    body_of: Callable[[RequestError], dict],
) -> StreamingResponse:
    """A response of server-sent events, which may end in an error. A client that leaves frees its place."""

    async def lines():
        try:
            with counting:
                async for event in events:
                    yield f"data: {event}\n\n".encode("utf-8", "replace")
        except RequestError as error:
            event = json.dumps(body_of(error), ensure_ascii=False)
            yield f"data: {event}\n\n".encode("utf-8", "replace")
        finally:
            _cancel(prompts)

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines(), media_type="text/event-stream", headers=headers)


async def _plain(pieces) -> AsyncIterator[str]:
    while True:
        _, piece = await pieces.get()
        if piece.error is not None:
            raise piece.error
        yield json.dumps(event_of(piece), ensure_ascii=False)
        if piece.reason:
            return


class _Completion:
    """The shape of OpenAI's completions.

    Args:
        model, version: The model.
        prompts: The texts of the request, those of one prompt one after the other.
        echo: Whether each text begins with its prompt.
    """

    def __init__(self, model: str, version: int, prompts: Sequence[Prompt], echo: bool):
        self.prompts, self.echo = prompts, echo
        self.common = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": f"version {version}",
        }

    async def chunks(self, pieces, usage: bool) -> AsyncIterator[str]:
        """The events of a stream; with `usage`, the last one has the numbers of tokens."""
        more: dict[str, Any] = {"usage": None} if usage else {}

        def chunk(index, text, reason):
            choices = [_choice(index, text, reason)]
            return json.dumps(self.common | {"choices": choices} | more, ensure_ascii=False)

        if self.echo:
            for index, prompt in enumerate(self.prompts):
                yield chunk(index, prompt.text, None)
        tokens, running = 0, len(self.prompts)
        while running:
            index, piece = await pieces.get()
            if piece.error is not None:
                raise piece.error
            yield chunk(index, piece.text, piece.reason)
            if piece.reason:
                tokens, running = tokens + piece.tokens, running - 1
        if usage:
            yield json.dumps(self.common | {"choices": [], "usage": self._usage(tokens)})
        yield "[DONE]"

    async def whole(self, pieces) -> Response:
        """The response with the whole texts."""
        texts = [prompt.text if self.echo else "" for prompt in self.prompts]
        reasons: list[str | None] = [None] * len(texts)
        tokens = 0
        try:
            while None in reasons:
                index, piece = await pieces.get()
                if piece.error is not None:
                    raise piece.error
                texts[index] += piece.text
                if piece.reason:
                    reasons[index] = piece.reason
                    tokens += piece.tokens
        finally:
            _cancel(self.prompts)
        choices = [_choice(index, *pair) for index, pair in enumerate(zip(texts, reasons, strict=True))]
        whole = self.common | {"choices": choices, "usage": self._usage(tokens)}
        body = json.dumps(whole, ensure_ascii=False)
        return Response(body.encode("utf-8", "replace"), media_type="application/json")

    def _usage(self, tokens: int) -> dict:
        prompt_tokens = 0
        for prompt in self.prompts:
            if prompt.tokens is None:  # an export of an earlier version does not count them
                return {"completion_tokens": tokens}
            if prompt.choice == 0:  # each prompt counts once
                prompt_tokens += prompt.tokens
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": prompt_tokens + tokens,
        }


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}


def _openai_body(error: RequestError) -> dict:
    kind = "invalid_request_error" if error.http_status < 500 else "server_error"
    return {"error": {"message": str(error), "type": kind, "param": None, "code": error.code.lower()}}


def _openai_error(error: RequestError) -> Response:
    status = error.http_status
    headers = {"Retry-After": str(RETRY_AFTER[status])} if status in RETRY_AFTER else None
    body = json.dumps(_openai_body(error), ensure_ascii=False).encode("utf-8", "replace")
    return Response(body, status, headers, "application/json")

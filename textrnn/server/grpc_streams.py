"""Texts token by token over gRPC: a method of our own, since TF Serving's API has no streams.

A request has the keys of `:stream` over REST, and the `model` with its `version` or `label`. The texts of all
clients, over REST and gRPC, run in the same batches.
"""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from textrnn.server.errors import RequestError, invalid
from textrnn.server.json_tensors import parse_object
from textrnn.server.prompts import event_of, stream_settings
from textrnn.server.service import ModelSpec, Service
from textrnn.server.streams import Prompt, Streams
from textrnn.serving.stream_messages import METHOD, SERVICE, to_bytes


class StreamService:
    """The service.

    Args:
        service: The `Service`, which counts requests.
        streams: The `Streams`.
        most: How many streams there may be at a time, since each keeps a thread; more are refused.
    """

    def __init__(self, service: Service, streams: Streams, most: int):
        self.service, self.streams, self.most = service, streams, most
        self._places = threading.Semaphore(most)

    def handler(self) -> grpc.GenericRpcHandler:
        """The service as a handler of a `grpc.Server`."""
        method = grpc.unary_stream_rpc_method_handler(self.stream)
        return grpc.method_handlers_generic_handler(SERVICE, {METHOD: method})

    def stream(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Generate a text, and yield its pieces."""
        try:
            body = parse_object(request)
            model = body.get("model")
            spec = ModelSpec(model if isinstance(model, str) else "")
            with self.service.timed(spec, METHOD, "GRPC"), self._place():
                yield from self._pieces(body, context)
        except RequestError as error:
            context.abort(getattr(grpc.StatusCode, error.code, grpc.StatusCode.UNKNOWN), str(error))

    @contextmanager
    def _place(self):
        if not self._places.acquire(blocking=False):
            raise RequestError(
                "RESOURCE_EXHAUSTED",
                f"{self.most} streams are running, and no more are taken: try again later",
            )
        try:
            yield
        finally:
            self._places.release()

    def _pieces(self, body, context):
        pieces: queue.SimpleQueue = queue.SimpleQueue()
        settings = stream_settings(body, ("model", "version", "label"))
        prompt = Prompt(receiver=pieces, emit=_deliver, **settings)
        self.streams.submit(prompt, *_model_of(body))

        def leave():
            prompt.cancelled = True
            pieces.put(None)

        if not context.add_callback(leave):  # the client has left already
            leave()
        while (piece := pieces.get()) is not None:
            if piece.error is not None:
                raise piece.error
            yield to_bytes(event_of(piece))
            if piece.reason:
                return
        raise RequestError("CANCELLED", "the client has left")


def _deliver(pieces):
    for receiver, piece in pieces:
        receiver.put(piece)


def _model_of(body: dict[str, Any]) -> tuple[str, int | None, str | None]:
    """The name, the version and the label of the model that a request is for.

    Example:

    >>> from textrnn.server.grpc_streams import _model_of
    >>> _model_of({"model": "novel", "version": 2})
    ('novel', 2, None)
    """
    name, version, label = (body.get(key) for key in ("model", "version", "label"))
    if not isinstance(name, str):
        raise invalid("'model' key must be a string: the name of a model")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise invalid("'version' key must be an integer")
    if label is not None and not isinstance(label, str):
        raise invalid("'label' key must be a string")
    return name, version, label

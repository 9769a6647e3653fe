"""Requests over gRPC, by the stubs of tensorflow-serving-api. The import loads TensorFlow."""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any

import grpc

from textrnn.client.address import Address, parse_model
from textrnn.client.calls import Call
from textrnn.errors import ServerError
from textrnn.serving.stream_messages import METHOD, SERVICE, from_bytes, to_bytes
from textrnn.startup import native_messages_hidden

with native_messages_hidden():
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
"""Of channels. By default gRPC takes answers of up to 4 MB."""
STREAM = (f"/{SERVICE}/{METHOD}", to_bytes, from_bytes)
"""The method of `textrnn serve` for streams. TF Serving does not have it, which is found by trying it."""


class GrpcTransport:
    """Sends requests over gRPC, and waits.

    Args:
        address: The server.
        headers: Metadata of each request.
    """

    def __init__(self, address: Address, headers: Mapping[str, str]):
        self.url, self._metadata = address.url, _metadata(headers)
        self._channel = _channel(grpc, address)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._stream, self._streams = self._channel.unary_stream(*STREAM), True

    def predict(self, model: str, call: Call, seconds: float) -> dict[str, Any]:
        """The outputs of a call."""
        try:
            response = self._stub.Predict(request_of(model, call), timeout=seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_of(self.url, error) from None
        return outputs_of(response)

    def stream(self, model: str, body: dict[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
        """Open a stream, and return the iterator of its events, once the first one is there."""
        if not self._streams:
            raise _no_stream()
        call = self._stream(stream_request_of(model, body), metadata=self._metadata)
        events = self._events(call, seconds)
        try:
            first = next(events)
        except ServerError as error:
            self._streams = error.code != "UNIMPLEMENTED"  # then it is not tried again
            raise
        return _resumed(first, events)

    def _events(self, call, seconds):
        received: queue.SimpleQueue = queue.SimpleQueue()  # a call itself has no time limit for one event
        threading.Thread(target=_receive, args=(call, received), daemon=True).start()
        try:
            while True:
                event = received.get(timeout=seconds)
                if isinstance(event, grpc.RpcError):
                    raise error_of(self.url, event)
                if event is None:
                    raise _cut_off(self.url)
                yield event
                if event.get("finish_reason"):
                    return
        except queue.Empty:
            raise _too_slow(self.url, seconds) from None
        finally:
            call.cancel()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


class AsyncGrpcTransport:
    """Sends requests over gRPC, and awaits answers.

    Args:
        address: The server.
        headers: Metadata of each request.
    """

    def __init__(self, address: Address, headers: Mapping[str, str]):
        self.url, self._metadata = address.url, _metadata(headers)
        self._channel = _channel(grpc.aio, address)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._stream, self._streams = self._channel.unary_stream(*STREAM), True

    async def predict(self, model: str, call: Call, seconds: float) -> dict[str, Any]:
        """The outputs of a call."""
        request = request_of(model, call)
        try:
            response = await self._stub.Predict(request, timeout=seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_of(self.url, error) from None
        return outputs_of(response)

    async def stream(self, model: str, body: dict[str, Any], seconds: float) -> AsyncIterator[dict[str, Any]]:
        """Open a stream, and return the iterator of its events, once the first one is there."""
        if not self._streams:
            raise _no_stream()
        call = self._stream(stream_request_of(model, body), metadata=self._metadata)
        events = self._events(call, seconds)
        try:
            first = await anext(events)
        except ServerError as error:
            self._streams = error.code != "UNIMPLEMENTED"  # then it is not tried again
            raise
        return _async_resumed(first, events)

    async def _events(self, call, seconds):
        try:
            while True:
                async with asyncio.timeout(seconds):
                    event = await call.read()
                if event is grpc.aio.EOF:
                    raise _cut_off(self.url)
                yield event
                if event.get("finish_reason"):
                    return
        except grpc.RpcError as error:
            raise error_of(self.url, error) from None
        except TimeoutError:
            raise _too_slow(self.url, seconds) from None
        finally:
            call.cancel()

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()


def request_of(model: str, call: Call) -> predict_pb2.PredictRequest:
    """The request of a call.

    Example:

    >>> from textrnn.client.calls import Call
    >>> from textrnn.client.grpc_transports import request_of
    >>> request_of("novel/versions/2", Call("read", {"text": ["It was"]}, ())).model_spec.version.value
    2
    """
    request = predict_pb2.PredictRequest()
    found = parse_model(model)
    request.model_spec.name, request.model_spec.signature_name = found["name"], call.signature
    if found["version"] is not None:
        request.model_spec.version.value = int(found["version"])
    elif found["label"] is not None:
        request.model_spec.version_label = found["label"]
    for name, value in call.inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def stream_request_of(model: str, body: dict[str, Any]) -> dict[str, Any]:
    """The request for a stream of `textrnn serve`.

    Example:

    >>> from textrnn.client.grpc_transports import stream_request_of
    >>> stream_request_of("novel/versions/2", {"text": "It was"})
    {'text': 'It was', 'model': 'novel', 'version': 2}
    """
    found = parse_model(model)
    version = {} if found["version"] is None else {"version": int(found["version"])}
    label = {} if found["label"] is None else {"label": found["label"]}
    return {**body, "model": found["name"], **version, **label}


def outputs_of(response: predict_pb2.PredictResponse) -> dict[str, Any]:
    """The outputs of a call, as arrays."""
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def error_of(url: str, error: grpc.RpcError) -> ServerError:
    """The error of an answer."""
    code, message = error.code().name, error.details()  # type: ignore[attr-defined]
    if code == "RESOURCE_EXHAUSTED" and "message larger than max" in message:
        code = "INVALID_ARGUMENT"  # as over REST; sent again, the request would be as large
    return ServerError(f"{url}: {message} ({code})", code)


def _channel(module, address):
    if address.secure:
        return module.secure_channel(address.target, grpc.ssl_channel_credentials(), options=OPTIONS)
    return module.insecure_channel(address.target, options=OPTIONS)


def _metadata(headers):
    return [(name.lower(), value) for name, value in headers.items()]


def _receive(call, received):
    """Put the events of a call into a queue, and then its error, or None."""
    try:
        for event in call:
            received.put(event)
    except grpc.RpcError as error:
        received.put(error)
    else:
        received.put(None)


def _resumed(first, events):
    with closing(events):
        yield first
        yield from events


async def _async_resumed(first, events):
    async with aclosing(events):
        yield first
        async for event in events:
            yield event


def _no_stream():
    return ServerError("the server has no streams over gRPC", "UNIMPLEMENTED")


def _cut_off(url):
    return ServerError(f"{url} ended a stream before the text ended", "UNAVAILABLE")


def _too_slow(url, seconds):
    return ServerError(
        f"{url} did not answer within {seconds:.3g} s: give a larger timeout", "DEADLINE_EXCEEDED"
    )

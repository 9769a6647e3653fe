"""Requests over gRPC, by the stubs of tensorflow-serving-api. The import loads TensorFlow."""

from collections.abc import Mapping
from typing import Any

import grpc

from textrnn.client.address import Address, parse_model
from textrnn.client.calls import Call
from textrnn.errors import ServerError
from textrnn.startup import native_messages_hidden

with native_messages_hidden():
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
"""Of channels. By default gRPC takes answers of up to 4 MB."""


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

    def predict(self, model: str, call: Call, seconds: float) -> dict[str, Any]:
        """The outputs of a call."""
        try:
            response = self._stub.Predict(request_of(model, call), timeout=seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_of(self.url, error) from None
        return outputs_of(response)

    def stream(self, model: str, body: dict[str, Any], seconds: float):
        """Refuse: TF Serving's API has no such request."""
        raise _no_stream()

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

    async def predict(self, model: str, call: Call, seconds: float) -> dict[str, Any]:
        """The outputs of a call."""
        request = request_of(model, call)
        try:
            response = await self._stub.Predict(request, timeout=seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_of(self.url, error) from None
        return outputs_of(response)

    async def stream(self, model: str, body: dict[str, Any], seconds: float):
        """Refuse: TF Serving's API has no such request."""
        raise _no_stream()

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


def outputs_of(response: predict_pb2.PredictResponse) -> dict[str, Any]:
    """The outputs of a call, as arrays."""
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def error_of(url: str, error: grpc.RpcError) -> ServerError:
    """The error of an answer."""
    code = error.code().name  # type: ignore[attr-defined]
    return ServerError(f"{url}: {error.details()} ({code})", code)  # type: ignore[attr-defined]


def _channel(module, address):
    if address.secure:
        return module.secure_channel(address.target, grpc.ssl_channel_credentials(), options=OPTIONS)
    return module.insecure_channel(address.target, options=OPTIONS)


def _metadata(headers):
    return [(name.lower(), value) for name, value in headers.items()]


def _no_stream():
    return ServerError("gRPC has no request for streams", "UNIMPLEMENTED")

"""TF Serving's gRPC API: `PredictionService` and `ModelService`. Beside them, streams of texts and health."""

import math
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from textrnn.server import examples
from textrnn.server.errors import RequestError, invalid
from textrnn.server.grpc_health import HealthService
from textrnn.server.grpc_streams import StreamService
from textrnn.server.metadata import metadata_message, status_message
from textrnn.server.service import ModelSpec, Service
from textrnn.server.streams import Streams

METADATA = "signature_def"


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata."""

    def __init__(self, service: Service):
        self.service = service

    def Predict(self, request, context):
        """Run a signature on tensors."""
        return self._answer(context, "Predict", request.model_spec, lambda: self._predict(request, context))

    def Classify(self, request, context):
        """Run a signature of the classification API on examples."""
        response = classification_pb2.ClassificationResponse()
        return self._of_examples(request, context, "Classify", examples.CLASSIFY, response, _set_classes)

    def Regress(self, request, context):
        """Run a signature of the regression API on examples."""
        response = regression_pb2.RegressionResponse()
        return self._of_examples(request, context, "Regress", examples.REGRESS, response, _set_values)

    def MultiInference(self, request, context):
        """Run several signatures of one model on the same examples."""

        def run():
            names = {task.model_spec.name for task in request.tasks}
            if len(names) != 1:
                raise invalid(
                    f"All ModelSpecs in a MultiInferenceRequest must access the same model name: {names}"
                )
            signatures = [task.model_spec.signature_name for task in request.tasks]
            if len(set(signatures)) != len(signatures):
                raise invalid("Duplicate evaluation of signature")
            rows = examples.serialized(request.input)
            response = inference_pb2.MultiInferenceResponse()
            for task in request.tasks:
                if task.method_name not in (examples.CLASSIFY, examples.REGRESS):
                    raise RequestError(
                        "UNIMPLEMENTED", f"Unsupported signature method_name: {task.method_name}"
                    )
                spec = model_spec(task.model_spec)
                answer = self._run(spec, examples.as_input(rows), (), task.method_name, context)
                result = response.results.add()
                _echo(result.model_spec, spec, answer.version)
                if task.method_name == examples.CLASSIFY:
                    _set_classes(result.classification_result, answer.outputs, len(rows))
                else:
                    _set_values(result.regression_result, answer.outputs, len(rows))
            return response

        first = request.tasks[0].model_spec if request.tasks else None
        return self._answer(context, "MultiInference", first, run)

    def GetModelMetadata(self, request, context):
        """Return the signatures of a model."""

        def run():
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != METADATA:
                    raise invalid(f"Metadata field {field} is not supported")
            spec = model_spec(request.model_spec)
            return metadata_message(self.service.models, spec.name, spec.version, spec.label)

        return self._answer(context, "GetModelMetadata", request.model_spec, run)

    def _predict(self, request, context):
        spec = model_spec(request.model_spec)
        with self.service.models.use(spec.name, spec.version, spec.label) as servable:
            if spec.signature not in servable.signatures:
                raise RequestError(
                    "FAILED_PRECONDITION", f'Serving signature key "{spec.signature}" not found.'
                )
        most = self.service.limits.body_bytes
        inputs = _arrays(request.inputs, most)
        answer = self._run(spec, inputs, tuple(request.output_filter), None, context)
        response = predict_pb2.PredictResponse()
        _echo(response.model_spec, spec, answer.version)
        for name, array in answer.outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        return response

    def _of_examples(self, request, context, api, method, response, set_result):
        def run():
            spec, rows = model_spec(request.model_spec), examples.serialized(request.input)
            answer = self._run(spec, examples.as_input(rows), (), method, context)
            _echo(response.model_spec, spec, answer.version)
            set_result(response.result, answer.outputs, len(rows))
            return response

        return self._answer(context, api, request.model_spec, run)

    def _run(self, spec, inputs, outputs, method, context):
        answer = self.service.submit(spec, lambda signature: inputs, outputs, method)
        seconds = self.service.limits.seconds
        remaining = context.time_remaining()
        if remaining is not None:
            seconds = min(seconds, remaining)
        try:
            answer.future.result(seconds)
        except FutureTimeoutError:
            answer.future.cancel()
            raise RequestError("DEADLINE_EXCEEDED", f"the model took longer than {seconds:g} s") from None
        return answer

    def _answer(self, context, api, spec, run):
        name = spec.name if spec is not None else ""
        try:
            with self.service.timed(ModelSpec(name), api, "GRPC"):
                return run()
        except RequestError as error:
            context.abort(getattr(grpc.StatusCode, error.code, grpc.StatusCode.UNKNOWN), str(error))


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; models are configured by files, not by requests."""

    def __init__(self, service: Service):
        self.service = service

    def GetModelStatus(self, request, context):
        """Return the states of the versions of a model."""
        try:
            if not request.model_spec.name:
                raise invalid("Missing ModelSpec")
            spec = model_spec(request.model_spec)
            return status_message(self.service.models.status(spec.name, spec.version, spec.label))
        except RequestError as error:
            context.abort(getattr(grpc.StatusCode, error.code), str(error))

    def HandleReloadConfigRequest(self, request, context):
        """Refuse: the configuration is a file."""
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "models are configured by --model_config_file, which is read again every "
            "--model_config_file_poll_wait_seconds",
        )
        return model_management_pb2.ReloadConfigResponse()


def make_grpc_server(
    service: Service, streams: Streams, address: str, threads: int = 64, most_streams: int = 128
) -> tuple[grpc.Server, int]:
    """Make the server.

    Args:
        service: The `Service`.
        streams: The `Streams`.
        address: Host and port, such as `127.0.0.1:8500`; port 0 for any.
        threads: Number of requests at a time, beside streams.
        most_streams: Number of streams at a time.

    Returns:
        The server, not yet started, and its port.

    Raises:
        RuntimeError: If the address is in use.
    """
    size = service.limits.body_bytes
    options = [
        ("grpc.max_receive_message_length", size),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.server(
        ThreadPoolExecutor(threads + most_streams, "grpc"),
        options=options,
        maximum_concurrent_rpcs=service.limits.requests,
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(service), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(service), server)
    others = StreamService(service, streams, most_streams), HealthService(service.models)
    server.add_generic_rpc_handlers([other.handler() for other in others])
    return server, server.add_insecure_port(address)


def model_spec(message) -> ModelSpec:
    """The model that a message names."""
    version, label = None, None
    if message.HasField("version"):
        version = message.version.value
    elif message.version_label:
        label = message.version_label
    return ModelSpec(message.name, version, label, message.signature_name or "serving_default")


def _arrays(tensors, most) -> dict[str, np.ndarray]:
    found, total = {}, 0
    for name, tensor in tensors.items():
        # A message of a few bytes may name a shape of any size, to be filled with its last value.
        values = math.prod(dim.size for dim in tensor.tensor_shape.dim)
        if (total := total + values) > most:
            raise invalid(f"input {name} has {values} values, and the server takes {most} in all")
        try:
            found[name] = tf.make_ndarray(tensor)
        except Exception as error:
            raise invalid(f"input {name} is not a tensor: {error}") from None
    return found


def _echo(message, spec, version) -> None:
    message.name = spec.name
    message.signature_name = spec.signature
    message.version.value = version


def _set_classes(result, outputs, rows) -> None:
    for row in examples.classes(outputs, rows):
        classifications = result.classifications.add()
        for label, score in row:
            classifications.classes.add(label=label, score=score)


def _set_values(result, outputs, rows) -> None:
    for value in examples.regressions(outputs, rows):
        result.regressions.add(value=value)

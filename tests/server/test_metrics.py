"""The metrics of a server, which Prometheus reads under TF Serving's names."""

import urllib.request

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from textrnn.server.metrics import PATH, PREFIX


@pytest.fixture
def predict(server):
    """Calls a model over gRPC, and returns the name of the status."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def call(name, *values):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.inputs["x"].dtype = 1
            request.inputs["x"].tensor_shape.dim.add(size=len(values))
            request.inputs["x"].float_val.extend(values)
            try:
                stub.Predict(request, timeout=60)
            except grpc.RpcError as error:
                return error.code().name
            return "OK"

        yield call


def samples(rest):
    """All samples: a dict from names with labels, sorted by their names, to values."""
    with urllib.request.urlopen(rest.base + PATH, timeout=60) as response:
        text = response.read().decode()
    return {
        (sample.name.removeprefix(PREFIX), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def gains(before, after):
    """The counts that have changed."""
    changes = {key: value - before.get(key, 0) for key, value in after.items()}
    names = ("request_count", "request_latency_count", "batching_session:processed_batch_size_sum")
    return {key: value for key, value in changes.items() if value and key[0] in names}


def test_requests_are_counted_by_model_and_status(rest, predict):
    before = samples(rest)
    assert rest.predict(instances=[1, 2])[0] == 200
    assert rest.predict(instances=["no number"])[0] == 400
    assert [predict("half_plus_two", 1), predict("half_plus_two")] == ["OK", "OK"]
    assert gains(before, samples(rest)) == {
        ("request_count", "half_plus_two", "OK"): 3,
        ("request_count", "half_plus_two", "INVALID_ARGUMENT"): 1,
        ("request_latency_count", "predict", "REST", "half_plus_two"): 1,
        ("request_latency_count", "Predict", "GRPC", "half_plus_two"): 2,
        ("batching_session:processed_batch_size_sum", "half_plus_two"): 3,
    }


def test_the_names_of_models_that_there_are_not_are_no_labels(rest, predict):
    """Or else anybody could let the metrics grow without end."""
    assert rest("/v1/models/unknown:predict", {"instances": [1]})[0] == 404
    before = samples(rest)
    for number in range(5):
        assert rest(f"/v1/models/unknown{number}:predict", {"instances": [1]})[0] == 404
        assert predict(f"unknown{number}", 1) == "NOT_FOUND"
    after = samples(rest)
    assert after.keys() == before.keys()
    assert gains(before, after) == {("request_count", "", "NOT_FOUND"): 10}

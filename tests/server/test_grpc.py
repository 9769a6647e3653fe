"""TF Serving's gRPC API, case by case."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from server.conftest import settings
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from textrnn.server.config_files import ModelConfig
from textrnn.server.server import Server


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def predict(signature="", version=None, label="", name="half_plus_two", **inputs):
    request = predict_pb2.PredictRequest()
    name_model(request.model_spec, name, signature, version, label)
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def name_model(spec, name="half_plus_two", signature="", version=None, label=""):
    spec.name, spec.signature_name = name, signature
    if version is not None:
        spec.version.value = version
    if label:
        spec.version_label = label


def code_and_text(call, request, **options):
    with pytest.raises(grpc.RpcError) as error:
        call(request, timeout=options.get("timeout", 60))
    return error.value.code(), error.value.details()


FLOATS = np.array([2, 3, 4], "float32")


@pytest.mark.parametrize("of", [{}, {"version": 123}, {"label": "stable"}, {"signature": "serving_default"}])
def test_predict_echoes_what_it_used(stub, of):
    response = stub.Predict(predict(x=FLOATS, **of), timeout=60)
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [3.0, 3.5, 4.0]
    spec = response.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("half_plus_two", "serving_default", 123)


def test_strings_and_the_output_filter(stub):
    request = predict("two", x=FLOATS[:1], text=[b"a\xff"])
    request.output_filter.append("raw_bytes")
    response = stub.Predict(request, timeout=60)
    assert [*response.outputs] == ["raw_bytes"]
    assert tf.make_ndarray(response.outputs["raw_bytes"]).tolist() == [b"a\xff"]
    request.output_filter.append("nothing")
    code, text = code_and_text(stub.Predict, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "output tensor alias not found in signature: nothing" in text


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (predict("none", x=FLOATS), "FAILED_PRECONDITION", 'Serving signature key "none" not found.'),
        (predict(name="nothing", x=FLOATS), "NOT_FOUND", "Servable not found for request: Latest(nothing)"),
        (
            predict(version=5, x=FLOATS),
            "NOT_FOUND",
            "Servable not found for request: Specific(half_plus_two, 5)",
        ),
        (predict(label="new", x=FLOATS), "INVALID_ARGUMENT", "Unrecognized servable version label: new"),
        (predict(z=FLOATS), "INVALID_ARGUMENT", "input size does not match signature"),
        (predict("two", x=FLOATS), "INVALID_ARGUMENT", "Missing but required: {text}"),
        (predict(x=["a"]), "INVALID_ARGUMENT", "expects float but string is provided"),
        (predict(x=[[1.0]]), "INVALID_ARGUMENT", "expected shape [?], got [1, 1]"),
        (predict("fail", n=[-1]), "INVALID_ARGUMENT", "negative"),
    ],
)
def test_bad_requests(stub, request_, code, message):
    found, text = code_and_text(stub.Predict, request_)
    assert found.name == code
    assert message in text


def test_a_shape_larger_than_the_message_is_not_filled(stub):
    request = predict(x=FLOATS)
    request.inputs["x"].ClearField("tensor_content")
    request.inputs["x"].float_val.append(1)
    request.inputs["x"].tensor_shape.dim[0].size = 10**12
    code, text = code_and_text(stub.Predict, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and f"input x has {10**12} values" in text


def examples(message, values):
    for value in values:
        message.example_list.examples.add().features.feature["x"].float_list.value.append(value)


def test_classify_regress_and_multi_inference(stub):
    classify = classification_pb2.ClassificationRequest()
    name_model(classify.model_spec, signature="classify")
    examples(classify.input, [20, 4])
    response = stub.Classify(classify, timeout=60)
    assert [[(c.label, c.score) for c in row.classes] for row in response.result.classifications] == [
        [("", 12.0)], [("", 4.0)]
    ]  # fmt: skip
    regress = regression_pb2.RegressionRequest()
    name_model(regress.model_spec, signature="regress")
    examples(regress.input, [80])
    assert [r.value for r in stub.Regress(regress, timeout=60).result.regressions] == [42.0]
    several = inference_pb2.MultiInferenceRequest()
    examples(several.input, [80])
    for signature in ("classify", "regress"):
        task = several.tasks.add(method_name=f"tensorflow/serving/{signature}")
        name_model(task.model_spec, signature=signature)
    first, second = stub.MultiInference(several, timeout=60).results
    assert first.classification_result.classifications[0].classes[0].score == 42.0
    assert second.regression_result.regressions[0].value == 42.0
    assert second.model_spec.signature_name == "regress"


def test_examples_are_needed_and_a_signature_for_them(stub):
    request = classification_pb2.ClassificationRequest()
    name_model(request.model_spec, signature="classify")
    assert code_and_text(stub.Classify, request) == (grpc.StatusCode.INVALID_ARGUMENT, "Input is empty.")
    name_model(request.model_spec, signature="serving_default")
    examples(request.input, [1])
    code, text = code_and_text(stub.Classify, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "Expected classification signature" in text


def test_metadata(stub):
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    name_model(request.model_spec)
    code, _ = code_and_text(stub.GetModelMetadata, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    request.metadata_field.append("signature_def")
    response = stub.GetModelMetadata(request, timeout=60)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["two"].inputs["text"].dtype == tf.string.as_datatype_enum


def test_status(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    name_model(request.model_spec)
    [version] = stub.GetModelStatus(request, timeout=60).model_version_status
    assert (version.version, version.state) == (123, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    name_model(request.model_spec, "nothing")
    assert code_and_text(stub.GetModelStatus, request)[0] == grpc.StatusCode.NOT_FOUND


def test_the_deadline_of_a_client_holds(stub):
    code, _ = code_and_text(stub.Predict, predict("loop", n=[1_500_000]), timeout=0.5)
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert stub.Predict(predict(x=FLOATS), timeout=60).outputs


def test_the_health_check_of_the_server_and_of_models(server, channel):
    # The messages as bytes: a string in field 1, and the status 1, SERVING, or 2, NOT_SERVING.
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"", timeout=60) == check(b"\n\x0dhalf_plus_two", timeout=60) == b"\x08\x01"
    assert code_and_text(check, b"\n\x05novle") == (grpc.StatusCode.NOT_FOUND, "there is no model novle")


def test_a_model_without_a_version_is_not_healthy(tmp_path):
    with (
        Server(settings(ModelConfig("m", tmp_path))) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
    ):
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=60) == check(b"\n\x01m", timeout=60) == b"\x08\x02"

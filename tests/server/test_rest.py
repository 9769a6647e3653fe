"""TF Serving's REST API, case by case."""

import base64
import functools
import gzip
import json
import math
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from textrnn.server import json_tensors
from textrnn.server import rest as rest_api


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"instances": [2.0, 3.0, 4.0]}, {"predictions": [3.0, 3.5, 4.0]}),
        ({"inputs": [2.0, 3.0, 4.0]}, {"outputs": [3.0, 3.5, 4.0]}),
        ({"instances": [{"x": 2.0}, {"x": 4}]}, {"predictions": [3.0, 4.0]}),
        ({"inputs": {"x": [2]}}, {"outputs": [3.0]}),
        ({"instances": []}, {"predictions": []}),
        (
            {"signature_name": "any_shape", "instances": [[[1.0, 2.0]], [[3, 4]]]},
            {"predictions": [[[2.5, 3.0]], [[3.5, 4.0]]]},
        ),
        ({"signature_name": "serving_default", "instances": [0.2]}, {"predictions": [2.1]}),
    ],
)
def test_values_in_and_out(rest, body, answer):
    assert rest.predict(**body) == (200, answer)


@pytest.mark.parametrize("place", ["/versions/123", "/labels/stable", ""])
def test_versions_and_labels(rest, place):
    assert rest(f"{place}:predict", {"instances": [2]}) == (200, {"predictions": [3.0]})
    assert rest(place)[0] == rest(f"{place}/metadata")[0] == 200


def test_classify_and_regress(rest):
    body = {"signature_name": "regress", "examples": [{"x": 80.0}]}
    assert rest(":regress", body) == (200, {"results": [42.0]})
    body = {"signature_name": "classify", "examples": [{"x": 20.0}, {"x": [4.0]}]}
    assert rest(":classify", body) == (200, {"results": [[["", 12.0]], [["", 4.0]]]})
    body = {"signature_name": "regress", "context": {"x": 80.0}, "examples": [{}]}
    assert rest(":regress", body) == (200, {"results": [42.0]})


def test_several_outputs_and_bytes(rest):
    row = {"x": 2, "text": "ü a"}
    status, answer = rest.predict(signature_name="two", instances=[row, row | {"text": {"b64": "/w=="}}])
    assert status == 200
    b64 = [base64.b64encode(text).decode() for text in ("ü a".encode(), b"\xff")]
    assert answer["predictions"] == [
        {"raw_bytes": {"b64": b64[0]}, "text": "ü A", "y": 3.0},
        {"raw_bytes": {"b64": b64[1]}, "text": "\ufffd", "y": 3.0},
    ]
    status, answer = rest.predict(signature_name="two", inputs={"x": [2, 4], "text": ["a", "b"]})
    assert answer["outputs"]["y"] == [3.0, 4.0] and answer["outputs"]["text"] == ["A", "B"]


def test_numbers_that_json_does_not_have(rest):
    status, answer = rest(":predict", raw=b'{"instances": [NaN, Infinity, -Infinity, 1e999]}')
    assert status == 200
    assert math.isnan(answer["predictions"][0])
    assert answer["predictions"][1:] == [math.inf, -math.inf, math.inf]


def test_the_status_of_a_model(rest):
    expected = {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert rest("") == (200, {"model_version_status": [expected]})
    assert rest("/v1/models/nothing") == (404, {"error": "Could not find any versions of model nothing"})
    assert rest("/versions/5") == (404, {"error": "Could not find version 5 of model half_plus_two"})


def test_metadata(rest):
    status, answer = rest("/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "123"}
    found = answer["metadata"]["signature_def"]["signature_def"]
    assert set(found) == {"serving_default", "any_shape", "two", "loop", "fail", "classify", "regress"}
    x = found["serving_default"]["inputs"]["x"]
    assert x["dtype"] == "DT_FLOAT" and x["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]
    assert found["classify"]["method_name"] == "tensorflow/serving/classify"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error"),
        (b"{", "JSON Parse error"),
        (b"\xff{}", "JSON Parse error"),
        (b"[1]", "Is not object"),
        (b"[" * 100_000, "JSON Parse error"),
        (b'{"instances": [' + b"1" * 5000 + b"]}", "JSON Parse error"),
        ({"instances": [1], "inputs": [1]}, "Not formatted correctly"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": [1], "signature_name": 3}, "'signature_name' key must be a string value."),
        ({"instances": ["x"]}, "not of expected type: float"),
        ({"instances": [True]}, "not of expected type: float"),
        ({"instances": [None]}, "not of expected type: float"),
        ({"signature_name": "loop", "instances": [1.5]}, "not of expected type: int32"),
        ({"signature_name": "loop", "instances": [2**40]}, "not of expected type: int32"),
        ({"signature_name": "any_shape", "instances": [[1, 2], [3]]}, "Expecting tensor size: 2 got: 1"),
        ({"signature_name": "any_shape", "instances": [[1, 2], 3]}, "Expecting shape"),
        ({"instances": [[1, 2]]}, "expected shape [?], got [1, 2]"),
        (b'{"instances": ' + b"[" * 70 + b"]" * 70 + b"}", "Lists are nested more than 64 deep"),
        ({"instances": [{"z": 1}]}, "keys must be equal to: x"),
        ({"signature_name": "two", "instances": [{"x": 1}]}, "keys must be equal to: text,x"),
        ({"signature_name": "two", "inputs": {"x": [1]}}, "Missing named input: text"),
        ({"signature_name": "two", "instances": [1]}, "expecting list of objects"),
        ({"signature_name": "none", "instances": [1]}, "not found in signature def"),
        ({"signature_name": "two", "instances": [{"x": 1, "text": {"b64": "?"}}]}, "base64"),
        ({"signature_name": "fail", "instances": [-1]}, "negative"),
    ],
)
def test_bad_bodies(rest, body, message):
    status, answer = rest(":predict", **{"raw" if isinstance(body, bytes) else "body": body})
    assert status == 400
    assert message in answer["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/v1/models/nothing:predict", 404, "Servable not found for request: Latest(nothing)"),
        ("POST", "/versions/5:predict", 404, "Servable not found for request: Specific(half_plus_two, 5)"),
        ("POST", "/labels/new:predict", 400, "Unrecognized servable version label: new"),
        ("POST", "/versions/99999999999999999999:predict", 400, "Malformed request"),
        ("POST", f"/versions/{'9' * 5000}:predict", 400, "Malformed request"),
        ("GET", ":predict", 400, "Malformed request: GET /v1/models/half_plus_two:predict"),
        ("POST", "", 400, "Malformed request: POST /v1/models/half_plus_two"),
        ("POST", ":guess", 400, "Malformed request"),
        ("POST", "/v1/models", 400, "Malformed request"),
        ("POST", ":classify", 400, "Request has no 'examples' key"),
    ],
)
def test_bad_paths_and_verbs(rest, method, path, status, message):
    body = b'{"instances": [1]}' if method == "POST" else None
    found, answer = rest(path, raw=body, method=method)
    assert (found, message in answer["error"]) == (status, True), answer


def test_a_signature_of_another_api_is_refused(rest):
    status, answer = rest(":classify", {"examples": [{"x": 1.0}]})
    assert status == 400
    assert (
        "Expected classification signature method_name to be tensorflow/serving/classify" in answer["error"]
    )


def test_inputs_with_different_numbers_of_rows_are_refused(rest):
    body = {"signature_name": "two", "inputs": {"x": [1, 2], "text": ["a"]}}
    assert rest(":predict", body) == (
        400,
        {"error": "the inputs have different numbers of rows: text 1, x 2"},
    )


def post(rest, body, encoding):
    """The status and the answer of a request whose body is encoded."""
    request = urllib.request.Request(
        f"{rest.base}{rest.model}:predict", body, headers={"Content-Encoding": encoding}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["error"]


# Names of tests have no time in them, so that all processes find the same ones.
compress = functools.partial(gzip.compress, mtime=0)
COMPRESSED = compress(b'{"instances": [2]}')


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (COMPRESSED, "gzip"),
        (COMPRESSED, "GZip"),
        (COMPRESSED, "x-gzip"),
        (compress(b'{"instances": ') + compress(b"[2]}"), "gzip"),
        (b'{"instances": [2]}', "identity"),
    ],
)
def test_bodies_may_be_compressed(rest, body, encoding):
    assert post(rest, body, encoding) == (200, {"predictions": [3.0]})


@pytest.mark.parametrize(
    ("body", "encoding", "status", "message"),
    [
        (COMPRESSED, "br", 415, "Content-Encoding is br: expected gzip, or none"),
        (COMPRESSED, "gzip, gzip", 415, "Content-Encoding is gzip, gzip: expected gzip, or none"),
        (b'{"instances": [2]}', "gzip", 400, "not valid gzip data, as its Content-Encoding says"),
        (COMPRESSED[:-9], "gzip", 400, "not valid gzip data, as its Content-Encoding says"),
        (COMPRESSED[:12] + b"\0\0" + COMPRESSED[14:], "gzip", 400, "not valid gzip data"),
        (gzip.compress(bytes(2**24 + 1)), "gzip", 413, "the request has more than 16777216 bytes"),
    ],
)
def test_compressed_bodies_that_are_refused(rest, body, encoding, status, message):
    found, error = post(rest, body, encoding)
    assert found == status and message in error


@pytest.mark.parametrize("function", ["parse_predict", "predict_response"])
def test_a_long_request_is_converted_and_a_long_answer_written_beside_others(rest, monkeypatch, function):
    plain, begun, go_on = getattr(json_tensors, function), threading.Event(), threading.Event()

    def slow(content, *args, **options):
        if any(len(part) > 1 for part in content.values()):
            begun.set()
            assert go_on.wait(60)
        return plain(content, *args, **options)

    monkeypatch.setattr(json_tensors, function, slow)
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(rest.predict, signature_name="any_shape", inputs=[[0.125] * 100] * 200)
        try:
            assert begun.wait(60)
            assert rest.predict(inputs=[2]) == (200, {"outputs": [3.0]})
        finally:
            go_on.set()
        assert long.result() == (200, {"outputs": [[2.0625] * 100] * 200})


def test_an_answer_that_is_too_large_for_json_is_refused(rest, monkeypatch):
    monkeypatch.setattr(rest_api, "MOST_VALUES", 3)
    assert rest.predict(instances=[2, 2, 2]) == (200, {"predictions": [3.0] * 3})
    status, answer = rest.predict(instances=[2] * 4)
    assert status == 400
    assert "the answer has 4 values, and the server writes 3 as JSON: send fewer" in answer["error"]

"""Laws of TF Serving's JSON, against the `json` module and NumPy."""

import base64
import json
import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from textrnn.server import json_tensors
from textrnn.server.errors import RequestError
from textrnn.server.json_tensors import (
    Spec,
    decoded,
    parse_object,
    parse_predict,
    predict_response,
    to_json,
    to_tensor,
)

DTYPES = ("float32", "float64", "float16", "int32", "int64", "int8", "uint8", "bool")
shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)
numbers = st.sampled_from(DTYPES).flatmap(lambda dtype: arrays.arrays(dtype, shapes))
texts = arrays.arrays(object, shapes, elements=st.text(max_size=8))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def spec_of(array):
    return Spec(array.dtype, (None, *array.shape[1:]))


@given(numbers)
def test_numbers_come_back_as_they_went(array):
    body = predict_response({"y": array}, columnar=True)
    back = to_tensor(json.loads(body)["outputs"], spec_of(array))
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)


@given(arrays.arrays("float32", shapes))
def test_floats_have_as_few_digits_as_tell_them_apart(array):
    for written, value in zip(np.ravel(to_json("y", array)), array.ravel(), strict=True):
        assert np.float32(written) == value or math.isnan(value)
        assert len(repr(float(written))) <= len(repr(float(value)))


@given(json_values)
def test_a_value_is_written_in_parts_as_it_is_written_whole(value):
    with mock.patch.object(json_tensors, "PART", 2):
        assert json_tensors._in_parts(value) == json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("columnar", [True, False])
def test_a_long_answer_is_written_a_few_values_at_a_time(columnar):
    values, sizes = np.arange(60_000).reshape(2, 30_000), []
    encode = json_tensors._encode

    def noted(value):
        sizes.append(np.size(value))
        return encode(value)

    with mock.patch.object(json_tensors, "_encode", noted):
        body = predict_response({"y": values, "z": values}, columnar)
    rows = [{"y": row, "z": row} for row in values.tolist()]
    columns = {"y": values.tolist(), "z": values.tolist()}
    assert json.loads(body) == ({"outputs": columns} if columnar else {"predictions": rows})
    assert max(sizes) == json_tensors.PART


@given(texts)
def test_strings_come_back_as_they_went(array):
    encoded = np.vectorize(lambda text: text.encode(), otypes=[object])(array)
    body = predict_response({"text": encoded, "raw_bytes": encoded}, columnar=True)
    answer = json.loads(body)["outputs"]
    assert answer["text"] == array.tolist()
    for value in answer.values():
        assert to_tensor(value, spec_of(encoded)).tolist() == encoded.tolist()
    flat = np.array(answer["raw_bytes"], object).ravel()
    assert [base64.b64decode(one["b64"]) for one in flat] == encoded.ravel().tolist()


@given(numbers, st.booleans())
def test_rows_and_columns_are_the_same_tensors(array, named):
    specs, rows = {"x": spec_of(array)}, array.tolist()
    instances = [{"x": row} for row in rows] if named else rows
    by_row = parse_predict(json.loads(json.dumps({"instances": instances})), specs)
    by_column = parse_predict({"inputs": {"x": rows} if named else rows}, specs)
    assert (by_row.columnar, by_column.columnar) == (False, True)
    for call in (by_row, by_column):
        np.testing.assert_array_equal(call.inputs["x"], array)


@given(st.integers(1, 5), st.data())
def test_answers_by_row_have_a_value_of_each_output(rows, data):
    outputs = {
        name: data.draw(arrays.arrays(dtype, (rows, *data.draw(shapes)[:-1])))
        for name, dtype in (("a", "int32"), ("b", "bool"))
    }
    answer = json.loads(predict_response(outputs, columnar=False))["predictions"]
    assert answer == [{name: array[row].tolist() for name, array in outputs.items()} for row in range(rows)]


@given(st.recursive(st.integers(-9, 9), lambda inner: st.lists(inner, max_size=3), max_leaves=12))
def test_lists_are_a_tensor_exactly_if_numpy_makes_one(value):
    try:
        expected = np.array(value, "int32")
    except ValueError:
        with pytest.raises(RequestError, match=r"Expecting|Encountered"):
            to_tensor(value, Spec(np.dtype("int32"), None))
        return
    found = to_tensor(value, Spec(np.dtype("int32"), None))
    assert (found.shape, found.tolist()) == (expected.shape, expected.tolist())


@given(json_values, st.sampled_from([np.dtype(name) for name in (*DTYPES, "O")]))
def test_any_value_is_a_tensor_or_an_error_of_the_request(value, dtype):
    try:
        array = to_tensor(value, Spec(dtype, None))
    except RequestError as error:
        assert error.http_status == 400 and len(str(error)) < 300
    else:
        assert array.dtype == dtype


@given(st.dictionaries(st.text(max_size=4), json_values, max_size=4), st.booleans())
def test_objects_are_parsed_as_by_the_json_module(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    try:
        body = text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return
    assert parse_object(body) == json.loads(text)


@given(st.binary(max_size=40))
def test_any_bytes_are_an_object_or_an_error_of_the_request(body):
    try:
        expected = json.loads(body.decode())
    except ValueError:
        expected = None
    if isinstance(expected, dict):
        assert json.dumps(parse_object(body)) == json.dumps(expected)
    else:
        with pytest.raises(RequestError, match="JSON"):
            parse_object(body)


@pytest.mark.parametrize("text", ["YQ==", "YQ", " Y\nQ==\n", "YQ="])
def test_base64_may_have_white_space_and_lack_padding(text):
    assert decoded(text) == b"a"


@pytest.mark.parametrize("text", ["Y", "Y?==", "é", 3, None])
def test_what_is_not_base64_is_refused(text):
    with pytest.raises(RequestError, match="Unable to base64 decode"):
        decoded(text)

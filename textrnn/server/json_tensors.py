"""TF Serving's JSON: values to tensors, and tensors to values.

The rules and the texts of errors are those of TF Serving's REST API (tensorflow/serving, json_tensor.cc).
Nothing here knows a server or a model.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from textrnn.server.errors import invalid

KINDS = {"float": "f", "int": "iu", "bool": "b", "string": "O"}
"""The kinds of values, with NumPy's kinds of their arrays."""

SHOWN = 80
"""Characters of a value in an error."""

PART = 2**12
"""Values that are written at once."""

MOST_DIMENSIONS = 64
"""Of an array of NumPy."""


class Spec(NamedTuple):
    """A tensor of a signature.

    Attributes:
        dtype: A NumPy dtype; `object` for strings. Half precision has the name of its dtype.
        shape: A tuple of sizes, None where a size is not known; None for an unknown number of axes.
    """

    dtype: np.dtype
    shape: tuple[int | None, ...] | None

    @property
    def type_name(self) -> str:
        """TF Serving's name of the type in errors."""
        return "string" if self.dtype == object else self.dtype.name.replace("float32", "float")


class PredictCall(NamedTuple):
    """A parsed request.

    Attributes:
        inputs: A dict from names to arrays.
        columnar: Whether the answer is columnar, too: the request had `inputs` instead of `instances`.
    """

    inputs: dict[str, np.ndarray]
    columnar: bool


# === Requests ===


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        RequestError: If the body is empty, no JSON, nested too deeply, or no object.

    Example:

    >>> from textrnn.server.json_tensors import parse_object
    >>> parse_object(b'{"instances": [1, NaN]}')
    {'instances': [1, nan]}
    """
    if not body.strip():
        raise invalid("JSON Parse error: The document is empty")
    try:
        value = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise invalid(f"JSON Parse error: Invalid UTF-8 at offset: {error.start}") from None
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number of thousands of digits
        raise invalid(f"JSON Parse error: {str(error)[:SHOWN]}") from None
    if not isinstance(value, dict):
        raise invalid(f"JSON Value: {shown(value)} Is not object")
    return value


def signature_name(request: Mapping[str, Any]) -> str:
    """The name of the signature that a request asks for; `serving_default` if it names none."""
    name = request.get("signature_name", "serving_default")
    if not isinstance(name, str):
        raise invalid("'signature_name' key must be a string value.")
    return name or "serving_default"


def parse_predict(request: Mapping[str, Any], specs: Mapping[str, Spec]) -> PredictCall:
    """Convert the `instances` or the `inputs` of a request to tensors.

    Args:
        request: The parsed body.
        specs: The inputs of the signature.

    Raises:
        RequestError: If they do not fit the inputs of the signature.

    Example:

    >>> import numpy as np
    >>> from textrnn.server.json_tensors import Spec, parse_predict
    >>> specs = {"x": Spec(np.dtype("float32"), (None,))}
    >>> parse_predict({"instances": [2, 3.5]}, specs).inputs
    {'x': array([2. , 3.5], dtype=float32)}
    """
    if "instances" in request:
        if "inputs" in request:
            raise invalid(
                "Not formatted correctly expecting only one of 'instances' or 'inputs' keys to exist "
            )
        return PredictCall(_rows(request["instances"], specs), columnar=False)
    if "inputs" not in request:
        raise invalid("Missing 'inputs' or 'instances' key")
    return PredictCall(_columns(request["inputs"], specs), columnar=True)


def _rows(instances, specs):
    if not isinstance(instances, list):
        raise invalid("Excepting 'instances' value to be an list/array")
    named = bool(instances) and isinstance(instances[0], dict) and not is_b64(instances[0])
    if not named:
        if len(specs) > 1 and instances:
            raise invalid(
                "instances is a plain list, but expecting list of objects as multiple input tensors required "
                "as per tensorinfo_map"
            )
        return {name: to_tensor(instances, spec, batch=True) for name, spec in specs.items()}
    for number, instance in enumerate(instances):
        if not isinstance(instance, dict) or instance.keys() != specs.keys():
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. JSON object: {shown(instance)} "
                f"keys must be equal to: {','.join(sorted(specs))}"
            )
    return {
        name: to_tensor([instance[name] for instance in instances], spec, batch=True)
        for name, spec in specs.items()
    }


def _columns(inputs, specs):
    if not isinstance(inputs, dict) or is_b64(inputs):
        if len(specs) != 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as "
                "per tensorinfo_map"
            )
        [(name, spec)] = specs.items()
        return {name: to_tensor(inputs, spec)}
    missing = sorted(specs.keys() - inputs.keys())
    if missing:
        raise invalid(f"Missing named input: {missing[0]} in 'inputs' object.")
    return {name: to_tensor(inputs[name], spec) for name, spec in specs.items()}


def to_tensor(value: Any, spec: Spec, batch: bool = False) -> np.ndarray:
    r"""Convert a JSON value, a scalar or nested lists, to a tensor.

    Args:
        value: The value.
        spec: Its type, and its shape where known.
        batch: Whether the value is a list of the rows of a batch.

    Raises:
        RequestError: If a value has another type, or if lists at one level have different lengths.

    Example:

    >>> import numpy as np
    >>> from textrnn.server.json_tensors import Spec, to_tensor
    >>> to_tensor([["a"], [{"b64": "/w=="}]], Spec(np.dtype(object), (None, 1))).tolist()
    [[b'a'], [b'\xff']]
    """
    shape, values = _flattened(value)
    if batch and shape == (0,) and spec.shape:  # no rows: the shape of one is that of the signature
        shape = (0, *(size or 0 for size in spec.shape[1:]))
    converted = [_converted(one, spec) for one in values]
    if spec.dtype == object:
        array = np.empty(len(converted), object)
        array[:] = converted
    else:
        array = np.array(converted, spec.dtype)
    return array.reshape(shape)


def _flattened(value):
    """The shape of nested lists, and their values in order."""
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list):
        size, depth = len(level[0]), len(shape)
        if depth == MOST_DIMENSIONS:
            raise invalid(f"Lists are nested more than {MOST_DIMENSIONS} deep")
        expected = f"Expecting shape {[*shape, size]}"
        for one in level:
            if not isinstance(one, list):
                raise invalid(f"Encountered value at unexpected level: {depth}. {expected}")
            if len(one) != size:
                raise invalid(f"Expecting tensor size: {size} got: {len(one)}. {expected}")
        shape.append(size)
        level = [inner for one in level for inner in one]
    if any(isinstance(one, list) for one in level):
        raise invalid(f"Encountered list at unexpected level: {len(shape)}. Expecting shape {shape}")
    return tuple(shape), level


def _converted(value, spec):
    kind = spec.dtype.kind
    if spec.dtype == object:
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
        if is_b64(value):
            return decoded(value["b64"])
    elif kind == "b":
        if isinstance(value, bool):
            return value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if kind not in "iu":
            try:
                return float(value)
            except OverflowError:
                return math.inf if value > 0 else -math.inf
        if isinstance(value, int) and np.iinfo(spec.dtype).min <= value <= np.iinfo(spec.dtype).max:
            return value
    raise invalid(
        f"JSON Value: {shown(value)} Type: {_type_name(value)} is not of expected type: {spec.type_name}"
    )


def is_b64(value) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}


def decoded(text) -> bytes:
    """The bytes of base64, which may have white space and lack padding, as in TF Serving."""
    try:
        plain = "".join(text.split()).rstrip("=").encode("ascii")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (AttributeError, UnicodeEncodeError, binascii.Error):
        raise invalid(f"Unable to base64 decode: {shown(text)}") from None


def _type_name(value) -> str:
    """RapidJSON's name of the type of a value."""
    names = {dict: "Object", list: "Array", str: "String", bool: "True" if value is True else "False"}
    return names.get(type(value), "Null" if value is None else "Number")


def shown(value: Any) -> str:
    """A JSON value in an error, not too long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


# === Responses ===


def predict_response(outputs: Mapping[str, np.ndarray], columnar: bool) -> bytes:
    """Write the tensors of an answer as JSON.

    Args:
        outputs: A dict from names to arrays.
        columnar: Whether each output is written whole. Otherwise each row is.

    Raises:
        RequestError: If rows are to be written and an output has no rows, or another number of them.

    Example:

    >>> import numpy as np
    >>> from textrnn.server.json_tensors import predict_response
    >>> predict_response({"y": np.array([3, 3.5], "float32")}, columnar=False)
    b'{"predictions": [3.0, 3.5]}'
    """
    names = sorted(outputs)
    long = sum(array.size for array in outputs.values()) > PART
    if columnar:
        columns = {name: to_json(name, outputs[name]) for name in names}
        return _dumped({"outputs": columns if len(names) > 1 else columns[names[0]]}, long)
    sizes = {}
    for name in names:
        if not outputs[name].ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        sizes[name] = len(outputs[name])
        if sizes[name] != sizes[names[0]]:
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {sizes[name]} expecting: {sizes[names[0]]}"
            )
    columns = {name: to_json(name, outputs[name]) for name in names}
    if len(names) == 1:
        return _dumped({"predictions": columns[names[0]]}, long)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return _dumped({"predictions": rows}, long)


def to_json(name: str, array: np.ndarray) -> Any:
    """Convert a tensor to nested lists.

    Strings of an output whose name ends in `_bytes` are base64. In others, invalid UTF-8 becomes U+FFFD.
    Floats have as few digits as tell them from others of their type.

    Example:

    >>> import numpy as np
    >>> from textrnn.server.json_tensors import to_json
    >>> to_json("y", np.array([0.1], "float32")), to_json("y_bytes", np.array([b"a"], object))
    ([0.1], [{'b64': 'YQ=='}])
    """
    array = np.asarray(array)
    if not array.size:
        return array.tolist()
    if array.dtype == object:
        convert = _b64 if name.endswith("_bytes") else _text
    elif array.dtype.kind in "iub":
        return array.tolist()
    else:
        single = array.dtype.itemsize < 8
        array = array.astype("float32") if single else array
        convert = (lambda value: float(str(value))) if single else float
    values = [convert(value) for value in array.ravel()]
    for size in reversed(array.shape[1:]):
        values = [values[start : start + size] for start in range(0, len(values), size)]
    return values if array.ndim else values[0]


def _b64(value):
    return {"b64": base64.b64encode(value).decode("ascii")}


def _text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


_encode = json.JSONEncoder(ensure_ascii=False).encode


def _dumped(value, long) -> bytes:
    return (_in_parts if long else _encode)(value).encode("utf-8", "replace")


def _in_parts(value) -> str:
    """JSON as `_encode` writes it, which lets no other thread run until it has written all of it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_encode(key)}: {_in_parts(one)}" for key, one in value.items()) + "}"
    if not isinstance(value, list) or not value:
        return _encode(value)
    if isinstance(value[0], (list, dict)):
        return "[" + ", ".join(map(_in_parts, value)) + "]"
    parts = (value[start : start + PART] for start in range(0, len(value), PART))
    return "[" + ", ".join(_encode(part)[1:-1] for part in parts) + "]"

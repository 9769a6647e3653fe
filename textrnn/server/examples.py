"""TF Serving's classification and regression APIs: `tf.Example`s in, classes or values out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from textrnn.server.errors import RequestError, invalid
from textrnn.server.json_tensors import decoded, is_b64, shown

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
INPUTS = "inputs"
"""The input of their signatures: serialized examples."""


def parse_examples(request: Mapping[str, Any]) -> list[bytes]:
    """Convert the `examples` of a REST request, with its `context`, to serialized `tf.Example`s.

    Raises:
        RequestError: If they are not objects of values or lists of one type.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.server.examples import parse_examples
    >>> [data] = parse_examples({"examples": [{"x": 80.0}]})
    >>> tf.train.Example.FromString(data).features.feature["x"].float_list.value[:]
    [80.0]
    """
    if "examples" not in request:
        raise invalid("Request has no 'examples' key")
    examples, context = request["examples"], request.get("context", {})
    if not isinstance(examples, list) or not examples:
        raise invalid("Expecting 'examples' value to be an list/array with values")
    for one in (context, *examples):
        if not isinstance(one, dict):
            raise invalid(f"JSON Value: {shown(one)} Is not object")
    return [
        tf.train.Example(
            features=tf.train.Features(
                feature={name: _feature(name, value) for name, value in (context | example).items()}
            )
        ).SerializeToString()
        for example in examples
    ]


def _feature(name, value):
    values = value if isinstance(value, list) else [value]
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise invalid(f"The name of feature {name!r} has half a surrogate pair")
    if all(isinstance(one, str) or is_b64(one) for one in values):
        # Graphs repair half a surrogate pair, as those of a cut text.
        data = [
            one.encode("utf-8", "surrogatepass") if isinstance(one, str) else decoded(one["b64"])
            for one in values
        ]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=data))
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in values)
    if numbers and any(isinstance(one, int) and abs(one) >= 2**63 for one in values):
        raise invalid(f"JSON Value: {shown(value)} of feature {name} is out of the range of int64")
    if numbers and all(isinstance(one, int) for one in values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if numbers:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    raise invalid(f"JSON Value: {shown(value)} of feature {name} is not of one type: string, number or b64")


def serialized(message) -> list[bytes]:
    """The examples of a gRPC request, its `tensorflow.serving.Input`, with the context in each.

    Raises:
        RequestError: If there are none.
    """
    kind = message.WhichOneof("kind")
    if kind == "example_list":
        found = [example.SerializeToString() for example in message.example_list.examples]
    elif kind == "example_list_with_context":
        listed = message.example_list_with_context
        found = []
        for example in listed.examples:
            merged = tf.train.Example()
            merged.CopyFrom(listed.context)
            merged.MergeFrom(example)
            found.append(merged.SerializeToString())
    else:
        raise invalid("Input is empty.")
    if not found:
        raise invalid("Input is empty.")
    return found


def as_input(examples: Sequence[bytes]) -> dict[str, np.ndarray]:
    """The input of a signature of these APIs."""
    array = np.empty(len(examples), object)
    array[:] = examples
    return {INPUTS: array}


def classes(outputs: Mapping[str, np.ndarray], rows: int) -> list[list[tuple[str, float]]]:
    """For each example, pairs of the name of a class and its score.

    Raises:
        RequestError: If the outputs are not those of a classification.

    Example:

    >>> import numpy as np
    >>> from textrnn.server.examples import classes
    >>> classes({"scores": np.array([[12.0]])}, rows=1)
    [[('', 12.0)]]
    """
    labels, scores = outputs.get("classes"), outputs.get("scores")
    if labels is None and scores is None:
        raise RequestError(
            "INVALID_ARGUMENT", "Expected classification signature outputs to contain classes or scores"
        )
    for name, array in (("class", labels), ("score", scores)):
        if array is not None and (array.ndim != 2 or len(array) != rows):
            raise invalid(f"Expected Tensor shape: [{rows}, num_classes] for {name}s, got {[*array.shape]}")
    if labels is not None and scores is not None and labels.shape != scores.shape:
        raise invalid("Expected class and score tensors to have the same shape")
    shape = (scores if labels is None else labels).shape  # type: ignore[union-attr]
    names = np.full(shape, b"", object) if labels is None else labels
    numbers = np.zeros(shape) if scores is None else scores
    return [
        [(name.decode("utf-8", "replace"), score) for name, score in zip(*pair, strict=True)]
        for pair in zip(names.tolist(), numbers.tolist(), strict=True)
    ]


def regressions(outputs: Mapping[str, np.ndarray], rows: int) -> list[float]:
    """For each example, its value.

    Raises:
        RequestError: If the outputs are not those of a regression.
    """
    values = outputs.get("outputs")
    if values is None:
        raise invalid("No regression outputs found in signature: expected an output named outputs")
    if values.shape not in ((rows,), (rows, 1)):
        raise invalid(f"Expected Tensor shape: [{rows}, 1] or [{rows}], got {[*values.shape]}")
    return values.reshape(rows).astype(float).tolist()

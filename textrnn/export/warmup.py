"""TF Serving's warm-up requests: one for each signature and prompt."""

from pathlib import Path

import numpy as np
import tensorflow as tf


def warmup_requests(model_name, functions, prompts, methods=None, examples=None):
    """Make the requests that a server replays while loading a model.

    A signature whose inputs are outputs of an earlier one gets those: the states of a language model.

    Args:
        model_name: The name under which the model is served.
        functions: Concrete functions by the name of their signature.
        prompts: Texts, one request each for every signature.
        methods: TF Serving method names, by signature, of those that are not for its predict API.
        examples: Numbers for inputs by name. Others are -1, which stands for the model's own.

    Returns:
        A list of `tensorflow_serving.apis.prediction_log_pb2.PredictionLog`.
    """
    requests, needed = [], _needed(functions)
    for prompt in prompts:
        known = {"text": prompt, **(examples or {})}
        for name, function in functions.items():
            specs = function.structured_input_signature[0]
            inputs = {spec.name: _value(known.get(spec.name, -1), spec) for spec in specs}
            if (methods or {}).get(name) == tf.saved_model.CLASSIFY_METHOD_NAME:
                requests.append(_classify_log(model_name, name, prompt))
            else:
                requests.append(_predict_log(model_name, name, inputs))
            if needed & set(function.structured_outputs):
                outputs = function(*(tf.constant(value) for value in inputs.values()))
                known |= {key: value.numpy() for key, value in outputs.items() if key in needed}
    return requests


def write_warmup_requests(path, requests):
    """Write `assets.extra/tf_serving_warmup_requests` of a SavedModel.

    Args:
        path: The SavedModel's folder.
        requests: Those of `warmup_requests`.
    """
    folder = Path(path) / "assets.extra"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for request in requests:
            writer.write(request.SerializeToString())


def _needed(functions):
    """The inputs of signatures that are outputs of others, without texts."""
    inputs = {spec.name for function in functions.values() for spec in function.structured_input_signature[0]}
    outputs = {name for function in functions.values() for name in function.structured_outputs}
    return (inputs & outputs) - {"text"}


def _value(value, spec):
    """A tensor of the type and shape of an input, with one row and 1 for other free dimensions."""
    if isinstance(value, np.ndarray):  # an output, which has one row too
        return value.astype(spec.dtype.as_numpy_dtype).reshape(
            [1] * (len(spec.shape) - value.ndim) + [*value.shape]
        )
    return np.full([size or 1 for size in spec.shape], value, spec.dtype.as_numpy_dtype)


def _example(text):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode("utf-8")]))
    return tf.train.Example(features=tf.train.Features(feature={"text": feature}))


def _predict_log(model_name, signature, inputs):
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model_name, signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))


def _classify_log(model_name, signature, prompt):
    from tensorflow_serving.apis import classification_pb2, prediction_log_pb2

    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = model_name, signature
    request.input.example_list.examples.append(_example(prompt))
    return prediction_log_pb2.PredictionLog(classify_log=prediction_log_pb2.ClassifyLog(request=request))

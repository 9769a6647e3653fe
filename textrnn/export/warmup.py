"""TF Serving's warm-up requests."""

from pathlib import Path

import tensorflow as tf


def write_warmup_requests(path, model_name, prompts):
    """Write `assets.extra/tf_serving_warmup_requests`, which a server replays while loading a model.

    Args:
        path: The SavedModel's folder.
        model_name: The name under which the model is served.
        prompts: Texts for `serving_default`, one request each.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    folder = Path(path) / "assets.extra"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for prompt in prompts:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = "serving_default"
            request.inputs["text"].CopyFrom(tf.make_tensor_proto([prompt]))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())

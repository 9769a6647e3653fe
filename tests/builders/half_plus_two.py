"""Small SavedModels that are no models of text: y = x / 2 + 2, and what servers find difficult."""

import tensorflow as tf


class HalfPlusTwo(tf.Module):
    """y = x / 2 + 2 as a signature of each of TF Serving's APIs, and signatures of other types."""

    def __init__(self, constant=2.0):
        super().__init__()
        self.constant = tf.Variable(constant)

    def _y(self, x):
        return x / 2 + self.constant

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def predict(self, x):
        return {"y": self._y(x)}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    def any_shape(self, x):
        return {"y": self._y(x)}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([None], tf.string, "text")]
    )
    def two(self, x, text):
        return {"y": self._y(x), "text": tf.strings.upper(text), "raw_bytes": text}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "n")])
    def loop(self, n):
        """Count to n."""
        [counted] = tf.while_loop(lambda i: tf.reduce_any(i < n), lambda i: [i + 1], [tf.zeros_like(n)])
        return {"counted": counted}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "n")])
    def fail(self, n):
        """Raise for a negative number."""
        with tf.control_dependencies([tf.debugging.assert_non_negative(n, "negative")]):
            return {"n": tf.identity(n)}

    def _examples(self, serialized):
        feature = {"x": tf.io.FixedLenFeature([1], tf.float32)}
        return tf.io.parse_example(serialized, feature)["x"]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify(self, inputs):
        return {"scores": self._y(self._examples(inputs))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress(self, inputs):
        return {"outputs": self._y(self._examples(inputs))}


def save(path, constant=2.0):
    """Write the model as a SavedModel; `constant` replaces the 2."""
    module = HalfPlusTwo(constant)
    signatures = {
        "serving_default": module.predict, "any_shape": module.any_shape, "two": module.two,
        "loop": module.loop, "fail": module.fail, "classify": module.classify, "regress": module.regress,
    }  # fmt: skip
    tf.saved_model.save(module, str(path), signatures=signatures)
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(path))
    updater.replace_method_name("classify", "tensorflow/serving/classify", tags="serve")
    updater.replace_method_name("regress", "tensorflow/serving/regress", tags="serve")
    updater.save()
    return path

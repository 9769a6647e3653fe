"""The object that an export saves: traced signatures and one copy of each weight that they read."""

from typing import Literal, get_args

import keras
import tensorflow as tf

from textrnn.cells.weights import weights_split_by
from textrnn.errors import expect
from textrnn.layers.backend import graphs_for_any_device

WeightDtype = Literal["float32", "float16"]
"""Types in which an export can store weights. It always computes in the model's own."""


def traced_module(signatures, roots, weights, dtype: WeightDtype = "float32"):
    """Trace serving functions, and collect what TensorFlow saves with them.

    Matrices of cells are stored by gate, so that no call of a function begins by splitting them. These are
    copies of their present values. One that is read both whole and by gate, as by no cell of textrnn, is
    stored twice.

    Keras's `ExportArchive` tracks each weight as its own variable and as TensorFlow's, so it saves it twice.

    Args:
        signatures: Name -> `(function, input specs)`.
        roots: Layers and tokenizers, whose lookup tables and other resources belong to the functions.
        weights: The Keras variables of the model.
        dtype: The type to store float32 weights in.

    Returns:
        A `tf.Module` with an attribute for each function, and the concrete functions by name. TensorFlow
        would trace others again while saving.

    Raises:
        InputError: If a weight is too large for `dtype`, or if `dtype` is another one.
    """
    known = get_args(WeightDtype)
    expect(dtype in known, f"weights cannot be exported as {dtype!r}: give {' or '.join(map(repr, known))}")
    blocks = _Blocks(weights, "float32")
    functions = _traced(signatures, blocks)
    if dtype != "float32":
        read = {id(variable) for variable in _variables(functions)}
        whole = [w for w in weights if w.dtype == "float32" and read & set(map(id, _parts(w.value)))]
        stored = [_stored(w, w.value, dtype) for w in whole]
        blocks = _Blocks(weights, dtype)
        functions = _traced(_reading(signatures, whole, stored), blocks)
    module = tf.Module()
    for name, function in functions.items():
        setattr(module, name, function)
    module.weights = _variables(functions)
    module.resources = [
        part
        for root in roots
        for part in tf.train.TrackableView(root).descendants()
        if isinstance(part, tf.saved_model.experimental.TrackableResource)
    ]
    return module, functions


class _Blocks:
    """The blocks of matrices, as TensorFlow variables of their own that store float32 in `dtype`."""

    def __init__(self, weights, dtype):
        self.dtype = dtype
        # Read now: in scopes of Keras, `weight.value` is a cast one. Vectors are small and stay whole.
        self.matrices = {id(weight): (weight, weight.value) for weight in weights if len(weight.shape) > 1}
        self.stored = {}

    def split(self, weight, count):
        """The blocks of a matrix, tensors of its type; None for other weights."""
        if id(weight) not in self.matrices:
            return None
        _, value = self.matrices[id(weight)]
        if (id(weight), count) not in self.stored:
            dtype = self.dtype if value.dtype == tf.float32 else value.dtype
            with tf.init_scope():  # not in the graph that reads them
                parts = tf.split(value, count, axis=-1)
                self.stored[id(weight), count] = [_stored(weight, part, dtype) for part in parts]
        return [tf.cast(block, value.dtype) for block in self.stored[id(weight), count]]


def _traced(signatures, blocks):
    with graphs_for_any_device(), weights_split_by(blocks.split):
        return {
            name: tf.function(function, input_signature=specs, autograph=False).get_concrete_function()
            for name, (function, specs) in signatures.items()
        }


def _variables(functions):
    """The TensorFlow variables that traced functions read, each once."""
    found = (variable for function in functions.values() for variable in function.variables)
    return list({id(variable): variable for variable in found}.values())


def _parts(variable):
    """The variable, or its copies on several devices."""
    return (variable, *getattr(variable, "values", ()))


def _stored(weight, value, dtype):
    """A TensorFlow variable for the value of a weight, or of a part of it, in a type that can hold it."""
    stored = tf.Variable(tf.cast(value, dtype), trainable=False, name=weight.name)
    expect(
        bool(tf.reduce_all(tf.math.is_finite(stored) | ~tf.math.is_finite(value))),
        f"the weight {weight.path} has values that {dtype} cannot hold: export with dtype='float32'",
    )
    return stored


def _reading(signatures, weights, stored):
    """The same functions, which read stored weights and cast them to the types of the model."""

    def reading(function):
        def run(*inputs):
            values = (tf.cast(v, weight.dtype) for weight, v in zip(weights, stored, strict=True))
            # In this scope, Keras reads these values instead of those of its variables.
            with keras.StatelessScope(list(zip(weights, values, strict=True))):
                return function(*inputs)

        return run

    return {name: (reading(function), specs) for name, (function, specs) in signatures.items()}

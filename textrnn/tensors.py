"""Tensors: their type, and the dtype to compute in."""

from typing import Any

import keras

Tensor = Any
"""A tensor of the Keras backend."""


def at_least_float32(x: Tensor) -> str:
    """Return the dtype in which to accumulate tensors like x: float32 for half precision, else its own.

    `keras.backend.result_type` with float32 does not do this: on JAX it gives float32 for float64.

    Example:

    >>> from keras import ops
    >>> from textrnn.tensors import at_least_float32
    >>> at_least_float32(ops.ones(1, "bfloat16")), at_least_float32(ops.ones(1, "float32"))
    ('float32', 'float32')
    """
    return exact_dtype(keras.backend.standardize_dtype(x.dtype))


def exact_dtype(dtype: str) -> str:
    """Return the dtype in which to accumulate numbers of a dtype: at least float32.

    Example:

    >>> from textrnn.tensors import exact_dtype
    >>> exact_dtype("bfloat16"), exact_dtype("float64")
    ('float32', 'float64')
    """
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def is_float(x: Tensor) -> bool:
    """Return whether a tensor or a variable holds floating point numbers.

    Example:

    >>> from keras import ops
    >>> from textrnn.tensors import is_float
    >>> is_float(ops.ones(1, "bfloat16")), is_float(ops.ones(1, "bool"))
    (True, False)
    """
    return "float" in keras.backend.standardize_dtype(x.dtype)

"""The state of callbacks and random generators as bytes, and back."""

import io
import json
import random

import keras
import numpy as np


def pack(value) -> bytes:
    """Write nested lists, tuples and dicts of numbers, strings, None and NumPy arrays as bytes.

    Raises:
        TypeError: For a value of another type.

    Example:

    >>> import numpy as np
    >>> from textrnn.training.state import pack, unpack
    >>> unpack(pack({"best": (2.5, [np.arange(3)]), "wait": 0}))
    {'best': (2.5, [array([0, 1, 2])]), 'wait': 0}
    """
    arrays: list[np.ndarray] = []
    text = json.dumps(_encoded(value, arrays))
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, text=text, **{f"array_{i}": array for i, array in enumerate(arrays)})
    return file.getvalue()


def unpack(data: bytes):
    """Read what `pack` has written."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return _decoded(json.loads(str(arrays["text"])), arrays)


def callback_state(callback: keras.callbacks.Callback, initial: dict | None = None) -> dict:
    """Return the state of a callback: that of its `get_state`, or the attributes that `pack` can write.

    Args:
        callback: A callback.
        initial: What this function returned when training began. Attributes that have not changed are left
            out, since they are arguments of the constructor, which a resumed run may change.

    Example:

    >>> import keras
    >>> from textrnn.training.state import callback_state
    >>> callback_state(keras.callbacks.EarlyStopping(patience=2))["patience"]
    2
    """
    if hasattr(callback, "get_state"):
        return callback.get_state()
    before = initial or {}
    return {
        name: value
        for name, value in vars(callback).items()
        if name != "params" and _is_plain(value) and not (name in before and _equal(value, before[name]))
    }


def set_callback_state(callback: keras.callbacks.Callback, state: dict):
    """Give a callback the state that `callback_state` has returned."""
    if hasattr(callback, "set_state"):
        callback.set_state(state)
    else:
        vars(callback).update(state)


def random_state():
    """Return the states of the random generators of Python and NumPy. Those of layers are variables."""
    return random.getstate(), np.random.get_state()


def set_random_state(state):
    """Give the random generators the states that `random_state` has returned."""
    python, numpy = state
    random.setstate(python)
    np.random.set_state(numpy)


def _encoded(value, arrays):
    """A value for JSON, in which arrays are numbers of places in `arrays`, to which they are appended."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        value = value.item()
        if isinstance(value, (bool, int, float, str)):
            return value
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OMm":
        arrays.append(value)
        return {"array": len(arrays) - 1, "dtype": str(value.dtype)}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_encoded(each, arrays) for each in value]}
    if type(value) is dict:
        return {"dict": [[_encoded(key, arrays), _encoded(each, arrays)] for key, each in value.items()]}
    raise TypeError(f"{value!r} is neither a number nor a str, list, tuple, dict or array")


def _decoded(value, arrays):
    if not isinstance(value, dict):
        return value
    if "array" in value:
        array = arrays[f"array_{value['array']}"]
        # NumPy does not know the dtype bfloat16 when it reads a file.
        return (
            array.view(keras.backend.standardize_dtype(value["dtype"])) if array.dtype.kind == "V" else array
        )
    [(kind, values)] = value.items()
    if kind == "dict":
        return {_decoded(key, arrays): _decoded(each, arrays) for key, each in values}
    parts = [_decoded(each, arrays) for each in values]
    return tuple(parts) if kind == "tuple" else parts


def _equal(one, other):
    arrays: tuple[list, list] = ([], [])
    return _encoded(one, arrays[0]) == _encoded(other, arrays[1]) and all(map(np.array_equal, *arrays))


def _is_plain(value):
    try:
        _encoded(value, [])
    except TypeError:
        return False
    return True

"""Run a SavedModel through TensorFlow's C API, without Python's TensorFlow and without Keras.

    python tests/serving/c_api.py saved_models/demo/1 "The for statement"

`TF_LoadSessionFromSavedModel` is the code that loads models in a C++ server. A model that runs here needs
only its own folder, TensorFlow's runtime and one library of TensorFlow Text.
"""

import ctypes
import importlib.util
import os
import sys
from ctypes import byref, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

TF_STRING = 7  # tf_datatype.h
SIZE_OF_STRING = 24  # ctstring_internal.h


class Handle(c_void_p):
    """A pointer type. ctypes converts results of type `c_void_p` to int, and truncates them as arguments."""


class Buffer(ctypes.Structure):
    """`TF_Buffer` of tf_buffer.h."""

    _fields_ = (("data", c_void_p), ("length", c_size_t), ("data_deallocator", c_void_p))


class Output(ctypes.Structure):
    """`TF_Output` of c_api.h, a tensor in a graph."""

    _fields_ = (("operation", c_void_p), ("index", c_int))


RESULTS = {
    "TF_AllocateTensor": Handle,
    "TF_GraphOperationByName": Handle,
    "TF_LoadLibrary": Handle,
    "TF_LoadSessionFromSavedModel": Handle,
    "TF_Message": c_char_p,
    "TF_NewGraph": Handle,
    "TF_NewSessionOptions": Handle,
    "TF_NewStatus": Handle,
    "TF_StringGetDataPointer": Handle,
    "TF_StringGetSize": c_size_t,
    "TF_TensorData": Handle,
    "TF_TensorElementCount": c_int64,
}
"""Result types of the functions that return neither an int nor nothing."""


def library_path(package, *path):
    """Return the path of a library of an installed package, without importing the package."""
    spec = importlib.util.find_spec(package)
    for folder in spec.submodule_search_locations if spec else ():
        if (file := Path(folder, *path)).is_file():
            return str(file)
    raise FileNotFoundError(f"no {'/'.join((package, *path))} is installed")


class SavedModel:
    """A SavedModel in a session of the C API. Nothing is freed, since the process is short-lived.

    Args:
        folder: The SavedModel's folder.
    """

    def __init__(self, folder):
        # This library loads libtensorflow_framework, which has the rest of the C API.
        self.api = ctypes.CDLL(library_path("tensorflow", "libtensorflow_cc.so.2"))
        for name, result in RESULTS.items():
            getattr(self.api, name).restype = result
        self.status = self.api.TF_NewStatus()
        text_ops = library_path("tensorflow_text", "python", "ops", "_sentencepiece_tokenizer.so")
        self._checked("TF_LoadLibrary", os.fsencode(text_ops))
        self.graph, meta_graph, tags = self.api.TF_NewGraph(), Buffer(), (c_char_p * 1)(b"serve")
        self.session = self._checked(
            "TF_LoadSessionFromSavedModel",
            *(self.api.TF_NewSessionOptions(), None, os.fsencode(folder), tags, len(tags)),
            *(self.graph, byref(meta_graph)),
        )
        self.meta_graph = ctypes.string_at(meta_graph.data, meta_graph.length)

    def answer(self, text):
        """Run `serving_default` on a batch of one; return its output `text` or `label`, bytes."""
        # meta_graph.proto, MetaGraphDef: map<string, SignatureDef> signature_def = 5;
        # SignatureDef: map<string, TensorInfo> inputs = 1, outputs = 2; TensorInfo: string name = 1
        signatures = dict(entries(self.meta_graph, 5))
        inputs, outputs = (dict(entries(signatures[b"serving_default"], number)) for number in (1, 2))
        feed, fetch = (
            self._place(fields(info, 1)[0])
            for info in (inputs[b"text"], outputs.get(b"text") or outputs[b"label"])
        )
        question, answer = self._string_tensor(text), Handle()
        self._checked(
            "TF_SessionRun",
            *(self.session, None, byref(feed), byref(question), 1, byref(fetch), byref(answer), 1),
            *(None, 0, None),
        )
        kind, count = self.api.TF_TensorType(answer), self.api.TF_TensorElementCount(answer)
        if (kind, count) != (TF_STRING, 1):
            raise RuntimeError(f"expected one string, got {count} values of type {kind}")
        string = self.api.TF_TensorData(answer)
        return ctypes.string_at(self.api.TF_StringGetDataPointer(string), self.api.TF_StringGetSize(string))

    def _checked(self, name, *arguments):
        """Call a function whose last argument is the status, and raise an error if the status is one."""
        result = getattr(self.api, name)(*arguments, self.status)
        if self.api.TF_GetCode(self.status):
            raise RuntimeError(f"{name}: {self.api.TF_Message(self.status).decode()}")
        return result

    def _place(self, name):
        """Return the tensor named `operation:index`."""
        operation, _, index = name.partition(b":")
        return Output(self.api.TF_GraphOperationByName(self.graph, operation), int(index))

    def _string_tensor(self, text):
        """Return a tensor `(1,)` of one string."""
        tensor = self.api.TF_AllocateTensor(TF_STRING, byref(c_int64(1)), 1, c_size_t(SIZE_OF_STRING))
        string = self.api.TF_TensorData(tensor)
        self.api.TF_StringInit(string)
        self.api.TF_StringCopy(string, text, c_size_t(len(text)))
        return tensor


# === The part of protocol buffers that signatures need, since the Python classes belong to TensorFlow ===


def entries(message, number):
    """Return the keys and values of a map field, pairs of bytes."""
    return [(fields(entry, 1)[0], fields(entry, 2)[0]) for entry in fields(message, number)]


def fields(message, number):
    """Return the values of a field of strings or messages (protobuf.dev/programming-guides/encoding)."""
    values, rest = [], message
    while rest:
        tag, rest = varint(rest)
        size, rest = varint(rest)
        if tag & 7 == 2:  # length-delimited; all other fields of these messages are varints, read by now
            if tag >> 3 == number:
                values.append(rest[:size])
            rest = rest[size:]
    return values


def varint(message):
    """Return the variable-length integer at the start of a message, and the rest."""
    size = next(i for i, byte in enumerate(message, 1) if byte < 128)
    return sum((byte & 127) << 7 * i for i, byte in enumerate(message[:size])), message[size:]


if __name__ == "__main__":
    _, folder, *texts = sys.argv
    model = SavedModel(folder)
    # 0xFF separates the answers, since it is no part of UTF-8.
    sys.stdout.buffer.write(b"\xff".join(model.answer(os.fsencode(text)) for text in texts))

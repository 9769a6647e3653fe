"""Asks a SavedModel one question through TensorFlow's C API: neither Python's TensorFlow nor Keras takes part.

    python tests/serving/c_api.py saved_models/demo/1 "The for statement"

`TF_LoadSessionFromSavedModel` is the code that loads models in a C++ server, so a model that answers here
depends on nothing but its own folder, TensorFlow's runtime and the one library of TensorFlow Text.
"""

import ctypes
import importlib.util
import os
import sys
from ctypes import CDLL, POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

TF_STRING = 7  # tf_datatype.h
SIZE_OF_TSTRING = 24  # ctstring_internal.h


class Buffer(ctypes.Structure):  # noqa: D101 (tf_buffer.h)
    _fields_ = (("data", c_void_p), ("length", c_size_t), ("data_deallocator", c_void_p))


class Output(ctypes.Structure):  # noqa: D101 (c_api.h)
    _fields_ = (("operation", c_void_p), ("index", c_int))


FUNCTIONS = {
    "TF_AllocateTensor": (c_void_p, c_int, POINTER(c_int64), c_int, c_size_t),
    "TF_GetCode": (c_int, c_void_p),
    "TF_GraphOperationByName": (c_void_p, c_void_p, c_char_p),
    "TF_LoadLibrary": (c_void_p, c_char_p, c_void_p),
    "TF_LoadSessionFromSavedModel": (
        *(c_void_p, c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int),
        *(c_void_p, POINTER(Buffer), c_void_p),
    ),
    "TF_Message": (c_char_p, c_void_p),
    "TF_NewBuffer": (POINTER(Buffer),),
    "TF_NewGraph": (c_void_p,),
    "TF_NewSessionOptions": (c_void_p,),
    "TF_NewStatus": (c_void_p,),
    "TF_SessionRun": (
        *(None, c_void_p, c_void_p, POINTER(Output), POINTER(c_void_p), c_int),
        *(POINTER(Output), POINTER(c_void_p), c_int, c_void_p, c_int, c_void_p, c_void_p),
    ),
    "TF_StringCopy": (None, c_void_p, c_char_p, c_size_t),
    "TF_StringGetDataPointer": (c_void_p, c_void_p),
    "TF_StringGetSize": (c_size_t, c_void_p),
    "TF_StringInit": (None, c_void_p),
    "TF_TensorData": (c_void_p, c_void_p),
    "TF_TensorElementCount": (c_int64, c_void_p),
    "TF_TensorType": (c_int, c_void_p),
}
"""Name -> the types of the result and the arguments; every handle is a `void *`."""


def library_path(package, *path):
    """Where a file of an installed package lies, found without importing the package; None without it."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else ()
    return next((file for folder in folders if (file := Path(folder, *path)).is_file()), None)


def load_c_api():
    """TensorFlow's C API, with the functions that are used here declared."""
    # The wheel spreads the C API over this library and libtensorflow_framework, which it brings along. Both
    # must be visible to the library of TensorFlow Text.
    api = CDLL(str(library_path("tensorflow", "libtensorflow_cc.so.2")), mode=ctypes.RTLD_GLOBAL)
    for name, (result, *arguments) in FUNCTIONS.items():
        function = getattr(api, name)
        function.restype, function.argtypes = result, arguments
    return api


class SavedModel:
    """A SavedModel in a session of the C API. Nothing is freed: the process ends soon.

    Args:
        folder: the SavedModel's folder.
    """

    def __init__(self, folder):
        self.api = load_c_api()
        self.status = self.api.TF_NewStatus()
        text_ops = library_path("tensorflow_text", "python", "ops", "_sentencepiece_tokenizer.so")
        self._checked("TF_LoadLibrary", os.fsencode(text_ops))
        self.graph = self.api.TF_NewGraph()
        meta_graph = self.api.TF_NewBuffer()
        self.session = self._checked(
            "TF_LoadSessionFromSavedModel",
            *(self.api.TF_NewSessionOptions(), None, os.fsencode(folder), (c_char_p * 1)(b"serve"), 1),
            *(self.graph, meta_graph),
        )
        self.meta_graph = ctypes.string_at(meta_graph.contents.data, meta_graph.contents.length)

    def ask(self, prompt, signature=b"serving_default"):
        """Runs a signature from one string to one string, on a batch of one.

        Args:
            prompt: bytes, UTF-8.
            signature: bytes, its name.

        Returns:
            bytes.
        """
        (feed,), (fetch,) = (self._tensors(names) for names in signature_tensors(self.meta_graph, signature))
        question, answer = c_void_p(self._string_tensor(prompt)), c_void_p()
        self._checked("TF_SessionRun", self.session, None, feed, question, 1, fetch, answer, 1, None, 0, None)
        if (type_ := self.api.TF_TensorType(answer)) != TF_STRING:
            raise RuntimeError(f"{signature!r} answers with tensors of type {type_}, and not with strings")
        if (count := self.api.TF_TensorElementCount(answer)) != 1:
            raise RuntimeError(f"{signature!r} gave {count} answers to one prompt")
        string = self.api.TF_TensorData(answer)
        size = self.api.TF_StringGetSize(string)
        return ctypes.string_at(self.api.TF_StringGetDataPointer(string), size)

    def _checked(self, name, *arguments):
        """Calls a function whose last argument is the status, and raises what the status says."""
        result = getattr(self.api, name)(*arguments, self.status)
        if self.api.TF_GetCode(self.status):
            raise RuntimeError(f"{name}: {self.api.TF_Message(self.status).decode()}")
        return result

    def _tensors(self, names):
        """The places in the graph of tensors called `operation:index`."""
        places = []
        for operation, _, index in (name.partition(b":") for name in names):
            if (found := self.api.TF_GraphOperationByName(self.graph, operation)) is None:
                raise RuntimeError(f"the signature names {operation!r}, which is not in the graph")
            places.append(Output(found, int(index)))
        return places

    def _string_tensor(self, text):
        """A tensor `(1,)` of one string."""
        tensor = self.api.TF_AllocateTensor(TF_STRING, byref(c_int64(1)), 1, SIZE_OF_TSTRING)
        string = self.api.TF_TensorData(tensor)
        self.api.TF_StringInit(string)
        self.api.TF_StringCopy(string, text, len(text))
        return tensor


# === The signature, read from the MetaGraphDef without its Python class, which is part of TensorFlow ===


def signature_tensors(meta_graph, signature):
    """The names of a signature's input and output tensors, two lists of bytes."""
    for entry in fields(meta_graph, 5):  # meta_graph.proto: map<string, SignatureDef> signature_def = 5
        if signature in fields(entry, 1):
            (definition,) = fields(entry, 2)
            # SignatureDef: map<string, TensorInfo> inputs = 1, outputs = 2; TensorInfo: string name = 1
            return [
                [
                    name
                    for tensor in fields(definition, number)
                    for info in fields(tensor, 2)
                    for name in fields(info, 1)
                ]
                for number in (1, 2)
            ]
    raise RuntimeError(f"the SavedModel has no signature {signature!r}")


def fields(message, number):
    """The values of a protocol buffer's length-delimited fields of one number, a list of bytes.

    https://protobuf.dev/programming-guides/encoding
    """
    values, at = [], 0
    while at < len(message):
        tag, at = varint(message, at)
        match tag & 7:
            case 0:
                _, at = varint(message, at)
            case 1:
                at += 8
            case 2:
                size, at = varint(message, at)
                if tag >> 3 == number:
                    values.append(message[at : at + size])
                at += size
            case 5:
                at += 4
            case wire_type:
                raise RuntimeError(f"no protocol buffer: wire type {wire_type}")
    return values


def varint(message, at):
    """The variable-length integer at a position, and the position after it."""
    value = shift = 0
    while True:
        byte, at = message[at], at + 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


if __name__ == "__main__":
    _, folder, prompt = sys.argv
    sys.stdout.buffer.write(SavedModel(folder).ask(os.fsencode(prompt)))

"""The status and the signatures of models, as JSON and as messages."""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import any_pb2, json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from textrnn.server.errors import RequestError
from textrnn.server.models import Models, Version

CODES = {
    "OK": 0, "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5,
    "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10, "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14,
}  # fmt: skip

_AS_IN_REST: dict[str, Any] = {
    "preserving_proto_field_name": True,
    "always_print_fields_with_no_presence": True,
}


def status_message(versions: Mapping[int, Version]):
    """A `GetModelStatusResponse` of versions by their numbers."""
    message = get_model_status_pb2.GetModelStatusResponse()
    for number, version in versions.items():
        one = message.model_version_status.add(version=number)
        one.state = get_model_status_pb2.ModelVersionStatus.State.Value(version.state)
        one.status.SetInParent()
        if version.error is not None:
            one.status.error_code = CODES.get(version.error.code, CODES["UNKNOWN"])
            one.status.error_message = str(version.error)
    return message


def status_json(versions: Mapping[int, Version]) -> bytes:
    """The same as JSON."""
    return _json(status_message(versions))


def metadata_message(models: Models, name: str, version=None, label=None):
    """A `GetModelMetadataResponse` with the signatures of a version."""
    message = get_model_metadata_pb2.GetModelMetadataResponse()
    signatures = get_model_metadata_pb2.SignatureDefMap()
    with models.use(name, version, label) as servable:
        message.model_spec.name = name
        message.model_spec.version.value = servable.version
        for key, definition in servable.signature_defs.items():
            signatures.signature_def[key].CopyFrom(definition)
    packed = any_pb2.Any()
    packed.Pack(signatures)
    message.metadata["signature_def"].CopyFrom(packed)
    return message


def metadata_json(models: Models, name: str, version=None, label=None) -> bytes:
    """The same as JSON."""
    return _json(metadata_message(models, name, version, label))


def list_json(models: Models) -> bytes:
    """All models, as OpenAI lists them, with what the page shows beside it.

    TF Serving has no such list. `versions` are the entries of TF Serving's status, the highest first. Each
    has the names of its `signatures` while it is loaded.
    """
    listed = []
    for name in models.names:
        try:
            versions = models.status(name)
        except RequestError:  # no version yet, or the model has just gone
            versions = {}
        entries = json_format.MessageToDict(status_message(versions), **_AS_IN_REST)["model_version_status"]
        for entry, version in zip(entries, versions.values(), strict=True):
            entry["signatures"] = sorted(version.servable.signatures) if version.servable else []
        loaded = [version.servable.loaded_at for version in versions.values() if version.servable]
        listed.append({
            "id": name, "object": "model", "created": max(loaded, default=0), "owned_by": "textrnn",
            "versions": entries,
        })  # fmt: skip
    return json.dumps({"object": "list", "data": listed}, ensure_ascii=False).encode("utf-8", "replace")


def _json(message) -> bytes:
    return json_format.MessageToJson(message, **_AS_IN_REST).encode()

"""TF Serving's configuration files: models, batching and monitoring, in protobuf's text format.

The messages of batching and monitoring are in no Python package. They are described here as in
tensorflow/serving (session_bundle_config.proto, monitoring_config.proto), so that protobuf's own parser reads
them and refuses what stock TF Serving would refuse.
"""

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from textrnn.errors import InputError

BATCHING_FIELDS = {
    "max_batch_size": 1, "batch_timeout_micros": 2, "max_enqueued_batches": 3, "num_batch_threads": 4,
}  # fmt: skip
"""Numbers of the fields of `BatchingParameters` that are wrapped integers."""

PARALLEL_CALLS = 4 * max(2, len(os.sched_getaffinity(0)))
"""Calls of models that run at the same time. One that generates long texts keeps its thread for seconds."""


@dataclass(frozen=True)
class ModelConfig:
    """A model that is to be served.

    Attributes:
        name: Its name in requests.
        path: The folder of its versions.
        latest: How many of the highest versions are served; None for all.
        versions: The versions that are served; overrides `latest` if not empty.
        labels: Versions by label.
    """

    name: str
    path: Path
    latest: int | None = 1
    versions: tuple[int, ...] = ()
    labels: Mapping[str, int] | None = None

    def wanted(self, found) -> set[int]:
        """The versions to serve of those that there are.

        Example:

        >>> from pathlib import Path
        >>> from textrnn.server.config_files import ModelConfig
        >>> ModelConfig("m", Path("m")).wanted([1, 3, 2]), ModelConfig("m", Path("m"), None).wanted([1, 3])
        ({3}, {1, 3})
        """
        if self.versions:
            return set(found) & set(self.versions)
        return set(sorted(found, reverse=True)[: self.latest])

    def faults(self, found) -> list[str]:
        """What is wrong with the versions that there are, each a line of text.

        Example:

        >>> from pathlib import Path
        >>> from textrnn.server.config_files import ModelConfig
        >>> ModelConfig("m", Path("m"), versions=(2,), labels={"stable": 1}).faults([1])
        ['m: there is no version 2 in m', 'm: the label stable is for version 1, which is not served']
        """
        wanted = self.wanted(found)
        if found:
            faults = [
                f"{self.name}: there is no version {number} in {self.path}"
                for number in self.versions
                if number not in found
            ]
        elif self.path.is_dir():
            faults = [f"{self.name}: {self.path} has no version, a folder with a number for a name"]
        else:
            faults = [f"{self.name}: there is no folder {self.path}"]
        return faults + [
            f"{self.name}: the label {label} is for version {number}, which is not served"
            for label, number in (self.labels or {}).items()
            if number not in wanted
        ]


def version_folders(path) -> dict[int, Path]:
    """The folders of the versions of a model: those with a number for a name.

    Raises:
        InputError: If the folder cannot be read at the moment, which does not mean that it has no versions.

    Example:

    >>> from textrnn.server.config_files import version_folders
    >>> version_folders("/nowhere")
    {}
    """
    return {int(child.name): child for child in subfolders(path) if child.name.isdecimal()}


def subfolders(path) -> list[Path]:
    """The folders in a folder, sorted; none if it does not exist or must not be read.

    Raises:
        InputError: If it cannot be read for another reason, such as too many open files.
    """
    try:
        return sorted(child for child in Path(path).iterdir() if child.is_dir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


@dataclass(frozen=True)
class Batching:
    """How requests are batched; see TF Serving's `BatchingParameters`.

    Attributes:
        max_batch_size: Most rows of a batch.
        batch_timeout_micros: How long a batch that is not full waits for more rows.
        max_enqueued_batches: Full batches that may wait; more requests are refused.
        num_batch_threads: Batches that run at the same time; by default, four times as many as processors.
        allowed_batch_sizes: Sizes to which batches are padded; empty for any.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 1000
    num_batch_threads: int = PARALLEL_CALLS
    allowed_batch_sizes: tuple[int, ...] = ()

    def __post_init__(self):
        if self.allowed_batch_sizes and (
            list(self.allowed_batch_sizes) != sorted({*self.allowed_batch_sizes})
            or self.allowed_batch_sizes[-1] != self.max_batch_size
        ):
            raise InputError(
                f"allowed_batch_sizes {[*self.allowed_batch_sizes]}: they must increase, and the last one is "
                f"max_batch_size, {self.max_batch_size}"
            )


def read_models(path) -> list[ModelConfig]:
    """Read a `models.config`.

    A base path that does not exist here, such as `/models/novel` of TF Serving's container, is taken relative
    to the file, without its first folder.

    Raises:
        InputError: If the file cannot be read, or holds what TF Serving would refuse.
    """
    from tensorflow_serving.config import model_server_config_pb2

    config = _parsed(path, model_server_config_pb2.ModelServerConfig())
    if config.WhichOneof("config") != "model_config_list":
        raise InputError(f"{path}: expected a model_config_list")
    models = []
    for one in config.model_config_list.config:
        if not one.name or not one.base_path:
            raise InputError(f"{path}: a model needs a name and a base_path")
        if one.model_platform not in ("", "tensorflow"):
            raise InputError(f"{path}: {one.name} is for {one.model_platform}, expected tensorflow")
        policy = one.model_version_policy
        kind = policy.WhichOneof("policy_choice") or "latest"
        models.append(
            ModelConfig(
                one.name,
                _here(one.base_path, Path(path).parent),
                latest=None if kind == "all" else (policy.latest.num_versions or 1),
                versions=tuple(policy.specific.versions) if kind == "specific" else (),
                labels=dict(one.version_labels),
            )
        )
    names = [model.name for model in models]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path}: {', '.join(repeated)} is there more than once: give each model a name")
    return models


def _here(base_path, folder) -> Path:
    if Path(base_path).exists():
        return Path(base_path)
    path = PurePosixPath(base_path)
    return folder / Path(*path.parts[2:] if path.is_absolute() else path.parts)


def read_batching(path) -> Batching:
    """Read a file of batching parameters.

    Raises:
        InputError: If the file cannot be read, or holds what TF Serving would refuse.

    Example:

    >>> import pathlib, tempfile
    >>> from textrnn.server.config_files import read_batching
    >>> path = pathlib.Path(tempfile.mkdtemp(), "batching.config")
    >>> _ = path.write_text("max_batch_size { value: 32 } allowed_batch_sizes: 8 allowed_batch_sizes: 32")
    >>> read_batching(path).allowed_batch_sizes
    (8, 32)
    """
    message = _parsed(path, _messages()["BatchingParameters"]())
    given = {name: getattr(message, name).value for name in BATCHING_FIELDS if message.HasField(name)}
    if message.enable_large_batch_splitting.value and message.HasField("max_execution_batch_size"):
        # TF Serving splits larger requests. Here they run by themselves, since nothing else fits beside them.
        given["max_batch_size"] = message.max_execution_batch_size.value
    low = {"max_batch_size": 1, "batch_timeout_micros": 0, "max_enqueued_batches": 1, "num_batch_threads": 1}
    for name, value in given.items():
        if value < low[name]:
            raise InputError(f"{path}: {name} is {value}: expected at least {low[name]}")
    return Batching(**given, allowed_batch_sizes=tuple(message.allowed_batch_sizes))


def read_metrics_path(path) -> str | None:
    """Read a monitoring configuration: the path of the metrics on the REST port, or None for no metrics.

    Raises:
        InputError: If the file cannot be read, or holds what TF Serving would refuse.
    """
    message = _parsed(path, _messages()["MonitoringConfig"]())
    if not message.prometheus_config.enable:
        return None
    return message.prometheus_config.path or "/monitoring/prometheus/metrics"


def _parsed(path, message):
    from google.protobuf import text_format

    try:
        return text_format.Parse(Path(path).read_text("utf-8"), message)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8") from None
    except text_format.ParseError as error:
        raise InputError(f"{path}: {error}") from None


@functools.cache
def _messages():
    """The classes of the messages that no package has."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="textrnn/server_config.proto", package="textrnn.server", syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )  # fmt: skip

    def add(message, name, number, kind, type_name=None, repeated=False):
        label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        message.field.add(name=name, number=number, type=kind, type_name=type_name, label=label)

    batching = file.message_type.add(name="BatchingParameters")
    for name, number in BATCHING_FIELDS.items():
        add(batching, name, number, field.TYPE_MESSAGE, ".google.protobuf.Int64Value")
    add(batching, "thread_pool_name", 5, field.TYPE_MESSAGE, ".google.protobuf.StringValue")
    add(batching, "allowed_batch_sizes", 6, field.TYPE_INT64, repeated=True)
    add(batching, "pad_variable_length_inputs", 7, field.TYPE_BOOL)
    add(batching, "enable_large_batch_splitting", 8, field.TYPE_MESSAGE, ".google.protobuf.BoolValue")
    add(batching, "max_execution_batch_size", 9, field.TYPE_MESSAGE, ".google.protobuf.Int64Value")
    prometheus = file.message_type.add(name="PrometheusConfig")
    add(prometheus, "enable", 1, field.TYPE_BOOL)
    add(prometheus, "path", 2, field.TYPE_STRING)
    monitoring = file.message_type.add(name="MonitoringConfig")
    add(monitoring, "prometheus_config", 1, field.TYPE_MESSAGE, ".textrnn.server.PrometheusConfig")
    pool = descriptor_pool.Default()
    pool.Add(file)
    names = ("BatchingParameters", "MonitoringConfig")
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"textrnn.server.{name}"))
        for name in names
    }

"""The command `textrnn serve`: an embedded server with the API and the main flags of TF Serving."""

import gc
import os
import signal
import threading
from pathlib import Path
from typing import Any

from textrnn.cli.parser import Parser, add_option
from textrnn.errors import InputError, expect
from textrnn.types import NonNegativeNumber, Port, PositiveInt, PositiveNumber

FLAGS: dict[str, tuple[Any, Any, str]] = {
    "port": (Port, 8500, "Port of gRPC; 0 for none"),
    "rest_api_port": (Port, 8501, "Port of REST and the page; 0 for none"),
    "host": (str, "127.0.0.1", "Address to listen on; 0.0.0.0 lets other machines in"),
    "model_base_path": (Path | None, None, "Folder of the versions of one model"),
    "model_name": (str, "default", "Name of the model of --model_base_path"),
    "model_config_file": (Path | None, None, "File that lists models, such as saved_models/models.config"),
    "model_config_file_poll_wait_seconds": (
        NonNegativeNumber,
        0.0,
        "Seconds until that file is read again; 0 for never",
    ),
    "file_system_poll_wait_seconds": (
        NonNegativeNumber,
        1.0,
        "Seconds until versions are looked for again; 0 for never",
    ),
    "enable_batching": (bool, True, "Run the rows of several requests at once"),
    "batching_parameters_file": (Path | None, None, "File with parameters of batching"),
    "monitoring_config_file": (
        Path | None,
        None,
        "Settings of the metrics, such as saved_models/monitoring.config",
    ),
    "rest_api_timeout_in_ms": (PositiveInt, 30000, "Maximum milliseconds of a request"),
    "max_request_bytes": (PositiveInt, 16 * 2**20, "Maximum bytes of a request"),
    "max_text_bytes": (PositiveInt, 2**17, "Maximum bytes of a text"),
    "max_rows": (PositiveInt, 4096, "Maximum rows of a request"),
    "max_requests": (PositiveInt, 2048, "Maximum requests at a time; more are told to try again"),
    "stop_seconds": (PositiveNumber, 30.0, "Seconds for requests in flight when the server stops"),
}
"""Flags with types, defaults and help. Those of `tensorflow_model_server` have its names and meanings."""


def serve(**given):
    """Serve models over REST and gRPC, as TF Serving does.

    It runs until SIGINT or SIGTERM. A second one does not wait for requests in flight.

    Args:
        **given: What `make_serve_parser` parses.

    Raises:
        InputError: If there is no model to serve, or if a port is in use.
    """
    settings = settings_of(given)
    ended = threading.Event()
    from textrnn.server.ports import address
    from textrnn.server.server import Server, log

    def end(*_):
        for number in before:
            signal.signal(number, _exit)
        ended.set()
        if not started:
            raise _Ended

    started = False
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server = Server(settings)
        # Collecting garbage among the objects of TensorFlow's modules stops all requests for 0.2 s. Models
        # are loaded later, so that theirs are collected when versions are replaced.
        gc.freeze()
        with server:
            started = True
            where = [f"gRPC {address(settings.host, server.grpc_port)}"] if server.grpc_port else []
            if server.rest_port:
                where.append(f"REST http://{address(settings.host, server.rest_port)}")
            log(f"serving {', '.join(server.models.loaded) or 'no model yet'} on {' and '.join(where)}")
            ended.wait()
            log("stopping: requests in flight are finished")
        if server.unfinished:
            log(f"requests cut off after {settings.stop_seconds:g} s: {server.unfinished}")
        if server.unfinished or server.models.loading:
            os._exit(0)  # the interpreter would wait for their threads
    except _Ended:
        log("stopped before all models were loaded")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number, _):
    """End the process at once. The first process of a container ignores signals that it does not handle."""
    os._exit(128 + number)


class _Ended(BaseException):
    """A signal has ended the server before it answered."""


def make_serve_parser() -> Parser:
    """Make the parser of the command."""
    parser = Parser(
        prog="textrnn serve",
        usage="%(prog)s [MODEL ...] [OPTION ...]",
        description="Serve models over REST and gRPC with the API and main flags of tensorflow_model_server.",
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", type=str,
        help="Folder of models or of one, or a name from `textrnn models` (default: saved_models)",
    )  # fmt: skip
    for name, (annotation, default, text) in FLAGS.items():
        add_option(parser, name, annotation, default, text)
    return parser


def settings_of(given: dict[str, Any]):
    """Return the `Settings` of a parsed command line.

    Raises:
        InputError: If options exclude each other, or if there is no model to serve.
    """
    from textrnn.server.config_files import (
        PARALLEL_CALLS,
        Batching,
        ModelConfig,
        read_batching,
        read_metrics_path,
    )
    from textrnn.server.metrics import PATH
    from textrnn.server.server import Settings, models_of_file, models_of_folders

    named = [name for name in ("models", "model_base_path", "model_config_file") if given[name]]
    flags = ", ".join("MODEL" if name == "models" else f"--{name}" for name in named)
    expect(len(named) <= 1, f"{flags}: give one of them")
    expect(
        given["model_base_path"] or given["model_name"] == FLAGS["model_name"][1],
        f"--model_name {given['model_name']}: it names the model of --model_base_path, which is not given",
    )
    expect(given["port"] or given["rest_api_port"], "--port 0, --rest_api_port 0: give one of them")
    expect(
        given["port"] != given["rest_api_port"],
        f"--port {given['port']}, --rest_api_port {given['rest_api_port']}: give two different ports",
    )
    source_seconds = None
    if given["model_config_file"]:
        sources = models_of_file(given["model_config_file"])
        source_seconds = given["model_config_file_poll_wait_seconds"]
    elif given["model_base_path"]:
        base = ModelConfig(given["model_name"], given["model_base_path"])
        expect(base.path.is_dir(), f"--model_base_path {base.path}: there is no such folder")
        sources = lambda: [base]  # noqa: E731
    else:
        bases = [_base(name) for name in given["models"] or ["saved_models"]]
        sources = models_of_folders(bases)
        expect(
            sources(),
            f"no model under {', '.join(map(str, bases))}: train one, or name one of `textrnn models`",
        )
    batching = None
    if given["enable_batching"]:
        file = given["batching_parameters_file"]
        batching = read_batching(file) if file else Batching(max_batch_size=64)
    metrics = given["monitoring_config_file"]
    return Settings(
        sources,
        host=given["host"],
        grpc_port=given["port"] or None,
        rest_port=given["rest_api_port"] or None,
        poll_seconds=given["file_system_poll_wait_seconds"],
        source_seconds=source_seconds,
        batching=batching,
        metrics_path=read_metrics_path(metrics) if metrics else PATH,
        limits={
            "body_bytes": given["max_request_bytes"],
            "text_bytes": given["max_text_bytes"],
            "padded_bytes": 8 * given["max_text_bytes"],
            "rows": given["max_rows"],
            "requests": given["max_requests"],
            "seconds": given["rest_api_timeout_in_ms"] / 1000,
            # With batches, only long texts run outside of them. They take much memory.
            "threads": 2 if batching else PARALLEL_CALLS,
        },
        stop_seconds=given["stop_seconds"],
    )


def _base(name: str) -> Path:
    """A folder, or that of the SavedModel of a starter model."""
    from textrnn.cli.starter_exports import exported
    from textrnn.server.server import models_under
    from textrnn.starters import starter_path
    from textrnn.starters.finding import missing_model, preset_at

    folder, starter = Path(name), starter_path(name)
    if starter is not None:
        return exported(name, starter)
    if not folder.is_dir():
        expected = "a folder of models such as saved_models, that of one model"
        raise missing_model(folder, models_under, expected=expected)
    if (preset := preset_at(folder)) and not models_under(folder):
        raise InputError(_of_preset(folder, preset))
    return folder


def _of_preset(folder: Path, preset: Path) -> str:
    """What to do where a folder has a preset, but no SavedModel."""
    from textrnn.server.config_files import version_folders

    what = "is a preset" if preset == folder else "has a preset but no SavedModel"
    write = f"write its SavedModel with `textrnn export {folder}`"
    if preset == folder and version_folders(folder.parent):
        return f"{folder} {what}: serve {folder.parent}, or {write}"
    return f"{folder} {what}: {write}, and serve saved_models"

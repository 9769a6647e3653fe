"""The embedded server: models, REST and gRPC, from start to a graceful end."""

import math
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textrnn.errors import InputError
from textrnn.server.config_files import Batching, ModelConfig, read_models, subfolders, version_folders
from textrnn.server.metrics import PATH
from textrnn.server.ports import address, bind, in_use
from textrnn.startup import load_tensorflow

KEEP_ALIVE_SECONDS = 120
"""How long a connection is kept without requests: longer than clients and load balancers keep it. Who closes
first never sends a request that the other no longer takes."""

BACKLOG = 2048
"""How many connections of REST may wait to be accepted."""

CLOSING_SECONDS = 1.0
"""How long the server still waits when the streams that are running have been ended."""

GRPC, REST = "--port", "--rest_api_port"
"""The options that ports are from."""


@dataclass(frozen=True)
class Settings:
    """How a server runs.

    Attributes:
        sources: A function that gives the `ModelConfig`s.
        host: The address that the server listens on.
        grpc_port, rest_port: Its ports; 0 for any, None for none.
        poll_seconds: Seconds between two looks for versions; 0 for none after the first.
        source_seconds: Seconds between two calls of `sources`; 0 for one, and None for one with each look.
        batching: How requests are batched; None for not at all.
        metrics_path: Where the metrics are, or None for nowhere.
        limits: Arguments of `textrnn.server.service.Limits`.
        stop_seconds: How long the requests in flight may take when the server stops.
    """

    sources: Callable[[], Iterable[ModelConfig]]
    host: str = "127.0.0.1"
    grpc_port: int | None = 8500
    rest_port: int | None = 8501
    poll_seconds: float = 1.0
    source_seconds: float | None = None
    batching: Batching | None = None
    metrics_path: str | None = PATH
    limits: dict = field(default_factory=dict)
    stop_seconds: float = 30.0


def models_under(base: Path) -> list[ModelConfig]:
    """The models in a folder: its children with numbered versions, or itself if it has some.

    Raises:
        InputError: If a folder cannot be read at the moment.

    Example:

    >>> from pathlib import Path
    >>> from textrnn.server.server import models_under
    >>> models_under(Path("/nowhere"))
    []
    """
    versions = version_folders(base)
    if versions and not all(map(version_folders, versions.values())):
        return [ModelConfig(base.resolve().name, base)]
    # Also where all names are numbers: those of models, since they have versions themselves.
    return [ModelConfig(child.name, child) for child in subfolders(base) if version_folders(child)]


def models_of_folders(bases: Sequence[Path]) -> Callable[[], list[ModelConfig]]:
    """A function that finds the models in some folders.

    If two get the same name later, the first one is served.

    Args:
        bases: Folders, as for `models_under`.

    Raises:
        InputError: If two models have the same name.
    """
    told: set[str] = set()

    def find(report):
        found: dict[str, ModelConfig] = {}
        for model in (model for base in bases for model in models_under(base)):
            first = found.setdefault(model.name, model)
            if first.path.resolve() != model.path.resolve():
                report(
                    f"{first.path} and {model.path} have the same name: rename one, or serve one of them. A "
                    "models.config can give both a name of its own"
                )
        return [*found.values()]

    def refuse(fault):
        raise InputError(fault)

    def log_once(fault):
        if fault not in told:
            told.add(fault)
            log(fault)

    find(refuse)
    return lambda: find(log_once)


def models_of_file(path: Path) -> Callable[[], list[ModelConfig]]:
    """A function that reads a `models.config`.

    A file that cannot be read later leaves the models as they are.

    Raises:
        InputError: If it cannot be read now.
    """
    known = read_models(path)

    def read():
        nonlocal known
        try:
            known = read_models(path)
        except InputError as error:
            log(str(error))
        return known

    return read


def log(text: str) -> None:
    """Print a line on standard error."""
    print(text, file=sys.stderr, flush=True)


class Server:
    """A server in this process. Its ports are bound when it is made, and answer once it has started.

    Args:
        settings: Its `Settings`.

    Attributes:
        grpc_port, rest_port: The ports that it listens on.
        unfinished: How many requests were not awaited when it stopped.

    Raises:
        InputError: If no model can be served, or if an address is in use.
    """

    def __init__(self, settings: Settings):
        ports = {GRPC: settings.grpc_port, REST: settings.rest_port}
        self._sockets = bind(settings.host, {flag: port for flag, port in ports.items() if port is not None})
        load_tensorflow(keras=False)
        from textrnn.serving.saved_model import load_text_ops

        load_text_ops()
        from textrnn.server.batching import Batcher
        from textrnn.server.metrics import Metrics
        from textrnn.server.models import Models
        from textrnn.server.service import Limits, Service
        from textrnn.server.streams import Streams

        self.settings = settings
        metrics, limits = Metrics(), Limits(**settings.limits)
        batcher = Batcher(settings.batching, metrics.batch) if settings.batching else None
        self.models = Models(
            settings.sources, settings.poll_seconds, settings.source_seconds, limits.seconds, log
        )
        self.service = Service(self.models, batcher, limits, metrics)
        self.streams = Streams(self.models, metrics, text_bytes=limits.text_bytes)
        self._grpc: Any = None
        self._rest: Any = None
        self._thread: threading.Thread | None = None
        self.unfinished = 0
        self.grpc_port: int | None = None
        self.rest_port: int | None = None

    def start(self) -> None:
        """Load the models, and listen.

        Raises:
            InputError: If a port is in use by now.
        """
        self.models.start()
        if GRPC in self._sockets:
            self._start_grpc(self._sockets[GRPC])
        if REST in self._sockets:
            self._start_rest(self._sockets[REST])

    def _start_grpc(self, bound):
        from textrnn.server.grpc_api import make_grpc_server

        host, port = self.settings.host, bound.getsockname()[1]
        bound.close()  # gRPC binds a socket of its own
        try:
            self._grpc, self.grpc_port = make_grpc_server(self.service, self.streams, address(host, port))
        except RuntimeError:
            raise in_use(GRPC, host, port) from None
        self._grpc.start()

    def _start_rest(self, bound):
        import uvicorn

        from textrnn.server.completions import make_routes
        from textrnn.server.http import Connection
        from textrnn.server.page import page_routes
        from textrnn.server.rest import make_app

        settings, port = self.settings, bound.getsockname()[1]
        # Connections inherit it. Nagle's algorithm would hold an answer's body back for the ACK of its head.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            bound.listen(BACKLOG)
        except OSError:  # a server that was started meanwhile
            raise in_use(REST, settings.host, port) from None
        self.rest_port = port
        routes = [*make_routes(self.service, self.streams), *page_routes()]
        app = make_app(self.service, settings.metrics_path, routes)
        config = uvicorn.Config(
            app, http=Connection, ws="none", interface="asgi3", log_config=None, log_level="error",
            access_log=False, backlog=BACKLOG, timeout_keep_alive=KEEP_ALIVE_SECONDS, proxy_headers=False,
            timeout_graceful_shutdown=math.ceil(settings.stop_seconds + CLOSING_SECONDS), lifespan="off",
            server_header=False,
        )  # fmt: skip
        self._rest = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._rest.run, kwargs={"sockets": [bound]}, name="rest", daemon=True
        )
        self._thread.start()
        while not self._rest.started and self._thread.is_alive():
            time.sleep(0.01)

    def stop(self) -> None:
        """Take no more requests, finish those in flight, and unload the models.

        What takes longer than `stop_seconds` is told so, and not awaited any more; see `unfinished`.
        """
        seconds = self.settings.stop_seconds
        end = time.monotonic() + seconds + CLOSING_SECONDS
        if self._rest:
            self._rest.should_exit = True
        closing = threading.Timer(seconds, self.streams.stop)
        closing.start()
        done = self._grpc.stop(seconds + CLOSING_SECONDS) if self._grpc else None
        if self._thread:
            self._thread.join(seconds + 3 * CLOSING_SECONDS)
        if done is not None:
            done.wait(seconds + 3 * CLOSING_SECONDS)
        closing.cancel()
        for bound in self._sockets.values():
            bound.close()
        for part in (self.streams, self.service):
            part.stop(max(end - time.monotonic(), 0.1))
        self.unfinished = self.service.running
        self.models.stop(max(end - time.monotonic(), 0.1))

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

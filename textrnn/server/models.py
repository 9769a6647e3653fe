"""The models of a server: versions come and go while it runs."""

import math
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field

from textrnn.server.config_files import ModelConfig, version_folders
from textrnn.server.errors import RequestError, invalid
from textrnn.server.servable import Servable
from textrnn.startup import native_messages_hidden

START, LOADING, AVAILABLE, UNLOADING, END = "START", "LOADING", "AVAILABLE", "UNLOADING", "END"


@dataclass
class Version:
    """A version of a model, and its state as TF Serving reports it.

    Attributes:
        state: One of `START`, `LOADING`, `AVAILABLE`, `UNLOADING` and `END`.
        servable: The loaded `Servable`, or None.
        error: Why it could not be loaded, a `RequestError`, or None.
        stamp: What its folder looked like when it could not be loaded: it is tried again when that changes.
        identity: What tells its graph from another one with the same number.
    """

    state: str = START
    servable: Servable | None = None
    error: RequestError | None = None
    stamp: tuple = ()
    identity: tuple = ()


@dataclass
class Model:
    """A model that is served.

    Attributes:
        config: Its `ModelConfig`.
        versions: Its versions by number.
        faults: What the last look has found wrong, each a line of text.
    """

    config: ModelConfig
    versions: dict[int, Version] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Models:
    """All models of a server.

    A thread looks for versions again and again. A new version is loaded and warmed up before the old one is
    unloaded, and requests in flight finish on the version that they started with. A version that cannot be
    loaded is refused, and the old one stays.

    Args:
        read_configs: A function that returns the `ModelConfig`s; an error leaves the models as they are.
        poll_seconds: Seconds between two looks at the folders; 0 for one look alone.
        config_seconds: Seconds between two calls of `read_configs`; 0 for one alone, and None for one with
            each look.
        timeout: Seconds after which a call of a model is cancelled.
        log: A function of a line of text.
    """

    def __init__(
        self,
        read_configs: Callable[[], Iterable[ModelConfig]],
        poll_seconds: float = 1.0,
        config_seconds: float | None = None,
        timeout: float | None = None,
        log: Callable[[str], None] = print,
    ):
        self._read_configs, self._poll_seconds = read_configs, poll_seconds
        self._config_seconds = poll_seconds if config_seconds is None else config_seconds
        self._configs: list[ModelConfig] = []
        self._applied: list[ModelConfig] = []  # those that the models are as they should be for
        self._timeout, self._log = timeout, log
        self._models: dict[str, Model] = {}
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._unloading: list[threading.Thread] = []
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Load the versions that there are, and begin to look for others."""
        self.refresh()
        if self._poll_seconds > 0 or self._config_seconds > 0:
            self._thread = threading.Thread(target=self._poll, name="models", daemon=True)
            self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Stop looking, and unload everything when its requests are done."""
        self._stopped.set()
        if self._thread:
            self._thread.join(1.0)  # unless it loads a version
        for model in [*self._models.values()]:
            for number in [*model.versions]:
                self._unload(model, number, timeout)
        for thread in self._unloading:
            thread.join(timeout)

    @property
    def loading(self) -> bool:
        """Whether a version is still being loaded after `stop`."""
        return self._thread is not None and self._thread.is_alive()

    def _poll(self):
        intervals = [seconds or math.inf for seconds in (self._poll_seconds, self._config_seconds)]
        now = time.monotonic()
        due = [now + seconds for seconds in intervals]
        while not self._stopped.wait(max(min(due) - now, 0)):
            now = time.monotonic()
            are_due = [now >= end for end in due]
            try:
                self._look_again(*are_due)
            except Exception as error:  # the next look may succeed
                self._log(f"looking for versions failed: {error}")
            now = time.monotonic()
            due = [
                now + seconds if is_due else end
                for seconds, is_due, end in zip(intervals, are_due, due, strict=True)
            ]

    def _look_again(self, look, read):
        if read:
            self._configs = [*self._read_configs()]
        if look or self._configs != self._applied:
            self._refresh_models()

    def refresh(self) -> None:
        """Read the configuration, load new versions, and unload those that are no longer wanted."""
        self._configs = [*self._read_configs()]
        self._refresh_models()

    def _refresh_models(self):
        configs = {config.name: config for config in self._configs}
        with self._lock:
            for name, config in configs.items():
                if name in self._models:
                    self._models[name].config = config
                else:
                    self._models[name] = Model(config)
            models = list(self._models.values())
        for model in models:
            if self._stopped.is_set():
                return
            gone = model.config.name not in configs
            self._refresh_model(model, gone)
            if gone and not any(v.servable for v in model.versions.values()):
                with self._lock:
                    del self._models[model.config.name]
        self._applied = self._configs

    def _refresh_model(self, model, gone):
        found = {} if gone else version_folders(model.config.path)
        wanted = model.config.wanted(found)
        for number in sorted(wanted):
            version = model.versions.get(number)
            if self._stopped.is_set():
                return
            if version and (version.servable or version.stamp == _stamp(found[number])):
                continue
            self._load(model, number, found[number])
        loaded = {number for number, version in model.versions.items() if version.servable}
        # An old version stays until one that is wanted is loaded.
        if gone or loaded & wanted:
            unwanted = loaded - wanted
        elif not wanted and os.access(model.config.path, os.R_OK | os.X_OK):
            unwanted = loaded - found.keys()  # deleted, since the folder can be read
        else:
            unwanted = set()
        for number in sorted(unwanted):
            self._unload(model, number)
        faults = [] if gone else [*model.config.faults(found), *self._replaced(model, found)]
        for fault in faults:
            if fault not in model.faults:
                self._log(fault)
        model.faults = faults

    def _replaced(self, model, found):
        """What to say about loaded versions whose files are others by now."""
        return [
            f"version {number} of {model.config.name} has been replaced since it was loaded, and the earlier "
            f"one is still served: give the new one a higher number than {max(found)}"
            for number, version in sorted(model.versions.items())
            if version.servable
            and number in found
            # Not while its files are being deleted.
            and _identity(found[number]) not in ((), version.identity)
        ]

    def _load(self, model, number, path):
        name = model.config.name
        version = Version(LOADING, stamp=_stamp(path), identity=_identity(path))
        with self._lock:
            model.versions[number] = version
        start = time.perf_counter()
        self._log(f"loading version {number} of {name}")
        try:
            with native_messages_hidden():  # SentencePiece prints a line for every model
                servable = Servable(name, number, path, self._timeout)
                requests = servable.warm_up()
        except Exception as error:
            message = " ".join(str(error).split())[:300] or type(error).__name__
            code = error.code if isinstance(error, RequestError) else "UNKNOWN"
            version.state, version.error = END, RequestError(code, message)
            self._log(f"version {number} of {name} cannot be loaded: {message}")
            return
        with self._lock:
            if self._stopped.is_set():  # meanwhile; nobody would unload it
                servable.unload(0)
                return
            version.servable, version.state = servable, AVAILABLE
        self._log(
            f"serving version {number} of {name}: loaded in {time.perf_counter() - start:.1f} s"
            + (f", {requests} warm-up requests" if requests else "")
        )

    def _unload(self, model, number, timeout=None):
        """Take a version away from new requests, and free it in a thread when the last one is done."""
        version = model.versions[number]
        with self._lock:
            servable, version.servable = version.servable, None
            if servable is None:
                return
            version.state = UNLOADING

        def free():
            servable.unload(timeout)
            version.state, version.stamp = END, ()
            self._log(f"unloaded version {number} of {model.config.name}")

        thread = threading.Thread(target=free, name=f"unload-{servable.name}-{number}", daemon=True)
        self._unloading = [other for other in self._unloading if other.is_alive()] + [thread]
        thread.start()

    # === Requests ===

    def hold(self, name: str, version: int | None = None, label: str | None = None) -> Servable:
        """Hold the version that a request is for: one version, that of a label, or the highest.

        Returns:
            A `Servable`, which the caller has to `release`.

        Raises:
            RequestError: If there is none.
        """
        with self._lock:
            servable = self._find(name, version, label)
            servable.hold()
        return servable

    @contextmanager
    def use(self, name: str, version: int | None = None, label: str | None = None):
        """Context manager that holds a version; see `hold`."""
        servable = self.hold(name, version, label)
        try:
            yield servable
        finally:
            servable.release()

    def _find(self, name, version, label):
        model = self._models.get(name)
        if label is not None:
            labels = (model and model.config.labels) or {}
            if label not in labels:
                raise invalid(f"Unrecognized servable version label: {label}")
            version = labels[label]
        loaded = {n: v.servable for n, v in model.versions.items() if v.servable} if model else {}
        number = max(loaded, default=None) if version is None else version
        if number not in loaded:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise RequestError("NOT_FOUND", f"Servable not found for request: {asked}")
        return loaded[number]

    def status(self, name: str, version: int | None = None, label: str | None = None) -> dict[int, Version]:
        """The versions of a model, by number, the highest first.

        Raises:
            RequestError: If there is no such model or version.
        """
        with self._lock:
            model = self._models.get(name)
            versions = dict(model.versions) if model else {}
            if label is not None:
                labels = (model and model.config.labels) or {}
                if label not in labels:
                    raise invalid(f"Unrecognized servable version label: {label}")
                version = labels[label]
        if version is not None:
            if version not in versions:
                raise RequestError("NOT_FOUND", f"Could not find version {version} of model {name}")
            return {version: versions[version]}
        if not versions:
            raise RequestError("NOT_FOUND", f"Could not find any versions of model {name}")
        return dict(sorted(versions.items(), reverse=True))

    def __contains__(self, name: str) -> bool:
        return name in self._models

    @property
    def names(self) -> list[str]:
        """The names of all models, sorted."""
        with self._lock:
            return sorted(self._models)

    @property
    def loaded(self) -> list[str]:
        """The names of the models that have a loaded version, sorted."""
        with self._lock:
            return sorted(
                name
                for name, model in self._models.items()
                if any(version.servable for version in model.versions.values())
            )


def _stamp(path) -> tuple:
    """What tells whether a folder that could not be loaded has changed since."""
    files = sorted(path.rglob("*")) if path.is_dir() else []
    found = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            continue
        found.append((str(file), stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def _identity(path) -> tuple:
    """What tells the graph of a version from one that has replaced it; empty if there is none."""
    try:
        stat = (path / "saved_model.pb").stat()
    except OSError:
        return ()
    return stat.st_size, stat.st_mtime_ns

"""Requests to models, for both transports: checks, limits, batches and metrics."""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from textrnn.server.batching import Batcher
from textrnn.server.errors import RequestError, invalid
from textrnn.server.json_tensors import Spec
from textrnn.server.metrics import UNKNOWN, Metrics
from textrnn.server.models import Models
from textrnn.server.servable import Servable, Signature

BATCHED_BYTES = 2**13
"""A longer text is no part of a batch with other requests, whose rows would be padded to its length."""


class ModelSpec(NamedTuple):
    """Which model a request is for.

    Attributes:
        name: Its name.
        version: A version, or None.
        label: The label of a version, or None.
        signature: The name of a signature.
    """

    name: str
    version: int | None = None
    label: str | None = None
    signature: str = "serving_default"


class Answer(NamedTuple):
    """A request that runs, and what it will give.

    Attributes:
        version: The version that computes it.
        names: The outputs that are wanted.
        future: A `Future` of outputs by name. If it is cancelled, the request is not run, if it still waits.
    """

    version: int
    names: tuple[str, ...]
    future: Future

    @property
    def outputs(self) -> dict[str, np.ndarray]:
        """The outputs that are wanted, once the future is done.

        Raises:
            RequestError: If the request has failed.
        """
        found = self.future.result(0)
        return {name: found[name] for name in self.names}


@dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Attributes:
        body_bytes: Size of a request.
        text_bytes: Size of a text.
        padded_bytes: Size of all texts of a request, each as long as the longest one: what a model computes.
        rows: Rows of a request.
        requests: Requests at a time; more are refused, to be tried again.
        seconds: Duration of a request.
        threads: Calls of models at a time, without batches.
    """

    body_bytes: int = 16 * 2**20
    text_bytes: int = 2**17
    padded_bytes: int = 2**20
    rows: int = 4096
    requests: int = 2048
    seconds: float = 30.0
    threads: int = 2


class Service:
    """Runs the requests of both transports.

    Args:
        models: The `Models`.
        batcher: A `Batcher`, or None to run each request by itself.
        limits: `Limits`.
        metrics: `Metrics`.
    """

    def __init__(self, models: Models, batcher: Batcher | None, limits: Limits, metrics: Metrics):
        self.models, self.batcher, self.limits, self.metrics = models, batcher, limits, metrics
        self._threads = ThreadPoolExecutor(limits.threads, "requests")
        self._running = 0
        self._lock = threading.Lock()
        metrics.in_flight(lambda: self.running)

    def stop(self, timeout: float | None = None) -> None:
        """Finish what is running.

        Args:
            timeout: Seconds after which it is not awaited any more.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        if self.batcher:
            self.batcher.stop(timeout)
        self._threads.shutdown(wait=False)
        while self.running and time.monotonic() < end:
            time.sleep(0.01)

    @property
    def running(self) -> int:
        """The number of requests that have not ended."""
        return self._running

    def signature(self, spec: ModelSpec) -> Signature:
        """Return the signature that a request is for.

        Raises:
            RequestError: If there is no such model, version or signature.
        """
        with self.models.use(spec.name, spec.version, spec.label) as servable:
            return servable.signature(spec.signature)

    def submit(
        self,
        spec: ModelSpec,
        make_inputs: Callable[[Signature], Mapping[str, np.ndarray]],
        outputs: Sequence[str] = (),
        method: str | None = None,
    ) -> Answer:
        """Run a signature in the background.

        Args:
            spec: Which one.
            make_inputs: A function of the signature that gives its inputs. It runs at once.
            outputs: Names of the outputs that are wanted; empty for all.
            method: The method name that the signature must have, or None.

        Returns:
            An `Answer`.

        Raises:
            RequestError: If the request is refused.
        """
        self._enter()
        servable = None
        try:
            servable = self.models.hold(spec.name, spec.version, spec.label)
            signature = servable.signature(spec.signature)
            if method is not None and signature.method != method:
                kind = method.rpartition("/")[2]
                kind = {"classify": "classification", "regress": "regression"}.get(kind, kind)
                raise invalid(
                    f"Expected {kind} signature method_name to be {method}. Was: {signature.method}"
                )
            inputs = make_inputs(signature)
            check_inputs(signature.inputs, inputs, self.limits)
            wanted = _wanted(signature, outputs)
            future = self._start(servable, spec.signature, inputs, wanted)
        except BaseException:
            self._leave(servable)
            raise
        future.add_done_callback(lambda _: self._leave(servable))
        return Answer(servable.version, wanted, future)

    def _start(self, servable: Servable, signature_name, inputs, wanted) -> Future:
        rows = {name: len(array) for name, array in inputs.items() if array.ndim}
        if self.batcher and len({*rows.values()}) > 1:
            listed = ", ".join(f"{name} {count}" for name, count in sorted(rows.items()))
            raise invalid(f"the inputs have different numbers of rows: {listed}")
        fits = self.batcher and 0 < _rows(inputs) <= self.batcher.parameters.max_batch_size
        longest = max(map(_longest, inputs.values()), default=0)
        if self.batcher and fits and longest <= BATCHED_BYTES:
            return self.batcher.submit(servable, signature_name, inputs, longest)
        try:
            return self._threads.submit(servable.run, signature_name, inputs, wanted)
        except RuntimeError:
            raise RequestError("UNAVAILABLE", "the server is shutting down") from None

    def _enter(self):
        with self._lock:
            if self._running >= self.limits.requests:
                raise RequestError(
                    "RESOURCE_EXHAUSTED",
                    f"{self._running} requests are running, and no more are taken: try again later",
                )
            self._running += 1

    def _leave(self, servable: Servable | None = None):
        if servable is not None:
            servable.release()
        with self._lock:
            self._running -= 1

    def timed(self, spec: ModelSpec, api: str, entrypoint: str) -> "Timer":
        """A context manager that counts a request in the metrics.

        Requests for models that there are not are counted together, or anybody could let the metrics grow.
        """
        name = spec.name if spec.name in self.models else UNKNOWN
        return Timer(self.metrics, name, api, entrypoint)


class Timer:
    """Counts a request, with the code of the error that ends it; one whose client leaves as `CANCELLED`."""

    def __init__(self, metrics, model, api, entrypoint):
        self._metrics, self._labels = metrics, (model, api, entrypoint)

    def __enter__(self):
        self._start = time.perf_counter()
        return self

    def __exit__(self, kind, error, traceback):
        # What ends a task or a generator whose client has left is no `Exception`.
        unforeseen = "INTERNAL" if isinstance(error, Exception) else "CANCELLED"
        status = "OK" if error is None else getattr(error, "code", unforeseen)
        self._metrics.answered(*self._labels, status, 1e6 * (time.perf_counter() - self._start))


def _rows(inputs) -> int:
    """The number of rows of all inputs; 0 if they have none, or not the same number."""
    sizes = {array.shape[:1] for array in inputs.values()}
    return next(iter(sizes))[0] if len(sizes) == 1 and sizes != {()} else 0


def _longest(array) -> int:
    """The size of the longest text of a tensor; 0 if it has no texts."""
    return max(map(len, array.ravel()), default=0) if array.dtype == object else 0


def _wanted(signature: Signature, outputs: Sequence[str]) -> tuple[str, ...]:
    for name in outputs:
        if name not in signature.outputs:
            known = ",".join(sorted(signature.outputs))
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                f"{{{known}}}."
            )
    return tuple(outputs) or tuple(signature.outputs)


def check_inputs(specs: Mapping[str, Spec], inputs: Mapping[str, np.ndarray], limits: Limits) -> None:
    """Check that tensors are those of a signature, and within the limits.

    Raises:
        RequestError: If they are not.

    Example:

    >>> import numpy as np
    >>> from textrnn.server.json_tensors import Spec
    >>> from textrnn.server.service import Limits, check_inputs
    >>> specs = {"x": Spec(np.dtype("float32"), (None,))}
    >>> check_inputs(specs, {"x": np.zeros(2, "float32")}, Limits())
    >>> check_inputs(specs, {"x": np.zeros(9, "float32")}, Limits(rows=8))
    Traceback (most recent call last):
    textrnn.server.errors.RequestError: the request has 9 rows, and the server takes 8
    """
    if specs.keys() != inputs.keys():
        extra, missing = (
            sorted(part) for part in (inputs.keys() - specs.keys(), specs.keys() - inputs.keys())
        )
        raise invalid(
            f"input size does not match signature: {len(inputs)}!={len(specs)} "
            f"len({{{','.join(sorted(inputs))}}}) != len({{{','.join(sorted(specs))}}}). Sent extra: "
            f"{{{','.join(extra)}}}. Missing but required: {{{','.join(missing)}}}."
        )
    for name, array in inputs.items():
        spec = specs[name]
        if array.dtype != spec.dtype:
            given = Spec(array.dtype, None).type_name
            raise invalid(f"input {name}: expects {spec.type_name} but {given} is provided")
        if spec.shape is not None and (
            len(spec.shape) != array.ndim
            or any(size not in (None, own) for size, own in zip(spec.shape, array.shape, strict=True))
        ):
            shape = ",".join("?" if size is None else str(size) for size in spec.shape)
            raise invalid(f"input {name}: expected shape [{shape}], got {[*array.shape]}")
        if array.ndim and len(array) > limits.rows:
            raise invalid(f"the request has {len(array)} rows, and the server takes {limits.rows}")
        if array.dtype == object:
            longest = _longest(array)
            if longest > limits.text_bytes:
                raise invalid(
                    f"input {name}: a text has {longest} bytes, and the server takes {limits.text_bytes}"
                )
            if array.size * longest > limits.padded_bytes:
                raise invalid(
                    f"input {name}: {array.size} texts as long as the longest one, {longest} bytes, are more "
                    f"than the {limits.padded_bytes} bytes that the server takes: send fewer at a time"
                )

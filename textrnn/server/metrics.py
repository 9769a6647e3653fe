"""Metrics of the server for Prometheus, under TF Serving's names."""

from collections.abc import Callable
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

PATH = "/monitoring/prometheus/metrics"
"""Where TF Serving shows them by default."""

UNKNOWN = ""
"""In place of the name of a model that is not served."""

PREFIX = ":tensorflow:serving:"
LATENCY_BUCKETS = tuple(10 * 1.8**n for n in range(33))
"""Microseconds, as in TF Serving."""


class Metrics:
    """What a server counts.

    Example:

    >>> from textrnn.server.metrics import Metrics
    >>> metrics = Metrics()
    >>> metrics.answered("novel", "predict", "REST", "OK", microseconds=1500)
    >>> ':tensorflow:serving:request_count{model_name="novel",status="OK"} 1.0' in metrics.text().decode()
    True
    """

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self):
        self._registry = CollectorRegistry()
        of: dict[str, Any] = {"registry": self._registry}
        # A gauge, since the library adds `_total` to the names of counters, and TF Serving does not.
        self._requests = Gauge(f"{PREFIX}request_count", "Requests", ["model_name", "status"], **of)
        self._latency = Histogram(
            f"{PREFIX}request_latency", "Microseconds of a request", ["model_name", "API", "entrypoint"],
            buckets=LATENCY_BUCKETS, **of,
        )  # fmt: skip
        self._batches = Histogram(
            f"{PREFIX}batching_session:processed_batch_size", "Rows of a batch", ["model_name"],
            buckets=tuple(2**n for n in range(11)), **of,
        )  # fmt: skip
        self._waiting = Gauge(f"{PREFIX}textrnn:requests_in_flight", "Requests that are running", **of)
        self._streams = Gauge(
            f"{PREFIX}textrnn:streams", "Texts that are being generated", ["model_name"], **of
        )
        self._tokens = Counter(f"{PREFIX}textrnn:generated_tokens", "Tokens of streams", ["model_name"], **of)
        # The library's look-up of labels takes as long as parsing a short request.
        self._requests_of, self._latency_of = cache(self._requests.labels), cache(self._latency.labels)

    def answered(self, model: str, api: str, entrypoint: str, status: str, microseconds: float) -> None:
        """Count a request.

        Args:
            model: The name of the model, or `UNKNOWN`.
            api: What was called: `predict` over REST, and `Predict` over gRPC, as in TF Serving.
            entrypoint: `REST` or `GRPC`.
            status: `OK`, or the code of its error.
            microseconds: How long it took, which is counted if it is `OK`.
        """
        self._requests_of(model, status).inc()
        if status == "OK":
            self._latency_of(model, api, entrypoint).observe(microseconds)

    def batch(self, model: str, rows: int) -> None:
        """Count a batch of so many rows."""
        self._batches.labels(model).observe(rows)

    def in_flight(self, count: Callable[[], int]) -> None:
        """Ask a function how many requests are running, whenever the metrics are read."""
        self._waiting.set_function(count)

    def streams(self, model: str, number: int) -> None:
        """Note how many texts a model is generating."""
        self._streams.labels(model).set(number)

    def tokens(self, model: str, number: int) -> None:
        """Count tokens that a model has generated for streams."""
        self._tokens.labels(model).inc(number)

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self._registry)

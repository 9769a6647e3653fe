"""Workers: processes, on one machine or several, that train one model together.

Every worker has the whole model and generates the same batches. In each step it takes its rows of the batch,
and the workers add up their gradients and metrics by one exchange. All of them then make the same update, so
that weights, metrics and decisions, such as early stopping, stay the same everywhere. Worker 0 is the chief,
which alone prints and writes. `DistributedSteps` is the part of a model that does this.

Workers exchange tensors through `tf.distribute.MultiWorkerMirroredStrategy`: NCCL on GPUs, gRPC on CPUs. A
model is not created in the strategy's scope. There, Keras 3.15 clips each gradient before the sum, weights
each worker's mean loss alike, whatever its tokens, and waits for all workers if one of them reads a metric.
"""

import collections
import signal
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from textrnn import private
from textrnn.cluster import Cluster, Distribution, check_distribution
from textrnn.errors import InputError, WorkerLost, expect
from textrnn.startup import expect_tensorflow, native_messages_hidden
from textrnn.training.local_workers import started_workers
from textrnn.training.rendezvous import meet


@dataclass(frozen=True)
class Workers:
    """The workers of a training, as one of them sees them.

    Attributes:
        rank: The number of this worker, from 0.
        addresses: `host:port` of each worker.
        strategy: The `tf.distribute.MultiWorkerMirroredStrategy`, None for a process that trains alone.
    """

    rank: int = 0
    addresses: tuple[str, ...] = ("localhost",)
    strategy: Any = None

    @property
    def size(self) -> int:
        """The number of workers."""
        return len(self.addresses)

    @property
    def chief(self) -> bool:
        """Whether this is the worker that prints and writes."""
        return self.rank == 0

    def share(self, rows: Any) -> tuple[Any, Any]:
        """The first of this worker's rows, and the one after the last, of so many: ints or tensors."""
        return rows * self.rank // self.size, rows * (self.rank + 1) // self.size

    def local_rows(self, rows: int) -> int:
        """The number of rows that `take` returns from a batch of so many.

        Example:

        >>> from textrnn.training.distribution import Workers
        >>> [Workers(rank, ("a:1", "b:1", "c:1")).local_rows(4) for rank in range(3)]
        [1, 1, 2]
        """
        first, end = self.share(rows)
        return max(end - first, 1)

    def take(self, batch: Any) -> tuple[Any, Any]:
        """Return this worker's rows of a batch.

        A worker gets one row at least, since not every operation runs without rows. If there are fewer rows
        than workers, this row is not its own.

        Args:
            batch: A nested structure of tensors `(batch, ...)`, and of None.

        Returns:
            The rows, and 1.0 if they are its own, else 0.0.
        """
        import keras
        import tensorflow as tf

        if self.size == 1:
            return batch, 1.0
        first_tensor = next(x for x in keras.tree.flatten(batch) if x is not None)
        rows = first_tensor.shape[0]  # None if it is not known before the step runs
        first, end = self.share(tf.shape(first_tensor)[0] if rows is None else rows)
        until = tf.maximum(end, first + 1) if rows is None else max(end, first + 1)
        own = tf.cast(end > first, "float32")
        return keras.tree.map_structure(lambda x: x if x is None else x[first:until], batch), own

    def sum(self, tensors: list) -> list:
        """The sums of tensors over all workers, in one exchange. All workers wait for each other here.

        Args:
            tensors: Tensors of one dtype: float32, float64, int32 or int64. Shapes are the same on all
                workers.
        """
        import tensorflow as tf

        if self.size == 1:
            return list(tensors)
        tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]
        packed = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
        with self.strategy.scope():
            device = self.strategy.extended.worker_devices[0]
            total = self.strategy.extended.reduce_to(tf.distribute.ReduceOp.SUM, packed, device)
        parts = tf.split(total, [tf.size(tensor) for tensor in tensors])
        return [tf.reshape(part, tf.shape(tensor)) for part, tensor in zip(parts, tensors, strict=True)]

    def broadcast(self, variables: list) -> None:
        """Assign the chief's values to variables of the same shapes on all workers.

        Raises:
            InputError: If the shapes differ.
        """
        import tensorflow as tf

        if self.size == 1:
            return
        self.check_same("a model of other shapes", [tuple(variable.shape) for variable in variables])
        for is_float, wide in ((True, tf.float64), (False, tf.int64)):
            group = [v for v in variables if tf.as_dtype(v.dtype).is_floating == is_float]
            values = [tf.cast(tf.convert_to_tensor(v), wide) for v in group]
            if not self.chief:
                values = [tf.zeros_like(value) for value in values]
            for variable, value in zip(group, self.sum(values) if group else [], strict=True):
                variable.assign(tf.cast(value, variable.dtype))

    def tell(self, data: bytes) -> bytes:
        """Return the chief's bytes on all workers."""
        import numpy as np
        import tensorflow as tf

        if self.size == 1:
            return data
        [length] = self.sum([tf.constant(len(data) if self.chief else 0, tf.int64)])
        told = np.zeros(int(length), "int32")
        if self.chief:
            told[:] = np.frombuffer(data, "uint8")
        return self.sum([tf.constant(told)])[0].numpy().astype("uint8").tobytes()

    def any(self, *conditions: bool) -> list[bool]:
        """Whether each condition holds on any of the workers."""
        import tensorflow as tf

        if self.size == 1:
            return list(conditions)
        [counts] = self.sum([tf.constant([int(condition) for condition in conditions])])
        return [bool(count) for count in counts.numpy()]

    def gather(self, own: Any, rows: int) -> Any:
        """Return the tensor `(rows, ...)` of which each worker has its own rows, as `take` returns them."""
        import tensorflow as tf

        first, end = self.share(rows)
        around = [[first, rows - end], *[[0, 0]] * (len(own.shape) - 1)]
        own = tf.convert_to_tensor(own)[: end - first]
        wide = own.dtype if own.dtype.size >= 4 else tf.float32  # in which halves are exact
        return tf.cast(self.sum([tf.pad(tf.cast(own, wide), around)])[0], own.dtype)

    def check_same(self, what: str, value: Any) -> None:
        """Check that a value, compared by its `repr`, is the same on all workers.

        Args:
            what: What a worker has that differs, for the message.
            value: The value.

        Raises:
            InputError: If it is not.
        """
        import tensorflow as tf

        mark = zlib.crc32(repr(value).encode())
        [total] = self.sum([tf.constant(mark, tf.int64)])
        expect(
            int(total) == self.size * mark,
            f"worker {self.rank} of {self.size} has {what} than another: give all of them the same command, "
            "files and version of textrnn",
        )


_ALONE = Workers()
_now = _ALONE


def workers() -> Workers:
    """The workers that this process trains with; `Workers()` if it trains alone.

    Example:

    >>> from textrnn import training
    >>> training.workers().size, training.workers().chief
    (1, True)
    """
    return _now


def disband() -> bool:
    """End the common part of a program, so that a worker can go on alone.

    Returns:
        Whether this is the chief, which alone writes.

    Example:

    >>> from textrnn import training
    >>> training.disband()
    True
    """
    global _now  # noqa: PLW0603 (a process has one set of workers, as TensorFlow has)
    chief = _now.chief
    _now = _ALONE
    return chief


@contextmanager
def distributed(kind: Distribution) -> Iterator[Workers]:
    """Context manager in which models train on several workers.

    It must be entered before TensorFlow makes its first tensor, by every worker.

    Args:
        kind: `"multi_worker"`, if the workers were started with the environment variable `TF_CONFIG`;
            `"mirrored"` to start one worker for each GPU of this machine, each with this process's command
            line; `"none"` for this process alone.

    Yields:
        The `Workers`.

    Raises:
        InputError: If `TF_CONFIG` or the number of GPUs does not fit, or if TensorFlow has begun.
        WorkerLost: If another worker ends before all are done.

    Example:

    >>> from textrnn import training
    >>> with training.distributed("none") as workers:
    ...     print(f"worker {workers.rank} of {workers.size}")
    worker 0 of 1
    """
    global _now  # noqa: PLW0603
    check_distribution(kind)
    if kind == "none":
        yield _ALONE
        return
    expect_tensorflow("several workers train")
    with started_workers() if kind == "mirrored" else _nothing():
        cluster = Cluster.of_environment()
        _now = _connected(cluster)
        try:
            with _lost_workers(cluster):
                yield _now
        finally:
            _now = _ALONE


def _connected(cluster):
    """Wait for all workers, and start TensorFlow with them."""
    with native_messages_hidden():
        import tensorflow as tf
    meet(cluster.rank, cluster.addresses)
    before = signal.getsignal(signal.SIGTERM)
    with native_messages_hidden():
        _choose_gpu(cluster, tf)
        private.watch_workers(
            collections.Counter(job for job, _ in cluster.tasks),
            "/job:{}/task:{}".format(*cluster.tasks[0]),
            60,
            20,
        )
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except RuntimeError as error:
            if "program startup" not in str(error):
                raise
            raise InputError(
                "TensorFlow has begun without workers: enter textrnn.training.distributed before the "
                "first tensor or model is made"
            ) from error
        except tf.errors.OpError as error:
            raise WorkerLost(f"the workers did not connect. Start all of them again ({error})") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)  # TensorFlow would ignore it
    return Workers(cluster.rank, cluster.addresses, strategy)


def _choose_gpu(cluster, tf):
    """Give each worker of a machine a GPU of its own, if it sees several."""
    gpus = tf.config.list_physical_devices("GPU")
    host = cluster.addresses[cluster.rank].rpartition(":")[0]
    ranks = [i for i, each in enumerate(cluster.addresses) if each.rpartition(":")[0] == host]
    if len(gpus) < 2:
        return
    expect(
        len(ranks) == len(gpus),
        f"{host} has {len(gpus)} GPUs and {len(ranks)} workers: a worker uses one GPU. Start one worker "
        "for each, or hide the others with CUDA_VISIBLE_DEVICES",
    )
    tf.config.set_visible_devices(gpus[ranks.index(cluster.rank)], "GPU")


@contextmanager
def _lost_workers(cluster):
    """Turn TensorFlow's errors about other workers into `WorkerLost`."""
    import tensorflow as tf

    try:
        yield
    except (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
    ) as error:
        raise WorkerLost(
            f"worker {cluster.rank} of {len(cluster.addresses)} ({cluster.addresses[cluster.rank]}) stops: "
            "another worker has ended or cannot be reached. See its output, and start all workers again"
        ) from error


@contextmanager
def _nothing():
    yield

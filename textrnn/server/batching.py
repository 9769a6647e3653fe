"""Batches of the rows of several requests, which run at once.

A row's answer does not depend on the others, so batches change no answer. Under load they save most of the
time of a call.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np

from textrnn.server.config_files import Batching
from textrnn.server.errors import RequestError, invalid
from textrnn.server.servable import Servable

Arrays = Mapping[str, np.ndarray]


class _Task(NamedTuple):
    inputs: Arrays
    rows: int
    answer: Future
    arrived: float


OVERLAP_SECONDS = 0.01
"""How long requests wait for the running batch of their signature, before another thread takes them."""


SHORT_BYTES, BATCH_BYTES = 2**8, 2**17
"""Texts of up to the first size share batches, whatever their lengths. The longer texts of a batch have at
most the second size in all, each counted as long as the longest may be."""


class _Queue:
    """The waiting requests for one signature of one version, for one shape of rows and one size of texts.

    Attributes:
        most: Maximum number of rows of a batch. A single request may have more.
        tasks: The requests, the first ones first.
        rows: The number of their rows.
        running: How many batches of the queue are running.
        started: When the last one of them began.
    """

    def __init__(self, servable: Servable, signature_name: str, most: int):
        self.servable, self.signature_name, self.most = servable, signature_name, most
        self.tasks: deque[_Task] = deque()
        self.rows, self.running, self.started = 0, 0, 0.0


class Batcher:
    """Runs requests in batches, with the parameters of TF Serving.

    A thread that is free takes as many waiting requests for the same signature as fit. With a timeout, it
    waits so long for a batch to become full. While a batch of a signature runs, the next one grows for up to
    `OVERLAP_SECONDS`, since a call takes almost as long for few rows as for many. A signature takes at most a
    quarter of the threads, or two: while long texts are generated, the others go on. Requests are split
    between batches only as a whole.

    Args:
        parameters: A `Batching`.
        observe: A function of the name of the model and the number of rows of each batch.
    """

    def __init__(self, parameters: Batching, observe: Callable[[str, int], None] = lambda name, rows: None):
        self.parameters, self._observe = parameters, observe
        threads = parameters.num_batch_threads
        self._most_running = max(threads // 4, min(threads, 2))
        self._queues: dict[tuple, _Queue] = {}  # those with waiting requests, or whose batches are running
        self._running: Counter[tuple] = Counter()  # batches of a signature
        self._changed = threading.Condition()
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batches-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, servable: Servable, signature_name: str, inputs: Arrays, longest: int = 0) -> Future:
        """Put a request into the queue of its signature.

        The texts of a batch are at most twice as long as one another, unless they are short, and the longer
        they are, the fewer: a model computes all as if they were as long as the longest one, and what it
        computes may grow with the square of the length.

        Args:
            servable: The version.
            signature_name: The signature.
            inputs: Arrays by the names of the inputs.
            longest: The size of the longest text.

        Returns:
            A `Future` of a dict from names of outputs to arrays. If it is cancelled while it waits, the
            request is not run.

        Raises:
            RequestError: If the inputs have no rows in common, are too many, or if the queue is full.
        """
        sizes = {array.shape[:1] for array in inputs.values()}
        if len(sizes) != 1 or sizes == {()}:
            raise invalid("Batching session Run() input tensors must have equal 0th-dimension size")
        [[rows]] = sizes
        most = self.parameters.max_batch_size
        if rows > most:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {most}")
        shapes = tuple((name, array.shape[1:]) for name, array in sorted(inputs.items()))
        size = 1 << (max(longest, SHORT_BYTES) - 1).bit_length()  # the next power of 2
        key = id(servable), signature_name, shapes, size
        task = _Task(inputs, rows, Future(), time.monotonic())
        with self._changed:
            if self._stopped:
                raise RequestError("UNAVAILABLE", "the server is shutting down")
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = _Queue(servable, signature_name, self._most(size))
            if queue.rows + rows > most * self.parameters.max_enqueued_batches:
                raise RequestError(
                    "UNAVAILABLE", "The batch scheduling queue to which this task was submitted is full"
                )
            queue.tasks.append(task)
            queue.rows += rows
            # A thread is woken to look when the batch is due; for those that join it until then, none is.
            if len(queue.tasks) == 1 or queue.rows >= queue.most:
                self._changed.notify()
        return task.answer

    def _most(self, size):
        rows = self.parameters.max_batch_size
        if size <= SHORT_BYTES:
            return rows
        most = max(1, min(rows, BATCH_BYTES // size))
        allowed = (size for size in self.parameters.allowed_batch_sizes if size <= most)
        return max(allowed, default=most)  # a batch is not padded to more rows than it may have

    def stop(self, timeout: float | None = None) -> None:
        """Run what is waiting, and end the threads.

        Args:
            timeout: Seconds after which it is not awaited any more.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(None if end is None else max(end - time.monotonic(), 0))

    def _work(self):
        while (taken := self._take()) is not None:
            key, queue, tasks, rows = taken
            if tasks:
                self._run(queue, tasks, rows)
            with self._changed:
                queue.running -= 1
                self._running[key[:2]] -= 1
                if not self._running[key[:2]]:
                    del self._running[key[:2]]
                if not queue.running and not queue.tasks:
                    del self._queues[key]

    def _take(self):
        """Wait for a batch, and take it from its queue; None if there will be no more."""
        with self._changed:
            while True:
                now = time.monotonic()
                ready, wait = None, None
                for key, queue in self._queues.items():
                    if not queue.tasks or self._running[key[:2]] >= self._most_running:
                        continue  # the thread that ends one of its batches looks again
                    oldest = queue.tasks[0].arrived
                    due = oldest + self.parameters.batch_timeout_micros / 1e6
                    if queue.running:
                        due = max(due, queue.started + OVERLAP_SECONDS)
                    if self._stopped or queue.rows >= queue.most or now >= due:
                        if ready is None or oldest < self._queues[ready].tasks[0].arrived:
                            ready = key
                    else:
                        wait = due - now if wait is None else min(wait, due - now)
                if ready is not None:
                    return self._pop(ready, now)
                if self._stopped:
                    return None
                self._changed.wait(wait)

    def _pop(self, key, now):
        queue, tasks, rows = self._queues[key], [], 0
        queue.running, queue.started = queue.running + 1, now
        self._running[key[:2]] += 1
        while queue.tasks and (not rows or rows + queue.tasks[0].rows <= queue.most):
            task = queue.tasks.popleft()
            queue.rows -= task.rows
            if task.answer.set_running_or_notify_cancel():  # a client that has left is passed over
                tasks.append(task)
                rows += task.rows
        if any(other.tasks for other in self._queues.values()):
            self._changed.notify()  # another thread looks when these are due
        return key, queue, tasks, rows

    def _run(self, queue, tasks, rows):
        try:
            self._observe(queue.servable.name, rows)
            merged = {name: np.concatenate([task.inputs[name] for task in tasks]) for name in tasks[0].inputs}
            size = next((size for size in self.parameters.allowed_batch_sizes if size >= rows), rows)
            if size > rows and rows:
                merged = {
                    name: np.concatenate([array, np.repeat(array[:1], size - rows, axis=0)])
                    for name, array in merged.items()
                }
            outputs = queue.servable.run(queue.signature_name, merged)
            for name, array in outputs.items():
                if not array.ndim or len(array) != max(size, rows):
                    raise RequestError(
                        "FAILED_PRECONDITION",
                        f"Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
                        f"sizes of the input tensors: {name}",
                    )
        except Exception as error:
            self._fail(queue, tasks, error)
            return
        start = 0
        for task in tasks:
            task.answer.set_result(
                {name: array[start : start + task.rows] for name, array in outputs.items()}
            )
            start += task.rows

    def _fail(self, queue, tasks, error):
        """Give the error to the request alone whose it is: run each of a batch by itself."""
        # Once a call has taken too long, the time of all its requests is over.
        alone = len(tasks) == 1 or getattr(error, "code", None) == "DEADLINE_EXCEEDED"
        for task in tasks:
            if alone:
                task.answer.set_exception(error)
                continue
            try:
                task.answer.set_result(queue.servable.run(queue.signature_name, task.inputs))
            except Exception as own:
                task.answer.set_exception(own)

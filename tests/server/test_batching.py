"""Batches across requests: the same answers, TF Serving's limits, and an error for its request alone."""

import threading

import numpy as np
import pytest

from textrnn.errors import InputError
from textrnn.server.batching import Batcher
from textrnn.server.config_files import Batching
from textrnn.server.errors import RequestError, invalid


class Doubling:
    """A servable that doubles x, refuses negative numbers, and notes the sizes of its batches."""

    name = "doubling"

    def __init__(self):
        self.sizes, self.go = [], threading.Event()
        self.go.set()

    def run(self, signature, inputs, outputs=None):
        self.go.wait(30)
        x = inputs["x"]
        self.sizes.append(len(x))
        if (x < 0).any():
            raise invalid("negative")
        return {"y": 2 * x}


def submit_all(batcher, servable, rows):
    return [batcher.submit(servable, "s", {"x": np.full(count, number)}) for number, count in enumerate(rows)]


@pytest.fixture
def make():
    made = []

    def make(**parameters):
        sizes = []
        made.append(Batcher(Batching(**parameters), lambda name, rows: sizes.append((name, rows))))
        made[-1].seen = sizes
        return made[-1]

    yield make
    for batcher in made:
        batcher.stop()


def test_each_request_gets_its_rows_and_batches_have_many(make):
    batcher, servable = make(max_batch_size=8, num_batch_threads=1), Doubling()
    servable.go.clear()
    futures = submit_all(batcher, servable, [1, 2, 3, 1, 2, 0, 1])
    servable.go.set()
    for number, (future, count) in enumerate(zip(futures, [1, 2, 3, 1, 2, 0, 1], strict=True)):
        assert future.result(30)["y"].tolist() == [2 * number] * count
    assert sum(servable.sizes) == 10 and max(servable.sizes) <= 8 and len(servable.sizes) < 7
    assert batcher.seen == [("doubling", size) for size in servable.sizes]


def test_a_batch_waits_for_more_rows(make):
    batcher, servable = (
        make(max_batch_size=3, batch_timeout_micros=30_000_000, num_batch_threads=1),
        Doubling(),
    )
    first = submit_all(batcher, servable, [1, 1])
    assert not any(future.done() for future in first)
    submit_all(batcher, servable, [1])
    assert [future.result(30)["y"].tolist() for future in first] == [[0], [2]]
    assert servable.sizes == [3]


def test_batches_are_padded_to_allowed_sizes(make):
    batcher, servable = make(max_batch_size=8, allowed_batch_sizes=(4, 8), num_batch_threads=1), Doubling()
    assert submit_all(batcher, servable, [3])[0].result(30)["y"].tolist() == [0, 0, 0]
    assert servable.sizes == [4]


def test_an_error_is_for_its_request_alone(make):
    batcher, servable = make(max_batch_size=8, num_batch_threads=1), Doubling()
    servable.go.clear()
    blocked = batcher.submit(servable, "s", {"x": np.array([0])})
    good, bad = (batcher.submit(servable, "s", {"x": np.array([x])}) for x in (4, -1))
    servable.go.set()
    assert blocked.result(30) and good.result(30)["y"].tolist() == [8]
    with pytest.raises(RequestError, match="negative"):
        bad.result(30)


def test_a_batch_grows_while_another_of_its_signature_runs(make, monkeypatch):
    monkeypatch.setattr("textrnn.server.batching.OVERLAP_SECONDS", 60.0)
    batcher, servable = make(max_batch_size=8, num_batch_threads=2), Doubling()
    servable.go.clear()
    futures = submit_all(batcher, servable, [1])
    while any(queue.tasks for queue in batcher._queues.values()):
        pass
    futures += submit_all(batcher, servable, [1] * 5)
    full = submit_all(batcher, servable, [3])  # a batch that is full does not wait
    while any(queue.tasks for queue in batcher._queues.values()):
        pass
    servable.go.set()
    assert all(future.result(30) for future in futures + full)
    assert sorted(servable.sizes) == [1, 8]
    assert not batcher._queues


def test_a_running_batch_keeps_others_waiting_for_a_moment_alone(make):
    batcher, servable = make(max_batch_size=8, num_batch_threads=2), Doubling()
    servable.go.clear()
    futures = submit_all(batcher, servable, [1])
    while any(queue.tasks for queue in batcher._queues.values()):
        pass
    futures += submit_all(batcher, servable, [1])
    while any(queue.tasks for queue in batcher._queues.values()):
        pass  # the second thread takes it, though the first batch has not ended
    servable.go.set()
    assert all(future.result(30) for future in futures)
    assert servable.sizes == [1, 1]


def test_long_batches_of_a_signature_leave_threads_to_others(make):
    batcher, servable, quick = make(max_batch_size=1), Doubling(), Doubling()
    servable.go.clear()
    slow = submit_all(batcher, servable, [1] * 2 * batcher.parameters.num_batch_threads)
    assert submit_all(batcher, quick, [1])[0].result(30)["y"].tolist() == [0]
    servable.go.set()
    assert all(future.result(30) for future in slow)


def test_a_request_whose_client_has_left_is_not_run(make):
    batcher, servable = make(max_batch_size=8, num_batch_threads=1), Doubling()
    servable.go.clear()
    running = batcher.submit(servable, "s", {"x": np.array([0])})
    while any(queue.tasks for queue in batcher._queues.values()):
        pass
    left, waiting = submit_all(batcher, servable, [2, 1])
    assert left.cancel()
    servable.go.set()
    assert running.result(30) and waiting.result(30)["y"].tolist() == [2]
    assert servable.sizes == [1, 1]


def test_a_batch_that_took_too_long_is_not_run_again(make):
    batcher, servable, calls = make(max_batch_size=8, num_batch_threads=1), Doubling(), []

    def run(signature, inputs, outputs=None):
        servable.go.wait(30)
        calls.append(len(inputs["x"]))
        raise RequestError("DEADLINE_EXCEEDED", "too long")

    servable.run = run
    servable.go.clear()
    futures = submit_all(batcher, servable, [1])
    while any(queue.tasks for queue in batcher._queues.values()):
        pass
    futures += submit_all(batcher, servable, [1, 1, 1])
    servable.go.set()
    assert {future.exception(30).code for future in futures} == {"DEADLINE_EXCEEDED"}
    assert calls == [1, 3]


def test_rows_of_other_shapes_and_signatures_are_not_mixed(make):
    batcher, servable = make(max_batch_size=8, num_batch_threads=1), Doubling()
    servable.go.clear()
    futures = [
        batcher.submit(servable, signature, {"x": np.ones((1, width))})
        for signature, width in (("s", 2), ("s", 3), ("t", 2))
    ]
    servable.go.set()
    assert [future.result(30)["y"].shape for future in futures] == [(1, 2), (1, 3), (1, 2)]
    assert servable.sizes == [1, 1, 1]


def test_texts_run_with_others_of_their_size_and_long_ones_in_small_batches(make):
    batcher, servable = make(max_batch_size=64, num_batch_threads=1), Doubling()
    servable.go.clear()
    longest = [1, 256, 10, *[8000] * 17, 300, 512, 513, 6000]
    futures = [batcher.submit(servable, "s", {"x": np.array([size])}, size) for size in longest]
    servable.go.set()
    assert [future.result(30)["y"].tolist() for future in futures] == [[2 * size] for size in longest]
    # A thread may take the first request before the second one is there.
    assert sorted(servable.sizes) in ([1, 2, 2, 3, 16], [1, 1, 2, 2, 2, 16])
    several = batcher.submit(servable, "s", {"x": np.zeros(20)}, 8000)  # of one request
    assert len(several.result(30)["y"]) == 20 and servable.sizes[-1] == 20
    assert not batcher._running


def test_long_texts_fill_an_allowed_size(make):
    batcher, servable = make(max_batch_size=64, allowed_batch_sizes=(8, 64), num_batch_threads=1), Doubling()
    servable.go.clear()
    futures = [batcher.submit(servable, "s", {"x": np.array([number])}, 8000) for number in range(17)]
    servable.go.set()
    assert [future.result(30)["y"].tolist() for future in futures] == [[2 * n] for n in range(17)]
    assert set(servable.sizes) == {8}


def test_a_signature_with_texts_of_all_sizes_leaves_threads_to_others(make):
    batcher, servable, quick = make(max_batch_size=1, num_batch_threads=8), Doubling(), Doubling()
    servable.go.clear()
    x = {"x": np.ones(1)}
    slow = [batcher.submit(servable, "s", x, size) for size in (1, 300, 600, 1200, 2400, 4800) * 4]
    assert submit_all(batcher, quick, [1])[0].result(30)["y"].tolist() == [0]
    servable.go.set()
    assert all(future.result(30) for future in slow)


def test_a_full_queue_and_too_large_a_request_are_refused(make):
    batcher, servable = make(max_batch_size=2, max_enqueued_batches=1, num_batch_threads=1), Doubling()
    servable.go.clear()
    running = batcher.submit(servable, "s", {"x": np.zeros(2)})
    while any(queue.tasks for queue in batcher._queues.values()):
        pass
    waiting = batcher.submit(servable, "s", {"x": np.zeros(2)})
    with pytest.raises(RequestError, match="queue to which this task was submitted is full") as error:
        batcher.submit(servable, "s", {"x": np.zeros(1)})
    assert error.value.code == "UNAVAILABLE"
    with pytest.raises(RequestError, match="Task size 3 is larger than maximum input batch size 2"):
        batcher.submit(servable, "t", {"x": np.zeros(3)})
    with pytest.raises(RequestError, match="equal 0th-dimension size"):
        batcher.submit(servable, "t", {"x": np.zeros(1), "z": np.zeros(2)})
    servable.go.set()
    assert running.result(30) and waiting.result(30)


def test_what_waits_is_answered_when_the_server_stops(make):
    batcher, servable = make(max_batch_size=8, batch_timeout_micros=30_000_000), Doubling()
    [future] = submit_all(batcher, servable, [1])
    batcher.stop()
    assert future.result(0)["y"].tolist() == [0]
    with pytest.raises(RequestError, match="shutting down"):
        batcher.submit(servable, "s", {"x": np.zeros(1)})


@pytest.mark.parametrize("sizes", [(4, 2, 8), (2, 4)])
def test_allowed_sizes_increase_to_the_largest(sizes):
    with pytest.raises(InputError, match="allowed_batch_sizes"):
        Batching(max_batch_size=8, allowed_batch_sizes=sizes)

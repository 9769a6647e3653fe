"""Workers: what `TF_CONFIG` says, the rows of each, and the meeting at the start."""

import json
import socket
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from builders.training import line
from hypothesis import given
from hypothesis import strategies as st

from textrnn import training
from textrnn.cluster import Cluster, is_chief
from textrnn.cluster import check_distribution as check
from textrnn.errors import InputError, WorkerLost
from textrnn.training import distributed_steps, distribution, local_workers
from textrnn.training.distribution import Workers, distributed
from textrnn.training.rendezvous import meet


def configure(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config if isinstance(config, str) else json.dumps(config))


def config(*addresses, index=0, **task):
    return {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index, **task}}


def test_workers_have_the_order_of_tf_config_and_a_chief_is_the_first(monkeypatch):
    configure(monkeypatch, config("a:1", "b:1", index=1))
    assert not is_chief("multi_worker")
    with_chief = {"cluster": {"worker": ["b:1"], "chief": ["a:1"]}, "task": {"type": "chief", "index": 0}}
    configure(monkeypatch, with_chief)
    assert is_chief("multi_worker")
    assert Cluster.of_environment().addresses == ("a:1", "b:1")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "set the environment variable TF_CONFIG of each worker"),
        ("worker", "expected JSON such as"),
        ("[]", "expected JSON such as"),
        ({"cluster": ["a:1"]}, "expected JSON such as"),
        ({"cluster": {"worker": ["a:1"], "ps": ["b:1"]}}, "has the jobs ps: give chief and worker alone"),
        (config("a:1", "b"), "has the address 'b': give HOST:PORT"),
        (config("a:1", "a:1"), "has an address twice"),
        (config("a:1", "b:1", index=2), "this is worker 2, but its cluster has worker 0, worker 1"),
        (config("a:1", "b:1", index="x"), "expected JSON such as"),
        (config("a:1"), "names 1 worker: give two or more"),
    ],
)
def test_a_wrong_tf_config_is_refused(monkeypatch, given, message):
    if given is not None:
        configure(monkeypatch, given)
    with pytest.raises(InputError, match=message), distributed("multi_worker"):
        pass


def test_tf_config_without_the_option_is_refused(monkeypatch):
    configure(monkeypatch, config("a:1", "b:1"))
    with pytest.raises(InputError, match="give --distribute multi_worker, or unset TF_CONFIG"):
        check("none")
    with pytest.raises(InputError, match="give --distribute multi_worker, or unset it for the GPUs"):
        check("mirrored")
    configure(monkeypatch, config("a:1"))  # as a platform may set it for a single process
    check("none")


@pytest.mark.parametrize(("gpus", "given"), [(0, "no GPUs"), (1, "1 GPU ")])
def test_mirrored_takes_several_gpus(monkeypatch, gpus, given):
    monkeypatch.setattr(local_workers, "gpu_count", lambda: gpus)
    with pytest.raises(InputError, match=f"this machine has {given}"), distributed("mirrored"):
        pass


def test_other_kinds_and_other_backends_are_refused(monkeypatch):
    with pytest.raises(InputError, match="distribute is 'tpu': give none, mirrored or multi_worker"):
        check("tpu")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(InputError, match="several workers train on TensorFlow"), distributed("mirrored"):
        pass


def test_it_must_be_entered_before_tensorflow_begins(monkeypatch):
    tf.constant(0)
    [address] = free_addresses(1)
    configure(monkeypatch, config(address, "localhost:1"))
    monkeypatch.setattr(distribution, "meet", lambda *_: None)
    with pytest.raises(InputError, match="TensorFlow has begun without workers"), distributed("multi_worker"):
        pass
    assert training.workers().size == 1


@given(st.integers(0, 40), st.integers(1, 9))
def test_the_rows_of_the_workers_are_the_batch(rows, size):
    names = tuple(f"a:{port}" for port in range(size))
    batch = tf.range(rows + 1)  # at least one row
    taken = [Workers(rank, names).take((batch, None)) for rank in range(size)]
    own = [part.numpy() for (part, _), is_own in taken if float(is_own)]
    np.testing.assert_array_equal(np.concatenate(own), batch)
    assert max(map(len, own)) - min(map(len, own)) <= 1
    assert [len(part) for (part, _), _ in taken] == [
        Workers(r, names).local_rows(rows + 1) for r in range(size)
    ]


def test_rows_are_taken_from_batches_of_unknown_size_too():
    take = tf.function(lambda x: Workers(1, ("a:1", "b:1")).take([x]))
    for rows, expected in ((5, [2, 3, 4]), (1, [0])):
        [part], own = take.get_concrete_function(tf.TensorSpec([None], tf.int32))(tf.range(rows))
        assert part.numpy().tolist() == expected
        assert float(own) == 1


def test_each_worker_draws_other_noise_and_the_seeds_stay_the_same(monkeypatch):
    def drawn(rank):
        monkeypatch.setattr(distribution, "_now", Workers(rank, ("a:1", "b:1")))
        model = keras.Sequential([keras.Input((64,)), keras.layers.Dropout(0.5, seed=3)])
        with distributed_steps._noise_of_this_worker(model):
            mask = model(np.ones((2, 64)), training=True).numpy()
        return mask, [v.numpy().tolist() for v in model.variables]

    (first, seeds), (second, other_seeds) = drawn(0), drawn(1)
    assert (first != second).any()
    assert seeds == other_seeds == [[3, 1]]


def test_a_model_that_would_train_alone_is_refused(monkeypatch):
    model, data = line()
    monkeypatch.setattr(distribution, "_now", Workers(0, ("a:1", "b:1")))
    with pytest.raises(InputError, match="Sequential does not train on several workers"):
        training.fit(model, data, epochs=1)


def free_addresses(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def test_workers_meet_whoever_comes_first():
    addresses = free_addresses(3)
    for order in ([0, 1, 2], [2, 1, 0]):
        threads = [threading.Thread(target=meet, args=(rank, addresses, 20), daemon=True) for rank in order]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()


def test_a_worker_that_does_not_come_is_named():
    addresses = free_addresses(2)
    with pytest.raises(WorkerLost, match=rf"worker 1 \({addresses[1]}\) has not come"):
        meet(0, addresses, patience=0)
    with pytest.raises(WorkerLost, match=rf"worker 0 \({addresses[0]}\) has not come"):
        meet(1, addresses, patience=0.3)

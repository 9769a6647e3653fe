"""Mixed load while versions are swapped: no error, and no memory that grows. `make soak` takes 30 minutes."""

import itertools
import json
import os
import shutil
import socket
import threading
import time

import grpc
import pytest
import tensorflow as tf
from builders.served import make_texts, save_models
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from served import Served, run_load, run_streams, textrnn_serve
from served.client import post

MINUTES = float(os.environ.get("SOAK_MINUTES", "1"))
SWAP_SECONDS = 10.0
PATIENCE = 600.0
"""Seconds for an answer. This is no test of speed: on a busy machine a long text may wait for minutes."""
GROWTH = 1.1
"""Memory at the end divided by that in the middle, at most."""


class Soak:
    """The threads of clients, and of the one who swaps versions."""

    def __init__(self, server, grpc_port, folders, until):
        self.server, self.grpc_port, self.folders, self.until = server, grpc_port, folders, until
        self.answered, self.failed, self.swaps, self.memory, self.errors = 0, 0, 0, [], []
        self._lock = threading.Lock()

    def count(self, answered, failed, errors=()):
        with self._lock:
            self.errors += errors
            self.answered += answered
            self.failed += failed

    def predict(self, name):
        texts = make_texts(100, seed=len(name))
        bodies = [{"instances": texts[at : at + 1 + at % 4]} for at in range(100)]
        requests = itertools.cycle([post(f"/v1/models/{name}:predict", body) for body in bodies])
        while time.monotonic() < self.until:  # new connections again and again
            load = run_load(self.server.port, requests, 4, 2.0, PATIENCE)
            self.count(len(load.latencies), load.failed, load.errors)

    def stream(self, name):
        seeds = itertools.count()
        while time.monotonic() < self.until:
            body = {"text": "It was", "max_new_tokens": 60, "temperature": 1, "top_p": 0.95}
            requests = [post(f"/v1/models/{name}:stream", body | {"seed": next(seeds)}) for _ in range(6)]
            _, _, firsts, errors = run_streams(self.server.port, requests, PATIENCE)
            self.count(len(firsts), len(errors), errors)

    def call(self, name):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        request.inputs["text"].CopyFrom(tf.make_tensor_proto(make_texts(3, seed=1)))
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            while time.monotonic() < self.until:
                try:
                    stub.Predict(request, timeout=PATIENCE)
                except grpc.RpcError as error:
                    self.count(0, 1, [str(error)])
                else:
                    self.count(1, 0)

    def swap(self):
        """Replace the version of each model in turn by a copy with the next number."""
        for number, folder in zip(itertools.count(2), itertools.cycle(self.folders.values())):
            if time.monotonic() + SWAP_SECONDS > self.until:
                return
            old = max(
                (child for child in folder.iterdir() if child.name.isdecimal()), key=lambda c: int(c.name)
            )
            copy = folder / "unfinished"
            shutil.copytree(old, copy)
            copy.rename(folder / str(number))
            time.sleep(SWAP_SECONDS)
            shutil.rmtree(old)
            self.swaps += 1

    def watch(self):
        while time.monotonic() < self.until:
            self.memory.append(self.server.memory)
            time.sleep(1)


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES + 3 * PATIENCE)
def test_mixed_load_while_versions_are_swapped(tmp_path, capsys):
    folders = save_models(tmp_path)
    novel, *_ = folders
    with socket.create_server(("127.0.0.1", 0)) as free:
        grpc_port = free.getsockname()[1]
    first = post(f"/v1/models/{novel}:predict", {"instances": ["a"]})
    limit = f"--rest_api_timeout_in_ms={1000 * PATIENCE:.0f}"
    command = [*textrnn_serve([tmp_path]), "--port", str(grpc_port), limit]
    with Served(command, first) as server:
        soak = Soak(server, grpc_port, folders, time.monotonic() + 60 * MINUTES)
        works = [(soak.predict, name) for name in folders] + [(soak.call, name) for name in folders]
        works += [(soak.stream, novel), (soak.swap,), (soak.watch,)]
        threads = [threading.Thread(target=work, args=arguments) for work, *arguments in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    start, middle, end = (soak.memory[round(part * (len(soak.memory) - 1))] for part in (0.1, 0.5, 1))
    figures = {"minutes": MINUTES, "answered": soak.answered, "failed": soak.failed, "swaps": soak.swaps,
               "megabytes": [round(start), round(middle), round(end)]}  # fmt: skip
    with capsys.disabled():
        print(json.dumps(figures))
    assert soak.failed == 0 < soak.answered, soak.errors[:20]
    assert end <= GROWTH * middle

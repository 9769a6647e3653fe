"""A server in this process, with the model y = x / 2 + 2 in version 123."""

import json
import urllib.error
import urllib.request

import pytest
from builders.half_plus_two import save

from textrnn.server.config_files import Batching, ModelConfig
from textrnn.server.server import Server, Settings


@pytest.fixture(scope="session")
def half_plus_two(tmp_path_factory):
    """The folder of the model."""
    folder = tmp_path_factory.mktemp("models") / "half_plus_two"
    save(folder / "123")
    return folder


def settings(config, **changes):
    """Settings with any ports, looking for versions ten times a second."""
    defaults = {"grpc_port": 0, "rest_port": 0, "poll_seconds": 0.1, "batching": Batching(max_batch_size=64)}
    return Settings(lambda: [config], **defaults | changes)


@pytest.fixture(scope="session")
def server(half_plus_two):
    """The running server; version 123 has the label `stable`."""
    with Server(settings(ModelConfig("half_plus_two", half_plus_two, labels={"stable": 123}))) as running:
        yield running


class Rest:
    """Calls of REST.

    Args:
        port: The port of the server.
        model: The path of the model.
    """

    def __init__(self, port, model="/v1/models/half_plus_two"):
        self.base, self.model = f"http://127.0.0.1:{port}", model

    def __call__(self, path, body=None, method=None, raw=None):
        """The status and the body of an answer; `body` is JSON, `raw` bytes."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        path = path if path.startswith("/v1") else self.model + path
        request = urllib.request.Request(self.base + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        return status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()

    def predict(self, **body):
        """The status and the answer of `:predict`."""
        return self(":predict", body)


@pytest.fixture(scope="session")
def rest(server):
    """Calls of the server's REST API."""
    return Rest(server.rest_port)

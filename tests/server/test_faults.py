"""Faults of clients: an error for that request alone, and the server lives."""

import contextlib
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server.conftest import Rest
from server.conftest import settings as server_settings

from textrnn.server.config_files import ModelConfig
from textrnn.server.server import Server


def works(rest):
    return rest.predict(instances=[2]) == (200, {"predictions": [3.0]})


@pytest.fixture
def small(half_plus_two):
    """A server with small limits."""
    limits = {"body_bytes": 10_000, "text_bytes": 100, "rows": 50, "requests": 4}
    with Server(server_settings(ModelConfig("half_plus_two", half_plus_two), limits=limits)) as server:
        yield Rest(server.rest_port)


def test_limits_have_clear_errors(small):
    status, answer = small(":predict", raw=b" " * 10_001)
    assert (status, answer) == (
        413,
        {"error": "the request has more than 10000 bytes, which the server takes"},
    )
    status, answer = small.predict(instances=[1] * 51)
    assert (status, answer) == (400, {"error": "the request has 51 rows, and the server takes 50"})
    status, answer = small.predict(signature_name="two", instances=[{"x": 1, "text": "a" * 101}])
    assert (status, answer) == (400, {"error": "input text: a text has 101 bytes, and the server takes 100"})
    assert works(small)


def test_too_many_requests_are_told_to_try_again(half_plus_two):
    limits = {"requests": 1, "threads": 1}
    config = ModelConfig("half_plus_two", half_plus_two)
    with Server(server_settings(config, limits=limits)) as server:
        with server.models.use("half_plus_two"):
            server.service._enter()
            rest = Rest(server.rest_port)
            status, answer = rest.predict(instances=[2])
            server.service._leave()
        assert status == 429 and "try again later" in answer["error"]
        assert works(rest)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET",
        b"nonsense\r\n\r\n",
        b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
        b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n{",
        b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\n" + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_connections_that_break_off_do_no_harm(server, rest, data):
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            answer = connection.recv(1000)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert works(rest)


def test_many_connections(server, rest):
    idle = [socket.create_connection(("127.0.0.1", server.rest_port), timeout=10) for _ in range(300)]
    try:
        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(lambda _: works(rest), range(64)))
    finally:
        for connection in idle:
            connection.close()


def test_a_model_that_fails_harms_no_other_request(rest):
    def ask(number):
        if number % 2:
            return rest.predict(signature_name="fail", instances=[-number])[0] == 400
        return works(rest)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(32)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["instances", "inputs", "signature_name", "examples", "context", "x", "b64"])


@settings(max_examples=40)
@given(
    body=st.binary(max_size=50) | st.dictionaries(keys, json_values, max_size=3),
    method=st.sampled_from(["predict", "classify", "regress", "stream"]),
)
def test_any_body_has_an_answer(rest, body, method):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8", "replace")
    status, answer = rest(f":{method}", raw=raw)
    assert status in (200, 400) and isinstance(answer, dict)


def test_requests_in_flight_are_finished_when_the_server_stops(half_plus_two):
    server = Server(server_settings(ModelConfig("half_plus_two", half_plus_two)))
    server.start()
    rest, answers = Rest(server.rest_port), []
    thread = threading.Thread(
        target=lambda: answers.append(rest.predict(signature_name="loop", instances=[100_000]))
    )
    thread.start()
    while not server.service._running:
        pass
    server.stop()
    thread.join(60)
    assert answers == [(200, {"predictions": [100_000]})]

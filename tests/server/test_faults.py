"""Faults of clients: an error for that request alone, and the server lives."""

import asyncio
import contextlib
import functools
import json
import resource
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from server.conftest import Rest
from server.conftest import settings as server_settings

from textrnn.server.config_files import ModelConfig
from textrnn.server.http import Connection
from textrnn.server.rest import FromThreads
from textrnn.server.server import Server
from textrnn.server.service import BATCHED_BYTES


def works(rest):
    return rest.predict(instances=[2]) == (200, {"predictions": [3.0]})


@pytest.fixture
def small(half_plus_two):
    """A server with small limits."""
    limits = {"body_bytes": 10_000, "text_bytes": 100, "padded_bytes": 400, "rows": 50, "requests": 4}
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
    rows = [{"x": 1, "text": text} for text in ("a" * 81, "", "", "", "")]
    status, answer = small.predict(signature_name="two", instances=rows)
    assert (
        status == 400
        and "5 texts as long as the longest one, 81 bytes, are more than the 400" in answer["error"]
    )
    assert small.predict(signature_name="two", instances=rows[:4])[0] == 200
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


def test_requests_that_the_server_does_not_wait_for_when_it_stops_are_told_so(half_plus_two, caplog):
    answers = []
    with Server(server_settings(ModelConfig("half_plus_two", half_plus_two), stop_seconds=0.2)) as stopping:
        rest = Rest(stopping.rest_port)
        ask = functools.partial(rest.predict, signature_name="loop", instances=[2**31 - 1])
        endless = threading.Thread(target=lambda: answers.append(ask()))
        endless.start()
        arriving = socket.create_connection(("127.0.0.1", stopping.rest_port), timeout=60)
        arriving.sendall(POST + b"Content-Length: 100\r\n\r\n{")
        while not stopping.service.running:
            time.sleep(0.01)
    endless.join()
    with arriving:
        part = arriving.recv(10_000)
    assert part.startswith(b"HTTP/1.1 503") and b"the server is shutting down" in part
    assert answers == [(503, {"error": "the server is shutting down"})]
    assert stopping.unfinished == 1 and not any(record.exc_info for record in caplog.records)


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
            assert not answer or json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert works(rest)


def test_connections_are_kept_longer_than_clients_keep_them(server):
    """A server that closes first loses requests which are on their way."""
    assert server._rest.config.timeout_keep_alive > 90


def test_many_calls_from_threads_wake_an_event_loop_once():
    async def run():
        from_threads, found, done = FromThreads(asyncio.get_running_loop()), [], asyncio.Event()
        wakes = []
        from_threads.loop = SimpleNamespace(call_soon_threadsafe=wakes.append)

        def call_many():
            for number in range(100):
                from_threads.call(found.append, number)

        await asyncio.to_thread(call_many)
        assert len(wakes) == 1 and not found
        wakes[0]()
        assert found == [*range(100)]
        from_threads.loop = asyncio.get_running_loop()
        await asyncio.to_thread(from_threads.call, done.set)
        await asyncio.wait_for(done.wait(), 10)

    asyncio.run(run())


def test_the_head_of_a_request_has_a_limit(server, rest):
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=10) as connection:
        connection.sendall(b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nA: ")
        answer = b""
        with contextlib.suppress(ConnectionError):
            for _ in range(10_000):  # without the limit, 100 MB
                connection.sendall(b"a" * 10_000)
        with contextlib.suppress(ConnectionError):
            answer = connection.recv(1000)
        assert not answer or b"The head of the request has more than 65536 bytes." in answer
        with pytest.raises(ConnectionError):
            for _ in range(100):
                connection.sendall(b"a" * 10_000)
    assert works(rest)


def test_many_connections(server, rest):
    idle = [socket.create_connection(("127.0.0.1", server.rest_port), timeout=10) for _ in range(300)]
    try:
        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(lambda _: works(rest), range(64)))
    finally:
        for connection in idle:
            connection.close()


def test_the_parts_of_an_answer_do_not_wait_for_acknowledgements(server):
    """Connections have the options of the socket that listens."""
    [listening] = server._rest.servers[0].sockets
    assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.slow
def test_a_thousand_connections(server, rest):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4000:
        pytest.skip(f"a process may open {hard} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4000), hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        made = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.rest_port), timeout=60))
            for _ in range(1000)
        ]
        for connection in made:
            connection.sendall(as_bytes(rest, b'{"instances": [2]}'))
        assert all(b"[3.0]" in read_answer(connection) for connection in made)
    assert works(rest)


def read_all(connection):
    """What a server sends until it closes the connection."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(10_000):
            answer += part
    return answer


def as_bytes(rest, body):
    """A request as it is sent."""
    head = f"POST {rest.model}:predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def read_answer(connection):
    """What a server sends up to the end of a JSON object."""
    answer = b""
    while not answer.endswith(b"}") and (part := connection.recv(10_000)):
        answer += part
    return answer


def test_a_slow_client_keeps_no_other_waiting(server, rest):
    request = as_bytes(rest, b'{"instances": [2]}')
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, byte in enumerate(request):
            connection.sendall(bytes([byte]))
            if not number % 40:
                assert works(rest)
        assert b"[3.0]" in read_answer(connection)


POST = b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nHost: a\r\n"
WHOLE = POST + b'Content-Length: 18\r\n\r\n{"instances": [2]}'


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", None),
        (b"\r\n", "408 Request Timeout"),
        (POST, "408 Request Timeout"),
        (POST + b"Content-Length: 10\r\n\r\n{", "408 Request Timeout"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "408 Request Timeout"),
        (b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{", "400 Bad Request"),
        (WHOLE + b"GET", "200 OK"),
    ],
    ids=["nothing", "empty line", "head", "body", "chunk", "body that is not read", "second head"],
)
def test_a_request_that_does_not_arrive_in_time_ends_its_connection(server, rest, monkeypatch, sent, status):
    monkeypatch.setattr(Connection, "seconds", 0.2)
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=10) as connection:
        connection.sendall(sent)
        answer = read_all(connection)
    assert answer.partition(b"\r\n")[0] == (f"HTTP/1.1 {status}".encode() if status else b"")
    assert (status == "408 Request Timeout") == (b"The request did not arrive within 0.2 s." in answer)
    assert works(rest)


def test_a_client_that_trickles_a_body_which_nobody_reads_is_left(server, monkeypatch):
    monkeypatch.setattr(Connection, "seconds", 0.2)
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=10) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        with pytest.raises(ConnectionError):
            for _ in range(500):
                connection.sendall(b" ")
                time.sleep(0.02)


def test_a_complete_request_has_all_its_time_and_the_next_one_as_well(server):
    body = json.dumps({"signature_name": "loop", "instances": [10_000]}).encode()
    slow = POST + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    before = {*server._rest.server_state.connections}
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=60) as connection:
        connection.sendall(slow + WHOLE[:5])  # the next request begins to arrive
        while not server.service._running:
            pass
        [served] = {*server._rest.server_state.connections} - before
        served.loop.call_soon_threadsafe(served._late)
        assert b"[10000]" in read_answer(connection)
        connection.sendall(WHOLE[5:])
        assert b"[3.0]" in read_answer(connection)
        assert served._arriving is None  # no request, for which there is another limit


def test_a_client_that_does_not_read_its_answer_is_left(server, rest, monkeypatch):
    monkeypatch.setattr(Connection, "seconds", 0.2)
    row = {"x": 2, "text": "a" * 100_000}
    body = json.dumps({"signature_name": "two", "instances": [row] * 10}).encode()
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=60) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2000)
        with pytest.raises(ConnectionError):
            for _ in range(100):
                connection.sendall(POST + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    assert works(rest)


@contextlib.contextmanager
def answering(body):
    """The port of a server that answers with so many bytes at once."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    config = uvicorn.Config(app, port=0, http=Connection, lifespan="off", log_level="error", ws="none")
    serving = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield bound.getsockname()[1]
        finally:
            serving.should_exit = True
            thread.join()


def test_a_client_that_reads_slowly_gets_its_whole_answer(monkeypatch):
    monkeypatch.setattr(Connection, "seconds", 0.5)
    body = bytes(2**25)
    with answering(body) as port, socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        start, got = time.monotonic(), 0
        while part := connection.recv(2**16):
            got += len(part)
            time.sleep(0.003)
    assert got > len(body) and time.monotonic() - start > 2 * Connection.seconds


@pytest.fixture
def unread(monkeypatch):
    """A function that makes a closing `Connection`, by how much its client has not read at each look."""

    def make(*sizes):
        left, timers, ended = [*sizes], [], []
        connection = object.__new__(Connection)
        connection.transport = SimpleNamespace(
            get_write_buffer_size=lambda: left.pop(0),
            is_closing=lambda: True,
            abort=lambda: ended.append("abort"),
        )
        later = lambda seconds, *call: timers.append(call) or SimpleNamespace(cancel=lambda: None)  # noqa: E731
        connection.loop = SimpleNamespace(call_later=later)
        return connection, timers, ended

    return make


@pytest.mark.parametrize(
    ("begin", "sizes"),
    [
        (Connection.timeout_keep_alive_handler, (300, 200, 0)),
        (Connection._await_last_reading, (300, 300, 200, 200)),  # little: writing never had to pause
    ],
    ids=["until all is read", "until nothing more is read"],
)
def test_a_connection_is_kept_while_its_client_reads_the_last_answer(unread, begin, sizes):
    connection, timers, ended = unread(*sizes)
    begin(connection)
    for expected in ([], ["abort"]):
        function, *given = timers.pop()
        function(*given)
        assert ended == expected
    assert not timers


def test_a_client_that_reads_nothing_keeps_no_other_waiting(server, rest):
    request = as_bytes(rest, json.dumps({"instances": [0.1] * 4000}).encode())
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=60) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2000)
        for _ in range(20):
            connection.sendall(request)
        assert works(rest)


def test_a_connection_whose_client_has_sent_all_does_no_harm(server, rest):
    request = as_bytes(rest, b'{"instances": [2]}')
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = read_answer(connection)
        assert not answer or b"[3.0]" in answer
    assert works(rest)


def test_long_strings(rest):
    row = {"x": 2, "text": "ä" * 60_000}
    status, answer = rest.predict(signature_name="two", instances=[row])
    assert status == 200 and answer["predictions"][0]["text"] == row["text"]
    status, answer = rest.predict(signature_name="two", instances=[row | {"text": "a" * 10_000_000}])
    assert (status, answer) == (
        400,
        {"error": "input text: a text has 10000000 bytes, and the server takes 131072"},
    )
    assert works(rest)


def test_a_long_text_is_no_part_of_a_batch(server, rest, monkeypatch):
    sizes = []
    submit = server.service.batcher.submit

    def noted(servable, name, inputs, longest):
        sizes.append(len(inputs["text"][0]))
        return submit(servable, name, inputs, longest)

    monkeypatch.setattr(server.service.batcher, "submit", noted)
    for size in (BATCHED_BYTES, BATCHED_BYTES + 1):
        status, answer = rest.predict(signature_name="two", instances=[{"x": 2, "text": "a" * size}])
        assert status == 200 and answer["predictions"][0]["text"] == "A" * size
    assert sizes == [BATCHED_BYTES]


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

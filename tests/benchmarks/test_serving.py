"""Benchmarks of servers: what the client measures, and the commands."""

import asyncio
import doctest
import itertools
import threading

import pytest
from builders.served import save_models

import serving_load
import serving_streams
from served import Load, client, run_load, run_streams

PIECES = (b'data: {"text": "a", "tokens": 1, "finish_reason": null}\n\n',
          b'data: {"text": "b", "tokens": 3, "finish_reason": "length"}\n\n')  # fmt: skip


def answer(request):
    """What the server below answers: every third request fails, and some answers are streams."""
    if b":stream" in request:
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in PIECES)
        return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    status = b"500 Error" if b"bad" in request else b"200 OK"
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\nabcde"


@pytest.fixture
def port():
    """The port of a server that answers at once, in two parts."""
    loop, ready, ports = asyncio.new_event_loop(), threading.Event(), []

    async def serve(reader, writer):
        while head := await reader.readuntil(b"}"):
            found = answer(head)
            writer.write(found[:20])
            await asyncio.sleep(0.001)
            writer.write(found[20:])

    async def main():
        async def quiet(reader, writer):
            try:
                await serve(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(quiet, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stopped.wait()
        server.close()

    stopped = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    assert ready.wait(10)
    yield ports[0]
    loop.call_soon_threadsafe(stopped.set)
    thread.join()
    loop.close()


def test_examples_in_docstrings_run():
    failed, tried = doctest.testmod(client)
    assert failed == 0 < tried


def test_a_load_counts_answers_and_failures(port):
    load = run_load(port, itertools.cycle([client.post("/a", {}), client.post("/bad", {})]), 4, 0.1)
    assert len(load.latencies) >= 2 and load.failed >= 2
    assert all(0 < seconds < load.elapsed for seconds in load.latencies)
    assert set(load.errors) == {"HTTP/1.1 500 Error\r\nContent-Length: 5\r\n\r\nabcde"}
    assert load.rate == len(load.latencies) / load.elapsed and load.elapsed >= 0.1


def test_percentiles_are_of_answered_requests():
    load = Load([second / 1000 for second in range(1, 201)])
    assert (load.percentile(50), load.percentile(99)) == (101, 199)
    assert Load().percentile(50) == float("inf")


def test_streams_count_tokens_and_failures(port):
    requests = [client.post("/:stream", {})] * 3
    tokens, elapsed, firsts, errors = run_streams(port, requests)
    assert (tokens, len(firsts), errors) == (9, 3, [])
    assert all(0 < first <= elapsed for first in firsts)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return dict(zip(serving_load.TASKS, save_models(tmp_path_factory.mktemp("models")).values(), strict=True))


@pytest.mark.slow
def test_the_load_command(run_command, folders):
    pytest.importorskip("fastapi")
    report = run_command(
        serving_load, *(word for pair in folders.items() for word in (f"--{pair[0]}", str(pair[1])))
    )
    assert len(report["results"]) == 3 * 2 * 3
    for entry in report["results"]:
        assert [row["contestant"] for row in entry["rows"]] == [*serving_load.SERVERS]
        assert all(min(row[entry["unit"]]) > 0 for row in entry["rows"])
    for server in serving_load.SERVERS:
        assert " 0 requests failed" in report["environment"][server]


@pytest.mark.slow
def test_the_streams_command(run_command, folders):
    report = run_command(serving_streams, str(folders["generate"]))
    rate, first = report["results"]
    assert [row["contestant"] for row in rate["rows"]] == ["4 streams", "one at a time"]
    assert all(min(row["ms"]) > 0 for row in first["rows"])
    assert report["environment"]["failed_streams"] == 0

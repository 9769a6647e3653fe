"""Requests that are sent again, and those that are not, against a server that pretends."""

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import pytest
import tensorflow as tf
from builders.half_plus_two import save
from hypothesis import given
from hypothesis import strategies as st
from server.conftest import settings
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

import textrnn
from textrnn.client.calls import RANGES
from textrnn.client.retries import LONGEST_PAUSE, RETRIED, Attempts
from textrnn.decoding.beam_search import MAX_BEAMS
from textrnn.errors import ServerError
from textrnn.server.config_files import ModelConfig
from textrnn.server.server import Server
from textrnn.serving.stream_messages import METHOD, SERVICE, from_bytes, to_bytes
from textrnn.text_generation import signatures as text_generation
from textrnn.translation import signatures as translation

URL = "http://server:8501"
BUSY = (429, {"Retry-After": "3"}, {"error": "12 requests are running"})
AWAY = (503, {}, {"error": "the server is shutting down"})
DONE = (200, {}, {"outputs": {"text": ["a b"], "completion": [" b"], "tokens": [1]}})


@pytest.fixture
def pauses(monkeypatch):
    """The seconds of all pauses, which take no time; the clock follows them."""
    found = []

    async def sleep(seconds):
        found.append(seconds)

    monkeypatch.setattr("textrnn.client.client.sleep", found.append)
    monkeypatch.setattr("textrnn.client.async_client.sleep", sleep)
    return found


@pytest.fixture
def ask(make_client):
    """A function that asks a server which answers one thing after another."""

    def ask(answers, **options):
        left = [*answers]

        def answer(request):
            now = left.pop(0)
            if isinstance(now, Exception):
                raise now
            status, headers, body = now
            return httpx.Response(status, headers=headers, json=body)

        return make_client(URL, "m", answer=answer, **options).generate("a")

    return ask


@pytest.mark.parametrize("answers", [[DONE], [BUSY, DONE], [AWAY, httpx.ConnectError("refused"), BUSY, DONE]])
def test_requests_that_a_busy_server_refused_are_sent_again(ask, pauses, answers):
    assert ask(answers) == "a b"
    assert len(pauses) == len(answers) - 1
    for answer, pause in zip(answers, pauses, strict=False):
        assert pause > (3 if answer is BUSY else 0)


@pytest.mark.parametrize(
    ("answers", "options", "code", "message", "count"),
    [
        ([AWAY] * 3, {"retries": 2}, "UNAVAILABLE", "server:8501: the server is shutting down", 2),
        ([BUSY], {"timeout": 2}, "RESOURCE_EXHAUSTED", "12 requests are running", 0),
        ([(400, {}, {"error": "JSON Parse error"})], {}, "INVALID_ARGUMENT", "JSON Parse error", 0),
        ([(404, {}, {"error": "Servable not found"})], {}, "NOT_FOUND", "Servable not found", 0),
        ([(418, {}, None)], {}, "UNKNOWN", "HTTP status 418", 0),
        ([(413, {}, {"error": "more than 9 bytes"})], {}, "INVALID_ARGUMENT", "more than 9 bytes", 0),
        ([(408, {}, None)], {}, "DEADLINE_EXCEEDED", "HTTP status 408", 0),
        ([(200, {}, {"hello": 1})], {}, "UNKNOWN", "is it a server of models", 0),
        ([httpx.ConnectError("refused")], {"retries": 0}, "UNAVAILABLE", "cannot be reached .refused.", 0),
        ([httpx.ReadTimeout("slow")], {"timeout": 5}, "DEADLINE_EXCEEDED", "within 5 s", 0),
    ],
)  # fmt: skip
def test_other_errors_are_raised_with_the_words_of_the_server(
    ask, pauses, answers, options, code, message, count
):
    with pytest.raises(ServerError, match=message) as error:
        ask(answers, **options)
    assert error.value.code == code
    assert len(pauses) == count


def test_too_large_a_request_has_one_code_and_is_not_sent_again(make_client, pauses, tmp_path):
    save(tmp_path / "123")
    config = ModelConfig("half_plus_two", tmp_path)
    with Server(settings(config, limits={"body_bytes": 10_000})) as server:
        for url in (f"http://127.0.0.1:{server.rest_port}", f"grpc://127.0.0.1:{server.grpc_port}"):
            with pytest.raises(ServerError, match="than") as error:
                make_client(url, "half_plus_two").classify("a" * 20_000)
            assert error.value.code == "INVALID_ARGUMENT"
    assert not pauses


def test_loading_tensorflow_neither_blocks_the_event_loop_nor_exceeds_the_time(monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr("textrnn.client.async_client.import_module", lambda name: ended.wait(60))

    async def ask():
        async with textrnn.AsyncClient("grpc://127.0.0.1:1", "m", timeout=0.05) as client:
            both = await asyncio.gather(client.generate("a"), client.generate("b"), return_exceptions=True)
        ended.set()
        return both

    start = time.monotonic()
    for error in asyncio.run(ask()):
        assert isinstance(error, ServerError)
        assert error.code == "DEADLINE_EXCEEDED"
    assert time.monotonic() - start < 30


class Busy(prediction_service_pb2_grpc.PredictionServiceServicer):
    """A gRPC server that refuses requests with some codes, and then answers."""

    def __init__(self, codes):
        self.codes = [*codes]

    def Predict(self, request, context):
        assert ("authorization", "Bearer x") in context.invocation_metadata()
        if self.codes:
            context.abort(self.codes.pop(0), "try again later")
        response = predict_pb2.PredictResponse()
        response.outputs["text"].CopyFrom(tf.make_tensor_proto(["a b"]))
        return response


@pytest.mark.parametrize(
    ("codes", "pauses_expected"), [(["RESOURCE_EXHAUSTED", "UNAVAILABLE"], 2), (["INVALID_ARGUMENT"], 0)]
)
def test_requests_over_grpc_are_sent_again(make_client, pauses, codes, pauses_expected):
    server = grpc.server(ThreadPoolExecutor(1))
    busy = Busy(getattr(grpc.StatusCode, code) for code in codes)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(busy, server)
    url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    client = make_client(url, "m", headers={"Authorization": "Bearer x"})
    try:
        if pauses_expected:
            assert client.generate("a") == "a b"
        else:
            with pytest.raises(ServerError, match=r": try again later \(INVALID_ARGUMENT\)$"):
                client.generate("a")
    finally:
        server.stop(None).wait()
    assert len(pauses) == pauses_expected


def broken_streams(request, context):
    """A stream that breaks off, or takes too long, after its first event; or that is refused once."""
    if refused and refused.pop():
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "128 streams are running")
    message = from_bytes(request)
    yield to_bytes({"text": " b", "tokens": 1, "finish_reason": None})
    if message["text"] == "slow":
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(60)
    if message["text"] == "error":
        context.abort(grpc.StatusCode.INTERNAL, "out of memory")
    if message["text"] == "whole":
        yield to_bytes({"text": "", "tokens": 2, "finish_reason": "length"})


refused = []


@pytest.fixture(scope="module")
def broken_url():
    server = grpc.server(ThreadPoolExecutor(4))
    methods = {METHOD: grpc.unary_stream_rpc_method_handler(broken_streams)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"grpc://127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("a", "UNAVAILABLE", "ended a stream before the text ended"),
        ("slow", "DEADLINE_EXCEEDED", r"did not answer within 0\.\d+ s"),
        ("error", "INTERNAL", "out of memory"),
    ],
)
def test_a_stream_over_grpc_that_breaks_off_is_an_error(make_client, broken_url, text, code, message):
    client = make_client(broken_url, "m", timeout=0.5 if text == "slow" else 60, retries=0)
    with pytest.raises(ServerError, match=message) as error:
        [*client.stream(text)]
    assert error.value.code == code


def test_a_stream_over_grpc_is_opened_again(make_client, broken_url, pauses):
    refused.append(True)
    client = make_client(broken_url, "m")
    assert [*client.stream("whole")] == [" b"]
    assert len(pauses) == 1


EVENTS = 'data: {"text": " b", "tokens": 1, "finish_reason": null}\n\n: comment\n\n'
END = 'data: {"text": "", "tokens": 2, "finish_reason": "length"}\n\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EVENTS, "ended a stream before the text ended"),
        (EVENTS + 'data: {"error": "out of memory"}\n\n', "server:8501: out of memory"),
    ],
)
def test_a_stream_that_breaks_off_is_an_error(make_client, text, message):
    client = make_client(URL, "m", answer=lambda request: httpx.Response(200, text=text))
    with pytest.raises(ServerError, match=message):
        [*client.stream("a")]


def test_a_stream_is_opened_again(make_client, pauses):
    answers = [httpx.Response(503, headers={"Retry-After": "1"}), httpx.Response(200, text=EVENTS + END)]
    client = make_client(URL, "m", answer=lambda request: answers.pop(0))
    assert [*client.stream("a")] == [" b"]
    assert len(pauses) == 1


@pytest.mark.parametrize("url", [URL, f"{URL}/", f"{URL}/v1", f"{URL}/v1/"])
def test_the_address_may_be_that_of_openais_form(make_client, url):
    def answer(request):
        assert str(request.url) == f"{URL}/v1/models/m:predict"
        return httpx.Response(200, json=DONE[2])

    assert make_client(url, "m", answer=answer).generate("a") == "a b"


def test_headers_are_sent(make_client):
    def answer(request):
        assert request.headers["authorization"] == "Bearer x"
        return httpx.Response(200, json=DONE[2])

    assert make_client(URL, "m", answer=answer, headers={"Authorization": "Bearer x"}).generate(["a"]) == [
        "a b"
    ]


@given(
    st.integers(0, 8), st.floats(0.01, 100), st.lists(st.sampled_from(RETRIED), min_size=10, max_size=10),
    st.lists(st.one_of(st.none(), st.floats(0, 20)), min_size=10, max_size=10), st.floats(0, 1),
)  # fmt: skip
def test_pauses_keep_the_time_limit_and_that_of_the_server(retries, seconds, codes, waits, jitter):
    now, count = 0.0, 0
    attempts = Attempts(retries, seconds, lambda: now, lambda: jitter)
    try:
        for code, wait in zip(codes, waits, strict=True):
            pause = attempts.pause(ServerError("busy", code, wait))
            assert pause >= (wait or 0)
            assert pause <= (wait or 0) + LONGEST_PAUSE
            now, count = now + pause, count + 1
            assert attempts.remaining() == pytest.approx(seconds - now, abs=1e-3)
    except ServerError:
        pass
    assert count <= retries
    assert now < seconds


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: textrnn.Client("localhost:8501"), "expected http://HOST:PORT"),
        (lambda: textrnn.Client(None), "expected http://HOST:PORT"),
        (lambda: textrnn.Client("http://localhost:x"), "expected http://HOST:PORT"),
        (lambda: textrnn.Client(URL, "a/b"), "NAME/versions/NUMBER"),
        (lambda: textrnn.Client(URL, timeout=0), "timeout is 0"),
        (lambda: textrnn.Client(URL, retries=-1), "retries is -1"),
        (lambda: textrnn.Client(URL).generate("a"), "no model is named"),
        (lambda: textrnn.Client(URL, "m").generate(3), "text is 3: expected a string"),
        (lambda: textrnn.Client(URL, "m").generate(["a", None]), "expected a string, or a list"),
        (lambda: textrnn.Client(URL, "m").generate("a", seed=[1, 2]), "seed has 2 values for 1 texts"),
        (lambda: textrnn.Client(URL, "m").generate("a", top_k=1.5), "top_k is 1.5: expected an integer"),
        (lambda: textrnn.Client(URL, "m").generate("a", top_k=2**31), "an integer of at most 2147483647"),
        (lambda: textrnn.Client(URL, "m").generate("a", top_p=float("nan")), "top_p is nan"),
        (lambda: textrnn.Client(URL, "m").generate("a", top_p="1"), "top_p is '1': expected a number"),
        (lambda: textrnn.Client(URL, "m").stream(["a"]), "expected a string"),
        (lambda: textrnn.Client(URL, "m").stream("a", max_new_tokens=5000), "from 0 to 4096"),
        (lambda: textrnn.Client(URL, "m").stream("a", max_new_tokens=-1), "from 0 to 4096"),
        (lambda: textrnn.Client(URL, "m").stream("a", max_new_tokens=None), "max_new_tokens is None"),
        (lambda: textrnn.Client(URL, "m").generate("a", max_new_tokens=4097), "from 0 to 4096, or None"),
        (lambda: textrnn.Client(URL, "m").generate(["a"], max_new_tokens=[-1]), "max_new_tokens is -1"),
        (lambda: textrnn.Client(URL, "m").translate("a", max_new_tokens=1025), "from 0 to 1024"),
        (lambda: textrnn.Client(URL, "m").translate("a", num_beams=0), "num_beams is 0: .* from 1 to 32"),
        (lambda: textrnn.Client(URL, "m").translate("a", num_beams=33, details=True), "num_beams is 33"),
        (lambda: textrnn.Client(URL, "m").stream("a", stop=[""]), "strings that are not empty"),
        (lambda: textrnn.Client(URL, "m").translate("a", num_beams=True), "num_beams is True"),
    ],
)  # fmt: skip
def test_bad_arguments(make, message):
    with pytest.raises(textrnn.InputError, match=message):
        make()


def test_ranges_of_parameters_are_those_of_the_signatures():
    assert RANGES == {
        "generate": {"max_new_tokens": (0, text_generation.MAX_NEW_TOKENS)},
        "translate": {"max_new_tokens": (0, translation.MAX_NEW_TOKENS), "num_beams": (1, MAX_BEAMS)},
    }


def test_a_model_is_checked_once_within_the_time_of_the_call(make_client, pauses):
    answers = [
        BUSY,
        (200, {}, {"outputs": {"text": [[""]]}}),
        BUSY,
        *[(200, {}, {"outputs": ["Ein Hund"]})] * 2,
    ]
    signatures = []

    def answer(request):
        signatures.append(json.loads(request.content)["signature_name"])
        status, headers, body = answers.pop(0)
        return httpx.Response(status, headers=headers, json=body)

    client = make_client(URL, "en_de", answer=answer, retries=2)
    assert [client.translate("A dog") for _ in range(2)] == ["Ein Hund"] * 2
    assert signatures == ["translate"] * 2 + ["serving_default"] * 3
    answers.extend([BUSY, (200, {}, {"outputs": {"text": [[""]]}}), BUSY])
    with pytest.raises(ServerError, match="12 requests are running"):
        make_client(URL, "en_de", answer=answer, retries=1).translate("A dog")


class Drops(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of an answer of which a part comes every 20 ms."""

    def __init__(self, parts):
        self.parts, self.sent = parts, 0

    def __iter__(self):
        for part in self.parts:
            time.sleep(0.02)
            self.sent += 1
            yield part

    async def __aiter__(self):
        for part in self.parts:
            await asyncio.sleep(0.02)
            self.sent += 1
            yield part


def test_an_answer_that_comes_in_drops_has_to_end_in_time(make_client):
    drops = Drops([b" "] * 500)
    client = make_client(URL, "novel", timeout=0.2, answer=lambda request: httpx.Response(200, stream=drops))
    with pytest.raises(ServerError, match=r"did not answer within 0\.2 s") as error:
        client.generate("a")
    assert error.value.code == "DEADLINE_EXCEEDED" and drops.sent < 500


def test_the_pieces_of_a_stream_have_the_whole_time_after_attempts_too(make_client):
    events = [
        {"text": " b", "tokens": 1, "finish_reason": None},
        {"text": "", "tokens": 1, "finish_reason": "length"},
    ]
    parts = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    answers, seconds = [httpx.Response(503), httpx.Response(200, stream=Drops(parts))], []

    def answer(request):
        seconds.append(request.extensions["timeout"]["read"])
        return answers.pop(0)

    client = make_client(URL, "novel", timeout=5, answer=answer)
    assert [*client.stream("a")] == [" b"]
    assert seconds == [5, 5]

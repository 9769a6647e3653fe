"""Texts token by token: the same as in one call, whatever else runs, in both shapes."""

import contextlib
import functools
import http.client
import json
import queue
import socket
import threading
import time
from types import SimpleNamespace
from unittest import mock

import grpc
import numpy as np
import pytest
import tensorflow as tf
from builders.exporting import export_unchecked
from builders.language_models import make_lm
from server.conftest import Rest, settings

from textrnn.client.prompt import Prompt as ClientPrompt
from textrnn.client.prompt import next_step
from textrnn.server.completions import _Completion
from textrnn.server.config_files import ModelConfig
from textrnn.server.errors import RequestError
from textrnn.server.grpc_streams import StreamService
from textrnn.server.metrics import Metrics
from textrnn.server.server import Server
from textrnn.server.streams import NEEDED, Prompt, Streams, _Batch
from textrnn.serving.saved_model import load_signatures
from textrnn.serving.stream_messages import METHOD, SERVICE, from_bytes, to_bytes

PROMPTS = ["the cat", "", "a dog sat on the mat", "the ", "that was"]


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "novel"
    return export_unchecked(make_lm(), folder, only=("generate", "read", "advance", "detokenize"))


@pytest.fixture(scope="module")
def server(version):
    with Server(settings(ModelConfig("novel", version.parent))) as running:
        yield running


@pytest.fixture(scope="module")
def complete(version):
    generate = load_signatures(version.parent)["generate"]

    def complete(text, max_new_tokens, seed, temperature=-1.0, top_k=-1, top_p=-1.0):
        values = {
            "text": text, "max_new_tokens": max_new_tokens, "seed": seed, "temperature": temperature,
            "top_k": top_k, "top_p": top_p,
        }  # fmt: skip
        specs = generate.structured_input_signature[1]
        answer = generate(**{name: tf.constant([v], specs[name].dtype) for name, v in values.items()})
        return answer["completion"].numpy()[0].decode(), int(answer["tokens"].numpy()[0])

    return complete


@functools.cache
def count_tokens(text):
    return len(make_lm().preprocessor.tokenizer.tokenize(text))


def events(server, path, body):
    """The events of an answer, parsed, as they come."""
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    ) as connection:
        connection.request("POST", path, json.dumps(body))
        with connection.getresponse() as response:
            assert response.status == 200, response.read()
            assert response.headers["content-type"].startswith("text/event-stream")
            for line in response:
                if line.startswith(b"data: "):
                    data = line[6:].strip().decode()
                    yield data if data == "[DONE]" else json.loads(data)


def streamed(server, text, **body):
    pieces = [*events(server, "/v1/models/novel:stream", {"text": text} | body)]
    return "".join(piece["text"] for piece in pieces), pieces[-1]


@pytest.mark.parametrize("options", [{"temperature": 0}, {"temperature": 0.9, "top_p": 0.9}, {"top_k": 3}])
def test_texts_that_run_together_are_those_of_one_call(server, complete, options):
    found = {}

    def run(number, prompt):
        time.sleep(0.02 * number)  # they join a running batch
        found[number] = streamed(server, prompt, max_new_tokens=30 + number, seed=number, **options)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(PROMPTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, prompt in enumerate(PROMPTS):
        text, tokens = complete(prompt, 30 + number, number, **options)
        assert found[number][0] == text
        assert found[number][1]["tokens"] == tokens
        assert found[number][1]["finish_reason"] in ("stop", "length")


def test_the_first_piece_comes_before_the_text_ends(server):
    pieces = events(
        server, "/v1/models/novel:stream", {"text": "the", "max_new_tokens": 200, "temperature": 0}
    )
    assert next(pieces)["tokens"] < 40
    assert [piece["finish_reason"] for piece in pieces][-1] in ("stop", "length")


def test_a_text_ends_before_a_stop_text(server, complete):
    text, _ = complete("the cat", 40, 1, temperature=0.0)
    stop = text[10:13]
    found, last = streamed(server, "the cat", max_new_tokens=40, seed=1, temperature=0, stop=[stop, "zzz"])
    assert found == text[: text.index(stop)]
    assert last["finish_reason"] == "stop"


@pytest.mark.parametrize("tokens", [1, 3, 8, 32])
def test_how_many_tokens_an_iteration_has_changes_neither_text_nor_count(
    server, complete, monkeypatch, tokens
):
    text, _ = complete("the cat", 40, 1, temperature=0.0)
    stop = [text[10:13] + "\x00", text[11:13]]
    expected = text[: text.index(stop[1])]
    count = next(n for n in range(1, 41) if stop[1] in complete("the cat", n, 1, temperature=0.0)[0])
    monkeypatch.setattr(server.streams, "tokens_per_iteration", tokens)
    options = {"max_new_tokens": 40, "seed": 1, "temperature": 0, "stop": stop}
    found, last = streamed(server, "the cat", **options)
    assert (found, last["tokens"], last["finish_reason"]) == (expected, count, "stop")


@pytest.fixture(scope="module")
def word_version(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "words"
    return export_unchecked(make_lm("word"), folder, only=("generate", "read", "advance", "detokenize"))


@pytest.mark.parametrize("prompt", ["the cat", "the cat ", "", "the dog\n", "a zebra"])
@pytest.mark.parametrize("of_client", [False, True])
def test_prompts_and_streams_of_words_make_up_the_text_of_one_call(word_version, prompt, of_client):
    functions = load_signatures(word_version.parent)
    options = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": 3}
    inputs = {"text": prompt, "max_new_tokens": 20} | options
    specs = functions["generate"].structured_input_signature[1]
    whole = functions["generate"](**{k: tf.constant([v], specs[k].dtype) for k, v in inputs.items()})
    if of_client:
        pieces, steps = [], ClientPrompt(prompt, (), 20, options).steps()
        made = next(steps)
        while made is not None:
            outputs = None
            if isinstance(made, str):
                pieces.append(made)
            else:
                specs = functions[made.signature].structured_input_signature[1]
                given = {k: tf.constant(v, specs[k].dtype) for k, v in made.inputs.items()}
                outputs = {k: v.numpy() for k, v in functions[made.signature](**given).items()}
            made = next_step(steps, outputs)
    else:
        with Server(settings(ModelConfig("novel", word_version.parent))) as running:
            pieces = [streamed(running, prompt, max_new_tokens=20, **options)[0]]
    read = prompt.replace("a zebra", "<unk> <unk>")
    assert read + "".join(pieces) == whole["text"].numpy()[0].decode()
    assert len("".join(pieces)) > 20


def test_completions_have_the_shape_of_openai(server, complete):
    rest = Rest(server.rest_port)
    body = {"model": "novel", "prompt": "the cat", "max_tokens": 12, "temperature": 0, "seed": 5}
    text, tokens = complete("the cat", 12, 5, temperature=0.0)
    status, answer = rest("/v1/completions", body)
    assert status == 200
    assert (answer["object"], answer["model"]) == ("text_completion", "novel")
    assert answer["choices"][0]["text"] == text
    assert [*answer["choices"][0]] == ["index", "text", "logprobs", "finish_reason"]
    prompt_tokens = count_tokens("the cat")
    counts = {
        "prompt_tokens": prompt_tokens, "completion_tokens": tokens, "total_tokens": prompt_tokens + tokens,
    }  # fmt: skip
    assert answer["usage"] == counts
    *chunks, end = events(server, "/v1/completions", body | {"stream": True, "echo": True})
    assert end == "[DONE]"
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "the cat" + text
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-1] in ("stop", "length")
    asks = {"stream": True, "stream_options": {"include_usage": True}}
    *_, last, usage, end = events(server, "/v1/completions", body | asks)
    assert last["choices"][0]["finish_reason"] and end == "[DONE]"
    assert (usage["choices"], usage["usage"]) == ([], counts)
    assert last["usage"] is None


@pytest.mark.parametrize("stream", [False, True])
def test_completions_of_several_prompts_and_several_of_each(server, complete, stream):
    rest, prompts = Rest(server.rest_port), ["the cat", "a dog sat"]
    body = {
        "model": "novel",
        "prompt": prompts,
        "n": 2,
        "best_of": 2,
        "max_tokens": 9,
        "seed": 5,
        "top_p": 0.9,
    }
    expected = [complete(prompt, 9, seed, top_p=0.9) for prompt in prompts for seed in (5, 6)]
    if stream:
        *chunks, usage, _ = events(
            server, "/v1/completions", body | {"stream": True, "stream_options": {"include_usage": True}}
        )
        texts = [""] * 4
        for [choice] in (chunk["choices"] for chunk in chunks):
            texts[choice["index"]] += choice["text"]
    else:
        status, usage = rest("/v1/completions", body)
        assert status == 200 and [choice["index"] for choice in usage["choices"]] == [0, 1, 2, 3]
        texts = [choice["text"] for choice in usage["choices"]]
    assert texts == [text for text, _ in expected]
    assert usage["usage"]["completion_tokens"] == sum(tokens for _, tokens in expected)
    assert usage["usage"]["prompt_tokens"] == sum(map(count_tokens, prompts))


def test_without_a_seed_the_choices_of_a_prompt_differ(server):
    body = {"model": "novel", "prompt": "the cat", "n": 3, "max_tokens": 12, "temperature": 1}
    _, answer = Rest(server.rest_port)("/v1/completions", body)
    texts = [choice["text"] for choice in answer["choices"]]
    assert len({*texts}) == 3
    _, alone = Rest(server.rest_port)("/v1/completions", body | {"n": 1})
    assert alone["choices"][0]["text"] == texts[0]


def test_a_prompt_that_is_no_unicode_is_echoed_as_far_as_it_can_be(server):
    body = {"model": "novel", "prompt": "a\ud800", "echo": True, "stream": True, "max_tokens": 2}
    *chunks, end = events(server, "/v1/completions", body)
    assert chunks[0]["choices"][0]["text"] == "a?" and end == "[DONE]"


def test_a_prompt_that_is_no_unicode_is_continued_as_in_one_call(server):
    prompt, options = "the\ud800cat", {"max_new_tokens": 20, "temperature": 1}
    others = {"top_k": -1, "top_p": -1, "seed": -1}
    status, answer = Rest(server.rest_port, "/v1/models/novel").predict(
        signature_name="generate", instances=[{"text": prompt} | options | others]
    )
    assert status == 200
    assert streamed(server, prompt, **options)[0] == answer["predictions"][0]["completion"]


def test_texts_whose_clients_have_left_do_not_wait():
    prompts = [Prompt("a", None, print, cancelled=number != 1) for number in range(3)]
    batch = SimpleNamespace(waiting=[*prompts])
    streams = Streams(Broken(), Metrics())
    assert streams.take(batch, 0) == [] and batch.waiting == prompts[1:2]  # all rows are taken
    assert streams.take(batch, 1) == prompts[1:2] and batch.waiting == []


def test_usage_without_the_count_of_an_earlier_export():
    class Old(Broken):
        def run(self, name, inputs, several_threads=False):
            if name == "read":
                rows = np.zeros(1, np.int32)
                return {"token_ids": rows, "seed": rows, "carried_0": rows}
            raise RequestError("INTERNAL", "that is all")

    received = queue.SimpleQueue()
    prompt = Prompt("a", None, received.put)
    streams = Streams(Old(), Metrics())
    streams.submit(prompt, "old")
    received.get(timeout=30)
    streams.stop()
    assert prompt.tokens is None
    assert _Completion("old", 1, [prompt], echo=False)._usage(7) == {"completion_tokens": 7}


def test_a_long_prompt_is_read_by_itself(server, complete):
    batch = SimpleNamespace(waiting=[Prompt("a" * size, None, print) for size in (5, 9000, 9001, 6, 9002)])
    taken = [server.streams.take(batch, 3) for _ in range(3)]
    sizes = [[len(prompt.text) for prompt in prompts] for prompts in taken]
    assert sizes == [[5, 9000, 6], [9001], [9002]] and not batch.waiting
    prompts = ["the cat " * 1200, "a dog", "a dog " * 1600]
    body = {"model": "novel", "prompt": prompts, "max_tokens": 6, "temperature": 0}
    _, answer = Rest(server.rest_port)("/v1/completions", body)
    texts = [choice["text"] for choice in answer["choices"]]
    assert texts == [complete(prompt, 6, -1, temperature=0.0)[0] for prompt in prompts]


def prompts_of(server):
    """The prompts that the server completes, once there are some."""
    end = time.monotonic() + 30
    while not server.streams._batches:
        assert time.monotonic() < end
        time.sleep(0.001)
    [batch] = server.streams._batches.values()
    return [*batch.waiting, *batch._joining, *(row.prompt for row in batch._rows)]


def test_a_client_that_does_not_wait_for_the_whole_text_frees_its_place(server):
    body = {"model": "novel", "prompt": "the", "max_tokens": 4096, "temperature": 1, "n": 8}
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    connection.request("POST", "/v1/completions", json.dumps(body))
    prompts = prompts_of(server)
    connection.close()
    end = time.monotonic() + 30
    while server.streams._batches:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert prompts and all(prompt.cancelled for prompt in prompts)


def test_a_client_that_leaves_frees_its_place(server):
    pieces = events(
        server, "/v1/models/novel:stream", {"text": "the", "max_new_tokens": 4096, "temperature": 1}
    )
    next(pieces)
    pieces.close()
    end = time.monotonic() + 30
    while server.streams._batches:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_client_that_has_sent_another_request_and_leaves_frees_its_place(server, caplog):
    body = json.dumps({"text": "the", "max_new_tokens": 4096, "temperature": 1}).encode()
    head = f"POST /v1/models/novel:stream HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=60) as connection:
        connection.sendall(2 * (head.encode() + body))
        connection.recv(1000)
        [prompt] = prompts_of(server)
    end = time.monotonic() + 30
    while server.streams._batches:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert prompt.cancelled and not caplog.records


def test_texts_that_run_when_the_server_stops_end_with_an_error(version, monkeypatch):
    iterate = _Batch._iterate
    monkeypatch.setattr(_Batch, "_iterate", lambda batch: (time.sleep(0.05), iterate(batch)))
    body = {"max_new_tokens": 4096, "temperature": 1, "text": "the"}
    completion = {"model": "novel", "prompt": "the", "max_tokens": 4096, "temperature": 1}
    pieces, answers = [], []
    with Server(settings(ModelConfig("novel", version.parent), stop_seconds=0.2)) as stopping:
        rest = Rest(stopping.rest_port)
        threads = [
            threading.Thread(target=lambda: pieces.extend(events(stopping, "/v1/models/novel:stream", body))),
            threading.Thread(target=lambda: answers.append(rest("/v1/completions", completion))),
        ]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 30
        while len(prompts_of(stopping)) < 2:
            assert time.monotonic() < end
    for thread in threads:
        thread.join()
    assert pieces[-1] == {"error": "the server is shutting down"} and not stopping.unfinished
    [(status, answer)] = answers
    assert status == 503 and answer["error"]["message"] == "the server is shutting down"


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (":stream", {}, 400, "'text' key must be a string"),
        (":stream", {"text": "a", "top_p": 2}, 400, "top_p is 2: expected a number from 0 to 1"),
        (":stream", {"text": "a", "max_new_tokens": 1.5}, 400, "expected an integer from 0 to 4096"),
        (":stream", {"text": ["a"]}, 400, "'text' key must be a string"),
        (":stream", {"text": "a", "stop": [""]}, 400, "'stop' key must be a string"),
        (":stream", {"text": "a", "stop": ""}, 400, "'stop' key must be a string"),
        (":stream", {"text": "a", "stop": False}, 400, "'stop' key must be a string"),
        (":stream", {"text": "a", "stop": ["b"] * 65}, 400, "at most 64 strings of at most 1000 characters"),
        (":stream", {"text": "a", "stop": "b" * 1001}, 400, "at most 64 strings of at most 1000 characters"),
        (":stream", {"text": "ä" * (2**16 + 1)}, 400, "the prompt has 131074 bytes"),
        (
            ":stream",
            {"text": "a", "max_tokens": 5},
            400,
            "'max_tokens' key is unknown: expected text, ",
        ),
        ("/versions/9:stream", {"text": "a"}, 404, "Servable not found"),
        ("/v1/completions", {"prompt": "a"}, 400, "'model' key must be a string"),
        ("/v1/completions", {"model": "other", "prompt": "a"}, 404, "Servable not found"),
        ("/v1/completions", {"model": "novel", "prompt": [5, 6]}, 400, "'prompt' key must be a string"),
        ("/v1/completions", {"model": "novel", "prompt": []}, 400, "'prompt' key must be a string"),
        (
            "/v1/completions",
            {"model": "novel", "prompt": "a", "n": 0},
            400,
            "n is 0: expected an integer from 1",
        ),
        (
            "/v1/completions",
            {"model": "novel", "prompt": "a", "n": True},
            400,
            "n is true: expected an integer",
        ),
        ("/v1/completions", {"model": "novel", "prompt": ["a"] * 65, "n": 2}, 400, "at most 128 texts"),
        ("/v1/completions", {"model": "novel", "prompt": "a", "best_of": 3}, 400, "best_of is 3"),
        ("/v1/completions", {"model": "novel", "prompt": "a", "logprobs": 0}, 400, "logprobs is 0"),
        (
            "/v1/completions",
            {"model": "novel", "prompt": "a", "stream": "yes"},
            400,
            "expected true or false",
        ),
        ("/v1/completions", {"model": "novel", "prompt": "a", "echo": 1}, 400, "echo is 1: expected true"),
        ("/v1/completions", {"model": "novel", "prompt": "a", "logit_bias": {"5": 1}}, 400, "logit_bias is"),
        ("/v1/chat/completions", {"model": "novel", "messages": []}, 404, "use /v1/completions"),
    ],
)
def test_bad_requests(server, path, body, status, message):
    found, answer = Rest(server.rest_port, "/v1/models/novel")(path, body)
    text = answer["error"]["message"] if path.endswith("/completions") else answer["error"]
    assert (found, message in text) == (status, True), answer


def test_a_model_that_generates_nothing_is_refused(server, half_plus_two):
    with Server(settings(ModelConfig("m", half_plus_two))) as other:
        status, answer = Rest(other.rest_port, "/v1/models/m")(":stream", {"text": "a"})
    assert status == 400 and "generates no text in parts" in answer["error"]


@pytest.fixture(scope="module")
def stream(server):
    """The method of gRPC, which takes a message and gives an iterator of messages."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield channel.unary_stream(f"/{SERVICE}/{METHOD}", to_bytes, from_bytes)


def test_streams_over_grpc_have_the_events_of_rest(server, stream):
    body = {"text": "the cat", "max_new_tokens": 20, "temperature": 0, "seed": 5}
    over_rest = [*events(server, "/v1/models/novel:stream", body)]
    over_grpc = [*stream(body | {"model": "novel", "version": 1})]
    assert "".join(event["text"] for event in over_grpc) == "".join(event["text"] for event in over_rest)
    assert over_grpc[-1] == over_rest[-1]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"text": "a"}, "INVALID_ARGUMENT", "'model' key must be a string"),
        ({"model": "novel"}, "INVALID_ARGUMENT", "'text' key must be a string"),
        ({"model": "novel", "text": "a", "version": "1"}, "INVALID_ARGUMENT", "must be an integer"),
        ({"model": "novel", "text": "a", "label": 1}, "INVALID_ARGUMENT", "'label' key must be a string"),
        ({"model": "novel", "text": "a", "versions": 1}, "INVALID_ARGUMENT", "'versions' key is unknown"),
        ({"model": "novel", "text": "a", "top_k": -1}, "INVALID_ARGUMENT", "top_k is -1"),
        ({"model": "novel", "text": "a", "version": 9}, "NOT_FOUND", "Servable not found"),
        ([], "INVALID_ARGUMENT", "Is not object"),
    ],
)  # fmt: skip
def test_bad_requests_over_grpc(stream, body, code, message):
    with pytest.raises(grpc.RpcError) as error:
        [*stream(body, timeout=60)]
    assert (error.value.code().name, message in error.value.details()) == (code, True), error.value.details()


def test_streams_are_counted_as_other_requests_are(server, stream):
    def counts():
        lines = server.service.metrics.text().decode().splitlines()
        return {
            key: float(value)
            for key, _, value in (line.rpartition(" ") for line in lines)
            if "request_count{" in key or "request_latency_count{" in key
        }

    before, short = counts(), {"max_new_tokens": 2}
    streamed(server, "the", **short)
    [*stream({"model": "novel", "text": "the"} | short)]
    completion = {"model": "novel", "prompt": "the", "max_tokens": 2, "n": 2}
    [*events(server, "/v1/completions", completion | {"stream": True})]
    assert Rest(server.rest_port)("/v1/completions", completion)[0] == 200
    assert Rest(server.rest_port)("/v1/models/novel:stream", {"text": 1})[0] == 400
    long = {"text": "the", "max_new_tokens": 4096, "temperature": 1}
    for pieces in (events(server, "/v1/models/novel:stream", long), stream({"model": "novel"} | long)):
        next(pieces)
        pieces.close() if hasattr(pieces, "close") else pieces.cancel()
    cancelled = ':tensorflow:serving:request_count{model_name="novel",status="CANCELLED"}'
    end = time.monotonic() + 30
    while counts().get(cancelled, 0) < before.get(cancelled, 0) + 2 and time.monotonic() < end:
        time.sleep(0.05)
    gains = {key: value - before.get(key, 0) for key, value in counts().items()}
    status = ':tensorflow:serving:request_count{{model_name="novel",status="{}"}}'.format
    latency = (
        ':tensorflow:serving:request_latency_count{{API="{}",entrypoint="{}",model_name="novel"}}'.format
    )
    assert {key: gain for key, gain in gains.items() if gain} == {
        status("OK"): 4, status("INVALID_ARGUMENT"): 1, status("CANCELLED"): 2,
        latency("stream", "REST"): 1, latency("Stream", "GRPC"): 1, latency("completions", "REST"): 2,
    }  # fmt: skip


def test_streams_over_grpc_are_limited_since_each_keeps_a_thread():
    service, context = StreamService(mock.MagicMock(), Streams(Broken(), Metrics()), 0), mock.Mock()
    context.abort.side_effect = RuntimeError
    with pytest.raises(RuntimeError):
        next(service.stream(b"{}", context))
    context.abort.assert_called_once_with(grpc.StatusCode.RESOURCE_EXHAUSTED, mock.ANY)


class Broken:
    """A servable whose texts fail in a way that nobody has foreseen, and the models of a server with it."""

    name, version = "broken", 1
    signatures = dict.fromkeys(NEEDED)

    def __init__(self):
        self.holders, self.unloaded = 0, threading.Event()

    def signature(self, name):
        return SimpleNamespace(outputs={"carried_0": None})

    def hold(self):
        assert not self.unloaded.is_set()
        self.holders += 1

    def release(self):
        self.holders -= 1
        if not self.holders:
            self.unloaded.set()

    @contextlib.contextmanager
    def use(self, name, version=None, label=None):
        self.hold()
        yield self
        self.release()

    def run(self, name, inputs, several_threads=False):
        assert self.holders
        raise LookupError("unforeseen")


def test_a_version_is_held_from_the_request_on_until_its_texts_have_ended(monkeypatch):
    models, received, started = Broken(), [], []

    def start(thread):
        started.append(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    streams = Streams(models, Metrics())
    streams.submit(Prompt("a", None, received.extend), "broken")
    assert models.holders == 1  # the thread has not begun, and the request is over
    monkeypatch.undo()
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    started[0].start()
    started[0].join(30)
    [(_, piece)] = received
    assert (piece.error.code, str(piece.error)) == ("INTERNAL", "LookupError: unforeseen")
    assert models.unloaded.is_set() and not streams._batches
    streams.stop()
    models.unloaded.clear()
    with pytest.raises(RequestError, match="shutting down"):
        streams.submit(Prompt("a", None, received.extend), "broken")


@pytest.mark.parametrize(
    ("counts", "step_seconds", "steps"),
    [
        ([8], 0.001, 8),
        ([8, 0], 0.001, 1),  # a new text gets its first token soon
        ([8] * 15, 0.001, 8),
        ([8] * 16, 0.001, 32),
        ([8] * 16, 0.004, 16),
        ([8] * 16, 0.01, 8),  # a new text would wait too long
        ([8] * 63 + [0], 0.001, 1),
    ],
)
def test_many_texts_get_more_tokens_at_a_time_unless_a_new_one_waits(counts, step_seconds, steps):
    batch = _Batch(Streams(Broken(), Metrics()), Broken())
    batch._rows = [SimpleNamespace(count=count) for count in counts]
    batch._step_seconds = step_seconds
    assert batch._most_steps() == steps

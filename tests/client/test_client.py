"""Both clients on both transports, against `textrnn serve` and what TF Serving has of it."""

import functools
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import grpc
import httpx
import pytest
from server.conftest import Rest
from tensorflow_serving.apis import prediction_service_pb2_grpc

import textrnn
from textrnn.client import Candidate, Classification, Explanation, Translation
from textrnn.client.address import parse_url
from textrnn.client.rest_transports import RestTransport
from textrnn.server.grpc_api import PredictionService

PROMPTS = ["the cat", "", "na\u00efve \ud800 \U0001f600"]


class Asked(grpc.ServerInterceptor):
    """Notes the methods that are asked."""

    def __init__(self):
        self.methods = []

    def intercept_service(self, continuation, details):
        self.methods.append(details.method)
        return continuation(details)


@pytest.fixture(scope="module")
def tf_serving(small_server):
    """The address of a gRPC server that has TF Serving's methods alone, and the methods that it was asked."""
    asked = Asked()
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[asked])
    service = PredictionService(small_server.service)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"grpc://127.0.0.1:{port}", asked.methods
    server.stop(None).wait()


@pytest.fixture(params=["rest", "grpc", "rest without :stream", "grpc without streams"])
def client(request, make_client, small_server, tf_serving):
    if "grpc" in request.param:
        own = f"grpc://127.0.0.1:{small_server.grpc_port}"
        return make_client(tf_serving[0] if "without" in request.param else own, timeout=240)
    url = f"http://127.0.0.1:{small_server.rest_port}"

    def without_stream(sent):
        if sent.url.path.endswith(":stream"):
            return httpx.Response(400, json={"error": f"Malformed request: POST {sent.url.path}"})
        found = httpx.post(url + sent.url.path, content=sent.content, timeout=240)
        return httpx.Response(found.status_code, content=found.content)

    return make_client(url, timeout=240, answer=without_stream if "without" in request.param else None)


@pytest.fixture(scope="module")
def raw(small_server):
    """Predictions as the REST API gives them, row by row."""

    @functools.cache
    def predictions(model, signature, rows):
        rest = Rest(small_server.rest_port, f"/v1/models/{model}")
        status, answer = rest.predict(signature_name=signature, instances=json.loads(rows))
        assert status == 200, answer
        return answer["predictions"]

    return lambda model, signature, rows: predictions(model, signature, json.dumps(rows))


def test_generate(client, raw):
    rows = [
        {"text": prompt.replace("\ud800", "\ufffd"), "max_new_tokens": 12, "temperature": 0.5, "top_k": 9,
         "top_p": -1, "seed": seed}
        for seed, prompt in enumerate(PROMPTS)
    ]  # fmt: skip
    expected = [row["text"] for row in raw("novel", "generate", rows)]
    options = {"max_new_tokens": 12, "temperature": 0.5, "top_k": 9, "model": "novel"}
    assert client.generate(PROMPTS, seed=[0, 1, 2], **options) == expected
    assert client.generate(PROMPTS[1], seed=1, **options) == expected[1]
    assert client.generate([], **options) == []


@pytest.mark.parametrize(
    "options", [{"max_new_tokens": 0}, {"max_new_tokens": 27, "temperature": 1.0, "top_p": 0.9, "seed": 4}]
)
def test_a_stream_is_the_continuation_that_generate_gives(client, options):
    pieces = [*client.stream("the cat", model="novel", **options)]
    assert "the cat" + "".join(pieces) == client.generate("the cat", model="novel", **options)
    assert len(pieces) > 1 or not options["max_new_tokens"]


def test_a_server_without_streams_is_asked_for_one_once(make_client, tf_serving):
    url, methods = tf_serving
    client = make_client(url, "novel", timeout=240)
    methods.clear()
    first, second = (client.stream("the cat", max_new_tokens=3, seed=1) for _ in range(2))
    assert "".join(first) == "".join(second)
    assert methods.count("/textrnn.Streams/Stream") == 1
    assert set(methods) == {"/textrnn.Streams/Stream", "/tensorflow.serving.PredictionService/Predict"}


def test_streams_over_grpc_run_in_the_batches_of_the_server(make_client, small_server, monkeypatch):
    submitted, submit = [], small_server.streams.submit
    monkeypatch.setattr(
        small_server.streams, "submit", lambda *args: submitted.append(args[1:]) or submit(*args)
    )
    client = make_client(f"grpc://127.0.0.1:{small_server.grpc_port}", timeout=240)
    text = "".join(client.stream("the cat", model="novel/versions/1", max_new_tokens=9, seed=1))
    assert "the cat" + text == client.generate("the cat", model="novel", max_new_tokens=9, seed=1)
    assert submitted == [("novel", 1, None)]
    with pytest.raises(textrnn.ServerError, match="Unrecognized servable version label: a"):
        [*client.stream("the cat", model="novel/labels/a")]


def test_a_stream_ends_before_a_stop_text(client):
    options = {"model": "novel", "max_new_tokens": 27, "seed": 4}
    whole = "".join(client.stream("the cat", **options))
    stop = whole[9:11]
    assert "".join(client.stream("the cat", stop=stop, **options)) == whole[: whole.index(stop)]


def test_classify(client, raw):
    texts = ["good film", "dull"]
    found = client.classify(texts, model="reviews")
    for one, row in zip(found, raw("reviews", "serving_default", texts), strict=True):
        assert isinstance(one, Classification)
        assert one.label == row["label"]
        expected = dict(zip(row["labels"], row["scores"], strict=True))
        assert one.probabilities == pytest.approx(expected, abs=1e-6)
        assert one.probability == max(one.probabilities.values())
        assert one.unfamiliar == row.get("unfamiliar", False)
    assert client.classify(texts[0], model="reviews").label == found[0].label


def test_explain(client, raw):
    texts = ["good film", "a dull dull film"]
    found = client.explain(texts, model="reviews/versions/1")
    for text, one, row in zip(texts, found, raw("reviews", "explain", texts), strict=True):
        assert isinstance(one, Explanation)
        assert (one.label, one.words) == (row["label"], text.split())
        assert one.weights == pytest.approx(row["weights"][: len(one.words)], abs=1e-6)
        assert one.total == pytest.approx(row["total"], abs=1e-6)
        assert (one.attention is None) == ("attention" not in row)
    assert client.explain(texts[1], model="reviews").words == texts[1].split()


def test_translate(client, raw):
    texts = ["eins", "zwei drei"]
    rows = [
        {"text": text, "num_beams": beams, "length_penalty": -1, "max_new_tokens": 6}
        for text, beams in zip(texts, (1, 3), strict=True)
    ]
    options = {"model": "en_de", "num_beams": [1, 3], "max_new_tokens": 6}
    expected = raw("en_de", "translate", rows)
    assert client.translate(texts, **options) == [row["text"][0] for row in expected]
    found = client.translate(texts, details=True, **options)
    for one, row, beams in zip(found, expected, (1, 3), strict=True):
        assert isinstance(one, Translation)
        assert one.text == row["text"][0]
        assert len(one.candidates) == beams
        assert one.source_tokens == [token for token in row["source_tokens"] if token]
        for place, candidate in enumerate(one.candidates):
            assert isinstance(candidate, Candidate)
            assert candidate.text == row["text"][place]
            assert candidate.score == pytest.approx(row["scores"][place], abs=1e-5)
            assert candidate.tokens == [token for token in row["tokens"][place] if token]
            for weights in candidate.attention:
                assert len(weights) == len(one.source_tokens)
                assert sum(weights) == pytest.approx(1, abs=1e-5)
            assert len(candidate.attention) == len(candidate.tokens)
    own = client.translate(texts, model="en_de")
    assert own == raw("en_de", "serving_default", texts)


@pytest.mark.parametrize(
    ("ask", "code", "message"),
    [
        (lambda client: client.generate("a", model="other"), "NOT_FOUND", "Servable not found"),
        (lambda client: [*client.stream("a", model="other")], "NOT_FOUND", "Servable not found"),
        (lambda client: client.classify("a", model="reviews/versions/7"), "NOT_FOUND", "Servable not found"),
    ],
)  # fmt: skip
def test_errors_have_the_words_of_the_server(client, ask, code, message):
    with pytest.raises(textrnn.ServerError, match=message) as error:
        ask(client)
    assert error.value.code == code


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda client: client.classify("a", model="novel"), "and no label, labels, scores"),
        (lambda client: client.explain("a", model="novel"), "novel has no signature explain"),
        (lambda client: client.generate("a", model="en_de"), "en_de has no signature generate"),
        (lambda client: client.translate("a", model="novel"), "novel has no signature translate"),
        (lambda client: client.translate("a", model="reviews", num_beams=2), "no signature translate"),
    ],
)
def test_a_model_of_another_task_is_named(client, ask, message):
    with pytest.raises(textrnn.InputError, match=message) as error:
        ask(client)
    assert str(error.value).endswith("ask a model of another task")


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_a_stream_that_is_left_frees_its_place(small_server, transport):
    port = small_server.rest_port if transport == "http" else small_server.grpc_port
    url = f"{transport}://127.0.0.1:{port}"
    with textrnn.Client(url, model="novel", timeout=240) as client:
        with closing(client.stream("the", max_new_tokens=4096, temperature=1.0)) as pieces:
            next(pieces)
        left = threading.Event()
        for _ in range(600):
            if not small_server.streams._batches:
                break
            left.wait(0.1)
        assert not small_server.streams._batches


REST = """
import sys, textrnn
client, kind = textrnn.Client("http://127.0.0.1:1", model="m", retries=0), textrnn.AsyncClient
try:
    client.generate("a")
except textrnn.ServerError as error:
    print(error.code, *({"tensorflow", "keras", "tensorflow_text", "grpc"} & set(sys.modules)))
"""


def test_rest_needs_no_tensorflow():
    done = subprocess.run([sys.executable, "-c", REST], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["UNAVAILABLE"], done.stderr


def test_separators_of_lines_in_a_stream_are_text():
    text = "one \u2028 two\u2029\u0085 three"
    events = [
        {"text": text, "tokens": 1, "finish_reason": None},
        {"text": "", "tokens": 1, "finish_reason": "stop"},
    ]
    content = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events).encode()
    parts = [content[i : i + 7] for i in range(0, len(content), 7)]
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=iter(parts)))
    rest = RestTransport(parse_url("http://localhost:1"), {}, transport=transport)
    assert [event["text"] for event in rest.stream("m", {"text": "a"}, 9)] == [text, ""]

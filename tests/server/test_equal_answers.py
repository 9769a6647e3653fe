"""Answers of the server are those of the SavedModel in this process, for 1,000 texts of each task."""

import random

import grpc
import numpy as np
import pytest
import tensorflow as tf
from builders.served import MAKERS, make_texts, save_models
from server.conftest import Rest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from textrnn.server.config_files import Batching, ModelConfig
from textrnn.server.server import Server, Settings
from textrnn.serving.saved_model import load_signatures

COUNT = 1000
MOST_ROWS = 40


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def server(folders):
    configs = [ModelConfig(name, folder) for name, folder in folders.items()]
    batching = Batching(max_batch_size=64)
    with Server(Settings(lambda: configs, grpc_port=0, rest_port=0, batching=batching)) as running:
        yield running


def requests(seed):
    """The texts in requests of some rows each."""
    texts, rng = make_texts(COUNT, seed), random.Random(seed)
    while texts:
        rows = rng.randint(1, MOST_ROWS)
        yield texts[:rows]
        texts = texts[rows:]


def as_rows(outputs):
    """Outputs as the JSON of an answer: a list of rows."""
    columns = {
        name: (
            np.vectorize(bytes.decode, otypes=[object])(array) if array.dtype == object else array
        ).tolist()
        for name, array in outputs.items()
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return rows if len(columns) > 1 else [value for row in rows for value in row.values()]


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_served_answers_are_those_of_the_saved_model(server, folders, name):
    model = load_signatures(folders[name])["serving_default"]
    rest = Rest(server.rest_port, f"/v1/models/{name}")
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for texts in requests([*MAKERS].index(name)):
            expected = {key: value.numpy() for key, value in model(text=tf.constant(texts)).items()}
            message = predict_pb2.PredictRequest()
            message.model_spec.name = name
            message.inputs["text"].CopyFrom(tf.make_tensor_proto(texts))
            outputs = stub.Predict(message, timeout=60).outputs
            found = {key: tf.make_ndarray(value) for key, value in outputs.items()}
            assert found.keys() == expected.keys()
            for key, value in expected.items():
                if value.dtype == object:
                    assert found[key].tolist() == value.tolist()
                else:  # the graph is optimized in another way
                    np.testing.assert_allclose(found[key], value, rtol=1e-5, atol=1e-6)
            status, answer = rest.predict(instances=texts)
            assert status == 200
            assert rounded(answer["predictions"]) == rounded(as_rows(found))


def rounded(value):
    """JSON with its numbers in single precision."""
    if isinstance(value, float):
        return float(np.float32(value))
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return {key: rounded(one) for key, one in value.items()} if isinstance(value, dict) else value

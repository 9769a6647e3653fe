"""Training of starter models with JAX alone: prepared and finished where TensorFlow is."""

import json
import os
import re
import subprocess
import sys
from itertools import islice
from pydoc_data.topics import topics

import numpy as np
import pytest
from references.command import recipe_command

import pretrain

CONFIG = """
data:
  text.txt: 1
held_out: 0.2
document: blank_line
tokenizer: sentencepiece
vocabulary_size: 500
units: 24
embedding_dim: 16
dropout: 0.1
batch_size: 4
sequence_length: 16
learning_rate: 0.01
"""


def test_the_rate_rises_and_falls_to_zero():
    rates = pretrain.schedule(np.arange(2001), 2000)
    assert rates[0] == pytest.approx(1 / pretrain.WARM_UP)
    assert rates.argmax() == pretrain.WARM_UP - 1
    assert rates[-1] == 0
    np.testing.assert_allclose(pretrain.schedule(np.arange(50), None), rates[:50], rtol=0.01)


def test_elements_are_read_ahead_in_order_and_an_error_ends_the_reading():
    assert list(pretrain.prefetched(iter(range(9)), size=2)) == list(range(9))

    def failing():
        yield 1
        raise ValueError("damaged")

    found = pretrain.prefetched(failing())
    assert next(found) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(found)


@pytest.mark.parametrize("vocabulary_size", [258, 2**16, 2**16 + 1])
def test_token_ids_are_stored_whatever_the_size_of_the_vocabulary(vocabulary_size, tmp_path):
    token_ids = np.array([0, 7, vocabulary_size - 1], "int32")
    pretrain.save_tokens(tmp_path / "train.npy", token_ids, vocabulary_size)
    np.testing.assert_array_equal(np.load(tmp_path / "train.npy"), token_ids)


@pytest.mark.parametrize(
    ("backend", "arguments", "message"),
    [
        (None, ["train", "."], "KERAS_BACKEND is not set: set it to jax"),
        ("tensorflow", ["train", "."], "KERAS_BACKEND is tensorflow: set it to jax"),
        ("jax", ["train", "nowhere"], "nowhere has no about.json, no train.npy, .*: run `prepare CONFIG no"),
        ("tensorflow", ["prepare", "none.yaml", "new"], "none.yaml does not exist: give a config of the rec"),
        ("tensorflow", ["finish", "none.yaml", "nowhere", "new"], "nowhere has no trained model: run `train"),
        ("tensorflow", ["finish", "none.yaml", "nowhere", "done"], "done/report exists already: remove it, "),
    ],
)
def test_invalid_input_is_reported_before_any_work(
    backend, arguments, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "done" / "report").mkdir(parents=True)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if backend:
        monkeypatch.setenv("KERAS_BACKEND", backend)
    status, printed, error = recipe_command(capsys, pretrain.__file__, *arguments)
    assert status == 2 and printed == ""
    assert re.fullmatch(f"error: {message}.*\n", error)
    assert [path.name for path in tmp_path.rglob("*")] == ["done", "report"]


@pytest.mark.slow
def test_a_model_is_trained_without_tensorflow(tmp_path):
    without = tmp_path / "without" / "tensorflow"
    without.mkdir(parents=True)
    (without / "__init__.py").write_text("raise ModuleNotFoundError(name='tensorflow')", "utf-8")
    (tmp_path / "text.txt").write_text("\n\n".join(islice(topics.values(), 12)), "utf-8")
    (tmp_path / "config.yaml").write_text(CONFIG, "utf-8")

    def run(*arguments, **environment):
        path = os.pathsep.join([environment.pop("first", ""), *sys.path])
        command = [sys.executable, pretrain.__file__, *arguments]
        given = {**os.environ, **environment, "PYTHONPATH": path.strip(os.pathsep)}
        return subprocess.run(command, cwd=tmp_path, env=given, check=True, text=True)

    run("prepare", "config.yaml", "pretraining/small", KERAS_BACKEND="tensorflow")
    weights = tmp_path / "pretraining" / "small" / "preset" / "model.weights.h5"
    before = weights.read_bytes()
    run("train", "pretraining/small", "--updates", "640", KERAS_BACKEND="jax", first=str(without.parent))
    run("finish", "config.yaml", "pretraining/small", "saved_models/small", KERAS_BACKEND="tensorflow")
    assert weights.read_bytes() != before
    about = json.loads((tmp_path / "pretraining/small/training.json").read_text("utf-8"))
    metrics = json.loads((tmp_path / "saved_models/small/report/metrics.json").read_text("utf-8"))["metrics"]
    assert about["tokens"] == (640 - pretrain.CHUNK) * 4 * 16
    assert metrics["training_device"] == "cpu"
    assert metrics["held_out_bits_per_character"] < 3.5

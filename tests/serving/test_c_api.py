"""Exported models answer through TensorFlow's C API, with no Python TensorFlow and no Keras."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

import textrnn
from textrnn.export import export
from textrnn.serving.saved_model import load_signatures
from textrnn.tokenizers import ByteTokenizer, SentencePieceTokenizer

SCRIPT = Path(__file__).with_name("c_api.py")
LIBRARY = Path(tf.__file__).with_name("libtensorflow_cc.so.2")
SENTENCES = ["The cat sat on the mat.\n", "The dog lay on the rug.\n", "A naïve café owner sat by the sea.\n"]
TOKENIZERS = {"sentencepiece": lambda: SentencePieceTokenizer.train(SENTENCES * 5), "byte": ByteTokenizer}

pytestmark = pytest.mark.skipif(
    not LIBRARY.is_file(), reason=f"this TensorFlow has no {LIBRARY.name}: its wheels for Linux do"
)


@pytest.fixture(scope="module", params=TOKENIZERS)
def saved_model(request, tmp_path_factory):
    """The folder of an untrained model's SavedModel."""
    tokenizer = TOKENIZERS[request.param]()
    backbone = textrnn.RecurrentBackbone(tokenizer.vocabulary_size(), units=8)
    lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(tokenizer))
    return export(lm, tmp_path_factory.mktemp("models") / request.param, max_new_tokens=20)


def ask_c_api(folder, prompt):
    """The answer of a fresh process, bytes, and the top-level packages that it imported."""
    # -I: no current folder and no PYTHONPATH. -X importtime: the interpreter itself lists every import.
    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", SCRIPT, folder, prompt],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        check=False,
    )
    messages = done.stderr.decode()
    assert done.returncode == 0, messages[-2000:]
    listed = [line.rpartition("|")[2].strip() for line in messages.splitlines() if "import time:" in line]
    return done.stdout, {name.split(".")[0] for name in listed}


@pytest.mark.parametrize("prompt", ["The cat", "naïve 🙂\n", ""])
def test_the_c_api_gives_the_answer_of_python(saved_model, prompt):
    answer, imported = ask_c_api(saved_model, prompt)

    assert "ctypes" in imported  # the list is what it is taken for
    assert not imported & {"tensorflow", "tensorflow_text", "keras", "keras_hub", "textrnn", "numpy"}
    expected = load_signatures(saved_model)["serving_default"](text=tf.constant([prompt]))["text"]
    assert answer == expected.numpy()[0]
    assert len(answer) > len(prompt.encode())

"""Exported models run through TensorFlow's C API, without Python's TensorFlow and Keras."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from builders.exporting import export_unchecked

import textrnn
from textrnn.serving.saved_model import load_signatures
from textrnn.tokenizers import ByteTokenizer, SentencePieceTokenizer

SCRIPT = Path(__file__).with_name("c_api.py")
LIBRARY = Path(tf.__file__).with_name("libtensorflow_cc.so.2")
SENTENCES = ["The cat sat on the mat.\n", "The dog lay on the rug.\n", "A naïve café owner sat by the sea.\n"]
PROMPTS = ["The cat", "naïve 🙂\n", ""]

pytestmark = pytest.mark.skipif(
    not LIBRARY.is_file(), reason=f"this TensorFlow has no {LIBRARY.name}, unlike its wheels for Linux"
)


def language_model(tokenizer):
    backbone = textrnn.RecurrentBackbone(tokenizer.vocabulary_size(), units=8)
    return textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(tokenizer))


def classifier(tokenizer):
    encoder = textrnn.RecurrentEncoder(tokenizer.vocabulary_size(), units=8)
    preprocessor = textrnn.TextClassifierPreprocessor(tokenizer)
    return textrnn.TextClassifier(encoder, ["bad", "good"], preprocessor, ngrams=2)


def translator(tokenizer):
    backbone = textrnn.RecurrentSeq2Seq(tokenizer.vocabulary_size(), units=8)
    return textrnn.Seq2SeqLM(backbone, textrnn.Seq2SeqLMPreprocessor(tokenizer))


def run_c_api(folder, texts):
    """Returns the answers of a fresh process, bytes, and the top-level packages that it imported."""
    # -I: no current folder and no PYTHONPATH. -X importtime: the interpreter lists every import on stderr.
    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", SCRIPT, folder, *texts],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        check=False,
    )
    messages = done.stderr.decode()
    assert done.returncode == 0, messages[-2000:]
    listed = [line.rpartition("|")[2].strip() for line in messages.splitlines() if "import time:" in line]
    return done.stdout.split(b"\xff"), {name.split(".")[0] for name in listed}


@pytest.mark.parametrize(
    ("make", "tokenizer", "options"),
    [
        (language_model, "sentencepiece", {"max_new_tokens": 20}),
        pytest.param(language_model, "byte", {"max_new_tokens": 20}, marks=pytest.mark.slow),
        pytest.param(classifier, "sentencepiece", {}, marks=pytest.mark.slow),
        (translator, "sentencepiece", {}),
    ],
)
def test_the_c_api_gives_the_answers_of_python(make, tokenizer, options, tmp_path):
    tokenizer = ByteTokenizer() if tokenizer == "byte" else SentencePieceTokenizer.train(SENTENCES * 5)
    folder = export_unchecked(make(tokenizer), tmp_path / "model", **options)
    answers, imported = run_c_api(folder, PROMPTS)

    assert "ctypes" in imported  # the list of imports is complete
    assert not imported & {"tensorflow", "tensorflow_text", "keras", "keras_hub", "textrnn", "numpy"}
    outputs = load_signatures(folder)["serving_default"](text=tf.constant(PROMPTS))
    assert answers == outputs["text" if "text" in outputs else "label"].numpy().tolist()
    if make is language_model:
        assert all(
            len(answer) > len(prompt.encode()) for answer, prompt in zip(answers, PROMPTS, strict=True)
        )

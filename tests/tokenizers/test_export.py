"""Tokenizers inside SavedModels."""

import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from textrnn.private import sentencepiece_libraries

FRESH_PROCESS = """
import sys
import tensorflow as tf

library, *folders = sys.argv[1:]
tf.load_op_library(library)
for folder in folders:
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    tf.random.set_seed(1)
    print(serve(tf.constant([b"  the rose\\n", "\u2581 \u00e9".encode(), b""]))["text"].numpy().tolist())
assert not {"keras_hub", "sentencepiece", "tensorflow_text", "textrnn"} & set(sys.modules)
"""


def export_by_tensorflow(tokenizer, endpoint, signature, folder):
    module = tf.Module()
    module.tokenizer = tokenizer
    module.serve = tf.function(endpoint, input_signature=signature)
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})


def export_by_keras(tokenizer, endpoint, signature, folder):
    archive = keras.export.ExportArchive()
    archive.track(tokenizer)
    archive.add_endpoint("serving_default", endpoint, signature)
    archive.write_out(folder, verbose=False)


def round_trip(tokenizer):
    return lambda text: {"text": tokenizer.detokenize(tokenizer.tokenize(text))}


@pytest.mark.slow
def test_an_export_runs_with_only_tensorflow_and_the_sentencepiece_ops(trained, tmp_path):
    signature = [tf.TensorSpec([None], tf.string, name="text")]
    folders, expected = [], []
    for kind, tokenizer in trained.items():
        endpoint = round_trip(tokenizer)
        for export in (export_by_tensorflow, export_by_keras):
            folders.append(str(tmp_path / kind / export.__name__))
            export(tokenizer, endpoint, signature, folders[-1])
            expected.append(str(endpoint(["  the rose\n", "▁ é", ""])["text"].numpy().tolist()))
    command = [sys.executable, "-c", FRESH_PROCESS, *sentencepiece_libraries(), *folders]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == expected

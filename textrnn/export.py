"""A task becomes a versioned SavedModel that stock TF Serving runs: strings in, strings out.

The layout under a base folder is TF Serving's: `<base>/<name>/<version>/`. A version is written under a
temporary name, checked, loaded in a fresh process that knows neither Keras nor textrnn, and only then
renamed into place, so a server that polls the folder never sees half a model.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from textrnn.errors import InputError
from textrnn.signatures import SIGNATURES, signatures_of

TEXT_OPS = frozenset({"SentencepieceOp", "SentencepieceTokenizeOp", "SentencepieceDetokenizeOp"})
"""Custom ops of TensorFlow Text that the stock server links."""


# === Export ===


def export(task, folder, warmup_prompts=("",), **options):
    """Writes the next version of a model for TF Serving.

    Args:
        task: a task with a preprocessor, of a kind in `textrnn.signatures.SIGNATURES`.
        folder: the model's folder, `<base>/<name>`; versions are its numbered children.
        warmup_prompts: texts that a server sends to `serving_default` when it loads the model, since the
            first calls of a TensorFlow graph are slow.
        **options: of the function that makes the task's signatures, such as `max_new_tokens`.

    Returns:
        The `pathlib.Path` of the new version, `<folder>/<version>`.

    Raises:
        InputError: for a task of another kind.
        ValueError: if the graph holds an op that a stock server lacks.
        RuntimeError: if the model cannot be loaded and run in a fresh process.
    """
    signatures = signatures_of(task, **options)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".unfinished.{os.getpid()}"
    try:
        archive = keras.export.ExportArchive()
        for layer in task.layers:
            archive.track(layer)
        for tokenizer in getattr(task.preprocessor, "tokenizers", [task.preprocessor.tokenizer]):
            archive.track(tokenizer)
        for name, (function, specs) in signatures.items():
            archive.add_endpoint(name, function, input_signature=specs)
        archive.write_out(str(unfinished), verbose=False)
        _name_methods(unfinished)
        refuse_unservable_ops(unfinished)
        write_warmup_requests(unfinished, folder.name, warmup_prompts)
        check_in_fresh_process(unfinished)
        return _give_number(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _name_methods(path):
    """Gives signatures that are named after an API of TF Serving the method that it asks for."""
    methods = {"classify": "tensorflow/serving/classify"}
    file = path / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for name, signature in saved_model.meta_graphs[0].signature_def.items():
        signature.method_name = methods.get(name, signature.method_name)
    file.write_bytes(saved_model.SerializeToString())


def _give_number(unfinished, folder):
    """Renames to the next version; another export may have taken the number meanwhile."""
    while True:
        version = folder / str(next_version(folder))
        try:
            return unfinished.rename(version)
        except OSError:
            if not version.exists():
                raise


def save_preset(lm, folder):
    """Writes a model's preset to `<folder>/preset`; what an earlier run left there is set aside.

    Args:
        lm: a KerasHub task.
        folder: the model's folder, `<base>/<name>`.

    Returns:
        The path of the preset, for `from_preset`.
    """
    preset = Path(folder) / "preset"
    unfinished = preset.with_name(f".preset.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        lm.save_to_preset(str(unfinished))
        set_aside(preset)
        unfinished.rename(preset)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return preset


def load_preset(path, **options):
    """Loads a task from a preset.

    Args:
        path: a preset, or the folder of a model that has one.
        **options: of the task's constructor, in the place of what was saved, such as `sampler`.

    Returns:
        The task: a `textrnn.CausalLM`, a `textrnn.TextClassifier` or a `textrnn.Seq2SeqLM`.

    Raises:
        InputError: if there is no preset.
    """
    found = find_preset(path)
    task = json.loads((found / "task.json").read_text("utf-8"))["registered_name"]
    kinds = {keras.saving.get_registered_name(kind): kind for kind in SIGNATURES}
    if task not in kinds:
        raise InputError(f"the preset {found} is a {task}: expected one of {', '.join(kinds)}")
    return kinds[task].from_preset(str(found), **options)


def find_preset(path):
    """The preset at `path` or in the model's folder `path`; an `InputError` if there is none."""
    for folder in (Path(path), Path(path) / "preset"):
        if (folder / "task.json").is_file():
            return folder
    raise InputError(
        f"No preset at {path}: expected the folder of a model that a recipe trained, such as "
        "saved_models/NAME, or its preset"
    )


def set_aside(path):
    """Renames what an earlier run left at `path`, to `path-1`, `path-2`, ..., so that nothing is lost.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.export import set_aside
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "report").mkdir()
    >>> set_aside(folder / "report")
    >>> [child.name for child in folder.iterdir()]
    ['report-1']
    """
    path = Path(path)
    if path.exists():
        number = 1
        while (aside := path.with_name(f"{path.name}-{number}")).exists():
            number += 1
        path.rename(aside)


def versions(folder):
    """The version numbers in a model's folder, ascending; TF Serving ignores other names.

    >>> from textrnn.export import versions
    >>> versions("/nowhere")
    []
    """
    folder = Path(folder)
    children = folder.iterdir() if folder.is_dir() else ()
    return sorted(
        int(child.name) for child in children if re.fullmatch(r"\d+", child.name) and child.is_dir()
    )


def next_version(folder):
    """The number after the highest version in a model's folder; 1 for the first.

    >>> from textrnn.export import next_version
    >>> next_version("/nowhere")
    1
    """
    return max(versions(folder), default=0) + 1


def write_models_config(base, server_base="/models"):
    """Writes `<base>/models.config`, TF Serving's list of the models in a base folder.

    Args:
        base: the folder that holds one folder a model.
        server_base: where that folder is seen by the server; `/models` in its container.

    Returns:
        The path of the file, for `tensorflow_model_server --model_config_file`.
    """
    base = Path(base)
    names = sorted(child.name for child in base.iterdir() if child.is_dir() and versions(child))
    entries = [
        f'  config {{\n    name: "{name}"\n    base_path: "{server_base}/{name}"\n'
        f'    model_platform: "tensorflow"\n  }}\n'
        for name in names
    ]
    path = base / "models.config"
    unfinished = base / f".models.config.{os.getpid()}"
    unfinished.write_text("model_config_list {\n" + "".join(entries) + "}\n", encoding="utf-8")
    unfinished.replace(path)
    return path


def publish(task, folder, result, ask, **options):
    """The end of a recipe: exports what it trained, lists it for TF Serving, and says where everything is.

    Args:
        task: as for `export`.
        folder: the model's folder, with the recipe's report and preset.
        result: what `training.fit` returned.
        ask: a command to try the model with, without the `textrnn` in front.
        **options: of `export`.

    Raises:
        InputError: for a model that has no weights worth serving, as its loss was never finite.
    """
    folder = Path(folder)
    if result.stopped == "not finite" and result.best_epoch is None:
        raise InputError(
            f"the model learnt nothing that could be served; its report is in {folder / 'report'}"
        )
    version = export(task, folder, **options)
    write_models_config(folder.parent)
    print(f"report     {folder / 'report'}")
    print(f"preset     {folder / 'preset'}")
    print(f"SavedModel {version}")
    print(f"ask it:    textrnn {ask}")


# === Checks ===


def graph_ops(path):
    """The names of all ops in a SavedModel's graph and in its functions, a set of str."""
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((Path(path) / "saved_model.pb").read_bytes())
    graph = saved_model.meta_graphs[0].graph_def
    ops = {node.op for node in graph.node}
    ops |= {node.op for function in graph.library.function for node in function.node_def}
    return ops


def refuse_unservable_ops(path):
    """Raises if a SavedModel holds an op that a stock `tensorflow_model_server` cannot run.

    Args:
        path: the SavedModel's folder.

    Raises:
        ValueError: naming each op and the reason.
    """
    reasons = {}
    for op in graph_ops(path):
        if op in {"PyFunc", "PyFuncStateless", "EagerPyFunc"}:
            reasons[op] = "it calls back into Python"
        elif op.startswith("Cudnn"):
            reasons[op] = "it runs on NVIDIA GPUs only"
        elif op.startswith("Xla"):
            reasons[op] = "it runs under XLA compilation only"
        elif op not in TEXT_OPS and not hasattr(tf.raw_ops, op):
            reasons[op] = (
                "it is neither a core TensorFlow op nor one of the TensorFlow Text ops that are served"
            )
    if reasons:
        listed = "; ".join(f"{op}: {reason}" for op, reason in sorted(reasons.items()))
        raise ValueError(
            f"The exported graph holds ops that a stock TF Serving lacks ({listed}). Replace the layer or "
            "tokenizer that brings them."
        )


FRESH_PROCESS = """
import importlib.util, pathlib, sys
sys.modules.update(keras=None, keras_hub=None, textrnn=None)  # importing any of them fails
import tensorflow as tf
# As a server does: the ops of TensorFlow Text without its Python package, which would import Keras.
for folder in importlib.util.find_spec("tensorflow_text").submodule_search_locations:
    tf.load_op_library(str(pathlib.Path(folder, "python", "ops", "_sentencepiece_tokenizer.so")))
answer = tf.saved_model.load(sys.argv[1]).signatures["serving_default"](text=tf.constant(["a", ""]))
assert all(len(values) == 2 for values in answer.values()), answer
"""


def check_in_fresh_process(path):
    """Loads and runs a SavedModel in a new Python process that has neither Keras nor textrnn.

    Args:
        path: the SavedModel's folder.

    Raises:
        RuntimeError: with what that process printed.
    """
    # -I: no current folder and no PYTHONPATH, so that nothing of this project is in reach by accident.
    # Without a GPU: it must load on any machine, and it must not ask for memory that training holds.
    run = subprocess.run(
        [sys.executable, "-I", "-c", FRESH_PROCESS, str(path)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"The exported model does not run in a fresh process:\n{run.stderr[-2000:]}")


def write_warmup_requests(path, model_name, prompts):
    """Writes `assets.extra/tf_serving_warmup_requests`, which a server replays before it goes live."""
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    folder = Path(path) / "assets.extra"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for prompt in prompts:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = "serving_default"
            request.inputs["text"].CopyFrom(tf.make_tensor_proto([prompt]))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())

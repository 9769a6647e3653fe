"""A task becomes a versioned SavedModel that stock TF Serving runs: strings in, strings out.

The layout under a base folder is TF Serving's: `<base>/<name>/<version>/`. A version is written under a
temporary name, checked, loaded in a fresh process that knows neither Keras nor textrnn, and only then
renamed into place, so a server that polls the folder never sees half a model.
"""

import os
import shutil
from pathlib import Path

import keras
from tensorflow.core.protobuf import saved_model_pb2

from textrnn.export.checks import check_in_fresh_process, refuse_unservable_ops
from textrnn.export.model_base import next_version
from textrnn.export.warmup import write_warmup_requests
from textrnn.tasks.registry import kind_of, signatures_of

# === Export ===


def export(task, folder, warmup_prompts=("",), **options):
    """Writes the next version of a model for TF Serving.

    Args:
        task: a task with a preprocessor, of a registered kind.
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
        _name_methods(unfinished, kind_of(task).methods)
        refuse_unservable_ops(unfinished)
        write_warmup_requests(unfinished, folder.name, warmup_prompts)
        check_in_fresh_process(unfinished)
        return _give_number(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _name_methods(path, methods):
    """Gives signatures that are named after an API of TF Serving the method that it asks for."""
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

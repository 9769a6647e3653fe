"""Writing, finding and loading presets."""

import json
import os
import shutil
from pathlib import Path

from textrnn.errors import InputError
from textrnn.files import set_aside
from textrnn.tasks.registry import task_kinds


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
    kinds = {kind.registered_name: kind for kind in task_kinds()}
    if task not in kinds:
        raise InputError(f"the preset {found} is a {task}: expected one of {', '.join(kinds)}")
    return kinds[task].load_task().from_preset(str(found), **options)


def find_preset(path):
    """The preset at `path` or in the model's folder `path`; an `InputError` if there is none."""
    for folder in (Path(path), Path(path) / "preset"):
        if (folder / "task.json").is_file():
            return folder
    raise InputError(
        f"No preset at {path}: expected the folder of a model that a recipe trained, such as "
        "saved_models/NAME, or its preset"
    )

"""Finding and loading presets."""

import json
from pathlib import Path

from textrnn.errors import InputError
from textrnn.tasks.registry import task_kinds


def load_preset(path, task=None, **options):
    """Load a task from a preset.

    Args:
        path: A preset, or the folder of a model that has one.
        task: The class that the preset must be of; None for any registered task.
        **options: Arguments of the task's constructor that replace the saved ones, such as `sampler`.

    Returns:
        The task.

    Raises:
        InputError: If there is no preset at `path`, or one of another class.
    """
    found = find_preset(path)
    name = json.loads((found / "task.json").read_text("utf-8"))["registered_name"]
    kinds = {kind.registered_name: kind for kind in task_kinds()}
    if name not in kinds:
        raise InputError(f"{path} is a preset of a {name}: expected one of {', '.join(kinds)}")
    loaded = kinds[name].load_task()
    if task is not None and not issubclass(loaded, task):
        raise InputError(f"{path} is a preset of a {loaded.__name__}: expected a preset of a {task.__name__}")
    return loaded.from_preset(str(found), **options)


def find_preset(path):
    """Return the preset at `path` or in the model's folder `path`, a `pathlib.Path`.

    Raises:
        InputError: If there is none.
    """
    for folder in (Path(path), Path(path) / "preset"):
        if (folder / "task.json").is_file():
            return folder
    raise InputError(
        f"no preset at {path}: expected a preset, or the folder of a trained model such as saved_models/NAME"
    )

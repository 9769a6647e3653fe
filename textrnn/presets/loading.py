"""Finding and loading presets."""

import json
from pathlib import Path

from textrnn.errors import InputError
from textrnn.starters import starter_names, starter_path
from textrnn.tasks.registry import task_kinds


def load_preset(path, task=None, **options):
    """Load a task from a preset.

    Args:
        path: A preset, the folder of a model that has one, or the name of a starter model.
        task: The class that the preset must be of; None for any registered task.
        **options: Arguments of the task's constructor that replace the saved ones, such as `sampler`.

    Returns:
        The task.

    Raises:
        InputError: If there is no preset at `path`, or one of another class.
    """
    loaded = preset_task(path)
    if task is not None and not issubclass(loaded, task):
        raise InputError(f"{path} is a preset of a {loaded.__name__}: expected a preset of a {task.__name__}")
    return loaded.from_preset(str(find_preset(path)), **options)


def preset_task(path):
    """Return the class of the task that a preset is of; see `load_preset`."""
    name = json.loads((find_preset(path) / "task.json").read_text("utf-8"))["registered_name"]
    kinds = {kind.registered_name: kind for kind in task_kinds()}
    if name not in kinds:
        raise InputError(f"{path} is a preset of a {name}: expected one of {', '.join(kinds)}")
    return kinds[name].load_task()


def find_preset(path):
    """Return the preset at `path`, in the model's folder `path`, or of the starter model `path`.

    Returns:
        A `pathlib.Path`.

    Raises:
        InputError: If there is none.
    """
    if starter := starter_path(path):
        return starter
    for folder in (Path(path), Path(path) / "preset"):
        if (folder / "task.json").is_file():
            return folder
    names = "".join(f", or the starter model {name}" for name in starter_names())
    raise InputError(
        f"no preset at {path}: expected a preset, the folder of a trained model such as saved_models/NAME"
        f"{names}"
    )

"""Finding and loading presets."""

import json
from pathlib import Path

from textrnn.errors import InputError
from textrnn.presets.missing import missing_model
from textrnn.starters import starter_path
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
    found = find_preset(path, task and task.__name__)
    loaded = preset_task(path)
    if task is not None and not issubclass(loaded, task):
        raise InputError(f"{path} is a preset of a {loaded.__name__}: expected a preset of a {task.__name__}")
    return loaded.from_preset(str(found), **options)


def preset_task(path):
    """Return the class of the task that a preset is of; see `load_preset`."""
    name = json.loads((find_preset(path) / "task.json").read_text("utf-8"))["registered_name"]
    kinds = {kind.registered_name: kind for kind in task_kinds()}
    if name not in kinds:
        raise InputError(f"{path} is a preset of a {name}: expected one of {', '.join(kinds)}")
    return kinds[name].load_task()


def find_preset(path, task=None):
    """Return the preset at `path`, in the model's folder `path`, or of the starter model `path`.

    Args:
        path: A str or path.
        task: Name of the class that it has to be of, for the error alone; None for any.

    Returns:
        A `pathlib.Path`.

    Raises:
        InputError: If there is none.
    """
    found = preset_at(path)
    if found is None:
        raise missing_model(path, preset_at, task, "preset")
    return found


def preset_at(path):
    """Return what `find_preset` returns, or None if there is none."""
    if starter := starter_path(path):
        return starter
    folders = (Path(path), Path(path) / "preset")
    return next((folder for folder in folders if (folder / "task.json").is_file()), None)

"""Finding and loading presets."""

from textrnn.errors import expect
from textrnn.starters.finding import missing_model, preset_at
from textrnn.tasks.registry import task_of_preset


def load_preset(path, task=None, **options):
    """Load a task from a preset.

    Args:
        path: A preset, the folder of a model that has one, or the name of a starter model.
        task: The registered task that the preset must be of; None for any.
        **options: Arguments of the task's constructor that replace the saved ones, such as `sampler`.

    Returns:
        The task.

    Raises:
        InputError: If there is no preset at `path`, or one of another class.
    """
    found = find_preset(path, task and task.__name__)
    return task_of_preset(found, path).from_preset(str(found), **options)


def preset_task(path):
    """Return the class of the task that a preset is of; see `load_preset`."""
    return task_of_preset(find_preset(path), path)


def find_preset(path, task=None):
    """Return the preset at `path`, in the model's folder `path`, or of the starter model `path`.

    Args:
        path: A str or path.
        task: Name of the class that it has to be of, a registered task; None for any.

    Returns:
        A `pathlib.Path`.

    Raises:
        InputError: If there is none, or if it is of another class.
    """
    found = preset_at(path)
    if found is None:
        raise missing_model(path, preset_at, task, "preset")
    if task is not None:
        name = task_of_preset(found, path).__name__
        expect(task == name, f"{path} is a preset of a {name}: expected a preset of a {task}")
    return found

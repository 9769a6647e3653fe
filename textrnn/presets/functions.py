"""Loading a model, SavedModel or preset, as functions of strings."""

from pathlib import Path

from textrnn.errors import expect
from textrnn.presets import loading
from textrnn.serving import saved_model
from textrnn.starters import starter_names
from textrnn.starters.finding import missing_model, preset_at
from textrnn.startup import load_tensorflow, native_messages_hidden


def load_functions(model, task, signature, output, failing, cell=None):
    """Load the signatures of a SavedModel or of a preset as functions with keyword arguments.

    Args:
        model: The folder of a model, of one of its versions, or of a preset.
        task: Name of the class of a task with this signature, for the error.
        signature: Name of a signature that the model must have.
        output: Name of an output that this signature must have.
        failing: What a model without it does not do, for the error: `"does not generate text"`.
        cell: `module:attribute` of a cell class that the preset needs, or None.

    Returns:
        A dict from names of signatures to functions.

    Raises:
        InputError: If there is no model, or it lacks the signature.
    """
    path = Path(model)
    if not _find(path):
        raise missing_model(path, _find, task)
    load_tensorflow()
    with native_messages_hidden():
        if cell is not None:
            from textrnn.cells import find_cell

            find_cell(cell)
        if saved_model.find_saved_model(path):
            functions = saved_model.load_signatures(path)
        else:
            from textrnn.tasks.registry import python_functions

            functions = python_functions(loading.load_preset(path))
    found = output in getattr(functions.get(signature), "structured_outputs", {})
    starters = ", ".join(starter_names(task))
    expect(
        found,
        f"{path} {failing}: its signatures are {', '.join(sorted(functions))}"
        + (f". Starter models that do: {starters}" if starters else ""),
    )
    return functions


def _find(path):
    return saved_model.find_saved_model(path) or preset_at(path)

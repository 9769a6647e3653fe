"""A model on disk, SavedModel or preset, as functions of strings."""

from pathlib import Path

from textrnn.errors import InputError, expect
from textrnn.startup import load_tensorflow, native_messages_hidden


def load_functions(model, name, output, failing, cell=None):
    """Loads the signatures of a SavedModel or a preset, as functions that are called by keyword.

    Args:
        model: A folder: of a model, one of its versions, or a preset.
        name: A signature that the model must have.
        output: An output that this signature must have.
        failing: What the error says of a model without it.
        cell: The `module:attribute` of a cell class that the preset needs, or None.

    Raises:
        InputError: If there is no model, or it lacks the signature.
    """
    load_tensorflow()
    path = Path(model)
    with native_messages_hidden():
        from textrnn.serving.saved_model import find_saved_model, load_signatures

        if cell is not None:
            from textrnn.cells import find_cell

            find_cell(cell)
        if find_saved_model(path) is not None:
            functions = load_signatures(path)
            found = output in getattr(functions.get(name), "structured_outputs", {})
        elif path.exists():
            from textrnn.presets.presets import load_preset
            from textrnn.tasks.registry import python_functions

            functions = python_functions(load_preset(path))
            found = name in functions
        else:
            raise InputError(
                f"{path} does not exist: give a folder that a recipe wrote, such as saved_models/NAME"
            )
    expect(found, f"{path} {failing}: it has the signatures {', '.join(sorted(functions))}")
    return functions

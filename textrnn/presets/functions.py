"""Loading a model, SavedModel or preset, as functions of strings."""

from pathlib import Path

from textrnn.errors import InputError, expect
from textrnn.starters import starter_names, starter_path
from textrnn.startup import load_tensorflow, native_messages_hidden


def load_functions(model, signature, output, failing, cell=None):
    """Load the signatures of a SavedModel or of a preset as functions with keyword arguments.

    Args:
        model: The folder of a model, of one of its versions, or of a preset.
        signature: Name of a signature that the model must have.
        output: Name of an output that this signature must have.
        failing: What a model without it does not do, for the error: `"does not generate text"`.
        cell: `module:attribute` of a cell class that the preset needs, or None.

    Returns:
        A dict from names of signatures to functions.

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
        elif path.exists() or starter_path(path):
            from textrnn.presets.loading import load_preset
            from textrnn.tasks.registry import python_functions

            functions = python_functions(load_preset(path))
        else:
            names = "".join(f", or the starter model {name}" for name in starter_names())
            raise InputError(
                f"{path} does not exist: give the folder of a model, such as saved_models/NAME{names}"
            )
    found = output in getattr(functions.get(signature), "structured_outputs", {})
    expect(found, f"{path} {failing}: its signatures are {', '.join(sorted(functions))}")
    return functions

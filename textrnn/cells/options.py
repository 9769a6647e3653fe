"""The `cell` argument of a backbone: how it becomes a cell, and how it is saved."""

import keras

from textrnn.cells.gated import GatedCell
from textrnn.cells.published import PUBLISHED
from textrnn.cells.registry import find_cell
from textrnn.cells.spec import GateSpec
from textrnn.errors import InputError


def make_cell(cell, units, dtype):
    """Return a new cell layer for one recurrent layer.

    Args:
        cell: The `cell` argument of a backbone, or a config of `cell_config`.
        units: The number of units. Ignored if `cell` is a layer.
        dtype: A dtype policy. Ignored if `cell` is a layer.
    """
    if isinstance(cell, dict) and "class_name" in cell:
        return _saved_cell(cell)
    if isinstance(cell, keras.layers.Layer):
        return cell.__class__.from_config({**cell.get_config(), "name": None})
    return GatedCell(units, cell, dtype=dtype)


def _saved_cell(config):
    """Return the cell of a saved model. It must be registered: a file must not import modules."""
    name, module = config.get("registered_name"), config.get("module")
    if name is not None and keras.saving.get_registered_object(name) is None:
        advice = "decorate it with keras.saving.register_keras_serializable and define it before loading"
        if module not in (None, "__main__", "builtins"):
            reference = f"{module}:{config['class_name']}"
            advice = (
                f'call textrnn.cells.find_cell("{reference}") before loading, '
                f"or give a command --cell {reference}"
            )
        raise InputError(f"the cell of the model is the class {name}, which is not registered: {advice}")
    return keras.saving.deserialize_keras_object(config)


def cell_config(cell, made):
    """Return the config of `cell` for a saved model.

    A published cell is saved by name. A registered spec is saved as a spec, since another process may not
    register it.

    Args:
        cell: The `cell` argument of the backbone.
        made: One of the cell layers made from it.
    """
    if isinstance(cell, str):
        if cell in PUBLISHED:
            return cell
        cell = find_cell(cell)
    if isinstance(cell, GateSpec):
        return cell.get_config()
    return keras.saving.serialize_keras_object(made if isinstance(cell, type) else cell)

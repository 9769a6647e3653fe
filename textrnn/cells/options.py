"""The `cell` of a backbone: what a person may give, and what a saved model keeps of it."""

import keras

from textrnn.cells.gated import GatedCell
from textrnn.cells.published import PUBLISHED
from textrnn.cells.registry import find_cell
from textrnn.cells.spec import GateSpec
from textrnn.errors import InputError


def make_cell(cell, units, dtype):
    """A cell layer of its own for one recurrent layer.

    Args:
        cell: what a backbone takes as `cell`, or the config of a saved one.
        units: its width, unless `cell` is a layer.
        dtype: a dtype policy, unless `cell` is a layer.
    """
    if isinstance(cell, dict) and "class_name" in cell:
        return _saved_cell(cell)
    if isinstance(cell, keras.layers.Layer):
        return cell.__class__.from_config({**cell.get_config(), "name": None})
    return GatedCell(units, cell, dtype=dtype)


def _saved_cell(config):
    """The cell of a saved model. No module is imported because its file names it: files are not programs."""
    name, module = config.get("registered_name"), config.get("module")
    if name is not None and keras.saving.get_registered_object(name) is None:
        mend = "decorate it with keras.saving.register_keras_serializable and define it before loading"
        if module not in (None, "__main__", "builtins"):
            reference = f"{module}:{config['class_name']}"
            mend = (
                f'call textrnn.cells.find_cell("{reference}") before loading, '
                f"or give a command --cell {reference}"
            )
        raise InputError(f"the model's cell is the class {name}, which is not known here: {mend}")
    return keras.saving.deserialize_keras_object(config)


def cell_config(cell, made):
    """What of `cell` a saved model keeps: nothing that another program would have to register first.

    Args:
        cell: what the backbone was given as `cell`.
        made: one of the cell layers made of it.
    """
    if isinstance(cell, str):
        if cell in PUBLISHED:
            return cell
        cell = find_cell(cell)
    if isinstance(cell, GateSpec):
        return cell.get_config()
    return keras.saving.serialize_keras_object(made if isinstance(cell, type) else cell)

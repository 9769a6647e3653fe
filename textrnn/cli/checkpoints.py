"""The checkpoint of a recipe's run, which the same command goes on with."""

from dataclasses import fields
from pathlib import Path

from textrnn import training
from textrnn.cli.options import OutputOptions, TrainingOptions

_NO_EFFECT = {field.name for field in fields(OutputOptions)} | {"checkpoint_minutes", "fresh"}
"""Options that change nothing of the training."""


def checkpoint_of(options: TrainingOptions, fingerprint: str) -> training.Checkpoint:
    """Make the checkpoint of a run, in the folder of its model.

    Two runs are the same if the content of their data and their options are. The paths of the data may
    differ.

    Args:
        options: The options of a recipe, an instance of its `Options`.
        fingerprint: A hash of the data.

    Raises:
        InputError: If there is an unfinished run with other data or other options.
    """
    run = {
        f"--{name}": str(value) if isinstance(value, Path) else value
        for name, value in vars(options).items()
        if name not in _NO_EFFECT and (name == "from_preset" or not isinstance(value, Path))
    }
    return training.Checkpoint(
        options.folder / "checkpoint",  # type: ignore[attr-defined]
        options.checkpoint_minutes,
        run | {"the hash of the data": fingerprint},
        fresh=options.fresh,
    )

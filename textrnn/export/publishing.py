"""The last step of a recipe: export the trained task."""

import shlex
from pathlib import Path

from textrnn.errors import InputError
from textrnn.export.saved_model import export
from textrnn.export.server_files import write_server_files


def publish(task, folder, result, ask, **options):
    """Export a trained task, list it for TF Serving, and print where the files are.

    Args:
        task: See `export`.
        folder: The model's folder, which holds the recipe's report and preset.
        result: The `TrainingResult` of `textrnn.training.fit`.
        ask: A command to try the model with, a list of words without the leading `textrnn`.
        **options: See `export`.

    Raises:
        InputError: If no training step had a finite loss, so that there are no weights to serve.
    """
    folder = Path(folder)
    if result.stopped == "not finite" and result.best_epoch is None:
        raise InputError(
            f"nothing to export: the training loss was never finite. See the report in {folder / 'report'}"
        )
    version = export(task, folder, **options)
    write_server_files(folder.parent)
    print(f"report     {folder / 'report'}")
    print(f"preset     {folder / 'preset'}")
    print(f"SavedModel {version}")
    print(f"try it:    textrnn {shlex.join(map(str, ask))}")

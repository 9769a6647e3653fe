"""The end of a recipe: exporting what it trained."""

from pathlib import Path

from textrnn.errors import InputError
from textrnn.export.model_base import write_models_config
from textrnn.export.saved_model import export


def publish(task, folder, result, ask, **options):
    """The end of a recipe: exports what it trained, lists it for TF Serving, and says where everything is.

    Args:
        task: as for `export`.
        folder: the model's folder, with the recipe's report and preset.
        result: what `training.fit` returned.
        ask: a command to try the model with, without the `textrnn` in front.
        **options: of `export`.

    Raises:
        InputError: for a model that has no weights worth serving, as its loss was never finite.
    """
    folder = Path(folder)
    if result.stopped == "not finite" and result.best_epoch is None:
        raise InputError(
            f"the model learnt nothing that could be served; its report is in {folder / 'report'}"
        )
    version = export(task, folder, **options)
    write_models_config(folder.parent)
    print(f"report     {folder / 'report'}")
    print(f"preset     {folder / 'preset'}")
    print(f"SavedModel {version}")
    print(f"ask it:    textrnn {ask}")

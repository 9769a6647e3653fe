"""The checkpoint of a recipe's run, from which the same command resumes."""

from dataclasses import fields
from pathlib import Path

from textrnn import training
from textrnn.data.cache import file_hash
from textrnn.options import OutputOptions, TrainingOptions
from textrnn.presets import find_preset

_NO_EFFECT = {field.name for field in fields(OutputOptions)} | {
    "checkpoint_minutes", "fresh", "cache", "cached_generation", "dynamic_evaluation",
}  # fmt: skip
"""Options that change nothing of the training."""

_STARTS = ("from_preset", "encoder_from", "decoder_from")
"""Options that name the models that a run starts from."""


def checkpoint_of(
    options: TrainingOptions, fingerprint: str, name: str = "checkpoint"
) -> training.Checkpoint:
    """Make the checkpoint of a run, in the folder of its model.

    Two runs are the same if their options, the content of their data and the tokenizers of the presets that
    they start from are. The paths of the data may differ.

    Args:
        options: The options of a recipe, an instance of its `Options`.
        fingerprint: A hash of the data.
        name: The name of the folder, one for each phase of a run.

    Raises:
        InputError: If there is an unfinished run with other data or other options.
    """
    run = {
        f"--{name}": str(value) if isinstance(value, Path) else value
        for name, value in vars(options).items()
        if name not in _NO_EFFECT and (name in _STARTS or not isinstance(value, Path))
    }
    # Their defaults depend on the data.
    by_data = {f"--{field.name}" for field in fields(options) if field.default is None}
    return training.Checkpoint(
        options.folder / name,  # type: ignore[attr-defined]
        options.checkpoint_minutes,
        run | {"data": [fingerprint, *_tokenizers(options)]},
        fresh=options.fresh,
        by_data=by_data - {f"--{name}" for name in _STARTS},
    )


def _tokenizers(options):
    """Hashes of the tokenizers of presets, to which the weights in a checkpoint belong."""
    starts = [start for name in _STARTS if (start := getattr(options, name, None))]
    files = [path for start in starts for path in sorted(find_preset(start).glob("assets/**/*"))]
    return [file_hash(path) for path in files if path.is_file()]

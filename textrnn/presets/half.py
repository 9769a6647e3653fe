"""Presets whose weights are stored in half precision, compressed."""

from pathlib import Path

import h5py
import numpy as np

from textrnn.errors import expect

LARGE = 1000
"""Number of values from which on a weight is compressed."""


def halve_weights(preset) -> None:
    """Store the weights of a preset in float16, compressed. They load in the dtype of the model.

    Half precision halves the size, and compression takes an eighth of the rest of trained weights.

    Args:
        preset: The folder of a preset, which is changed.

    Raises:
        InputError: If a weight is too large for float16.

    Example:

    >>> import tempfile, textrnn
    >>> from textrnn.presets.half import halve_weights
    >>> lm = textrnn.CausalLM(textrnn.RecurrentBackbone(900, units=64),
    ...                       textrnn.CausalLMPreprocessor(textrnn.tokenizers.ByteTokenizer()))
    >>> folder = tempfile.mkdtemp()
    >>> lm.save_to_preset(folder)
    >>> before = sum(path.stat().st_size for path in Path(folder).rglob("*.h5"))
    >>> halve_weights(folder)
    >>> sum(path.stat().st_size for path in Path(folder).rglob("*.h5")) < 0.6 * before
    True
    >>> textrnn.CausalLM.from_preset(folder).backbone.variable_dtype
    'float32'
    """
    for path in sorted(Path(preset).glob("*.h5")):
        beside = path.with_name(f".{path.name}")
        with h5py.File(path) as source, h5py.File(beside, "w") as target:
            _copy(source, target)
        beside.replace(path)


def _copy(source, target):
    for name, value in source.attrs.items():
        target.attrs[name] = value
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _copy(item, target.create_group(name))
            continue
        data = item[()]
        if getattr(data, "dtype", None) in (np.float32, np.float64):
            expect(np.all(np.abs(data) <= np.finfo(np.float16).max), f"{item.name} is too large for float16")
            data = data.astype(np.float16)
        packed = {"compression": "gzip", "shuffle": True} if getattr(data, "size", 0) >= LARGE else {}
        copy = target.create_dataset(name, data=data, **packed)
        for key, value in item.attrs.items():
            copy.attrs[key] = value

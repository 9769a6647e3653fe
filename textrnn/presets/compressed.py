"""Presets whose weights are rounded, stored in half precision and compressed."""

from pathlib import Path

import h5py
import numpy as np

from textrnn.errors import expect
from textrnn.files import replacing

LARGE = 1000
"""Number of values from which on a weight is compressed."""

PACKED = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
"""How h5py compresses: the high bytes of all values, then the low ones."""

STEPS = 8
"""Least number of steps in a standard deviation of the rounded values of a weight."""


def compress_weights(preset) -> None:
    """Round the weights of a preset and store them in float16, compressed.

    They load in the dtype of the model. The large ones are rounded to multiples of a power of two, which
    float16 has exactly, between an eighth and a sixteenth of their standard deviation. Entropy coding then
    needs about seven bits for a value.

    Args:
        preset: The folder of a preset, which is changed.

    Raises:
        InputError: If a weight has NaN, or is too large for float16.

    Example:

    >>> import tempfile, textrnn
    >>> from textrnn.presets.compressed import compress_weights
    >>> lm = textrnn.CausalLM(textrnn.RecurrentBackbone(900, units=64),
    ...                       textrnn.CausalLMPreprocessor(textrnn.tokenizers.ByteTokenizer()))
    >>> folder = tempfile.mkdtemp()
    >>> lm.save_to_preset(folder)
    >>> before = sum(path.stat().st_size for path in Path(folder).rglob("*.h5"))
    >>> compress_weights(folder)
    >>> sum(path.stat().st_size for path in Path(folder).rglob("*.h5")) < 0.4 * before
    True
    >>> textrnn.CausalLM.from_preset(folder).backbone.variable_dtype
    'float32'
    """
    for path in sorted(Path(preset).glob("*.h5")):
        with replacing(path) as new, h5py.File(path) as source, h5py.File(new, "w") as target:
            _copy(source, target)


def _copy(source, target):
    for name, value in source.attrs.items():
        target.attrs[name] = value
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _copy(item, target.create_group(name))
            continue
        data = item[()]
        if getattr(data, "dtype", None) in (np.float16, np.float32, np.float64):
            expect(not np.isnan(data).any(), f"{item.name} has NaN: train again with a lower learning rate")
            expect(np.all(np.abs(data) <= np.finfo(np.float16).max), f"{item.name} is too large for float16")
            data = (_rounded(data) if data.size >= LARGE else data).astype(np.float16)
        packed = PACKED if getattr(data, "size", 0) >= LARGE else {}
        copy = target.create_dataset(name, data=data, **packed)
        for key, value in item.attrs.items():
            copy.attrs[key] = value


def _rounded(data):
    deviation = float(np.std(data, dtype=np.float64))
    if not deviation:
        return data
    step = 2.0 ** np.floor(np.log2(deviation / STEPS))
    return np.round(data.astype(np.float64) / step) * step

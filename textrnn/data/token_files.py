"""Token streams in files, read through memory maps."""

import mmap
import os
import weakref
from pathlib import Path

import numpy as np


class TokenFile:
    """A token stream in a file, of which only what is asked for is read.

    The file is mapped for each access anew: pages that stayed mapped would count as memory of the process.
    It stays open, so that it may be removed from the cache.

    Args:
        path: A file of integers.
        dtype: Their type.

    Example:

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from textrnn.data.token_files import TokenFile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "tokens.bin")
    >>> np.arange(100, dtype="uint16").tofile(path)
    >>> tokens = TokenFile(path, "uint16")
    >>> len(tokens), tokens[np.array([[0, 9]])], tokens[-3:]
    (100, array([[0, 9]], dtype=int32), array([97, 98, 99], dtype=int32))
    """

    def __init__(self, path: Path, dtype: str):
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        self.dtype = np.dtype(dtype)
        self._length = Path(path).stat().st_size // self.dtype.itemsize

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index) -> np.ndarray:
        """Return tokens, int32, for any index of NumPy."""
        mapped = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, self.dtype)[index].astype(np.int32)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(dtype or np.int32)

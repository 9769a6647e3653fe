"""Token streams in files, read through memory maps."""

import mmap
import os
import weakref
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np


class StoredTokens(ABC):
    """A token stream that is not in memory: what is asked for is read.

    It has a length, and takes any index of NumPy for one dimension.
    """

    @abstractmethod
    def __len__(self) -> int:
        """The number of tokens."""

    @abstractmethod
    def __getitem__(self, index) -> np.ndarray:
        """Return tokens, int32."""

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(dtype or np.int32)


class TokenFile(StoredTokens):
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
        mapped = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, self.dtype)[index].astype(np.int32)


class JoinedTokens(StoredTokens):
    """Token streams one after another. The end token of one is the first token of the next.

    Args:
        streams: Token streams, each an int array `(tokens,)` or `StoredTokens` that begins and ends with the
            end token. A stream may occur several times.

    Example:

    >>> import numpy as np
    >>> from textrnn.data.token_files import JoinedTokens
    >>> once, twice = np.array([1, 5, 6, 1]), np.array([1, 7, 1])
    >>> tokens = JoinedTokens([once, twice, twice])
    >>> len(tokens), tokens[:].tolist(), tokens[np.array([[2], [-2]])].tolist()
    (8, [1, 5, 6, 1, 7, 1, 7, 1], [[6], [7]])
    """

    def __init__(self, streams: Sequence[np.ndarray | StoredTokens]):
        self._streams = list(streams)
        self._starts = np.cumsum([0] + [len(stream) - 1 for stream in self._streams])

    def __len__(self) -> int:
        return int(self._starts[-1]) + 1

    def __getitem__(self, index) -> np.ndarray:
        positions = range(len(self))[index] if isinstance(index, slice | int) else index
        positions = np.asarray(positions)
        positions = np.where(positions < 0, positions + len(self), positions)
        which = np.searchsorted(self._starts[1:-1], positions, side="right")
        tokens = np.empty(positions.shape, np.int32)
        for row in np.unique(which):
            here = which == row
            tokens[here] = self._streams[row][positions[here] - self._starts[row]]
        return tokens

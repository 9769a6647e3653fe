"""Shared code for the weights of cells: initializer arguments, and blocks of gates."""

import abc
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, ClassVar

import keras
from keras import ops

from textrnn.cells.base import Cell
from textrnn.cells.products import project
from textrnn.errors import InputError, is_integer
from textrnn.tensors import Tensor, exact_dtype


def check_size(name: str, size: int) -> int:
    """Return the size as an int.

    Raises:
        InputError: If it is not a positive integer.

    Example:

    >>> from textrnn.cells.weights import check_size
    >>> check_size("units", 8)
    8
    """
    if not is_integer(size) or size <= 0:
        raise InputError(f"{name} is {size!r}: give a positive integer")
    return int(size)


_SPLIT: ContextVar[Callable | None] = ContextVar("split", default=None)


@contextlib.contextmanager
def weights_split_by(split: Callable[[keras.Variable, int], Sequence[Tensor] | None]) -> Iterator[None]:
    """Context manager in which `blocks` asks `split(weight, count)` for the blocks of a variable.

    If that is None, it splits the variable itself. An export stores the blocks of matrices, since splitting a
    matrix takes longer than a step that multiplies by it.

    Example:

    >>> import keras
    >>> from textrnn.cells.weights import blocks, weights_split_by
    >>> kernel = keras.Variable(np.ones((3, 8), "float32"))
    >>> with weights_split_by(lambda weight, count: [np.zeros((3, 4), "float32")] * count):
    ...     float(keras.ops.sum(blocks(kernel, ["forget", "candidate"], "float32")["forget"]))
    0.0
    """
    token = _SPLIT.set(split)
    try:
        yield
    finally:
        _SPLIT.reset(token)


def splitter() -> Callable | None:
    """Return the function of `weights_split_by`, or None outside. What is traced inside reads its blocks.

    Example:

    >>> from textrnn.cells.weights import splitter
    >>> splitter() is None
    True
    """
    return _SPLIT.get()


def blocks(weight: Tensor | None, names: Sequence[str], dtype: str) -> dict[str, Tensor]:
    """Split a weight along its last axis into one block for each name, in `dtype`. None has no blocks.

    In `weights_split_by`, variables may be split already.

    Example:

    >>> from keras import ops
    >>> from textrnn.cells.weights import blocks
    >>> kernel = ops.ones((3, 8))
    >>> [tuple(block.shape) for block in blocks(kernel, ["forget", "candidate"], "float32").values()]
    [(3, 4), (3, 4)]
    """
    if weight is None:
        return {}
    split, parts = splitter(), None
    if len(names) == 1:
        parts = [weight]
    elif split is not None and isinstance(weight, keras.Variable):
        parts = split(weight, len(names))
    if parts is None:
        parts = ops.split(ops.cast(weight, dtype), len(names), axis=-1)
    return {name: ops.cast(part, dtype) for name, part in zip(names, parts, strict=True)}


def gate_by_gate(initializer: Callable, count: int) -> Callable:
    """Return an initializer that draws `count` equal blocks of the last axis independently.

    Example:

    >>> import keras
    >>> from textrnn.cells.weights import gate_by_gate
    >>> block = gate_by_gate(keras.initializers.Orthogonal(seed=1), 4)((2, 8))[:, 2:4]
    >>> bool(np.allclose(keras.ops.matmul(block, keras.ops.transpose(block)), np.eye(2), atol=1e-6))
    True
    """

    def initialize(shape, dtype=None):
        *leading, last = shape
        block = (*leading, last // count)
        return ops.concatenate(
            [_reseeded(initializer, index)(block, dtype=dtype) for index in range(count)], axis=-1
        )

    return initialize


def drawn_exactly(initializer: Callable) -> Callable:
    """Return an initializer that draws half precision in float32, and rounds.

    Orthogonal matrices come from a QR decomposition, which does not exist in bfloat16.

    Example:

    >>> import keras
    >>> from textrnn.cells.weights import drawn_exactly
    >>> matrix = drawn_exactly(keras.initializers.Orthogonal())((2, 2), "bfloat16")
    >>> keras.backend.standardize_dtype(matrix.dtype)
    'bfloat16'
    """

    def initialize(shape, dtype=None):
        dtype = keras.backend.standardize_dtype(dtype)
        return ops.cast(initializer(shape, dtype=exact_dtype(dtype)), dtype)

    return initialize


def _reseeded(initializer, index):
    """The initializer of one block: one of Keras returns the same values each time it is called."""
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    seed = config.get("seed")
    if index == 0 or "seed" not in config or isinstance(seed, dict):  # a seed generator advances by itself
        return initializer
    return initializer.__class__.from_config(config | {"seed": None if seed is None else seed + index})


class WeightedCell(Cell):
    """Base class of cells with `units` and with the arguments for weights that Keras's cells have.

    A subclass lists its families of weights with their default initializers in `initializers`. Each family
    adds the arguments `<family>_initializer`, `<family>_regularizer` and `<family>_constraint`. The subclass
    defines `build`, which calls `new_weight` for each weight, and `projector`.

    Args:
        units: The size of the output and of each state.
        use_bias: Whether gates have biases.
        **kwargs: The arguments of the families, and those of `keras.layers.Layer` (`name`, `dtype`, ...).

    Raises:
        InputError: If `units` is not a positive integer.

    Example:

    >>> from textrnn.cells.min_lstm import MinLSTMCell
    >>> MinLSTMCell(8, kernel_regularizer="l2").kernel_regularizer.get_config()["l2"]
    0.01
    """

    equations: ClassVar[tuple[str, ...]]
    """The equations of a step, one string each."""

    source: ClassVar[str]
    """The paper."""

    initializers: ClassVar[Mapping[str, Any]] = {"kernel": "glorot_uniform", "bias": "zeros"}
    """The families of weights, each with its default initializer."""

    def __init__(self, units: int, use_bias: bool = True, **kwargs):
        units = check_size("units", units)
        given = {option: kwargs.pop(option) for option in self._options() if option in kwargs}
        super().__init__(**kwargs)
        self.units = units
        self.use_bias = use_bias
        for option, (module, default) in self._options().items():
            setattr(self, option, module.get(given.get(option, default)))

    @classmethod
    def _options(cls):
        """The arguments of the families: name -> (the Keras module that resolves it, the default)."""
        return {
            f"{family}_{option}": (module, default)
            for family, initializer in cls.initializers.items()
            for option, module, default in (
                ("initializer", keras.initializers, initializer),
                ("regularizer", keras.regularizers, None),
                ("constraint", keras.constraints, None),
            )
        }

    @property
    def state_size(self) -> list[int]:
        """One state of `units`."""
        return [self.units]

    @property
    def output_size(self) -> int:
        """`units`."""
        return self.units

    def new_weight(self, family: str, name: str, shape: Sequence[int], initializer: Callable | None = None):
        """Add a weight of a family and return it. `initializer` replaces that of the family."""
        # No autocast: a layer over time reads the weights outside this layer's `call`, under another policy.
        return self.add_weight(
            shape=shape,
            name=name,
            initializer=drawn_exactly(initializer or getattr(self, f"{family}_initializer")),
            regularizer=getattr(self, f"{family}_regularizer"),
            constraint=getattr(self, f"{family}_constraint"),
            autocast=False,
        )

    def new_projection(self, features: int):
        """Add a kernel that projects inputs to `units` and return it; None if they have that width."""
        if features == self.units:
            return None
        return self.new_weight("kernel", "projection_kernel", (features, self.units))

    def blocks(self, weight: Tensor | None, names: Sequence[str]) -> dict[str, Tensor]:
        """Split a weight into blocks by name, in the compute dtype."""
        return blocks(weight, names, self.compute_dtype)

    def project_inputs(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return everything that depends on the input alone; see `projector`."""
        return self.projector()(x)

    @abc.abstractmethod
    def projector(self) -> Callable[[Tensor], tuple[Tensor, ...]]:
        """Return `project_inputs` as a function that has already read the weights."""

    def get_config(self):
        """Return the constructor's arguments."""
        options = {
            option: keras.saving.serialize_keras_object(getattr(self, option)) for option in self._options()
        }
        return super().get_config() | {"units": self.units, "use_bias": self.use_bias} | options


def affine(x: Tensor, kernels: Mapping[str, Tensor], biases: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return W·x + b for each gate by name. A gate without a bias adds none.

    Args:
        x: `(..., features)`.
        kernels: Name -> `(features, n)`.
        biases: Name -> `(n,)`.

    Returns:
        Name -> `(..., n)`, in the order of the kernels.

    Example:

    >>> from keras import ops
    >>> from textrnn.cells.weights import affine
    >>> terms = affine(ops.ones((1, 2)), {"forget": ops.ones((2, 1))}, {"forget": ops.ones(1)})
    >>> float(terms["forget"][0, 0])
    3.0
    """
    products = {name: project(x, kernel) for name, kernel in kernels.items()}
    return {name: p + biases[name] if name in biases else p for name, p in products.items()}

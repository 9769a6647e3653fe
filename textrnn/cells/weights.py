"""What cells share about their weights: the arguments that say how they start, and their blocks of gates."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from textrnn.cells.base import Cell, Tensor, project
from textrnn.errors import InputError


def check_size(name: str, size: int) -> int:
    """The size as an int, if it is one and positive.

    Raises:
        InputError: otherwise.

    Example:
    >>> from textrnn.cells.weights import check_size
    >>> check_size("units", 8)
    8
    """
    if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size <= 0:
        raise InputError(f"{name} is {size!r}: give a positive whole number")
    return int(size)


def blocks(weight: Tensor | None, names: Sequence[str], dtype: str) -> dict[str, Tensor]:
    """A weight in `dtype`, split along its last axis into one contiguous block a name; of None, no blocks.

    Example:
    >>> from keras import ops
    >>> from textrnn.cells.weights import blocks
    >>> kernel = ops.ones((3, 8))
    >>> [tuple(block.shape) for block in blocks(kernel, ["forget", "candidate"], "float32").values()]
    [(3, 4), (3, 4)]
    """
    if weight is None:
        return {}
    split = ops.split(ops.cast(weight, dtype), len(names), axis=-1)
    return dict(zip(names, split, strict=True))


def gate_by_gate(initializer: Callable, count: int) -> Callable:
    """An initializer that draws `count` equal blocks of the last axis independently of one another.

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


def _reseeded(initializer, index):
    """The initializer for the block of that index: Keras's give the same values whenever they are called."""
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    seed = config.get("seed")
    if index == 0 or "seed" not in config or isinstance(seed, dict):  # a generator moves on by itself
        return initializer
    return initializer.__class__.from_config(config | {"seed": None if seed is None else seed + index})


class WeightedCell(Cell):
    """A cell of `units`, with the arguments for its weights that Keras's cells have.

    A subclass says in `initializers` which families of weights it has and how each starts unless told
    otherwise. For each family its users can give `<family>_initializer`, `<family>_regularizer` and
    `<family>_constraint`. It defines `build`, with `new_weight` for each weight, and `projector`.

    Args:
        units: the size of the output and of each state.
        use_bias: whether gates have biases.
        **kwargs: the arguments of the families, and those of `keras.layers.Layer` (`name`, `dtype`, ...).

    Raises:
        InputError: for `units` that is not a positive whole number.

    Example:
    >>> from textrnn.cells.min_lstm import MinLSTMCell
    >>> MinLSTMCell(8, kernel_regularizer="l2").kernel_regularizer.get_config()["l2"]
    0.01
    """

    equations: ClassVar[tuple[str, ...]]
    """The lines of a step, to be read by people."""

    source: ClassVar[str]
    """The paper."""

    initializers: ClassVar[Mapping[str, Any]] = {"kernel": "glorot_uniform", "bias": "zeros"}
    """The families of weights and the initializer of each."""

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
        """The arguments of the families: name -> (the Keras module that looks them up, the default)."""
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
        """A new weight of a family; `initializer` in the place of the family's."""
        # Variables are cast where they are read, not by Keras's autocast: a layer over time reads them
        # outside this layer's `call`, where another layer's policy would be in force.
        return self.add_weight(
            shape=shape,
            name=name,
            initializer=initializer or getattr(self, f"{family}_initializer"),
            regularizer=getattr(self, f"{family}_regularizer"),
            constraint=getattr(self, f"{family}_constraint"),
            autocast=False,
        )

    def new_projection(self, features: int):
        """The kernel that takes inputs to the width `units` where a paper uses them at that width; None where
        they have it already."""
        if features == self.units:
            return None
        return self.new_weight("kernel", "projection_kernel", (features, self.units))

    def blocks(self, weight: Tensor | None, names: Sequence[str]) -> dict[str, Tensor]:
        """The weight in the compute dtype, by name of the block."""
        return blocks(weight, names, self.compute_dtype)

    def project_inputs(self, x: Tensor) -> tuple[Tensor, ...]:
        """What `projector` gives, of x."""
        return self.projector()(x)

    @abc.abstractmethod
    def projector(self) -> Callable[[Tensor], tuple[Tensor, ...]]:
        """`project_inputs` as a function that has read the weights already."""

    def get_config(self):
        """The constructor's arguments, as JSON can hold them."""
        options = {
            option: keras.saving.serialize_keras_object(getattr(self, option)) for option in self._options()
        }
        return super().get_config() | {"units": self.units, "use_bias": self.use_bias} | options


def affine(x: Tensor, kernels: Mapping[str, Tensor], biases: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """W·x + b by name of the gate, without b where a gate has none.

    Args:
        x: `(..., features)`.
        kernels: name -> `(features, n)`.
        biases: name -> `(n,)`.

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

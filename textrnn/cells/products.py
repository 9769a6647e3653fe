"""Products with the matrices of a cell."""

from collections.abc import Callable, Mapping

from keras import ops

from textrnn.tensors import Tensor

Dot = Callable[..., Tensor]
"""`dot(name, x)` multiplies x `(batch, n)` by the recurrent kernel of that name `(n, m)`. The result is
`(batch, m)`. `dot(name, x, plus)` adds a tensor of that shape, so that a strategy keeps one tensor instead of
two."""


def dot_with(kernels: Mapping[str, Tensor]) -> Dot:
    """Return a `dot` that multiplies by the given kernels, name -> `(n, m)`.

    Example:

    >>> from keras import ops
    >>> from textrnn.cells.products import dot_with
    >>> dot = dot_with({"state": 2 * ops.eye(2)})
    >>> [[float(value) for value in row] for row in dot("state", ops.ones((1, 2)), ops.ones((1, 2)))]
    [[3.0, 3.0]]
    """

    def dot(name, x, plus=None):
        product = ops.matmul(x, kernels[name])
        return product if plus is None else product + plus

    return dot


def look_up(project: Callable[[Tensor], tuple[Tensor, ...]], vectors: Tensor) -> Callable:
    """Return `rows -> project(vectors[rows])`, which projects each vector once and looks the results up.

    That is less arithmetic where rows are more than vectors, such as the characters of a batch.

    Args:
        project: A cell's `project_inputs`.
        vectors: `(n, features)`.

    Returns:
        A function of integers `(...)` that returns a tuple of tensors `(..., m)`.

    Example:

    >>> from keras import ops
    >>> from textrnn.cells.products import look_up
    >>> (looked_up,) = look_up(lambda x: (2 * x,), ops.eye(2))(ops.array([1, 0, 1]))
    >>> ops.convert_to_numpy(looked_up).tolist()
    [[0.0, 2.0], [2.0, 0.0], [0.0, 2.0]]
    """
    projected = project(vectors)
    return lambda rows: tuple(ops.take(x, rows, axis=0) for x in projected)


def project(x: Tensor, kernel: Tensor) -> Tensor:
    """Multiply x `(..., n)` by a kernel `(n, m)`, as one matrix product.

    A batched product of `(time, batch, n)` with a matrix is slower, and its gradient much slower.

    Example:

    >>> from keras import ops
    >>> from textrnn.cells.products import project
    >>> project(ops.ones((5, 2, 3)), ops.ones((3, 4))).shape == (5, 2, 4)
    True
    """
    *leading, features = ops.shape(x)
    if len(leading) == 1:
        return ops.matmul(x, kernel)
    product = ops.matmul(ops.reshape(x, (-1, features)), kernel)
    return ops.reshape(product, (*leading, kernel.shape[-1]))

"""The strategy `recompute`: a custom gradient that keeps products and replays the step."""

from typing import NamedTuple

import keras
from keras import ops

from textrnn.cells.base import Tensor, dot_with
from textrnn.errors import InputError
from textrnn.layers.backend import (
    first_derivative,
    fold,
    outer_sum,
    stacked,
    upstream_of,
    vector_jacobian,
    zero_total,
)


def recompute(advance, carry, projected, constants, kernels, weights, outputs_like):
    """As `loop`, with a gradient of its own: each recurrent kernel's is one matrix product after the loop.

    The forward loop keeps the carry and the recurrent products. The backward loop replays a step from them,
    elementwise work only, and asks the backend for its vector-Jacobian product; in place of each recurrent
    product the replay has a function whose value is the kept product q and whose gradients are those of the
    multiplied vector, `d @ kernel.T`, and of q: d itself. So the gradients of the products leave the loop as
    those of q, and with the vectors they give the kernels' gradients at once, instead of a sum of one outer
    product a step. A cell says nothing about any of this: its `step` is run with another `dot`.

    Arguments and results are those of `loop`.
    """
    names, weight_names = list(kernels), list(weights)
    sizes = (len(projected), len(carry), len(names), len(weight_names), len(constants))

    # Everything that the recurrence depends on is an argument: the gradient is with respect to these.
    def run(*arguments):
        projected, carry, matrices, vectors, constants = split(arguments, sizes)
        kernels, weights = (
            dict(zip(names, matrices, strict=True)),
            dict(zip(weight_names, vectors, strict=True)),
        )
        record = _record(advance, carry, [*projected, *constants], kernels, weights)
        last, kept = fold(
            _keeping_products(advance, kernels, weights),
            carry,
            [*projected, *constants],
            [*record.outputs_like, *carry, *record.products_like],
        )
        outputs, before, products = split(kept, (len(record.outputs_like), len(carry), len(record.names)))
        outputs = stacked(outputs)

        def gradient(*upstream, variables=()):
            if variables:
                raise InputError(
                    "the cell's step uses weights that are not among its elementwise_weights: "
                    f"{', '.join(variable.name for variable in variables)}. Add them there, and take them "
                    "from what step is given as weights; or use strategy='loop'"
                )
            d_outputs, d_last = split(upstream_of(upstream), (len(outputs), len(carry)))
            totals, steps = fold(
                _replaying_backwards(advance, sizes, record, kernels, weight_names, vectors),
                [*d_last, *(zero_total(vector) for vector in vectors)],
                [*projected, *constants, *before, *products, *d_outputs],
                # The gradient of a product takes the place of the product.
                [*products, *(p[0] for p in projected), *record.vectors_like],
                reverse=True,
            )
            d_carry, d_weights = split(totals, (len(carry), len(vectors)))
            d_products, d_projected, multiplied = split(
                stacked(steps), (len(products), len(projected), len(record.vectors))
            )
            d_kernels: dict[str, Tensor] = {}
            for name, (kind, index), d in zip(record.names, record.sources, d_products, strict=True):
                if kind == "vector":
                    d_kernel = outer_sum(multiplied[index], d)
                elif index == record.output_is:
                    # What is in the outputs is not put together a second time.
                    d_kernel = outer_sum(outputs[0][:-1], d[1:]) + outer_sum(carry[index], d[0])
                else:
                    (multiplied_carry,) = stacked([before[index]])
                    d_kernel = outer_sum(multiplied_carry, d)
                d_kernels[name] = d_kernels[name] + d_kernel if name in d_kernels else d_kernel
            d_matrices = [
                d_kernels[name] if name in d_kernels else ops.zeros_like(kernel)
                for name, kernel in kernels.items()
            ]
            d_weights = [ops.cast(d, v.dtype) for d, v in zip(d_weights, vectors, strict=True)]
            gradients = [*d_projected, *d_carry, *d_matrices, *d_weights]
            return (*(first_derivative(d) for d in gradients), *(None for _ in constants))

        return (*outputs, *last), gradient

    results = ops.custom_gradient(run)(*projected, *carry, *kernels.values(), *weights.values(), *constants)
    outputs, last = split(results, (len(outputs_like), len(carry)))
    return outputs, last


def _keeping_products(advance, kernels, weights):
    """The body of the forward loop: its outputs are those of the step, the carry before it, the products."""
    plain = dot_with(kernels)

    def forward(carry, inputs):
        products = []

        def dot(name, x, plus=None):
            products.append(plain(name, x, plus))
            return products[-1]

        new_carry, outputs = advance(carry, inputs, dot, weights)
        return new_carry, [*outputs, *carry, *products]

    return forward


def _replaying_backwards(advance, sizes, record, kernels, weight_names, vectors):
    """The body of the backward loop.

    It carries the gradients of the carry and the sums of those of the weights. Its inputs are those of the
    step, the carry before it, its products and the gradients of its outputs; its outputs are the gradients of
    the products and of what is projected, and those multiplied vectors that are not in the carry.
    """
    projections, carried, _, weight_count, constant_count = sizes
    inputs_sizes = (projections, constant_count, carried, len(record.names), len(record.outputs_like))
    transposed = {name: ops.transpose(kernel) for name, kernel in kernels.items()}

    def backward(d_carry, inputs):
        d_carry, d_weights = split(d_carry, (carried, weight_count))
        projected, constants, carry, products, d_outputs = split(inputs, inputs_sizes)

        def replay(projected, carry, vectors, products):
            multiplied = []

            def dot(name, x, plus=None):
                multiplied.append(x)
                return _kept_product(x, products[len(multiplied) - 1], transposed[name], plus)

            weights = dict(zip(weight_names, vectors, strict=True))
            new_carry, outputs = advance(carry, [*projected, *constants], dot, weights)
            return [*outputs, *new_carry], [multiplied[i] for i in record.vectors]

        (d_projected, d_carry, d_vectors, d_products), multiplied = vector_jacobian(
            replay, (projected, carry, vectors, products), [*d_outputs, *d_carry]
        )
        d_weights = [t + ops.cast(d, t.dtype) for t, d in zip(d_weights, d_vectors, strict=True)]
        return [*d_carry, *d_weights], [*d_products, *d_projected, *multiplied]

    return backward


class _Record(NamedTuple):
    """What one step multiplies and keeps, found out by running it once."""

    names: list[str]  # the kernel of each product, in the order of the step
    sources: list[tuple[str, int]]  # what it multiplies: ("carry", i), or ("vector", index into `vectors`)
    vectors: list[int]  # the products whose multiplied vector has to be recorded
    output_is: int | None  # the output is this entry of the new carry
    outputs_like: list[Tensor]
    products_like: list[Tensor]
    vectors_like: list[Tensor]


def _record(advance, carry, inputs, kernels, weights):
    """Runs the first step only to see what it does; nothing of its values is used, so compilers drop it."""
    names, multiplied, products = [], [], []
    plain = dot_with(kernels)
    # What is multiplied is found by being the same tensor, and two states may begin as one.
    carry = [ops.zeros_like(x) for x in carry]

    def dot(name, x, plus=None):
        names.append(name)
        multiplied.append(x)
        products.append(plain(name, x, plus))
        return products[-1]

    new_carry, outputs = advance(carry, [x[0] for x in inputs], dot, weights)

    def position(x, among):
        return next((i for i, other in enumerate(among) if other is x), None)

    sources: list[tuple[str, int]] = []
    vectors: list[int] = []
    for product, x in enumerate(multiplied):
        if (state := position(x, carry)) is not None:
            sources.append(("carry", state))
            continue
        seen = position(x, [multiplied[i] for i in vectors])
        if seen is None:
            seen = len(vectors)
            vectors.append(product)
        sources.append(("vector", seen))
    output_is = position(outputs[0], new_carry) if outputs else None
    return _Record(
        names,
        sources,
        vectors,
        output_is,
        outputs,
        products,
        [multiplied[i] for i in vectors],
    )


def _kept_product(x, product, transposed_kernel, plus):
    """A product that is known already (with `plus` in it, unless that is None), with the gradients of
    `x @ kernel + plus`, and its own handed on."""

    def kept(x, product, *plus):
        def gradient(*upstream, **_):
            (d,) = keras.tree.flatten(upstream)
            # Keras's tanh on JAX gives float32 for float64: x may be narrower than its product.
            return ops.cast(ops.matmul(d, transposed_kernel), x.dtype), d, *(d for _ in plus)

        return product, gradient

    return ops.custom_gradient(kept)(x, product, *([] if plus is None else [plus]))


def split(flat, sizes):
    """A flat sequence as consecutive lists of the given sizes."""
    parts, start = [], 0
    for size in sizes:
        parts.append(list(flat[start : start + size]))
        start += size
    return parts

"""The strategy `recompute`: a loop over time with a custom gradient.

The forward loop keeps the carry and the recurrent products. The backward loop replays each step from them,
which is elementwise work only, and takes the backend's vector-Jacobian product of that replay. In the replay,
each recurrent product is a function whose value is the kept product q and whose gradients are `d @ kernel.T`
for the multiplied vector and d for q. So the gradients of all products leave the loop as gradients of q, and
with the multiplied vectors they give each kernel's gradient as one matrix product after the loop, instead of
a sum of one outer product per step. A cell needs no code for this: its `step` runs with another `dot`.
"""

from typing import NamedTuple

import keras
from keras import ops

from textrnn.cells.products import dot_with
from textrnn.errors import InputError
from textrnn.layers.backend import (
    captures_refused,
    fold,
    forbid_gradient,
    forbid_second_derivative,
    observe,
    stack_outputs,
    upstream_gradients,
    vector_jacobian_product,
)
from textrnn.tensors import Tensor, at_least_float32, is_float


def recompute(advance, carry, projected, constants, kernels, weights, outputs_like):
    """Run the steps in a loop with the custom gradient that this module describes.

    Arguments and results are those of `textrnn.layers.strategies.loop`.
    """
    record = _record(advance, carry, [*projected, *constants], kernels, weights)
    # Integers, such as the mask of a memory, have no gradient.
    fixed = {name: weight for name, weight in weights.items() if not is_float(weight)}
    weights = {name: weight for name, weight in weights.items() if name not in fixed}
    names, weight_names = list(kernels), list(weights)
    refused = [
        forbid_gradient(x, _refusal(f"a tensor {tuple(x.shape)} of {x.dtype.name}")) for x in record.captured
    ]
    sizes = (len(projected), len(carry), len(names), len(weight_names), len(constants))

    # The gradient is with respect to the arguments, so all that the recurrence depends on is an argument.
    def run(*arguments):
        projected, carry, matrices, vectors, constants = _split(arguments, sizes)
        kernels = dict(zip(names, matrices, strict=True))
        weights = {**fixed, **dict(zip(weight_names, vectors, strict=True))}
        last, kept = fold(
            _forward_body(advance, kernels, weights),
            carry,
            [*projected, *constants],
            [*record.outputs_like, *carry, *record.products_like],
        )
        outputs, before, products = _split(kept, (len(record.outputs_like), len(carry), len(record.names)))
        outputs = stack_outputs(outputs)

        def gradient(*upstream, variables=()):
            if variables:
                raise InputError(
                    "the cell's step uses weights that are not among its elementwise_weights: "
                    f"{', '.join(variable.name for variable in variables)}. Add them, and read them from the "
                    "weights that step is given; or set strategy='loop'"
                )
            d_outputs, d_last = _split(upstream_gradients(upstream), (len(outputs), len(carry)))
            totals, steps = fold(
                _backward_body(advance, sizes, record, kernels, fixed, weight_names, vectors),
                [*d_last, *(ops.zeros_like(v, dtype=at_least_float32(v)) for v in vectors)],
                [*projected, *constants, *before, *products, *d_outputs],
                # The gradient of a product overwrites the product.
                [*products, *(p[0] for p in projected), *record.vectors_like],
                reverse=True,
            )
            d_carry, d_weights = _split(totals, (len(carry), len(vectors)))
            d_products, d_projected, multiplied = _split(
                stack_outputs(steps), (len(products), len(projected), len(record.vectors))
            )
            d_kernels = _kernel_gradients(record, kernels, d_products, multiplied, carry, before, outputs)
            d_weights = [ops.cast(d, v.dtype) for d, v in zip(d_weights, vectors, strict=True)]
            gradients = [*d_projected, *d_carry, *d_kernels, *d_weights]
            # `forbid_gradient` gets a gradient, too, so that it raises its error.
            for_refused = [ops.zeros_like(x) for x in refused]
            return (*map(forbid_second_derivative, gradients), *(None for _ in constants), *for_refused)

        return (*outputs, *last), gradient

    arguments = [*projected, *carry, *kernels.values(), *weights.values(), *constants, *refused]
    with captures_refused(_refusal("a tensor")):
        results = ops.custom_gradient(run)(*arguments)
    outputs, last = _split(results, (len(outputs_like), len(carry)))
    return outputs, last


def _refusal(tensor):
    return (
        f"the cell's step reads {tensor} from outside, and the strategy recompute has no gradient for it. "
        "Return it from the cell's elementwise_weights, and read it from the weights that step is given; or "
        "set strategy='loop'"
    )


class _Record(NamedTuple):
    """The products of one step and what they multiply, found by observing it once."""

    names: list[str]  # the kernel of each product, in the order of the step
    sources: list[tuple[str, int]]  # what it multiplies: ("carry", i), or ("vector", index into `vectors`)
    vectors: list[int]  # the products whose multiplied vector the backward loop has to output
    output_is: int | None  # the index of the output in the new carry, if it is there
    outputs_like: list[Tensor]
    products_like: list[Tensor]
    vectors_like: list[Tensor]
    captured: list[Tensor]  # what the step reads besides its arguments


def _record(advance, carry, inputs, kernels, weights):
    """Observe a step, to see what it multiplies."""
    seen = {}

    def step(carry, inputs, kernels, weights):
        names, multiplied, products = [], [], []
        multiply = dot_with(kernels)

        def dot(name, x, plus=None):
            names.append(name)
            multiplied.append(x)
            products.append(multiply(name, x, plus))
            return products[-1]

        new_carry, outputs = advance(carry, [x[0] for x in inputs], dot, weights)
        seen["step"] = carry, new_carry, outputs, names, multiplied, products

    captured = observe(step, carry, inputs, dict(kernels), dict(weights))
    carry, new_carry, outputs, names, multiplied, products = seen["step"]

    def position(x, among):
        return next((i for i, other in enumerate(among) if other is x), None)

    sources: list[tuple[str, int]] = []
    vectors: list[int] = []
    for product, x in enumerate(multiplied):
        if (state := position(x, carry)) is not None:
            sources.append(("carry", state))
            continue
        index = position(x, [multiplied[i] for i in vectors])
        if index is None:
            index = len(vectors)
            vectors.append(product)
        sources.append(("vector", index))
    output_is = position(outputs[0], new_carry) if outputs else None
    vectors_like = [multiplied[i] for i in vectors]
    return _Record(names, sources, vectors, output_is, outputs, products, vectors_like, captured)


def _forward_body(advance, kernels, weights):
    """The body of the forward loop. It outputs the step's outputs, the carry before it, and its products."""
    multiply = dot_with(kernels)

    def forward(carry, inputs):
        products = []

        def dot(name, x, plus=None):
            products.append(multiply(name, x, plus))
            return products[-1]

        new_carry, outputs = advance(carry, inputs, dot, weights)
        return new_carry, [*outputs, *carry, *products]

    return forward


def _backward_body(advance, sizes, record, kernels, fixed, weight_names, vectors):
    """The body of the backward loop.

    It carries the gradients of the carry and the sums of the gradients of the weights. Its inputs are those
    of the step, the carry before it, its products and the gradients of its outputs. It outputs the gradients
    of the products and of the projections, and the multiplied vectors that are not in the carry.
    """
    projections, carried, _, weight_count, constant_count = sizes
    inputs_sizes = (projections, constant_count, carried, len(record.names), len(record.outputs_like))
    transposed = {name: ops.transpose(kernel) for name, kernel in kernels.items()}

    def backward(d_carry, inputs):
        d_carry, d_weights = _split(d_carry, (carried, weight_count))
        projected, constants, carry, products, d_outputs = _split(inputs, inputs_sizes)

        def replay(projected, carry, vectors, products):
            multiplied = []

            def dot(name, x, plus=None):
                multiplied.append(x)
                return _kept_product(x, products[len(multiplied) - 1], transposed[name], plus)

            weights = {**fixed, **dict(zip(weight_names, vectors, strict=True))}
            new_carry, outputs = advance(carry, [*projected, *constants], dot, weights)
            return [*outputs, *new_carry], [multiplied[i] for i in record.vectors]

        (d_projected, d_carry, d_vectors, d_products), multiplied = vector_jacobian_product(
            replay, (projected, carry, vectors, products), [*d_outputs, *d_carry]
        )
        d_weights = [total + ops.cast(d, total.dtype) for total, d in zip(d_weights, d_vectors, strict=True)]
        return [*d_carry, *d_weights], [*d_products, *d_projected, *multiplied]

    return backward


def _kept_product(x, product, transposed_kernel, plus):
    """The kept value of `x @ kernel + plus`, with gradients for x, for `plus` and for the value itself."""

    def kept(x, product, *plus):
        def gradient(*upstream, **_):
            (d,) = keras.tree.flatten(upstream)
            # x may have a lower precision than its product: Keras's tanh on JAX gives float32 for float64.
            return ops.cast(ops.matmul(d, transposed_kernel), x.dtype), d, *(d for _ in plus)

        return product, gradient

    return ops.custom_gradient(kept)(x, product, *([] if plus is None else [plus]))


def _kernel_gradients(record, kernels, d_products, multiplied, carry, before, outputs):
    """The gradient of each kernel: one matrix product over all steps for each product of a step."""
    gradients: dict[str, Tensor] = {}
    for name, (kind, index), d in zip(record.names, record.sources, d_products, strict=True):
        if kind == "vector":
            gradient = _sum_of_outer_products(multiplied[index], d)
        elif index == record.output_is:
            # The outputs are stacked already, so the states they equal need not be.
            gradient = _sum_of_outer_products(outputs[0][:-1], d[1:])
            # The sum over the first step, which is none in a sequence without steps.
            gradient = gradient + _sum_of_outer_products(carry[index], ops.sum(d[:1], axis=0))
        else:
            (states,) = stack_outputs([before[index]])
            gradient = _sum_of_outer_products(states, d)
        gradients[name] = gradients[name] + gradient if name in gradients else gradient
    return [
        gradients[name] if name in gradients else ops.zeros_like(kernel) for name, kernel in kernels.items()
    ]


def _sum_of_outer_products(x, d):
    """The sum over all leading axes of the outer products of x `(..., n)` and d `(..., m)`: `(n, m)`."""
    x, d = (ops.reshape(a, (-1, a.shape[-1])) for a in (x, d))
    return ops.matmul(ops.transpose(x), d)


def _split(flat, sizes):
    """A flat sequence as consecutive lists of the given sizes."""
    parts, start = [], 0
    for size in sizes:
        parts.append(list(flat[start : start + size]))
        start += size
    return parts

"""How a recurrence runs over time: pure functions on tensors. The one place that branches on the backend.

Every tensor here is time-major: `(time, batch, ...)`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from textrnn.cells.base import Tensor, at_least_float32, dot_with
from textrnn.errors import InputError

Fold = Callable[..., tuple[list[Tensor], list]]


def recur(
    strategy: str,
    step: Callable,
    projected: Sequence[Tensor],
    states: Sequence[Tensor],
    kernels: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    noise: Mapping[str, Tensor],
    mask: Tensor | None,
    first_output: Tensor,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
    unroll: bool = False,
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """Runs a cell's step over time.

    Args:
        strategy: the name of one of `STRATEGIES`.
        step: a cell's `step`.
        projected: what the cell's `project_inputs` gave for the whole sequence, each `(time, batch, n)`.
        states: the initial states, each `(batch, n)`.
        kernels: the cell's `recurrent_kernels`.
        weights: the cell's `elementwise_weights`, and whatever else `step` looks for there.
        noise: name -> `(time, batch, n)`: what the step looks for among its weights and is another at every
            step. No gradient is taken of it.
        mask: `(time, batch, 1)`, True where a step is valid, or None. A masked step leaves the states as
            they are and repeats the output before it.
        first_output: `(batch, n)`: what is repeated where there is no output before.
        zero_output_for_mask: whether a masked step's output is zero instead.
        return_all_outputs: whether outputs other than the last are kept.
        unroll: whether to unroll the loop; the number of steps must be static.

    Returns:
        The last output `(batch, n)`, all outputs `(time, batch, n)` or None, and the last states.
    """
    count = len(states)
    # What is carried from step to step is the states and, only where a later step or the caller needs it,
    # the output.
    carries_output = mask is not None or not return_all_outputs
    outputs, carry = (unrolled if unroll else STRATEGIES[strategy])(
        _advance(step, len(projected), list(noise), count, zero_output_for_mask, return_all_outputs),
        _values([*states, *([first_output] if carries_output else [])]),
        list(projected),
        [*noise.values(), *([] if mask is None else [mask])],
        dict(zip(kernels, _values(kernels.values()), strict=True)),
        dict(zip(weights, _values(weights.values()), strict=True)),
        [first_output] if return_all_outputs else [],
    )
    last_output = carry[count] if carries_output else outputs[0][-1]
    return last_output, outputs[0] if return_all_outputs else None, carry[:count]


def loop(advance, carry, projected, constants, kernels, weights, outputs_like):
    """One step after another, differentiated by the backend. The reference for every other strategy.

    Args:
        advance: one step, see `_advance`.
        carry: what the first step starts from, tensors `(batch, n)`.
        projected: tensors `(time, batch, n)`.
        constants: tensors `(time, batch, n)` that have no gradient: the noise and, if there is one, the mask.
        kernels: name -> `(n, m)`.
        weights: name -> tensor.
        outputs_like: a tensor with the shape and dtype of one step's output, or none.

    Returns:
        All outputs, `[(time, batch, n)]` or nothing, and the last carry.
    """
    dot = dot_with(kernels)

    def body(carry, inputs):
        return advance(carry, inputs, dot, weights)

    carry, outputs = fold(body, carry, [*projected, *constants], outputs_like, differentiated=True)
    return stacked(outputs), carry


def unrolled(advance, carry, projected, constants, kernels, weights, outputs_like):
    """As `loop`, but with a copy of the step for every step; `RNN` has checked that their number is known.

    Arguments and results are those of `loop`.
    """
    dot, steps = dot_with(kernels), []
    for inputs in zip(*(ops.unstack(x) for x in [*projected, *constants]), strict=True):
        carry, outputs = advance(carry, list(inputs), dot, weights)
        steps.append(outputs)
    return [ops.stack(outputs) for outputs in zip(*steps, strict=True)], carry


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
        projected, carry, matrices, vectors, constants = _split(arguments, sizes)
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
        outputs, before, products = _split(kept, (len(record.outputs_like), len(carry), len(record.names)))
        outputs = stacked(outputs)

        def gradient(*upstream, variables=()):
            if variables:
                raise InputError(
                    "the cell's step uses weights that are not among its elementwise_weights: "
                    f"{', '.join(variable.name for variable in variables)}. Add them there, and take them "
                    "from what step is given as weights; or use strategy='loop'"
                )
            d_outputs, d_last = _split(upstream_of(upstream), (len(outputs), len(carry)))
            totals, steps = fold(
                _replaying_backwards(advance, sizes, record, kernels, weight_names, vectors),
                [*d_last, *(_zero_total(vector) for vector in vectors)],
                [*projected, *constants, *before, *products, *d_outputs],
                # The gradient of a product takes the place of the product.
                [*products, *(p[0] for p in projected), *record.vectors_like],
                reverse=True,
            )
            d_carry, d_weights = _split(totals, (len(carry), len(vectors)))
            d_products, d_projected, multiplied = _split(
                stacked(steps), (len(products), len(projected), len(record.vectors))
            )
            d_kernels: dict[str, Tensor] = {}
            for name, (kind, index), d in zip(record.names, record.sources, d_products, strict=True):
                if kind == "vector":
                    d_kernel = _outer_sum(multiplied[index], d)
                elif index == record.output_is:
                    # What is in the outputs is not put together a second time.
                    d_kernel = _outer_sum(outputs[0][:-1], d[1:]) + _outer_sum(carry[index], d[0])
                else:
                    (multiplied_carry,) = stacked([before[index]])
                    d_kernel = _outer_sum(multiplied_carry, d)
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
    outputs, last = _split(results, (len(outputs_like), len(carry)))
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
        d_carry, d_weights = _split(d_carry, (carried, weight_count))
        projected, constants, carry, products, d_outputs = _split(inputs, inputs_sizes)

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


def _advance(step, projections, noise_names, count, zero_output_for_mask, return_all_outputs):
    """One step of time with its mask: (carry, inputs, dot, weights) -> (carry, outputs), flat lists all.

    The carry is the states and perhaps the output; the inputs are the projections, the noise and perhaps the
    mask.
    """

    def advance(carry, inputs, dot, weights):
        states, previous = carry[:count], carry[count:]
        projected, noise = _split(inputs, (projections, len(noise_names)))
        valid = inputs[projections + len(noise_names) :]
        weights = {**weights, **dict(zip(noise_names, noise, strict=True))}
        output, new_states = step(projected, states, _adding_products(dot), weights)
        if valid:
            otherwise = ops.zeros_like(output) if zero_output_for_mask else previous[0]
            output = ops.where(valid[0], output, otherwise)
            new_states = [ops.where(valid[0], new, old) for new, old in zip(new_states, states, strict=True)]
        return [*new_states, *([output] if previous else [])], [output] if return_all_outputs else []

    return advance


def _adding_products(dot):
    """`dot`, which adds by itself only what has the shape of a product; what is broadcast comes after."""

    def adding(name, x, plus=None):
        if plus is None or len(plus.shape) == len(x.shape):
            return dot(name, x, plus)
        return dot(name, x) + plus

    return adding


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


def _values(tensors):
    """The tensors as they are now: Keras's variables may be assigned to before a gradient is asked for."""
    tensors = [ops.convert_to_tensor(x) for x in tensors]
    if keras.backend.backend() == "jax":
        return tensors
    import tensorflow as tf

    return [tf.identity(x) for x in tensors]


def upstream_of(given) -> list[Tensor]:
    """What a custom gradient is handed over, as one list of tensors: on TensorFlow it is one argument for
    each result, perhaps sparse, on JAX one tuple."""
    if keras.backend.backend() == "jax":
        return keras.tree.flatten(given)
    import tensorflow as tf

    return [tf.convert_to_tensor(d) for d in given]


def first_derivative(d: Tensor) -> Tensor:
    """d, which refuses to be differentiated: what a forward pass has kept is a constant to its gradient, so
    that a derivative of that would be wrong."""

    def checked(d):
        def gradient(*_, **__):
            raise InputError(
                "there are no second derivatives through the strategies recompute and scan: use "
                "strategy='loop' for them"
            )

        return d, gradient

    return ops.custom_gradient(checked)(d)


def _zero_total(x):
    """Where a sum over all steps begins."""
    return ops.zeros_like(x, dtype=at_least_float32(x))


def _outer_sum(x, d):
    """The gradient of a kernel `(n, m)` from all steps: x `(time, batch, n)`, d `(time, batch, m)`."""
    x, d = (ops.reshape(a, (-1, a.shape[-1])) for a in (x, d))
    return ops.matmul(ops.transpose(x), d)


def _split(flat, sizes):
    """A flat sequence as consecutive lists of the given sizes."""
    parts, start = [], 0
    for size in sizes:
        parts.append(list(flat[start : start + size]))
        start += size
    return parts


STRATEGIES = {"loop": loop, "recompute": recompute}
"""Name -> function, of the strategies for any cell. Each has the arguments and results of `loop`."""

NAMES = (*STRATEGIES, "scan")
"""All strategies. A scan is for linear cells: `textrnn.layers.linear.recur_linearly`."""


def strategies_of(kind: str) -> tuple[str, ...]:
    """The strategies that can run a cell of that kind.

    Example:
    >>> from textrnn.layers.strategies import strategies_of
    >>> strategies_of("S"), strategies_of("P")
    (('loop', 'recompute'), ('loop', 'recompute', 'scan'))
    """
    return NAMES if kind == "P" else tuple(STRATEGIES)


def resolve(strategy: str, kind: str = "S", training: bool = True) -> str:
    """The name of the strategy that runs for `strategy`, which may be "auto".

    "auto" is `scan` for a linear cell. For others it is `recompute` in training, and `loop` where no gradient
    is expected: that keeps nothing for one. (Its gradient is right all the same.)

    Args:
        strategy: one of `NAMES`, or "auto".
        kind: the cell's.
        training: whether a gradient is expected.

    Raises:
        InputError: for an unknown strategy, and for a scan of a cell that is not linear.

    Example:
    >>> from textrnn.layers.strategies import resolve
    >>> resolve("auto"), resolve("auto", training=False), resolve("auto", kind="P")
    ('recompute', 'loop', 'scan')
    """
    if strategy == "auto":
        return "scan" if kind == "P" else "recompute" if training else "loop"
    if strategy not in NAMES:
        raise InputError(
            f"there is no strategy {strategy!r}: use auto, {', '.join(NAMES[:-1])} or {NAMES[-1]}"
        )
    if strategy not in strategies_of(kind):
        raise InputError(
            f"a scan needs a cell that is linear in its state (kind P), and this one is of kind {kind}: use "
            "the strategy auto, loop or recompute"
        )
    return strategy


def fold(
    body: Callable,
    carry: list[Tensor],
    inputs: list,
    outputs_like: list,
    reverse: bool = False,
    differentiated: bool = False,
) -> tuple[list[Tensor], list]:
    """Folds `body` over the leading axis of `inputs`, as a loop of the backend.

    Args:
        body: (carry, one step of each input) -> (new carry, one step of each output), all lists of tensors.
        carry: what the first step starts from.
        inputs: each a tensor `(time, ...)`, or what an earlier fold gave as an output.
        outputs_like: for each output a tensor with the shape and dtype of one of its steps; or one of
            `inputs` that an earlier fold gave, which it may take the memory of, step by step.
        reverse: whether to go from the last step to the first; outputs stay at the places of their steps.
        differentiated: whether the backend is going to differentiate the loop.

    Returns:
        The last carry, and the outputs as the backend keeps them: see `stacked`. In a graph, outputs that are
        one and the same tensor are kept once.

    Raises:
        InputError: for sequences that are known to have no steps.
    """
    if inputs[0].shape[0] == 0:
        raise InputError("the sequences have no steps: give at least one")
    backend = keras.backend.backend()
    if backend not in _FOLDS:
        raise InputError(f"textrnn runs on the backends {' and '.join(_FOLDS)}: {backend} is not one of them")
    kept_as: list[int] = []
    eager = _eager()  # two outputs may then be one tensor by chance, at one step and not at the next

    def without_repetitions(carry, inputs):
        carry, outputs = body(carry, inputs)
        same = [next(i for i, other in enumerate(outputs) if other is y) for y in outputs]
        kept_as[:] = range(len(outputs)) if eager else same
        return carry, [
            y if place == i else None for i, (place, y) in enumerate(zip(kept_as, outputs, strict=True))
        ]

    carry, outputs = _FOLDS[backend](
        without_repetitions, carry, inputs, outputs_like, reverse, differentiated
    )
    return carry, [outputs[place] for place in kept_as]


def stacked(sequences: list) -> list[Tensor]:
    """Outputs of a fold as tensors `(time, ...)`."""
    if keras.backend.backend() == "jax":
        return list(sequences)
    # One that stands for several outputs is stacked once.
    tensors = {id(x): x.stack() for x in sequences}
    return [tensors[id(x)] for x in sequences]


def _fold_tensorflow(body, carry, inputs, outputs_like, reverse, differentiated):
    import tensorflow as tf

    def array(x):
        return isinstance(x, tf.TensorArray)

    steps = next(x.shape[0] or tf.shape(x)[0] for x in inputs if not array(x))
    # A slice of the leading axis is no copy. But its gradient is a dense zero tensor a step, which makes
    # time quadratic: what is going to be differentiated is read from arrays.
    if differentiated:
        inputs = [tf.TensorArray(x.dtype, steps, element_shape=x.shape[1:]).unstack(x) for x in inputs]
    # Arrays rather than stacked tensors are handed from a forward loop to its backward loop: stacking copies.
    # In a graph, writing to an array gives another one. Eagerly it changes what a tape may need again.
    overwritten = {} if _eager() else {id(y): i for i, y in enumerate(outputs_like) if array(y)}

    def writer(like):
        if id(like) in overwritten:
            return like
        shape = like.element_shape if array(like) else like.shape
        return tf.TensorArray(like.dtype, steps, element_shape=shape, clear_after_read=False)

    def advance(count, carry, writers):
        time = steps - 1 - count if reverse else count
        begin, end = tf.reshape(time, [1]), tf.reshape(time + 1, [1])

        def read(x):
            if not array(x):
                return tf.strided_slice(x, begin, end, [1], shrink_axis_mask=1)
            # Read through the loop's own variable, so that nothing else refers to what is overwritten.
            return (writers[overwritten[id(x)]] if id(x) in overwritten else x).read(time)

        new_carry, outputs = body(carry, [read(x) for x in inputs])
        for new, old in zip(new_carry, carry, strict=True):
            new.set_shape(old.shape)  # what is known before the first step holds after each
        written = [w if y is None else w.write(time, y) for w, y in zip(writers, outputs, strict=True)]
        return count + 1, new_carry, written

    # XLA can differentiate a loop only if it knows how often it runs at most.
    _, carry, writers = tf.while_loop(
        lambda count, *_: count < steps,
        advance,
        (tf.constant(0), carry, [writer(like) for like in outputs_like]),
        maximum_iterations=steps,
    )
    return carry, writers


def _fold_jax(body, carry, inputs, outputs_like, reverse, differentiated):
    from jax import lax

    return lax.scan(body, carry, inputs, reverse=reverse)


_FOLDS: dict[str, Fold] = {"tensorflow": _fold_tensorflow, "jax": _fold_jax}


def vector_jacobian(function: Callable, arguments: tuple, cotangents: list[Tensor]) -> tuple[Any, Any]:
    """The vector-Jacobian product of a function at a point.

    Args:
        function: pure, `function(*arguments) -> (outputs, others)`, where outputs is a list of tensors.
        arguments: nested lists of tensors.
        cotangents: a tensor for each output.

    Returns:
        The gradients, structured as `arguments`, zero where nothing depends on them; and the others.
    """
    if keras.backend.backend() == "jax":
        import jax

        _, pull_back, others = jax.vjp(function, *arguments, has_aux=True)
        return pull_back(cotangents), others
    import tensorflow as tf

    if _eager():  # one tensor that stands for two arguments would get the gradients of both, twice
        arguments = keras.tree.map_structure(tf.identity, arguments)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(arguments)
        outputs, others = function(*arguments)
    gradients = tape.gradient(outputs, arguments, cotangents, unconnected_gradients="zero")
    return gradients, others


def _eager():
    """Whether a loop calls its body for each step, rather than once to see what it does."""
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.config.values["jax_disable_jit"])
    import tensorflow as tf

    return tf.executing_eagerly()


def accelerated() -> bool:
    """Whether the backend computes on something else than a CPU."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() != "cpu"
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def parallel_scan(a: Tensor, b: Tensor, reverse: bool = False) -> Tensor:
    """All c(t) = a(t) ⊙ c(t−1) + b(t) with nothing before the first step, in a logarithmic number of turns.

    Args:
        a, b: `(time, batch, n)`.
        reverse: whether c(t) depends on c(t+1) instead.
    """
    if keras.backend.backend() == "jax":
        from jax import lax

        def combine(earlier, later):
            (a1, b1), (a2, b2) = earlier, later
            return a1 * a2, a2 * b1 + b2

        return lax.associative_scan(combine, (a, b), reverse=reverse)[1]
    return _doubling_tensorflow(a, b, reverse)


def _doubling_tensorflow(a, b, reverse):
    # Each turn joins to what every step knows of the last n steps what the step n before it knows of its own:
    # more work than combining in pairs, but no shape depends on the turn, so XLA compiles it too, and the
    # number of steps may be unknown.
    import tensorflow as tf

    steps = tf.shape(a)[0]
    time = tf.reshape(tf.range(steps), [-1] + [1] * (len(a.shape) - 1))

    def turn(reach, a, b):
        joins = time < steps - reach if reverse else time >= reach
        shift = -reach if reverse else reach
        a_before = tf.where(joins, tf.roll(a, shift, 0), tf.ones_like(a))
        b_before = tf.where(joins, tf.roll(b, shift, 0), tf.zeros_like(b))
        return 2 * reach, a * a_before, a * b_before + b

    return tf.while_loop(lambda reach, *_: reach < steps, turn, (tf.constant(1), a, b))[2]

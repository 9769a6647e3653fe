"""Parts of a training step, from an LSTM without activations down to its matrix products."""

from recurrent_layers.keras_layers import finished, keras_run
from recurrent_layers.works import CONTESTANTS, GATES, random_inputs


def run_variant(work, rule):
    """The measured function for a cell with the weights of an LSTM and another step.

    Args:
        work: The `Work`.
        rule: A function of the four gates before their activations and the two states that returns the
            output and the new states.
    """
    import textrnn

    class Variant(textrnn.GatedCell):
        def __init__(self, units):
            super().__init__(units, "lstm")

        def step(self, projected, states, dot, weights):
            h = states[0]
            gates = [dot(role, h, x) for role, x in zip(self.spec.learned, projected, strict=True)]
            return rule(gates, *states)

    return keras_run(work, textrnn.Recurrent(Variant(work.units), return_sequences=True))


@CONTESTANTS.add("without activations", tasks=("parts",))
def run_without_activations(work):
    """An LSTM with linear gates."""

    def rule(gates, h, c):
        i, f, g, o = gates
        c = f * c + i * g
        return o * c, [o * c, c]

    return run_variant(work, rule)


@CONTESTANTS.add("products alone", tasks=("parts",))
def run_products(work):
    """All matrix products of the layer, with a gradient of its own for each gate."""

    def rule(gates, h, c):
        h = sum(0.1 * (k + 1) * gate for k, gate in enumerate(gates))
        return h, [h, c]

    return run_variant(work, rule)


@CONTESTANTS.add("projections alone", needs="tensorflow", tasks=("parts",))
def run_projections(work):
    """The input projections and their gradients, without a loop."""
    import tensorflow as tf

    import textrnn

    cell, x = textrnn.GatedCell(work.units, work.cell), tf.constant(random_inputs(work))
    cell.build(x.shape)
    gradients = [tf.transpose(x, [1, 0, 2])] * GATES[work.cell]

    @tf.function(autograph=False)
    def run():
        with tf.GradientTape() as tape:
            tape.watch(x)
            projected = cell.project_inputs(tf.transpose(x, [1, 0, 2]))
        return [*projected, *tape.gradient(projected, [x, cell.kernel.value, cell.bias.value], gradients)]

    return lambda: finished(run())


@CONTESTANTS.add("floor", needs="tensorflow", tasks=("forward", "training", "parts"))
def run_floor(work):
    """Plain matrix products of the sizes of the layer, the recurrent ones one after another."""
    import tensorflow as tf

    gates, training = GATES[work.cell], work.task != "forward"
    flat = tf.random.normal((work.batch_size * work.steps, work.units))
    wide = tf.random.normal((work.batch_size * work.steps, gates * work.units))
    kernel = tf.random.normal((work.units, gates * work.units))
    row, wide_row = flat[: work.batch_size], wide[: work.batch_size]

    @tf.function(autograph=False)
    def run():
        total = tf.reduce_sum(tf.matmul(flat, kernel)[0])

        def step(t, h, d):
            # Each product depends on the one before, as in a recurrence.
            z = tf.matmul(h, kernel)
            return t + 1, h + 1e-9 * z[:, : work.units], d

        def step_back(t, h, d):
            return t + 1, h, d + 1e-9 * tf.matmul(d, kernel, transpose_b=True)[:, :1]

        _, h, _ = tf.while_loop(lambda t, *_: t < work.steps, step, (0, row, wide_row))
        if training:
            _, _, d = tf.while_loop(lambda t, *_: t < work.steps, step_back, (0, row, wide_row))
            for x in (flat, flat):  # the gradients of both kernels
                total += tf.reduce_sum(tf.matmul(x, wide, transpose_a=True)[0])
            total += tf.reduce_sum(tf.matmul(wide, kernel, transpose_b=True)[0]) + tf.reduce_sum(d[0])
        return total + tf.reduce_sum(h[0])

    return lambda: run().numpy()

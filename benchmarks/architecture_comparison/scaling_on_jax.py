"""Time and memory against length on the JAX backend, for accelerators; `scaling` needs TensorFlow."""

import contextlib
import dataclasses
import functools
import statistics

import harness
from architecture_comparison.networks import body_weights, language_model, recurrent_backbone, size_within
from architecture_comparison.scaling import NEW_TOKENS
from architecture_comparison.settings import CELLS
from architecture_comparison.steppers import stepper

SECONDS = 0.1
"""About how long a measurement repeats a step."""


class Measurement:
    """A contestant at a length, whose functions compile in the background.

    Args:
        name: A contestant.
        length: Tokens of a window in training, and tokens that precede the last new one in generation.
        settings: The `Settings` of the text task. Of these, `length` is replaced.
        tokens: Tokens of a training step, in `tokens // length` rows.
        pool: Where to compile, a `concurrent.futures.Executor`.
    """

    def __init__(self, name, length, settings, tokens, pool):
        size = size_within(functools.partial(network, name, settings=settings), settings)
        settings = dataclasses.replace(settings, length=length, batch_size=max(1, tokens // length))
        model = network(name, size, settings)
        self.facts = {"size": size, "weights": body_weights(model, settings), "rows": settings.batch_size}
        self.new_tokens = min(NEW_TOKENS, length)
        self.training = in_background(pool, *training_step(name, model, settings))
        self.generation = in_background(pool, *last_tokens(name, model, length, self.new_tokens))

    def figures(self, rounds):
        """Measure.

        Args:
            rounds: Number of measurements.

        Returns:
            As `scaling.measure`, without `"peak_mb"`. `"memory_mb"` is what the compiled step keeps besides
            its arguments and results: activations and gradients.
        """
        step, generate = self.training.result(), self.generation.result()
        return self.facts | {
            "step_ms": round(median_time(step, rounds), 3),
            "memory_mb": round(step.func.memory_analysis().temp_size_in_bytes / 2**20),
            "token_ms": round(median_time(generate, rounds) / self.new_tokens, 4),
        }


def in_background(pool, function, arguments):
    """The compiled function with its arguments, as a future."""
    import jax

    arguments = jax.device_put(arguments)
    lowered = jax.jit(function).lower(*arguments)
    return pool.submit(lambda: functools.partial(lowered.compile(), *arguments))


def network(name, size, settings):
    """The layers of a contestant's language model. `textrnn.CausalLM` needs TensorFlow."""
    make = recurrent_backbone if name in CELLS else language_model
    return make(name, size, settings)


def logits_of(name, model, token_ids):
    """The logits of a window in training."""
    if name not in CELLS:
        return model({"token_ids": token_ids}, training=True)
    hidden, _ = model.run(token_ids, model.get_initial_states(token_ids.shape[0]), training=True)
    return model.token_embedding(hidden, reverse=True)


@contextlib.contextmanager
def variables_of(model, values):
    """Context manager in which the variables of a model have these values."""
    import keras

    with keras.StatelessScope(state_mapping=[*zip(model.variables, values, strict=True)]):
        yield


def training_step(name, model, settings):
    """A training step as in the text task: a function, and its arguments."""
    import jax
    import keras
    import numpy as np

    optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    trained = [any(v is each for each in model.trainable_variables) for v in model.variables]

    def loss(weights, others, token_ids):
        weights, others = iter(weights), iter(others)
        values = [next(weights if is_trained else others) for is_trained in trained]
        with variables_of(model, values):
            logits = logits_of(name, model, token_ids[:, :-1])
        losses = keras.losses.sparse_categorical_crossentropy(token_ids[:, 1:], logits, from_logits=True)
        return losses.mean()

    def step(weights, others, slots, token_ids):
        gradients = jax.grad(loss)(weights, others, token_ids)
        return optimizer.stateless_apply(slots, gradients, weights)

    shape = settings.batch_size, settings.length + 1
    token_ids = np.random.default_rng(0).integers(settings.vocabulary_size, size=shape, dtype=np.int32)
    others = [v for v, is_trained in zip(model.variables, trained, strict=True) if not is_trained]
    states = (model.trainable_variables, others, optimizer.variables)
    return step, (*([v.value for v in part] for part in states), token_ids)


def last_tokens(name, model, length, new_tokens):
    """The generation of the last tokens of a text of a length: a function, and its arguments."""
    from jax import lax
    from jax import numpy as jnp

    def generate(values, states):
        with variables_of(model, values):
            _, step = stepper(name, model, length)

            def body(index, carry):
                token_ids, states = carry
                logits, states = step(token_ids, states, index)
                return jnp.argmax(logits, axis=-1).astype("int32"), states

            return lax.fori_loop(length - new_tokens, length, body, (jnp.zeros([1], "int32"), states))[0]

    states, _ = stepper(name, model, length)
    return generate, ([v.value for v in model.variables], states)


def median_time(run, rounds):
    """The median time of a function of JAX, in milliseconds."""
    import jax

    def finish():
        jax.block_until_ready(run())

    finish()
    [times] = harness.measure_times({"": finish}, rounds, SECONDS).values()
    return statistics.median(times)

"""Time and memory against length: one training step, and one generated token."""

import dataclasses
import functools
import itertools
import json
import statistics
import time

import harness
from architecture_comparison.networks import body_weights, language_model, size_within
from architecture_comparison.settings import CELLS
from architecture_comparison.steppers import stepper

NEW_TOKENS = 32


def measure(name, length, settings, tokens, rounds, xla):
    """Measure a contestant at a length. The peak of memory is that of the process.

    Args:
        name: A contestant.
        length: Tokens of a window in training, and tokens that precede the last new one in generation.
        settings: The `Settings` of the text task. Of these, `length` is replaced.
        tokens: Tokens of a training step, in `tokens // length` rows.
        rounds: Number of measurements.
        xla: Whether XLA compiles the step and the generation.

    Returns:
        A dict: `"step_ms"`, `"token_ms"`, the median time of a training step and a generated token;
        `"memory_mb"`, how much training raises the peak of memory of the process to `"peak_mb"`; `"rows"` and
        `"weights"`.
    """
    size = size_within(functools.partial(language_model, name, settings=settings), settings)
    settings = dataclasses.replace(settings, length=length, batch_size=max(1, tokens // length))
    model = language_model(name, size, settings)
    training = measure_training(name, model, settings, rounds, xla)
    generation = measure_generation(name, model, length, rounds, xla)
    facts = {"size": size, "weights": body_weights(model, settings), "rows": settings.batch_size}
    return facts | training | generation


def measure_training(name, model, settings, rounds, xla):
    """The time of a training step as in the text task, and the peak of memory."""
    import keras
    import numpy as np

    from architecture_comparison.text import random_windows
    from textrnn.data.windows import windows
    from textrnn.training.losses import TokenCrossentropy

    model.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        TokenCrossentropy(reduction="mean_with_sample_weight"),
        jit_compile=xla,
    )
    steps = rounds + 2  # the first ones compile
    count = steps * settings.batch_size * settings.length + 1
    stream = np.random.default_rng(0).integers(settings.vocabulary_size, size=count, dtype=np.int32)
    batches = (windows if name in CELLS else random_windows)(stream, settings.batch_size, settings.length)
    before, times = harness.peak_memory(), []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: times.append(time.perf_counter())
    )
    model.fit(batches, shuffle=False, verbose=0, callbacks=[clock])
    seconds = [b - a for a, b in itertools.pairwise(times)][1:]
    peak = harness.peak_memory()
    return {
        "step_ms": round(1000 * statistics.median(seconds), 2),
        "memory_mb": round(peak - before),
        "peak_mb": round(peak),
    }


def measure_generation(name, model, length, rounds, xla):
    """The time of each of the last tokens of a text of a length."""
    import tensorflow as tf

    states, step = stepper(name, model, length)
    new_tokens = min(NEW_TOKENS, length)
    structure = [tf.TensorSpec(state.shape, state.dtype) for state in tf.nest.flatten(states)]

    @functools.partial(tf.function, autograph=False, jit_compile=xla)
    def generate(flat):
        def body(index, token_ids, flat):
            logits, new = step(token_ids, tf.nest.pack_sequence_as(states, flat), index)
            return index + 1, tf.argmax(logits, axis=-1, output_type=tf.int32), tf.nest.flatten(new)

        start = (tf.constant(length - new_tokens), tf.zeros([1], tf.int32), flat)
        return tf.while_loop(lambda index, *_: index < length, body, start, maximum_iterations=new_tokens)[1]

    generate = generate.get_concrete_function(structure)
    flat = tf.nest.flatten(states)

    def run():
        return generate(*flat).numpy()

    run()
    [times] = harness.measure_times({name: run}, rounds).values()
    return {"token_ms": round(statistics.median(times) / new_tokens, 4)}


def measure_in_process(script, name, length, settings, tokens, rounds, xla):
    """`measure` in a process of its own, which runs `script --worker` with the arguments as JSON."""
    given = {
        "name": name,
        "length": length,
        "settings": dataclasses.asdict(settings),
        "tokens": tokens,
        "rounds": rounds,
        "xla": xla,
    }
    return json.loads(harness.run_in_subprocess(script, "--worker", json.dumps(given)))

"""Language models of bytes."""

import functools

from architecture_comparison.jobs import Job, seeded
from architecture_comparison.networks import language_model, size_within
from architecture_comparison.settings import CELLS


def prepare_text(run, settings):
    """A language model of bytes. Recurrent ones carry their states from window to window.

    The score is bits per character. The first half of the data set's validation text is the test part, and
    the other half the validation part.
    """
    from textrnn.data.windows import evaluation_windows, windows
    from textrnn.text_generation.evaluation import LanguageModelEvaluator
    from textrnn.training.losses import TokenCrossentropy

    train, parts = byte_streams(settings.data, settings.scored)
    shape = settings.batch_size, settings.length
    make = functools.partial(language_model, run.contestant, settings=settings)
    size = size_within(make, settings)
    model = seeded(make, size, run.seed)
    if run.contestant in CELLS:
        batches, scored_windows = windows(train, *shape), evaluation_windows
    else:
        batches, scored_windows = random_windows(train, *shape, run.seed), overlapping_windows
    evaluator = LanguageModelEvaluator(model)
    scored = {part: scored_windows(stream, *shape) for part, (stream, _) in parts.items()}
    evaluator.prepare(scored["test"])

    def bits_per_character(part):
        return evaluator(scored[part], parts[part][1]).bits_per_character

    loss = TokenCrossentropy(reduction="mean_with_sample_weight")
    return Job(model, size, batches, loss, bits_per_character)


@functools.cache
def byte_streams(data, scored):
    """The bytes to train on, and those to score.

    Args:
        data: `"starter"`, the name of a public set, or a file.
        scored: Maximum number of bytes to score.

    Returns:
        An int32 array, and a dict from parts to `(array, number of characters)`. Each array begins with
        the byte before the first one that is scored.
    """
    import numpy as np

    from textrnn.data.datasets import dataset_names
    from textrnn.data.sources import load_texts

    named = data in dataset_names("text")
    texts = load_texts(None if named or data == "starter" else data, data if named else None)
    train, validation = (
        np.frombuffer("\n".join(d.text for d in documents).encode(), np.uint8).astype(np.int32)
        for documents in (texts.train, texts.validation)
    )
    half = len(validation) // 2
    parts = {"test": validation[: half + 1], "validation": validation[half:]}
    return train, {
        part: (stream[: scored + 1], count_characters(stream[1 : scored + 1]))
        for part, stream in parts.items()
    }


def count_characters(utf8):
    """The number of characters that begin in an array of UTF-8 bytes."""
    return int(((utf8 & 0xC0) != 0x80).sum())


def random_windows(stream, batch_size, length, seed=0):
    """Windows that begin anywhere in a token stream, as many in an epoch as the stream holds side by side.

    Returns:
        A `tf.data.Dataset` of known length with elements `({"token_ids": (batch, time) int32}, targets)`. The
        targets have the same shape.
    """
    import numpy as np
    import tensorflow as tf

    from textrnn.data.batching import generated_dataset

    steps = max(1, (len(stream) - 1) // (batch_size * length))

    def generate(epoch):
        random = np.random.default_rng((seed, epoch))
        for _ in range(steps):
            starts = random.integers(len(stream) - length, size=(batch_size, 1))
            rows = stream[starts + np.arange(length + 1)]
            yield {"token_ids": rows[:, :-1]}, rows[:, 1:]

    tokens = tf.TensorSpec([batch_size, length], tf.int32)
    return generated_dataset(generate, ({"token_ids": tokens}, tokens), steps)


def overlapping_windows(stream, batch_size, length):
    """Windows that score every token except the first exactly once, each after at least half a window.

    Windows begin half a window apart, and each scores its second half. Only the first one scores all of its
    tokens, since no more context exists.

    Returns:
        A `tf.data.Dataset` of known length with elements like those of `random_windows`, and weights
        `(batch, time)` float32: 1 for tokens to score.
    """
    import numpy as np
    import tensorflow as tf

    from textrnn.data.batching import generated_dataset

    targets, half = len(stream) - 1, length // 2
    starts = np.arange(0, max(1, targets - length + half), half)
    starts = np.append(starts, np.full(-len(starts) % batch_size, targets))  # rows without a token

    def generate(epoch):
        for rows in starts.reshape(-1, batch_size, 1):
            positions = rows + np.arange(length)
            scored = (positions < targets) & ((rows == 0) | (positions >= rows + length - half))
            positions = np.minimum(positions, targets - 1)
            yield {"token_ids": stream[positions]}, stream[positions + 1], scored.astype(np.float32)

    tokens, weights = (tf.TensorSpec([batch_size, length], dtype) for dtype in (tf.int32, tf.float32))
    return generated_dataset(generate, ({"token_ids": tokens}, tokens, weights), len(starts) // batch_size)

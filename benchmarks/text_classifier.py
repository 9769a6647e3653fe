"""Compare the text classifier of textrnn with the same model in Keras and PyTorch.

    python benchmarks/text_classifier.py --output benchmarks/results
    python benchmarks/text_classifier.py --task inference --units 64
    python benchmarks/text_classifier.py --quick

The model is an embedding, a bidirectional LSTM, the maximum of its outputs over the unpadded steps, and a
projection to two classes, in float32 and with the same number of weights for all contestants. The lengths of
the texts are similar to those of the IMDB reviews, from 10 tokens to 400, where texts are truncated. Tokens
are random, which does not change the work.

- training: texts per second of `fit`, with the cross-entropy, the accuracy, and Adam with the gradients
  clipped to a global norm of 1.
- inference: texts per second of `predict_on_batch`.

Contestants:

- textrnn: `textrnn.TextClassifier` compiled with its defaults. A batch has texts of similar length and is
  padded to its longest text.
- Keras: `keras.layers.Embedding`, `Bidirectional(LSTM)` and `Dense`, on the same batches.
- Keras, padded: the same model on batches padded to 400 tokens, as `keras.utils.pad_sequences(maxlen=400)`
  pads them.
- PyTorch: layers of `torch.nn` and a plain training loop with fused Adam, on the same batches as textrnn. The
  LSTM also runs over the padding, where its backward direction begins, and has a second bias.
- PyTorch, packed: the same with packed sequences, which is exactly the function of textrnn. On a CPU, packed
  sequences do not use the fused LSTM of oneDNN.

See harness/__init__.py for the timing. Ratios above 1 mean that textrnn is faster.
"""

import dataclasses

import harness
from harness import OURS


@dataclasses.dataclass(frozen=True)
class Work:
    """A classifier and what to do with it.

    Attributes:
        task: "training" or "inference".
        units: Units of the LSTM in each direction, and the width of the embedding.
        texts: Texts of a run.
        batch_size: Texts of a batch.
        longest: Tokens at which texts are truncated.
        vocabulary_size: Tokens of the vocabulary.
    """

    task: str
    units: int
    texts: int = 256
    batch_size: int = 32
    longest: int = 400
    vocabulary_size: int = 8000

    def __str__(self):
        model = f"vocabulary {self.vocabulary_size:,}, 2 × {self.units} units"
        return f"{self.task}: {model}, batch {self.batch_size}, up to {self.longest} tokens"


TASKS = ("training", "inference")
WORKS = tuple(Work(task, units) for task in TASKS for units in (64, 128))
QUICK = {"units": 8, "texts": 8, "batch_size": 4, "longest": 20, "vocabulary_size": 50}

CONTESTANTS = harness.Contestants()
"""Functions of a `Work` and a seed that return a function to measure."""


@CONTESTANTS.add(OURS)
def run_textrnn(work, seed):
    """The classifier of textrnn on batches of similar length."""
    return pass_over(work, textrnn_model(work), make_batches(work, seed))


@CONTESTANTS.add("Keras")
def run_keras(work, seed):
    """The model in Keras on the same batches."""
    return pass_over(work, keras_model(work), make_batches(work, seed))


@CONTESTANTS.add("Keras, padded")
def run_keras_padded(work, seed):
    """The model in Keras on batches padded to one length."""
    return pass_over(work, keras_model(work), make_batches(work, seed, padded=True))


@CONTESTANTS.add("PyTorch", needs="torch")
def run_torch(work, seed, packed=False):
    """The model in PyTorch on the same batches."""
    import torch_classifier

    model = torch_classifier.Classifier(work, packed).to(harness.torch_device())
    batches = [torch_classifier.to_torch(model, *batch) for batch in make_batches(work, seed)]
    train = torch_classifier.training(model, batches)

    def run():
        if work.task == "inference":
            torch_classifier.predictions(model, batches)
        else:
            train()
        return work.texts

    return run


@CONTESTANTS.add("PyTorch, packed", needs="torch")
def run_torch_packed(work, seed):
    """The same with packed sequences."""
    return run_torch(work, seed, packed=True)


def textrnn_model(work):
    """The compiled model in textrnn."""
    import textrnn

    encoder = textrnn.RecurrentEncoder(work.vocabulary_size, "lstm", work.units)
    classifier = textrnn.TextClassifier(encoder, ["negative", "positive"], pooling="max")
    classifier.compile()
    return classifier


def keras_model(work):
    """The compiled model in Keras."""
    import keras
    from keras import layers, ops

    inputs = {
        "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
        "padding_mask": keras.Input((None,), dtype="bool", name="padding_mask"),
    }
    mask = inputs["padding_mask"]
    x = layers.Embedding(work.vocabulary_size, work.units)(inputs["token_ids"])
    x = layers.Bidirectional(layers.LSTM(work.units, return_sequences=True))(x, mask=mask)
    x = ops.max(ops.where(ops.expand_dims(mask, -1), x, -float("inf")), axis=1)
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    return model


def make_texts(work, seed):
    """Token ids of random texts, a list of int32 arrays, and targets, an int32 array."""
    import numpy as np

    random = np.random.default_rng(seed)
    shares = np.exp(random.normal(-0.8, 0.6, work.texts)).clip(1 / 40, 1)  # similar to IMDB
    lengths = np.ceil(shares * work.longest).astype(int)
    tokens = [random.integers(1, work.vocabulary_size, length, np.int32) for length in lengths]
    return tokens, random.integers(0, 2, work.texts, np.int32)


def make_batches(work, seed, padded=False):
    """The batches of an epoch, a list of inputs and targets as NumPy arrays.

    Args:
        work: The `Work`.
        seed: Seed of lengths, tokens and targets.
        padded: Whether to pad all batches to the maximum length.
    """
    import numpy as np

    from textrnn.data import batching

    batches = []
    for inputs, of_batch in batching.text_batches(*make_texts(work, seed), work.batch_size, seed=seed):
        wider = work.longest - inputs["token_ids"].shape[1] if padded else 0
        arrays = {name: np.pad(values, ((0, 0), (0, wider))) for name, values in inputs.items()}
        batches.append((arrays, of_batch.numpy()))
    return batches


def pass_over(work, model, batches):
    """The measured function: an epoch of training or inference that returns the number of texts."""
    import tensorflow as tf

    from textrnn.data import batching

    def predict():
        for inputs, _ in batches:
            model.predict_on_batch(inputs)
        return work.texts

    if work.task == "inference":
        return predict
    spec = tf.nest.map_structure(lambda x: tf.TensorSpec([None] * x.ndim, x.dtype), batches[0])
    dataset = batching.generated_dataset(lambda epoch: iter(batches), spec, len(batches))

    def fit():
        model.fit(dataset, epochs=1, shuffle=False, verbose=0)
        return work.texts

    return fit


def measure(work, rounds, seed):
    """The result of a work in texts per second."""
    import keras

    rates = harness.measure_rates(CONTESTANTS.prepare(work, seed, seed=seed), rounds)
    keras.backend.clear_session()
    return harness.result(work, rates, unit="texts/s")


def main():
    """Run the benchmark."""
    parser = harness.make_parser(__doc__, __file__)
    harness.add_tasks(parser, TASKS)
    sizes = {
        "units": "units in each direction (default: 64 and 128)",
        "texts": "texts of a run (default: 256)",
    }
    harness.add_sizes(parser, sizes)
    given = parser.parse_args()
    works = [work for work in WORKS if work.task in given.task]
    harness.run_benchmark(
        "text_classifier",
        harness.changed(works, QUICK, given, *sizes),
        lambda work, rounds: measure(work, rounds, given.seed),
        given,
        peers=("torch",),
    )


if __name__ == "__main__":
    main()

"""Compare the translator of textrnn with the same model in PyTorch and Keras.

    python benchmarks/translation.py --output benchmarks/results
    python benchmarks/translation.py --task greedy beam --rounds 9
    python benchmarks/translation.py --quick

The model has one embedding matrix for source, target and output, a bidirectional LSTM encoder, linear maps
of its last states to the initial states of an LSTM decoder, and scaled general (multiplicative) attention
after the decoder, all in float32. Contestants have the same number of weights except for the second bias of
PyTorch's LSTM. The numbers are printed, and a difference above 1 % is an error. Sentences have 8 to 24
tokens, similar to image captions, in batches of similar length. Tokens are random, which does not change the
work. All contestants read the same batches.

- training: sentence pairs per second of an epoch with dropout, the cross-entropy with label smoothing, and
  Adam with the gradients clipped to a global norm of 1. The start-up time of `fit`, some hundredths of a
  second, is included.
- greedy: sentences per second of encoding and greedy decoding of a batch.
- beam: the same with a beam of 5.

Decoders test for the end token at each step but never find it, since it is no token of the vocabulary. So all
contestants take the same number of steps. The benchmark checks this for the search of textrnn, which would
also stop when all texts repeat themselves.

Contestants:

- textrnn: `textrnn.Seq2SeqLM` with `fit` and with `search` in a TensorFlow function that reads the
  weights as an exported model does. Its search also ends texts that repeat themselves.
- Keras: layers of Keras and KerasHub, trained by `fit` with the same loss. It does not translate.
- PyTorch: layers of `torch.nn`, a plain training loop with fused Adam, and Python loops over the tokens of a
  batch, with all hypotheses of a beam at once. Attention keys are projected once. The encoder runs over the
  padding, which attention masks. Most scripts do this, although the backward direction starts in the padding.
- PyTorch, packed: the same with a packed sequence for the encoder, which is exactly the function of textrnn.
  On a CPU, packed sequences do not use the fused LSTM of oneDNN.

See harness/__init__.py for the timing. Ratios above 1 mean that textrnn is faster. Run this on an idle
machine, since the threads of PyTorch wait for each other after each operation and slow down out of proportion
when another process takes their cores (see `--torch_threads`).
"""

import dataclasses
from collections.abc import Callable

import harness
from harness import OURS


@dataclasses.dataclass(frozen=True)
class Work:
    """A translator and what to do with it.

    Attributes:
        task: "training", "greedy" or "beam".
        beams: Hypotheses of a beam.
        vocabulary_size: Tokens of the shared vocabulary.
        units: Units of every LSTM, and the width of the embedding.
        batch_size: Sentences of a batch.
        batches: Batches of a run.
        new_tokens: Tokens to decode for each sentence.
        end: The token that ends a text in decoding; -1 is no token.
        dropout: The dropout rate in training.
        label_smoothing: The label smoothing in training.
    """

    task: str
    beams: int = 1
    vocabulary_size: int = 8000
    units: int = 256
    batch_size: int = 64
    batches: int = 8
    new_tokens: int = 14
    end: int = -1
    dropout: float = 0.4
    label_smoothing: float = 0.1

    def __str__(self):
        name = f"{self.task} of {self.beams}" if self.task == "beam" else self.task
        steps = "" if self.task == "training" else f", {self.new_tokens} tokens"
        model = f"vocabulary {self.vocabulary_size:,}, {self.units} units"
        return f"{name}: {model}, {self.batches} batches of {self.batch_size}{steps}"

    @property
    def sentences(self):
        return self.batches * self.batch_size


@dataclasses.dataclass(frozen=True)
class Run:
    """A measured function that returns the number of sentences, and the number of weights of its model."""

    function: Callable[[], object]
    sentences: int
    weights: int

    def __call__(self):
        self.function()
        return self.sentences


WORKS = (Work("training"), Work("greedy"), Work("beam", beams=5))
TASKS = tuple(work.task for work in WORKS)
QUICK = {"vocabulary_size": 2000, "units": 8, "batch_size": 4, "batches": 2}

START = END = 1  # the same token, as in the tokenizers of textrnn
SHORTEST, LONGEST = 8, 24
POOL = 50
"""Batches that `pair_batches` sorts by length together."""

CONTESTANTS = harness.Contestants()
"""Functions of a `Work` and its batches that return a `Run`."""


def make_sides(work, pairs, seed):
    """Token ids of random sentence pairs, two lists of int32 arrays."""
    import numpy as np

    random = np.random.default_rng(seed)
    lengths = random.normal(14, 4, pairs)
    lengths = np.stack([lengths, lengths + random.normal(0, 2, pairs)])  # both lengths are correlated
    return [
        [np.append(random.integers(2, work.vocabulary_size, n - 1, np.int32), np.int32(END)) for n in side]
        for side in lengths.round().astype(int).clip(SHORTEST, LONGEST)
    ]


def make_batches(work, seed):
    """The batches of an epoch, a dataset from `pair_batches` with the same order in every epoch."""
    from textrnn.data import batching

    sides = make_sides(work, max(POOL, work.batches) * work.batch_size, seed)
    batches = batching.pair_batches(*sides, work.batch_size, START, seed=seed, pool=POOL)
    return batches.take(work.batches).cache()


# === textrnn ===


@CONTESTANTS.add(OURS)
def run_textrnn(work, batches):
    """`Seq2SeqLM` compiled as in the recipe."""
    lm = textrnn_model(work)
    if work.task == "training":

        def fit():
            lm.fit(batches, epochs=1, shuffle=False, verbose=0)

        return Run(fit, work.sentences, lm.count_params())

    search = textrnn_search(work, lm)
    sources = [(x["encoder_token_ids"], x["encoder_padding_mask"]) for x, *_ in batches]
    if not all(search(*source)[1].numpy().max() == work.new_tokens for source in sources):
        raise RuntimeError("the search of textrnn ended early because all texts of a batch repeat themselves")
    return Run(lambda: [search(*source)[0].numpy() for source in sources], work.sentences, lm.count_params())


def textrnn_model(work):
    """The compiled model in textrnn."""
    import textrnn

    backbone = textrnn.RecurrentSeq2Seq(work.vocabulary_size, units=work.units, dropout=work.dropout)
    return compiled(textrnn.Seq2SeqLM(backbone), work)


def compiled(model, work):
    """A Keras model, compiled as in the recipe."""
    import keras

    from textrnn.training import losses

    model.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        losses.TokenCrossentropy(work.label_smoothing, reduction="mean_with_sample_weight"),
    )
    return model


def textrnn_search(work, lm):
    """A function of a source and its mask that returns the best texts `(batch, steps)` and their lengths."""
    import tensorflow as tf

    def search(token_ids, mask):
        found = lm.search(
            token_ids,
            mask,
            max_beams=work.beams,
            num_beams=work.beams,
            max_new_tokens=work.new_tokens,
            limit=work.new_tokens,
            stop_token_ids=(work.end,),
            best_only=True,
        )
        return found.token_ids[:, 0], found.lengths[:, 0]

    spec = [tf.TensorSpec([None, None], dtype) for dtype in (tf.int32, tf.bool)]
    return harness.as_exported(search, spec, lm)


# === Keras ===


@CONTESTANTS.add("Keras", tasks=("training",))
def run_keras(work, batches):
    """The same model in plain Keras, compiled as in the recipe."""
    import keras_translator

    model, batches = compiled(keras_translator.make_translator(work), work), keras_batches(batches)

    def fit():
        model.fit(batches, epochs=1, shuffle=False, verbose=0)

    return Run(fit, work.sentences, model.count_params())


def keras_batches(batches):
    """The batches as the model in plain Keras takes them."""
    import keras_translator

    return batches.map(keras_translator.without_target_mask).prefetch(2)


# === PyTorch ===


@CONTESTANTS.add("PyTorch", needs="torch")
def run_torch(work, batches, packed=False):
    """The same model in PyTorch."""
    import torch

    import torch_translator

    model = torch_translator.Translator(work, START, packed).to(harness.torch_device())
    weights = sum(p.numel() for p in model.parameters())
    pairs = [torch_translator.to_torch(model, *batch) for batch in batches]
    if work.task == "training":
        return Run(torch_translator.training(work, model, pairs), work.sentences, weights)

    model.eval()
    decode = torch_translator.greedy if work.task == "greedy" else torch_translator.beam_search

    @torch.inference_mode()
    def decode_all():
        return [decode(work, model, source, mask).cpu().numpy() for source, mask, *_ in pairs]

    return Run(decode_all, work.sentences, weights)


@CONTESTANTS.add("PyTorch, packed", needs="torch")
def run_torch_packed(work, batches):
    """The same with packed sequences in the encoder."""
    return run_torch(work, batches, packed=True)


# === Measuring ===


def measure(work, rounds, seed):
    """The result of a work in sentences per second, with the number of weights of each contestant."""
    import keras

    runs = CONTESTANTS.prepare(work, make_batches(work, seed), seed=seed)
    weights = {name: run.weights for name, run in runs.items()}
    if max(weights.values()) > 1.01 * min(weights.values()):
        raise RuntimeError(f"the models differ, since their numbers of weights do: {weights}")
    rates = harness.measure_rates(runs, rounds)
    keras.backend.clear_session()
    return harness.result(work, rates, unit="sentences/s") | {"weights": weights}


def weights_of(results):
    """The numbers of weights as a fact for the report."""
    return {"weights": ", ".join(f"{n:,} ({name})" for name, n in results[0]["weights"].items())}


def main():
    """Run the benchmark."""
    parser = harness.make_parser(__doc__, __file__)
    harness.add_tasks(parser, TASKS)
    sizes = {
        "units": "units of every LSTM (default: 256)",
        "vocabulary_size": "tokens of the vocabulary (default: 8,000)",
        "batch_size": "sentences of a batch (default: 64)",
        "batches": "batches of a run (default: 8)",
        "new_tokens": "tokens to decode for each sentence (default: 14)",
    }
    harness.add_sizes(parser, sizes | {"torch_threads": "threads of PyTorch (default: one per core)"})
    given = parser.parse_args()
    if given.torch_threads and harness.available("torch"):
        import torch

        torch.set_num_threads(given.torch_threads)
    harness.run_benchmark(
        "translation",
        harness.changed([work for work in WORKS if work.task in given.task], QUICK, given, *sizes),
        lambda work, rounds: measure(work, rounds, given.seed),
        given,
        peers=("torch",),
        describe=weights_of,
    )


if __name__ == "__main__":
    main()

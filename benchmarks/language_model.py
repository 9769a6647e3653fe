"""Compare language models of textrnn with the same model in Keras and PyTorch.

    python benchmarks/language_model.py --output benchmarks/results
    python benchmarks/language_model.py --quick --task generation

The model is an embedding, one or two LSTM layers and a projection to the vocabulary, in float32 and with the
same number of weights for all contestants. Tokens are random, which does not change the work.

Training measures tokens per second of `fit` on the same windows, with the cross-entropy and Adam, gradients
clipped to a global norm of 1. textrnn carries the states from window to window. Keras starts each window from
zero states, which is slightly less work. The start-up time of `fit`, some hundredths of a second, is
included.

- textrnn: `textrnn.CausalLM` compiled with its defaults.
- re-reading overlapping windows: the same model without carried states, on windows that overlap by half. Only
  new tokens count.
- PyTorch: `torch.nn.Embedding`, `LSTM` and `Linear` in a plain training loop.
- Keras fit: `keras.layers.Embedding`, `LSTM` and `Dense` with the defaults of Keras. Its `jit_compile="auto"`
  means `False` here, on a CPU and, because of the cuDNN kernel of `LSTM`, on a GPU.
- Keras fit, XLA: the same with `jit_compile=True` and `use_cudnn=False`, which it requires.

Generation measures new tokens per second, sampled at temperature 1 after a prompt. Reading the prompt counts.

- textrnn: `RowSampler.decode` in one TensorFlow function that reads the weights as an exported model does.
- PyTorch: a Python loop over `torch.nn.LSTM`, which maps a token and the states to the next token.
- Keras, re-reading: `predict_on_batch` on the whole text for each token, without states. The cost of a token
  grows linearly with the text, so only a few tokens at the mean length of the text are measured.
- Keras, one step: a Python loop over a `tf.function` that maps a token and the states to the next token.
- Keras, one step, XLA: the same with `jit_compile=True`.

See harness/__init__.py for the timing. Ratios above 1 mean that textrnn is faster. If a peer has two forms,
the faster one is in bold.

To add a contestant, register a function with `@CONTESTANTS.add`. It gets the `Work` and its inputs and
returns a function that does the work once and returns the number of tokens.
"""

import dataclasses

import harness
from harness import OURS


@dataclasses.dataclass(frozen=True)
class Work:
    """A language model and what to do with it.

    Attributes:
        task: "training" or "generation".
        name: A name for the sizes.
        vocabulary_size: Tokens of the vocabulary.
        units: Units of each layer, and the width of the embedding.
        batch_size: Rows of a batch.
        tied: Whether the projection shares the embedding matrix.
        layers: LSTM layers. Contestants that generate need exactly one.
        windows: Windows of a training run.
        sequence_length: Tokens of a window.
        prompt_tokens: Tokens of a prompt.
        new_tokens: Tokens to generate after it.
    """

    task: str
    name: str
    vocabulary_size: int
    units: int
    batch_size: int
    tied: bool = False
    layers: int = 1
    windows: int = 8
    sequence_length: int = 64
    prompt_tokens: int = 100
    new_tokens: int = 200

    def __str__(self):
        layers = f"{self.layers} × {self.units}" if self.layers > 1 else self.units
        model = f"vocabulary {self.vocabulary_size:,}, {layers} units" + ", tied" * self.tied
        if self.task == "training":
            return f"training, {self.name}: {model}, batch {self.batch_size} × {self.sequence_length}"
        amount = f"{self.new_tokens} tokens after {self.prompt_tokens}"
        return f"generation, batch {self.batch_size}: {model}, {amount}"


WORKS = (
    Work("training", "characters", vocabulary_size=324, units=512, batch_size=32),
    Work("training", "words", vocabulary_size=10_000, units=256, batch_size=32, tied=True, layers=2),
    Work("training", "subwords", vocabulary_size=8_000, units=512, batch_size=32, tied=True),
    Work("generation", "one", vocabulary_size=324, units=512, batch_size=1),
    Work("generation", "some", vocabulary_size=324, units=512, batch_size=8),
    Work("generation", "many", vocabulary_size=324, units=512, batch_size=64),
)
TASKS = ("training", "generation")
QUICK = {"units": 64, "windows": 2, "prompt_tokens": 20, "new_tokens": 20}

CONTESTANTS = harness.Contestants()
"""Functions of a `Work` and its inputs that return a function to measure."""


# === Training. The inputs are windows from `textrnn.data.windows` ===


@CONTESTANTS.add(OURS, tasks=("training",))
def fit_textrnn(work, windows):
    """`CausalLM.fit` with carried states."""
    lm = textrnn_model(work)
    lm.compile()
    return fitting(lm, windows, work)


@CONTESTANTS.add("re-reading overlapping windows", tasks=("training",))
def fit_overlapping(work, windows):
    """`CausalLM.fit` without carried states. Windows overlap, so half of each is new text."""
    lm = textrnn_model(work)
    lm.compile()
    restarted = windows.map(lambda x, y: ({"token_ids": x["token_ids"], "restart": x["restart"] | True}, y))
    run = fitting(lm, restarted, work)
    return lambda: run() // 2


@CONTESTANTS.add("PyTorch", needs="torch", tasks=("training",))
def fit_torch(work, windows):
    """A plain training loop with carried states."""
    import torch
    from torch.nn import functional

    model = embedding, lstm, project = torch_layers(work)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    batches = [
        (torch.from_numpy(x["token_ids"].numpy()).long(), torch.from_numpy(y.numpy()).long().flatten())
        for x, y in windows
    ]

    def run():
        states, total = None, 0.0
        for token_ids, targets in batches:
            optimizer.zero_grad(set_to_none=True)
            outputs, states = lstm(embedding(token_ids) * work.units**0.5, states)
            states = tuple(state.detach() for state in states)
            loss = functional.cross_entropy(project(outputs).flatten(0, 1), targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item()
        return work.windows * work.batch_size * work.sequence_length

    return run


@CONTESTANTS.add("Keras fit", tasks=("training",))
def fit_keras(work, windows, jit_compile="auto", use_cudnn="auto"):
    """`Model.fit` with the defaults of Keras."""
    import keras

    embed, lstm, project = keras_layers(work, return_sequences=True, use_cudnn=use_cudnn)
    token_ids = keras.Input((None,), dtype="int32")
    model = keras.Model(token_ids, project(lstm(embed(token_ids))))
    model.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    return fitting(model, windows.map(lambda inputs, targets: (inputs["token_ids"], targets)), work)


@CONTESTANTS.add("Keras fit", "XLA", tasks=("training",))
def fit_keras_xla(work, windows):
    """The same compiled by XLA."""
    return fit_keras(work, windows, jit_compile=True, use_cudnn=False)


def fitting(model, windows, work):
    """A function that runs an epoch. `fit` reads the loss at its end, so it blocks on a GPU too."""

    def run():
        model.fit(windows, epochs=1, shuffle=False, verbose=0)
        return work.windows * work.batch_size * work.sequence_length

    return run


# === Generation. The inputs are prompts, int32 `(batch, time)` ===


@CONTESTANTS.add(OURS, tasks=("generation",))
def generate_textrnn(work, prompts):
    """The whole loop in one TensorFlow function."""
    import tensorflow as tf

    from textrnn import RowSampler

    lm = textrnn_model(work)

    def generate(token_ids):
        inputs = {"token_ids": token_ids, "padding_mask": tf.ones_like(token_ids, tf.bool)}
        new, _ = RowSampler().decode(
            lm.decoder(inputs),
            **inputs,
            max_new_tokens=tf.fill(tf.shape(token_ids)[:1], work.new_tokens),
            limit=work.new_tokens,
        )
        return new

    exported = harness.as_exported(generate, [tf.TensorSpec([None, None], tf.int32)], lm)
    return lambda: exported(prompts).numpy().size


@CONTESTANTS.add("PyTorch", needs="torch", tasks=("generation",))
def generate_torch(work, prompts):
    """A Python loop over steps with explicit states."""
    import torch

    embedding, lstm, project = torch_layers(work)
    prompts = torch.from_numpy(prompts).long()

    @torch.no_grad()
    def run():
        chosen, states, text = prompts, None, []
        for _ in range(work.new_tokens):
            outputs, states = lstm(embedding(chosen) * work.units**0.5, states)
            chosen = torch.multinomial(torch.softmax(project(outputs[:, -1]), -1), 1)
            text.append(chosen)
        return torch.cat(text, 1).numel()

    return run


@CONTESTANTS.add("Keras, re-reading", tasks=("generation",))
def generate_keras_rereading(work, prompts):
    """The whole text is read again for each token."""
    import keras
    import numpy as np

    embed, lstm, project = keras_layers(work, return_sequences=True)
    token_ids = keras.Input((None,), dtype="int32")
    model = keras.Model(token_ids, project(lstm(embed(token_ids))))
    random = np.random.default_rng(0)
    # The cost is linear in the length, so tokens at the mean length cost as much as all on average.
    new_tokens = min(4, work.new_tokens)
    middle = (work.new_tokens - new_tokens) // 2
    start = np.concatenate([prompts, np.ones((work.batch_size, middle), prompts.dtype)], axis=1)

    def run():
        text = start
        for _ in range(new_tokens):
            logits = model.predict_on_batch(text)[:, -1]
            chosen = np.argmax(logits + random.gumbel(size=logits.shape), axis=1)  # samples from the softmax
            text = np.concatenate([text, chosen[:, None].astype(text.dtype)], axis=1)
        return work.batch_size * new_tokens

    return run


@CONTESTANTS.add("Keras, one step", tasks=("generation",))
def generate_keras_step(work, prompts, jit_compile=None, use_cudnn="auto"):
    """A Python loop over steps with explicit states, as in the text generation tutorial of TensorFlow."""
    import tensorflow as tf

    embed, lstm, project = keras_layers(work, return_state=True, use_cudnn=use_cudnn)
    prompts = tf.constant(prompts)

    @tf.function(jit_compile=jit_compile, autograph=False)
    def step(token_ids, states):
        output, *states = lstm(embed(token_ids), initial_state=states)
        return tf.random.categorical(project(output), 1, dtype=tf.int32), states

    def run():
        chosen, states = step(prompts, [tf.zeros((work.batch_size, work.units))] * 2)
        text = [chosen]
        for _ in range(work.new_tokens - 1):
            chosen, states = step(chosen, states)
            text.append(chosen)
        return tf.concat(text, axis=1).numpy().size

    return run


@CONTESTANTS.add("Keras, one step", "XLA", tasks=("generation",))
def generate_keras_step_xla(work, prompts):
    """The same compiled by XLA."""
    return generate_keras_step(work, prompts, jit_compile=True, use_cudnn=False)


# === The model in three libraries ===


def textrnn_model(work):
    """The model in textrnn."""
    import textrnn

    return textrnn.CausalLM(
        textrnn.RecurrentBackbone(
            work.vocabulary_size, "lstm", work.units, work.layers, tie_embeddings=work.tied
        )
    )


def torch_layers(work):
    """The model in PyTorch: the embedding, the LSTM and the projection."""
    import torch

    embedding = torch.nn.Embedding(work.vocabulary_size, work.units)
    lstm = torch.nn.LSTM(work.units, work.units, work.layers, batch_first=True)
    project = torch.nn.Linear(work.units, work.vocabulary_size, bias=False)
    if work.tied:
        project.weight = embedding.weight
    return torch.nn.ModuleList([embedding, lstm, project])


def keras_layers(work, **lstm):
    """The model in Keras: the embedding, the LSTM and the projection.

    Args:
        work: The `Work`.
        **lstm: Options of the last LSTM layer.
    """
    from functools import partial

    from keras import layers

    if work.task == "generation" and work.layers > 1:
        raise ValueError(f"layers={work.layers}: generation with Keras supports one layer")

    if work.tied:
        embedding = layers.ReversibleEmbedding(work.vocabulary_size, work.units)
        project = partial(embedding, reverse=True)
    else:
        embedding = layers.Embedding(work.vocabulary_size, work.units)
        project = layers.Dense(work.vocabulary_size, use_bias=False)

    def embed(token_ids):  # scaled as in `textrnn.RecurrentBackbone`
        return embedding(token_ids) * work.units**0.5

    below = [layers.LSTM(work.units, **{**lstm, "return_sequences": True}) for _ in range(work.layers - 1)]
    top = layers.LSTM(work.units, **lstm)
    return embed, keras_stack([*below, top]), project


def keras_stack(stack):
    """Layers as one function. A single layer is returned as it is, with its states."""
    if len(stack) == 1:
        return stack[0]

    def run(x):
        for layer in stack:
            x = layer(x)
        return x

    return run


def make_inputs(work, seed):
    """The inputs of all contestants: prompts for generation, windows for training."""
    import numpy as np

    from textrnn.data.windows import windows

    random = np.random.default_rng(seed)
    if work.task == "generation":
        return random.integers(1, work.vocabulary_size, (work.batch_size, work.prompt_tokens), np.int32)
    tokens = work.windows * work.batch_size * work.sequence_length
    stream = random.integers(1, work.vocabulary_size, tokens + 1, np.int32)
    return windows(stream, work.batch_size, work.sequence_length)


# === Measuring ===


def measure(work, rounds, seed):
    """Tokens per second of each contestant in each round, by label."""
    import keras

    keras.utils.set_random_seed(seed)
    runs = CONTESTANTS.prepare(work, make_inputs(work, seed), seed=seed)
    rates = harness.measure_rates(runs, rounds)
    keras.backend.clear_session()
    return rates


def measured(work, rounds, seed):
    """The result of a work, with the faster form of each peer in bold."""
    result = harness.result(work, measure(work, rounds, seed), unit="tokens/s")
    rows = {row["contestant"]: row for row in result["rows"]}
    forms = {}
    for contestant in CONTESTANTS.of(work.task):
        forms.setdefault(contestant.peer, []).append(rows[contestant.label])
    for of_peer in forms.values():
        if len(of_peer) > 1:
            max(of_peer, key=lambda row: row["median"])["bold"] = True
    return result


def main():
    """Run the benchmark."""
    parser = harness.make_parser(__doc__, __file__)
    harness.add_tasks(parser, TASKS)
    sizes = {
        "units": "units of each layer (default: 256 or 512)",
        "vocabulary_size": "tokens of the vocabulary (default: 324 or 10,000)",
        "windows": "training windows of a run (default: 8)",
        "new_tokens": "tokens to generate in a run (default: 200)",
    }
    harness.add_sizes(parser, sizes)
    given = parser.parse_args()
    works = [work for work in WORKS if work.task in given.task]
    harness.run_benchmark(
        "language_model",
        harness.changed(works, QUICK, given, *sizes),
        lambda work, rounds: measured(work, rounds, given.seed),
        given,
    )


if __name__ == "__main__":
    main()

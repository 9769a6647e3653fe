"""Language models: textrnn beside the same model in plain Keras, doing the same work in one run.

    make bench
    python benchmarks/language_model.py --output benchmarks/results
    python benchmarks/language_model.py --quick --task generation

The model is an embedding, one LSTM or two and a projection to the vocabulary, in float32 and with the same
number of weights for everyone. Tokens are drawn at random: what they are does not change the work.

Training: tokens per second of `fit`, on the same windows, with the cross-entropy and Adam with the gradients
clipped to a global norm of 1. textrnn carries the states from window to window; Keras starts every window
afresh, which is a little less work. What `fit` needs to start, some hundredths of a second, counts for all.

- textrnn: `textrnn.CausalLM`, compiled as it comes.
- re-reading overlapping windows: the same model on windows that overlap by half, as those do who cannot carry
  states; tokens of new text count.
- PyTorch: `torch.nn.Embedding`, `LSTM` and `Linear` in a plain training loop, if it is installed.
- Keras fit: `keras.layers.Embedding`, `LSTM` and `Dense` with Keras's own defaults. Its `jit_compile="auto"`
  means `False` on a CPU, and on a GPU too, where `LSTM` takes its cuDNN kernel.
- Keras fit, XLA: the same with `jit_compile=True`, and `use_cudnn=False`, without which Keras declines.

Generation: new tokens per second, sampled at temperature 1 after a prompt, reading the prompt included.

- textrnn: `CausalLM.generate_tokens`, one TensorFlow function, with the input shapes of the exported model.
- PyTorch: a loop in Python over `torch.nn.LSTM` from a token and the states to the next token.
- Keras, re-reading: `predict_on_batch` on the whole text so far for each token, without states. The cost of a
  token grows linearly with the text, so a few tokens are timed, at the mean length of the text.
- Keras, one step: a loop in Python over a `tf.function` from a token and the states to the next token.
- Keras, one step, XLA: the same with `jit_compile=True`.

Every contestant runs once without being measured, to trace and to compile. Then they take turns: in each
round everyone runs once, in an order that shifts from round to round, so that whatever else happens on the
machine happens to all. The table shows the median over the rounds (lowest to highest), and how many times as
fast as each contestant textrnn is: the ratio of the medians (lowest to highest ratio within one round). Where
a peer has two forms, the faster one is in bold: it is the one to compare with.

To add a contestant, write a function under `@contestant`; it gets the `Work` and its inputs, builds what it
needs, and returns a function that does the work once and returns the number of tokens.
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import platform
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from textrnn import startup


@dataclasses.dataclass(frozen=True)
class Work:
    """What every contestant does in one run."""

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
    Work("generation", "one", vocabulary_size=324, units=512, batch_size=1),
    Work("generation", "many", vocabulary_size=324, units=512, batch_size=64),
)
QUICK = {"units": 64, "windows": 2, "prompt_tokens": 20, "new_tokens": 20}

OURS = "textrnn"
CONTESTANTS = {"training": {}, "generation": {}}
"""Task -> (peer, form) -> the function that prepares it; a peer's form is "" if it has only one."""


def contestant(task, peer, form=""):
    """Registers a function of a `Work` and its inputs that returns the function to measure.

    Args:
        task: "training" or "generation".
        peer: what the table calls it.
        form: what tells it from other forms of the same peer.
    """

    def register(prepare):
        CONTESTANTS[task][peer, form] = prepare
        return prepare

    return register


# === Training: the inputs are the windows of `textrnn.data.windows` ===


@contestant("training", OURS)
def fit_textrnn(work, windows):
    """`CausalLM.fit` on windows that carry the states on."""
    lm = textrnn_model(work)
    lm.compile()
    return fitting(lm, windows, work)


@contestant("training", "re-reading overlapping windows")
def fit_overlapping(work, windows):
    """The same model without carried states: windows overlap by half, so that half of each is new text."""
    lm = textrnn_model(work)
    lm.compile()
    afresh = windows.map(lambda x, y: ({"token_ids": x["token_ids"], "restart": x["restart"] | True}, y))
    run = fitting(lm, afresh, work)
    return lambda: run() // 2


@contestant("training", "PyTorch")
def fit_torch(work, windows):
    """The same layers of `torch.nn`, its fused LSTM, and a plain training loop that carries the states."""
    if not importlib.util.find_spec("torch"):
        return None
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


@contestant("training", "Keras fit")
def fit_keras(work, windows, jit_compile="auto", use_cudnn="auto"):
    """`Model.fit` of the same layers."""
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


@contestant("training", "Keras fit", "XLA")
def fit_keras_xla(work, windows):
    """The same, compiled by XLA."""
    return fit_keras(work, windows, jit_compile=True, use_cudnn=False)


def fitting(model, windows, work):
    """A pass over the windows; `fit` ends with reading the loss, so nothing is left undone on a GPU."""

    def run():
        model.fit(windows, epochs=1, shuffle=False, verbose=0)
        return work.windows * work.batch_size * work.sequence_length

    return run


# === Generation: the inputs are prompts, int32 (batch, time) ===


@contestant("generation", OURS)
def generate_textrnn(work, prompts):
    """One TensorFlow function for the whole answer."""
    import tensorflow as tf

    lm = textrnn_model(work)

    def generate(token_ids):
        each = lambda value, dtype: tf.fill(tf.shape(token_ids)[:1], tf.constant(value, dtype))  # noqa: E731
        new, _ = lm.generate_tokens(
            token_ids,
            tf.ones_like(token_ids, tf.bool),
            max_new_tokens=each(work.new_tokens, tf.int32),
            limit=work.new_tokens,
            temperature=each(1.0, tf.float32),
            top_k=each(0, tf.int32),
            top_p=each(1.0, tf.float32),
        )
        return new

    generate = tf.function(generate, [tf.TensorSpec([None, None], tf.int32)], autograph=False)
    return lambda: generate(prompts).numpy().size


@contestant("generation", "PyTorch")
def generate_torch(work, prompts):
    """A step with explicit states, called from Python."""
    if not importlib.util.find_spec("torch"):
        return None
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


@contestant("generation", "Keras, re-reading")
def generate_keras_rereading(work, prompts):
    """The whole text so far for every token."""
    import keras
    import numpy as np

    embed, lstm, project = keras_layers(work, return_sequences=True)
    token_ids = keras.Input((None,), dtype="int32")
    model = keras.Model(token_ids, project(lstm(embed(token_ids))))
    random = np.random.default_rng(0)
    # Texts of every length from the prompt on cost as much as texts of the mean length: time a few of those.
    new_tokens = min(4, work.new_tokens)
    middle = (work.new_tokens - new_tokens) // 2
    start = np.concatenate([prompts, np.ones((work.batch_size, middle), prompts.dtype)], axis=1)

    def run():
        text = start
        for _ in range(new_tokens):
            logits = model.predict_on_batch(text)[:, -1]
            chosen = np.argmax(logits + random.gumbel(size=logits.shape), axis=1)  # samples the softmax
            text = np.concatenate([text, chosen[:, None].astype(text.dtype)], axis=1)
        return work.batch_size * new_tokens

    return run


@contestant("generation", "Keras, one step")
def generate_keras_step(work, prompts, jit_compile=None, use_cudnn="auto"):
    """A step with explicit states, called from Python: the form of TensorFlow's text generation tutorial."""
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


@contestant("generation", "Keras, one step", "XLA")
def generate_keras_step_xla(work, prompts):
    """The same, compiled by XLA."""
    return generate_keras_step(work, prompts, jit_compile=True, use_cudnn=False)


# === The model, three times ===


def textrnn_model(work):
    """The model as textrnn builds it."""
    import textrnn

    return textrnn.CausalLM(
        textrnn.RecurrentBackbone(
            work.vocabulary_size, "lstm", work.units, work.layers, tie_embeddings=work.tied
        )
    )


def torch_layers(work):
    """The same model as PyTorch's layers: from tokens to vectors, over time, from outputs to logits."""
    import torch

    embedding = torch.nn.Embedding(work.vocabulary_size, work.units)
    lstm = torch.nn.LSTM(work.units, work.units, work.layers, batch_first=True)
    project = torch.nn.Linear(work.units, work.vocabulary_size, bias=False)
    if work.tied:
        project.weight = embedding.weight
    return torch.nn.ModuleList([embedding, lstm, project])


def keras_layers(work, **lstm):
    """The same model as Keras's layers: from tokens to vectors, over time, from outputs to logits."""
    from functools import partial

    from keras import layers

    if work.task == "generation" and work.layers > 1:
        raise ValueError("the generating peers have one layer")

    if work.tied:
        embedding = layers.ReversibleEmbedding(work.vocabulary_size, work.units)
        project = partial(embedding, reverse=True)
    else:
        embedding = layers.Embedding(work.vocabulary_size, work.units)
        project = layers.Dense(work.vocabulary_size, use_bias=False)

    def embed(token_ids):  # scaled as textrnn's backbone does
        return embedding(token_ids) * work.units**0.5

    below = [layers.LSTM(work.units, **{**lstm, "return_sequences": True}) for _ in range(work.layers - 1)]
    top = layers.LSTM(work.units, **lstm)
    return embed, keras_stack([*below, top]), project


def keras_stack(stack):
    """Keras's layers as one function; a single one as it is, with its states."""
    if len(stack) == 1:
        return stack[0]

    def run(x):
        for layer in stack:
            x = layer(x)
        return x

    return run


def make_inputs(work, seed):
    """What a task's contestants start from, the same for all."""
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
    """Lets all contestants do the work in turns.

    Returns:
        A dict of `(peer, form)` to the tokens per second of each round.
    """
    import keras

    keras.utils.set_random_seed(seed)
    inputs = make_inputs(work, seed)
    runs = {}
    for name, prepare in CONTESTANTS[work.task].items():
        start = time.perf_counter()
        if (run := prepare(work, inputs)) is None:
            print(f"  {label(name)} is not installed", file=sys.stderr, flush=True)
            continue
        runs[name] = run
        run()
        print(f"  {label(name)} ready after {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    speeds = {name: [] for name in runs}
    for first in range(rounds):
        order = [*runs][first % len(runs) :] + [*runs][: first % len(runs)]
        for name in order:
            start = time.perf_counter()
            tokens = runs[name]()
            speeds[name].append(tokens / (time.perf_counter() - start))
        print(f"  round {first + 1} of {rounds}", file=sys.stderr, flush=True)
    keras.backend.clear_session()
    return speeds


def summary(work, speeds):
    """The result of one work as plain data, for JSON and for the table."""
    median = {name: statistics.median(values) for name, values in speeds.items()}
    ours = speeds[OURS, ""]
    contestants = []
    for (peer, form), values in speeds.items():
        ratios = [our / value for our, value in zip(ours, values, strict=True)]
        contestants.append(
            {
                "peer": peer,
                "form": form,
                "fastest_form": median[peer, form] == max(median[name] for name in median if name[0] == peer),
                "tokens_per_second": [round(value, 1) for value in values],
                "median": round(median[peer, form], 1),
                "textrnn_times_as_fast": round(median[OURS, ""] / median[peer, form], 3),
                "lowest_and_highest_in_a_round": [round(min(ratios), 3), round(max(ratios), 3)],
            }
        )
    return {"work": dataclasses.asdict(work), "description": str(work), "contestants": contestants}


def environment(seed, rounds):
    """What the numbers depend on."""
    from importlib.metadata import version

    import tensorflow as tf

    threading = tf.config.threading
    packages = ("textrnn", "keras", "keras-hub", "tensorflow", "numpy")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        # 0 is TensorFlow's way to say: one for each CPU.
        "intra_op_threads": threading.get_intra_op_parallelism_threads() or os.cpu_count(),
        "inter_op_threads": threading.get_inter_op_parallelism_threads() or os.cpu_count(),
        "gpus": len(tf.config.list_physical_devices("GPU")),
        "load_average_before": round(os.getloadavg()[0], 1),
        "seed": seed,
        "rounds": rounds,
    }


def cpu_name():
    """The processor as its maker calls it, where the system tells."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


# === Reporting ===


def label(name):
    return ", ".join(part for part in name if part)


def markdown(report):
    """The report as one table, with what it depends on below."""
    lines = [
        "| work | contestant | tokens/s, median (range) | textrnn is ... times as fast (range) |",
        "|---|---|---:|---:|",
    ]
    for result in report["results"]:
        peers = [entry["peer"] for entry in result["contestants"]]
        for i, entry in enumerate(result["contestants"]):
            name = label((entry["peer"], entry["form"]))
            if entry["fastest_form"] and peers.count(entry["peer"]) > 1:
                name = f"**{name}**"
            speeds, (low, high) = entry["tokens_per_second"], entry["lowest_and_highest_in_a_round"]
            ratio = (
                ""
                if entry["peer"] == OURS
                else f"{entry['textrnn_times_as_fast']:.2f} ({low:.2f}–{high:.2f})"
            )
            lines.append(
                f"| {'' if i else result['description']} | {name} "
                f"| {entry['median']:,.0f} ({min(speeds):,.0f}–{max(speeds):,.0f}) | {ratio} |"
            )
    facts = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in report["environment"].items())
    return "\n".join([*lines, "", facts, ""])


def main():
    """Reads the options, lets them run, and reports."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=f"How it measures, and what: see the top of {Path(__file__).name}.",
    )
    parser.add_argument("--task", choices=CONTESTANTS, help="only this one")
    parser.add_argument("--rounds", type=int, help="how often everyone runs (5; 2 with --quick)")
    parser.add_argument("--quick", action="store_true", help="small sizes, under a minute: for trying it out")
    parser.add_argument("--units", type=int, help="in place of each model's own")
    parser.add_argument("--vocabulary_size", type=int, help="in place of each model's own")
    parser.add_argument("--windows", type=int, help="training windows in a run")
    parser.add_argument("--new_tokens", type=int, help="tokens to generate in a run")
    parser.add_argument("--seed", type=int, default=0, help="for weights and tokens (0)")
    parser.add_argument("--output", type=Path, help="a folder for language_model.json and language_model.md")
    given = parser.parse_args()
    sizes = {"units", "vocabulary_size", "windows", "new_tokens"}
    changes = (QUICK if given.quick else {}) | {
        key: value for key, value in vars(given).items() if key in sizes and value is not None
    }
    rounds = given.rounds or (2 if given.quick else 5)

    startup.load_tensorflow()
    start = time.perf_counter()
    report = {"environment": environment(given.seed, rounds), "results": []}
    for work in (dataclasses.replace(work, **changes) for work in WORKS):
        if given.task in (None, work.task):
            print(work, file=sys.stderr, flush=True)
            report["results"].append(summary(work, measure(work, rounds, given.seed)))
    report["environment"]["load_average_after"] = round(os.getloadavg()[0], 1)
    report["environment"]["seconds"] = round(time.perf_counter() - start)
    print(markdown(report), end="")
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "language_model.md").write_text(markdown(report), encoding="utf-8")
        (given.output / "language_model.json").write_text(
            json.dumps(report, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()

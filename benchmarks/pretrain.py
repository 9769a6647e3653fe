"""Train a starter model on a GPU that has JAX and no TensorFlow, from the config of the recipe.

    python benchmarks/pretrain.py prepare recipes/configs/english.yaml pretraining/english
    KERAS_BACKEND=jax python benchmarks/pretrain.py train pretraining/english --seconds 300
    python benchmarks/pretrain.py finish recipes/configs/english.yaml pretraining/english saved_models/english

`prepare` makes the vocabulary, the token streams and an untrained preset, as the recipe does. `train` reads
the passages that the recipe would read, in as many updates as fit into the time. It needs Keras, KerasHub and
JAX. `finish` scores the model as the recipe does and writes its preset and report, for `starter_model.py`.
"""

import argparse
import itertools
import json
import os
import shutil
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

import harness
from textrnn.cli.process import run
from textrnn.errors import expect

CHUNK = 16
"""Updates that are compiled into one call."""

WARM_UP = 300
"""Updates in which the rate rises from zero. It falls to zero along a cosine."""

OPTIONS = [
    "batch_size", "sequence_length", "restart_probability", "learning_rate", "dropout", "precision", "seed"
]  # fmt: skip
"""Options of the recipe that `train` reads."""

PREPARED = ["about.json", "train.npy", "held_out.npy", "preset/config.json"]
"""Files from `prepare` that `train` needs. Without weights in the preset, it starts from random ones."""


# === On the machine that has TensorFlow ===


def prepare(config, folder):
    """Write `preset/`, not trained, `train.npy`, `held_out.npy` and `about.json` to a folder."""
    import keras

    import textrnn
    from textrnn.data import sources
    from textrnn.data.token_streams import token_stream
    from textrnn.presets import save_preset
    from textrnn.text_generation.options import TextOptions

    options, new_model = recipe_options(config)
    keras.utils.set_random_seed(options.seed)
    texts = sources.load_texts(**options.only(TextOptions), seed=options.seed)
    options = options.by_size(texts.train.characters)
    lm = new_model(replace(options, precision="float32"), texts.train)
    lm.default_sampler = textrnn.RowSampler.like(lm.default_sampler, **options.sampling())
    save_preset(lm, folder)
    tokenizer = lm.preprocessor.tokenizer
    for name, part in (("train", texts.train), ("held_out", texts.validation)):
        save_tokens(folder / f"{name}.npy", token_stream(tokenizer, part)[:], tokenizer.vocabulary_size())
    about = {
        "start_token_id": int(tokenizer.start_token_id),
        "boundary_token_ids": [int(token) for token in tokenizer.boundary_token_ids],
    } | {name: getattr(options, name) for name in OPTIONS}
    (folder / "about.json").write_text(json.dumps(about, indent=2), encoding="utf-8")


def save_tokens(path, token_ids, vocabulary_size):
    """Write token ids as the smallest integers that hold the vocabulary."""
    np.save(path, token_ids.astype(np.min_scalar_type(vocabulary_size - 1)))


def finish(config, folder, output):
    """Write the trained preset, compressed, and its report, with the scores of the held-out parts."""
    for path in (output / "preset", output / "report"):
        expect(not path.exists(), f"{path} exists already: remove it, or give another output")
    expect((folder / "training.json").is_file(), f"{folder} has no trained model: run `train {folder}` first")
    from textrnn.data import sources
    from textrnn.data.stored_texts import count_characters
    from textrnn.presets import load_preset
    from textrnn.presets.compressed import compress_weights
    from textrnn.reporting.report import save_report
    from textrnn.text_generation import evaluation
    from textrnn.text_generation.options import TextOptions
    from textrnn.text_generation.text_windows import text_windows

    options, _ = recipe_options(config)
    texts = sources.load_texts(**options.only(TextOptions), seed=options.seed)
    shutil.copytree(folder / "preset", output / "preset")
    compress_weights(output / "preset")
    lm = load_preset(output / "preset")
    windows = text_windows(lm, texts, 1, options.sequence_length)
    score = evaluation.score_language_model(lm, windows.validation, count_characters(texts.validation))
    parts = evaluation.score_parts(lm, texts.validation)
    trained = json.loads((folder / "training.json").read_text("utf-8"))
    metrics = {
        "held_out_bits_per_character": score.bits_per_character,
        **{f"held_out_bits_per_character of {name}": part.bits_per_character for name, part in parts.items()},
        "training_seconds": trained["seconds"],
        "training_tokens_per_second": trained["tokens"] / trained["seconds"],
        "training_epochs": trained["epochs"],
        "training_device": trained["device"],
    }
    save_report(
        output / "report", options=options, metrics=metrics, history=trained["history"], seed=options.seed
    )
    print(score)


def recipe_options(config):
    """Return the options of the recipe with a config, and its function that makes a model."""
    import yaml

    sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
    import text_generation

    expect(config.is_file(), f"{config} does not exist: give a config of the recipe")
    values = yaml.safe_load(config.read_text("utf-8"))
    return text_generation.Options(**values), text_generation.new_model


# === On the machine with a GPU ===


def train(folder, seconds, updates=None):
    """Train the backbone of a preset by truncated backpropagation, with states carried between windows.

    Args:
        folder: What `prepare` wrote. The weights of its preset are replaced.
        seconds: Time of the training, compiling not counted. The speed of the first updates says how many
            fit.
        updates: Number of updates, whatever time they take.

    Raises:
        InputError: If Keras is to run on another backend than JAX, or if nothing was prepared.
    """
    backend = os.environ.get("KERAS_BACKEND")  # Keras itself may fail to load on another one
    expect(backend == "jax", f"KERAS_BACKEND is {backend or 'not set'}: set it to jax")
    missing = [name for name in PREPARED if not (folder / name).is_file()]
    expect(not missing, f"{folder} has no {', no '.join(missing)}: run `prepare CONFIG {folder}` first")
    import jax
    import keras

    about = json.loads((folder / "about.json").read_text("utf-8"))
    keras.utils.set_random_seed(about["seed"])
    rows, steps, rate = (about[name] for name in ("batch_size", "sequence_length", "learning_rate"))
    backbone = load_backbone(folder / "preset", about["dropout"], about["precision"])
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0)
    optimizer.build(backbone.trainable_variables)
    update, state = compiled_updates(backbone, optimizer, rows)
    score, held_out = compiled_score(backbone), np.load(folder / "held_out.npy")
    tokens = np.load(folder / "train.npy").astype(np.int32)
    batches = prefetched(chunks(tokens, about))
    done, total, history, started = 0, updates, {"step": [], "loss": [], "held_out_loss": []}, None
    print(f"{jax.devices()[0].device_kind}: {backbone.count_params():,} weights, {len(tokens):,} tokens")
    while total is None or done < total:
        rates = rate * schedule(np.arange(done, done + CHUNK), total)
        state, losses = update(state, *next(batches), rates)
        done += CHUNK
        if done == CHUNK:  # compiled
            losses.block_until_ready()
            started = time.perf_counter()
        elif total is None and done == 6 * CHUNK:
            losses.block_until_ready()
            total = CHUNK * int(seconds / (time.perf_counter() - started) * 5)
            print(f"{total:,} updates of {rows} x {steps} tokens", flush=True)
        if done % (64 * CHUNK) == 0 or (total is not None and done >= total):
            history["step"].append(done)
            history["loss"].append(float(losses.mean()))
            history["held_out_loss"].append(float(score(state[0], held_out)))
            line = ", ".join(f"{name} {values[-1]:,.4g}" for name, values in history.items())
            print(f"{line}, {time.perf_counter() - started:.0f} s", flush=True)
    elapsed = time.perf_counter() - started
    for variable, value in zip(backbone.trainable_variables, state[0], strict=True):
        variable.assign(value)
    backbone.save_weights(folder / "preset" / "model.weights.h5")
    record = {
        "seconds": elapsed,
        "tokens": (done - CHUNK) * rows * steps,
        "epochs": done * rows * steps / len(tokens),
        "device": jax.devices()[0].device_kind,
        "history": history,
        "commit": harness.commit(),
    }
    (folder / "training.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
    print({name: value for name, value in record.items() if name != "history"})


def load_backbone(preset, dropout, precision):
    """Return the backbone of a preset, for training with this dropout and precision.

    It has new weights if those of the preset, which are large, were left behind.
    """
    import textrnn

    config = json.loads((preset / "config.json").read_text("utf-8"))["config"]
    known = config | {"dropout": dropout, "dtype": precision}
    backbone = textrnn.RecurrentBackbone(**known)
    if (preset / "model.weights.h5").is_file():
        backbone.load_weights(preset / "model.weights.h5")
    return backbone


def schedule(step, total):
    """Factors of the rate at some updates: a linear rise, then a cosine if the total is known."""
    rise = np.minimum((step + 1) / WARM_UP, 1)
    fall = 1 if total is None else 0.5 * (1 + np.cos(np.pi * np.minimum(step / total, 1)))
    return (rise * fall).astype(np.float32)


def compiled_updates(backbone, optimizer, rows):
    """Return `update(state, token_ids, restarts, targets, rates) -> state, losses`, and the first state."""
    import jax
    import keras
    from jax import numpy as jnp

    initial = keras.tree.flatten(backbone.get_initial_states(rows))
    structure = keras.tree.map_structure(lambda _: 0, backbone.get_initial_states(rows))
    variables = [*backbone.trainable_variables, *backbone.non_trainable_variables]
    place = [variable is optimizer.learning_rate for variable in optimizer.variables].index(True)

    def loss(trainable, others, states, token_ids, targets):
        with keras.StatelessScope(list(zip(variables, trainable + others, strict=True))) as scope:
            states = keras.tree.pack_sequence_as(structure, states)
            hidden, states = backbone.run(token_ids, states, training=True)
            logits = backbone.token_embedding(hidden, reverse=True)
        others = [scope.get_current_value(variable) for variable in backbone.non_trainable_variables]
        return cross_entropy(logits, targets).mean(), (others, keras.tree.flatten(states))

    def one(state, batch):
        trainable, others, optimized, states = state
        token_ids, restart, targets, rate = batch
        states = [jnp.where(restart[:, None], a, b) for a, b in zip(initial, states, strict=True)]
        (value, (others, states)), gradients = jax.value_and_grad(loss, has_aux=True)(
            trainable, others, states, token_ids, targets
        )
        optimized = [rate if i == place else value for i, value in enumerate(optimized)]
        trainable, optimized = optimizer.stateless_apply(optimized, gradients, trainable)
        return (trainable, others, optimized, states), value

    def update(state, *batches):
        return jax.lax.scan(one, state, batches)

    values = [
        [jnp.array(variable.value) for variable in group]
        for group in (
            backbone.trainable_variables, backbone.non_trainable_variables, optimizer.variables
        )
    ]  # fmt: skip
    return jax.jit(update, donate_argnums=0), (*values, [jnp.array(state) for state in initial])


def compiled_score(backbone, rows=16, steps=64):
    """Return a function from weights and a token stream to the mean loss of a token."""
    import jax
    import keras

    variables = backbone.trainable_variables

    @jax.jit
    def score(trainable, token_ids, targets):
        with keras.StatelessScope(list(zip(variables, trainable, strict=True))):
            hidden, _ = backbone.run(token_ids, backbone.get_initial_states(rows), training=False)
            logits = backbone.token_embedding(hidden, reverse=True)
        return cross_entropy(logits, targets).mean()

    def mean(trainable, stream):
        size = rows * steps
        windows = [stream[i : i + size + 1].astype(np.int32) for i in range(0, len(stream) - size, size)]
        parts = [
            score(trainable, w[:-1].reshape(rows, steps), w[1:].reshape(rows, steps)) for w in windows[:256]
        ]
        return sum(parts) / len(parts)

    return mean


def cross_entropy(logits, targets):
    """Loss of each token in nats, in float32."""
    import jax
    from jax import numpy as jnp

    logits = logits.astype(jnp.float32)
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - chosen


def chunks(tokens, about):
    """Yield the windows of epoch after epoch, `CHUNK` of them stacked."""
    from textrnn.data.passages import read_windows

    def windows():
        for epoch in itertools.count():
            yield from read_windows(
                tokens, about["batch_size"], about["sequence_length"], about["restart_probability"],
                about["start_token_id"], about["boundary_token_ids"], about["seed"], epoch,
            )  # fmt: skip

    found = windows()
    while some := list(itertools.islice(found, CHUNK)):
        token_ids, restarts = ([inputs[name] for inputs, _ in some] for name in ("token_ids", "restart"))
        yield np.stack(token_ids), np.stack(restarts), np.stack([targets for _, targets in some])


def prefetched(iterator, size=4):
    """Iterate in another thread, a few elements ahead."""
    with ThreadPoolExecutor(1) as executor:
        found = deque(executor.submit(next, iterator, None) for _ in range(size))
        while (element := found.popleft().result()) is not None:
            found.append(executor.submit(next, iterator, None))
            yield element


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("prepare", "finish"):
        command = commands.add_parser(name)
        command.add_argument("config", type=Path)
        command.add_argument("folder", type=Path)
    commands.choices["finish"].add_argument("output", type=Path)
    command = commands.add_parser("train")
    command.add_argument("folder", type=Path)
    command.add_argument("--seconds", type=float, default=300, help="of training (default: 300)")
    command.add_argument("--updates", type=int, help="instead of a time")
    arguments = vars(parser.parse_args())
    {"prepare": prepare, "train": train, "finish": finish}[arguments.pop("command")](**arguments)


if __name__ == "__main__":
    run(main)

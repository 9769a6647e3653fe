"""Compare two workers of one thread each with one process of one thread, and of two.

    python benchmarks/distribution.py --recipe text_generation sentiment translation --rounds 3

Each recipe runs with its default options and its starter corpus, up to the training: the same batches, the
same model. There, some steps are made and not counted, and as many are timed as `--steps` says, without
evaluation and samples. Every contestant is started in turn, in each round, and the fastest round counts,
since other processes can only slow one down. The threads are those of TensorFlow's operations.

The exchange is the bytes of all gradients of a step. In a ring, each of N workers sends and receives
2 (N - 1) / N times as many. The last column says at which bandwidth that takes two workers as long as one
thread computes the whole batch.
"""

import argparse
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from harness.environment import commit, cpu_name, load_average

ROOT = Path(__file__).parents[1]
RECIPES = ("text_generation", "sentiment", "translation")
CONTESTANTS = {"one thread": (1, 1), "two threads": (1, 2), "two workers of one thread": (2, 1)}
"""Name -> number of processes, and threads of each."""
UNCOUNTED = 20
"""Steps before those that are timed: the first traces, and the queue of batches fills."""


def train(recipe, steps, folder):
    """Run a recipe up to its training, in this process, and print what was measured as JSON."""
    from textrnn.cli.recipes import run_recipe

    defined = runpy.run_path(str(ROOT / "recipes" / f"{recipe}.py"))

    def main(options):
        from textrnn import training

        def fit(model, data, **_):
            measured = measure(model, data, steps)
            if training.workers().chief:
                print(json.dumps(measured), flush=True)
            raise SystemExit

        training.fit = fit
        defined["main"](options)

    kind = "multi_worker" if "TF_CONFIG" in os.environ else "none"
    run_recipe(
        main, defined["Options"], defined["__doc__"], recipe, ["--output", folder, "--distribute", kind]
    )


def measure(model, data, steps):
    """Time steps of a model. Returns the milliseconds of a step, and the bytes of all gradients."""
    import keras

    class Timer(keras.callbacks.Callback):
        async_safe = True

        def on_train_batch_begin(self, batch, logs=None):
            if batch == UNCOUNTED:
                self.model.get_metrics_result()  # waits for the steps before
                self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds = time.perf_counter() - self.start

    timer = Timer()
    model.fit(data.repeat(), steps_per_epoch=UNCOUNTED + steps, epochs=1, verbose=0, callbacks=[timer])
    exchanged = sum(4 * int(keras.ops.size(variable)) for variable in model.trainable_variables)
    return {"milliseconds": 1000 * timer.seconds / steps, "bytes": exchanged}


def run(recipe, processes, threads, steps):
    """Run a contestant in processes of its own; returns what its first process measured."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("localhost", 0))) for _ in range(processes)]
        addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    with ExitStack() as stack:
        started = []
        for rank in range(processes):
            environment = {
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "TF_NUM_INTRAOP_THREADS": str(threads),
                "TF_NUM_INTEROP_THREADS": str(threads),
                "OMP_NUM_THREADS": str(threads),
            }
            if processes > 1:
                task = {"type": "worker", "index": rank}
                environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            command = [sys.executable, __file__, "--train", recipe, "--steps", str(steps), "--folder", folder]
            started.append(subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE))
        outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        sys.exit(f"{recipe}: a process ended with status {[process.returncode for process in started]}")
    return json.loads(outputs[0].splitlines()[-1])


def table(results):
    """Results, recipe -> contestant -> measured, as a Markdown table."""
    titles = ["recipe", *(f"{name}, ms a step" for name in CONTESTANTS), "exchanged, MB", "bandwidth, Gbit/s"]
    lines = ["| " + " | ".join(titles) + " |", "|---" + "|---:" * (len(titles) - 1) + "|"]
    for recipe, measured in results.items():
        sent = measured["one thread"]["bytes"]
        seconds = measured["one thread"]["milliseconds"] / 1000
        times = [f"{measured[name]['milliseconds']:.1f}" for name in CONTESTANTS]
        cells = [recipe, *times, f"{sent / 1e6:.1f}", f"{8 * sent / seconds / 1e9:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipe", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60, help="Steps that are timed")
    parser.add_argument("--train", choices=RECIPES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:
        train(given.train, given.steps, given.folder)
        return
    print(f"commit {commit()}, {cpu_name()}, {os.cpu_count()} CPUs, load {load_average()}", flush=True)
    results = {}
    for recipe in given.recipe:
        for _ in range(given.rounds):
            for name, contestant in CONTESTANTS.items():
                found = run(recipe, *contestant, given.steps)
                print(f"{recipe}, {name}: {found['milliseconds']:.1f} ms a step", flush=True)
                kept = results.setdefault(recipe, {}).setdefault(name, found)
                kept["milliseconds"] = min(kept["milliseconds"], found["milliseconds"])
    print(f"\n{table(results)}\n\nload {load_average()}")


if __name__ == "__main__":
    main()

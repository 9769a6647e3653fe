"""Compare the speed of two checkouts of textrnn.

    python benchmarks/before_after.py --before /path/to/older/checkout --rounds 7
    python benchmarks/before_after.py --before ../older --task step beam --output benchmarks/results

Each checkout runs in a worker process of its own, which imports textrnn from that checkout. Only one
worker runs at a time, in interleaved rounds (see harness/__init__.py). Both use the same versions of all
other packages.

- step: a training step of an LSTM, 32 × 64 × 256, forward and backward in a `tf.function`.
- greedy, sampling: text from the `generate` signature of an exported `textrnn.CausalLM` with 512 units and
  bytes as tokens, for 1 and 64 prompts. 200 tokens at temperature 0 or 1, and 10 greedily for 1 prompt.
- beam: translations from the `translate` signature of an exported `textrnn.Seq2SeqLM` with 256 units and
  bytes as tokens, for 1 and 8 texts. 30 tokens with a beam of 5.

Weights are random and equal in both checkouts, and at least one text reaches the full number of tokens. A
summary of each result is printed, which should be equal too. The table shows milliseconds per run. Ratios are
the new checkout divided by the old one, so a ratio below 1 means that the new one is faster.

The script uses only public names, which checkouts from commit 7357577 on have.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import harness


@dataclasses.dataclass(frozen=True)
class Work:
    """What both checkouts do.

    Attributes:
        task: One of `TASKS`.
        batch_size: Rows of a batch, prompts or texts.
        units: Units of each layer.
        steps: Time steps of a layer, or tokens to decode.
    """

    task: str
    batch_size: int
    units: int
    steps: int

    def __str__(self):
        if self.task == "step":
            return f"training step of an LSTM, {self.batch_size} × {self.steps} × {self.units}"
        name = "beam search" if self.task == "beam" else self.task
        return f"{name}, batch {self.batch_size}: {self.units} units, {self.steps} tokens"


WORKS = (
    Work("step", 32, 256, 64),
    *(Work(task, batch_size, 512, 200) for task in ("greedy", "sampling") for batch_size in (1, 64)),
    Work("greedy", 1, 512, 10),
    *(Work("beam", batch_size, 256, 30) for batch_size in (1, 8)),
)
TASKS = tuple(dict.fromkeys(work.task for work in WORKS))
QUICK = {"units": 8, "steps": 4}
BEAMS = 5


# === What a worker does ===


def prepare(work):
    """The function to measure, and a summary of its result, which should be equal in both checkouts."""
    import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    if work.task == "step":
        return prepare_step(work)
    return prepare_beam(work) if work.task == "beam" else prepare_generation(work)


def prepare_step(work):
    """A training step of a recurrent layer."""
    from recurrent_layers.keras_layers import keras_run, textrnn_layer
    from recurrent_layers.works import Work as LayerWork

    layer_work = LayerWork("training", "lstm", work.batch_size, work.steps, work.units)
    run = keras_run(layer_work, textrnn_layer(layer_work))
    [gradient] = run()
    return run, f"gradient {float(abs(gradient).sum()):.3g}"


def prepare_generation(work):
    """The `generate` signature of a language model."""
    import numpy as np

    import textrnn
    from textrnn.tokenizers import ByteTokenizer

    backbone = textrnn.RecurrentBackbone(vocabulary_size=258, cell="lstm", units=work.units)
    lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(ByteTokenizer()))
    generate = exported(lm, max_new_tokens=work.steps)["generate"]

    def run(seed):
        full = lambda value, dtype: np.full(work.batch_size, value, dtype)  # noqa: E731
        return generate(
            text=np.array([f"prompt {seed} {i:02}" for i in range(work.batch_size)]),
            max_new_tokens=full(work.steps, "int32"),
            temperature=full(1.0 if work.task == "sampling" else 0.0, "float32"),
            top_k=full(0, "int32"),
            top_p=full(1.0, "float32"),
            seed=full(seed, "int64"),
        )["tokens"].numpy()

    # The loop ends with the longest text, so one text has to reach the maximum.
    seed = next((seed for seed in range(50) if run(seed).max() == work.steps), None)
    if seed is None:
        raise RuntimeError(f"{work}: all texts end before {work.steps} tokens")
    return lambda: run(seed), f"seed {seed}, {run(seed).sum()} tokens"


def prepare_beam(work):
    """The `translate` signature of a translator."""
    import numpy as np

    import textrnn
    from textrnn.tokenizers import ByteTokenizer

    backbone = textrnn.RecurrentSeq2Seq(258, units=work.units)
    lm = textrnn.Seq2SeqLM(backbone, textrnn.Seq2SeqLMPreprocessor(ByteTokenizer()))
    translate = exported(lm)["translate"]
    full = lambda value, dtype: np.full(work.batch_size, value, dtype)  # noqa: E731

    def run():
        return translate(
            text=np.array([f"text {i} of a batch to translate" for i in range(work.batch_size)]),
            num_beams=full(BEAMS, "int32"),
            length_penalty=full(1.0, "float32"),
            max_new_tokens=full(work.steps, "int32"),
        )["unfinished"].numpy()

    if not run().any():
        raise RuntimeError(f"{work}: all translations end before {work.steps} tokens")
    return run, f"{run().sum()} of {work.batch_size * BEAMS} hypotheses of full length"


def exported(task, **options):
    """The signatures of the SavedModel of a task, called by keyword."""
    from textrnn.export import export
    from textrnn.serving.saved_model import load_signatures

    with tempfile.TemporaryDirectory() as folder:
        return load_signatures(export(task, Path(folder, "model"), **options))


def foreign_modules():
    """The modules of textrnn that come from another checkout than the package."""
    modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "textrnn"}
    folder = Path(modules["textrnn"].__file__).parent
    files = {name: module.__file__ or folder for name, module in modules.items()}  # none for a mere folder
    return [name for name, file in files.items() if not Path(file).is_relative_to(folder)]


def answer_requests():
    """Answer each line of stdin with a line of stdout, both JSON.

    A request `{"work": ..., "seconds": ...}` prepares a work and gets a summary of its result. A request
    `null` runs it and gets the milliseconds per run.
    """
    answers, sys.stdout = sys.stdout, sys.stderr  # so that nothing else prints to it
    import textrnn

    print(json.dumps(str(Path(textrnn.__file__).parents[1])), file=answers, flush=True)
    for line in sys.stdin:
        if request := json.loads(line):
            run, answer = prepare(Work(**request["work"]))
            run(), run()
            if foreign := foreign_modules():
                raise RuntimeError(f"from another checkout: {foreign}")
            repeats = harness.repeats_in(request["seconds"], run)
        else:
            answer = 1000 * harness.timed(run, repeats)[0]
        print(json.dumps(answer), file=answers, flush=True)


# === Two workers ===


class Worker:
    """A process that measures one checkout.

    Args:
        checkout: The folder of the checkout.

    Raises:
        InputError: If the folder has no textrnn.
        RuntimeError: If the process fails.
    """

    def __init__(self, checkout):
        from textrnn.errors import InputError

        environment = os.environ | {"PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, __file__, "--worker"]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115, open as long as the process
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        if Path(imported := self._answer()) != checkout:
            self.close()
            raise InputError(f"{checkout} is no checkout of textrnn: Python imports textrnn from {imported}")

    def ask(self, request):
        """Send a request and wait for its answer."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        """End the process."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def _answer(self):
        if not (line := self.process.stdout.readline()):
            code = self.process.wait()
            self.errors.seek(0)
            message = self.errors.read()[-2000:]
            self.close()
            raise RuntimeError(f"a worker ended with exit code {code}:\n{message}")
        return json.loads(line)


def measure(work, rounds, workers, seconds):
    """The result of a work.

    Args:
        work: The `Work`.
        rounds: The number of rounds.
        workers: A dict of names to `Worker`.
        seconds: About how long a worker repeats the work within a round.
    """
    request = {"work": dataclasses.asdict(work), "seconds": seconds}
    summaries = {name: worker.ask(request) for name, worker in workers.items()}
    for name, summary in summaries.items():
        harness.log(f"  {name}: {summary}")
    times = {name: [] for name in workers}
    for name in harness.interleaved(workers, rounds):
        times[name].append(workers[name].ask(None))
    return harness.result(work, times) | {"summaries": summaries}


def compare(given):
    """Start a worker for each checkout and measure all works."""
    checkouts = {"after": given.after.resolve(), "before": given.before.resolve()}
    works = [work for work in WORKS if work.task in given.task]
    seconds = 0.0 if given.quick else given.seconds
    with contextlib.ExitStack() as stack:
        workers = {}
        for name, checkout in checkouts.items():
            workers[name] = Worker(checkout)
            stack.callback(workers[name].close)
        harness.run_benchmark(
            "before_after",
            harness.changed(works, QUICK, given),
            lambda work, rounds: measure(work, rounds, workers, seconds),
            given,
            rounds=7,
            describe=lambda results: {name: harness.commit(folder) for name, folder in checkouts.items()},
        )


def main():
    """Run the comparison, or a worker of it."""
    if sys.argv[1:] == ["--worker"]:
        answer_requests()
        return
    from textrnn.cli import process

    parser = harness.make_parser(__doc__, __file__, rounds=7)
    harness.add_tasks(parser, TASKS)
    add = parser.add_argument
    add("--before", type=Path, required=True, metavar="PATH", help="folder of the older checkout")
    add("--after", type=Path, default=harness.CHECKOUT, metavar="PATH", help="another folder (default: this)")
    add("--seconds", type=float, default=1.0, metavar="X", help="seconds per measurement (default: 1)")
    given = parser.parse_args()
    process.run(lambda: compare(given))


if __name__ == "__main__":
    main()

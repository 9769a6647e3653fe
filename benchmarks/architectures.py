r"""Compare recurrent layers with a causal convolution and a small transformer on the same work.

    python benchmarks/architectures.py --tasks scaling                             # 20 minutes
    python benchmarks/architectures.py --tasks text --core 0                       # about 2 hours
    python benchmarks/architectures.py --tasks translation --core 1                # about 2 hours
    python benchmarks/architectures.py --tasks classification --minutes 2 --search_minutes 0.5 \
        --seeds 0 1 2 --core 1                                                     # about an hour
    python benchmarks/architectures.py --plot docs/architectures.png               # seconds
    KERAS_BACKEND=jax python benchmarks/architectures.py --tasks scaling --tokens 65536     # on a GPU

Run the first one on an idle machine and before the others: XLA compiles the steps of the text task where the
measurements found that to be faster. Each command has one thread.

Contestants are `lstm`, `gru` and `min_gru` of textrnn, the last one also with residual connections between
its three layers; residual dilated convolutions (`keras.layers.Conv1D`); and a pre-norm transformer with
sinusoidal positions (KerasHub's `TransformerDecoder`, or `TransformerEncoder` to classify). All read token
vectors of the same width. The other weights are as many as the budget allows: units, filters or the inner
width are searched for. `architecture_comparison/settings.py` has the sizes.

All train with Adam, the gradients clipped to a global norm of 1, for the same processor minutes, which other
work on the machine does not change. Compiling and scoring do not count. The learning rate warms up and falls
to zero with the time. So a curve belongs to one duration, and a shorter training would end better than its
point on the curve. Each contestant first searches its learning rate, in runs of `--search_minutes` with seed
0, scored on a validation part. The best rate and the next lower one, since a short search is in favour of
high rates, then train for `--minutes` with the first seed. The one with the better validation score trains
with the other seeds, too. The scores of its runs on a test part are reported.

Tasks:

- text: a language model of bytes. Score: bits per character. Recurrent models carry their states from window
  to window, in training and scoring. The others train on windows at random places, and are scored on windows
  that overlap by half, so that each token has at least half a window of context.
- classification: subwords to a class; all contestants see both sides of a token. Score: accuracy.
- translation: subwords with one vocabulary. The recurrent ones are `textrnn.Seq2SeqLM` with attention. The
  convolutions, with sinusoidal positions here, and the transformer have an encoder and a decoder, each block
  of which attends to the encoder's outputs. Score: BLEU of greedy translations.
- scaling: the time and the memory of a training step of the language model on `--tokens` tokens, in rows
  of each of `--lengths`; and the time of a generated token at the end of a text of that length, for one row.
  Each is measured in a process of its own, with XLA and without. The tables have the faster of both times,
  and the memory without XLA. On the JAX backend all are measured in one process, and memory is that of
  activations and gradients.

Each run is a line of `architectures.jsonl`, or on JAX of `architectures_jax.jsonl`. A run that has a line is
not run again, unless it failed. `--plot` draws these lines and prints their tables, and trains nothing.
"""

import argparse
import itertools
import json
import os
from pathlib import Path

import harness
from architecture_comparison import results, runs, scaling
from architecture_comparison.settings import CONTESTANTS, QUICK, SETTINGS, Settings
from architecture_comparison.tasks import TASKS


def make_parser():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--tasks", nargs="+", choices=[*TASKS, runs.SCALING], default=[], metavar="TASK", help="what to run")
    add("--contestants", nargs="+", choices=CONTESTANTS, default=CONTESTANTS, metavar="NAME")
    add("--minutes", type=float, default=6.0, help="minutes of training (default: 6)")
    add("--search_minutes", type=float, default=1.5, help="those of a run that tries a rate (default: 1.5)")
    add("--learning_rates", nargs="+", type=float, default=[1e-3, 2e-3, 4e-3, 8e-3], metavar="X")
    add("--seeds", nargs="+", type=int, default=[0, 1], metavar="N", help="seeds (default: 0 1)")
    add("--scores", type=harness.positive, default=8, help="scores on the way (default: 8)")
    add("--lengths", nargs="+", type=harness.positive, default=[64, 128, 256, 512, 1024, 2048, 4096])
    add("--tokens", type=harness.positive, default=4096, help="tokens of a measured step (default: 4,096)")
    add("--rounds", type=harness.positive, default=9, help="measured steps (default: 9)")
    add("--core", type=int, metavar="N", help="run on this core alone")
    add("--quick", action="store_true", help="tiny models on the starter corpora, to try the command")
    add("--output", type=Path, default=Path(runs.RESULTS), help="folder of the lines")
    add("--plot", type=Path, metavar="PNG", help="draw the lines that there are")
    add("--worker", help=argparse.SUPPRESS)
    return parser


def train(task, given, settings, records, keep):
    """Do the missing runs of a task: for each contestant those that choose a rate, then those with it.

    Args:
        task: A name in `TASKS`.
        given: The options.
        settings: The `Settings` of the task.
        records: The list of records, which `keep` extends.
        keep: A function that is called with each new record.
    """

    def perform_missing(wanted):
        for run in wanted:
            if not runs.is_done(runs.run_key(run, settings), records):
                keep(runs.perform(run, settings, given.scores))

    for contestant in given.contestants:
        xla = runs.faster_with_xla(records, settings, task, contestant)
        perform_missing(runs.search_runs(task, contestant, xla, given))
        rates = runs.candidate_rates(records, settings, task, contestant, xla, given)
        perform_missing(runs.test_runs(task, contestant, rates, xla, given, given.seeds[:1]))
        rate = runs.best_rate(records, settings, task, contestant, rates, xla, given)
        if rate is None:
            harness.log(f"{task}, {contestant}: no learning rate came to the end")
        else:
            perform_missing(runs.test_runs(task, contestant, [rate], xla, given, given.seeds))


def measure(given, settings, records, keep):
    """Do the missing measurements."""
    on_jax = harness.backend() == "jax"
    ways = itertools.product(given.lengths, given.contestants, [None] if on_jax else [False, True])
    works = [(contestant, length, settings, given.tokens, xla) for length, contestant, xla in ways]
    missing = [work for work in works if not runs.is_done(runs.scaling_key(*work), records)]
    if on_jax:
        for entry in runs.measure_on_jax(missing, given.rounds):
            keep(entry)
    else:
        for work in missing:
            keep(runs.measure(*work, given.rounds, __file__))


def main(arguments=None):
    """Run the tasks, draw, or measure in a process of its own."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    if not (given.tasks or given.plot or given.worker):
        parser.error("give --tasks, or --plot")
    on_jax = harness.backend() == "jax"
    if on_jax and {*given.tasks} - {runs.SCALING}:
        parser.error("on JAX there is --tasks scaling alone, since the tasks of textrnn need TensorFlow")

    # TensorFlow reads these when it starts.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    if not on_jax:
        from textrnn.startup import load_tensorflow

        load_tensorflow()
    if given.worker:
        work = json.loads(given.worker)
        print(json.dumps(scaling.measure(**work | {"settings": Settings(**work["settings"])})))
        return
    settings = QUICK if given.quick else SETTINGS
    given.output.mkdir(parents=True, exist_ok=True)
    file = given.output / ("architectures_jax.jsonl" if on_jax else "architectures.jsonl")
    records = harness.read_records(file)

    def keep(entry):
        records.append(entry)
        harness.append(file, entry)
        print(json.dumps(entry), flush=True)

    for task in given.tasks:
        if task == runs.SCALING:
            measure(given, settings["text"], records, keep)
        else:
            train(task, given, settings[task], records, keep)
    if given.plot:
        results.draw(records, settings, given.plot)
        print(results.tables(records, settings), end="")


if __name__ == "__main__":
    main()

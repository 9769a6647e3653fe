"""What all benchmarks share: contestants, interleaved timing, the environment, tables and options.

A benchmark is a list of works. Every contestant does the same work in the same process. After two warm-up
runs, the contestants run in interleaved rounds: in each round every contestant runs once, in an order that
shifts from round to round, so that other load on the machine affects all of them. A table shows the median
over the rounds with the range, and the ratio of the medians with the range of the ratios within a round.
"""

import dataclasses
import functools
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

OURS = "textrnn"
CHECKOUT = Path(__file__).resolve().parents[1]


def log(message):
    """Print progress to stderr."""
    print(message, file=sys.stderr, flush=True)


# === Contestants ===


@dataclasses.dataclass(frozen=True)
class Contestant:
    """An implementation to measure.

    Attributes:
        peer: its name in the table.
        form: what distinguishes it from other forms of the same peer, or "".
        needs: the library that it needs; "tensorflow" also means TensorFlow as the backend of Keras.
        tasks: the tasks that it takes part in, or None for all.
        prepare: a function of a work and its inputs that returns the function to measure, or None if there
            is nothing to measure. A measured function blocks until its work is done.
    """

    peer: str
    form: str
    needs: str
    tasks: tuple[str, ...] | None
    prepare: Callable

    @property
    def label(self):
        return f"{self.peer}, {self.form}" if self.form else self.peer

    def joins(self, task):
        """Whether it takes part in a task and its library is available."""
        return (self.tasks is None or task in self.tasks) and available(self.needs)


class Contestants(list[Contestant]):
    """The contestants of a benchmark, in the order of its table.

    Example:
    >>> from harness import Contestants
    >>> contestants = Contestants()
    >>> @contestants.add("Keras", "XLA")
    ... def run_keras(work):
    ...     return lambda: 2 * work
    >>> contestants[0].label, contestants[0].prepare(4)()
    ('Keras, XLA', 8)
    """

    def add(self, peer, form="", needs="keras", tasks=None):
        """Return a decorator that registers a `prepare` function; see `Contestant` for the arguments."""

        def register(prepare):
            self.append(Contestant(peer, form, needs, tasks, prepare))
            return prepare

        return register

    def of(self, task):
        """The contestants that take part in a task and whose library is available."""
        return [contestant for contestant in self if contestant.joins(task)]

    def prepare(self, work, *inputs, seed=0, without=()):
        """Prepare and warm up the contestants of a work.

        Args:
            work: a dataclass with an attribute `task`.
            *inputs: further arguments of every `prepare` function.
            seed: seeds the weights of each contestant.
            without: labels of contestants to leave out.

        Returns:
            A dict of labels to functions to measure.
        """
        import keras

        runs = {}
        for contestant in self.of(work.task):
            if contestant.label in without:
                continue
            start = time.perf_counter()
            keras.utils.set_random_seed(seed)
            if contestant.needs == "torch":
                import torch

                torch.manual_seed(seed)
            if (run := contestant.prepare(work, *inputs)) is None:
                continue
            run(), run()
            runs[contestant.label] = run
            log(f"  {contestant.label} ready after {time.perf_counter() - start:.0f} s")
        return runs


def available(library):
    """Whether a library is installed; for "tensorflow", whether it is the backend of Keras."""
    if library == "tensorflow":
        return os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
    return importlib.util.find_spec(library) is not None


def load_backend():
    """Load TensorFlow without its start-up messages if it is the backend of Keras."""
    if available("tensorflow"):
        from textrnn import startup

        startup.load_tensorflow()


def torch_device():
    """The device that PyTorch runs on."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


# === Timing ===


def interleaved(names, rounds):
    """Yield the names in every round, in an order that shifts from round to round.

    Example:
    >>> from harness import interleaved
    >>> " ".join(interleaved("abc", rounds=3))
    'a b c b c a c a b'
    """
    names = [*names]
    for i in range(rounds):
        shift = i * len(names) // rounds
        yield from names[shift:] + names[:shift]
        log(f"  round {i + 1} of {rounds}")


def measure_times(runs, rounds, seconds=0.0):
    """Measure the time of a run in milliseconds.

    Args:
        runs: a dict of names to warmed-up functions.
        rounds: the number of rounds.
        seconds: about how long to repeat each function within a round; the mean counts.

    Returns:
        A dict of names to one value per round.
    """
    repeats = {name: repeats_in(seconds, run) for name, run in runs.items()}
    times = {name: [] for name in runs}
    for name in interleaved(runs, rounds):
        times[name].append(1000 * timed(runs[name], repeats[name])[0])
    return times


def measure_rates(runs, rounds):
    """Measure how much each function does per second.

    Args:
        runs: a dict of names to warmed-up functions that return the amount of work they did.
        rounds: the number of rounds.

    Returns:
        A dict of names to one value per round.
    """
    rates = {name: [] for name in runs}
    for name in interleaved(runs, rounds):
        elapsed, amount = timed(runs[name])
        rates[name].append(amount / elapsed)
    return rates


def repeats_in(seconds, run):
    """How often a function runs in some seconds, at least once."""
    return max(1, round(seconds / timed(run)[0])) if seconds else 1


def timed(run, repeats=1):
    """The mean seconds of repeated runs, and the value of the last one."""
    start = time.perf_counter()
    for _ in range(repeats):
        value = run()
    return (time.perf_counter() - start) / repeats, value


def peak_memory():
    """The peak memory of this process so far, in megabytes."""
    # `getrusage` would count the peak of the parent process too.
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def run_in_subprocess(script, *arguments):
    """Run a benchmark script in a process of its own and return the last line of its output.

    Raises:
        RuntimeError: if the script fails.
    """
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script} ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout.splitlines()[-1]


# === Environment ===


@functools.cache
def commit(folder=CHECKOUT):
    """The commit of a checkout, with `-dirty` if files differ from it, or "unknown"."""
    describe = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    command = ["git", "--no-optional-locks", "-C", str(folder), *describe]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def environment(seed, rounds, peers=()):
    """What the figures depend on, as a dict: versions, processor, threads, load, seed and rounds.

    Args:
        seed: the seed of weights and inputs.
        rounds: the number of rounds.
        peers: packages to list besides those that textrnn uses.
    """
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    packages = ("textrnn", "keras", "keras-hub", "tensorflow", "numpy", *peers)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "python": platform.python_version(),
        "backend": backend,
        **{package: _version(package) for package in packages},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        **(_tensorflow_devices() if backend == "tensorflow" else {}),
        **(_torch_threads() if "torch" in peers and available("torch") else {}),
        "load_average_before": load_average(),
        "seed": seed,
        "rounds": rounds,
    }


def _version(package):
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _tensorflow_devices():
    import tensorflow as tf

    threading = tf.config.threading
    return {
        # TensorFlow returns 0 for its default, one thread per CPU.
        "intra_op_threads": threading.get_intra_op_parallelism_threads() or os.cpu_count(),
        "inter_op_threads": threading.get_inter_op_parallelism_threads() or os.cpu_count(),
        "gpus": len(tf.config.list_physical_devices("GPU")),
    }


def _torch_threads():
    import torch

    return {"torch_threads": torch.get_num_threads()}


def cpu_name():
    """The model name of the processor."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def load_average():
    """The load average of the last minute."""
    return round(os.getloadavg()[0], 1)


# === Results ===


def result(work, figures, unit="ms", per=None):
    """The result of a work as plain data.

    Args:
        work: a dataclass whose string describes it.
        figures: a dict of names to one value per round. Ratios are the first divided by each.
        unit: the unit of the values.
        per: a dict of names to divisors of the values for the ratios, or None.
    """
    per = per or dict.fromkeys(figures, 1.0)
    ours = next(iter(figures))
    rows = []
    for name, values in figures.items():
        scale = per[name] / per[ours]
        ratios = [scale * mine / value for mine, value in zip(figures[ours], values, strict=True)]
        ratio = scale * statistics.median(figures[ours]) / statistics.median(values)
        rows.append(
            {
                "contestant": name,
                unit: [round(value, 3) for value in values],
                "median": round(statistics.median(values), 3),
                "ratio": round(ratio, 3),
                "lowest_and_highest_ratio": [round(min(ratios), 3), round(max(ratios), 3)],
            }
        )
    return {"work": dataclasses.asdict(work), "description": str(work), "unit": unit, "rows": rows}


def markdown(report):
    """A report as a Markdown table, followed by its environment.

    A row may have a "goal", which gets a column, and "bold", which sets the contestant in bold.
    """
    goals = any("goal" in row for entry in report["results"] for row in entry["rows"])
    titles = ["work", "contestant", "median (range)", "first row ÷ this row (range)", "goal"]
    lines = [f"| {' | '.join(titles[: 4 + goals])} |", "|---|---|---:|---:|" + "---|" * goals]
    for entry in report["results"]:
        for i, row in enumerate(entry["rows"]):
            name = f"**{row['contestant']}**" if row.get("bold") else row["contestant"]
            median = f"{number(row['median'])} {entry['unit']}{value_range(row[entry['unit']])}"
            ratio = f"{row['ratio']:.2f}"
            if len(row[entry["unit"]]) > 1:
                ratio += " ({:.2f}–{:.2f})".format(*row["lowest_and_highest_ratio"])
            cells = ["" if i else entry["description"], name, median, ratio if i else "", row.get("goal", "")]
            lines.append(f"| {' | '.join(cells[: 4 + goals])} |")
    return "\n".join([*lines, "", listed(report["environment"]), ""])


def number(value):
    """A figure with four digits or all digits before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def value_range(values):
    """The lowest and the highest of several values in parentheses."""
    return f" ({number(min(values))}–{number(max(values))})" if len(values) > 1 else ""


def listed(facts):
    """A dict as one line of text."""
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in facts.items())


# === The command line ===


def make_parser(doc, script, rounds=5):
    """A parser with the options that benchmarks share.

    Args:
        doc: the docstring of the script. Its first line is the description.
        script: the path of the script.
        rounds: the default number of rounds.
    """
    from jsonargparse.typing import PositiveInt

    from textrnn.cli import parser as command_line

    parser = command_line.make_parser(
        description=doc.splitlines()[0], epilog=f"Method: see the docstring of {Path(script).name}."
    )
    parser.add_argument("--rounds", type=PositiveInt, help=f"rounds (default: {rounds}; 2 with --quick)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the command")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and inputs")
    parser.add_argument("--output", type=Path, help=f"folder for {Path(script).stem}.json and .md")
    parser.set_defaults(rounds=None)
    return parser


def add_sizes(parser, sizes):
    """Add an option for each size of a work.

    Args:
        parser: from `make_parser`.
        sizes: a dict of names to help texts. A size that is not given keeps the value of each work.
    """
    from jsonargparse.typing import PositiveInt

    for name, meaning in sizes.items():
        parser.add_argument(f"--{name}", type=PositiveInt, help=meaning)


def changed(works, quick, given, *options):
    """The works with the sizes that the command line asks for, without duplicates.

    Args:
        works: dataclasses.
        quick: the sizes of `--quick`.
        given: the parsed command line.
        *options: names of options that replace a size if given.
    """
    sizes = dict(quick) if given.quick else {}
    sizes |= {name: given[name] for name in options if given[name] is not None}
    return [*dict.fromkeys(dataclasses.replace(work, **sizes) for work in works)]


def run_benchmark(name, works, measure, given, rounds=5, peers=(), describe=None):
    """Measure all works, print the table, and write it to the output folder.

    Args:
        name: the name of the report's files.
        works: the works.
        measure: a function of a work and the number of rounds that returns its `result`.
        given: the parsed command line, see `make_parser`.
        rounds: the default number of rounds.
        peers: packages to list in the environment.
        describe: a function of the results that returns further facts about the environment.
    """
    load_backend()
    start = time.perf_counter()
    rounds = given.rounds or (2 if given.quick else rounds)
    facts = {"commit": commit(), **environment(given.seed, rounds, peers)}
    results = []
    for work in works:
        log(work)
        results.append(measure(work, rounds))
    facts |= describe(results) if describe else {}
    facts |= {"load_average_after": load_average(), "seconds": round(time.perf_counter() - start)}
    report = {"environment": facts, "results": results}
    table = markdown(report)
    print(table, end="")
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / f"{name}.md").write_text(table, encoding="utf-8")
        (given.output / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

"""Compare `textrnn serve` with a minimal FastAPI handler under load.

    python benchmarks/serving_load.py --generate saved_models/demo --classify saved_models/sentiment \
        --translate saved_models/translation --output benchmarks/results
    python benchmarks/serving_load.py --translate saved_models/translation --connections 64 --rounds 3

Each server runs in a process of its own and has the same SavedModels:

- textrnn serve: with batching, as by default.
- textrnn serve, no batching: with `--enable_batching=false`.
- FastAPI: a plain `def` handler with one worker of uvicorn, which calls the SavedModel once per request.

Requests have one text, and come over 1, 8 or 64 connections at the same time. Each connection is kept, and
sends its next request when the last one is answered. Rounds are interleaved (see harness/__init__.py). For
each number of connections there are three tables: requests per second, and the median and the 99th percentile
of the latency. **Client and servers share the cores of this machine**, and use the loopback interface alone.
A generated text has `--tokens` new tokens at most.

The last line has, for each server, the seconds from its command to its first answer, its resident memory
before and after the load, and the number of requests that failed.
"""

import argparse
import contextlib
import dataclasses
import functools
import itertools
import random
import sys
from pathlib import Path

import harness
from served import FASTAPI, Served, run_load, textrnn_serve
from served.client import post

TASKS = ("generate", "classify", "translate")
SERVERS = ("textrnn serve", "textrnn serve, no batching", "FastAPI")
FIGURES = {"rate": "requests/s", "p50": "ms", "p99": "ms"}
GOAL = 3.0
"""Requests per second at 64 connections, of the first server divided by the last one's."""

SENTENCE = "the film was a story of one two three people in the house at nine it is not very good bad old new"


@dataclasses.dataclass(frozen=True)
class Work:
    """What the servers do, and what is measured.

    Attributes:
        task: One of `TASKS`.
        connections: Connections at the same time.
        figure: One of `FIGURES`.
    """

    task: str
    connections: int
    figure: str

    def __str__(self):
        what = {"rate": "throughput", "p50": "median latency", "p99": "99th percentile of the latency"}[
            self.figure
        ]
        return f"{self.task}, {self.connections} connection{'s' * (self.connections > 1)}: {what}"


def requests_of(task, name, tokens, seed):
    """Requests without an end, as bytes: 64 texts again and again."""
    rng = random.Random(seed)
    sizes = {"generate": (2, 8), "classify": (10, 60), "translate": (3, 10)}[task]
    bodies = []
    for number in range(64):
        row = {"text": " ".join(rng.choices(SENTENCE.split(), k=rng.randint(*sizes)))}
        if task == "generate":
            row |= {"max_new_tokens": tokens, "temperature": 1.0, "top_k": 0, "top_p": 0.95, "seed": number}
        signature = "generate" if task == "generate" else "serving_default"
        bodies.append({"signature_name": signature, "instances": [row]})
    return itertools.cycle([post(f"/v1/models/{name}:predict", body) for body in bodies])


class Comparison:
    """The running servers.

    Args:
        folders: A dict from tasks to folders of models.
        given: The parsed command line.
        stack: An `ExitStack` that ends the servers.
    """

    def __init__(self, folders, given, stack):
        self.folders, self.given = folders, given
        paths = [*folders.values()]
        commands = (
            textrnn_serve(paths),
            textrnn_serve(paths, "--enable_batching=false"),
            [sys.executable, str(FASTAPI), "PORT", *map(str, paths)],
        )
        self.servers = {}
        for name, command in zip(SERVERS, commands, strict=True):
            server = stack.enter_context(Served(command, next(self._requests(next(iter(folders))))))
            harness.log(f"{name} answers after {server.seconds:.1f} s")
            self.servers[name] = server
        self.memory = {name: server.memory for name, server in self.servers.items()}
        self.failed = dict.fromkeys(self.servers, 0)

    def _requests(self, task):
        return requests_of(task, self.folders[task].name, self.given.tokens, self.given.seed)

    @functools.cache  # noqa: B019, a comparison lives as long as the process
    def loads(self, task, connections, rounds):
        """The `Load`s of each server, one per round."""
        requests = {name: self._requests(task) for name in self.servers}
        found = {name: [] for name in self.servers}

        def run(name, seconds):
            load = run_load(self.servers[name].port, requests[name], connections, seconds)
            self.failed[name] += load.failed
            return load

        for name in self.servers:
            run(name, self.given.seconds / 4)  # warm-up
        for name in harness.interleaved(self.servers, rounds):
            found[name].append(run(name, self.given.seconds))
        return found

    def measure(self, work, rounds):
        """The result of a work."""
        value = {"rate": lambda load: load.rate, "p50": lambda load: load.percentile(50),
                 "p99": lambda load: load.percentile(99)}[work.figure]  # fmt: skip
        figures = {
            name: [value(load) for load in loads]
            for name, loads in self.loads(work.task, work.connections, rounds).items()
        }
        result = harness.result(work, figures, unit=FIGURES[work.figure])
        if work.figure == "rate" and work.connections == 64:
            last = result["rows"][-1]
            last["goal"] = f"≥ {GOAL:g}, {'met' if last['ratio'] >= GOAL else 'missed'}"
        return result

    def describe(self, results):
        """Start-up, memory and failed requests of each server."""
        return {
            name: f"({server.seconds:.1f} s to the first answer, {self.memory[name]:.0f} MB, "
            f"{server.memory:.0f} MB after the load, {self.failed[name]} requests failed)"
            for name, server in self.servers.items()
        }


def make_parser():
    """The command line."""
    parser = harness.make_parser(__doc__, __file__)
    add = parser.add_argument
    for task in TASKS:
        add(
            f"--{task}",
            type=Path,
            metavar="FOLDER",
            help=f"a model that can {task}, such as saved_models/demo",
        )
    add("--connections", type=harness.positive, nargs="+", default=[1, 8, 64], metavar="N",
        help="connections at the same time (default: 1 8 64)")  # fmt: skip
    add("--seconds", type=float, default=4.0, metavar="X", help="seconds per measurement (default: 4)")
    add("--tokens", type=harness.positive, default=16, metavar="N", help="new tokens of a text (default: 16)")
    return parser


def main():
    """Run the benchmark."""
    parser = make_parser()
    given = parser.parse_args()
    folders = {task: folder.resolve() for task in TASKS if (folder := getattr(given, task))}
    if not folders:
        parser.error("give --generate, --classify or --translate")
    if given.quick:
        given = argparse.Namespace(**vars(given) | {"seconds": 0.1, "connections": [1, 4], "tokens": 2})
    works = [Work(*one) for one in itertools.product(folders, given.connections, FIGURES)]
    with contextlib.ExitStack() as stack:
        comparison = Comparison(folders, given, stack)
        harness.run_benchmark("serving_load", works, comparison.measure, given, peers=("fastapi", "uvicorn"),
                              describe=comparison.describe)  # fmt: skip


if __name__ == "__main__":
    main()

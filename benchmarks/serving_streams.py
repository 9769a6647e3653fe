"""Measure `textrnn serve` on many streams at the same time, beside one stream at a time.

    python benchmarks/serving_streams.py saved_models/demo --output benchmarks/results
    python benchmarks/serving_streams.py saved_models/demo english --streams 64 8 1 --rounds 9

Each stream is a request to `:stream` for up to `--tokens` tokens with `top_p` 0.95, over a connection of its
own. 1, 8 or 64 of them begin at the same time. Rounds are interleaved (see harness/__init__.py). The tables
show the tokens per second of all streams together, and the median of the milliseconds until a stream has its
first text. Ratios are of the first row to each, so that the last one is the gain over one stream at a time.
**Client and server share the cores of this machine**, and use the loopback interface alone.
"""

import argparse
import dataclasses
import functools
import statistics
from pathlib import Path

import harness
from served import Served, run_streams, textrnn_serve
from served.client import post

FIGURES = {"rate": "tokens/s", "first": "ms"}
GOAL = 12.0
"""Tokens per second of 64 streams divided by those of one at a time."""
PROMPTS = ("The", "import", "It was a", "In the", "For", "When the", "A list", "There is")


@dataclasses.dataclass(frozen=True)
class Work:
    """What is measured.

    Attributes:
        model: The name of a model.
        tokens: Maximum number of tokens of a stream.
        figure: One of `FIGURES`.
    """

    model: str
    tokens: int
    figure: str

    def __str__(self):
        what = "tokens per second" if self.figure == "rate" else "time to the first text"
        return f"{self.model}, {self.tokens} tokens: {what}"


class Streaming:
    """The running server.

    Args:
        server: A `Served`.
        given: The parsed command line.
    """

    def __init__(self, server, given):
        self.server, self.given, self.failed = server, given, 0

    def requests(self, model, number):
        """The bytes of so many requests, each with a prompt and a seed."""
        settings = {"max_new_tokens": self.given.tokens, "temperature": 1.0, "top_p": 0.95}
        return [
            post(f"/v1/models/{model}:stream", {"text": PROMPTS[i % len(PROMPTS)], "seed": i} | settings)
            for i in range(number)
        ]

    @functools.cache  # noqa: B019, it lives as long as the process
    def runs(self, model, rounds):
        """Tokens per second and the median time to the first text, by number of streams, one per round."""
        found = {number: [] for number in self.given.streams}
        requests = {number: self.requests(model, number) for number in found}
        for number in found:
            run_streams(self.server.port, requests[number])  # warm-up
        for number in harness.interleaved(found, rounds):
            tokens, elapsed, firsts, errors = run_streams(self.server.port, requests[number])
            self.failed += len(errors)
            first = 1000 * statistics.median(firsts) if firsts else float("inf")
            found[number].append((tokens / elapsed, first))
        return found

    def measure(self, work, rounds):
        """The result of a work."""
        column = [*FIGURES].index(work.figure)
        figures = {
            f"{number} streams" if number > 1 else "one at a time": [values[column] for values in runs]
            for number, runs in self.runs(work.model, rounds).items()
        }
        result = harness.result(work, figures, unit=FIGURES[work.figure])
        if work.figure == "rate" and [self.given.streams[i] for i in (0, -1)] == [64, 1]:
            last = result["rows"][-1]
            last["goal"] = f"≥ {GOAL:g}, {'met' if last['ratio'] >= GOAL else 'missed'}"
        return result

    def describe(self, results):
        """Facts about the server."""
        return {
            "first_answer": f"after {self.server.seconds:.1f} s",
            "resident_memory": f"{self.server.memory:.0f} MB",
            "failed_streams": self.failed,
        }


def make_parser():
    """The command line."""
    parser = harness.make_parser(__doc__, __file__)
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help="a folder of a model, or a name from `textrnn models`")
    add("--streams", type=harness.positive, nargs="+", default=[64, 8, 1], metavar="N",
        help="streams at the same time (default: 64 8 1)")  # fmt: skip
    add("--tokens", type=harness.positive, default=256, metavar="N", help="tokens of a stream (default: 256)")
    return parser


def main():
    """Run the benchmark."""
    given = make_parser().parse_args()
    if given.quick:
        given = argparse.Namespace(**vars(given) | {"streams": [4, 1], "tokens": 8})
    names = [Path(model).resolve().name for model in given.models]
    works = [Work(name, given.tokens, figure) for name in names for figure in FIGURES]
    first = post(f"/v1/models/{names[0]}:predict", {"instances": [{"text": PROMPTS[0]}]})
    with Served(textrnn_serve(given.models), first) as server:
        streaming = Streaming(server, given)
        harness.run_benchmark("serving_streams", works, streaming.measure, given, peers=("uvicorn",),
                              describe=streaming.describe)  # fmt: skip


if __name__ == "__main__":
    main()
